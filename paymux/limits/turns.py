"""Whose turn it is: the order in which the waiting requests of an account are sent."""

import enum

from .sliding_window import SlidingWindow, WaiterQueue

# one of so many slots that would pass an earlier request goes to the oldest one
OLDEST_FIRST_EVERY = 10


class Priority(enum.IntEnum):
    """The order in which waiting requests of an account are sent."""

    MONEY = 0
    NOW = 1  # a caller waits for this answer
    WATCH = 2
    BULK = 3
    HINT = 4  # caused by a message about an unknown payment


class Turns:
    """Chooses among the queues of an account's windows: the most urgent one, but not always.

    Every tenth slot that would pass an older request goes to the oldest one, so bulk and hints do
    not wait for ever, and get no more than that.
    """

    def __init__(self, windows: tuple[SlidingWindow, ...]) -> None:
        self._windows = windows
        self._passed = 0

    def choose(self, now: float) -> tuple[SlidingWindow, WaiterQueue] | None:
        """Return the queue that is next, and its window; None: no request may be sent now."""
        heads = [
            (rank, next(iter(queue.values())), window, queue)
            for window in self._windows
            if window.has_waiters() and window.free_slots(now) > 0
            for rank, queue in enumerate(window.queues)
            if queue
        ]
        if not heads:
            return None
        chosen, oldest = min(heads, key=lambda head: head[:2]), min(heads, key=lambda head: head[1])
        if chosen is not oldest:
            self._passed += 1
            if self._passed >= OLDEST_FIRST_EVERY:
                chosen, self._passed = oldest, 0
        return chosen[2:]
