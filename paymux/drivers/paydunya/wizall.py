"""Wizall of Senegal by SoftPay: a code is sent to the payer's phone, and charges the invoice.

https://developers.paydunya.com/doc/FR/softpay, as seven integrators wrote its fields; Hyperswitch
has another path (`wizall-senegal`), with the names of another network's fields. The first step
moves nothing; the charge is a `collect`. No refusal of the charge is listed: the invoice tells what
became of it.
"""

from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from ...errors import UsageError
from ...http import Send, post
from ...models import Order, Payment
from ...values import arguments
from ...values.money import exact
from ...values.parsing import ProviderData, Text, Unreadable
from ...values.validation import checked_reference
from . import checkout
from .answers import TOKEN
from .opr import code, first_step
from .softpay import ROOT, Push

if TYPE_CHECKING:
    from . import PayDunya

START = f"{ROOT}wizall-money-senegal"
CHARGE = f"{START}/confirm"
_SENEGAL = "221"


class _Data(ProviderData, frozen=True):
    transaction_id: Text = None


class Started(ProviderData, frozen=True):
    """The answer to the first step; its id is one of Wizall's."""

    success: bool | None = None
    message: Text = None
    transaction_id: Text = None
    data: _Data | None = None

    def id(self) -> str:
        """Return the id by which the code charges."""
        return (self.data and self.data.transaction_id) or self.transaction_id or ""

    def started(self) -> bool:
        """Return whether the code was sent."""
        if self.success is not True:
            raise Unreadable("success is not true")
        if not TOKEN.fullmatch(self.id()):
            raise Unreadable("no transaction_id")
        return True


async def wizall_create(
    driver: "PayDunya",
    send: Send,
    *,
    amount: int | str | Decimal,
    payer: str,
    reference: str,
    description: str = "",
    name: str = "",
    email: str = "",
) -> dict[str, str]:
    """Send the holder of a Wizall account a code by SMS; nothing is charged.

    `amount` is in whole XOF; `payer` is a number of SN, `name` and `email` are the holder's. To
    charge the account, give what is returned, and the code, to `collect`, with the same amount,
    payer and reference: `operator="wizall", extra={**made, "otp": "…"}`.
    """
    party = _local(driver.party("collect", payer))
    order = Order(
        account=driver.account,
        kind="collect",
        reference=checked_reference(reference),
        amount=exact(amount, "XOF"),
        currency="XOF",
        description=arguments.text("description", description, longest=500),
    )
    fields = {
        "customer_name": arguments.text("name", name, longest=100),
        "customer_email": arguments.text("email", email, longest=100),
        "phone_number": party,
    }
    made = await send(checkout.create(driver, order, money=False))
    body = {**fields, "invoice_token": made.token}
    said = await send(post(START, Started, body, money=False, matches=Started.started))
    return {"wizall_transaction": said.id(), "invoice_token": made.token or ""}


async def charge(driver: "PayDunya", send: Send, order: Order) -> Payment:
    """Charge a Wizall account by the code that its holder got."""
    if order.operator != "wizall":
        raise UsageError.field("operator", order.operator, "wizall, whose transaction is given")
    transaction, token = (
        first_step(order, name, "wizall_create") for name in ("wizall_transaction", "invoice_token")
    )
    if not order.party:
        raise UsageError.missing("payer", "the number that got the code")
    body = {
        "authorization_code": code(order),
        "phone_number": _local(order.party),
        "transaction_id": transaction,
    }
    await checkout.check_open(driver, send, order, token)
    known = {"provider_reference": token}
    said = await send(post(CHARGE, Push, body, known=known, matches=Push.started))
    pending = driver.pending(order)
    return msgspec.structs.replace(pending, provider_reference=token, prompt=said.message)


def _local(party: str) -> str:
    if not party.startswith(_SENEGAL):
        raise UsageError.field("payer", party, "a number of SN, where Wizall is")
    return party.removeprefix(_SENEGAL)
