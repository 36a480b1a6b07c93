"""A worker of the journal in PostgreSQL, as the operations in the journal's thread ask of it."""

import re
from typing import TYPE_CHECKING, Any

from .life import Life
from .life_session import LOCK_CLASS

if TYPE_CHECKING:
    from ..database import Database

# Ids of workers are the numbers of a sequence; the workers of a journal that was copied from a file
# have other names, and live no more.
_ID = re.compile("[1-9][0-9]{0,9}")
_LAST = 2**31 - 1
# Kept until the end of the transaction, so a worker that is thought dead cannot take its lock again
# before what was concluded from that is committed. It is shared: two that ask disturb neither.
_FREE = f"SELECT pg_try_advisory_xact_lock_shared({LOCK_CLASS}, CAST(? AS int))"
_BEAT = "SELECT beat, ended IS NOT NULL FROM workers WHERE id = ?"
_FENCE = "UPDATE workers SET ended = now() WHERE id = ? AND ended IS NULL"


class PostgresWorker:
    """One user of a journal, alive while its life connection holds its lock.

    `begin` before the first operation, `attach` with each new connection for work, `end` at last.
    """

    def __init__(self, life: Life) -> None:
        self.life = life
        self._db: Database | None = None

    @property
    def name(self) -> str:
        """Return the id of this worker, as rows have it; "" before it lives."""
        return self.life.name

    @property
    def suspended(self) -> bool:
        """Return whether this worker takes nothing now, because it cannot show that it lives."""
        return self.life.suspended

    def begin(self) -> None:
        """Live; returns when the lock is held. OSError: the server cannot be reached now."""
        self.life.begin()

    def attach(self, db: "Database | None") -> None:
        """Ask on this connection from now on; None: there is none."""
        self._db = db
        self.life.beats.forget()

    def end(self) -> None:
        """Release the lock, and say that this worker has ended."""
        self._db = None
        self.life.end()

    def forget(self) -> None:
        """In a forked child, drop the name; the lock is the parent's and stays."""
        self._db = None
        self.life.forget()

    def lives(self, name: str | None) -> bool:
        """Return whether the lock of a worker is held: then its rows and messages are its own.

        A worker that is suspended takes nothing, so for it all others live.
        """
        return bool(name) and (name == self.name or self._held(name or ""))

    def may_act(self, name: str | None) -> bool:
        """Return whether a worker may still do what only one may do: whether its turns are its own.

        It may not if its lock is free, and its beat was unmoved for the grace as this process saw
        it on connections that did not break. Then it is fenced: it never lives again by this name.
        """
        if not name or self.lives(name):
            return bool(name)
        worker = _id(name)
        found = None if worker is None else self._asked(_BEAT, worker)
        if worker is None or found is None or found[1]:
            return False
        if self.life.beats.unmoved(worker, found[0]) < self.life.timing.grace:
            return True
        if self._db is not None:
            self._db.execute(_FENCE, (worker,))
        return False

    def _held(self, name: str) -> bool:
        worker = _id(name)
        if worker is None:
            return False
        free = self._asked(_FREE, worker)
        return self.suspended or free is None or not free[0]

    def _asked(self, statement: str, worker: int) -> "tuple[Any, ...] | None":
        return None if self._db is None else self._db.execute(statement, (worker,)).fetchone()


def _id(name: str) -> int | None:
    return int(name) if _ID.fullmatch(name) and int(name) <= _LAST else None
