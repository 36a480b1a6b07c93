"""OPR, onsite payment: the holder of a PayDunya account tells the shop a code, which charges it.

https://pypi.org/project/paydunya 1.0.7 (opr.py) and npm paydunya 1.0.12 (lib/onsite-invoice.js).
The first step makes an invoice and sends the code; the charge is a `collect`.
"""

from typing import TYPE_CHECKING, Any

import msgspec

from ...errors import UsageError
from ...http import Send, post
from ...models import Order, Payment, Status
from ...values.parsing import ProviderData, Scalar, Text, Unreadable
from .answers import DONE, TOKEN, first_code

if TYPE_CHECKING:
    from . import PayDunya

CREATE, CHARGE = "/opr/create", "/opr/charge"
_CODE = "the code that the payer got, as text of up to 12 letters and digits"
_MADE = "what opr_create returned"


class Onsite(ProviderData, frozen=True):
    """An answer to either step."""

    response_code: Scalar | list[Scalar] = None
    token: Text = None
    invoice_token: Text = None

    def accepted(self) -> bool:
        """Return whether the request was accepted: nothing more."""
        if first_code(self.response_code) not in DONE:
            raise Unreadable("response_code is not 00")
        return True

    def made(self) -> bool:
        """Return whether an invoice was made, and its code sent."""
        for token in (self.token, self.invoice_token):
            if not TOKEN.fullmatch(token or ""):
                raise Unreadable("the answer has not both tokens")
        return self.accepted()


async def create(
    driver: "PayDunya", send: Send, alias: str, invoice: dict[str, Any]
) -> dict[str, str]:
    """Make an invoice of an account's holder, who gets a code; nothing is charged."""
    body = {"invoice_data": invoice, "opr_data": {"account_alias": alias}}
    path = driver.root + CREATE
    said = await send(post(path, Onsite, body, money=False, matches=Onsite.made))
    return {"opr_token": said.token or "", "invoice_token": said.invoice_token or ""}


async def charge(driver: "PayDunya", send: Send, order: Order) -> Payment:
    """Charge the account of an invoice by its holder's code.

    The request has no amount: the invoice is looked up before, so that what is charged is what the
    order says. Its answer is no end, and no refusal is listed: the invoice tells what became of it.
    """
    opr, token, otp = _given(order)
    found = await driver.verify(send, Payment(account=driver.account, provider_reference=token))
    if found.status is not Status.PENDING:
        raise UsageError.hidden("invoice_token", f"an open invoice: this one is {found.status}")
    if found.amount != order.amount:
        raise UsageError.field("amount", order.amount, f"{found.amount}, as the invoice says")
    if found.reference not in (None, order.reference):
        raise UsageError.field("reference", order.reference, f"{found.reference!r}, the invoice's")
    body = {"token": opr, "confirm_token": otp}
    known = {"provider_reference": token}
    path, matches = driver.root + CHARGE, Onsite.accepted
    await send(post(path, Onsite, body, known=known, matches=matches))
    return msgspec.structs.replace(driver.pending(order), provider_reference=token)


def _given(order: Order) -> tuple[str, str, str]:
    """Return both tokens of the first step, and the code."""
    if order.operator is not None:
        raise UsageError.field("operator", order.operator, "None: OPR charges a PayDunya account")
    opr, token, otp = (order.extra.get(name) for name in ("opr_token", "invoice_token", "otp"))
    for name, value in (("opr_token", opr), ("invoice_token", token)):
        if not isinstance(value, str) or not TOKEN.fullmatch(value):
            raise UsageError.hidden(name, _MADE)
    if not isinstance(otp, str) or not (otp.isascii() and otp.isalnum() and len(otp) <= 12):
        raise UsageError.hidden("otp", _CODE)
    return str(opr), str(token), otp
