"""Measure the time and memory of `verify_many` for 1,000, 10,000 and 100,000 references.

It also counts requests that were not needed.

Run: python -m benchmarks.bench_bulk [--quick] [--rounds 3] [--at-once 50] [--json FILE] [--plot
FILE]

Each run has its own process, so that its memory can be measured. CamPay references from a generator
are verified by `async for` over sockets, on a server in another process (benchmarks/loopback.py)
that counts the requests for each reference. Runs of all sizes, with and without uvloop, take turns,
round by round. Memory is the resident set in MiB: after a warm-up of 1,000 other references, and
the maximum during the run. The own cost of bulk is the CPU time of this process for look-ups that
do nothing, minus the CPU time of plain workers that make the same number of look-ups.

The exit code is 1 if memory grows by more than 20 MiB from the smallest size to the largest, if a
reference of the largest size costs more than 1.5 times a reference of the size before, or if a
request was not needed.
"""

import argparse
import asyncio
import gc
import importlib.util
import json
import os
import platform
import resource
import statistics
import sys
import time
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path
from typing import Any

from paymux import CamPay, Payment, Pool
from paymux.bulk.bulk import Bulk
from paymux.http import PreparedRequest, Response
from paymux.limits import Priority

from .loopback import ROOT, Loopback
from .peers import spread

SIZES = (1_000, 10_000, 100_000)
QUICK = (500, 2_000, 8_000)
GROWTH = 20.0  # MiB
LINEAR = 1.5  # a busy machine gives 1.2; quadratic growth would give 10
OWN = 20_000  # look-ups that do nothing, in one measurement


def resident() -> float:
    """Return the resident memory of this process, in MiB."""
    try:
        pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
        return pages * resource.getpagesize() / 2**20
    except OSError:  # not Linux: the maximum so far, in KiB, or on macOS in bytes
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (
            2**20 if sys.platform == "darwin" else 2**10
        )


def references(name: str, count: int) -> Iterator[tuple[str, str]]:
    """Return `count` different references."""
    return (("campay", f"tx-{name}-{number}") for number in range(count))


async def once(url: str, count: int, at_once: int) -> dict[str, Any]:
    """Verify `count` references in this process, and return what that cost."""
    server = Loopback()
    server.url = url
    driver = CamPay(username="simulator", password="simulator", base_url=f"{url}/campay/api")
    async with Pool(driver) as pool:
        await Bulk(pool, references("warm", 1_000), at_once)
        await server.reset()
        gc.collect()
        memory, good = [resident()], 0
        cpu, began = time.process_time(), time.perf_counter()
        async with Bulk(pool, references("order", count), at_once) as items:
            async for item in items:
                good += item.payment is not None
                if item.index % 500 == 499:
                    memory.append(resident())
        wall, cpu = time.perf_counter() - began, time.process_time() - cpu
        asked = await server.summary()
    assert good == count
    return {
        "wall": wall,
        "cpu": cpu,
        "memory": memory,
        "vain": asked["looks"]
        - asked["asked"]
        + asked["after_terminal"]
        + abs(asked["asked"] - count),
        "logins": asked["logins"],
    }


def child(arguments: argparse.Namespace) -> None:
    """Run once in this process, and print the cost as JSON."""
    factory = None
    if arguments.loop == "uvloop":
        import uvloop  # noqa: PLC0415 - of the bench extra

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        print(json.dumps(runner.run(once(arguments.url, arguments.one, arguments.at_once))))


async def spawn(url: str, loop: str, count: int, at_once: int) -> dict[str, Any]:
    """Run once in a new process."""
    told = ["--one", str(count), "--loop", loop, "--url", url, "--at-once", str(at_once)]
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "benchmarks.bench_bulk",
        *told,
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    if process.returncode:
        raise SystemExit(f"a run of {count} on {loop} failed")
    found: dict[str, Any] = json.loads(out)
    return found


class Nobody:
    """A connection that is never used."""

    async def exchange(self, outgoing: PreparedRequest) -> Response:
        """Fail: no request is expected."""
        raise AssertionError

    async def frames(self, outgoing: PreparedRequest) -> AsyncGenerator[str | bytes]:
        """Yield nothing."""
        return
        yield

    async def aclose(self) -> None:
        """Do nothing."""


async def own_cost(rounds: int, at_once: int) -> dict[str, float]:
    """Return the microseconds of CPU that bulk adds to each look-up of a plain worker."""
    driver = CamPay(username="simulator", password="simulator")
    pool = Pool(driver, connection=Nobody())
    engine = pool._engine

    async def look(payment: Payment, *_: object) -> Payment:
        await asyncio.sleep(0)
        return payment

    engine.look_up = look  # type: ignore[method-assign,assignment] # the look-up itself is not measured

    async def bare() -> None:
        items = references("own", OWN)

        async def work() -> None:
            for account, reference in items:
                asked = Payment(account=account, provider_reference=reference)
                await engine.look_up(asked, None, Priority.BULK, "bulk")

        await asyncio.gather(*(work() for _ in range(at_once)))

    async def bulk() -> None:
        async with Bulk(pool, references("own", OWN), at_once) as items:
            async for _ in items:
                pass

    added = []
    for _ in range(rounds):
        took = []
        for way in (bare, bulk):
            gc.collect()
            began = time.process_time()
            await way()
            took.append(time.process_time() - began)
        added.append((took[1] - took[0]) / OWN * 1e6)
    await pool.aclose()
    return spread(added)


