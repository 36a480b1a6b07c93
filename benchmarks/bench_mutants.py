"""Check that every small change of the rules about money makes a test fail (R18).

Run: python -m benchmarks.bench_mutants [--only decide] [--processes 2] [--show] [--json FILE]

Each mutant is one change of one function: an inverted comparison, a forced condition, another
constant, enum member or element, or a statement or argument left out. It is tried against the tests
of that function. f-strings, and texts of three words or more, are not changed, because they hold
only wording. All mutants of the outcome table must be killed, and 95 % of the others. A change
without any effect is listed with its reason in EQUIVALENT. The exit code is 1 if a limit is missed.
"""

import argparse
import json
import sys
import time
from pathlib import Path

from tests.campaigns.mutants import EQUIVALENT, TABLE, TARGETS, mutants, survivors


def main() -> None:
    """Print the mutants of each function that were killed; exit 1 if a limit is missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default="", help="a part of the function's name")
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--show", action="store_true", help="print each mutant")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    began = time.monotonic()
    chosen = [one for target in TARGETS if options.only in target for one in mutants(target)]
    lived = {one.name for one in survivors(chosen, processes=options.processes, show=options.show)}
    missed = False
    rows: list[dict[str, object]] = []
    print(f"{'mutants':>8}{'killed':>8}{'equal':>7}{'survived':>10}")
    for target in dict.fromkeys(one.target for one in chosen):
        names = {one.name for one in chosen if one.target == target}
        equal, alive = names & EQUIVALENT.keys(), names & lived - EQUIVALENT.keys()
        share = 1 - len(alive) / (len(names) - len(equal))
        rows.append(
            {
                "function": target,
                "mutants": len(names),
                "equivalent": len(equal),
                "survived": sorted(alive),
            }
        )
        missed |= share < (1 if target in TABLE else 0.95)
        print(
            f"{len(names):8}{len(names - lived):8}{len(equal):7}{len(alive):10}  {share:7.1%} "
            f" {target}"
        )
        print(*(f"    {name}" for name in sorted(alive)), sep="\n", end="\n" if alive else "")
    # A mutant that a test kills is not equivalent: its reason must be removed.
    stale = {
        name for name in EQUIVALENT if name.startswith(tuple(one.target for one in chosen))
    } - lived
    print(*(f"not equivalent, or not made: {name}" for name in sorted(stale)), sep="\n")
    if options.json:
        options.json.write_text(
            json.dumps({"functions": rows, "stale": sorted(stale)}, indent=1) + "\n"
        )
    print(f"{len(chosen)} mutants in {time.monotonic() - began:.0f} s")
    sys.exit(missed or bool(stale))


if __name__ == "__main__":
    main()
