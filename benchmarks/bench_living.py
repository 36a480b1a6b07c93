"""Check that only one live worker holds a turn and an order in flight (R20).

Run: python -m benchmarks.bench_living [--turns 20] [--only WORD] [--json FILE]

A worker in a real process holds turns and sends a charge. Then something is done to the journal, to
the files beside it, or to the worker. Another process then asks for the same turns, and recovers.
"doubled": both workers hold the turn, or an order was recovered while it was being sent. "stuck":
the first worker is dead, and the second one did not get the turn or the order. The exit code is 1
if either number is not 0.
"""

import argparse
import json
import sys
from pathlib import Path

from tests.campaigns.living import TURNS, WAYS, tried


def main(arguments: argparse.Namespace) -> int:
    """Try every way and print the results; return 1 if anything was doubled or stuck."""
    found = []
    for name in WAYS:
        if arguments.only in name:
            found.append(one := tried(name, arguments.turns))
            print(
                f"{name:34} doubled {one.doubled:3}  stuck {one.stuck:3}  {one.refused[:90]}",
                flush=True,
            )
    doubled, stuck = sum(one.doubled for one in found), sum(one.stuck for one in found)
    of = len(found) * (arguments.turns + 1)
    print(f"{len(found)} ways, {of} turns and orders: {doubled} doubled, {stuck} stuck")
    if arguments.json:
        arguments.json.write_text(json.dumps([one._asdict() for one in found], indent=1) + "\n")
    return 1 if doubled or stuck else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--turns", type=int, default=TURNS)
    parser.add_argument("--only", default="")
    parser.add_argument("--json", type=Path, metavar="FILE")
    sys.exit(main(parser.parse_args()))
