"""Orders that succeed by a payment which was adopted and told before: they count as told."""

from ..models import ADOPTED, Payment, Status, log
from .adoptions import adopted_reference
from .base import OrderKey
from .database import Database

_ADOPTED_ROW = """SELECT reference FROM payments
    WHERE account = ? AND kind = 'collect' AND reference = ?"""
_TOLD = "UPDATE payments SET told = status WHERE account = ? AND kind = ? AND reference = ?"
_UNTOLD = "UPDATE payments SET told = NULL WHERE account = ? AND kind = ? AND reference = ?"
# The adopted payment that was matched to an order which had no success then.
_MATCHED = """SELECT p.reference FROM unconfirmed u INDEXED BY unconfirmed_of CROSS JOIN payments p
    ON p.account = u.account AND p.kind = 'collect' AND p.reference = ? || u.receipt
    WHERE u.account = ? AND u.reference = ?"""


def end_once(key: OrderKey, known: Payment, order: Payment, db: Database) -> None:
    """Count a success as told, if the payment with its receipt was adopted before.

    That is possible where an order had failed, or its prompt showed another account, and its
    receipt came late: the money is the same, and on_payment has heard of it. A success without a
    receipt is that of the adopted payment that was matched to the order, until another receipt
    shows that there were two payments. `known`: the order before this fact.
    """
    account, kind, name = key
    before = (known.status, known.receipt)
    if kind != "collect" or name.startswith(ADOPTED) or before == (order.status, order.receipt):
        return
    own, matched = None, None
    if order.receipt is not None:
        own = db.execute(_ADOPTED_ROW, (account, adopted_reference(order.receipt))).fetchone()
    if order.receipt is None or (own is None and known.status is Status.SUCCEEDED):
        matched = db.execute(_MATCHED, (ADOPTED, account, name)).fetchone()
    if order.receipt is not None and matched is not None:
        db.execute(_UNTOLD, key)
    elif (found := own or matched) is not None:
        db.execute(_TOLD, key)
        log.error(
            "%s: %s succeeded by the payment that was told as %s, so it is not told again",
            account,
            name,
            found[0],
        )
