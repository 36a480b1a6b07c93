"""Queues operations for the one thread that owns a database, from any event loop, in order."""

import asyncio
import atexit
import contextlib
import queue
import threading
import time
from collections.abc import Callable
from typing import Any, Generic, TypeVar
from weakref import WeakSet

from ...primitives.forks import ForkAware, detect_fork, register
from ..database import Operation
from ..work import LOCK_WAIT_SECONDS, RETRY_SECONDS, Runner, Work

T = TypeVar("T")
RunnerT = TypeVar("RunnerT", bound=Runner)


class Writer(ForkAware, Generic[RunnerT]):
    """Runs operations in a thread, in order, each whole or not at all; failures are OSError."""

    def __init__(self, make_runner: Callable[[], RunnerT]) -> None:
        self._make_runner = make_runner
        self._closed = False
        self.daily: Callable[[], None] = lambda: None  # called before each write
        self._started()
        register(self)
        _writers.add(self)

    def _started(self) -> None:
        self._queue: queue.SimpleQueue[Work | None] = queue.SimpleQueue()  # None: the end
        self.runner = self._make_runner()
        self._thread: threading.Thread | None = None
        self._ending: threading.Thread | None = None  # the thread that was asked to end

    async def do(
        self,
        operation: Operation[T],
        peek: Operation[Any] | None = None,
        after: Callable[[T], None] | None = None,
        undo: Callable[[T], Operation[Any]] | None = None,
    ) -> T:
        """Run an operation; returns when it is durable. It runs even if the caller is cancelled.

        While another program has the file locked, `peek(db)` may answer from what can be read, or
        WAIT. `after` gets the result in this loop once it is durable, also after a cancellation.
        `undo` gives, for the result, what takes it back: where it is durable and the caller had an
        error, because the answer was lost.
        """
        self.daily()
        result: T = await self.queued(Work(operation, peek=peek, after=after, undo=undo))
        return result

    async def read(self, operation: Operation[T], *, alone: bool = False) -> T:
        """Run an operation that only reads; possible while another program has the file locked.

        `alone`: its statements need not see the same moment.
        """
        work = Work(operation, peek=operation, read_only=True, alone=alone)
        result: T = await self.queued(work)
        return result

    async def keep(
        self,
        operation: Operation[T],
        then: Callable[[], None] | None = None,
        after: Callable[[T], None] | None = None,
    ) -> T:
        """Run an operation that must not be lost.

        After an error it is retried until it is durable. Then `then` is called in the journal's
        thread, and `after` with the result in this loop.
        """
        result: T = await self.queued(Work(operation, durable=True, then=then, after=after))
        return result

    def later(self, operation: Operation[None]) -> None:
        """Queue an operation that must not be lost, without waiting for it."""
        with contextlib.suppress(OSError):
            self.send(Work(operation, durable=True))

    def send(self, work: Work) -> None:
        """Queue an operation without waiting for it. OSError: it cannot be queued."""
        done = self.queued(work)
        # The exception is retrieved, so that asyncio does not report it as lost.
        done.add_done_callback(lambda done: done.cancelled() or done.exception())

    def queued(self, work: Work) -> "asyncio.Future[Any]":
        """Queue an operation for the thread; the future is done once it ran. OSError: it cannot."""
        detect_fork()
        if self._closed:
            raise OSError("the journal is closed")
        work.done = done = asyncio.get_running_loop().create_future()
        work.until = time.monotonic() + LOCK_WAIT_SECONDS
        try:
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self.runner.run,
                    args=(self._queue,),
                    name="paymux-journal",
                    daemon=True,
                )
                self._thread.start()
            self._queue.put(work)
        except (RuntimeError, MemoryError) as error:  # the process is ending, or has no memory left
            self._thread = None
            raise OSError(f"the journal's thread cannot be used: {error}") from None
        return done

    async def aclose(self) -> None:
        """Finish queued operations, within some seconds, and end the thread."""
        self._closed = True
        if self._thread is not None:
            self._ending, self._thread = self._thread, None
            self._queue.put(None)
        await self._has_ended()

    async def reopen(self) -> None:
        """Take operations again after `aclose`."""
        await self._has_ended()
        if self._closed:  # with a queue of its own: a second thread on one would starve the first
            self._started()
            self._closed = False

    async def _has_ended(self) -> None:
        if self._ending is not None and self._ending.is_alive():
            try:
                await asyncio.get_running_loop().run_in_executor(None, self._ending.join)
            except RuntimeError:  # closed by `atexit`: no thread begins any more
                self._ending.join()

    def finish(self) -> None:
        """Finish queued operations when the process ends without a closed pool."""
        self._closed = True
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join(LOCK_WAIT_SECONDS + RETRY_SECONDS)

    # Before and after a fork.

    def before_fork(self) -> None:
        """Close the database."""
        self.runner.rest()

    def after_fork_in_parent(self) -> None:
        """Let the thread continue."""
        self.runner.resume()

    def after_fork_in_child(self) -> None:
        """In the child, start without the parent's thread, queue, database and callers."""
        self.runner.leave()
        self._started()


_writers: WeakSet[Writer[Any]] = WeakSet()


@atexit.register
def _finish() -> None:
    for writer in list(_writers):
        writer.finish()
