"""Liveness of workers of a journal in PostgreSQL: each holds an advisory lock of its session."""

import secrets

from .connection import Connection

# By its key alone; a lock of two numbers has another objsubid.
_LIVES = """SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND CAST(classid AS bigint) = ? AND CAST(objid AS bigint) = ?"""


class SessionWorker:
    """One user of a journal, alive while one of its sessions holds the lock of its name."""

    def __init__(self) -> None:
        self.name = ""
        self._db: Connection | None = None

    def begin(self) -> None:
        """Take a name."""
        self.name = self.name or f"{secrets.randbelow(2**63 - 1) + 1:016x}"

    def attach(self, db: Connection | None) -> None:
        """Hold the lock of the name in this session from now on, and ask in it; None: in none."""
        self._db = db
        if db is not None:
            # Shared: the server may not know yet that an earlier session of this worker is gone.
            db.value("SELECT pg_advisory_lock_shared($1)", int(self.name, 16))

    def end(self) -> None:
        """Drop the name; its lock ends with the session."""
        self.name, self._db = "", None

    def forget(self) -> None:
        """In a forked child, drop the name; the lock is the parent's and stays."""
        self.end()

    def lives(self, name: str | None) -> bool:
        """Return whether a worker is alive: whether its lock is held."""
        if not name or name == self.name:
            return bool(name)
        try:
            key = int(name, 16)
        except ValueError:
            return False
        if self._db is None:
            return True  # nothing is known of it now
        return self._db.execute(_LIVES, (key >> 32, key & 0xFFFFFFFF)).fetchone() is not None
