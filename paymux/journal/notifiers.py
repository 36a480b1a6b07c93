"""Which notifiers live, and how they divide the look-ups that an account allows."""

import sqlite3
from collections.abc import Iterator, Mapping
from typing import NamedTuple

import msgspec

from .outbox import Member
from .workers import Worker

FRESH = 60.0  # seconds after its last beat for which a notifier owns what it watches
LONGEST = 3600.0  # seconds of the longest window that any account states

_KEEP = "INSERT OR REPLACE INTO notifiers (worker, beat, accounts, kinds, places) VALUES (?, ?, ?, ?, ?)"
_NOTE = "INSERT OR REPLACE INTO notes VALUES (?, ?)"


class Living(NamedTuple):
    """A notifier as its row says."""

    beat: float
    accounts: frozenset[str]
    kinds: frozenset[str]
    places: dict[str, int]


class Notifiers:
    """Reads and writes the notifiers' rows, each time inside a transaction of the journal's thread."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    def entered(self, worker: str, db: sqlite3.Connection) -> bool:
        """Tell whether a worker has a notifier, whose loop may be slow: that is no reason to tell in its place."""
        row = db.execute("SELECT 1 FROM notifiers WHERE worker = ?", (worker,)).fetchone()
        return row is not None and self._worker.lives(worker)

    def living(self, now: float, db: sqlite3.Connection) -> dict[str, Living]:
        """Give the notifiers whose loops have beaten of late."""
        return {worker: one for worker, one in self._all(db) if _is_fresh(one, now) and self._worker.lives(worker)}

    def beat(
        self,
        member: Member,
        now: float,
        held: Mapping[str, int],
        wanted: Mapping[str, int],
        db: sqlite3.Connection,
    ) -> tuple[bool, dict[str, int]]:
        """Note that this notifier lives; tell whether it was late, and what its watches may ask from now on."""
        mine, others = self._swept(now, db)
        late = mine is None or not _is_fresh(mine, now)
        had = {} if mine is None or late else mine.places
        if mine is not None and late:
            _freed(mine.places, now, db)
        freed = _read_freed(db)
        places, limits = {}, {}
        for account, stated in member.accounts.items():
            if stated is not None:
                count, seconds = stated
                part = min(self._part(account, count, others), wanted.get(account, 0))
                taken = sum(one.places.get(account, 0) for one in others.values())
                # What another left behind counts against the limit for a window more.
                taken += sum(left.get(account, 0) for at, left in freed if now - seconds < at <= now)
                free = count - taken
                places[account] = _divided(had.get(account, 0), part, free, held.get(account, 0))
                limits[account] = min(places[account], part)
        lists = (msgspec.json.encode(list(member.accounts)), msgspec.json.encode(list(member.kinds)))
        row = (self._worker.name, now, *(text.decode() for text in lists), msgspec.json.encode(places).decode())
        db.execute(_KEEP, row)
        return late, limits

    def leave(self, now: float, db: sqlite3.Connection) -> None:
        """Take this notifier's row away: it ended, or its loop did."""
        one = dict(self._all(db)).get(self._worker.name)
        if one is not None:
            db.execute("DELETE FROM notifiers WHERE worker = ?", (self._worker.name,))
            _freed(one.places, now, db)

    def _all(self, db: sqlite3.Connection) -> Iterator[tuple[str, Living]]:
        for worker, beat, *texts in db.execute("SELECT worker, beat, accounts, kinds, places FROM notifiers"):
            accounts, kinds, places = map(msgspec.json.decode, texts)
            yield worker, Living(beat, frozenset(accounts), frozenset(kinds), places)

    def _swept(self, now: float, db: sqlite3.Connection) -> tuple[Living | None, dict[str, Living]]:
        """Give this notifier's row and those of the others that live, and end what the rest had."""
        mine, others = None, {}
        for worker, one in list(self._all(db)):
            if worker == self._worker.name:
                mine = one
            elif not self._worker.lives(worker):
                db.execute("DELETE FROM notifiers WHERE worker = ?", (worker,))
                _freed(one.places, now, db)
            elif _is_fresh(one, now):
                others[worker] = one
            elif one.places:  # its watches stopped by themselves when its last beat was so old
                db.execute("UPDATE notifiers SET places = '{}' WHERE worker = ?", (worker,))
                _freed(one.places, now, db)
        return mine, others

    def _part(self, account: str, count: int, others: Mapping[str, Living]) -> int:
        """Give this notifier's part of an account's look-ups, in whole ones: together they are all of them."""
        having = [worker for worker, one in others.items() if account in one.accounts]
        rank = sum(worker < self._worker.name for worker in having)
        return count // (len(having) + 1) + (rank < count % (len(having) + 1))


def _divided(had: int, part: int, free: int, held: int) -> int:
    """Give a notifier's places: of a part that shrank, what is used still counts as its own."""
    if had > part:
        return max(part, min(had, held))
    return max(had, min(part, free))


def _is_fresh(one: Living, now: float) -> bool:
    return 0 <= now - one.beat <= FRESH


def _freed(places: Mapping[str, int], now: float, db: sqlite3.Connection) -> None:
    """Note what a notifier left behind: it may have asked until now, and nobody knows how often."""
    db.execute(_NOTE, ("last notifier", repr(now)))
    if places:
        lately = [(at, left) for at, left in _read_freed(db) if now - LONGEST < at <= now]
        db.execute(_NOTE, ("freed", msgspec.json.encode([*lately, (now, places)]).decode()))


def _read_freed(db: sqlite3.Connection) -> list[tuple[float, dict[str, int]]]:
    row = db.execute("SELECT value FROM notes WHERE name = 'freed'").fetchone()
    return [] if row is None else msgspec.json.decode(row[0], type=list[tuple[float, dict[str, int]]])
