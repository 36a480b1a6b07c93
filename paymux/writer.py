"""One thread that owns a database: what is asked of it at one moment shares one commit."""

import asyncio
import contextlib
import queue
import sqlite3
import threading
from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

from .errors import PaymuxError

T = TypeVar("T")

BATCH = 512  # operations that share one commit, at most


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

    async def do(self, operation: Callable[[sqlite3.Connection], T]) -> T:
        """Run an operation, and return when it is durable."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[T] = loop.create_future()
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="paymux-journal", daemon=True)
            self._thread.start()
        self._queue.put(_Work(operation, loop, done))
        return await done

    async def aclose(self) -> None:
        """Finish what is queued, and end the thread."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._queue.put(None)
            await asyncio.get_running_loop().run_in_executor(None, thread.join)

    def _run(self) -> None:
        try:
            db = self._open()
        except (sqlite3.Error, OSError) as error:
            failure = OSError(f"the journal cannot be opened: {error}")
            while (work := self._queue.get()) is not None:
                _tell([_Answer(work, error=failure)])
            return
        closing = False
        while not closing:
            batch, closing = self._gather()
            if batch:
                _tell(_commit(db, batch))
        self._close(db)

    def _gather(self) -> tuple[list[_Work], bool]:
        batch: list[_Work] = []
        work = self._queue.get()
        with contextlib.suppress(queue.Empty):
            while work is not None:
                batch.append(work)
                if len(batch) == BATCH:
                    return batch, False
                work = self._queue.get_nowait()
            return batch, True
        return batch, False


def _commit(db: sqlite3.Connection, batch: list[_Work]) -> list[_Answer]:
    """Do all the work in one transaction; a refusal undoes one operation, a failing disk undoes them all."""
    answers: list[_Answer] = []
    try:
        db.execute("BEGIN IMMEDIATE")
        for work in batch:
            db.execute("SAVEPOINT work")
            try:
                answers.append(_Answer(work, work.do(db)))
            except PaymuxError as refusal:
                db.execute("ROLLBACK TO work")
                answers.append(_Answer(work, error=refusal))
            db.execute("RELEASE work")
        db.execute("COMMIT")
    except (sqlite3.Error, OSError) as error:
        with contextlib.suppress(sqlite3.Error):
            db.execute("ROLLBACK")
        failure = OSError(f"the journal cannot be written: {error}")
        return [_Answer(work, error=failure) for work in batch]
    return answers


def _tell(answers: list[_Answer]) -> None:
    for answer in answers:
        # A loop that is closed waits for nothing.
        with contextlib.suppress(RuntimeError):
            answer.work.loop.call_soon_threadsafe(_settle, answer)


def _settle(answer: _Answer) -> None:
    done = answer.work.done
    if done.done():
        return
    if answer.error is not None:
        done.set_exception(answer.error)
    else:
        done.set_result(answer.result)
