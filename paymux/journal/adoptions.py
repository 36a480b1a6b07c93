"""Payments that came by themselves: adopted once for each receipt, and found again if lost."""

import sqlite3
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Literal, NamedTuple, Protocol

from ..models import ADOPTED, Event, Payment, Status, log
from .base import OrderKey
from .unconfirmed import CandidateOrders, Entry, KeptEvent

_ADOPTED_ROW = """SELECT reference FROM payments
    WHERE account = ? AND kind = 'collect' AND reference = ?"""
_TOLD = "UPDATE payments SET told = status WHERE account = ? AND kind = ? AND reference = ?"
_UNTOLD = "UPDATE payments SET told = NULL WHERE account = ? AND kind = ? AND reference = ?"
# The adopted payment that was matched to an order which had no success then.
_MATCHED = """SELECT p.reference FROM unconfirmed u INDEXED BY unconfirmed_of CROSS JOIN payments p
    ON p.account = u.account AND p.kind = 'collect' AND p.reference = ? || u.receipt
    WHERE u.account = ? AND u.reference = ?"""


class Sweep(NamedTuple):
    """A period that this worker is to compare with what the provider lists."""

    since: datetime
    until: datetime
    first: datetime  # when this journal first adopted for the account: nothing older is adopted
    # When a listed payment without a time was paid, by that moment. Pull tells none that is sure:
    # no source says in which zone its times are.
    undated: Literal["before", "since", "unknown"]


class Adoptions(Protocol):
    """The adopted payments of a journal. What cannot be stored or read is an OSError."""

    async def begin(self, accounts: Collection[str]) -> Mapping[str, str]:
        """Return for each account the moment at which this journal first adopted for it."""
        ...

    async def adopt(
        self,
        entry: Entry,
        event: Event,
        payment: Payment,
        is_not_ours: Callable[[CandidateOrders], bool],
        fits: Callable[[Payment], bool],
    ) -> bool:
        """Record a proved payment, and end the entries of its receipt, in one transaction.

        `event`: its message as it was proved; `is_not_ours` decides about the orders that it may be
        about. False: an order or a person has it, or it was adopted before. An unpaid order that
        it `fits` counts as told if it succeeds late without a receipt.
        """
        ...

    async def end_dealt_with(self, entry: Entry, receipt: str) -> bool:
        """End an entry whose receipt was dealt with, by another message; False: it was not."""
        ...

    async def keep_listed(self, events: Sequence[Event]) -> list[KeptEvent]:
        """Keep those payments of a list that are in no row and were never dealt with."""
        ...

    async def put_aside(self, events: Sequence[Event]) -> None:
        """Note listed payments that are older than the first adoption: they are never told."""
        ...

    async def take_sweep(self, account: str, *, at_start: bool) -> Sweep | None:
        """Take the turn to compare an account; None: another worker's, or too early."""
        ...

    async def end_sweep(self, account: str, until: datetime | None) -> None:
        """Release the turn. None: the comparison failed, and is made again."""
        ...


def adopted_reference(receipt: str) -> str:
    """Return the reference of an adopted payment."""
    return f"{ADOPTED}{receipt}"


def end_once(key: OrderKey, known: Payment, order: Payment, db: sqlite3.Connection) -> None:
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
