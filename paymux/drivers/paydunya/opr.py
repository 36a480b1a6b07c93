"""OPR, onsite payment: the holder of a PayDunya account tells the shop a code, which charges it.

https://pypi.org/project/paydunya 1.0.7 (opr.py) and npm paydunya 1.0.12 (lib/onsite-invoice.js).
The first step makes an invoice and sends the code; the charge is a `collect`.
"""

from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from ...errors import UsageError
from ...http import Send, post
from ...models import Order, Payment
from ...values import arguments
from ...values.money import exact, whole
from ...values.parsing import ProviderData, Scalar, Text, Unreadable
from ...values.validation import checked_reference
from . import checkout, transfer
from .answers import DONE, TOKEN, first_code

if TYPE_CHECKING:
    from . import PayDunya

CREATE, CHARGE = "/opr/create", "/opr/charge"
_CODE = "the code that the payer got, as text of up to 12 letters and digits"


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


async def opr_create(
    driver: "PayDunya",
    send: Send,
    *,
    amount: int | str | Decimal,
    payer: str,
    reference: str,
    description: str = "",
) -> dict[str, str]:
    """Send the holder of a PayDunya account a code (OPR); nothing is charged.

    `amount` is in whole XOF; `payer` is an e-mail or a number of SN. To charge the account, give
    what is returned, and the code, to `collect`, with the same amount and reference:
    `extra={**made, "otp": "…"}`.
    """
    reference = checked_reference(reference)
    description = arguments.text("description", description, longest=500)
    alias = transfer.alias_of(driver.party("payout", payer))
    total = whole(exact(amount, "XOF"))
    invoice = checkout.onsite(driver, total, description, reference)
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
    await checkout.check_open(driver, send, order, token)
    body = {"token": opr, "confirm_token": otp}
    known = {"provider_reference": token}
    path, matches = driver.root + CHARGE, Onsite.accepted
    await send(post(path, Onsite, body, known=known, matches=matches))
    return msgspec.structs.replace(driver.pending(order), provider_reference=token)


def _given(order: Order) -> tuple[str, str, str]:
    """Return both tokens of the first step, and the code."""
    if order.operator is not None:
        raise UsageError.field("operator", order.operator, "None: OPR charges a PayDunya account")
    opr, token = (first_step(order, name, "opr_create") for name in ("opr_token", "invoice_token"))
    return opr, token, code(order)


def first_step(order: Order, name: str, step: str) -> str:
    """Return a setting of an order that a first step returned."""
    value = order.extra.get(name)
    if not isinstance(value, str) or not TOKEN.fullmatch(value):
        raise UsageError.hidden(name, f"what {step} returned")
    return value


def code(order: Order) -> str:
    """Return the code that the payer got."""
    otp = order.extra.get("otp")
    if not isinstance(otp, str) or not (otp.isascii() and otp.isalnum() and len(otp) <= 12):
        raise UsageError.hidden("otp", _CODE)
    return otp
