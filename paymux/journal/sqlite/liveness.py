"""Liveness of workers: each holds a lock that the system releases when the process dies."""

import contextlib
import errno
import os
import re
import secrets
import sqlite3
import uuid
from pathlib import Path

from ...primitives.forks import leave_to_parent
from .locks import COUNT, FIRST, HERE, Opened, files

_MARK = "-worker-"
_BYTE = re.compile("[0-9a-f]{16}")  # the name of a worker that locks a byte of the journal
# of a worker that locks its own file next to the journal, as in release 0.1.0
_FILE = re.compile("[0-9a-f]{32}")


class FileWorker:
    """One user of a journal, alive while it holds its lock.

    A lease would need a clock, and a worker that was only suspended would lose its work. The worker
    locks one random byte of the journal itself; the byte is its name. So nothing that is done to
    other files or other names of the journal makes a live worker look dead. On a system without
    such locks, the worker locks its own file next to the journal.
    """

    suspended = False  # the system releases the lock at death, and never before

    def __init__(self, journal: Path) -> None:
        self.name = ""
        self.file: Opened | None = None
        self._journal = journal
        self._lock: sqlite3.Connection | None = None

    def begin(self) -> None:
        """Acquire the lock that shows a live worker, unless it is held already."""
        # Not in __init__: a pool may be created before a server forks its workers.
        if not self.name:
            self.name = self._begun_in_journal() or self._begun_beside()

    def _begun_in_journal(self) -> str:
        if not HERE:
            return ""
        file = files.open(self._journal)
        try:
            while not file.lock(byte := FIRST + secrets.randbelow(COUNT - 1)):
                pass
        except OSError as error:
            if error.errno != errno.EINVAL:  # calls itself Linux but has no such locks
                raise
            return ""
        self.file = file
        return f"{byte:x}"

    def _begun_beside(self) -> str:
        while True:
            name = uuid.uuid4().hex
            lock = _locked(self._beside(name))
            if lock is not None and self._beside(name).exists():
                self._lock = lock
                return name
            if lock is not None:  # removed by another worker before it was locked
                lock.close()

    def end(self) -> None:
        """Release the lock."""
        name, self.name = self.name, ""
        if self._lock is not None:
            self._lock.close()
            self._lock = None
            self._beside(name).unlink(missing_ok=True)
        elif name and self.file is not None:
            self.file.unlock(int(name, 16))

    def forget(self) -> None:
        """In a forked child, drop the name; the lock is the parent's and stays."""
        leave_to_parent(self._lock)
        self.name, self.file, self._lock = "", None, None

    def lives(self, name: str | None) -> bool:
        """Return whether a worker is alive: whether its lock is held."""
        if not name:
            return False
        if name == self.name:
            return True
        if _BYTE.fullmatch(name):
            return self.file is not None and self.file.locked(int(name, 16))
        file = self._beside(name)
        return _FILE.fullmatch(name) is not None and file.exists() and not _tidied(file)

    def may_act(self, name: str | None) -> bool:
        """Return whether a worker may still act: as long as it lives."""
        return self.lives(name)

    def tidy(self) -> None:
        """Remove lock files of dead workers, next to each name of the journal."""
        for file in self._lock_files():
            _tidied(file)

    def beside(self) -> list[str]:
        """List other live workers that lock a file next to the journal."""
        found = [
            file for file in self._lock_files() if not file.name.endswith(f"{_MARK}{self.name}")
        ]
        return [file.name.rpartition(_MARK)[2] for file in found if not _tidied(file)]

    def _lock_files(self) -> list[Path]:
        found: list[Path] = []
        for path in {self._journal, Path(os.path.realpath(self._journal))}:
            mark = f"{path.name}{_MARK}"
            with contextlib.suppress(OSError), os.scandir(path.parent) as entries:
                names = [one.name for one in entries if one.name.startswith(mark)]
                found += [
                    path.with_name(name)
                    for name in names
                    if _FILE.fullmatch(name.removeprefix(mark))
                ]
        return found

    def _beside(self, name: str) -> Path:
        path = Path(os.path.realpath(self._journal))
        return path.with_name(f"{path.name}{_MARK}{name}")


def _tidied(file: Path) -> bool:
    """Remove a lock file, unless a process holds its lock."""
    try:
        lock = _locked(file)
    except sqlite3.Error:
        return False
    if lock is None:
        return False
    # While it is locked: a worker that created it and has not locked it yet will see that it is
    # gone.
    with contextlib.suppress(OSError):
        file.unlink(missing_ok=True)
    lock.close()
    file.unlink(missing_ok=True)  # on systems where an open file cannot be removed
    return True


def _locked(file: Path) -> sqlite3.Connection | None:
    # SQLite's own lock works the same on every system, and between threads of one process.
    lock = sqlite3.connect(file, timeout=0, isolation_level=None, check_same_thread=False)
    try:
        lock.execute("PRAGMA journal_mode=MEMORY")
        lock.execute("BEGIN EXCLUSIVE")
    except sqlite3.Error as error:
        lock.close()
        if error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY:
            return None
        raise
    return lock
