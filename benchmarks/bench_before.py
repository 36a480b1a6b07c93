"""Compare the CPU time of a call in this commit and in another commit.

The calls are a verify, a collect, and a collect with a journal.

Run: python -m benchmarks.bench_before FOLDER [--rounds 10] [--only NAME …] [--json FILE]

FOLDER is a checkout of the other commit (`git worktree add ../before COMMIT`). Both commits run
this commit's `benchmarks/clients.py`, each with its own `paymux`, against one server. They take
turns, in random order. A figure is the median of the rounds' ratios, with the quartiles. The exit
code is 1 if a limit is exceeded: 5 % for a verify and a collect, 15 % for a collect with a journal
and 100 concurrent calls.
"""

import argparse
import asyncio
import json
import os
import platform
import random
import statistics
import sys
from pathlib import Path
from typing import Any

from .loopback import Loopback
from .peers import ROOT, in_turn, spread

# What is compared: a client, a verb, the number of concurrent calls, and the limit of the ratio.
COMPARED = (
    ("paymux/campay", "verify", 50, 1.05),
    ("paymux/mpesa", "verify", 50, 1.05),
    ("paymux/campay", "collect", 50, 1.05),
    ("paymux/mpesa", "collect", 50, 1.05),
    ("paymux/journal", "collect", 100, 1.15),
)
CALLS = 1000


async def compare(
    url: str, before: Path, name: str, verb: str, at_once: int, rounds: int
) -> dict[str, Any]:
    """Measure one verb in both commits, in turn."""
    found = await in_turn(
        url,
        {"before": (name, before), "after": (name, ROOT)},
        verb,
        count=CALLS,
        at_once=at_once,
        rounds=rounds,
        chance=random.Random(0),
    )
    pairs = zip(found["before"], found["after"], strict=True)
    middle = {f"{which}_us": statistics.median(times) for which, times in found.items()}
    return {
        "client": name,
        "verb": verb,
        "at_once": at_once,
        **middle,
        "ratio": spread(b / a for a, b in pairs),
    }


async def main(arguments: argparse.Namespace) -> int:
    """Measure and print; return 1 if a ratio is above its limit."""
    print(
        f"{platform.python_version()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.2f}; "
        "microseconds of CPU"
    )
    rows, missed = [], 0
    async with Loopback() as server:
        for name, verb, at_once, limit in COMPARED:
            if arguments.only and name not in arguments.only:
                continue
            row = await compare(server.url, arguments.folder, name, verb, at_once, arguments.rounds)
            rows.append({**row, "limit": limit})
            ratio = row["ratio"]
            missed += ratio["median"] > limit
            print(
                f"{name:16} {verb:8} {at_once:4} at once"
                f"  before {row['before_us']:6.0f}  after {row['after_us']:6.0f}"
                f"  ratio {ratio['median']:.3f} ({ratio['low']:.3f}-{ratio['high']:.3f}),"
                f" at most {limit}",
                flush=True,
            )
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1) + "\n")
    return 1 if missed else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--only", nargs="+", metavar="NAME")
    parser.add_argument("--json", type=Path, metavar="FILE")
    sys.exit(asyncio.run(main(parser.parse_args())))
