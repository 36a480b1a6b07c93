"""How each payment can be asked for, and when.

A push is asked for by its id (stk.py); a payout, a refund and a receipt by the transaction status,
whose answer comes as a message (status.py); a payment without an order by pull, too (pull.py).
"""

from typing import TYPE_CHECKING, Literal

from ...models import Payment
from ..base import Driver, Pace
from .b2b import is_business
from .till_push import PACE, RECEIPT

if TYPE_CHECKING:
    from . import Mpesa

# Safaricom publishes no limit for this question. The result of a payout comes by itself, nearly
# always within a minute.
_PACE = Pace(
    first_look=60.0, watch_timeout=86_400.0, ages=(60.0, 300.0, 1800.0, 7200.0), by_callback=True
)

# A payment that was told of is over. How late pull lists it is not published, and it lists it for
# 48 hours; the question above may be asked as well.
_PULLED = Pace(
    first_look=15.0,
    watch_timeout=172_800.0,
    ages=(15.0, 60.0, 300.0, 1800.0, 7200.0),
    by_callback=True,
)


def may_ask(driver: "Mpesa") -> bool:
    """Return whether the account has an API user with the role for the transaction status."""
    return driver.status_role and bool(driver.initiator_name)


def asks(driver: "Mpesa", payment: Payment) -> Literal["verify", "find"] | None:
    """Return how a payment can be asked for: a push by its id; a payout, a refund, a receipt.

    The last three need an API user with the role for the transaction status.
    """
    by_id, by_receipt = payment.provider_reference is not None, payment.receipt is not None
    if "TransID" in payment.ids:
        if driver.adopt_c2b:
            return "verify"  # by pull, which needs no API user
        return "find" if may_ask(driver) else None
    if "RequestRefID" in payment.ids:  # of a till, by the receipt that its callback named
        return "find" if may_ask(driver) and RECEIPT in payment.ids else None
    if payment.kind not in ("payout", "refund") and by_id:
        return "verify"  # a push
    if not driver.status_role:
        return None
    if by_id:
        return "verify"
    # B2B has no id of ours.
    ours = payment.kind == "payout" and payment.reference is not None
    ours = ours and not is_business(payment.payee)
    return "find" if ours or by_receipt else None


def pace(driver: "Mpesa", payment: Payment) -> Pace:
    """Return when to look up a payment: a push often, anything else at a few ages."""
    if "TransID" in payment.ids and driver.adopt_c2b:
        return _PULLED
    if "RequestRefID" in payment.ids:
        return PACE
    if payment.kind in ("payout", "refund") or "TransID" in payment.ids:
        return _PACE
    return Driver.pace(driver, payment)