def summed(runs: list[dict[str, Any]], loop: str, count: int) -> dict[str, Any]:
    """Return the figures of all rounds of one size."""
    return {
        "loop": loop,
        "references": count,
        "per_second": spread(count / run["wall"] for run in runs),
        "cpu_us": spread(run["cpu"] / count * 1e6 for run in runs),
        "start_mib": statistics.median(run["memory"][0] for run in runs),
        "most_mib": statistics.median(max(run["memory"]) for run in runs),
        "vain": sum(run["vain"] for run in runs),
        "logins": max(run["logins"] for run in runs),
    }


def verdict(rows: list[dict[str, Any]], loop: str) -> dict[str, Any]:
    """Return how memory and time grew with the size, for one event loop."""
    mine = [row for row in rows if row["loop"] == loop]
    return {
        "loop": loop,
        "growth_mib": mine[-1]["most_mib"] - mine[0]["most_mib"],
        "linear": mine[-1]["cpu_us"]["median"] / mine[-2]["cpu_us"]["median"],
        "linear_wall": mine[-2]["per_second"]["median"] / mine[-1]["per_second"]["median"],
        "vain": sum(row["vain"] for row in mine),
    }


def plot(longest: dict[str, list[float]], path: str) -> None:
    """Draw the memory during the longest runs."""
    import matplotlib as mpl  # noqa: PLC0415 - of the bench extra

    mpl.use("agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415 - after the backend is set

    figure, axes = plt.subplots(figsize=(7, 3.5), layout="constrained")
    for loop, memory in longest.items():
        axes.plot([number * 500 for number in range(len(memory))], memory, label=loop)
    axes.set(xlabel="references verified", ylabel="resident memory, MiB", ylim=(0, None))
    axes.legend(frameon=False)
    figure.savefig(path)


def show(row: dict[str, Any]) -> None:
    """Print one row of the table."""
    rate, cpu = row["per_second"], row["cpu_us"]
    print(
        f"{row['loop']:8}{row['references']:9,}  "
        f"{rate['median']:6.0f} ({rate['min']:.0f}-{rate['max']:.0f}) a second"
        f"  {cpu['median']:5.0f} ({cpu['min']:.0f}-{cpu['max']:.0f}) us CPU each"
        f"  {row['start_mib']:6.1f} MiB, most {row['most_mib']:6.1f}"
        f"  {row['vain']} not needed, {row['logins']} further logins"
    )


async def main(arguments: argparse.Namespace) -> int:
    """Measure and print; return 1 if a limit is exceeded."""
    sizes = QUICK if arguments.quick else SIZES
    loops = ["asyncio", *(["uvloop"] if importlib.util.find_spec("uvloop") else [])]
    load = os.getloadavg()[0]
    print(
        f"{platform.python_version()}, {os.cpu_count()} cores, load {load:.2f}, "
        f"{arguments.at_once} at once"
    )
    own = await own_cost(arguments.rounds * 3, arguments.at_once)
    print(f"bulk's own cost: {own['median']:.1f} ({own['min']:.1f}-{own['max']:.1f}) us CPU each")
    runs: dict[tuple[str, int], list[dict[str, Any]]] = {}
    async with Loopback() as server:
        for number in range(arguments.rounds):
            for count in sizes:
                # One run of 100,000 is as exact as all rounds of the other sizes.
                if number and count == SIZES[-1]:
                    continue
                for loop in loops:
                    run = await spawn(server.url, loop, count, arguments.at_once)
                    runs.setdefault((loop, count), []).append(run)
    rows = [summed(runs[loop, count], loop, count) for loop in loops for count in sizes]
    for row in rows:
        show(row)
    verdicts = [verdict(rows, loop) for loop in loops]
    for one in verdicts:
        print(
            f"{one['loop']:8} memory grew by {max(one['growth_mib'], 0.0):.1f} MiB"
            f" (at most {GROWTH:g}); a reference of {sizes[-1]:,} costs"
            f" {one['linear']:.2f} times one of {sizes[-2]:,} in CPU,"
            f" {one['linear_wall']:.2f} in time; {one['vain']} requests not needed"
        )
    if not loops[1:]:
        print("uvloop is not installed: `pip install '.[bench]'`")
    if arguments.json:
        said = {
            "load": load,
            "at_once": arguments.at_once,
            "own_us": own,
            "rows": rows,
            "verdicts": verdicts,
        }
        arguments.json.write_text(json.dumps(said, indent=1) + "\n")
    if arguments.plot:
        plot({loop: runs[loop, sizes[-1]][0]["memory"] for loop in loops}, arguments.plot)
    good = all(
        one["growth_mib"] <= GROWTH and one["linear"] <= LINEAR and not one["vain"]
        for one in verdicts
    )
    return 0 if good else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="smaller sizes")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--at-once", type=int, default=50)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--plot", metavar="FILE")
    parser.add_argument("--one", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--loop", default="asyncio", help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    given = parser.parse_args()
    given.rounds = given.rounds or 3
    if given.one:
        child(given)
    else:
        sys.exit(asyncio.run(main(given)))
