"""Measure the cost of watches, their rate of look-ups, and the delay until an end is seen.

Run: python -m benchmarks.bench_watch [--quick] [--json FILE] [--plot FILE]

There are 100, 1,000 and 10,000 watches (--quick: not the last). Each case runs in its own process:

* storm (R8), in virtual time: the watches start within a second, and last 300 s, or 1,500 s for
  10,000 watches. 50 look-ups a second are allowed, 30 % of them fail, the provider's status changes
  back and forth, and there are webhooks for a quarter of the payments. Half of the payers never
  answer.
* delay, in virtual time: the watches start within a minute, and the payers answer after log-normal
  delays (median 20 s, sigma 0.8, 5 % never). There are cases with and without webhooks (a second
  after each end), and with and without a rate limit.
* bytes: the memory of a watch that waits, with its Payment and its consumer's task, without its
  last raw answer. It is measured by tracemalloc, and by the growth of the resident set, which is
  less exact.
* plain: the same number of tasks that only sleep, for 100 s of virtual time, to show how long a
  garbage collection takes with them.
* sockets, in real time: against benchmarks/loopback.py in another process.

A step of the loop is one callback. Its cost is the CPU time of the thread without garbage
collections, which are printed separately. Objects from before the watches are frozen (`gc.freeze`),
as a server does after its start. The CPU time of a poll is that of the whole process, with the
provider in memory.

The exit code is 1 if a window of one second held more requests than the limit, if a watch did not
have exactly one end, if a step took more than 50 ms, if a watch takes more than 3 KiB (by
tracemalloc from 1,000 watches on, by the resident set for 10,000), or if one of the equal watches
in a storm was polled more than twice as often as another.
"""

import argparse
import asyncio
import contextlib
import gc
import json
import os
import platform
import random
import statistics
import subprocess
import sys
import time
import tracemalloc
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, ClassVar, Literal
from unittest.mock import patch

from paymux import CamPay, Payment, PaymuxError, Pool, Status, WatchTimeout
from paymux.http import PreparedRequest, Response, TransportError
from paymux.models import Event
from paymux.primitives.clock import wall_time
from paymux.testing import virtual_time
from paymux.transport.aiohttp import AiohttpConnection
from tests.toys import Loop, now

from .loopback import Loopback

ROOT = Path(__file__).parents[1]
LIMIT = 50  # look-ups a second, in the cases with a rate limit
STEP = 0.05
BYTES = 3072
NEVER = float("inf")
TOKEN = b'{"token": "simulator", "expires_in": 360000}'


class Limited(CamPay, frozen=True, kw_only=True):
    """CamPay with a rate limit."""

    limits: ClassVar[dict[Literal["money", "look-up"], tuple[int, float]]] = {
        "look-up": (LIMIT, 1.0)
    }


class Provider:
    """CamPay in memory: it answers after 50 to 300 ms, and records each look-up with its time."""

    def __init__(self, paid_at: dict[str, float], *, failing: float, seed: int) -> None:
        self._paid_at, self._failing, self._chance = paid_at, failing, random.Random(seed)
        self.times: list[float] = []
        self.looks: Counter[str] = Counter()

    async def exchange(self, outgoing: PreparedRequest) -> Response:
        """Send one request, and return its response."""
        outgoing.started = outgoing.sent = True
        if outgoing.url.endswith("/token/"):
            return Response(status=200, body=TOKEN)
        reference = outgoing.url.rstrip("/").rpartition("/")[2]
        self.times.append(now())
        self.looks[reference] += 1
        await asyncio.sleep(self._chance.uniform(0.05, 0.3))
        if self._chance.random() < self._failing:
            if self._chance.random() < 0.5:
                raise TransportError("reset")
            return Response(status=503, body=b"<html>")
        waits = (
            self._chance.choice(["PENDING", "PENDING", "PROCESSING"])
            if self._failing
            else "PENDING"
        )
        return Response(
            status=200, body=said(reference, paid=now() >= self._paid_at[reference], waits=waits)
        )

    async def frames(self, outgoing: PreparedRequest) -> AsyncGenerator[str | bytes]:
        """Fail: there is no socket."""
        raise TransportError("no socket")
        yield

    async def aclose(self) -> None:
        """Do nothing."""


