"""Measure how long it takes to refuse bad input: at most 5 ms.

Run: python -m benchmarks.bench_refusals [--rounds 21] [--json FILE]

Each bad input is refused in every round. The time of an input is the median of its rounds, so that
other programs count little; the result is the slowest input. A round before the measurement loads
the modules that load on first use. The exit code is 1 if an input takes 5 ms or more.
"""

import argparse
import asyncio
import json
import sys
from pathlib import Path

from tests.campaigns.refusals import LIMIT, measured


def main() -> None:
    """Print the slowest refusals; exit 1 if one takes too long."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    times = asyncio.run(measured(options.rounds))
    slowest = sorted(times.items(), key=lambda pair: -pair[1])
    worst = slowest[0][1]
    for name, took in slowest[:15]:
        print(f"{took:8.3f} ms  {name}")
    print(f"{worst:8.3f} ms  at most, of {len(times)} bad inputs; {LIMIT} ms is the limit")
    if options.json:
        said = {"limit_ms": LIMIT, "cases_ms": dict(slowest)}
        options.json.write_text(json.dumps(said, indent=1) + "\n")
    sys.exit(worst >= LIMIT)


if __name__ == "__main__":
    main()
