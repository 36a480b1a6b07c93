"""Check that no payment is charged twice, and that no reported success or failure is wrong.

Run: python -m benchmarks.bench_safety [--payments 100000] [--seeds 1000] [--seed 0] [--jobs 2]
     [--seconds 3600] [--postgresql] [--only mtn_momo pawapay wave] [--json FILE]

R3 makes payments under faults, at four kinds of providers: every fifth batch over real loopback
sockets, the others in process and in virtual time. R3b runs naive clients under the same faults, to
compare. R4 runs simulated worlds, with real aiohttp over a network in memory: two workers on one
journal, crashes, and webhooks that are late, lost, repeated or forged; every 100th seed runs twice.
With --postgresql their journal is in PostgreSQL, of which a server is started; no seed runs twice.
A seed that fails is printed with the command that repeats it, and the exit code is 1.
"""

import argparse
import contextlib
import importlib
import importlib.metadata
import json
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

from tests.campaigns.naive import CLIENTS
from tests.campaigns.safety import BATCH, PROFILES, Tally, bound, quietly, r3, r3b, r4
from tests.clusters import cluster


def report_r3(tally: Tally) -> None:
    """Print the results of R3."""
    sockets, memory = tally.get("payments", "over sockets"), tally.get("payments", "in process")
    total = sockets + memory
    print(
        f"\nR3: {total:,} payments; {sockets:,} over real sockets, {memory:,} in process in "
        "virtual time"
    )
    kinds = [name for name in tally.counts if name.startswith("fault/")]
    print(
        f"  {tally.get('fault'):,} faults of {len(kinds)} kinds, of requests, look-ups, "
        "logins and webhooks"
    )
    report_invariants("R3", tally, {"I7": memory}, total)
    report_profiles(tally)


def report_invariants(run: str, tally: Tally, totals: Mapping[str, int], total: int) -> None:
    """Print the number of violations of each invariant.

    `totals` has the number of payments for invariants that not all payments were checked for.
    """
    titles = {
        "I1": "double charges",
        "I2": "lost outcomes (called failed, refused or not sent, and charged)",
        "I3": "phantom successes (called paid without one right charge)",
        "I4": "requests without a durable row before the first byte",
        "I5": "unknowns without a reference, or unresolved though they can be asked for",
        "I6": "requests and polls beyond the budget",
        "I7": "tasks, timers, connections and files left behind",
        "alarm": "alarms without a cause",
    }
    for name, title in titles.items():
        if run == "R4" or name != "I4":
            wrong = sum(one.startswith(f"{run} {name}") for one in tally.wrong)
            print(f"  {name:5} {title}: {bound(wrong, totals.get(name, total))}")


def report_profiles(tally: Tally) -> None:
    """Print the last outcome that callers got, by profile."""
    words = (
        "succeeded",
        "failed",
        "cancelled",
        "expired",
        "refused",
        "not sent",
        "unknown/charged",
        "unknown/asked, not charged",
        "unknown/never processed",
    )
    for name, profile in PROFILES.items():
        ends = {word: tally.get(name, *word.split("/")) for word in words}
        total, unknown = sum(ends.values()), tally.get(f"{name}: first unknown")
        if not total:
            continue
        print(f"  {name} ({profile.says})")
        print(
            "    "
            + ", ".join(
                f"{word.replace('/', ', ')} {count:,}" for word, count in ends.items() if count
            )
        )
        reached, left, again = (
            tally.get(f"{name}: {word}") for word in ("reached", "left unknown", "sent again")
        )
        print(
            f"    reached the provider {reached:,}, of them ended there and left unknown {left:,}; "
            f"not reached {total - reached:,}; requests sent again {again:,}"
        )
        if total and unknown:
            resolved = tally.get(f"{name}: first unknown, resolved")
            last = sum(
                count
                for word, count in ends.items()
                if word in ("unknown/charged", "unknown/never processed")
            )
            print(
                f"    unknown at first {unknown / total:.2%}, "
                f"of them {resolved / unknown:.1%} resolved; unknown in the end {last / total:.2%}"
            )
    for name in sorted(
        name for name in tally.counts if name.startswith(("looks", "recovered", "webhooks"))
    ):
        print(f"  {name.replace('/', ', ')}: {tally.counts[name]:,}")


