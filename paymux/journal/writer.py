"""One thread that owns a database: what is asked of it at one moment shares one commit."""

import asyncio
import contextlib
import queue
import sqlite3
import threading
import time
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias, TypeVar

from ..errors import PaymuxError

T = TypeVar("T")
Operation: TypeAlias = Callable[[sqlite3.Connection], None]

BATCH = 512  # operations that share one commit, at most
PULSE = 5.0  # seconds between looks at what must be seen to although nobody asks anything


class _Work(NamedTuple):
    do: Callable[[sqlite3.Connection], Any]
    loop: asyncio.AbstractEventLoop
    done: "asyncio.Future[Any]"


class _Answer(NamedTuple):
    work: _Work
    result: Any = None
    error: BaseException | None = None


class Writer:
    """Runs operations in its own thread, in order, each whole or not at all; what fails is an OSError."""

    def __init__(
        self, open: Callable[[], sqlite3.Connection], close: Callable[[sqlite3.Connection], None]
    ) -> None:
        self._open = open
        self._close = close
        self._queue: queue.SimpleQueue[_Work | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._closed = False
        self.pulse: Callable[[], Operation | None] | None = None  # asked now and then what is to be done
        self._pulsed = 0.0

    async def do(self, operation: Callable[[sqlite3.Connection], T]) -> T:
        """Run an operation, and return when it is durable; cancelled or not, it runs."""
        return await self._queued(operation)

    def later(self, operation: Callable[[sqlite3.Connection], None]) -> None:
        """Run an operation after those before it, and wait for nothing."""
        # Asked for its exception, so that asyncio does not report one that nobody retrieved.
        with contextlib.suppress(OSError):
            self._queued(operation).add_done_callback(lambda done: done.cancelled() or done.exception())

    def _queued(self, operation: Callable[[sqlite3.Connection], T]) -> "asyncio.Future[T]":
        if self._closed:
            raise OSError("the journal is closed")
        loop = asyncio.get_running_loop()
        done: asyncio.Future[T] = loop.create_future()
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="paymux-journal", daemon=True)
            self._thread.start()
        self._queue.put(_Work(operation, loop, done))
        return done

    async def aclose(self) -> None:
        """Finish what is queued, and end the thread for good."""
        # For good: a second thread would take from the queue of the first one, which would never see its end.
        self._closed = True
        thread, self._thread = self._thread, None
        if thread is not None:
            self._queue.put(None)
            await asyncio.get_running_loop().run_in_executor(None, thread.join)

    def _run(self) -> None:
        db: sqlite3.Connection | None = None
        closing = False
        while not closing:
            batch, closing = self._gather()
            try:
                db = db or (self._open() if batch else None)
            except (sqlite3.Error, OSError) as error:
                # The next operation tries again: a lock or a full disk may pass.
                failure = OSError(f"the journal cannot be opened: {error}")
                _tell([_Answer(work, error=failure) for work in batch])
                continue
            if db is not None and batch:
                _tell(_commit(db, batch))
            pulse = self.pulse
            if db is not None and pulse is not None and time.monotonic() >= self._pulsed + PULSE:
                self._pulsed = time.monotonic()
                if (operation := pulse()) is not None:
                    _do_alone(db, operation)
        if db is not None:
            self._close(db)

    def _gather(self) -> tuple[list[_Work], bool]:
        batch: list[_Work] = []
        with contextlib.suppress(queue.Empty):
            work = self._queue.get(timeout=PULSE if self.pulse is not None else None)
            while work is not None:
                batch.append(work)
                if len(batch) == BATCH:
                    return batch, False
                work = self._queue.get_nowait()
            return batch, True
        return batch, False


def _commit(db: sqlite3.Connection, batch: list[_Work]) -> list[_Answer]:
    """Do all the work in one transaction; what fails before it has changed anything fails alone."""
    answers: list[_Answer] = []
    try:
        db.execute("BEGIN IMMEDIATE")
        for work in batch:
            changes = db.total_changes
            try:
                answers.append(_Answer(work, work.do(db)))
            except Exception as error:  # noqa: BLE001 - a row that cannot be read must not end the thread
                # What is half done is undone with all the rest; savepoints would cost each work a third more.
                if db.total_changes != changes or not db.in_transaction:
                    raise OSError(str(error)) from None
                known = isinstance(error, PaymuxError | OSError)
                answers.append(_Answer(work, error=error if known else OSError(f"the journal: {error}")))
        db.execute("COMMIT")
    except (sqlite3.Error, OSError) as error:
        with contextlib.suppress(sqlite3.Error):
            db.execute("ROLLBACK")
        failure = OSError(f"the journal cannot be written: {error}")
        return [_Answer(work, error=failure) for work in batch]
    return answers


def _do_alone(db: sqlite3.Connection, operation: Operation) -> None:
    try:
        db.execute("BEGIN IMMEDIATE")
        operation(db)
        db.execute("COMMIT")
    except sqlite3.Error:  # a lock may pass: it is done again soon
        with contextlib.suppress(sqlite3.Error):
            db.execute("ROLLBACK")


def _tell(answers: list[_Answer]) -> None:
    for loop in {answer.work.loop for answer in answers}:
        # A loop that is closed waits for nothing.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(_settle_all, [answer for answer in answers if answer.work.loop is loop])


def _settle_all(answers: list[_Answer]) -> None:
    # Woken once for all: each wake-up is a byte through the loop's own socket.
    for answer in answers:
        _settle(answer)


def _settle(answer: _Answer) -> None:
    done = answer.work.done
    if done.done():
        return
    if answer.error is not None:
        done.set_exception(answer.error)
    else:
        done.set_result(answer.result)
