"""What a caller is told of a money request is true, wherever the wire breaks.

Run: python -m benchmarks.bench_faults [--seconds 480] [--slice 1] [--seed 0]
     [--operation "campay collect"] [--session] [--eager] [--json FILE]

R1 makes every row of the decision table that can occur, on a fresh and a reused connection. R2 cuts
each request and each answer (the good one and a refusal, in three framings) at every byte, with a
FIN, a reset and silence; `--slice 50` takes every 50th byte. `--session` does it over a session of
the caller, and `--eager` with an eager task factory (Python 3.12). Only loopback is used. The exit
code is 1 if any classification was unsound.
"""

import argparse
import asyncio
import importlib.metadata
import json
import logging
import random
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from tests.campaigns.faults import (
    TITLES,
    Certificates,
    Tally,
    cut_everywhere,
    poisoned,
    table,
    walk_table,
)
from tests.campaigns.faulty import OPERATIONS, Operation, Over


def report(operations: Sequence[Operation], tally: Tally) -> None:
    """Print the counts, and the probability bound that each zero proves."""
    kinds = ("R1", "R2 request", "R2 answer", "R2 refusal")
    print(f"{'operation':24}" + "".join(f"{kind:>13}" for kind in kinds))
    for operation in operations:
        print(
            f"{operation.name:24}"
            + "".join(f"{tally.counts[operation.name, kind]:13,}" for kind in kinds)
        )
    for name, whats in (("R1", kinds[:1]), ("R2", kinds[1:])):
        total = tally.total(*whats)
        wrong = sum(one.startswith(name) for one in tally.wrong)
        bound = f"; p < {3 / total:.1e} (95 %)" if total and not wrong else ""
        print(f"{name}: {wrong} unsound of {total:,} classifications{bound}")
    for one in tally.wrong:
        print(f"  {one}")
    if tally.differences:
        print("Soundly otherwise than over the default connection:")
        for name, count in sorted(tally.differences.items()):
            print(f"  {count:3} {name}")
    if tally.again:
        print(f"{tally.again} cases were run again with more time: the machine was too busy")
    if tally.skipped:
        print(f"{tally.skipped:,} cases were not run: the time was over")


def report_table(operations: Sequence[Operation], over: Over) -> None:
    """Print which rows occur, and why the others cannot."""
    certificates = Certificates()
    print("Rows of the decision table that cannot occur, or not at every operation:")
    tables = {operation.name: table(certificates, operation, over) for operation in operations}
    for number, title in TITLES.items():
        reasons: dict[str, list[str]] = {}
        for name, rows in tables.items():
            cases = rows[number]
            if isinstance(cases, str):
                reasons.setdefault(cases, []).append(name)
        for reason, names in reasons.items():
            who = "all" if len(names) == len(tables) else ", ".join(names)
            print(f"  {number:2} {title} [{who}]: {reason}")
    repeated = ", ".join(operation.name for operation in operations if operation.repeatable)
    print(
        "Repeated when unknown, because each makes a page that charges no payer, or is joined: "
        f"{repeated or 'none'}"
    )


async def campaign(
    operations: Sequence[Operation], tally: Tally, *, step: int, seed: int, over: Over, eager: bool
) -> None:
    """Run all of it."""
    if eager and sys.version_info >= (3, 12):
        asyncio.get_running_loop().set_task_factory(asyncio.eager_task_factory)
    for operation in operations:
        tally.wrong.extend(f"R1 row 14: {taken}" for taken in poisoned(operation))
    await walk_table(operations, tally, over=over)
    await cut_everywhere(operations, tally, step=step, seed=seed, over=over)


def main() -> int:
    """Run the campaign that the command line asks for."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--seconds", type=float, default=480.0, help="start no new case after this time"
    )
    parser.add_argument("--slice", type=int, default=1, help="cut at every nth byte")
    parser.add_argument("--seed", type=int, default=0, help="of the pauses and of the first byte")
    parser.add_argument(
        "--operation", choices=sorted(OPERATIONS), action="append", help="only this one"
    )
    parser.add_argument("--session", action="store_true", help="over a session of the caller")
    parser.add_argument("--eager", action="store_true", help="with an eager task factory")
    parser.add_argument("--json", type=Path, metavar="FILE")
    given = parser.parse_args()
    operations = [OPERATIONS[name] for name in given.operation or OPERATIONS]
    # paymux warns of unknown status codes, and the campaign sends many of them
    logging.getLogger("paymux").setLevel(logging.CRITICAL)
    random.seed(given.seed)
    over: Over = "session" if given.session else "connection"
    version = importlib.metadata.version("aiohttp")
    print(
        f"aiohttp {version}, Python {sys.version.split()[0]}, seed {given.seed}, slice "
        f"{given.slice}, over {'a session' if given.session else 'the default connection'}"
        f"{', eager tasks' if given.eager else ''}"
    )
    report_table(operations, over)
    began = time.monotonic()
    tally = Tally(began + given.seconds)
    asyncio.run(
        campaign(operations, tally, step=given.slice, seed=given.seed, over=over, eager=given.eager)
    )
    report(operations, tally)
    print(f"{time.monotonic() - began:.0f} s")
    if given.json:
        counts = {
            f"{operation}: {kind}": count for (operation, kind), count in tally.counts.items()
        }
        said = {
            "aiohttp": version,
            "seed": given.seed,
            "slice": given.slice,
            "skipped": tally.skipped,
        }
        given.json.write_text(
            json.dumps(
                {**said, "counts": counts, "unsound": tally.wrong, "differ": tally.differences},
                indent=1,
            )
            + "\n"
        )
    return 1 if tally.wrong or not tally.counts else 0


if __name__ == "__main__":
    sys.exit(main())
