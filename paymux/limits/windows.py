"""A provider's stated limit, kept exactly, and the queues of those who wait for it."""

import asyncio
from collections import OrderedDict, deque
from typing import TypeAlias

Place: TypeAlias = "asyncio.Future[bool]"  # whether a place came, or the account was closed beyond the deadline
Queue: TypeAlias = "OrderedDict[Place, int]"  # by when they came; anyone is found and taken out at once

AT_ONCE = 100  # requests in flight, each with a socket, of which a process often has no more than 1,024


class Window:
    """`count` requests per `seconds`, exact as the provider sees it, and who waits for them; AT_ONCE at once.

    A request holds its place from before it leaves until a whole window after its answer: whenever it arrived
    in between, no window at the provider's end can hold more than `count`.
    """

    __slots__ = ("_ranks", "count", "done", "flying", "queues", "rate", "seconds")

    def __init__(self, stated: tuple[int, float] | None, ranks: int) -> None:
        self.count, self.seconds = stated or (0, 0.0)  # no count: nothing is stated
        self.rate = self.count / self.seconds if self.count else float("inf")
        self.flying = 0
        self.done: deque[float] = deque()
        self._ranks = ranks
        self.begin(0.0)

    def begin(self, now: float) -> None:
        """Begin with nobody in the queue, and nothing in flight."""
        self.queues: tuple[Queue, ...] = tuple(OrderedDict() for _ in range(self._ranks))
        if self.count:
            self.done.extend([now] * self.flying)
        self.flying = 0

    def waits(self) -> bool:
        """Tell whether anybody waits."""
        return any(self.queues)

    def ahead(self, rank: int) -> int:
        """Count who waits and goes before one of this rank that comes now."""
        return sum(map(len, self.queues[: rank + 1]))

    def room(self, now: float) -> int:
        """Tell how many requests may leave now."""
        free = AT_ONCE - self.flying
        return min(free, self._fit(now)) if self.count else free

    def _fit(self, now: float) -> int:
        """Tell how many requests fit into the window that ends now."""
        done = self.done
        while done and done[0] + self.seconds <= now:
            done.popleft()
        return self.count - self.flying - len(done)

    def next_at(self, now: float) -> float:
        """Tell when a place comes free; where that waits for an answer, nobody knows."""
        if self.room(now) > 0:
            return now
        return self.done[0] + self.seconds if self.done and self.flying < AT_ONCE else float("inf")

    def free_at(self, ahead: int, now: float) -> float:
        """Tell when the place behind so many comes at the earliest; one in flight holds it a window more."""
        rounds, place = divmod(ahead, self.count)
        place -= max(0, self._fit(now))
        if place < len(self.done):
            now = self.done[place] if place >= 0 else now - self.seconds
        return now + self.seconds * (rounds + 1)
