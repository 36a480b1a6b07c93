"""The journal in one SQLite file, shared by the processes of one machine, readable by SQL."""

import asyncio
import sqlite3
from functools import partial
from os import PathLike
from pathlib import Path

from ...errors import Unsupported
from ...models import Payment
from ...values.validation import checked_path
from ..database import Database, Operation
from ..stored.journal import StoredJournal
from ..stored.retention import kept_for
from ..stored.writer import Writer
from ..tables.health import Inspection
from ..wakeups import Wakeups
from ..work import Work
from .batch import run_batch
from .batch_runner import BatchRunner
from .compaction import compact
from .file_location import FileLocation
from .inspection import inspect
from .liveness import FileWorker
from .message_rows import SqliteMessages
from .opening import open_database
from .payment_rows import SqliteRows
from .wakeups import FileWakeups


class SqliteJournal(StoredJournal):
    """A journal in a file. `keep_days`: delete payments that ended so many days ago.

    None: keep all. A reference is never deleted: the same order returns how it ended, another order
    raises DuplicateReference.

    Writes of one moment share one commit (WAL, `synchronous=FULL`), made by a separate thread. A
    worker is alive while it holds a lock on the journal itself; the system releases the lock when
    the process dies. Facts that cannot be written, because another program has locked the file or
    the disk is full, are held in memory and written as soon as possible. When the file is moved,
    deleted or replaced during use, no order is begun until the same file is back or the process is
    restarted: another file would not know what was sent before.
    """

    engine = "sqlite"

    def __init__(self, path: str | PathLike[str], *, keep_days: float | None = None) -> None:
        given = checked_path("journal", path, unread=True)
        keep = kept_for(keep_days)
        # The process may change its folder later. What is no path at all is refused when it is
        # opened.
        self._path = str(Path.cwd() / given) if given.strip() not in ("", ":memory:") else given
        self._file_worker = FileWorker(Path(self._path))
        self._location = FileLocation(Path(self._path))
        self._wakeups = FileWakeups()
        writer = Writer(self._runner)
        super().__init__(writer, self._file_worker, keep, SqliteRows(), SqliteMessages())

    @property
    def wakeups(self) -> Wakeups:
        """Return what carries news between workers."""
        return self._wakeups

    async def end_turn_in(
        self, connection: object, payment: Payment, name: str, caller: str
    ) -> bool:
        """Raise Unsupported: a file takes part in no transaction of another database."""
        raise Unsupported(
            "connection: this journal is a file, which cannot share a transaction with a database "
            "of yours; a journal at postgresql://… in the same database can"
        )

    def after_fork_in_child(self) -> None:
        """Become another worker in a forked child, without any work of the parent."""
        self._file_worker.forget()
        self._location.forget()
        self._wakeups.forget()
        super().after_fork_in_child()

    def _inspect(self, db: Database) -> Inspection:
        return inspect(db)

    async def _compact(self) -> None:
        """Write the file anew: what was deleted can be read in free pages and in the log."""
        await asyncio.to_thread(compact, self._path)

    def _runner(self) -> BatchRunner:
        return BatchRunner(self._open, self._end, self._location, self._wakeups, self._in_flight)

    # Runs in the thread.

    def _open(self) -> sqlite3.Connection:
        self._wakeups.opened()
        db = open_database(self._path, self._file_worker, self._location)
        self._retention.at_opening(partial(_transact, db))
        return db

    def _end(self) -> None:
        """Release the lock, and log what could not be stored."""
        self._location.forget()
        self._file_worker.end()
        self._forget_lost()


def _transact(db: sqlite3.Connection, operation: Operation[bool]) -> bool:
    """Run an operation in a transaction; False: not now, as the file is locked."""
    try:
        (answer,) = run_batch(db, [Work(operation)])
    except sqlite3.OperationalError:
        return False
    return answer.error is None and bool(answer.result)