def report_naive(tally: Tally) -> None:
    """Print the results of R3b: naive clients under the same faults."""
    print("\nR3b: naive clients under the faults of R3, with real aiohttp, per million payments")
    for name in CLIENTS:
        count = tally.get("naive", name, "payments")
        harms = ("double", "lost", "phantom")
        rates = {word: 1e6 * tally.get("naive", name, word) / count for word in harms}
        print(
            f"  {name:48} {rates['double']:9,.0f} double charges {rates['lost']:9,.0f} "
            f"moved, called failed {rates['phantom']:9,.0f} called paid, not moved"
        )


def report_r4(tally: Tally) -> None:
    """Print the results of R4."""
    print(
        f"\nR4: {tally.get('worlds'):,} worlds, {tally.get('payments'):,} payments, "
        f"two workers on one journal, {tally.get('crashes'):,} crashes"
    )
    report_invariants("R4", tally, {}, tally.get("payments"))
    wrong = sum(one.startswith("R4 I8") for one in tally.wrong)
    print(
        f"  I8    digests that differ: {wrong} of {tally.get('worlds run twice')} worlds that "
        "were run twice"
    )
    report_profiles(tally)


def together(jobs: int, work: Sequence[Callable[[], Tally]], what: str, seconds: float) -> Tally:
    """Run the work in `jobs` processes until the time is over, and return the sum of the counts."""
    total, began = Tally(), time.monotonic()
    with ProcessPoolExecutor(jobs, initializer=quietly) as processes:
        futures = [processes.submit(one) for one in work]
        for at, future in enumerate(futures, 1):
            if not future.cancelled():
                total.add(future.result())
            if at % 50 == 0:
                print(
                    f"{what} {at}/{len(work)}, {time.monotonic() - began:.0f} s",
                    file=sys.stderr,
                    flush=True,
                )
            if time.monotonic() - began > seconds:
                for later in futures[at:]:
                    later.cancel()
    left = sum(future.cancelled() for future in futures)
    print(f"\n{what} took {time.monotonic() - began:.0f} s in {jobs} processes", end="")
    print(f"; {left} of {len(work)} parts were not run: the time was over" if left else "", end="")
    return total


def main() -> int:
    """Run the chosen campaigns; return 1 if there was a violation."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--payments", type=int, default=100_000, help="of R3, in batches of 500; 0: no R3"
    )
    parser.add_argument("--seeds", type=int, default=1_000, help="worlds of R4; 0: no R4")
    parser.add_argument("--each", type=int, default=100, help="payments in a world of R4")
    parser.add_argument("--seed", type=int, default=0, help="the first seed of both")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    parser.add_argument(
        "--seconds", type=float, default=3_600.0, help="start no new work of a part after this time"
    )
    parser.add_argument(
        "--postgresql", action="store_true", help="the journal of R4 is in PostgreSQL"
    )
    accounts = sorted({profile.account for profile in PROFILES.values()})
    parser.add_argument(
        "--only", nargs="+", choices=accounts, default=[], help="orders of these accounts alone"
    )
    parser.add_argument("--json", type=Path, metavar="FILE")
    given = parser.parse_args()
    print(
        f"aiohttp {importlib.metadata.version('aiohttp')}, Python {sys.version.split()[0]}, "
        f"seed {given.seed}"
    )
    found: dict[str, Tally] = {}
    if given.payments:
        sizes = [min(BATCH, given.payments - done) for done in range(0, given.payments, BATCH)]
        found["R3"] = together(
            given.jobs,
            [partial(r3, given.seed + at, size, given.only) for at, size in enumerate(sizes)],
            "R3",
            given.seconds,
        )
        report_r3(found["R3"])
        naive = [partial(r3b, given.seed, name, min(given.payments, 5_000)) for name in CLIENTS]
        found["R3b"] = together(given.jobs, naive, "R3b", given.seconds)
        report_naive(found["R3b"])
    if given.seeds:
        worlds = range(given.seed, given.seed + given.seeds)
        with contextlib.ExitStack() as stack:
            server = None
            if given.postgresql:
                server = stack.enter_context(cluster()).url().partition("?")[0]
            work = [partial(r4, seed, given.each, server, given.only) for seed in worlds]
            found["R4"] = together(given.jobs, work, "R4", given.seconds)
        report_r4(found["R4"])
    wrong = [one for tally in found.values() for one in tally.wrong]
    if given.json:
        said = {
            name: {"counts": tally.counts, "violations": tally.wrong}
            for name, tally in found.items()
        }
        given.json.write_text(json.dumps({"seed": given.seed, **said}, indent=1) + "\n")
    for one in wrong[:50]:
        print(f"  {one}")
    print(f"\n{len(wrong)} violations")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
