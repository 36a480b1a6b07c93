"""Who lives (R20): a turn and an order in flight are one living worker's, however the journal is
named or treated.

Run: python -m benchmarks.bench_living [--turns 20] [--only WORD] [--json FILE]

A worker holds turns and has a charge on the wire, both in a real process. Then something is done to
the journal, to what lies beside it or to the worker, and another process asks for the same turns
and recovers. Doubled is a turn that both have, or an order that is recovered while it is being
sent. Where the first worker is dead, the second one has to get everything: what it does not get is
stuck. The exit code is 1 if anything was either.
"""

import argparse
import json
import sys
from pathlib import Path

from tests.campaigns.living import TURNS, WAYS, tried


def main(arguments: argparse.Namespace) -> int:
    """Try every way, and print what was found."""
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
