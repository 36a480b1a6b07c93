"""The newest events of one world, numbered, from which every stream reads at its own pace."""

import asyncio
from collections import deque
from typing import Any, NamedTuple

import msgspec

from ...primitives.clock import wall_time
from ..world import World
from . import rows

KEPT = 1000  # for streams that were cut


class Event(NamedTuple):
    """One event: its number, its word, and its JSON."""

    id: int
    type: str
    data: bytes

    def frame(self) -> bytes:
        """Write it as a server-sent event."""
        return b"id: %d\nevent: %s\ndata: %s\n\n" % (self.id, self.type.encode(), self.data)


class Reader:
    """A stream's place in the events; `news` is set once event number `wake_at` is there."""

    def __init__(self, cursor: int) -> None:
        self.cursor = cursor
        self.wake_at = cursor + 1
        self.news = asyncio.Event()


class Events:
    """The events of one world since something first asked for them."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._kept: deque[Event] = deque(maxlen=KEPT)
        self.readers: set[Reader] = set()
        # Higher than any number of a simulator before: a reader that comes back from it gets a gap.
        self.last = int(wall_time().timestamp() * 1000)
        world.core.observers.append(self)

    def since(self, cursor: int) -> list[Event] | None:
        """Return the events after this number; None: some of them are gone, or never were."""
        if cursor == self.last:
            return []
        count = self.last - cursor
        if not 0 <= count <= len(self._kept):
            return None
        return [self._kept[at] for at in range(len(self._kept) - count, len(self._kept))]

    def __call__(self, type: str, thing: Any) -> None:
        """Keep an event, and wake the streams that wait for it."""
        self.last += 1
        self._kept.append(Event(self.last, type, encoded(type, self._row(type, thing))))
        for reader in self.readers:
            if self.last >= reader.wake_at:
                reader.news.set()

    def _row(self, type: str, thing: Any) -> Any:
        ledger = self._world.ledger
        match type:
            case "payment":
                return rows.payment(thing)
            case "request":
                return rows.request(thing, ledger)
            case "delivery":
                return rows.delivery(thing, ledger)
            case "fault":
                return rows.fault(thing)
            case "settings":
                return self._world.settings()
        return {}


def encoded(type: str, row: Any) -> bytes:
    """Write an event's data: its word, its time, and the row."""
    fields = msgspec.structs.asdict(row) if isinstance(row, msgspec.Struct) else row
    return msgspec.json.encode({"type": type, "at": wall_time(), **fields})


def events_of(world: World) -> Events:
    """Return the events of a world; they are kept from the first call on."""
    for observer in world.core.observers:
        if isinstance(observer, Events):
            return observer
    return Events(world)
