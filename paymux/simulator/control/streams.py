"""Server-sent events: what a stream is sent, how fast, and when it is dropped.

The format is https://html.spec.whatwg.org/multipage/server-sent-events.html.
"""

import asyncio
import contextlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

from aiohttp import web

from ...errors import UsageError
from ..world import World
from .events import Event, Events, Reader, encoded, events_of
from .headers import API
from .problems import Problem

if TYPE_CHECKING:
    from ..server import Simulator

EVENTS = "events"
MOST_STREAMS = 20
_COMMENT_SECONDS = 15.0
_WINDOW_SECONDS = 0.1
_MOST_IN_WINDOW = 20  # sent one by one; more are gathered into one batch
_MOST_IN_BATCH = 500
_SLOW_SECONDS = 5.0  # in which a reader takes nothing


async def serve_events(
    request: web.BaseRequest,
    sim: "Simulator",
    world: World,
    query: Mapping[str, str],
    shared: Mapping[str, str],
) -> web.StreamResponse:
    """Stream a world's events until the reader goes, is too slow, or the simulator ends."""
    events = events_of(world)
    after = _after(request, query)
    sim.streams -= {one for one in sim.streams if one.gone}
    if len(sim.streams) >= MOST_STREAMS:
        accepted = f"at most {MOST_STREAMS} streams at once"
        raise Problem(429, f"events: {accepted}", accepted=accepted, headers={"retry-after": "1"})
    headers = {**API, **shared, "content-type": "text/event-stream; charset=utf-8"}
    stream = Stream(request, web.StreamResponse(status=200, headers=headers), events)
    sim.streams.add(stream)
    world.core.guests += 1
    closing = asyncio.ensure_future(world.core.pause(None))
    pumping = asyncio.ensure_future(stream.pump(after))
    try:
        await asyncio.wait({closing, pumping}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (closing, pumping):
            task.cancel()
        await asyncio.gather(closing, pumping, return_exceptions=True)
        world.core.guests -= 1
        sim.streams.discard(stream)
    return stream.response


def _after(request: web.BaseRequest, query: Mapping[str, str]) -> int | None:
    """Return the number of the last event that the reader has had; None: it begins now."""
    written = request.headers.get("last-event-id") or query.get("after") or ""
    if written and not (written.isascii() and written.isdigit() and len(written) < 16):
        raise Problem.of(UsageError.field("after", written, "the id of an event, or nothing"))
    return int(written) if written else None


class Stream:
    """One reader of events; it is never waited for."""

    def __init__(
        self, request: web.BaseRequest, response: web.StreamResponse, events: Events
    ) -> None:
        self.response = response
        self._request = request
        self._events = events

    @property
    def gone(self) -> bool:
        """Whether the reader's connection has ended."""
        transport = self._request.transport
        return transport is None or transport.is_closing()

    async def pump(self, after: int | None) -> None:
        """Send what was missed, then each event, until the reader is gone or too slow."""
        events = self._events
        reader = Reader(events.last if after is None else after)
        events.readers.add(reader)
        try:
            with contextlib.suppress(OSError, asyncio.TimeoutError):
                await self._greet(reader)
                await self._follow(reader)
        finally:
            events.readers.discard(reader)
            if self._request.transport is not None:
                self._request.transport.abort()  # what it did not take is not waited for

    async def _greet(self, reader: Reader) -> None:
        lost = self._events.since(reader.cursor) is None
        await self.response.prepare(self._request)
        # With the number that the reader came with: a cut behind it must not lose the gap.
        hello = Event(reader.cursor, "hello", encoded("hello", {"last": self._events.last}))
        await self._write(b"retry: 1000\n\n" + hello.frame())
        if lost:
            reader.cursor = self._events.last
            await self._write(Event(reader.cursor, "gap", encoded("gap", {})).frame())

    async def _follow(self, reader: Reader) -> None:
        clock = asyncio.get_running_loop().time
        began, sent = clock(), 0
        while not self.gone:
            if not await self._news(reader, 1, _COMMENT_SECONDS):
                await self._write(b": still here\n\n")
                continue
            if clock() - began >= _WINDOW_SECONDS:
                began, sent = clock(), 0
            many = sent + self._events.last - reader.cursor > _MOST_IN_WINDOW
            if many:
                await self._news(reader, _MOST_IN_BATCH, began + _WINDOW_SECONDS - clock())
                began, sent = clock(), 0
            found = self._events.since(reader.cursor)
            if found is None:
                return  # it has fallen behind what is kept: it comes again, and gets a gap
            reader.cursor = self._events.last
            sent += 0 if many else len(found)
            await self._write(
                _batch(found).frame() if many else b"".join(one.frame() for one in found)
            )

    async def _news(self, reader: Reader, count: int, seconds: float) -> bool:
        """Wait until there are so many new events, or for so many seconds; return which."""
        reader.wake_at = reader.cursor + count
        if self._events.last < reader.wake_at and seconds > 0:
            reader.news.clear()
            with contextlib.suppress(asyncio.TimeoutError):
                async with asyncio.timeout(seconds):
                    await reader.news.wait()
        return self._events.last >= reader.wake_at

    async def _write(self, data: bytes) -> None:
        async with asyncio.timeout(_SLOW_SECONDS):
            await self.response.write(data)


def _batch(found: list[Event]) -> Event:
    """Join events into one, which has the number of the last."""
    inner = b",".join(one.data for one in found)
    data = encoded("batch", {})[:-1] + b',"events":[' + inner + b"]}"
    return Event(found[-1].id, "batch", data)
