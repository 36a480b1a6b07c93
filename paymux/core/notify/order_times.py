"""When an open order that is watched is looked up, and how much that weighs in the queue."""

import asyncio

from ...drivers.base import Pace
from ...watch import Schedule, lookup_key
from ..engine import Engine
from .watched_order import WatchedOrder, sparse_gap


class OrderTimes:
    """The times of one notifier's orders: as their pace says, and ever more seldom after that.

    `longest`: the seconds after which an order is left to a person.
    """

    def __init__(self, engine: Engine, longest: float) -> None:
        self._engine = engine
        self._schedules = engine.watch_registry.schedules
        self._longest = longest

    def pace(self, order: WatchedOrder) -> Pace:
        """Return when its driver would look an order up."""
        return self._engine.drivers[order.payment.account].pace(order.payment)

    def fixed(self, order: WatchedOrder) -> bool:
        """Return whether an order is looked up at fixed ages only."""
        return self._schedule(order).fixed

    def next(self, order: WatchedOrder) -> float:
        """Return the time of an order's next look-up, after one just now."""
        now = asyncio.get_running_loop().time()
        age, pace, end = now - order.born, self.pace(order), order.born + self._longest
        if age < pace.watch_timeout:
            key = lookup_key(order.payment, self._engine.drivers[order.payment.account])
            return self._schedules[pace].next_at(key, now, order.born, order.looked)
        return now + sparse_gap(age) if now >= end else min(now + sparse_gap(age), end)

    def first(self, order: WatchedOrder) -> float:
        """Return the time of an order's first look-up by this notifier."""
        now = asyncio.get_running_loop().time()
        due = order.born + self._schedule(order).next(max(now - order.born, 0.0), 0)
        return min(due, max(order.born + self._longest, now))

    def soon(self, order: WatchedOrder) -> float:
        """Return when an order that could not be asked for until now is looked up."""
        return self.first(order) if self.fixed(order) else asyncio.get_running_loop().time()

    def gap(self, order: WatchedOrder) -> int:
        """Return the seconds between look-ups at this age, which weigh it in the queue."""
        if order.looked:
            return max(round(order.due - order.asked), 1)
        age, pace = max(order.due - order.born, 0.0), self.pace(order)
        young = age < pace.watch_timeout
        gap = self._schedules[pace].next(age, 1) - age if young else sparse_gap(age)
        return max(round(gap), 1)

    def _schedule(self, order: WatchedOrder) -> Schedule:
        return self._schedules[self.pace(order)]
