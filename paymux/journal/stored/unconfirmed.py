"""The kept messages in the journal."""

from collections.abc import Awaitable, Callable, Collection, Sequence
from datetime import timedelta
from functools import lru_cache, partial
from typing import Any, TypeAlias, TypeVar

import msgspec

from ...models import ADOPTED, Event, Payment, log
from ...primitives.clock import wall_time
from ..base import order_key
from ..database import Database, Worker
from ..tables.candidate_orders import candidate_orders
from ..tables.columns import iso
from ..unconfirmed import (
    MAX_OPEN_ENTRIES,
    TOO_MANY,
    CandidateOrders,
    Entry,
    KeptEvent,
    encoded_event,
)

T = TypeVar("T")
Do: TypeAlias = Callable[[Callable[[Database], T]], Awaitable[T]]

ROWS_PER_PAGE = 500
LATE_RECEIPT_WINDOW = timedelta(days=3)  # how long a matched order may still get another receipt

_IS = "account = ? AND event = ?"
_OPEN = "SELECT id, event, at FROM unconfirmed WHERE ended IS NULL"
_FULL = """SELECT id, event FROM unconfirmed INDEXED BY unconfirmed_told
    WHERE ended IS NULL AND told IS NOT NULL ORDER BY id LIMIT ?"""
_UNTOLD_OR_ADOPTING = """SELECT id, at FROM unconfirmed u WHERE ended IS NULL AND ({} IS NULL
    OR (account IN (SELECT value FROM json_each(?))
        AND at >= (SELECT value FROM notes WHERE name = 'adopts ' || u.account))) ORDER BY id"""
_END = "UPDATE unconfirmed SET ended = ?, because = ?, teller = NULL WHERE ended IS NULL AND"
_TAKEN = "SELECT 1 FROM unconfirmed WHERE account = ? AND reference = ?"
_MATCHED = """SELECT reference FROM unconfirmed
    WHERE account = ? AND receipt = ? AND reference IS NOT NULL"""
_MATCH = """UPDATE unconfirmed SET ended = ?, because = ?, teller = NULL, reference = ?
    WHERE ended IS NULL AND (id = ? OR account = ? AND receipt = ?)"""
_GIVEN = """SELECT u.id, u.event, p.payment FROM unconfirmed u JOIN payments p
    ON p.account = u.account AND p.kind = 'collect' AND p.reference = u.reference
    WHERE u.reference IS NOT NULL AND u.ended > ? AND NOT EXISTS (SELECT 1 FROM payments a
        WHERE a.account = u.account AND a.kind = 'collect' AND a.reference = ? || u.receipt)"""


class StoredUnconfirmed:
    """The kept messages in a journal, shared by all its workers."""

    def __init__(self, do: Do[Any], worker: Worker) -> None:
        self._do = do
        self._worker = worker

    async def keep(self, event: Event) -> KeptEvent:
        """Keep a message once."""
        found: KeptEvent = await self._do(partial(keep, event))
        return found

    async def waiting(self, *, told: bool, adopting: Collection[str] = ()) -> dict[int, str]:
        """Return id and time of messages not yet delivered, and of those to be adopted."""
        column = "told" if told else "logged"
        sql = f"SELECT id, at FROM unconfirmed WHERE ended IS NULL AND {column} IS NULL ORDER BY id"
        given: tuple[str, ...] = ()
        if adopting:
            sql = _UNTOLD_OR_ADOPTING.format(column)
            given = (msgspec.json.encode(list(adopting)).decode(),)
        found: dict[int, str] = await self._do(lambda db: dict(db.execute(sql, given).fetchall()))
        return found

    async def load(self, ids: Sequence[int]) -> list[Entry]:
        """Return the open entries with these ids."""
        sql = f"{_OPEN} AND id IN (SELECT CAST(value AS BIGINT) FROM json_each(?))"
        given = (msgspec.json.encode(ids).decode(),)
        found: list[Entry] = await self._do(partial(_entries, sql, given))
        return found

    async def left(self, after: int) -> list[Entry]:
        """List a page of open entries."""
        sql = f"{_OPEN} AND id > ? ORDER BY id LIMIT {ROWS_PER_PAGE}"
        found: list[Entry] = await self._do(partial(_entries, sql, (after,)))
        return found

    async def orders(self, event: Event) -> CandidateOrders:
        """Return the orders that a message may be about."""
        found: CandidateOrders = await self._do(partial(candidate_orders, event))
        return found

    async def claim(self, entry: Entry) -> bool:
        """Claim an entry to deliver it."""
        found: bool = await self._do(partial(self._claim, entry))
        return found

    async def done(self, entry: Entry, *, told: bool) -> None:
        """Release a claimed entry."""
        sql = (
            "UPDATE unconfirmed SET teller = NULL, told = coalesce(told, ?) WHERE id = ? AND "
            "teller = ?"
        )
        await self._do(
            lambda db: _count(db, sql, _now() if told else None, entry.id, self._worker.name)
        )

    async def log(self, entry: Entry) -> bool:
        """Mark an entry as logged."""
        sql = "UPDATE unconfirmed SET logged = ? WHERE id = ? AND logged IS NULL AND ended IS NULL"
        return bool(await self._do(lambda db: _count(db, sql, _now(), entry.id)))

    async def give(self, entry: Entry, of: Payment) -> bool:
        """End an entry as the message of an order without a receipt."""
        found: bool = await self._do(partial(_give, entry, of))
        return found

    async def end(self, event: Event, because: str) -> bool:
        """End the entry of a message."""
        found: bool = await self._do(partial(_end, event, because))
        return found

    async def reopen(self) -> Collection[Event]:
        """Reopen messages that were matched to an order which has another receipt now."""
        found: list[Event] = await self._do(_reopen)
        return found

    def _claim(self, entry: Entry, db: Database) -> bool:
        sql = "SELECT teller FROM unconfirmed WHERE id = ? AND ended IS NULL AND told IS NULL"
        found = db.execute(sql, (entry.id,)).fetchone()
        other = found is not None and found[0] not in (None, self._worker.name)
        if found is None or (other and self._worker.lives(found[0])):
            return False
        return bool(
            _count(
                db, "UPDATE unconfirmed SET teller = ? WHERE id = ?", self._worker.name, entry.id
            )
        )


