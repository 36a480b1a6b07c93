"""How fast webhooks are read and confirmed, and how soon whoever watches hears of one.

Run: python -m benchmarks.bench_webhook [--quick] [--rounds 9] [--json FILE] [--plot FILE]

`read` is `pool.webhook` of a genuine message, signature and all, for every driver whose simulator
sends one. `confirm` is `pool.confirm` of what was read, with the provider's look-up answered at
once from memory: what it costs is ours. The rounds of all drivers take turns. `heard` is the time
from a payer's decision at the simulated provider until `async for payment in pool.watch(…)` has it:
the message, `paymux.webhooks` in aiohttp.web and the look-up all go over loopback sockets, in one
process. No poll is due meanwhile. The exit code is 1 where its median is 20 ms or more.
"""

import argparse
import asyncio
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

from aiohttp import web

from paymux import Event, Payment, Pool, Status, WebhookRequest
from paymux.drivers.base import Driver
from paymux.http import Connection, PreparedRequest, Response
from paymux.simulator import Simulator
from paymux.webhooks import Webhooks

from .peers import spread

KEY = "0123456789abcdef-hooks"
ORDERS = 90  # of each driver; the gateway takes 100 a minute
PAUSE = 1.1  # seconds: messages about one payment make us ask once a second at most
LIMIT = 20.0  # milliseconds
Row = dict[str, Any]


class Kept:
    """A connection that asks for each order once, and then answers from memory."""

    def __init__(self, real: Connection) -> None:
        self._real = real
        self._kept: dict[int, Response] = {}
        self.number = 0  # of the order that is asked for
        self.keeps = False

    async def exchange(self, outgoing: PreparedRequest) -> Response:
        """Answer from memory once that is wanted, else ask."""
        if self.keeps:
            outgoing.started = outgoing.sent = True
            return self._kept[self.number]
        self._kept[self.number] = await self._real.exchange(outgoing)
        return self._kept[self.number]

    def frames(self, outgoing: PreparedRequest) -> AsyncGenerator[str | bytes]:
        """Listen."""
        return self._real.frames(outgoing)

    async def aclose(self) -> None:
        """Let go of nothing: it is the simulator's."""


def order(driver: Driver, payer: str | None, number: int) -> dict[str, Any]:
    """Give an order that this driver takes."""
    wanted = {"description": "Data bundle", "return_url": "https://shop.example/back"}
    wanted |= {"cancel_url": "https://shop.example/left"}
    return {
        "amount": 1000,
        "currency": "XOF" if "XOF" in driver.currencies else min(driver.currencies),
        "reference": str(104_207 + number),
        "payer": None if driver.payer == "none" else payer,
        **{field: text for field, text in wanted.items() if field in driver.takes},
    }


class Desk:
    """One account, some orders that were paid, and the messages that said so."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.sim = Simulator()
        self.kept = Kept(self.sim.connection)
        self.driver = self.sim.driver(name)
        type(self.driver).limits = {}  # how fast we are, and not what a provider allows
        base = "https://shop.example/pay"
        self.pool = Pool(self.driver, connection=self.kept, webhook_base=base, webhook_key=KEY)
        provider: Any = self.sim.providers[name]
        if hasattr(provider, "webhook_url"):  # a setting of the account, where an order has none
            provider.webhook_url = self.pool.webhook_url(name)
        self.payer = next(iter(provider.numbers), None)
        self.messages: list[WebhookRequest] = []
        self.events: list[tuple[Event, Payment]] = []

    async def pay(self, orders: int) -> None:
        """Let the orders be paid, and confirm each once."""
        self.sim.on_webhook(self.messages.append)
        payments = []
        for number in range(orders):
            payments.append(
                await self.pool.collect(self.name, **order(self.driver, self.payer, number))
            )
            self.sim.settle(payments[-1].provider_reference or "", Status.SUCCEEDED)
        await asyncio.gather(*self.sim.core._tasks)  # the messages are out
        # CinetPay first asks whether anybody answers.
        self.messages = [
            message for message in self.messages if not self.pool.webhook(message).ping
        ]
        # In the order of their orders; else `confirm` refuses them.
        for number, (message, payment) in enumerate(zip(self.messages, payments, strict=False)):
            self.kept.number = number
            event = self.pool.webhook(message)
            assert (await self.pool.confirm(event, expected=payment)).status is Status.SUCCEEDED
            self.events.append((event, payment))
        self.kept.keeps = True

    async def aclose(self) -> None:
        """Close the pool."""
        await self.pool.aclose()
        await self.sim.core.aclose()

    def read(self) -> float:
        """Give how many messages a second are read."""
        webhook = self.pool.webhook
        began = time.perf_counter()
        for message in self.messages:
            webhook(message)
        return len(self.messages) / (time.perf_counter() - began)

    async def confirm(self) -> float:
        """Give how many events a second are confirmed."""
        confirm, kept = self.pool.confirm, self.kept
        began = time.perf_counter()
        for kept.number, (event, expected) in enumerate(self.events):
            await confirm(event, expected=expected)
        return len(self.events) / (time.perf_counter() - began)


async def speeds(rounds: int) -> list[Row]:
    """Give, for every driver, how many messages a second are read and confirmed."""
    desks, rows = [Desk(name) for name in Simulator().providers], []
    for desk in desks:
        await desk.pay(ORDERS)
    heard = [desk for desk in desks if desk.messages]
    found: dict[str, dict[str, list[float]]] = {
        desk.name: {"read": [], "confirm": []} for desk in heard
    }
    for _ in range(rounds):
        await asyncio.sleep(PAUSE)
        for desk in heard:
            found[desk.name]["read"].append(desk.read())
            found[desk.name]["confirm"].append(await desk.confirm())
    for desk in desks:
        await desk.aclose()
        if desk in heard:
            size = len(desk.messages[0].body or desk.messages[0].query)
            per_second = {what: spread(values) for what, values in found[desk.name].items()}
            rows.append({"driver": desk.name, "bytes": size, "per_second": per_second})
    return rows


async def heard(trials: int) -> list[float]:
    """Give the milliseconds from each payer's decision until the watch has it."""
    took: list[float] = []
    runner = web.AppRunner(web.Application())
    async with Simulator() as sim:
        driver = sim.driver("campay")
        port = 0

        async def paid(payment: Payment) -> None:
            assert payment.status is Status.SUCCEEDED

        async def front(request: web.Request) -> web.StreamResponse:
            return await hooks.aiohttp(request)

        runner.app.router.add_route("*", "/pay/{tail:.*}", front)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        port = runner.addresses[0][1]
        async with Pool(
            driver, webhook_base=f"http://127.0.0.1:{port}/pay", webhook_key=KEY
        ) as pool:
            sim.campay.webhook_url = pool.webhook_url("campay")
            hooks = Webhooks(pool, paid, lookup=lambda event: known(event, payments))
            payments: dict[str, Payment] = {}
            async with hooks:
                for number in range(trials):
                    payment = await pool.collect("campay", **order(driver, "237670000000", number))
                    payments[payment.provider_reference or ""] = payment
                    took.append(await one(pool, sim, payment))
    await runner.cleanup()
    return took


