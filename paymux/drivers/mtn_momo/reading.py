"""Reading a transaction: its words, its parties, and what is proved by them."""

from collections.abc import Mapping

from ...models import Kind, Payment
from ...values.parsing import amount
from .account import Account
from .answers import Transaction

_REASON_OF: Mapping[Kind, str] = {
    "collect": "reason",
    "payout": "payout reason",
    "refund": "payout reason",
}


def read(driver: Account, said: Transaction, asked: str | None, kind: Kind) -> Payment:
    """Return the payment of an answer or a message."""
    cause = said.cause
    status, reason = driver.outcome({"status": said.status, _REASON_OF[kind]: cause.code})
    found = Payment(
        account=driver.account,
        provider=driver.name,
        kind=kind,
        live=driver.live,
        reference=said.external_id,
        provider_reference=asked,
        status=status,
        amount=amount(said.amount),
        currency=said.currency,
        payer=said.payer.number if said.payer and kind == "collect" else None,
        payee=said.payee.number if said.payee and kind == "payout" else None,
        receipt=said.financial_transaction_id,
        provider_status="/".join(filter(None, (said.status, cause.code))) or None,
        reason=reason,
        message=cause.message,
    )
    return driver.proved(found, "transaction")
