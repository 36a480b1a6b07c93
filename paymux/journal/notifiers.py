"""The live notifiers of a journal, and how they share the look-ups of each account."""

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import msgspec

from .columns import PUT_NOTE
from .database import Database, Worker
from .outbox import NotifierInfo

FRESH_SECONDS = 60.0  # seconds after its last heartbeat for which a notifier keeps its orders
MAX_WINDOW_SECONDS = 3600.0  # seconds: the longest window that any account states

_KEEP = """INSERT INTO notifiers (worker, beat, accounts, kinds, places) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT (worker) DO UPDATE SET beat = excluded.beat, accounts = excluded.accounts,
    kinds = excluded.kinds, places = excluded.places"""


class LivingNotifier(NamedTuple):
    """A notifier, as its row in the journal says."""

    beat: float
    accounts: frozenset[str]
    kinds: frozenset[str]
    places: dict[str, int]


class Notifiers:
    """Reads and writes the rows of notifiers, inside a transaction of the journal's thread."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    def entered(self, worker: str, db: Database) -> bool:
        """Return whether a live worker has a notifier.

        A slow event loop is no reason to replace it.
        """
        row = db.execute("SELECT 1 FROM notifiers WHERE worker = ?", (worker,)).fetchone()
        return row is not None and self._worker.lives(worker)

    def living(self, now: float, db: Database) -> dict[str, LivingNotifier]:
        """Return the notifiers with a recent heartbeat."""
        return {
            worker: one
            for worker, one in self._all(db)
            if _is_fresh(one, now) and self._worker.lives(worker)
        }

    def heartbeat(
        self,
        member: NotifierInfo,
        now: float,
        held: Mapping[str, int],
        wanted: Mapping[str, int],
        db: Database,
    ) -> tuple[bool, dict[str, int]]:
        """Store a heartbeat.

        Return whether it was late, and the look-ups per window from now on.
        """
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
                # Slots that another notifier left count against the limit for one window more.
                taken += sum(
                    left.get(account, 0) for at, left in freed if now - seconds < at <= now
                )
                free = count - taken
                places[account] = _divided(had.get(account, 0), part, free, held.get(account, 0))
                limits[account] = min(places[account], part)
        lists = (
            msgspec.json.encode(list(member.accounts)),
            msgspec.json.encode(list(member.kinds)),
        )
        row = (
            self._worker.name,
            now,
            *(text.decode() for text in lists),
            msgspec.json.encode(places).decode(),
        )
        db.execute(_KEEP, row)
        return late, limits

    def leave(self, now: float, db: Database) -> None:
        """Delete this notifier's row: the notifier or its event loop ended."""
        one = dict(self._all(db)).get(self._worker.name)
        if one is not None:
            db.execute("DELETE FROM notifiers WHERE worker = ?", (self._worker.name,))
            _freed(one.places, now, db)

    def _all(self, db: Database) -> Iterator[tuple[str, LivingNotifier]]:
        for worker, beat, *texts in db.execute(
            "SELECT worker, beat, accounts, kinds, places FROM notifiers"
        ):
            accounts, kinds, places = map(msgspec.json.decode, texts)
            yield worker, LivingNotifier(beat, frozenset(accounts), frozenset(kinds), places)

    def _swept(
        self, now: float, db: Database
    ) -> tuple[LivingNotifier | None, dict[str, LivingNotifier]]:
        """Return this notifier's row and those of other live ones; free the slots of all others."""
        mine, others = None, {}
        for worker, one in list(self._all(db)):
            if worker == self._worker.name:
                mine = one
            elif not self._worker.lives(worker):
                db.execute("DELETE FROM notifiers WHERE worker = ?", (worker,))
                _freed(one.places, now, db)
            elif _is_fresh(one, now):
                others[worker] = one
            elif one.places:  # its watches stopped by themselves, so long ago was its last beat
                db.execute("UPDATE notifiers SET places = '{}' WHERE worker = ?", (worker,))
                _freed(one.places, now, db)
        return mine, others

    def _part(self, account: str, count: int, others: Mapping[str, LivingNotifier]) -> int:
        """Return this notifier's share of an account's look-ups; all shares add up to the limit."""
        having = [worker for worker, one in others.items() if account in one.accounts]
        rank = sum(worker < self._worker.name for worker in having)
        return count // (len(having) + 1) + (rank < count % (len(having) + 1))


def _divided(had: int, part: int, free: int, held: int) -> int:
    """Return a notifier's slots; when its share shrinks, slots in use still count as its own."""
    if had > part:
        return max(part, min(had, held))
    return max(had, min(part, free))


def _is_fresh(one: LivingNotifier, now: float) -> bool:
    return 0 <= now - one.beat <= FRESH_SECONDS


def _freed(places: Mapping[str, int], now: float, db: Database) -> None:
    """Record the slots of a notifier that ended; how many it used until now is unknown."""
    db.execute(PUT_NOTE, ("last notifier", repr(now)))
    if places:
        lately = [
            (at, left) for at, left in _read_freed(db) if now - MAX_WINDOW_SECONDS < at <= now
        ]
        db.execute(PUT_NOTE, ("freed", msgspec.json.encode([*lately, (now, places)]).decode()))


def _read_freed(db: Database) -> list[tuple[float, dict[str, int]]]:
    row = db.execute("SELECT value FROM notes WHERE name = 'freed'").fetchone()
    return (
        [] if row is None else msgspec.json.decode(row[0], type=list[tuple[float, dict[str, int]]])
    )
