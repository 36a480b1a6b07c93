"""Measure what a cached token costs, and count the logins of concurrent first calls.

Run: python -m benchmarks.bench_tokens [--quick] [--rounds 15] [--json FILE] [--plot FILE] [--peers
FOLDER]

The cost of a cached token is the CPU time of this process for each `get`, minus the CPU time of
awaiting a coroutine that does nothing. Both are measured in turn, round by round. For the logins,
many first calls are made at the same time through the whole client: 1,000 verifies of paymux, and
50 of each other client. The server (benchmarks/loopback.py) answers after 20 ms and counts the
logins. The exit code is 1 if paymux logs in more than once.
"""

import argparse
import asyncio
import gc
import json
import os
import platform
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from paymux import CamPay, Pool
from paymux.drivers.base import Token
from paymux.primitives.redaction import Secret
from paymux.transport.tokens import TokenCache

from .loopback import Loopback
from .peers import FOLDER, OURS, PEERS, Worker, install, spread

GETS = 50_000  # in one measurement
CROWD = 1000
PEER_CROWD = 50
KEYED = {"easyswitch", "paydunya"}  # their providers use keys in each request, and no token


async def login() -> Token:
    """Return a token, without any provider."""
    await asyncio.sleep(0)
    return Token(Secret("simulator"), 3600.0)


async def nothing() -> None:
    """Do nothing."""


async def cpu_of(work: Callable[[], Awaitable[Any]], callers: int) -> float:
    """Return the seconds of CPU for one call of `work`, with `callers` tasks that call it."""

    async def caller() -> None:
        for _ in range(GETS // callers):
            await work()

    gc.collect()
    began = time.process_time()
    await asyncio.gather(*(caller() for _ in range(callers)))
    return (time.process_time() - began) / GETS


async def cached(rounds: int) -> list[dict[str, Any]]:
    """Return the nanoseconds of a cached `get`, for several numbers of callers."""
    driver = CamPay(username="simulator", password="simulator")
    cache = TokenCache(30.0)
    await cache.get(driver, login)
    rows: list[dict[str, Any]] = []
    for callers in (1, 1000, 10_000):
        added = []
        for _ in range(rounds):
            plain = await cpu_of(nothing, callers)
            added.append((await cpu_of(lambda: cache.get(driver, login), callers) - plain) * 1e9)
        rows.append({"callers": callers, "ns": spread(added)})
    await cache.aclose()
    return rows


async def cold(server: Loopback) -> int:
    """Return the number of logins of many first calls of paymux at the same time."""
    await server.reset()
    driver = CamPay(username="simulator", password="simulator", base_url=f"{server.url}/campay/api")
    async with Pool(driver) as pool:
        await asyncio.gather(
            *(pool.verify("campay", f"tx-order-{number}") for number in range(CROWD))
        )
    return (await server.summary())["logins"]


async def crowds(server: Loopback, names: list[str], folder: Path) -> list[dict[str, Any]]:
    """Return the number of logins of 50 first calls of each client at the same time."""
    rows: list[dict[str, Any]] = []
    for name in names:
        await server.reset()
        async with Worker(name, server.url, folder=folder) as worker:
            await worker.measure("verify", count=PEER_CROWD, at_once=PEER_CROWD, warm=0)
            logins = (await server.summary())["logins"]
            rows.append(
                {"client": name, "calls": PEER_CROWD, "logins": logins, "error": worker.error}
            )
    return rows


def plot(rows: list[dict[str, Any]], path: str) -> None:
    """Draw the number of logins of each client."""
    from matplotlib import pyplot as plt  # noqa: PLC0415 - of the bench extra

    figure, axes = plt.subplots(figsize=(8, 0.4 * len(rows) + 1.2), layout="constrained")
    axes.barh([row["client"] for row in rows], [row["logins"] for row in rows])
    axes.set_xlabel(f"logins made by {PEER_CROWD} first calls at once")
    axes.invert_yaxis()
    figure.savefig(path)


async def main(arguments: argparse.Namespace) -> int:
    """Measure and print; return 1 if paymux logs in more than once."""
    names = [*dict.fromkeys(OURS.values()), "hand/campay", *PEERS]
    names = [
        name
        for name in names
        if name not in KEYED and name not in ("paymux/cinetpay", "paymux/paydunya")
    ]
    refused = install([name for name in names if name in PEERS], arguments.peers)
    load = os.getloadavg()[0]
    print(f"{platform.python_version()}, {os.cpu_count()} cores, load {load:.2f}")
    gets = await cached(arguments.rounds)
    for row in gets:
        took = row["ns"]
        print(
            f"{row['callers']:7,} callers: a cached token costs {took['median']:6.0f} ns each"
            f" ({took['min']:.0f}-{took['max']:.0f}, {arguments.rounds} rounds)"
        )
    async with Loopback(latency_ms=20) as server:
        logins = await cold(server)
        print(f"{CROWD:7,} cold callers: {logins} login")
        rows = await crowds(
            server, [name for name in names if name not in refused], arguments.peers
        )
    for row in rows:
        print(
            f"{row['calls']:7} cold calls of {row['client']:16} {row['logins']:3} logins  "
            f"{row['error']}"
        )
    print("\n".join(f"{name}: {why}" for name, why in refused.items()), end="\n" if refused else "")
    if arguments.json:
        said = {
            "load": load,
            "cached": gets,
            "cold": {"callers": CROWD, "logins": logins},
            "crowds": rows,
        }
        arguments.json.write_text(json.dumps({**said, "refused": refused}, indent=1) + "\n")
    if arguments.plot:
        plot(rows, arguments.plot)
    ours = [row["logins"] for row in rows if row["client"].startswith("paymux")]
    return 0 if {logins, *ours} == {1} else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="5 rounds")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--plot", metavar="FILE")
    parser.add_argument("--peers", type=Path, default=FOLDER, metavar="FOLDER")
    given = parser.parse_args()
    given.rounds = given.rounds or (5 if given.quick else 15)
    sys.exit(asyncio.run(main(given)))
