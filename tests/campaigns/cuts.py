"""Payments while the network to the journal's database is cut, swallows all, or loses answers."""

import asyncio
import contextlib
import json
import random
import socket
import struct
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple, Self

import asyncpg

from paymux import NotSent, Pool
from paymux.http import PreparedRequest, Response
from paymux.journal.postgres.address import Address

from ..clusters import Cluster
from ..toys import Keyless, Wire, answer

AT_ONCE = 6  # payments in flight
SETTLED_SECONDS = 30.0  # seconds after the last trouble within which everything must be written


class Network:
    """A way to a server on loopback, which can be troubled while connections use it."""

    def __init__(self, port: int) -> None:
        self._there = port
        self._ways: set[tuple[asyncio.StreamWriter, asyncio.StreamWriter]] = set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._open = asyncio.Event()  # cleared: no byte goes through, and nothing is closed
        self._open.set()
        self._deaf = False  # what the server says is lost

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def cut(self) -> None:
        """Reset every connection."""
        for way in tuple(self._ways):
            for writer in way:
                wire = writer.get_extra_info("socket")
                with contextlib.suppress(OSError):
                    wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()

    async def swallow(self, seconds: float) -> None:
        """Let no byte through for a while, also of new connections."""
        self._open.clear()
        await asyncio.sleep(seconds)
        self._open.set()

    async def lose_answers(self, seconds: float) -> None:
        """Let the server hear everything and say nothing, and then reset every connection."""
        self._deaf = True
        await asyncio.sleep(seconds)
        await self.cut()
        self._deaf = False

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            await self._open.wait()
            there, back = await asyncio.open_connection("127.0.0.1", self._there)
            way = (writer, back)
            self._ways.add(way)
            pumps = [
                asyncio.create_task(self._pump(reader, back, answers=False)),
                asyncio.create_task(self._pump(there, writer, answers=True)),
            ]
            try:
                await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for pump in pumps:
                    pump.cancel()
                await asyncio.gather(*pumps, return_exceptions=True)
                self._ways.discard(way)
                back.close()
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            writer.close()

    async def _pump(
        self, source: asyncio.StreamReader, sink: asyncio.StreamWriter, *, answers: bool
    ) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65536):
                await self._open.wait()
                if not (answers and self._deaf):
                    sink.write(data)
                    await sink.drain()
            await self._open.wait()


class Report(NamedTuple):
    """How a campaign ended."""

    outcomes: Counter[str]
    troubles: Counter[str]
    wrong: list[str]  # rows that say another thing than the provider
    doubled: list[str]  # facts that are written twice
    latest: float  # the most seconds from a payment's return until its answer was durable

    def __str__(self) -> str:
        return (
            f"{sum(self.outcomes.values())} payments, {dict(self.outcomes)}, troubles "
            f"{dict(self.troubles)}: {len(self.wrong)} wrong rows, {len(self.doubled)} doubled "
            f"facts, answers durable at most {self.latest:.1f} s after the return"
        )