class Noted(AiohttpConnection):
    """Real sockets, with the times of the requests."""

    def __init__(self) -> None:
        super().__init__(10.0)
        self.times: list[float] = []

    async def exchange(self, outgoing: PreparedRequest) -> Response:
        """Send one request, and return its response."""
        self.times.append(time.monotonic())
        return await super().exchange(outgoing)


class Steps:
    """The longest step of the loop and the longest collection of garbage, in seconds of CPU."""

    def __init__(self) -> None:
        self.longest = self.garbage = self._began = self._inside = 0.0

    @contextlib.contextmanager
    def measured(self) -> Iterator[None]:
        """Measure all callbacks: each is run by the same method of its handle."""
        plain = asyncio.Handle._run

        def timed(handle: asyncio.Handle) -> None:
            self._inside, began = 0.0, time.thread_time()
            plain(handle)
            self.longest = max(self.longest, time.thread_time() - began - self._inside)

        gc.callbacks.append(self._collected)
        with patch.object(asyncio.Handle, "_run", timed):
            yield
        gc.callbacks.remove(self._collected)

    def _collected(self, phase: str, _: dict[str, int]) -> None:
        if phase == "start":
            self._began = time.thread_time()
        else:
            took = time.thread_time() - self._began
            self._inside += took
            self.garbage = max(self.garbage, took)


def settled() -> None:
    """Freeze all objects for the garbage collector, as a server does after its start."""
    gc.collect()
    gc.freeze()


def said(reference: str, *, paid: bool, waits: str = "PENDING") -> bytes:
    """Return CamPay's answer about a payment."""
    return json.dumps(
        {
            "reference": reference,
            "external_reference": f"order-{reference[-8:]}",
            "status": "SUCCESSFUL" if paid else waits,
            "amount": 500,
            "currency": "XAF",
            "operator": "MTN",
            "code": f"CP{reference[-8:]}",
            "operator_reference": f"1880{reference[-8:]}" if paid else None,
        }
    ).encode()


def payment(
    number: int, created: datetime, prefix: str = "bcedde9b-62a7-4421-96ac-0000"
) -> Payment:
    """Return a payment as `collect` returns it."""
    return Payment(
        account="campay",
        provider="campay",
        kind="collect",
        live=False,
        reference=f"order-{number:08d}",
        provider_reference=f"{prefix}{number:08d}",
        amount=Decimal(500),
        currency="XAF",
        payer=f"2376{number:08d}",
        operator="MTN",
        prompt="*126#",
        created_at=created,
        updated_at=created,
    )


def busiest(times: list[float]) -> int:
    """Return the maximum number of requests in any window of one second."""
    times, first, most = sorted(times), 0, 0
    for last, when in enumerate(times):
        while times[first] <= when - 1.0:
            first += 1
        most = max(most, last - first + 1)
    return most


def in_virtual_time(
    work: Callable[[dict[str, Any]], Coroutine[Any, Any, dict[str, Any]]], case: dict[str, Any]
) -> dict[str, Any]:
    """Run in virtual time."""

    async def inside() -> dict[str, Any]:
        async with virtual_time():
            return await work(case)

    with asyncio.Runner(loop_factory=Loop) as runner:
        return runner.run(inside())


async def followed(pool: Pool, held: Payment, seconds: float) -> tuple[int, bool, float]:
    """Return the number of ends of a watch, whether the payment succeeded, and the loop's time."""
    ends = 0
    paid = False
    try:
        async for found in pool.watch(held, timeout=seconds):
            ends += found.status.terminal
            paid = found.status is Status.SUCCEEDED
    except WatchTimeout:
        ends += 1
    return ends, paid, asyncio.get_running_loop().time()


