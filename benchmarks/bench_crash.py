"""Check that no payment is lost or sent twice when a process dies or its disk fails.

Run: python -m benchmarks.bench_crash [--part R5 R5b once] [--every 1]
     [--operation "campay collect"] [--seed 0] [--postgresql] [--json FILE]

R5 kills a process before each write, sync, send, receive and connect of a collect, of a payout and
of recover(); then another process recovers. R5b makes each disk call fail with EIO and with ENOSPC,
once, and from that call on. `once`: 8 processes fulfil 1,000 payments while they are killed at
random. `--every 10` takes every tenth point. The provider is a simulator in another process, over a
real socket; the journal is a real file, with `--postgresql` in R5 a real server that is started. It
needs Linux and strace. The exit code is 1 if anything was lost or done twice.
"""

import argparse
import asyncio
import json
import shutil
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.campaigns.crash import (
    DEADLY,
    DIED,
    DISK,
    OPERATIONS,
    PAYMENTS,
    crashed,
    failed,
    fulfilled,
    points,
)
from tests.clusters import cluster


async def sweep(
    operations: Sequence[str],
    part: str,
    every: int,
    rows: list[dict[str, Any]],
    server: str | None = None,
) -> list[str]:
    """Try every point of the operations, and print a line for each operation.

    The line's figures are added to `rows`.
    """
    wrong: list[str] = []
    for operation in operations:
        began = time.perf_counter()
        if part == "R5":
            chosen = (await points(operation, DEADLY, ["signal=SIGKILL"], server))[::every]
            found = [one for point in chosen for one in await crashed(operation, point, server)]
        else:
            trouble = ["error=EIO", "error=ENOSPC", "error=EIO+", "error=ENOSPC+"]
            chosen = (await points(operation, DISK, trouble))[::every]
            found = [one for point in chosen for one in await failed(operation, point)]
        seconds = time.perf_counter() - began
        if part == "R5" and DIED["lived"] > len(chosen) // 10:
            found.append(f"{operation}: most points killed nothing; nothing was shown")
        ended = ", ".join(f"{count} {how}" for how, count in sorted(DIED.items()))
        row = {"part": part, "operation": operation, "points": len(chosen), "wrong": len(found)}
        rows.append({**row, "ended": dict(DIED)})
        DIED.clear()
        print(
            (
                f"{part:4} {operation:16} {len(chosen):4} points: {ended}; {len(found)} wrong; "
                f"{seconds:.0f} s"
            ),
            flush=True,
        )
        wrong += found
    return wrong


async def main(arguments: argparse.Namespace) -> int:
    """Run the chosen parts; return 1 if anything was wrong."""
    wrong: list[str] = []
    rows: list[dict[str, Any]] = []
    for part in arguments.part:
        if part == "once":
            found = await fulfilled(seed=arguments.seed)
            rows.append({"part": part, "points": PAYMENTS, "wrong": len(found)})
            wrong += found
        elif part == "R5" and arguments.postgresql:
            with cluster() as running:
                server = running.url().partition("?")[0]
                wrong += await sweep(arguments.operation, part, arguments.every, rows, server)
        else:
            wrong += await sweep(arguments.operation, part, arguments.every, rows)
    for one in wrong:
        print(one)
    if arguments.json:
        arguments.json.write_text(json.dumps({"parts": rows, "wrong": wrong}, indent=1) + "\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--part", nargs="+", choices=["R5", "R5b", "once"], default=["R5", "R5b", "once"]
    )
    parser.add_argument("--operation", nargs="+", choices=OPERATIONS, default=OPERATIONS)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument(
        "--postgresql", action="store_true", help="the journal of R5 is in PostgreSQL"
    )
    parser.add_argument("--json", type=Path, metavar="FILE")
    given = parser.parse_args()
    if shutil.which("strace") is None:
        sys.exit("strace is missing")
    sys.exit(asyncio.run(main(given)))
