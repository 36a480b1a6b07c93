"""Payments while the network to the journal's database is cut, swallows all, or loses answers."""

import asyncio
import contextlib
import json
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import asyncpg

from paymux import NotSent, Pool
from paymux.http import PreparedRequest, Response
from paymux.journal.postgres.address import Address

from ..clusters import Cluster
from ..postgres.proxy import Proxy
from ..toys import Keyless, Wire, answer

AT_ONCE = 6  # payments in flight
SETTLED_SECONDS = 30.0  # seconds after the last trouble within which everything must be written


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

    async with Proxy(server.port) as network:
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
            network.swallow = network.deaf = False
            until = time.monotonic() + SETTLED_SECONDS
            while not watch.seen.keys() >= returned.keys() and time.monotonic() < until:
                await asyncio.sleep(0.05)
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
    late = [watch.seen.get(one, float("inf")) - at for one, at in returned.items()]
    wrong, doubled = await _compared(server, schema, provider, returned)
    return Report(outcomes, troubles, wrong, doubled, max(late, default=0.0))


async def _storm(
    network: Proxy, server: Cluster, chance: random.Random, troubles: Counter[str], restarts: bool
) -> None:
    async def cut() -> None:
        network.cut()

    def again() -> None:
        server.stop()
        server.start()

    ways: dict[str, Callable[[], Awaitable[object]]] = {
        "cut": cut,
        "black hole": lambda: network.swallow_for(chance.uniform(0.2, 3.0)),
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
