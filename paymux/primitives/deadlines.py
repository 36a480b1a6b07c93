"""The deadlines of many verbs with one timer: nearly all verbs end long before their deadline."""

import asyncio
from collections.abc import Iterator
from heapq import heapify, heappop, heappush
from itertools import count
from types import TracebackType
from typing import Self

NEVER = float("inf")


class Deadlines:
    """Deadlines for the tasks of one loop, like `asyncio.timeout_at`, at a fraction of its cost.

    `timeout_at` sets a timer for each, and the loop sorts its timers by comparisons in Python. Here
    thousands of verbs share one timer, set to the earliest deadline.
    """

    def __init__(self) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self._numbers: Iterator[int] = count()
        self._clear()

    def _clear(self) -> None:
        self._heap: list[tuple[float, int, Deadline]] = []  # includes some that have ended
        self._open = 0
        self._timer: asyncio.Handle | None = None
        self._rings = NEVER  # the time of the timer

    def until(self, when: float) -> "Deadline":
        """Return a context manager: TimeoutError ends its `with` block at this time of the loop."""
        return Deadline(self, when)

    def add(self, one: "Deadline") -> None:
        """Add a deadline."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:  # one loop after another: nothing of the last one still runs
            self._loop = loop
            self._clear()
        one.loop = loop
        self._open += 1
        if one.when < NEVER:
            heappush(self._heap, (one.when, next(self._numbers), one))
            if one.when < self._rings:
                self._arm(loop, one.when)

    def discard(self, one: "Deadline") -> None:
        """Remove a deadline; the last one cancels the timer."""
        if one.loop is not self._loop:
            return
        self._open -= 1
        if not self._open:
            if self._timer is not None:
                self._timer.cancel()
            self._clear()
        elif len(self._heap) > 2 * self._open + 64:
            self._heap = [entry for entry in self._heap if entry[2].runs]
            heapify(self._heap)

    def _arm(self, loop: asyncio.AbstractEventLoop, when: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        late = when <= loop.time()
        self._timer = (
            loop.call_soon(self._ring, loop) if late else loop.call_at(when, self._ring, loop)
        )
        self._rings = when

    def _ring(self, loop: asyncio.AbstractEventLoop) -> None:
        now = max(loop.time(), self._rings)  # a loop may call early by its clock's resolution
        self._timer, self._rings = None, NEVER
        while self._heap and (self._heap[0][0] <= now or not self._heap[0][2].runs):
            one = heappop(self._heap)[2]
            if one.runs:
                one.end()
        if self._heap:
            self._arm(loop, self._heap[0][0])


class Deadline:
    """A deadline: a `with` block in one task, which is cancelled at the given time."""

    __slots__ = ("_all", "_cancelling", "_passed", "_task", "loop", "runs", "when")
    loop: asyncio.AbstractEventLoop

    def __init__(self, all_: Deadlines, when: float) -> None:
        self._all = all_
        self.when = when
        self.runs = self._passed = False

    def __enter__(self) -> Self:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a deadline needs a task, which it can cancel")
        self._task, self._cancelling, self.runs = task, task.cancelling(), True
        self._all.add(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        frames: TracebackType | None,
    ) -> None:
        self.runs = False
        self._all.discard(self)
        # If other code cancels the task, too, CancelledError is raised, not TimeoutError.
        mine = self._passed and self._task.uncancel() <= self._cancelling
        del self._task  # the heap may hold this deadline for a while
        if mine and isinstance(error, asyncio.CancelledError):
            raise TimeoutError from error

    def end(self) -> None:
        """Cancel the task: the deadline has passed."""
        self._passed = True
        self._task.cancel()
