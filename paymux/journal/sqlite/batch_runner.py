"""The work of the journal's thread: operations of one moment share one commit."""

import contextlib
import sqlite3
import threading
import time
from collections.abc import Callable
from queue import SimpleQueue
from typing import ClassVar

from ...errors import PaymuxError
from ...models import log
from ...primitives.forks import leave_to_parent
from ..database import Operation
from ..stored.gathering import gather
from ..work import LOCK_WAIT_SECONDS, RETRY_SECONDS, Answer, Work, deliver
from .batch import RolledBack, commit, is_busy, peek_all, run_batch
from .file_location import FileBusy, FileLocation
from .wakeups import LOOK_SECONDS, FileWakeups

BUSY_TIMEOUT_SECONDS = 0.1  # seconds that SQLite, a fork and permitted reads wait for a lock
PULSE_SECONDS = 5.0  # seconds between runs of `pulse`
IDLE_SECONDS = 2.0  # seconds without work until the thread checks that its files are in place
FORK_WAIT_SECONDS = 2.0  # seconds that a fork waits for operations in progress


class BatchRunner:
    """Owns a database, and runs queued operations on it, each whole or not at all.

    Until the file can be used again, it answers reads, and holds the writes that must not be lost.
    """

    crossed: ClassVar[str] = ""  # the reason why no database can be used in this process

    def __init__(
        self,
        open: Callable[[], sqlite3.Connection],
        end: Callable[[], None],
        location: FileLocation | None,
        news: FileWakeups | None = None,
        in_flight: Callable[[], int] = lambda: 0,
    ) -> None:
        self._open = open
        self._end = end
        self._location = location
        self._news = news
        self._in_flight = in_flight  # orders that will write soon
        self.db: sqlite3.Connection | None = None
        self.using = threading.Lock()  # held while the database is used: no fork in between
        self._resting = False
        # returns periodic work, or None
        self.pulse: Callable[[], Operation[None] | None] | None = None
        self._pulsed = 0.0
        self._retrying: list[Work] = []  # writes that must not be lost and have failed
        self._again = 0.0  # when they are tried again
        self._waits = RETRY_SECONDS  # for retries once the thread is to end: a lock may pass

    # Before and after a fork, in the thread that forks.

    def rest(self) -> None:
        """Close the database: no connection may cross a fork, https://www.sqlite.org/howtocorrupt.html."""
        if self.using.acquire(timeout=FORK_WAIT_SECONDS):
            self._resting = True
            self.shut()

    def resume(self) -> None:
        """Let the thread continue; it opens the database again."""
        if self._resting:
            self._resting = False
            self.using.release()

    def leave(self) -> None:
        """Leave everything to the parent, in its child."""
        if not self._resting and (self.db is not None or self.using.locked()):
            # SQLite may hold internal locks that nothing in the child will ever release.
            BatchRunner.crossed = (
                "this process was forked in the midst of a write to the journal; start it anew"
            )
            leave_to_parent(self.db)

    # Runs in the thread.

    def run(self, queue: "SimpleQueue[Work | None]") -> None:
        """Run what is queued until the end is asked for; only this uses the database."""
        works: list[Work] = []
        ending: float | None = None  # when the thread was asked to end
        while ending is None or (
            (works or self._retrying) and time.monotonic() < ending + self._waits
        ):
            try:
                if self._gather(queue, works) and ending is None:
                    ending, self._again = time.monotonic(), 0.0
                works = self._round(self._with_stuck(works) if self._retrying else works)
            except BaseException as error:  # noqa: BLE001 - whatever it is, no caller may wait for ever
                known = isinstance(error, PaymuxError | OSError)
                self._fail(
                    works, error if known else OSError(f"the journal cannot be used: {error!r}")
                )
                works = []
        deliver(
            [
                Answer(work, error=OSError("the journal was closed"))
                for work in (*works, *self._retrying)
            ]
        )
        with self.using:
            self.shut()
        self._end()

    def _gather(self, queue: "SimpleQueue[Work | None]", works: list[Work]) -> bool:
        """Take queued operations, up to a batch; return whether the thread is to end."""
        if works:
            timeout: float | None = BUSY_TIMEOUT_SECONDS / 10
        elif self._retrying:
            timeout = max(self._again - time.monotonic(), 0.0)
        elif self._news is not None and self._news.wanted:
            timeout = LOOK_SECONDS
        else:
            timeout = (
                IDLE_SECONDS
                if self.db is not None and (self._location or self.pulse) is not None
                else None
            )
        return gather(queue, works, timeout, self._in_flight)

    def _with_stuck(self, works: list[Work]) -> list[Work]:
        """Put failed writes first: before new work, or when their time has come."""
        if works or time.monotonic() >= self._again:
            works, self._retrying = self._retrying + works, []
        return works

    def _round(self, works: list[Work]) -> list[Work]:
        """Run the operations; return those that must wait for a locked file."""
        with self.using:
            try:
                answers, works = self._done(works)
            except (sqlite3.Error, FileBusy) as error:
                if not is_busy(error):
                    raise
                answers, works = self._meanwhile(works, error)
                self._waits = LOCK_WAIT_SECONDS
        deliver(answers)
        return works

    def _done(self, works: list[Work]) -> tuple[list[Answer], list[Work]]:
        if self.db is None and (works or self._retrying):
            self.db = self._opened()
        db, location = self.db, self._location
        if db is None:
            return [], []
        answers: list[Answer] = []
        if location is not None and (why := location.displaced()):
            answers, works = self._out_of_place(works, why)
        elif location is not None and location.stranded():
            self._rescue(db)
            raise FileBusy("the journal's -wal and -shm files were removed")
        if self._news is not None:
            self._news.look(db)
        if works:
            answers += run_batch(db, works)
        self._pulse(db)
        if location is not None and location.stranded() and not location.displaced():
            self._rescue(db)
        return self.told(answers), []

    def _pulse(self, db: sqlite3.Connection) -> None:
        """Run the periodic work; if the file is locked, it runs at the next pulse."""
        pulse = self.pulse
        if pulse is not None and time.monotonic() >= self._pulsed + PULSE_SECONDS:
            self._pulsed = time.monotonic()
            if (operation := pulse()) is not None:
                with contextlib.suppress(sqlite3.Error, RolledBack):
                    commit(db, [Work(operation)])

    def told(self, answers: list[Answer]) -> list[Answer]:
        """Set aside failed writes that must not be lost, to be tried again."""
        for answer in answers:
            if answer.error is not None and answer.failed and answer.work.durable:
                self._retrying.append(answer.work)
                self._waits = RETRY_SECONDS
                self._again = time.monotonic() + RETRY_SECONDS
            elif answer.work.then is not None:
                answer.work.then()
        return answers

    def _out_of_place(self, works: list[Work], why: str) -> tuple[list[Answer], list[Work]]:
        """Refuse new work in a file that is not in place.

        Known facts are still written while it has a name.
        """
        lost = self._location is not None and self._location.lost()
        on = [work for work in works if work.read_only or (work.durable and not lost)]
        return [Answer(work, error=OSError(why)) for work in works if work not in on], on

    def _meanwhile(self, works: list[Work], error: Exception) -> tuple[list[Answer], list[Work]]:
        """While the file is locked, answer reads, and fail the operations that waited too long."""
        now = time.monotonic()
        answers = (
            peek_all(self.db, [work for work in works if work.peek]) if self.db is not None else []
        )
        over = {id(answer.work) for answer in answers}
        left = [work for work in works if id(work) not in over]
        late = OSError(f"the journal cannot be written: {error}")
        answers += [Answer(work, error=late) for work in left if now >= work.until]
        left = [work for work in left if work.durable or now < work.until]
        for work in left:
            # its caller already got the error
            work.until = work.until if now < work.until else float("inf")
        return answers, left

    def _fail(self, works: list[Work], error: BaseException) -> None:
        """Fail all callers; writes that must not be lost are tried again."""
        self._retrying += [work for work in works if work.durable]
        self._waits = RETRY_SECONDS
        self._again = time.monotonic() + RETRY_SECONDS
        deliver([Answer(work, error=error) for work in works])

    def _opened(self) -> sqlite3.Connection:
        if BatchRunner.crossed:
            raise OSError(BatchRunner.crossed)
        try:
            return self._open()
        except (sqlite3.Error, OSError) as error:
            if is_busy(error):
                raise
            raise OSError(f"the journal cannot be opened: {error}") from None

    def _rescue(self, db: sqlite3.Connection) -> None:
        """Copy the content of a log without a name into the file, and close it."""
        log.error("the journal's -wal and -shm files were removed while it was open; never do that")
        with contextlib.suppress(sqlite3.Error):
            db.execute("PRAGMA wal_checkpoint(FULL)")
        self.shut()

    def shut(self) -> None:
        """Close the database; the next operation opens it again."""
        db, self.db = self.db, None
        if db is not None:
            with contextlib.suppress(sqlite3.Error):
                db.close()
        # after closing: connections of one process share these files
        if self._location is not None:
            self._location.rest()
