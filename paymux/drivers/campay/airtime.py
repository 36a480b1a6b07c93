"""`/utilities/airtime/transfer/`: airtime for a phone, paid from the application's money.

From https://github.com/NdoleStudio/campay-go-sdk (README.md and internal/stubs @b759db1, copies of
the examples of https://documenter.getpostman.com/view/2391374/T1LV8PVA); CamPay's own SDK 1.1.0 has
it commented out. No page says whether a repeated external_reference is refused, nor that a transfer
can be asked for by it: it is sent once, like every payout. It has a look-up of its own.
"""

from functools import partial
from typing import TYPE_CHECKING

import msgspec

from ...errors import UsageError
from ...http import Request, Send, get, post
from ...models import Order, Payment
from ...values.money import whole
from .answers import Transaction

if TYPE_CHECKING:
    from . import CamPay

TRANSFER, LOOK_UP = "/utilities/airtime/transfer/", "/utilities/transaction/{reference}/"
# In a payment's `ids`, with CamPay's reference: this one is asked for at LOOK_UP. Not the path, for
# an id must name one payment alone.
OF_AIRTIME = "airtime"
TYPE = "AIRTIME"  # of a transaction in CamPay's words

_TRANSFER = post(TRANSFER, Transaction, None)
_LOOK_UP = get(LOOK_UP, Transaction, matches=Transaction.answers)


def is_airtime(order: Order) -> bool:
    """Return whether an order is one for airtime; UsageError: its setting is not True or False."""
    said = order.extra.get(OF_AIRTIME, False)
    if said not in (True, False) or (said and order.kind != "payout"):
        raise UsageError.field(OF_AIRTIME, said, "True or False, in a payout")
    return bool(said)


async def transfer(driver: "CamPay", send: Send, order: Order) -> Payment:
    """Send airtime; the request has no field for a description or for metadata."""
    if driver.dialect != "current":
        raise UsageError.field("dialect", driver.dialect, "current, which has airtime")
    for name in ("description", "metadata"):
        if value := getattr(order, name):
            raise UsageError.field(name, value, "nothing, for airtime")
    body = {
        "amount": str(whole(order.amount)),
        "to": order.party,
        "external_reference": order.reference,
    }
    answers = partial(Transaction.answers_order, order=order)
    accepted = await send(_TRANSFER.with_body(body, answers))
    return marked(driver.payment(accepted, kind="payout"))


def look_up(asked: str) -> Request[Transaction]:
    """Return the question for a transfer."""
    return _LOOK_UP.with_ids({"reference": asked})


def marked(payment: Payment) -> Payment:
    """Return a payment that is known to be of airtime, so that it is asked for at its own place."""
    if payment.provider_reference is None:
        return payment
    ids = {**payment.ids, OF_AIRTIME: payment.provider_reference}
    return msgspec.structs.replace(payment, ids=ids)
