"""Check that no trouble between a worker and PostgreSQL makes a wrong row.

Run: python -m benchmarks.bench_cuts [--count 300] [--runs 10] [--seed 1] [--json FILE]

A server of its own is started on loopback. In each run, `--count` payments are made while the
network to it is cut, swallows all bytes, loses answers, and while it is restarted. Afterwards the
rows are compared with what was charged. The exit code is 1 if a row is wrong, if a fact is doubled,
or if an answer was durable later than 5 s after its payment had returned.
"""

import argparse
import asyncio
import json
import sys
from pathlib import Path

from tests.campaigns.cuts import Report, cuts
from tests.clusters import cluster

LATEST_SECONDS = 5.0


def main(arguments: argparse.Namespace) -> int:
    """Print each run; return 1 if one is not as it must be."""
    reports: list[Report] = []
    with cluster() as server:
        for run in range(arguments.runs):
            seed = arguments.seed + run
            report = asyncio.run(cuts(server, f"run_{seed}", arguments.count, seed, restarts=True))
            reports.append(report)
            print(f"seed {seed}: {report}", flush=True)
            for line in (*report.wrong, *report.doubled):
                print(f"  {line}")
    latest = max(report.latest for report in reports)
    wrong = sum(len(report.wrong) for report in reports)
    doubled = sum(len(report.doubled) for report in reports)
    count = sum(sum(report.outcomes.values()) for report in reports)
    print(
        f"{count} payments: {wrong} wrong rows, {doubled} doubled facts, answers durable at most "
        f"{latest:.1f} s after the return"
    )
    if arguments.json:
        said = {"payments": count, "wrong": wrong, "doubled": doubled, "latest": round(latest, 1)}
        arguments.json.write_text(json.dumps(said, indent=1) + "\n")
    return 0 if not wrong and not doubled and latest < LATEST_SECONDS else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--runs", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", type=Path, metavar="FILE")
    sys.exit(main(parser.parse_args()))