async def virtual(case: dict[str, Any]) -> dict[str, Any]:
    """Watch many payments in virtual time."""
    count, storm = case["count"], case["part"] == "storm"
    chance, loop = random.Random(case["seed"]), asyncio.get_running_loop()
    started = wall_time()
    began = loop.time()
    seconds = max(300.0, count * 0.15)  # long enough to poll each payment some times
    begins = sorted(chance.uniform(0, 1 if storm else 60) for _ in range(count))
    helds = [payment(n, started + timedelta(seconds=begins[n])) for n in range(count)]
    paid_at: dict[str, float] = {}
    for number, held in enumerate(helds):
        late = chance.uniform(0, 400) if storm else chance.lognormvariate(3.0, 0.8)
        never = number % 2 == 0 if storm else chance.random() < 0.05
        paid_at[held.provider_reference or ""] = NEVER if never else now() + begins[number] + late
    provider = Provider(paid_at, failing=0.3 if storm else 0.0, seed=case["seed"])
    driver = (Limited if case["limit"] else CamPay)(username="simulator", password="simulator")
    async with Pool(driver, connection=provider, attempts=1 if storm else 3) as pool:

        async def shop(number: int) -> tuple[int, bool, float]:
            await asyncio.sleep(begins[number])
            return await followed(pool, helds[number], seconds)

        async def message(held: Payment) -> None:
            with contextlib.suppress(PaymuxError):
                await pool.confirm(
                    Event(account="campay", provider="campay", claims=held), deadline=60
                )

        async def post() -> None:
            told = helds[1::4] if storm else helds
            due = sorted(
                (paid_at[held.provider_reference or ""] + 1.0, held.reference, held)
                for held in told
            )
            async with asyncio.TaskGroup() as telling:
                for when, _, held in due:
                    if when < NEVER:
                        await asyncio.sleep(max(when - now(), 0.0))
                        telling.create_task(message(held))

        settled()
        watching = [asyncio.ensure_future(shop(number)) for number in range(count)]
        postman = asyncio.ensure_future(post()) if case["messages"] else None
        cpu, lags = time.process_time(), [0.0]
        steps = Steps()
        with steps.measured():
            while not all(task.done() for task in watching):
                await asyncio.sleep(1)
                lags.append(pool.lag("campay"))
        await asyncio.sleep(0)  # the benchmark's own work below must not count as a step
        found = [task.result() for task in watching]
        cpu = time.process_time() - cpu
        if postman is not None:
            postman.cancel()
            await asyncio.gather(postman, return_exceptions=True)
    delays = [
        when - began - paid_at[held.provider_reference or ""]
        for held, (_, paid, when) in zip(helds, found, strict=True)
        if paid
    ]
    equals = [provider.looks[held.provider_reference or ""] for held in helds[::2]]
    return {
        "polls": len(provider.times),
        "polls_each": len(provider.times) / count,
        "us_per_poll": cpu / len(provider.times) * 1e6,
        "worst_second": busiest(provider.times),
        "step_ms": steps.longest * 1e3,
        "garbage_ms": steps.garbage * 1e3,
        "ends": sorted(Counter(ends for ends, _, _ in found).items()),
        "seen": len(delays),
        "delay_mean": statistics.fmean(delays),
        "delay_p95": statistics.quantiles(delays, n=20)[-1],
        "lag": max(lags),
        "equals": [min(equals), max(equals)] if storm else None,
    }


