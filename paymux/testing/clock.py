"""Virtual time: a test of two minutes takes some milliseconds, with a journal and over sockets.

What a test waits for is either a timer of its loop, or work outside the loop: a thread, a socket. A
timer may be brought forward, work may not: it takes the time it takes. So the clock moves to the
next timer if nothing can happen before it, and stands still while there is work.
"""

import asyncio
import selectors
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from math import inf, nextafter
from types import TracebackType
from typing import Any

from ..errors import UsageError
from ..journal import Writer
from ..primitives import clock

Ready = list[tuple[selectors.SelectorKey, int]]

# Real seconds. What one end of a loopback connection writes, the other one can mostly read at once;
# on a busy machine the system may take a moment.
SOCKET_SECONDS = 0.001
# Real seconds that the clock stands still for work that shows no progress: it may wait for a timer.
STILL_SECONDS = 1.0
# Real seconds in which a thread or a process that is not counted may still wake a loop without
# timers.
STUCK_SECONDS = 5.0
STUCK = (
    "virtual_time: nothing is left to happen, and the test still waits; what waits for a thread or "
    "a process that the clock cannot see needs `with clock.busy():`"
)
_LATE = 1e-9  # seconds


class VirtualClock:
    """The clock of a loop in virtual time; `virtual_time` makes it."""

    def __init__(self, loop: asyncio.SelectorEventLoop) -> None:
        self._loop = loop
        self._began = self._now = loop.time()
        self._wall = time.time()
        self._work: set[object] = set()
        self._patience = STILL_SECONDS
        inner: Any = loop
        self.selector: selectors.BaseSelector = inner._selector  # noqa: SLF001 - it has no other name
        self._select: Callable[[float | None], Ready] = self.selector.select
        self._task = asyncio.current_task()
        self.stuck: asyncio.Task[Any] | None = None  # the block's task, once nothing can wake it
        self._undo = ExitStack()

    @property
    def elapsed(self) -> float:
        """The virtual seconds since the block began."""
        return self._now - self._began

    @contextmanager
    def busy(self) -> Iterator[None]:
        """Let the clock stand still inside: for work that it cannot see.

        The journal's thread and `run_in_executor` are seen; a thread of your own or of anyio,
        another process and a connection to one are not. If such work lasts, the clock goes on at
        its real pace after a second, because the work itself may wait for a timer.
        """
        work = object()
        self._work.add(work)
        try:
            yield
        finally:
            self._work.discard(work)
            with suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(_nothing)  # it may wait in another thread

    def time(self) -> float:
        """Return the loop's time."""
        return self._now

    def wall_time(self) -> float:
        """Return what `time.time` returns."""
        return self._wall + self.elapsed

    def count(self, future: "asyncio.Future[Any]") -> "asyncio.Future[Any]":
        """Take a future as work until it is done, and return it."""
        self._work.add(future)
        future.add_done_callback(self._work.discard)
        return future

    def put(self, owner: Any, name: str, value: object) -> None:
        """Replace an attribute until `undo`."""
        if name in vars(owner):
            self._undo.callback(setattr, owner, name, vars(owner)[name])
        else:
            self._undo.callback(delattr, owner, name)
        setattr(owner, name, value)

    def undo(self) -> None:
        """Put back what was replaced, and let another block open."""
        _open.remove(self)
        self._undo.close()

    def is_left_open(self) -> bool:
        """Return whether its loop was closed inside the block, which nothing can leave any more."""
        return self._loop.is_closed()

    def run_on(self) -> None:
        """Let the loop's own clock go on from here, at its real pace: it never goes back."""
        loop: Any = self._loop
        own = partial(type(loop).time, loop)
        ahead = self._now - own()
        if ahead > 0.0:
            loop.time = lambda: own() + ahead

    def select(self, timeout: float | None = None) -> Ready:
        """Do what the loop's selector does for so many seconds, but move the clock."""
        ready = self._select(0)
        if ready or (timeout is not None and timeout <= 0):
            return ready
        if self._work:
            return self._beside_work(timeout)
        self._patience = STILL_SECONDS
        if timeout is None:
            return self._without_timers()
        # The loop's own pipe is always one; with sockets, something may be on its way.
        if len(self.selector.get_map()) > 1 and (ready := self._select(SOCKET_SECONDS)):
            return ready
        self._move(timeout)
        return []

    def _move(self, seconds: float) -> None:
        # A little late, as real clocks are: no rounding error makes a timer early. Where the clock
        # shows billions of seconds, as under freezegun, the next number is later than `_LATE`.
        self._now = nextafter(self._now + seconds + _LATE, inf)

    def _beside_work(self, timeout: float | None) -> Ready:
        ready = self._select(self._patience)
        if ready:
            self._patience = STILL_SECONDS
            return ready
        self._patience = 0.0
        ready = self._select(timeout)
        if not ready and timeout is not None:
            self._move(timeout)
        return ready

    def _without_timers(self) -> Ready:
        """Wait for what is not counted; if nothing comes, end the block with an error."""
        ready = self._select(STUCK_SECONDS)
        if not ready and self._task is not None and self._task.cancel():
            self.stuck = self._task
        elif not ready:
            raise AssertionError(STUCK)  # the block was entered by another task, which is over
        return ready


