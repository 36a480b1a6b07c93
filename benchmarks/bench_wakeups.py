"""Measure wake-ups over PostgreSQL: from a webhook in one process to `async for` in eight others.

Run: python -m benchmarks.bench_wakeups [--listeners 8] [--rate 100] [--seconds 10] [--rounds 5]
     [--json FILE]

A server of its own runs on a loopback port, with `fsync` on.

* delay: one process confirms messages at the given rate, and every other process watches each of
  these payments. The delay is the time from the arrival of the message to the end of `async for`,
  by the machine's monotonic clock; a look-up of a watch is a minute away. "of it the wake-up" is
  the part after the end was recorded: the rest is what a message costs its own worker.
* cuts: the same, while a TCP proxy cuts all connections of the listeners once a second.
* throughput: orders are made and confirmed, 100 at once, without listeners and with; rounds
  alternate.

The exit code is 1 if the 99th percentile of the delay is above 20 ms, if a watch did not end within
a few seconds, cuts included, or if the throughput with listeners is below 0.95 of that without.
"""

import argparse
import asyncio
import json
import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from paymux import Payment, Pool
from tests.campaigns.wakeups import Listener, at_rate, collected, confirm, listeners, pool
from tests.clusters import Cluster, cluster
from tests.postgres.proxy import Proxy

LATE_SECONDS = 5.0  # seconds within which a watch ends in any case


class Delays:
    """The delays of the watches in other processes, in seconds."""

    def __init__(self) -> None:
        self.whole: list[float] = []
        self.woken: list[float] = []  # since the end was recorded
        self.lost = 0

    async def measure(
        self, pay: Pool, others: Sequence[Listener], payments: Sequence[Payment], rate: float
    ) -> None:
        """Confirm a message about each payment, and wait for the watches."""
        recorded = _announced(pay)
        await asyncio.gather(*(one.watch(payments) for one in others))
        came = await at_rate(pay, payments, rate)
        for ends in await asyncio.gather(*(one.ended(LATE_SECONDS) for one in others)):
            self.whole += [at - came[reference] for reference, at in ends.items()]
            self.woken += [at - recorded[reference] for reference, at in ends.items()]
        self.lost = len(payments) * len(others) - len(self.whole)


def _announced(pay: Pool) -> dict[str, float]:
    """Return the times at which ends were announced, by their references."""
    recorded: dict[str, float] = {}
    journal = pay.internals.engine.store.require_journal()
    news: Any = journal.wakeups
    announce = news.announce

    def noted(payment: Payment) -> None:
        recorded.setdefault(payment.reference or "", time.monotonic())
        announce(payment)

    news.announce = noted
    return recorded


def shown(name: str, found: Delays) -> dict[str, Any]:
    """Print and return the figures of one case."""
    figures: dict[str, Any] = {"lost": found.lost}
    for part, delays in (("", found.whole), ("woken ", found.woken)):
        at = sorted(delays)
        figures[f"{part}median"], figures[f"{part}p99"] = (
            at[int(len(at) * share)] * 1000 for share in (0.5, 0.99)
        )
        figures[f"{part}longest"] = at[-1] * 1000
    print(
        f"{name:6} median {figures['median']:6.1f} ms  p99 {figures['p99']:6.1f} ms  "
        f"longest {figures['longest']:6.1f} ms; of it the wake-up "
        f"{figures['woken median']:6.1f}, {figures['woken p99']:6.1f} and "
        f"{figures['woken longest']:6.1f} ms; {len(found.whole) + found.lost} watches, "
        f"{found.lost} lost",
        flush=True,
    )
    return figures


async def delay(server: Cluster, options: argparse.Namespace, number: int) -> dict[str, Any]:
    """Measure the delay in undisturbed operation."""
    url = server.url(f"delay{number}")
    async with pool(url) as pay, listeners([url] * options.listeners) as others:
        payments = await collected(pay, "order", round(options.rate * options.seconds))
        found = Delays()
        await found.measure(pay, others, payments, options.rate)
        return shown("delay", found)


async def cuts(server: Cluster, options: argparse.Namespace) -> dict[str, Any]:
    """Count lost watches while the connections of the listeners are cut."""
    url = server.url("cuts")
    async with Proxy(server.port) as proxy:
        through = url.replace(f":{server.port}/", f":{proxy.port}/")
        async with pool(url) as pay, listeners([through] * options.listeners) as others:
            payments = await collected(pay, "order", round(options.rate * options.seconds))
            cutting = asyncio.create_task(_cut(proxy))
            found = Delays()
            try:
                await found.measure(pay, others, payments, options.rate)
            finally:
                cutting.cancel()
            return shown("cuts", found)


async def _cut(proxy: Proxy) -> None:
    while True:
        await asyncio.sleep(1.0)
        proxy.cut()


async def throughput(pay: Pool, prefix: str, rounds: int = 10) -> float:
    """Return how many payments are made and confirmed in a second, 100 at once."""
    began = time.monotonic()
    for number in range(rounds):
        payments = await collected(pay, f"{prefix}-{number}", 100)
        await asyncio.gather(*(confirm(pay, payment) for payment in payments))
    return 100 * rounds / (time.monotonic() - began)


async def compare(server: Cluster, options: argparse.Namespace) -> dict[str, Any]:
    """Compare the throughput with and without listeners, in rounds that alternate."""
    url = server.url("throughput")
    found: dict[str, list[float]] = {"without": [], "with": []}
    async with pool(url) as pay:
        await throughput(pay, "warm", 2)
        for number in range(options.rounds):
            found["without"].append(await throughput(pay, f"without-{number}"))
            async with listeners([url] * options.listeners) as others:
                watched = await collected(pay, f"watched-{number}", 100)
                await asyncio.gather(*(one.watch(watched) for one in others))
                found["with"].append(await throughput(pay, f"with-{number}"))
    medians = {name: statistics.median(rates) for name, rates in found.items()}
    ratio = medians["with"] / medians["without"]
    print(
        f"throughput without {medians['without']:.0f}/s, with {medians['with']:.0f}/s: {ratio:.2f}"
    )
    return {**medians, "ratio": ratio}


async def measured(options: argparse.Namespace) -> dict[str, Any]:
    """Run all cases over one server."""
    with cluster() as server:
        rounds = [await delay(server, options, number) for number in range(options.rounds)]
        p99 = statistics.median(one["p99"] for one in rounds)
        print(f"p99, median of {options.rounds} runs: {p99:.1f} ms")
        return {
            "delay": rounds,
            "p99": p99,
            "cuts": await cuts(server, options),
            "throughput": await compare(server, options),
        }


def main() -> None:
    """Measure, print, and exit 1 where a bound is missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--listeners", type=int, default=8)
    parser.add_argument("--rate", type=float, default=100.0)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    found = asyncio.run(measured(options))
    if options.json is not None:
        options.json.write_text(json.dumps(found, indent=1))
    lost = sum(one["lost"] for one in (*found["delay"], found["cuts"]))
    sys.exit(found["p99"] > 20.0 or lost > 0 or found["throughput"]["ratio"] < 0.95)


if __name__ == "__main__":
    main()
