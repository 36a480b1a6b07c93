"""Call every public function with odd values for each parameter, and check how each call ends.

Run: python -m benchmarks.bench_callers [--only Pool.verify] [--sample 30000 [--seed 0]]
     [--json FILE] [--list] [--plant typeerror|hang|slow]

The callables are found by introspection: what `paymux`, `paymux.webhooks` and `paymux.simulator`
export, their public methods, and the methods of the drivers. A new callable for which no arguments
are known makes the run fail, so that it cannot be forgotten. Each call must end with a result, a
PaymuxError, or Python's TypeError for a wrong signature. Any other exception, a warning, or no end
within 5 s is an error. After one warm-up call, a call may take at most 5 ms of the thread's CPU
time.

`--plant` breaks a method on purpose, to show that the run then fails. `--list` prints the values.
The exit code is 1 if a call was wrong or slow, or if a callable has no arguments here.
"""

import argparse
import json
import random
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from tests.campaigns.battery import LIMIT, SECONDS, Case, Outcome, cases, plant, run, unplanned
from tests.campaigns.oddities import VALUES


def report(found: Mapping[Case, Outcome]) -> tuple[int, int]:
    """Print the results; return the numbers of wrong calls and of slow calls."""
    wrong = {case: outcome.wrong for case, outcome in found.items() if outcome.wrong}
    slow = {
        case: outcome.took
        for case, outcome in found.items()
        if outcome.took > LIMIT and not outcome.wrong
    }
    for case, said in list(wrong.items())[:400]:
        print(f"{case}: {said}")
    for case, took in sorted(slow.items(), key=lambda pair: -pair[1])[:100]:
        print(f"{case}: {took:.1f} ms")
    slowest = max(outcome.took for outcome in found.values())
    hung = sum(said == "it hangs" for said in wrong.values())
    print(dict(Counter(outcome.ended for outcome in found.values() if not outcome.wrong)))
    names = {case.name for case in found}
    print(f"{len(found)} calls of {len(names)} callables, {len(VALUES)} values for each parameter")
    print(
        f"{len(wrong) - hung} foreign exceptions, {hung} hangs, {len(slow)} slower than {LIMIT} ms"
    )
    print(f"{slowest:.2f} ms of CPU at most")
    return len(wrong), len(slow)


def main() -> None:
    """Make every call; exit 1 if one was wrong or slow, or if a callable has no arguments here."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", default="", metavar="NAME")
    parser.add_argument("--sample", type=int, metavar="CALLS")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--list", action="store_true")
    parser.add_argument("--plant", choices=["typeerror", "hang", "slow"])
    parser.add_argument("--seconds", type=float, default=SECONDS)
    options = parser.parse_args()
    if options.list:
        print("\n".join(VALUES))
        return
    if options.plant:
        plant(options.plant)
    missing = unplanned()
    for name in missing:
        print(f"no plan: {name}")
    target = options.json and options.json.resolve()
    chosen = list(cases(options.only))
    if options.sample:
        chosen = random.Random(options.seed).sample(chosen, min(options.sample, len(chosen)))
    found = run(chosen, options.seconds)
    wrong, slow = report(found)
    if target:
        said = {
            "calls": len(found),
            "wrong": wrong,
            "slow": slow,
            "values": list(VALUES),
            "limit_ms": LIMIT,
        }
        worst = max(outcome.took for outcome in found.values())
        target.write_text(json.dumps({**said, "worst_ms": worst}, indent=1) + "\n")
    sys.exit(bool(wrong or slow or missing))


if __name__ == "__main__":
    main()
