"""Who still lives: each worker holds a lock on a file of its own, which the system lets go of when it dies."""

import contextlib
import sqlite3
import uuid
from pathlib import Path


class Worker:
    """One user of a journal. A lease would need a clock, and a worker that merely slept would lose its work."""

    def __init__(self, journal: Path) -> None:
        self.name = ""
        self._journal = journal
        self._lock: sqlite3.Connection | None = None

    def begin(self) -> None:
        """Take the lock that says that this worker lives."""
        # Named in the process that works: a pool may be made before a server forks its workers.
        self.name = uuid.uuid4().hex
        self._lock = _locked(self._file(self.name))

    def end(self) -> None:
        """Let go of it."""
        if self._lock is not None:
            self._lock.close()
            self._file(self.name).unlink(missing_ok=True)

    def lives(self, name: str | None) -> bool:
        """Tell whether a worker lives: whether somebody holds the lock of its file."""
        if name == self.name:
            return True
        if name is None or not self._file(name).exists():
            return False
        try:
            _locked(self._file(name)).close()
        except sqlite3.OperationalError:
            return True
        self._file(name).unlink(missing_ok=True)
        return False

    def _file(self, name: str) -> Path:
        return self._journal.with_name(f"{self._journal.name}-worker-{name}")


def _locked(file: Path) -> sqlite3.Connection:
    # SQLite's own lock: the same on every system, and true between threads of one process, too.
    lock = sqlite3.connect(file, timeout=0, isolation_level=None, check_same_thread=False)
    try:
        lock.execute("PRAGMA journal_mode=MEMORY")
        lock.execute("BEGIN EXCLUSIVE")
    except sqlite3.Error:
        with contextlib.suppress(sqlite3.Error):
            lock.close()
        raise
    return lock
