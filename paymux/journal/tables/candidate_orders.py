"""The orders in the journal's file that a message may be about."""

import contextlib
from datetime import timedelta
from decimal import Decimal

import msgspec

from ...models import Event, Payment, Trust
from ...primitives.clock import wall_time
from ..database import Database
from ..unconfirmed import YOUNG_SECONDS, CandidateOrders, receipts
from .columns import IS_OPEN, RECEIPT, iso

# Between an order and a row of a list: no source says in which zone Safaricom's pull has its times.
LISTED_WINDOW = timedelta(hours=4)
LISTED_SINCE = timedelta(hours=52)  # and how old an order may be if the row has no time

# INDEXED BY names the index that was made for each query: SQLite does not know the number of rows
# and would choose another. The amount is compared as a number: it is stored as text, "500" or
# "500.00".
_COLLECT = "kind = 'collect' AND CAST(amount AS NUMERIC) = CAST(? AS NUMERIC)"
# What was left to a person is not looked up any more, so a message would wait for ever.
_PENDING = f"""SELECT payment FROM payments INDEXED BY payments_open
    WHERE account = ? AND {_COLLECT}
    AND {IS_OPEN} AND left_at IS NULL"""
_UNMATCHED = f"""SELECT payment FROM payments p INDEXED BY payments_by_age
    WHERE account = ? AND {_COLLECT} AND created_at BETWEEN ? AND ? AND NOT EXISTS
    (SELECT 1 FROM unconfirmed u WHERE u.account = p.account AND u.reference = p.reference) AND """
_BARE = f"{_UNMATCHED} status = 'succeeded'"
# Another order may take the reference of one that was refused or not sent.
_UNPAID = f"""{_UNMATCHED} status NOT IN ('succeeded', 'refunded')
    AND state NOT IN ('refused', 'not_sent')"""
_PAID = f"""SELECT payment FROM payments INDEXED BY payments_by_receipt
    WHERE account = ? AND {RECEIPT} = ? AND {RECEIPT} IS NOT NULL"""


def paid_orders(event: Event, db: Database) -> tuple[Payment, ...]:
    """Return the payments with the receipt of a message, or for which a message claimed it."""
    receipt = event.claims.receipt
    return () if receipt is None else _payments(db, _PAID, event.account, receipt)


def candidate_orders(event: Event, db: Database) -> CandidateOrders:
    """Return the orders that a message may be about."""
    paid, amount = paid_orders(event, db), event.claims.amount
    if amount is None:
        return CandidateOrders(paid=paid)
    waiting = _payments(db, _PENDING, event.account, _plain(amount))
    return CandidateOrders(paid=paid, open=waiting, bare=_in_time(_BARE, event, amount, db))


def unpaid_orders(event: Event, db: Database) -> tuple[Payment, ...]:
    """Return the orders, newest first, that a message would be about if they had succeeded."""
    amount = event.claims.amount
    return () if amount is None else _in_time(_UNPAID, event, amount, db)[::-1]


def _in_time(sql: str, event: Event, amount: Decimal, db: Database) -> tuple[Payment, ...]:
    """Return the orders without a receipt that were made about when a message was paid."""
    claims, now = event.claims, wall_time()
    young = before = timedelta(seconds=YOUNG_SECONDS)
    if event.trust is Trust.BODY:
        young, before = LISTED_WINDOW, LISTED_WINDOW if claims.paid_at else LISTED_SINCE
    found: dict[str | None, Payment] = {}
    # The message says when it was paid; otherwise it was just now.
    for at in sorted({claims.paid_at or now, now}):
        given = (event.account, _plain(amount), iso(at - before), iso(at + young))
        for one in _payments(db, sql, *given):
            if not receipts(one):
                found[one.reference] = one
    return tuple(found.values())


def _payments(db: Database, sql: str, *given: object) -> tuple[Payment, ...]:
    found = []
    for (text,) in db.execute(sql, given).fetchall():
        with contextlib.suppress(msgspec.MsgspecError):  # recover logs a row that cannot be read
            found.append(msgspec.json.decode(text, type=Payment))
    return tuple(found)


def _plain(amount: Decimal) -> str:
    return f"{amount.normalize():f}"
