"""Crediting another PayDunya account (PER): it ends at once, and cannot be looked up."""

import re
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from ...errors import UsageError
from ...http import Send, post
from ...models import Order, Payment
from ...values.money import whole
from .answers import Answer

if TYPE_CHECKING:
    from . import PayDunya

CREDIT = "/direct-pay/credit-account"

_EMAIL = re.compile(
    r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,4}"
)


async def payout(driver: "PayDunya", send: Send, order: Order) -> Payment:
    """Credit an account.

    If the answer does not repeat the amount, or has a status other than "completed", the transfer
    does not count as succeeded.
    """
    alias = alias_of(order.party or "")
    body = {"account_alias": alias, "amount": whole(order.amount)}
    matches = partial(Answer.answers_credit, order=order)
    answer = await send(post(driver.root + CREDIT, Answer, body, matches=matches))
    made = msgspec.structs.replace(
        driver.pending(order),
        status=driver.status({"status": answer.status or "completed"}),
        amount=answer.transferred,
    )
    return msgspec.structs.replace(
        driver.proved(made, "transfer"),
        provider_reference=answer.transaction_id,
        amount=order.amount,
    )


def email(value: object) -> str | None:
    """Return the e-mail of an account to credit, or None: it is none."""
    return value if isinstance(value, str) and _EMAIL.fullmatch(value) else None


def alias_of(party: str) -> str:
    """Return the account to credit as PayDunya writes it: without a country code.

    A number of Senegal is unique then. Numbers of other countries are not (8 digits in BF, ML and
    TG, 10 in BJ and CI), so for them only an e-mail is accepted.
    """
    if "@" in party:
        return party
    if not party.startswith("221"):
        accepted = "a number of SN, or the e-mail of a PayDunya account"
        raise UsageError.field("payee", party, accepted)
    return party[3:]
