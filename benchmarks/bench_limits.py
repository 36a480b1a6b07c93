"""Check that a stated rate limit holds exactly, what it costs, and how many requests are refused.

Run: python -m benchmarks.bench_limits [--quick] [--schedules N] [--json FILE] [--plot FILE]

* Windows, in real time: many waiting requests pass our limiter, and aiolimiter. Measured is the
  maximum number of requests in any window of the stated length.
* Schedules, in virtual time: random latencies, priorities and cancellations. Counted are the
  windows that were too full at the provider.
* Cost: nanoseconds to acquire and release a limiter that limits nothing.
* Storms, in virtual time: 500 callers send requests without end, and only the provider's refusals
  show its limit. Measured, after 20 seconds, are the share of refused requests and the share of
  the limit that was used.
* Chance, in virtual time: the same 500 callers, and a provider that refuses a share of the requests
  at random, at any rate. Measured is the rate that remains.

The exit code is 1 if a window was too full, or if a storm did not end. aiolimiter comes with the
`bench` extra.
"""

import argparse
import asyncio
import bisect
import importlib
import json
import random
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from paymux.limits import Limiter, Priority
from tests.campaigns.limits import CALM, REFUSED, USED, Fickle, Row, Strict, storm
from tests.toys import run

COUNT, WINDOW = 10, 1.0


async def most(
    enter: Callable[[], Awaitable[object]], leave: Callable[[], object], many: int
) -> Row:
    """Let `many` requests pass; return the maximum number of them in any window."""
    loop, seen = asyncio.get_running_loop(), list[float]()

    async def one() -> None:
        await enter()
        seen.append(loop.time())
        leave()

    await asyncio.gather(*(one() for _ in range(many)))
    seen.sort()
    held = max(bisect.bisect_left(seen, at + WINDOW) - place for place, at in enumerate(seen))
    return {"most": held, "seconds": round(seen[-1] - seen[0], 2)}


async def windows(many: int) -> list[Row]:
    """Compare the fullest window of our limiter with the fullest window of aiolimiter."""
    gate = Limiter("toy", {"look-up": (COUNT, WINDOW)})

    async def enter() -> None:
        await gate.acquire(money=False, priority=Priority.NOW, deadline=float("inf"))

    rows = [{"limiter": "paymux", **await most(enter, lambda: gate.release(money=False), many)}]
    try:
        aiolimiter = importlib.import_module("aiolimiter")
    except ImportError:
        return [*rows, {"limiter": "aiolimiter", "error": "not installed"}]
    limiter = aiolimiter.AsyncLimiter(COUNT, WINDOW)
    return [*rows, {"limiter": "aiolimiter", **await most(limiter.acquire, lambda: None, many)}]


async def schedule(chance: random.Random) -> int:
    """Send 60 requests at random times and priorities, and cancel some of them.

    Return the number of windows that were too full.
    """
    count, window, latency = (
        chance.randint(1, 7),
        chance.choice([0.5, 1.0, 60.0]),
        chance.choice([0.0, 0.3, 5.0]),
    )
    gate, loop, seen = (
        Limiter("toy", {"look-up": (count, window)}),
        asyncio.get_running_loop(),
        list[float](),
    )
    if chance.random() < 0.2:
        gate.on_throttled(chance.choice([None, 1.0]))

    async def one(came: float, rank: Priority) -> None:
        await asyncio.sleep(came)
        await gate.acquire(money=False, priority=rank, deadline=float("inf"))
        try:
            await asyncio.sleep(chance.uniform(0, latency))
            seen.append(loop.time())
            await asyncio.sleep(chance.choice([0.0, chance.uniform(0, latency)]))
        finally:
            gate.release(money=False)

    over = chance.choice([0.0, 1.0, 90.0])
    tasks = [
        asyncio.create_task(one(chance.uniform(0, over), chance.choice(list(Priority))))
        for _ in range(60)
    ]
    for task in chance.sample(tasks, chance.choice([0, 20])):
        loop.call_later(chance.uniform(0, 2 * over + window), task.cancel)
    await asyncio.gather(*tasks, return_exceptions=True)
    seen.sort()
    return sum(
        last - first < window - 1e-6 for first, last in zip(seen, seen[count:], strict=False)
    )


def schedules(many: int) -> Row:
    """Count the windows that were too full in `many` random schedules."""
    return {
        "schedules": many,
        "violations": sum(run(schedule(random.Random(seed))) for seed in range(many)),
    }


