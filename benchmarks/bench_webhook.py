"""Measure how fast webhooks are read and confirmed, and how soon a watch gets their payment.

Run: python -m benchmarks.bench_webhook [--quick] [--rounds 9] [--json FILE] [--plot FILE]

`read` is `pool.webhook` of a genuine message, with its signature, for every driver whose simulator
sends messages. `confirm` is `pool.confirm` of the same event; the provider's look-up is answered
from memory, so that only the cost of paymux is measured. The rounds of all drivers take turns. Both
are messages per second. The last line is the time in milliseconds from a payer's decision at the
simulated provider until `async for payment in pool.watch(…)` yields it: the message,
`paymux.webhooks` in aiohttp.web and the look-up use loopback sockets in one process, and no poll is
due in that time. The exit code is 1 if its median is 20 ms or more.
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
PAUSE = 1.1  # seconds: messages about one payment cause at most one look-up a second
LIMIT = 20.0  # milliseconds
Row = dict[str, Any]


class Kept:
    """A connection that sends the look-up of each order once, and then answers from memory."""

    def __init__(self, real: Connection) -> None:
        self._real = real
        self._kept: dict[int, Response] = {}
        self.number = 0  # of the order that is looked up
        self.keeps = False

    async def exchange(self, outgoing: PreparedRequest) -> Response:
        """Answer from memory if `keeps` is set; otherwise send the request."""
        if self.keeps:
            outgoing.started = outgoing.sent = True
            return self._kept[self.number]
        self._kept[self.number] = await self._real.exchange(outgoing)
        return self._kept[self.number]

    def frames(self, outgoing: PreparedRequest) -> AsyncGenerator[str | bytes]:
        """Yield the frames of the real connection."""
        return self._real.frames(outgoing)

    async def aclose(self) -> None:
        """Close nothing: the connection belongs to the simulator."""


def order(driver: Driver, payer: str | None, number: int) -> dict[str, Any]:
    """Return an order that this driver accepts."""
    wanted = {"description": "Data bundle", "return_url": "https://shop.example/back"}
    wanted |= {"cancel_url": "https://shop.example/left"}
    return {
        "amount": 1000,
        "currency": "XOF" if "XOF" in driver.own_currencies else min(driver.own_currencies),
        "reference": str(104_207 + number),
        "payer": None if driver.payer == "none" else payer,
        **{field: text for field, text in wanted.items() if field in driver.takes},
    }


class Desk:
    """One account with some paid orders, and the messages about them."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.sim = Simulator()
        self.kept = Kept(self.sim.connection)
        self.driver = self.sim.driver(name)
        type(self.driver).limits = {}  # measure our speed, not the provider's limit
        base = "https://shop.example/pay"
        self.pool = Pool(self.driver, connection=self.kept, webhook_base=base, webhook_key=KEY)
        provider: Any = self.sim.providers[name]
        if hasattr(provider, "webhook_url"):  # a URL of the account, not of an order
            provider.webhook_url = self.pool.webhook_url(name)
        self.payer = next(iter(provider.numbers), None)
        self.messages: list[WebhookRequest] = []
        self.events: list[tuple[Event, Payment]] = []

    async def pay(self, orders: int) -> None:
        """Pay the orders, and confirm each once."""
        self.sim.on_webhook(self.messages.append)
        payments = []
        for number in range(orders):
            payments.append(
                await self.pool.collect(self.name, **order(self.driver, self.payer, number))
            )
            self.sim.settle(payments[-1].provider_reference or "", Status.SUCCEEDED)
        await asyncio.gather(*self.sim.core._tasks)  # all messages have been sent
        # CinetPay first sends a GET without content, to check that the URL answers.
        self.messages = [
            message for message in self.messages if not self.pool.webhook(message).ping
        ]
        # The messages are in the order of the payments; otherwise `confirm` refuses them.
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
        """Return the messages read per second."""
        webhook = self.pool.webhook
        began = time.perf_counter()
        for message in self.messages:
            webhook(message)
        return len(self.messages) / (time.perf_counter() - began)

    async def confirm(self) -> float:
        """Return the events confirmed per second."""
        confirm, kept = self.pool.confirm, self.kept
        began = time.perf_counter()
        for kept.number, (event, expected) in enumerate(self.events):
            await confirm(event, expected=expected)
        return len(self.events) / (time.perf_counter() - began)


async def speeds(rounds: int) -> list[Row]:
    """Return the messages read and confirmed per second, for every driver."""
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
    """Return the milliseconds from each payer's decision until the watch yields it."""
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
    """Return the stored payment of an event."""
    return payments.get(event.claims.provider_reference or "")


async def one(pool: Pool, sim: Simulator, payment: Payment) -> float:
    """Settle one payment, and return the milliseconds until its watch yields the end."""
    decided = 0.0
    asked = len(sim.received("campay", "GET"))

    async def decide() -> None:
        nonlocal decided
        await asyncio.sleep(0.02)  # the watch has started, and sleeps
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
    """Draw the messages per second."""
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
    """Measure and print; return 1 if a watch gets the end too late."""
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
        f"`async for` yields a decision after {median:.1f} ms; 99 of 100 within {slowest:.1f},"
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
