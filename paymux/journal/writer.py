"""One thread that owns a database: what is asked of it at one moment shares one commit."""

import asyncio
import atexit
import contextlib
import queue
import sqlite3
import threading
import time
from collections.abc import Callable
from typing import Any, ClassVar, TypeAlias, TypeVar
from weakref import WeakSet

from ..errors import PaymuxError
from ..forks import Forking, leave_to_parent, noticed, watch
from ..models import log
from .batch import Answer, Undone, Work, busy, commit, done, glances, tell
from .place import Busy, Place

T = TypeVar("T")
Operation: TypeAlias = Callable[[sqlite3.Connection], T]

BATCH = 512  # operations that share one commit, at most
PATIENCE = 10.0  # seconds for which an operation waits for a file that another program has locked
LOCKED = 0.1  # seconds for which SQLite waits at a time; a fork, and what may be read meanwhile, wait as long
PULSE = 5.0  # seconds between looks at what must be seen to although nobody asks anything
AGAIN = 1.0  # seconds until what must not be lost, and could not be written, is tried again
IDLE = 2.0  # seconds after which a thread with nothing to do sees whether its files still lie where they did
REST = 2.0  # seconds that a fork waits for what is under way


class Writer(Forking):
    """Runs operations in its own thread, in order, each whole or not at all; what fails is an OSError."""

    crossed: ClassVar[str] = ""  # why no database can be used in this process

    def __init__(
        self, open: Callable[[], sqlite3.Connection], end: Callable[[], None], place: Place | None = None
    ) -> None:
        self._open = open
        self._end = end
        self._place = place
        self._closed = False
        self._started()
        watch(self)
        _writers.add(self)

    def _started(self) -> None:
        self._queue: queue.SimpleQueue[Work | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._db: sqlite3.Connection | None = None
        self._using = threading.Lock()  # held while the database is used, so that no fork comes in between
        self._resting = False
        self.pulse: Callable[[], Operation[None] | None] | None = None  # asked now and then what is to be done
        self._pulsed = 0.0
        self._stuck: list[Work] = []  # what must not be lost, and could not be written
        self._again = 0.0  # when it is tried again
        self._waits = (
            AGAIN  # seconds for which it is tried once the thread is to end: a lock passes, a full disk may
        )

    async def do(self, operation: Operation[T], glance: Operation[Any] | None = None) -> T:
        """Run an operation, and return when it is durable; cancelled or not, it runs.

        While another program has the file locked, `glance(db)` may give its result from what can be read, or WAIT.
        """
        result: T = await self._queued(Work(operation, glance=glance))
        return result

    async def read(self, operation: Operation[T]) -> T:
        """Run an operation that only reads, also while another program has the file locked."""
        result: T = await self._queued(Work(operation, glance=operation, reads=True))
        return result

    async def keep(self, operation: Operation[T], then: Callable[[], None] | None = None) -> T:
        """Run an operation that must not be lost: whatever its caller is told, it is tried until it is durable."""
        result: T = await self._queued(Work(operation, kept=True, then=then))
        return result

    def later(self, operation: Operation[None]) -> None:
        """Run an operation that must not be lost after those before it, and wait for nothing."""
        # Asked for its exception, so that asyncio does not report one that nobody retrieved.
        with contextlib.suppress(OSError):
            done = self._queued(Work(operation, kept=True))
            done.add_done_callback(lambda done: done.cancelled() or done.exception())

    def _queued(self, work: Work) -> "asyncio.Future[Any]":
        noticed()
        if self._closed:
            raise OSError("the journal is closed")
        work.begin(PATIENCE)
        try:
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._run, args=(self._queue,), name="paymux-journal", daemon=True
                )
                self._thread.start()
            self._queue.put(work)
        except (RuntimeError, MemoryError) as error:  # a process that ends, or has no memory left
            self._thread = None
            raise OSError(f"the journal's thread cannot be used: {error}") from None
        return work.done

    async def aclose(self) -> None:
        """Finish what is queued, within some seconds, and end the thread for good."""
        # For good: a second thread would take from the queue of the first one, which would never see its end.
        self._closed = True
        thread, self._thread = self._thread, None
        if thread is not None:
            self._queue.put(None)
            await asyncio.get_running_loop().run_in_executor(None, thread.join)

    def finish(self) -> None:
        """Finish what is queued where a process ends without having closed its pool."""
        self._closed = True
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join(PATIENCE + AGAIN)

    # Around a fork.

    def rest(self) -> None:
        """Close the database: no connection may be carried across, https://www.sqlite.org/howtocorrupt.html."""
        if self._using.acquire(timeout=REST):
            self._resting = True
            self._shut()

    def go_on(self) -> None:
        """Let the thread go on, which opens the database again."""
        if self._resting:
            self._resting = False
            self._using.release()

    def begin_anew(self) -> None:
        """Have no thread, no queue and no database in the child, and none of what the parent waits for."""
        if not self._resting and (self._db is not None or self._using.locked()):
            # SQLite may hold locks of its own that nobody in the child will ever let go of.
            Writer.crossed = "this process was forked in the midst of a write to the journal; start it anew"
            leave_to_parent(self._db)
        self._started()

    # What runs in the thread.

    def _run(self, queue: "queue.SimpleQueue[Work | None]") -> None:
        works: list[Work] = []
        ending: float | None = None  # when the thread was asked to end
        while ending is None or ((works or self._stuck) and time.monotonic() < ending + self._waits):
            try:
                if self._gather(queue, works) and ending is None:
                    ending, self._again = time.monotonic(), 0.0
                works = self._with_stuck(works)
                works = self._round(works)
            except BaseException as error:  # noqa: BLE001 - whatever it is, nobody may wait for ever
                known = isinstance(error, PaymuxError | OSError)
                self._fail(works, error if known else OSError(f"the journal cannot be used: {error!r}"))
                works = []
        tell([Answer(work, error=OSError("the journal was closed")) for work in (*works, *self._stuck)])
        with self._using:
            self._shut()
        self._end()

    def _gather(self, queue: "queue.SimpleQueue[Work | None]", works: list[Work]) -> bool:
        """Take what was asked, up to a batch; tell whether the thread is to end."""
        if works:
            timeout: float | None = LOCKED / 10
        elif self._stuck:
            timeout = max(self._again - time.monotonic(), 0.0)
        else:
            timeout = IDLE if self._db is not None and (self._place or self.pulse) is not None else None
        with contextlib.suppress(_EMPTY):
            work = queue.get(timeout=timeout)
            while work is not None:
                works.append(work)
                if len(works) >= BATCH:
                    return False
                work = queue.get_nowait()
            return True
        return False

    def _with_stuck(self, works: list[Work]) -> list[Work]:
        """Add what could not be written before, first: before anything else is done, or once it is time."""
        if works or time.monotonic() >= self._again:
            works, self._stuck = self._stuck + works, []
        return works

    def _round(self, works: list[Work]) -> list[Work]:
        """Do what there is to do, and give what has to wait for a file that is locked."""
        with self._using:
            try:
                answers, works = self._done(works)
            except (sqlite3.Error, Busy) as error:
                if not busy(error):
                    raise
                answers, works = self._meanwhile(works, error)
                self._waits = PATIENCE
        tell(answers)
        return works

    def _done(self, works: list[Work]) -> tuple[list[Answer], list[Work]]:
        if self._db is None and (works or self._stuck):
            self._db = self._opened()
        db, place = self._db, self._place
        if db is None:
            return [], []
        answers: list[Answer] = []
        if place is not None and (why := place.displaced()):
            answers, works = self._out_of_place(works, why)
        elif place is not None and place.stranded():
            self._rescue(db)
            raise Busy("what SQLite keeps beside the journal was taken away")
        if works:
            answers += done(db, works)
        self._pulse(db)
        if place is not None and place.stranded() and not place.displaced():
            self._rescue(db)
        return self._told(answers), []

    def _pulse(self, db: sqlite3.Connection) -> None:
        """Do what has to be done although nobody asks; a lock may pass, and it is done again soon."""
        pulse = self.pulse
        if pulse is not None and time.monotonic() >= self._pulsed + PULSE:
            self._pulsed = time.monotonic()
            if (operation := pulse()) is not None:
                with contextlib.suppress(sqlite3.Error, Undone):
                    commit(db, [Work(operation)])

    def _told(self, answers: list[Answer]) -> list[Answer]:
        """Set aside what must not be lost and failed all the same, to be tried again."""
        for answer in answers:
            if answer.failed and answer.work.kept:
                self._stuck.append(answer.work)
                self._waits = AGAIN
                self._again = time.monotonic() + AGAIN
            elif answer.work.then is not None:
                answer.work.then()
        return answers

    def _out_of_place(self, works: list[Work], why: str) -> tuple[list[Answer], list[Work]]:
        """Begin nothing in a file that nobody will find; what is known is kept in it while it has a name."""
        lost = self._place is not None and self._place.lost()
        on = [work for work in works if work.reads or (work.kept and not lost)]
        return [Answer(work, error=OSError(why)) for work in works if work not in on], on

    def _meanwhile(self, works: list[Work], error: Exception) -> tuple[list[Answer], list[Work]]:
        """Answer what can be answered while the file is locked, and what waited too long."""
        now = time.monotonic()
        answers = glances(self._db, [work for work in works if work.glance]) if self._db is not None else []
        over = {id(answer.work) for answer in answers}
        left = [work for work in works if id(work) not in over]
        late = OSError(f"the journal cannot be written: {error}")
        answers += [Answer(work, error=late) for work in left if now >= work.until]
        left = [work for work in left if work.kept or now < work.until]
        for work in left:
            work.until = work.until if now < work.until else float("inf")  # it was told once
        return answers, left

    def _fail(self, works: list[Work], error: BaseException) -> None:
        """Let everybody know that nothing was done; what must not be lost is tried again."""
        self._stuck += [work for work in works if work.kept]
        self._waits = AGAIN
        self._again = time.monotonic() + AGAIN
        tell([Answer(work, error=error) for work in works])

    def _opened(self) -> sqlite3.Connection:
        if Writer.crossed:
            raise OSError(Writer.crossed)
        try:
            return self._open()
        except (sqlite3.Error, OSError) as error:
            if busy(error):
                raise
            raise OSError(f"the journal cannot be opened: {error}") from None

    def _rescue(self, db: sqlite3.Connection) -> None:
        """Bring into the file what is only in a log that has no name any more, and close it."""
        log.error("what SQLite keeps beside the journal was taken away while it was open; never do that")
        with contextlib.suppress(sqlite3.Error):
            db.execute("PRAGMA wal_checkpoint(FULL)")
        self._shut()

    def _shut(self) -> None:
        db, self._db = self._db, None
        if db is not None:
            with contextlib.suppress(sqlite3.Error):
                db.close()
        if self._place is not None:  # afterwards: in one process, connections share what lies beside the file
            self._place.rest()


_EMPTY = queue.Empty
_writers: WeakSet[Writer] = WeakSet()


@atexit.register
def _finish() -> None:
    for writer in list(_writers):
        writer.finish()