class virtual_time:  # noqa: N801 - it is used like a function: `async with virtual_time() as clock:`
    """Let no time pass: `async with virtual_time() as clock:` in a test.

    Inside, the loop's clock, `time.time` and the times of payments move on to the next timer as
    soon as nothing is left to do: `asyncio.sleep(120)` returns at once, 120 s later. The journal's
    thread and `run_in_executor` take their real time, and so do loopback connections between tasks
    of this loop; the rest is for `clock.busy()`. `clock.elapsed` is the virtual seconds so far.

    UsageError: the loop is no `asyncio.SelectorEventLoop` (uvloop is none), or a block is open
    already. AssertionError: the block waits for what can never come. After the block, `time.time`
    is the real one again; the loop's clock runs on from where it is, because it never goes back.
    """

    def __init__(self) -> None:
        self._clock: VirtualClock | None = None

    async def __aenter__(self) -> VirtualClock:
        loop = _checked_loop()
        for left in [one for one in _open if one.is_left_open()]:
            left.undo()
        if _open:
            raise UsageError("virtual_time: a block is open already; they cannot be nested")
        virtual = VirtualClock(loop)
        run, write = loop.run_in_executor, Writer.queued

        def counted_run(*given: Any, **named: Any) -> "asyncio.Future[Any]":
            return virtual.count(run(*given, **named))

        def counted_write(writer: "Writer[Any]", work: Any) -> "asyncio.Future[Any]":
            done = write(writer, work)
            return virtual.count(done) if done.get_loop() is loop else done

        virtual.put(loop, "time", virtual.time)
        virtual.put(loop, "run_in_executor", counted_run)
        virtual.put(virtual.selector, "select", virtual.select)
        virtual.put(time, "time", virtual.wall_time)
        virtual.put(clock, "monotonic", virtual.time)
        virtual.put(Writer, "queued", counted_write)
        _open.append(virtual)
        self._clock = virtual
        return virtual

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        virtual = self._clock
        if virtual is not None and virtual not in _open and virtual.is_left_open():
            return  # a later block has undone it
        if virtual is None or virtual not in _open:
            raise UsageError("virtual_time: this block is not open")
        virtual.undo()
        virtual.run_on()
        if virtual.stuck is None:
            return
        virtual.stuck.uncancel()
        if kind is None or not issubclass(kind, Exception):
            raise AssertionError(STUCK) from None


# The clock of the open block: one in this process, as `time.time` is one for all its threads.
_open: list[VirtualClock] = []


def _checked_loop() -> asyncio.SelectorEventLoop:
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        raise UsageError("virtual_time: no asyncio loop is running (trio's is none)") from None
    if not isinstance(loop, asyncio.SelectorEventLoop):
        raise UsageError(
            f"virtual_time: the clock of {type(loop).__module__}.{type(loop).__qualname__} cannot "
            "be moved; use asyncio's default loop, or another asyncio.SelectorEventLoop"
        )
    return loop


def _nothing() -> None:
    """Wake the loop."""
