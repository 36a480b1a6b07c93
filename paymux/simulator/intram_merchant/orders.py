"""What the Merchant API accepts: payment requests, payouts and refunds.

github.com/suntechdevs/paycfa merchant-api/reference/payment-requests.md, payouts.md and refunds.md
(2026-05).
"""

from typing import TYPE_CHECKING, Any

from ...http import Response
from ...models import Status
from ..ledger import Entry
from . import shapes
from .wire import checked_amount, data, error, invalid

if TYPE_CHECKING:
    from . import IntramMerchant


def payment_request(merchant: "IntramMerchant", body: dict[str, Any]) -> Response:
    """Accept a payment request."""
    what, invoice = "payment", body.get("invoice")
    if not isinstance(invoice, dict):
        return error(400, "missing_invoice", "invoice is required")
    if not isinstance(invoice.get("customer"), dict):
        raise invalid(what, "invoice.customer", "customer is required")
    amount = checked_amount(invoice.get("amount"), what, "invoice.amount")
    if invoice.get("currency") != "XOF":
        return error(400, "unknown_currency", "Currency not supported")
    if amount < merchant.lowest:
        return error(400, "amount_too_small", f"The minimum is {merchant.lowest}")
    if amount > merchant.highest:
        return error(400, "amount_too_large", f"The maximum is {merchant.highest}")
    free = body.get("webhook_data")
    named = free.get(merchant.reference_key) if isinstance(free, dict) else None
    method = body.get("payment_method") or {}
    entry = merchant.accept(
        "collect", body, amount, named, method.get("msisdn"), operator=method.get("code")
    )
    return data(shapes.accepted(entry, merchant.env), 202)


def payout(merchant: "IntramMerchant", body: dict[str, Any]) -> Response:
    """Accept a payout, to mobile money or to a bank."""
    amount = checked_amount(body.get("amount"), "payout", "amount")
    to = body.get("destination")
    if not isinstance(to, dict) or to.get("type") not in ("mobile_money", "bank_account"):
        raise invalid("payout", "destination.type", "must be mobile_money or bank_account")
    bank = to["type"] == "bank_account"
    for field in ("account_number", "swift") if bank else ("msisdn",):
        if not isinstance(to.get(field), str) or not to[field]:
            raise invalid("payout", f"destination.{field}", f"{field} is required")
    number = f"bank:{to['account_number']}" if bank else to["msisdn"]
    # No page says from which of the wallets a wire is taken: from the fullest.
    fullest = max(merchant.wallet, key=lambda code: merchant.wallet[code], default=None)
    entry = merchant.accept(
        "payout",
        body,
        amount,
        body.get("reference"),
        number,
        operator=fullest if bank else to.get("provider_code"),
        bank=bank,
        service=f"MTN{merchant.core.random.randrange(10**8, 10**9)}",
    )
    return data(shapes.accepted(entry, merchant.env, payload=True), 202)


def refund(merchant: "IntramMerchant", body: dict[str, Any]) -> Response:
    """Accept a refund of a transaction that is known."""
    original = merchant.of_transaction(str(body.get("transaction_reference")))
    if original is None or original.kind != "collect":
        return no_transaction()
    given = body.get("amount", int(original.amount))
    amount = checked_amount(given, "refund", "amount")
    free = body.get("metadata")
    named = free.get(merchant.reference_key) if isinstance(free, dict) else None
    operator = original.words["operator"] or "MTN_BENIN_229"
    entry = merchant.accept(
        "refund", body, amount, named, original.party, operator=operator, original=original
    )
    return data(shapes.accepted(entry, merchant.env), 202)


def no_transaction() -> Response:
    """Refuse a transaction that is not the merchant's."""
    said = "Transaction not found for this merchant"
    return error(404, "transaction_not_found", said)


def refusal(merchant: "IntramMerchant", entry: Entry) -> str | None:
    """Return why a worker does not carry an order out; None: it does."""
    if entry.kind == "collect":
        return None
    original: Entry | None = entry.words.get("original")
    if original is not None:
        if original.status is not Status.SUCCEEDED:
            return "not_refundable"
        if entry.amount > original.amount:
            return "amount_exceeds_transaction"
    code = entry.words["operator"]
    if code is None:
        return "missing_provider_code"
    if code not in merchant.wallet:
        return "provider_unavailable"
    return "insufficient_balance" if entry.amount > merchant.wallet[code] else None
