"""Suspension: a worker that cannot show that it lives stops acting before another takes over."""

import asyncio
from collections.abc import Callable
from typing import Protocol

SUSPENDED = "this worker cannot show that it lives: its database has not confirmed it for too long"


class Suspension(Protocol):
    """Whether a worker may act for what only one worker may do."""

    @property
    def epoch(self) -> int:
        """Count the suspensions until now: equal at two moments, there was none in between."""
        ...

    @property
    def suspended(self) -> bool:
        """Return whether the worker may not act now, read from its clock at this moment."""
        ...

    def on_suspended(self, call: Callable[[], object]) -> Callable[[], None]:
        """Call this, in any thread, at each suspension; the returned function ends that."""
        ...


class Suspended(OSError):
    """A worker that is suspended takes nothing."""

    def __init__(self) -> None:
        super().__init__(SUSPENDED)


class Cancellation:
    """Cancels the body of an `async with` when its worker is suspended, as a time-out would."""

    def __init__(self, suspension: Suspension) -> None:
        if suspension.suspended:
            raise Suspended
        self._suspension = suspension
        self._epoch = suspension.epoch
        self._task: asyncio.Task[object] | None = None
        self._cancelling = 0
        self._fired = False
        self._stop: Callable[[], None] = lambda: None

    def begin(self) -> None:
        """Begin the body in this task; Suspended: it must not begin.

        A suspension since this object was made counts, too: what was granted meanwhile may have
        been granted to a worker that others think dead.
        """
        self._task = task = asyncio.current_task()
        self._cancelling = 0 if task is None else task.cancelling()
        loop = asyncio.get_running_loop()
        self._stop = self._suspension.on_suspended(lambda: loop.call_soon_threadsafe(self._cancel))
        if self._suspension.suspended or self._suspension.epoch != self._epoch:
            self.end(None)
            raise Suspended

    def end(self, kind: type[BaseException] | None) -> bool:
        """End the body; returns whether its error is this cancellation, and no other."""
        self._stop()
        task, self._task = self._task, None
        if not self._fired or task is None:
            return False
        ours = task.uncancel() <= self._cancelling
        return ours and kind is not None and issubclass(kind, asyncio.CancelledError)

    def _cancel(self) -> None:
        if self._task is not None and not self._fired:
            self._fired = True
            self._task.cancel()
