"""What `paymux.testing` costs a test run: the start of pytest, and a payment of two minutes.

Run: python -m benchmarks.bench_testing [--starts 15] [--payments 20] [--json FILE]

Start: `pytest --version` with the plugin and without it (`-p no:paymux`), in turn; the plugin may
add 15 ms to the median. Payment: a payer who takes 131 s, in virtual time, with a journal, watched
to the end, in process and over loopback sockets; the median may be 50 and 150 ms, no payment may
take above 500 ms, and each must end right. The first payment of a process is left out: it loads the
tables of telephone numbers. The exit code is 1 where a limit is passed.
"""

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from paymux import Pool, Status
from paymux.simulator import Simulator
from paymux.testing import charged_once, virtual_time

from .peers import spread

START_LIMIT = 15.0  # milliseconds
LIMITS = {"in process": 50.0, "over sockets": 150.0}  # milliseconds, of the median
WORST = 500.0
VERSION = (sys.executable, "-m", "pytest", "--version")


def start(*options: str) -> float:
    """Give the milliseconds of a start of pytest."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    began = time.perf_counter()
    subprocess.run([*VERSION, *options], env=kept, capture_output=True, check=True)
    return (time.perf_counter() - began) * 1000


async def payment(file: Path, *, sockets: bool) -> float:
    """Give the milliseconds of a payment of two minutes; a wrong end is an error."""
    began = time.perf_counter()
    async with virtual_time() as clock, AsyncExitStack() as stack:
        sim = Simulator(payer_delay=131.0)
        if sockets:
            await stack.enter_async_context(sim)
        connection = None if sockets else sim.connection
        pay = Pool(sim.driver("campay"), connection=connection, journal=file)
        await stack.enter_async_context(pay)
        asked = await pay.collect(
            "campay", amount=500, currency="XAF", payer="237677777777", reference="order-1"
        )
        ended = await pay.watch(asked, timeout=300)
        charged_once(sim, "order-1", 500)
        assert ended.status is Status.SUCCEEDED
        assert 131 <= clock.elapsed < 150
    return (time.perf_counter() - began) * 1000


def main() -> None:
    """Print the medians; exit 1 where a limit is passed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--starts", type=int, default=15)
    parser.add_argument("--payments", type=int, default=20)
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    start()
    starts = [(start(), start("-p", "no:paymux")) for _ in range(options.starts)]
    added = statistics.median(each for each, _ in starts)
    added -= statistics.median(each for _, each in starts)
    print(f"{added:7.1f} ms  added to a start of pytest (limit: {START_LIMIT})")
    said: dict[str, Any] = {"start_added_ms": added}
    passed = added > START_LIMIT
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(payment(Path(folder, "first.db"), sockets=False))
        for where, limit in LIMITS.items():
            files = [Path(folder, f"{where} {number}.db") for number in range(options.payments)]
            times = [asyncio.run(payment(file, sockets="over" in where)) for file in files]
            found = said[where] = spread(times)
            print(
                f"{found['median']:7.1f} ms  a payment of two minutes {where}, {found['max']:.0f} "
                f"at most, {len(times)} of {len(times)} right (limits: {limit}, {WORST})"
            )
            passed = passed or found["median"] > limit or found["max"] > WORST
    if options.json:
        options.json.write_text(json.dumps(said, indent=1) + "\n")
    sys.exit(passed)


if __name__ == "__main__":
    main()
