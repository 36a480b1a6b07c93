"""Exact sliding window for a provider's stated limit, and the queues of waiting requests."""

import asyncio
from collections import OrderedDict, deque
from typing import TypeAlias

Place: TypeAlias = "asyncio.Future[bool]"  # True: granted; False: Retry-After exceeds the deadline
# by order of arrival; any entry is found and removed in O(1)
Queue: TypeAlias = "OrderedDict[Place, int]"

AT_ONCE = 100  # requests in flight; each has a socket, and a process may often open only 1,024


class Window:
    """`count` requests per `seconds` as the provider counts them; at most 100 in flight.

    A request holds its slot from before it is sent until one window after its answer. Whenever the
    provider counted it in between, no window on its side holds more than `count`.
    """

    __slots__ = ("_ranks", "count", "done", "flying", "queues", "rate", "seconds")

    def __init__(self, stated: tuple[int, float] | None, ranks: int) -> None:
        self.count, self.seconds = stated or (0, 0.0)  # no count: the provider states no limit
        self.rate = self.count / self.seconds if self.count else float("inf")
        self.flying = 0
        self.done: deque[float] = deque()
        self._ranks = ranks
        self.begin(0.0)

    def begin(self, now: float) -> None:
        """Start with empty queues and no request in flight."""
        self.queues: tuple[Queue, ...] = tuple(OrderedDict() for _ in range(self._ranks))
        if self.count:
            self.done.extend([now] * self.flying)
        self.flying = 0

    def waits(self) -> bool:
        """Return whether any request waits."""
        return any(self.queues)

    def ahead(self, rank: int) -> int:
        """Count waiting requests that go before a new one of this rank."""
        return sum(map(len, self.queues[: rank + 1]))

    def room(self, now: float) -> int:
        """Return how many requests may be sent now."""
        free = AT_ONCE - self.flying
        return min(free, self._fit(now)) if self.count else free

    def _fit(self, now: float) -> int:
        """Return how many more requests fit into the window that ends now."""
        done = self.done
        while done and done[0] + self.seconds <= now:
            done.popleft()
        return self.count - self.flying - len(done)

    def next_at(self, now: float) -> float:
        """Return when a slot becomes free; infinite: only after an answer."""
        if self.room(now) > 0:
            return now
        return self.done[0] + self.seconds if self.done and self.flying < AT_ONCE else float("inf")

    def free_at(self, ahead: int, now: float) -> float:
        """Return the earliest time of the slot after `ahead` others.

        A request in flight holds its slot for one window more.
        """
        rounds, place = divmod(ahead, self.count)
        place -= max(0, self._fit(now))
        if place < len(self.done):
            now = self.done[place] if place >= 0 else now - self.seconds
        return now + self.seconds * (rounds + 1)
