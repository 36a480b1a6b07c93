"""Runs the coroutine of a command; SIGINT, SIGTERM and a closed terminal (SIGHUP) end it in order.

A second one ends it at once.

The handlers are the loop's, so they work also where a script started us with SIGINT ignored.
"""

import asyncio
import os
import signal
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar

T = TypeVar("T")


class Stopped(Exception):
    """The command was ended by a signal; `exit` is 129 (SIGHUP), 130 (SIGINT) or 143."""

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.exit = 128 + number


class Stopping:
    """What a first signal does to a command: it is cancelled, but not inside `finishing()`."""

    def __init__(self) -> None:
        self.number: int | None = None
        self._held = 0
        self._task: asyncio.Task[Any] | None = None

    @contextmanager
    def finishing(self) -> Iterator[None]:
        """Let what is inside end before a first signal ends the command: money on the wire."""
        self._held += 1
        try:
            yield
        finally:
            self._held -= 1
            self._cancel()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine; Stopped: a signal ended it."""
        with asyncio.Runner() as runner:
            try:
                return runner.run(self._guarded(work))
            except asyncio.CancelledError:
                if self.number is None:
                    raise
                raise Stopped(self.number) from None
            finally:
                work.close()  # a signal before its first step left it unstarted

    async def _guarded(self, work: Coroutine[Any, Any, T]) -> T:
        loop = asyncio.get_running_loop()
        self._task = asyncio.current_task()
        hangup = getattr(signal, "SIGHUP", None)  # Windows has none
        ignored = hangup is None or signal.getsignal(hangup) is signal.SIG_IGN  # by nohup
        for number in (signal.SIGINT, signal.SIGTERM, *(() if ignored else (hangup,))):
            with suppress(NotImplementedError, ValueError, RuntimeError):
                loop.add_signal_handler(number, self._told, number)
        try:
            return await work
        finally:
            self._task = None

    def _told(self, number: int) -> None:
        if self.number is not None:
            os._exit(128 + number)  # the second: nothing is waited for
        self.number = number
        self._cancel()

    def _cancel(self) -> None:
        if self.number is not None and not self._held and self._task is not None:
            self._task.cancel()


def ask_line(question: Callable[[], None]) -> "asyncio.Future[str]":
    """Read a line of the terminal without blocking the loop, so that Ctrl-C is heard meanwhile."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[str] = loop.create_future()

    def read() -> None:
        loop.remove_reader(0)
        if not answer.done():
            answer.set_result(os.read(0, 4096).decode(errors="replace").strip())

    question()
    loop.add_reader(0, read)
    answer.add_done_callback(lambda _: loop.remove_reader(0))
    return answer