async def cost(rounds: int) -> Row:
    """Return the nanoseconds of a request in a limiter that limits nothing, and of loop.time().

    Both are the minimum of all rounds, so that other programs do not count.
    """
    gate, loop, timed = Limiter("toy", {}), asyncio.get_running_loop(), list[tuple[float, float]]()
    for _ in range(rounds):
        began = time.perf_counter()
        for _ in range(5000):
            gate.try_acquire(money=False)
            gate.release(money=False)
            gate.on_answer()
        between = time.perf_counter()
        for _ in range(5000):
            loop.time()
        timed.append((between - began, time.perf_counter() - between))
    ours, clock = (round(min(taken) / 5000 * 1e9) for taken in zip(*timed, strict=True))
    return {"nanoseconds": ours, "clock": clock}


def storms(seconds: float) -> list[Row]:
    """Run a storm for each way in which a provider counts requests."""
    rows = []
    for rate, way in (
        (5, "sliding"),
        (50, "sliding"),
        (50, "fixed"),
        (50, "bucket"),
        (200, "sliding"),
    ):
        for retry_after in (None, 1.0):
            provider = Strict(rate, way)
            paces = run(storm(provider, retry_after=retry_after, seconds=seconds))
            refused, used = provider.share(CALM, seconds)
            before = sum(not allowed for at, allowed in provider.log if at < CALM)
            row = {
                "rate": rate,
                "way": way,
                "retry_after": retry_after,
                "refused": round(refused, 5),
            }
            rows.append({**row, "used": round(used, 3), "refused_before": before, "paces": paces})
    return rows


def chances(seconds: float) -> list[Row]:
    """Return the requests answered per second while a share of them is refused at random.

    Only the second half of the time counts.
    """
    rows = []
    for share in (0.01, 0.05, 0.2):
        provider = Fickle(share)
        run(storm(provider, retry_after=None, seconds=seconds))
        refused, answered = provider.share(seconds / 2, seconds)
        rows.append({"share": share, "refused": round(refused, 5), "answered": round(answered, 2)})
    return rows


def plot(rows: list[Row], path: str) -> None:
    """Draw how the learned rate approaches the limit."""
    from matplotlib import pyplot as plt  # noqa: PLC0415 - of the bench extra

    figure, axes = plt.subplots(figsize=(8, 4), layout="constrained")
    for row in rows:
        if row["rate"] == 50:
            axes.plot(
                [pace or float("nan") for pace in row["paces"]],
                label=f"{row['way']}, Retry-After {row['retry_after']}",
            )
    axes.axhline(50, color="grey", linewidth=0.8)
    axes.set(xlabel="seconds", ylabel="requests a second", title="A rate learned from refusals")
    axes.legend()
    figure.savefig(path)


def main() -> None:
    """Measure and print; exit 1 if a window was too full or a storm did not end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--schedules", type=int)
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--plot", metavar="FILE")
    arguments = parser.parse_args()
    full = asyncio.run(windows(30 if arguments.quick else 80))
    spent = asyncio.run(cost(20 if arguments.quick else 200))
    crowded = schedules(arguments.schedules or (100 if arguments.quick else 1000))
    ends = storms(60.0 if arguments.quick else 180.0)
    fickle = chances(200.0 if arguments.quick else 1800.0)
    print(f"The most in any {WINDOW:g} s, where {COUNT} are allowed:")
    for row in full:
        print(
            f"  {row['limiter']:12}",
            row.get("error") or f"{row['most']:3}, all passed in {row['seconds']} s",
        )
    print(
        f"In {crowded['schedules']} random schedules, {crowded['violations']} windows were "
        "too full."
    )
    print(f"Without a limit, a request spends {spent['nanoseconds']} ns in the limiter;", end=" ")
    print(f"loop.time() takes {spent['clock']} ns.")
    print(
        f"Storms: {'limit':>7} {'counted':>8} {'Retry-After':>11} {'refused':>8} {'used':>6} "
        f"{'at first':>9}"
    )
    for row in ends:
        print(
            f"{row['rate']:13}/s {row['way']:>8} {row['retry_after'] or '-':>11}"
            f" {row['refused']:8.2%} {row['used']:6.1%} {row['refused_before']:9}"
        )
    print("Refused at random, at any rate:", end=" ")
    print(
        ", ".join(
            f"{row['share']:.0%} leaves {row['answered']} requests a second" for row in fickle
        )
    )
    if arguments.json:
        found = {
            "windows": full,
            "schedules": crowded,
            "cost": spent,
            "storms": ends,
            "chance": fickle,
        }
        arguments.json.write_text(json.dumps(found, indent=1) + "\n")
    if arguments.plot:
        plot(ends, arguments.plot)
    missed = [row for row in ends if row["refused"] >= REFUSED or row["used"] < USED]
    sys.exit(bool(missed) or crowded["violations"] > 0 or full[0]["most"] > COUNT)


if __name__ == "__main__":
    main()
