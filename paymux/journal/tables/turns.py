"""The table of turns: who does what is done exactly once for a payment."""

from typing import Final

from ...models import log
from ...primitives.clock import wall_time
from ..database import Database, Worker
from ..suspension import Suspended
from .columns import iso

_THIS = "account = ? AND kind = ? AND reference = ? AND name = ?"
_WHO: Final = f"SELECT worker, caller FROM turns WHERE {_THIS}"
# PostgreSQL reads what the comment says: the caller's own transaction may be ending the turn at
# this moment (`Turn.done`), and no operation waits for it.
_LOCKED: Final = f"{_WHO} /* FOR UPDATE SKIP LOCKED */"
_TAKE = """INSERT INTO turns (account, kind, reference, name, at, worker, caller)
    VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (account, kind, reference, name)
    DO UPDATE SET at = excluded.at, worker = excluded.worker, caller = excluded.caller"""
# In a table of its own: a turn is deleted when it is given back, and a worker of release 0.1 writes
# every column of `turns`.
_FENCE = """INSERT INTO fences (account, kind, reference, name, at, fence)
    VALUES (?, ?, ?, ?, ?, 1) ON CONFLICT (account, kind, reference, name)
    DO UPDATE SET at = excluded.at, fence = fences.fence + 1"""
_FENCED = f"SELECT fence FROM fences WHERE {_THIS}"
_DONE = f"UPDATE turns SET worker = NULL WHERE {_THIS} AND caller = ?"
_BACK = f"DELETE FROM turns WHERE {_THIS} AND caller = ?"

Key = tuple[str, str, str, str]  # account, kind, reference, and the name of the turn


class TurnTable:
    """The operations on turns, each in a transaction of the journal's thread."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    def take(self, key: Key, caller: str, db: Database) -> int:
        """Take a turn that is free, or whose worker may not act any more: its fencing token, or 0.

        A turn that this caller already has is taken again: its end was not stored the last time.
        """
        if self._worker.suspended:
            raise Suspended
        if self._is_held(key, caller, db):
            return 0
        at = iso(wall_time())
        db.execute(_TAKE, (*key, at, self._worker.name, caller))
        db.execute(_FENCE, (*key, at))
        return int(db.execute(_FENCED, key).fetchone()[0])

    def _is_held(self, key: Key, caller: str, db: Database) -> bool:
        """Return whether a turn is done, or another caller's that may still act."""
        found = db.execute(_WHO, key).fetchone()
        if found is None:
            return False
        worker, other = found
        if worker is None or (other != caller and self._worker.may_act(worker)):
            return True
        return bool(db.execute(_LOCKED, key).fetchone() != found)

    def done(self, key: Key, db: Database) -> bool:
        """Return whether a turn is done for ever."""
        found = db.execute(_WHO, key).fetchone()
        return found is not None and found[0] is None

    def end(self, key: Key, caller: str, db: Database, *, done: bool) -> bool:
        """End a turn that a caller has: done for ever, or given back.

        False: it was done, but too late: another caller has had the turn since. OSError: the
        caller's own transaction is about to end it; try again.
        """
        found = db.execute(_WHO, key).fetchone()
        if found is None or found[1] != caller:
            if done:
                log.error("%s: done too late: another worker has had the turn since", key)
            return not done
        if found[0] is None:
            return True  # by an earlier attempt whose answer was lost, or by the caller itself
        if db.execute(_LOCKED, key).fetchone() != found:
            raise OSError("the transaction that ends the turn is still open")
        db.execute(_DONE if done else _BACK, (*key, caller))
        return True
