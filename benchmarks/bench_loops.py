"""Check that one global pool keeps no memory of finished event loops, in 10,000 `asyncio.run`.

Run: python -m benchmarks.bench_loops [--loops 10000] [--json FILE]

The loops use the pool in four ways, in turn, over new sockets to benchmarks/loopback.py: a verify,
a `verify_many` of two payments, a watch that times out, and a verify that is still running when the
loop ends. Measured are the resident set of the process, after a garbage collection, and the number
of event loops that are still in memory. Each part of a pool may keep a reference to the last loop.
The exit code is 1 if the resident set grows by more than 2 MiB after the first tenth of the loops,
or if more than four loops are left.
"""

import argparse
import asyncio
import contextlib
import gc
import json
import os
import platform
import sys
import weakref
from pathlib import Path
from typing import Any

from paymux import CamPay, Payment, Pool, WatchTimeout

from .loopback import Loopback

MOST = 2 << 20
# These parts of a pool keep a loop: the verbs, an account's limiter and watches, a deadline.
LEFT = 4
WAYS = 4

Loops = list["weakref.ref[asyncio.AbstractEventLoop]"]


async def use(pool: Pool, number: int) -> "weakref.ref[asyncio.AbstractEventLoop]":
    """Use the pool in a new event loop, in one of the four ways."""
    name = f"tx-{number}"
    match number % WAYS:
        case 0:
            await pool.verify("campay", name)
        case 1:
            await pool.verify_many([("campay", f"{name}-a"), ("campay", f"{name}-b")])
        case 2:
            waiting = Payment(account="campay", provider_reference=f"tx-wait-99-{number}")
            with contextlib.suppress(WatchTimeout):
                await pool.watch(waiting, timeout=0.001)
        case _:
            asyncio.create_task(pool.verify("campay", name)).add_done_callback(
                lambda task: task.cancelled()
            )
            await asyncio.sleep(0)
    return weakref.ref(asyncio.get_running_loop())


def resident() -> int:
    """Return the resident set, in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def measured(pool: Pool, loops: int) -> list[dict[str, int]]:
    """Run `loops` event loops, and return the memory in use after each tenth of them."""
    seen: Loops = []
    rows: list[dict[str, int]] = []
    for number in range(1, loops + 1):
        seen.append(asyncio.run(use(pool, number)))
        if number % max(loops // 10, 1) == 0:
            gc.collect()
            seen = [one for one in seen if one() is not None]
            rows.append({"loops": number, "resident": resident(), "left": len(seen)})
            print(
                f"{number:7,} loops {rows[-1]['resident'] / 1024:9,.0f} KiB, {len(seen)} left",
                flush=True,
            )
    return rows


def main() -> int:
    """Measure and print; return 1 if a limit is exceeded."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--loops", type=int, default=10_000, metavar="COUNT")
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    print(f"{platform.python_version()}, {os.cpu_count()} cores")
    server = Loopback()
    with asyncio.Runner() as runner:
        runner.run(server.__aenter__())
        pool = Pool(
            CamPay(username="simulator", password="simulator", base_url=f"{server.url}/campay/api")
        )
        rows = measured(pool, arguments.loops)
        runner.run(server.__aexit__(None, None, None))
    grown = rows[-1]["resident"] - rows[0]["resident"]
    broken = [
        name
        for name, wrong in (("grown", grown > MOST), ("left", rows[-1]["left"] > LEFT))
        if wrong
    ]
    print(f"grown by {grown / 1024:,.0f} KiB", *(f"BROKEN: {name}" for name in broken))
    if arguments.json:
        found: dict[str, Any] = {"grown": grown, "rows": rows}
        arguments.json.write_text(json.dumps(found, indent=1) + "\n")
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