class Provider:
    """A provider that takes some milliseconds, and knows what it was asked to charge."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self.charged: Counter[str] = Counter()

    async def __call__(self, outgoing: PreparedRequest) -> Response:
        reference = str(_body(outgoing)["reference"])
        await asyncio.sleep(self._chance.uniform(0.001, 0.03))
        self.charged[reference] += 1
        await asyncio.sleep(self._chance.uniform(0.001, 0.03))
        return answer(id=f"id-{reference}", status="WAIT", reference=reference)


def _body(outgoing: PreparedRequest) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(outgoing.body or b"{}")
    return found


class _Watch:
    """When each answer was first seen in the database, past the troubled network."""

    def __init__(self, server: Cluster, schema: str) -> None:
        self._server = server
        self._schema = schema
        self.seen: dict[str, float] = {}

    async def __call__(self) -> None:
        while True:
            with contextlib.suppress(Exception):  # a server that restarts
                url = Address(self._server.url(self._schema)).url.reveal()
                connection = await asyncpg.connect(url, timeout=5)
                try:
                    while True:
                        rows = await connection.fetch(
                            f"SELECT reference FROM {self._schema}.payments"  # noqa: S608
                            " WHERE state = 'accepted'"
                        )
                        for (reference,) in rows:
                            self.seen.setdefault(reference, time.monotonic())
                        await asyncio.sleep(0.05)
                finally:
                    connection.terminate()
            await asyncio.sleep(0.05)


async def cuts(
    server: Cluster, schema: str, count: int, seed: int, *, restarts: bool = False
) -> Report:
    """Make payments in a troubled network, and compare what is kept with what was charged."""
    chance = random.Random(seed)
    provider, outcomes, returned = Provider(random.Random(seed + 1)), Counter[str](), {}
    troubles: Counter[str] = Counter()
    gate = asyncio.Semaphore(AT_ONCE)

    async with Network(server.port) as network:
        url = server.url(schema).replace(f":{server.port}/", f":{network.port}/")
        watch = _Watch(server, schema)
        async with Pool(Keyless(), connection=Wire(provider), journal=url, deadline=60) as pay:

            async def charge(number: int) -> None:
                reference = f"order-{number}"
                async with gate:
                    try:
                        await pay.collect(
                            "keyless", amount=500, currency="XAF", reference=reference
                        )
                        outcomes["returned"] += 1
                        returned[reference] = time.monotonic()
                    except NotSent:
                        outcomes["not sent"] += 1

            watching = asyncio.create_task(watch())
            storm = asyncio.create_task(_storm(network, server, chance, troubles, restarts))
            try:
                await asyncio.gather(*(charge(number) for number in range(count)))
            finally:
                storm.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await storm
            network._open.set()
            network._deaf = False
            until = time.monotonic() + SETTLED_SECONDS
            while not watch.seen.keys() >= returned.keys() and time.monotonic() < until:
                await asyncio.sleep(0.05)
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
    late = [watch.seen.get(one, float("inf")) - at for one, at in returned.items()]
    wrong, doubled = await _compared(server, schema, provider, returned)
    return Report(outcomes, troubles, wrong, doubled, max(late, default=0.0))


async def _storm(
    network: Network, server: Cluster, chance: random.Random, troubles: Counter[str], restarts: bool
) -> None:
    def again() -> None:
        server.stop()
        server.start()

    ways: dict[str, Callable[[], Awaitable[object]]] = {
        "cut": network.cut,
        "black hole": lambda: network.swallow(chance.uniform(0.2, 3.0)),
        "lost answers": lambda: network.lose_answers(chance.uniform(0.01, 0.2)),
    }
    weights = [10, 2, 8]
    if restarts:
        ways["restart"] = lambda: asyncio.shield(asyncio.to_thread(again))
        weights.append(1)
    while True:
        await asyncio.sleep(chance.uniform(0.05, 0.5))
        (name,) = chance.choices(list(ways), weights)
        troubles[name] += 1
        await ways[name]()


async def _compared(
    server: Cluster, schema: str, provider: Provider, returned: dict[str, float]
) -> tuple[list[str], list[str]]:
    connection = await asyncpg.connect(Address(server.url(schema)).url.reveal())
    try:
        rows = await connection.fetch(
            f"SELECT reference, state, payment FROM {schema}.payments"  # noqa: S608
        )
        facts = await connection.fetch(
            f"""SELECT reference, source, count(*) FROM {schema}.facts
                GROUP BY reference, source HAVING count(*) > 1"""  # noqa: S608
        )
    finally:
        await connection.close()
    states = {row["reference"]: row["state"] for row in rows}
    wrong = [
        f"{reference}: charged {count} times, and {states.get(reference)}"
        for reference, count in provider.charged.items()
        if count > 1 or states.get(reference) != "accepted" or reference not in returned
    ]
    wrong += [
        f"{reference}: {state}, and never charged"
        for reference, state in states.items()
        if not provider.charged[reference] and state != "not_sent"
    ]
    return wrong, [f"{row[0]}: {row[1]} {row[2]} times" for row in facts]
