"""The stream of events: nothing is lost, also when it is cut, and no reader is waited for."""

import asyncio
import contextlib
import random
from datetime import timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest

from paymux.models import Status
from paymux.primitives.clock import wall_time
from paymux.simulator import Fault, Simulator
from paymux.simulator.control import streams
from paymux.simulator.control.events import KEPT, events_of

from .asking import CAMPAY, ask, collect, until
from .controlling import api, events


async def order(sim: Simulator, reference: str) -> None:
    """Collect by CamPay in process."""
    await ask(sim, "POST", "/campay/api/collect/", collect(reference=reference), headers=CAMPAY)


async def test_each_thing_that_happens_is_an_event() -> None:
    """A payment, request, webhook, fault, setting and reset come with their rows."""
    async with Simulator() as sim, events(sim) as stream:
        [hello] = await stream.next()
        assert (hello["type"], str(hello["last"])) == ("hello", stream.last)
        sim.on_webhook(lambda incoming: None)
        sim.campay.webhook_url = "http://127.0.0.1:1/told"
        sim.fault("campay", "POST /api/collect/", kind=Fault.HTML)
        await order(sim, "order-1")
        sim.settle("order-1", Status.SUCCEEDED)
        await until(lambda: sim.deliveries and sim.deliveries[0].ms is not None)
        sim.change(latency=0)
        sim.reset()
        got: list[Any] = []
        while not got or got[-1]["type"] != "reset":
            got += await stream.next()
        assert [one["type"] for one in got] == [
            *("fault", "fault", "payment", "payment", "request", "payment", "delivery"),
            *("settings", "reset"),
        ]
        assert int(stream.last) - hello["last"] == len(got)
        rows = {one["type"]: one for one in got}
        assert rows["payment"]["status"] == "succeeded"
        assert (rows["request"]["path"], rows["request"]["status"]) == ("/api/collect/", 200)
        assert (rows["delivery"]["status"], rows["delivery"]["reference"]) == (200, "order-1")
        assert (rows["fault"]["kind"], rows["fault"]["times"], rows["fault"]["fired"]) == (
            "html",
            0,
            1,
        )
        assert rows["settings"]["campay"]["webhook_url"] == "http://127.0.0.1:1/told"
        assert all(one["at"] for one in got)


async def test_a_stream_says_how_to_come_back() -> None:
    """It begins with the pause before a new try, and is not cached or sniffed."""
    async with Simulator() as sim:
        reader, writer = await asyncio.open_connection("127.0.0.1", urlsplit(sim.url).port)
        host = urlsplit(sim.url).netloc
        writer.write(f"GET /_paymux/events HTTP/1.0\r\nHost: {host}\r\n\r\n".encode())
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        assert b"content-type: text/event-stream" in head
        assert b"cache-control: no-store" in head
        assert await reader.readuntil(b"\n\n") == b"retry: 1000\n\n"
        writer.close()


async def test_a_quiet_stream_is_kept_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    """A comment comes again and again, so that a dead connection is noticed."""
    monkeypatch.setattr(streams, "_COMMENT_SECONDS", 0.01)
    async with Simulator() as sim, events(sim) as stream:
        await stream.next()
        assert await stream.reader.readuntil(b"\n\n") == b": still here\n\n"
        assert await stream.reader.readuntil(b"\n\n") == b": still here\n\n"
        await order(sim, "order-1")
        assert (await stream.next())[0]["type"] == "payment"


async def test_a_stream_cut_fifty_times_loses_nothing() -> None:
    """Each event comes once and in order to a reader that is cut at any byte and comes back."""
    chance = random.Random(7)
    async with Simulator() as sim:
        last, got, made = str(events_of(sim).last), list[str](), 0
        for cut in range(50):
            async with events(sim, last_event_id=last) as stream:
                await stream.next()
                for _ in range(chance.randrange(1, 8)):
                    made += 1
                    await order(sim, f"order-{made}")
                if cut % 3:  # else it is cut before it has read anything
                    while stream.last != str(events_of(sim).last):
                        got += _opened(await stream.next())
                        last = stream.last
                        if chance.random() < 0.3:
                            break
                if chance.random() < 0.5 and stream.writer.transport is not None:
                    stream.writer.transport.abort()
            made += 1
            await order(sim, f"order-{made}")  # while it is away
        async with events(sim, last_event_id=last) as stream:
            while stream.last != str(events_of(sim).last):
                got += _opened(await stream.next())
        assert "gap" not in stream.words
    assert got == [f"order-{number}" for number in range(1, made + 1)]