def resident() -> int:
    """Return the resident set of this process, in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


async def size(case: dict[str, Any]) -> dict[str, Any]:
    """Tell what a waiting watch costs in memory."""
    count, created = case["count"], wall_time()

    class Waiting(Provider):
        async def exchange(self, outgoing: PreparedRequest) -> Response:
            outgoing.started = outgoing.sent = True
            if outgoing.url.endswith("/token/"):
                return Response(status=200, body=TOKEN)
            return Response(
                status=200, body=said(outgoing.url.rstrip("/").rpartition("/")[2], paid=False)
            )

    async def consumer(pool: Pool, number: int) -> Payment:
        return await pool.watch(payment(number, created), timeout=3600)

    connection = Waiting({}, failing=0.0, seed=0)
    async with Pool(
        CamPay(username="simulator", password="simulator"), connection=connection
    ) as pool:
        warm = [asyncio.ensure_future(consumer(pool, 10**7 + number)) for number in range(5)]
        await asyncio.sleep(30)
        for number in range(count):  # the pool remembers each payment, watched or not
            pool._engine.store.memory.apply(payment(number, created))
        gc.collect()
        if case["traced"]:
            tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0] if case["traced"] else resident()
        watching = [asyncio.ensure_future(consumer(pool, number)) for number in range(count)]
        await asyncio.sleep(40)
        gc.collect()
        after = tracemalloc.get_traced_memory()[0] if case["traced"] else resident()
        open_ = [found for found in gc.get_objects() if type(found).__name__ == "Watch"]
        raw = statistics.fmean(sys.getsizeof(watch.payment.raw) for watch in open_)
        assert min(watch._looked for watch in open_) >= 1
        for task in [*warm, *watching]:
            task.cancel()
        await asyncio.gather(*warm, *watching, return_exceptions=True)
    return {"bytes": (after - before) / count - raw, "raw": raw}


async def plain(case: dict[str, Any]) -> dict[str, Any]:
    """Tell what a full collection takes beside tasks that sleep about as often as a watch asks."""
    chance, took = random.Random(8), []

    async def looped() -> None:
        for _ in range(100):
            await asyncio.sleep(chance.uniform(5, 15))

    async def shop() -> None:
        await looped()

    settled()
    sleeping = [asyncio.ensure_future(shop()) for _ in range(case["count"])]
    for _ in range(10):
        await asyncio.sleep(10)
        began = time.thread_time()
        gc.collect()
        took.append(time.thread_time() - began)
    for task in sleeping:
        task.cancel()
    await asyncio.gather(*sleeping, return_exceptions=True)
    return {"garbage_ms": max(took) * 1e3, "garbage_median_ms": statistics.median(took) * 1e3}


async def sockets(case: dict[str, Any]) -> dict[str, Any]:
    """Watch many payments over real sockets.

    Each is paid some seconds after its first request.
    """
    count, chance, loop = case["count"], random.Random(case["seed"]), asyncio.get_running_loop()
    connection = Noted()
    async with Loopback() as server:
        driver = CamPay(
            username="simulator", password="simulator", base_url=f"{server.url}/campay/api"
        )
        async with Pool(driver, connection=connection) as pool:
            delays: list[float] = []

            async def shop(number: int) -> int:
                await asyncio.sleep(chance.uniform(0, 10))
                after = round(min(chance.lognormvariate(2.0, 0.5), 20.0), 2)
                held = payment(number, datetime.now(UTC), f"tx-wait-{after}-")
                held = Payment(
                    account="campay",
                    provider_reference=held.provider_reference,
                    created_at=held.created_at,
                )
                ends, heard = 0, NEVER
                async for found in pool.watch(held, timeout=120):
                    if found.provider_status == "PENDING":
                        heard = loop.time()
                    ends += found.status.terminal
                delays.append(loop.time() - heard - after)
                return ends

            cpu = time.process_time()
            steps = Steps()
            settled()
            watching = [asyncio.ensure_future(shop(number)) for number in range(count)]
            with steps.measured():
                await asyncio.wait(watching)
            ends = [task.result() for task in watching]
            cpu = time.process_time() - cpu
        counted = await server.summary()
    assert not counted["after_terminal"]
    return {
        "polls": counted["looks"],
        "polls_each": counted["looks"] / count,
        "us_per_poll": cpu / counted["looks"] * 1e6,
        "worst_second": busiest(connection.times),
        "step_ms": steps.longest * 1e3,
        "garbage_ms": steps.garbage * 1e3,
        "ends": sorted(Counter(ends).items()),
        "seen": len(delays),
        "delay_mean": statistics.fmean(delays),
        "delay_p95": statistics.quantiles(delays, n=20)[-1],
    }


def measured(case: dict[str, Any]) -> dict[str, Any]:
    """Measure one case in a new process."""
    command = [sys.executable, "-m", "benchmarks.bench_watch", "--case", json.dumps(case)]
    shown = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return {**case, **json.loads(shown.stdout)}


def cases(*, quick: bool) -> list[dict[str, Any]]:
    """List the cases."""
    counts = [100, 1000] if quick else [100, 1000, 10_000]
    listed: list[dict[str, Any]] = [
        {"part": "storm", "count": count, "limit": True, "messages": True, "seed": 8}
        for count in counts
    ]
    listed += [
        {"part": "delay", "count": count, "limit": limit, "messages": messages, "seed": 1}
        for count in counts
        for limit in (True, False)
        for messages in (False, True)
    ]
    listed += [
        {"part": "bytes", "count": count, "traced": traced}
        for count in counts
        for traced in (True, False)
    ]
    listed += [{"part": "plain", "count": count} for count in counts]
    return listed + [{"part": "sockets", "count": count, "seed": 2} for count in counts]


def broken(row: dict[str, Any]) -> list[str]:
    """Return the names of the limits that a case exceeds."""
    if row["part"] == "bytes":
        # With 100 watches, the fixed memory of a pool is a large share; and the system gives memory
        # in blocks of a mebibyte.
        counts = row["count"] >= (1000 if row["traced"] else 10_000)
        return ["bytes"] if counts and row["bytes"] > BYTES else []
    if row["part"] == "plain":
        return []
    wrong = {
        "limit": row.get("limit") and row["worst_second"] > LIMIT,
        "ends": row["ends"] != [[1, row["count"]]],
        "step": row["step_ms"] > STEP * 1e3,
        "equals": row.get("equals") and row["equals"][1] > 2 * row["equals"][0],
    }
    return [name for name, is_so in wrong.items() if is_so]


def shown(row: dict[str, Any]) -> str:
    """Return the line of one case."""
    if row["part"] == "bytes":
        how = "tracemalloc" if row["traced"] else "resident set"
        return f"bytes    {row['count']:6,} watches {row['bytes']:7,.0f} bytes each by {how}"
    if row["part"] == "plain":
        return (
            f"plain    {row['count']:6,} tasks that sleep: "
            f"a collection takes {row['garbage_median_ms']:4.1f} ms, "
            f"at most {row['garbage_ms']:4.1f}"
        )
    ways = [f"{LIMIT}/s" * bool(row.get("limit")), "messages" * bool(row.get("messages"))]
    equals = f", equals {row['equals'][0]} to {row['equals'][1]} polls" if row.get("equals") else ""
    lag = f", lag at most {row['lag']:.0f} s" if "lag" in row else ""
    return (
        f"{row['part']:8} {row['count']:6,} watches {' '.join(filter(None, ways)):14} "
        f"{row['polls_each']:5.1f} polls each at {row['us_per_poll']:4.0f} us, "
        f"worst second {row['worst_second']:4}, "
        f"longest step {row['step_ms']:4.1f} ms (garbage {row['garbage_ms']:4.1f}), "
        f"delay {row['delay_mean']:6.2f} s, p95 {row['delay_p95']:6.2f} s{lag}{equals}"
    )


def plot(rows: list[dict[str, Any]], path: str) -> None:
    """Draw the mean delay until an end is seen."""
    from matplotlib import pyplot as plt  # noqa: PLC0415 - of the bench extra

    figure, axes = plt.subplots(figsize=(8, 4), layout="constrained")
    for limit in (True, False):
        for messages in (False, True):
            line = [
                row for row in rows if (row.get("limit"), row.get("messages")) == (limit, messages)
            ]
            line = [row for row in line if row["part"] == "delay"]
            label = (
                f"{f'{LIMIT} a second' if limit else 'no limit'}, {'with' if messages else 'no'} "
                "messages"
            )
            axes.plot(
                [row["count"] for row in line],
                [row["delay_mean"] for row in line],
                "o-",
                label=label,
            )
    axes.set(
        xscale="log",
        yscale="log",
        xlabel="watches begun in a minute",
        ylabel="mean delay of detection, s",
    )
    axes.legend()
    figure.savefig(path)


def main() -> int:
    """Measure and print; return 1 if a limit is exceeded."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="no 10,000")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--plot", metavar="FILE")
    parser.add_argument("--case", type=json.loads, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.case:
        case = arguments.case
        if case["part"] == "sockets":
            print(json.dumps(asyncio.run(sockets(case))))
        else:
            work = {"bytes": size, "plain": plain}.get(case["part"], virtual)
            print(json.dumps(in_virtual_time(work, case)))
        return 0
    load = os.getloadavg()[0]
    print(f"{platform.python_version()}, {os.cpu_count()} cores, load {load:.2f}")
    rows, wrong = [], 0
    for case in cases(quick=arguments.quick):
        row = measured(case)
        rows.append(row)
        trouble = broken(row)
        wrong += bool(trouble)
        print(shown(row), *(f"BROKEN: {name}" for name in trouble), flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps({"load": load, "rows": rows}, indent=1) + "\n")
    if arguments.plot:
        plot(rows, arguments.plot)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