async def known(event: Event, payments: dict[str, Payment]) -> Payment | None:
    """Give the payment that an event is about."""
    return payments.get(event.claims.provider_reference or "")


async def one(pool: Pool, sim: Simulator, payment: Payment) -> float:
    """Decide one payment, and give the milliseconds until its watch has the end."""
    decided = 0.0
    asked = len(sim.received("campay", "GET"))

    async def decide() -> None:
        nonlocal decided
        await asyncio.sleep(0.02)  # the watch has begun, and sleeps
        decided = time.perf_counter()
        sim.settle(payment.provider_reference or "", Status.SUCCEEDED)

    deciding = asyncio.create_task(decide())
    async for found in pool.watch(payment, timeout=30):
        if found.status.terminal:
            took = (time.perf_counter() - decided) * 1000
    await deciding
    assert len(sim.received("campay", "GET")) - asked == 1, (
        "a poll was made beside the confirmation"
    )
    return took


def plot(rows: list[Row], path: str) -> None:
    """Draw the messages a second."""
    from matplotlib import pyplot as plt  # noqa: PLC0415 - of the bench extra

    figure, axes = plt.subplots(figsize=(8, 0.5 * len(rows) + 1.2), layout="constrained")
    for shift, what in ((-0.2, "read"), (0.2, "confirm")):
        places = [number + shift for number in range(len(rows))]
        axes.barh(
            places, [row["per_second"][what]["median"] for row in rows], height=0.4, label=what
        )
    axes.set_yticks(range(len(rows)), [row["driver"] for row in rows])
    axes.set_xlabel("messages a second")
    axes.invert_yaxis()
    axes.legend()
    figure.savefig(path)


async def main(arguments: argparse.Namespace) -> int:
    """Measure and print."""
    load = os.getloadavg()[0]
    print(
        f"{platform.python_version()}, {os.cpu_count()} cores, load {load:.2f}, "
        f"{arguments.rounds} rounds"
    )
    rows = await speeds(arguments.rounds)
    for row in rows:
        told = "   ".join(
            f"{what} {took['median']:7,.0f} a second ({took['min']:,.0f}-{took['max']:,.0f})"
            for what, took in row["per_second"].items()
        )
        print(f"{row['driver']:14} {row['bytes']:5} bytes   {told}")
    delays = await heard(arguments.trials)
    slowest = statistics.quantiles(delays, n=100)[98]
    median = statistics.median(delays)
    print(
        f"a decision is heard of in {median:.1f} ms by `async for`; 99 of 100 within {slowest:.1f},"
        f" {min(delays):.1f}-{max(delays):.1f} of {len(delays)}; {LIMIT:g} ms is the limit"
    )
    if arguments.json:
        said = {
            "load": load,
            "drivers": rows,
            "heard_ms": {**spread(delays), "p99": slowest, "limit": LIMIT},
        }
        arguments.json.write_text(json.dumps(said, indent=1) + "\n")
    if arguments.plot:
        plot(rows, arguments.plot)
    return 0 if median < LIMIT else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--quick", action="store_true", help="3 rounds and 50 decisions, instead of 300"
    )
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--plot", metavar="FILE")
    given = parser.parse_args()
    given.rounds = given.rounds or (3 if given.quick else 9)
    given.trials = 50 if given.quick else 300
    sys.exit(asyncio.run(main(given)))