def _opened(found: list[Any]) -> list[str]:
    """Return the references of the requests among events."""
    return [one["reference"] for one in found if one["type"] == "request"]


async def test_a_reader_that_was_away_too_long_gets_a_gap() -> None:
    """It loads the lists again; so does one whose number a new simulator has not reached."""
    async with Simulator() as sim:
        first = events_of(sim).last
        for number in range(KEPT // 3 + 2):
            await order(sim, f"order-{number}")
        for last in ("0", str(first), str(first + 10**6)):
            async with events(sim, last_event_id=last) as stream:
                assert [(await stream.next())[0]["type"] for _ in range(2)] == ["hello", "gap"]
                assert stream.last == str(events_of(sim).last)
        async with events(sim, path=f"/_paymux/events?after={events_of(sim).last - 1}") as stream:
            assert [(await stream.next())[0]["type"] for _ in range(2)] == ["hello", "request"]


async def test_many_events_come_as_one() -> None:
    """Above 20 in 100 ms one batch is sent, with all of them in order."""
    async with Simulator() as sim, events(sim) as stream:
        await stream.next()
        for number in range(200):
            await order(sim, f"order-{number}")
        got: list[Any] = []
        while len(got) < 600:
            got += await stream.next()
        assert _opened(got) == [f"order-{number}" for number in range(200)]
        assert "batch" in stream.words
        assert len(stream.words) < 60


async def test_twenty_streams_at_most() -> None:
    """One more is 429, and one that was closed makes room at once."""
    async with Simulator() as sim:
        async with contextlib.AsyncExitStack() as stack:
            opened = [
                await stack.enter_async_context(events(sim)) for _ in range(streams.MOST_STREAMS)
            ]
            assert (await api(sim, "GET", "events")).status == 429
            opened[0].writer.close()
            await until(lambda: any(one.gone for one in sim.streams))
            async with events(sim) as stream:
                assert (await stream.next())[0]["type"] == "hello"
        world = sim.world("t1")
        async with events(sim, path="/w/t1/_paymux/events") as stream:
            await stream.next()
            assert world.core.busy


async def test_a_slow_reader_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    """One that takes nothing is cut off; the others and the payments do not wait for it."""
    monkeypatch.setattr(streams, "_SLOW_SECONDS", 0.05)
    async with Simulator() as sim, events(sim) as slow, events(sim) as quick:
        await slow.next()
        await quick.next()
        reading: Any = slow.writer.transport
        reading.pause_reading()
        number = 0
        async with asyncio.timeout(60):
            while len(sim.streams) == 2:
                number += 1
                await order(sim, f"order-{number}" * 100)
                if number % 20 == 0:
                    await quick.next()
        assert not next(iter(sim.streams)).gone


async def test_the_end_of_the_simulator_ends_every_stream() -> None:
    """A reader sees the end, and nothing is left running."""
    sim = Simulator()
    async with contextlib.AsyncExitStack() as stack:
        async with sim:
            stream = await stack.enter_async_context(events(sim))
            await stream.next()
        with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
            await stream.next()
    assert sim.streams == set()


async def test_a_new_simulator_is_not_taken_for_the_old_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A reader that comes back to the port after a restart gets a gap, however much happened."""
    async with Simulator() as sim:
        events_of(sim)
        for number in range(20):
            await order(sim, f"order-{number}")
        last = str(events_of(sim).last)
    later = wall_time() + timedelta(seconds=1)
    monkeypatch.setattr("paymux.simulator.control.events.wall_time", lambda: later)
    async with Simulator() as sim:
        events_of(sim)
        for number in range(20):
            await order(sim, f"order-{number}")
        async with events(sim, last_event_id=last) as stream:
            assert [(await stream.next())[0]["type"] for _ in range(2)] == ["hello", "gap"]
