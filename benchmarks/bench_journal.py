"""Measure what the journal adds to collect(), as the ratio of the times with and without it.

Run: python -m benchmarks.bench_journal [--rounds 15] [--at-once 100] [--journal PATH_OR_URL]
     [--profile] [--json FILE]

Rounds with and without a journal take turns, in random order within each pair. The result is the
median ratio of the pairs. "socket": the simulator runs in another process. "in process": there is
no socket, so that the journal is compared with a few function calls. The journal is a real file in
the temporary folder, or the one that is named. The exit code is 1 if the ratio over the socket is
above 1.5.
"""

import argparse
import asyncio
import cProfile
import json
import pstats
import random
import statistics
import sys
import tempfile
import time
import uuid
from pathlib import Path

from paymux import CamPay, Pool
from paymux.simulator import Simulator

ROOT = Path(__file__).parents[1]
TARGET = 1.5


async def serve() -> None:
    """Run the simulator: print its URL, and serve until standard input ends."""
    async with Simulator() as sim:
        print(sim.url, flush=True)
        await asyncio.get_running_loop().run_in_executor(None, sys.stdin.read)


async def served(pool: Pool, at_once: int, label: str) -> float:
    """Return the seconds that `at_once` concurrent orders take."""
    began = time.perf_counter()
    await asyncio.gather(
        *(
            pool.collect(
                "campay",
                amount=500,
                currency="XAF",
                payer="237677777777",
                reference=f"order-{label}-{number}",
            )
            for number in range(at_once)
        )
    )
    return time.perf_counter() - began


async def compare(plain: Pool, kept: Pool, arguments: argparse.Namespace, name: str) -> float:
    """Print the medians, and return the median ratio of the pairs."""
    chance = random.Random(0)
    times: dict[str, list[float]] = {"without": [], "with": []}
    run = uuid.uuid4().hex[:8]  # a journal that is named may have the references of earlier runs
    for pool in (plain, kept):
        await served(pool, arguments.at_once, f"{run}-warm")
    for number in range(arguments.rounds):
        pair = [("without", plain), ("with", kept)]
        chance.shuffle(pair)
        for label, pool in pair:
            times[label].append(await served(pool, arguments.at_once, f"{run}-{number}"))
    ratio = statistics.median(b / a for a, b in zip(times["without"], times["with"], strict=True))
    without, with_ = (statistics.median(times[label]) * 1000 for label in ("without", "with"))
    own = 1000 * (with_ - without) / arguments.at_once
    both = f"without {without:6.1f} ms   with {with_:6.1f} ms"
    print(f"{name:11} {both}   ratio {ratio:.2f}   {own:.0f} us each", flush=True)
    if arguments.profile:
        profile = cProfile.Profile()
        profile.enable()
        await served(kept, arguments.at_once, f"{run}-profile")
        profile.disable()
        pstats.Stats(profile).sort_stats("tottime").print_stats(25)
    return ratio


async def main(arguments: argparse.Namespace) -> int:
    """Compare over a socket and in process; return 1 if the ratio over the socket is too high."""
    server = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "benchmarks.bench_journal",
        "--serve",
        cwd=ROOT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    assert server.stdout is not None
    assert server.stdin is not None
    url = (await server.stdout.readline()).decode().strip()
    print(f"{arguments.at_once} collects at once, {arguments.rounds} rounds each, medians")
    with tempfile.TemporaryDirectory() as folder:
        driver = CamPay(username="simulator", password="simulator", base_url=f"{url}/campay/api")
        named = arguments.journal
        async with (
            Pool(driver) as plain,
            Pool(driver, journal=named or Path(folder) / "socket.db") as kept,
        ):
            ratio = await compare(plain, kept, arguments, "socket")
        server.stdin.close()
        await server.wait()
        sim = Simulator()
        near = sim.driver("campay")
        async with (
            Pool(near, connection=sim.connection) as plain,
            Pool(
                near, connection=sim.connection, journal=named or Path(folder) / "process.db"
            ) as kept,
        ):
            near_ratio = await compare(plain, kept, arguments, "in process")
    print(f"target over the socket: at most {TARGET}")
    if arguments.json:
        said = {"at_once": arguments.at_once, "rounds": arguments.rounds, "target": TARGET}
        arguments.json.write_text(
            json.dumps({**said, "socket": ratio, "in_process": near_ratio}, indent=1) + "\n"
        )
    return 0 if ratio <= TARGET else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--at-once", type=int, default=100)
    parser.add_argument("--journal", metavar="PATH_OR_URL")
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--serve", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.serve:
        asyncio.run(serve())
    else:
        sys.exit(asyncio.run(main(given)))
