"""Exact sliding window for a provider's stated limit, and the queues of waiting requests."""

import asyncio
from collections import OrderedDict, deque
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from .borrower import Borrower

Waiter: TypeAlias = "asyncio.Future[bool]"  # True: granted; False: Retry-After exceeds the deadline
# by order of arrival; any entry is found and removed in O(1)
WaiterQueue: TypeAlias = "OrderedDict[Waiter, int]"

# requests in flight; each has a socket, and a process may often open only 1,024
MAX_IN_FLIGHT = 100


class SlidingWindow:
    """`count` requests per `seconds` as the provider counts them; at most 100 in flight.

    A request holds its slot from before it is sent until one window after its answer. Whenever the
    provider counted it in between, no window on its side holds more than `count`. Where workers
    share the limit, `count` is what this one holds of it, and `expected` what it may come to hold.
    """

    __slots__ = (
        "_ranks",
        "answered_at",
        "borrower",
        "count",
        "expected",
        "free_in",
        "in_flight",
        "low",
        "queues",
        "rate",
        "seconds",
        "stated",
    )

    def __init__(self, stated: tuple[int, float] | None, ranks: int) -> None:
        self.stated, self.seconds = stated or (0, 0.0)  # 0: the provider states no limit
        self.count = self.expected = self.stated
        self.rate = self.stated / self.seconds if self.stated else float("inf")
        self.low = 0  # with no more free slots than this, `borrower` is asked for more places
        self.borrower: Borrower | None = None  # of a shared limit
        self.free_in = 0.0  # seconds until a place is free, if all are those of ended workers
        self.in_flight = 0
        self.answered_at: deque[float] = deque()
        self._ranks = ranks
        self.reset(0.0)

    def reset(self, now: float) -> None:
        """Start with empty queues and no request in flight."""
        self.queues: tuple[WaiterQueue, ...] = tuple(OrderedDict() for _ in range(self._ranks))
        if self.stated:
            self.answered_at.extend([now] * self.in_flight)
        self.in_flight = 0

    def has_waiters(self) -> bool:
        """Return whether any request waits."""
        return any(self.queues)

    def ahead(self, rank: int) -> int:
        """Count waiting requests that go before a new one of this rank."""
        return sum(map(len, self.queues[: rank + 1]))

    def free_slots(self, now: float) -> int:
        """Return how many requests may be sent now."""
        free = MAX_IN_FLIGHT - self.in_flight
        return min(free, self._fit(now)) if self.stated else free

    def used(self, now: float) -> int:
        """Return how many requests the window that ends now holds."""
        return self.count - self._fit(now)

    def _fit(self, now: float) -> int:
        """Return how many more requests fit into the window that ends now."""
        done = self.answered_at
        while done and done[0] + self.seconds <= now:
            done.popleft()
        return self.count - self.in_flight - len(done)

    def next_at(self, now: float) -> float:
        """Return when a slot becomes free; infinite: only after an answer."""
        if self.free_slots(now) > 0:
            return now
        return (
            self.answered_at[0] + self.seconds
            if self.answered_at and self.in_flight < MAX_IN_FLIGHT
            else float("inf")
        )

    def free_at(self, ahead: int, now: float) -> float:
        """Return the earliest time of the slot after `ahead` others.

        A request in flight holds its slot for one window more. A place of another worker may come
        at any moment.
        """
        if not self.expected:
            return now + self.free_in
        rounds, position = divmod(ahead, self.expected)
        position -= max(0, self._fit(now)) + max(0, self.expected - self.count)
        if position < len(self.answered_at):
            now = self.answered_at[position] if position >= 0 else now - self.seconds
        return now + self.seconds * (rounds + 1)
