"""The live notifiers of a journal."""

from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from .columns import PUT_NOTE
from .database import Database, Worker
from .outbox import NotifierInfo

FRESH_SECONDS = 60.0  # seconds after its last heartbeat for which a notifier keeps its orders

_KEEP = """INSERT INTO notifiers (worker, beat, accounts, kinds) VALUES (?, ?, ?, ?)
    ON CONFLICT (worker) DO UPDATE SET beat = excluded.beat, accounts = excluded.accounts,
    kinds = excluded.kinds"""
_READ = "SELECT worker, beat, accounts, kinds FROM notifiers"
_LEAVE = "DELETE FROM notifiers WHERE worker = ?"


class LivingNotifier(NamedTuple):
    """A notifier, as its row in the journal says."""

    beat: float
    accounts: frozenset[str]
    kinds: frozenset[str]


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

    def heartbeat(self, member: NotifierInfo, now: float, db: Database) -> bool:
        """Store a heartbeat; return whether it was late."""
        mine = self._swept(now, db)
        lists = (list(member.accounts), list(member.kinds))
        texts = (msgspec.json.encode(names).decode() for names in lists)
        db.execute(_KEEP, (self._worker.name, now, *texts))
        return mine is None or not _is_fresh(mine, now)

    def leave(self, now: float, db: Database) -> None:
        """Delete this notifier's row: the notifier or its event loop ended."""
        if db.execute(_LEAVE, (self._worker.name,)).rowcount:
            _left(now, db)

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
                _left(now, db)
        return mine


def _is_fresh(one: LivingNotifier, now: float) -> bool:
    return 0 <= now - one.beat <= FRESH_SECONDS


def _left(now: float, db: Database) -> None:
    """Note when a notifier was last there."""
    db.execute(PUT_NOTE, ("last notifier", repr(now)))
