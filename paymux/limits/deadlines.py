"""The deadlines of requests that wait for a slot."""

import heapq

from .sliding_window import Waiter, WaiterQueue


class Deadlines:
    """Waiting requests by their deadlines; those that wait no more are dropped in time."""

    __slots__ = ("_heap",)

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Waiter, WaiterQueue]] = []

    def note(
        self, deadline: float, number: int, waiter: Waiter, queue: WaiterQueue, waiting: int
    ) -> None:
        """Remember one, if it is finite; `number` orders equal ones, `waiting` counts requests."""
        if deadline < float("inf"):
            if len(self._heap) > 2 * waiting + 64:
                self._heap = [one for one in self._heap if not one[2].done()]
                heapq.heapify(self._heap)
            heapq.heappush(self._heap, (deadline, number, waiter, queue))

    def before(self, time: float) -> list[tuple[Waiter, WaiterQueue]]:
        """Remove and return the waiting requests whose deadline is before a time."""
        found = []
        while self._heap and self._heap[0][0] < time:
            _, _, waiter, queue = heapq.heappop(self._heap)
            if not waiter.done():
                found.append((waiter, queue))
        return found