def keep(event: Event, db: Database) -> KeptEvent:
    """Keep a message once."""
    this = (event.account, encoded_event(event))
    known = db.execute(f"SELECT id FROM unconfirmed WHERE {_IS}", this).fetchone()
    if known is not None:
        return KeptEvent(known[0])
    over = _open(db) + 1 - MAX_OPEN_ENTRIES
    gone = db.execute(_FULL, (over,)).fetchall() if over > 0 else []
    if len(gone) < over:
        return KeptEvent(None)
    for id, _ in gone:
        _count(db, f"{_END} id = ?", _now(), TOO_MANY, id)
    receipt = _receipt(event)
    sql = "INSERT INTO unconfirmed (account, event, receipt, at) VALUES (?, ?, ?, ?)"
    db.execute(sql, (*this, receipt, _now()))
    (id,) = db.execute(f"SELECT id FROM unconfirmed WHERE {_IS}", this).fetchone()
    return KeptEvent(id, tuple(_event(text) for _, text in gone))


def _open(db: Database) -> int:
    """Count open entries; while the range of ids is below the limit, its size is enough."""
    oldest = db.execute("SELECT min(id) FROM unconfirmed WHERE ended IS NULL").fetchone()[0]
    newest = db.execute("SELECT max(id) FROM unconfirmed").fetchone()[0]
    span = 0 if oldest is None else int(newest - oldest + 1)
    if span < MAX_OPEN_ENTRIES:
        return span
    return int(db.execute("SELECT count(*) FROM unconfirmed WHERE ended IS NULL").fetchone()[0])


def _entries(sql: str, given: tuple[object, ...], db: Database) -> list[Entry]:
    found = []
    for id, text, at in db.execute(sql, given).fetchall():
        try:
            found.append(Entry(id, _event(text), at))
        except msgspec.MsgspecError:
            _unreadable(id)
    return found


@lru_cache(maxsize=256)
def _unreadable(id: int) -> None:  # cached: each entry is logged once
    log.error(
        "the entry %d of the journal's table unconfirmed cannot be read, and is left alone", id
    )


def _give(entry: Entry, of: Payment, db: Database) -> bool:
    """End all messages of a receipt as those of one order, whichever of them came first."""
    account, _, reference = order_key(of)
    receipt = _receipt(entry.event)
    before = db.execute(_MATCHED, (account, receipt)).fetchone()
    if before is not None:
        reference = before[0]
    elif db.execute(_TAKEN, (account, reference)).fetchone() is not None:
        return False
    given = (_now(), f"it is the receipt of {reference}", reference)
    return bool(_count(db, _MATCH, *given, entry.id, account, receipt))


def _end(event: Event, because: str, db: Database) -> bool:
    this = (event.account, encoded_event(event))
    if _count(db, f"{_END} {_IS}", _now(), because, *this):
        return True
    return db.execute(f"SELECT 1 FROM unconfirmed WHERE {_IS}", this).fetchone() is not None


def _reopen(db: Database) -> list[Event]:
    found = []
    given = (iso(wall_time() - LATE_RECEIPT_WINDOW), ADOPTED)
    for id, text, order in db.execute(_GIVEN, given).fetchall():
        try:
            event, payment = _event(text), msgspec.json.decode(order, type=Payment)
        except msgspec.MsgspecError:
            continue
        if payment.receipt not in (None, event.claims.receipt):
            sql = (
                "UPDATE unconfirmed SET ended = NULL, because = NULL, reference = NULL WHERE id = ?"
            )
            _count(db, sql, id)
            found.append(event)
    return found


def _count(db: Database, sql: str, *given: object) -> int:
    return db.execute(sql, given).rowcount


def _receipt(event: Event) -> str | None:
    return event.claims.receipt or event.claims.provider_reference


def _event(text: str) -> Event:
    return msgspec.json.decode(text, type=Event)


def _now() -> str:
    return iso(wall_time())
