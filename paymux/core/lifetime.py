"""Whether a pool is open, and the loop that uses it: one at a time, one after another."""

import asyncio

from ..errors import UsageError
from ..primitives.forks import detect_fork, leave_to_parent
from .singleflight import InFlightLookups, InFlightOrders


class Lifetime:
    """From a pool's first use to its closing, as often as it is entered."""

    def __init__(self) -> None:
        self.loop: asyncio.AbstractEventLoop | None = None  # in which it was last used
        # of that loop
        self.in_flight_orders: InFlightOrders = {}
        self.in_flight_lookups: InFlightLookups = {}
        self.closed = False
        self._closings = 0  # those that have not ended yet

    def use(self) -> None:
        """Begin a use in the running loop.

        UsageError: it is closed, or in use by another loop that runs.
        """
        detect_fork()
        if self.closed:
            raise UsageError("pool: it is closed; enter it again with `async with`")
        if self.loop is not asyncio.get_running_loop():
            self._adopt()

    def enter(self, notifier_loop: asyncio.AbstractEventLoop | None) -> None:
        """Begin to open it, as `use`; a closed one stays closed until `closed` is unset."""
        detect_fork()
        self._adopt()
        if self.closed and self._closings:
            raise UsageError("pool: it is being closed; enter it again once `aclose` has returned")
        if self.closed and notifier_loop is self.loop:
            # That notifier holds the watches that were closed, and would hear of no end.
            raise UsageError("pool: its Notifier or Webhooks is still entered; leave that first")

    def _adopt(self) -> None:
        loop = asyncio.get_running_loop()
        if self.loop is loop:
            return
        if self.loop is not None and self.loop.is_running():
            raise UsageError("pool: it is in use by another running loop; make one pool per loop")
        self.loop = loop
        self.in_flight_orders, self.in_flight_lookups = {}, {}

    def begin_closing(self) -> None:
        """Close it: from now on each use is UsageError.

        UsageError: another loop that runs is using it.
        """
        loop = self.loop
        if loop is not None and loop is not asyncio.get_running_loop() and loop.is_running():
            raise UsageError("pool: it is in use by another running loop; close it there")
        self.closed = True
        self._closings += 1

    def end_closing(self) -> None:
        """Note that everything is closed."""
        self._closings -= 1

    def after_fork_in_child(self) -> None:
        """Forget the parent's loop in a forked child, its requests in flight and its closings."""
        leave_to_parent(self.in_flight_orders, self.in_flight_lookups)
        self.in_flight_orders, self.in_flight_lookups = {}, {}
        self.loop, self._closings = None, 0
