"""What observers cost a call: none, one that does nothing, and OpenTelemetry with its SDK.

Run: python -m benchmarks.bench_observers [--rounds 10] [--only WORD] [--json FILE]

A pool without observers is compared with this same commit from which the lines that look for
observers are cut, so that no other change is measured. Each round starts both anew, against one
server, and measures them in turn; a figure is the median of the rounds' ratios of CPU, with the
quartiles. The exit code is 1 where a pool without observers costs more than 1.02. The control tells
how quiet the machine is. The other ratios are to a pool without observers.
"""

import argparse
import ast
import asyncio
import json
import os
import platform
import random
import shutil
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

from .loopback import Loopback
from .peers import ROOT, in_turn, spread

LIMIT = 1.02
CALLS, AT_ONCE, SLICES = 250, 50, 8
HOOKED = ("transport/attempt.py", "transport/call.py", "transport/transport.py")
ABSENT = "without observers"
# What is measured: its name, its client, and what it is compared with.
COMPARED = (
    ("control: the same twice", "paymux/campay", ABSENT),
    (ABSENT, "paymux/campay", "without the lines for them"),
    ("an observer that does nothing", "paymux/observed", ABSENT),
    ("OpenTelemetry and its SDK", "paymux/otel", ABSENT),
)


class _Cut(ast.NodeTransformer):
    """Cuts each `if` that looks for observers."""

    def __init__(self) -> None:
        self.count = 0

    def visit_If(self, node: ast.If) -> ast.AST | None:
        """Drop it, or go on."""
        if "observe" in ast.unparse(node.test):
            self.count += 1
            return None
        return self.generic_visit(node)


def copied(folder: Path, *, cut: bool) -> Path:
    """Copy the package, with the lines that look for observers or without them."""
    shutil.copytree(ROOT / "paymux", folder / "paymux")
    cutter = _Cut()
    for name in HOOKED:
        file = folder / "paymux" / name
        tree = ast.parse(file.read_text(encoding="utf-8"))
        # Both are written anew, so that nothing else tells them apart.
        file.write_text(ast.unparse(cutter.visit(tree) if cut else tree), encoding="utf-8")
    if cut and cutter.count < len(HOOKED):
        raise SystemExit("the lines that look for observers were not found")
    return folder


async def one_round(
    url: str, verb: str, sides: dict[str, tuple[str, Path]], chance: random.Random
) -> dict[str, float]:
    """Start each side anew, measure them in turn, and return the CPU of a call of each."""
    found = await in_turn(
        url, sides, verb, count=CALLS, at_once=AT_ONCE, rounds=SLICES, chance=chance
    )
    return {side: statistics.median(times) for side, times in found.items()}


async def main(arguments: argparse.Namespace) -> int:
    """Compare, print, and hold the first ratio to its limit."""
    print(
        f"{platform.python_version()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.2f}; "
        f"microseconds of CPU, {AT_ONCE} at once"
    )
    rows: list[dict[str, Any]] = []
    missed, chance = 0, random.Random(0)
    with tempfile.TemporaryDirectory() as folder:
        whole = copied(Path(folder, "whole"), cut=False)
        cut = copied(Path(folder, "cut"), cut=True)
        async with Loopback() as server:
            for what, client, beside in COMPARED:
                if arguments.only not in what:
                    continue
                other = cut if what == ABSENT else whole
                sides = {"beside": ("paymux/campay", other), "with": (client, whole)}
                for verb in ("verify", "collect"):
                    times = [
                        await one_round(server.url, verb, sides, chance)
                        for _ in range(arguments.rounds)
                    ]
                    ratio = spread(one["with"] / one["beside"] for one in times)
                    middle = {side: statistics.median(one[side] for one in times) for side in sides}
                    rows.append({"what": what, "verb": verb, "ratio": ratio, **middle})
                    missed += what == ABSENT and ratio["median"] > LIMIT
                    print(
                        f"{what:30} {verb:8} {middle['with']:6.0f}"
                        f"   {ratio['median']:.3f} ({ratio['low']:.3f}-{ratio['high']:.3f})"
                        f" of {middle['beside']:.0f}, {beside}",
                        flush=True,
                    )
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1) + "\n")
    return 1 if missed else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--only", default="", metavar="WORD")
    parser.add_argument("--json", type=Path, metavar="FILE")
    sys.exit(asyncio.run(main(parser.parse_args())))
