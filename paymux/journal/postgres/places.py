"""The places of stated limits in PostgreSQL, whose workers may have to stop by themselves."""

from collections.abc import Callable
from typing import Any
from weakref import WeakSet

from ...limits import PlacesListener
from ..database import Database, Worker
from ..stored.places import StoredPlaces
from ..stored.unconfirmed import Do
from .life import LifeListener


class PostgresPlaces(StoredPlaces, LifeListener):
    """Places that a worker uses only while it can show that it lives."""

    def __init__(
        self, do: Do[Any], worker: Worker, grace: float, clock: Callable[[Database], float]
    ) -> None:
        super().__init__(do, worker, grace, clock)
        self._listeners: WeakSet[PlacesListener] = WeakSet()

    def listen(self, listener: PlacesListener) -> None:
        """Tell a pool when its worker is suspended or goes on."""
        self._listeners.add(listener)

    # In the thread of the worker's life.

    def on_suspended(self) -> None:
        """Stop: others may lend these places once the grace is over."""
        for one in list(self._listeners):
            one.suspend()

    def on_resumed(self) -> None:
        """Go on with those that no other worker was lent meanwhile."""
        for one in list(self._listeners):
            one.resume()
