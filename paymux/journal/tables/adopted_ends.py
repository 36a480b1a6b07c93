"""Orders that succeed by a payment which was adopted and told before: they count as told."""

import msgspec

from ...models import ADOPTED, Payment, Status, log
from ..adoptions import adopted_reference
from ..base import OrderKey
from ..database import Database

_ADOPTED_ROW = """SELECT reference FROM payments
    WHERE account = ? AND kind = 'collect' AND reference = ?"""
_TOLD = "UPDATE payments SET told = status WHERE account = ? AND kind = ? AND reference = ?"
_UNTOLD = "UPDATE payments SET told = NULL WHERE account = ? AND kind = ? AND reference = ?"
# The adopted payment that was matched to an order which had no success then.
_MATCHED = """SELECT p.reference FROM unconfirmed u INDEXED BY unconfirmed_of CROSS JOIN payments p
    ON p.account = u.account AND p.kind = 'collect' AND p.reference = ? || u.receipt
    WHERE u.account = ? AND u.reference = ?"""


class Twin(msgspec.Struct, frozen=True, gc=False):
    """What to look for when an order succeeds: an adopted payment that is the same money."""

    adopted: str  # the reference of one that was adopted with the order's receipt; empty: none is
    matched: bool  # whether one that was matched to the order counts, if there is none so


def twin_of(key: OrderKey, known: Payment, order: Payment) -> Twin | None:
    """Return what may have been told before in place of an order; `known`: the order before.

    That is possible where an order had failed, or its prompt showed another account, and its
    receipt came late: the money is the same, and on_payment has heard of it. A success without a
    receipt is that of the adopted payment that was matched to the order, until another receipt
    shows that there were two payments.
    """
    _, kind, name = key
    before, now = (known.status, known.receipt), (order.status, order.receipt)
    ours = kind == "collect" and not name.startswith(ADOPTED)
    if order.status is not Status.SUCCEEDED or not ours or before == now:
        return None
    if order.receipt is None:
        return Twin("", matched=True)
    return Twin(adopted_reference(order.receipt), matched=known.status is Status.SUCCEEDED)


def end_once(key: OrderKey, twin: Twin, db: Database) -> None:
    """Count a success as told, if the payment with its receipt was adopted before."""
    account, _, name = key
    own, matched = None, None
    if twin.adopted:
        own = db.execute(_ADOPTED_ROW, (account, twin.adopted)).fetchone()
    if twin.matched and own is None:
        matched = db.execute(_MATCHED, (ADOPTED, account, name)).fetchone()
    if twin.adopted and matched is not None:
        db.execute(_UNTOLD, key)
    elif (found := own or matched) is not None:
        db.execute(_TOLD, key)
        log_told(key, found[0])


def log_told(key: OrderKey, told_as: str) -> None:
    """Log that an order is not told again."""
    log.error(
        "%s: %s succeeded by the payment that was told as %s, so it is not told again",
        key[0],
        key[2],
        told_as,
    )
