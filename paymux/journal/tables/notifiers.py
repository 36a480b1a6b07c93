"""The live notifiers of a journal."""

from collections.abc import Iterator
from math import inf
from typing import NamedTuple

import msgspec

from ..database import Database, Worker
from ..outbox import NotifierInfo
from .beats import Beats
from .columns import PUT_NOTE

FRESH_SECONDS = 60.0  # seconds after its last heartbeat for which a notifier keeps its orders

_KEEP = """INSERT INTO notifiers (worker, beat, accounts, kinds) VALUES (?, ?, ?, ?)
    ON CONFLICT (worker) DO UPDATE SET beat = excluded.beat, accounts = excluded.accounts,
    kinds = excluded.kinds"""
_READ = "SELECT worker, beat, accounts, kinds FROM notifiers"
_LAST = "SELECT value FROM notes WHERE name = 'last notifier'"
_LEAVE = "DELETE FROM notifiers WHERE worker = ?"


class LivingNotifier(NamedTuple):
    """A notifier, as its row in the journal says."""

    beat: float
    accounts: frozenset[str]
    kinds: frozenset[str]


class Notifiers:
    """Reads and writes the rows of notifiers, inside a transaction of the journal's thread."""

    def __init__(self, worker: Worker, beats: Beats) -> None:
        self._worker = worker
        self._beats = beats

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
            if self._is_fresh(worker, one, now) and self._worker.lives(worker)
        }

    def heartbeat(self, member: NotifierInfo, now: float, db: Database) -> bool:
        """Store a heartbeat; return whether it was late."""
        mine = self._swept(now, db)
        lists = (list(member.accounts), list(member.kinds))
        texts = (msgspec.json.encode(names).decode() for names in lists)
        late = mine is None or not self._is_fresh(self._worker.name, mine, now)
        beat = self._beats.next(self._worker.name, None if mine is None else mine.beat, now)
        db.execute(_KEEP, (self._worker.name, beat, *texts))
        return late

    def leave(self, now: float, db: Database) -> None:
        """Delete this notifier's row: the notifier or its event loop ended."""
        if db.execute(_LEAVE, (self._worker.name,)).rowcount:
            self._left(now, db)

    def absent(self, now: float, db: Database) -> float:
        """Return for how many seconds no notifier has been there, as far as that is known."""
        ages = [self._beats.age(worker, one.beat, now) for worker, one in self._all(db)]
        left = db.execute(_LAST).fetchone()
        if left is not None:
            ages.append(self._beats.moment(now) - float(left[0]))
        return min((age for age in ages if age >= 0), default=inf)

    def _all(self, db: Database) -> Iterator[tuple[str, LivingNotifier]]:
        for worker, beat, *texts in db.execute(_READ):
            accounts, kinds = map(msgspec.json.decode, texts)
            yield worker, LivingNotifier(beat, frozenset(accounts), frozenset(kinds))

    def _swept(self, now: float, db: Database) -> LivingNotifier | None:
        """Return this notifier's row; delete those of dead workers."""
        mine = None
        for worker, one in list(self._all(db)):
            if worker == self._worker.name:
                mine = one
            elif not self._worker.lives(worker):
                db.execute(_LEAVE, (worker,))
                self._left(now, db)
        return mine

    def _is_fresh(self, worker: str, one: LivingNotifier, now: float) -> bool:
        return 0 <= self._beats.age(worker, one.beat, now) <= FRESH_SECONDS

    def _left(self, now: float, db: Database) -> None:
        """Note when a notifier was last there."""
        db.execute(PUT_NOTE, ("last notifier", repr(self._beats.moment(now))))
