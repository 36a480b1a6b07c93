"""Check that processes share a stated limit: no window that the provider counts is too full.

Run: python -m benchmarks.bench_shared_limits [--quick] [--only NAME …] [--workers 8]
     [--journal PATH_OR_URL | --postgresql] [--json FILE]

Eight processes of one journal look up without end, then two of them, and at first and at last all
only now and then. Each way to the provider takes up to 200 ms at random. While all send, one is
killed (SIGKILL) and begun anew, and another one ends and is begun anew; with `--postgresql`, a
server of the benchmark's own is restarted at that moment.

* `second` is 50 per second, `minute` 1,000 per 60 s (it takes five minutes).
* `alone` is 50 per second as each process has it for itself, without a journal.
* `gcra` is 50 per second by GCRA, which paces all requests by one moment that all share.

"fullest" is the most requests in any window, by the provider's clock, and "too full" how many
windows held more than the limit. "used" is the share of the exact ceiling, limit / (window + jitter
of both ways), while all send without end; the places of ended workers are no part of it while they
count as used beyond a window. "trips" are those to the journal a request, and "waits" what a
request waited for a slot where all are calm. The exit code is 1 if a window of a shared limit was
too full, if less than 95 % was used, at more than 0.35 or 0.15 trips, or waits of 0.1 ms.
"""

import argparse
import asyncio
import json
import os
import platform
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec

from tests.campaigns.shared_limits import Campaign, Found, Phase, Plan
from tests.clusters import cluster

Restart = Callable[[], Awaitable[object]]

MAX_TRIPS = {"second": 0.35, "minute": 0.15}
USED, WAIT_MS = 0.95, 0.1


def plans(workers: int, *, quick: bool) -> dict[str, Plan]:
    """Return the runs by name."""
    full = 20.0 if quick else 40.0
    calm, few, pause = Phase(8, 0, "calm"), Phase(6, 2, "few"), Phase(8, 0, "pause")
    second = Plan(
        limit=50,
        window=1.0,
        workers=workers,
        phases=(calm, Phase(full, workers, "full"), few, pause, calm),
        kill_at=8 + full / 4,
        restart_at=8 + full / 2,
    )
    minute = Plan(
        limit=1000,
        window=60.0,
        workers=workers,
        phases=(calm, Phase(4 * 60.2, workers, "full"), Phase(61, 0, "pause"), calm),
        kill_at=80,
        restart_at=140,
    )
    short = (Phase(10, workers, "full"), pause)
    alone = Plan(limit=50, window=1.0, workers=workers, phases=short, way="alone")
    gcra = Plan(limit=50, window=1.0, workers=workers, phases=short, way="gcra")
    return {"second": second, "minute": minute, "alone": alone, "gcra": gcra}


def kept(name: str, found: Found) -> bool:
    """Return whether a run kept what is promised; those for comparison promise nothing."""
    return name not in MAX_TRIPS or (
        found.too_full == 0
        and found.used >= USED
        and found.trips <= MAX_TRIPS[name]
        and found.calm_wait <= WAIT_MS
    )


async def main(given: argparse.Namespace, journal: str | None, restart: Restart | None) -> int:
    """Run the plans and print them; return 1 if a promise was broken."""
    print(f"{platform.python_version()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.2f}")
    print(f"{'':8}    sent  fullest  too full    used   trips  waits: median, 99 %")
    rows, good = {}, True
    for name, plan in plans(given.workers, quick=given.quick).items():
        if given.only and name not in given.only:
            continue
        with tempfile.TemporaryDirectory() as folder:
            place = journal or str(Path(folder) / "payments.db")
            found = rows[name] = await Campaign(plan, place, Path(folder), restart).run()
        print(
            f"{name:8}{found.sent:8}{found.fullest:9}{found.too_full:10}{found.used:8.1%}"
            f"{found.trips:8.2f}  {found.calm_wait:.3f} ms, {found.calm_p99:.3f} ms",
            flush=True,
        )
        good = good and kept(name, found)
    if given.json:
        given.json.write_text(json.dumps(msgspec.to_builtins(rows), indent=1) + "\n")
    return 0 if good else 1


def with_server(given: argparse.Namespace) -> int:
    """Run with a server of the benchmark's own, which is restarted while all send."""
    with cluster() as server:

        async def restart() -> None:
            await asyncio.to_thread(server.stop)
            await asyncio.to_thread(server.start)

        return asyncio.run(main(given, server.url(), restart))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", nargs="+", metavar="NAME")
    parser.add_argument("--workers", type=int, default=8)
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--journal", metavar="PATH_OR_URL")
    where.add_argument("--postgresql", action="store_true")
    parser.add_argument("--json", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    if arguments.postgresql:
        sys.exit(with_server(arguments))
    sys.exit(asyncio.run(main(arguments, arguments.journal, None)))
