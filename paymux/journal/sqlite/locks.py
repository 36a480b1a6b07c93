"""Locks on single bytes of a file, held by an open file description.

See https://man7.org/linux/man-pages/man2/fcntl_locking.2.html.

Such a lock is bound to the file, under any name. It ends when its process dies, and closing another
descriptor does not release it. SQLite's own locks are of the older kind: closing *any* descriptor
of a database releases all locks of the process
(https://www.sqlite.org/howtocorrupt.html#_posix_advisory_locks_canceled_by_a_separate_thread_doing_close_).
So a descriptor that was opened here stays open for as long as its file has a name.
"""

import os
import struct
import sys
import threading
from collections.abc import Callable
from pathlib import Path

from ...primitives.forks import ForkAware, register

if sys.platform == "linux":
    import fcntl

    HERE = True
else:
    HERE = False

# SQLite's bytes: https://www.sqlite.org/src/file?name=src/os.h&ci=trunk. Ours are far beyond any
# page.
_SHARED_FIRST, _SHARED_SIZE = (1 << 30) + 2, 510
# the first byte for workers, and the number of such bytes, less one
FIRST, COUNT = 1 << 62, 1 << 62
_OPENING = FIRST - 1  # locked by the process that is opening the file
_FLOCK = "hhqqi0q"  # struct flock


class Opened:
    """A file that this process has open for its locks."""

    def __init__(self, descriptor: int, key: tuple[int, int]) -> None:
        self.key = key  # identity of the file, under any name
        # bytes that this process has locked; the system does not report a process's own locks
        self.names: set[int] = set()
        # checks of the journals of this process that have it open
        self.stranded: dict[int, Callable[[], bool]] = {}
        self._mutex = threading.Lock()
        self._descriptor = descriptor

    def lock(self, byte: int) -> bool:
        """Lock a byte; False: it is locked already."""
        with self._mutex:
            if byte in self.names:
                return False
            try:
                self._set(byte, exclusive=True)
            except BlockingIOError:
                return False
            self.names.add(byte)
            return True

    def unlock(self, byte: int) -> None:
        """Unlock a byte."""
        with self._mutex:
            self._set(byte, exclusive=False)
            self.names.discard(byte)

    def locked(self, byte: int) -> bool:
        """Return whether any process has locked a byte, this one included."""
        return byte in self.names or self._asked(byte, 1, own=True) is not None

    def begin_opening(self) -> bool:
        """Lock the opening of the database for this process; released by `end_opening`."""
        return self.lock(_OPENING)

    def end_opening(self) -> None:
        """Release the lock of `begin_opening`."""
        self.unlock(_OPENING)

    def user(self) -> int | None:
        """Return the id of another process that has the database open; 0: in another container."""
        # In WAL mode each connection holds the shared lock while it is open:
        # https://www.sqlite.org/walformat.html#locking_protocol
        return self._asked(_SHARED_FIRST, _SHARED_SIZE, own=False)

    def worked_on(self) -> bool:
        """Return whether a worker of another process lives on the file."""
        return self._asked(FIRST, COUNT - 1, own=True) is not None

    def links(self) -> int:
        """Count the names of the file; 0: it was deleted."""
        return os.fstat(self._descriptor).st_nlink

    def close(self) -> None:
        """Close the file; this also releases SQLite's locks on it in this process."""
        os.close(self._descriptor)

    if sys.platform == "linux":

        def _set(self, byte: int, *, exclusive: bool) -> None:
            kind = fcntl.F_WRLCK if exclusive else fcntl.F_UNLCK
            fcntl.fcntl(
                self._descriptor,
                fcntl.F_OFD_SETLK,
                struct.pack(_FLOCK, kind, os.SEEK_SET, byte, 1, 0),
            )

        def _asked(self, first: int, count: int, *, own: bool) -> int | None:
            question = struct.pack(_FLOCK, fcntl.F_WRLCK, os.SEEK_SET, first, count, 0)
            answer = fcntl.fcntl(
                self._descriptor, fcntl.F_OFD_GETLK if own else fcntl.F_GETLK, question
            )
            kind, _, _, _, holder = struct.unpack(_FLOCK, answer)
            return None if kind == fcntl.F_UNLCK else max(holder, 0)

    else:

        def _set(self, byte: int, *, exclusive: bool) -> None:
            raise NotImplementedError

        def _asked(self, first: int, count: int, *, own: bool) -> int | None:
            raise NotImplementedError


class _Files(ForkAware):
    """The files that this process has open for its locks, each opened once."""

    def __init__(self) -> None:
        self._mutex = threading.Lock()
        self._files: dict[tuple[int, int], Opened] = {}
        self._spare: list[int] = []

    def open(self, path: Path) -> Opened:
        """Return the file at a path; an empty one is created where there is none."""
        with self._mutex:
            self._sweep()
            try:
                found = self._files.get(identity(path))
            except FileNotFoundError:
                found = None
            return found or self._opened(path)

    def after_fork_in_child(self) -> None:
        """Close inherited files: a lock lives while any process has its file description open."""
        inherited, self._files, self._mutex = self._files, {}, threading.Lock()
        for file in inherited.values():
            file.close()
        while self._spare:
            os.close(self._spare.pop())

    def _opened(self, path: Path) -> Opened:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        status = os.fstat(descriptor)
        key = (status.st_dev, status.st_ino)
        if key in self._files:  # the file was replaced a moment ago
            self._spare.append(descriptor)
        else:
            self._files[key] = Opened(descriptor, key)
        return self._files[key]

    def _sweep(self) -> None:
        for key, file in list(self._files.items()):
            if not file.names and not file.links():
                del self._files[key]
                file.close()


def identity(path: Path) -> tuple[int, int]:
    """Return the identity of a file, under any name."""
    status = path.stat()
    return (status.st_dev, status.st_ino)


files = _Files()
register(files)
