"""Compare the journals in a file and in PostgreSQL: how many payments, and at what price.

Run: python -m benchmarks.bench_engines [--runs 5] [--seconds 2] [--processes 1 4 8]
     [--url postgresql://…] [--json FILE]

Each process begins, marks as sent, and answers 100 payments at once, again and again, with the
journal alone: no provider, no socket. Both engines take turns, on a database of a server of the
benchmark's own, or at a URL. A figure is the median of the runs. "each" is a client's CPU for a
payment, and "statements" how many the journal sent for a payment. "alone" is one payment at a time.

The exit code is 1 if PostgreSQL has fewer than 0.5 times SQLite's payments a second with one
process or 0.9 times with more, sends more than 0.05 statements a payment, needs more CPU than
SQLite, or takes more than 2.5 times as long for one payment.
"""

import argparse
import asyncio
import contextlib
import json
import platform
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from paymux import Payment
from paymux.journal import State
from paymux.journal.place import journal_at
from paymux.journal.stored.journal import StoredJournal

ROOT = Path(__file__).parents[1]
ENGINES = ("sqlite", "postgresql")
AT_ONCE = 100
MIN_RATE, MIN_SHARED_RATE, MAX_STATEMENTS, MAX_CPU, MAX_ALONE = 0.5, 0.9, 0.05, 1.0, 2.5


async def move(journal: StoredJournal, label: str, count: int) -> None:
    """Take payments through the journal, all at once, as a verb that collects does."""

    async def one(number: int) -> None:
        pending = Payment(
            account="campay",
            provider="campay",
            kind="collect",
            reference=f"{label}-{number}",
            amount=Decimal(500),
            currency="XAF",
            payer="237677777777",
        )
        assert await journal.intend(pending, "d" * 64) is None
        await journal.mark_sending(pending)
        answer = msgspec.structs.replace(pending, provider_reference=str(uuid.uuid4()))
        await journal.record(answer, "answer", State.ACCEPTED)

    await asyncio.gather(*(one(number) for number in range(count)))


class Statements:
    """Counts the statements of a session."""

    count = 0

    @classmethod
    def follow(cls) -> None:
        """Count what every session of this process runs."""
        from paymux.journal.postgres.connection import Connection  # noqa: PLC0415 - only where asked

        execute = Connection.execute

        def counted(connection: Connection, sql: str, given: Any = (), /) -> Any:
            cls.count += 1
            return execute(connection, sql, given)

        Connection.execute = counted  # type: ignore[method-assign]


async def work(place: str, seconds: float, at_once: int) -> None:
    """Be one process: open the journal, wait for the start, and print what was measured."""
    if place.startswith("postgresql:"):
        Statements.follow()
    journal, name = journal_at(place), uuid.uuid4().hex[:8]
    await journal.open()
    for number in range(3):
        await move(journal, f"{name}-warm-{number}", at_once)
    print("ready", flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    Statements.count, rounds, times = 0, 0, []
    cpu, began = time.process_time(), time.perf_counter()
    while time.perf_counter() < began + seconds:
        start = time.perf_counter()
        await move(journal, f"{name}-{rounds}", at_once)
        times.append(time.perf_counter() - start)
        rounds += 1
    took, count = time.perf_counter() - began, rounds * at_once
    said = {
        "rate": count / took,
        "cpu_us": (time.process_time() - cpu) * 1e6 / count,
        "statements": Statements.count / count,
        "ms": statistics.median(times) * 1000,
    }
    print(json.dumps(said), flush=True)
    await journal.aclose()


async def run(place: str, processes: int, seconds: float, at_once: int) -> dict[str, float]:
    """Measure a number of processes that begin at once."""
    command = (sys.executable, "-m", "benchmarks.bench_engines", "--work", place)
    options = ("--seconds", str(seconds), "--at-once", str(at_once))
    workers = [
        await asyncio.create_subprocess_exec(*command, *options, cwd=ROOT, stdin=-1, stdout=-1)
        for _ in range(processes)
    ]
    for worker in workers:
        assert worker.stdout
        assert await worker.stdout.readline() == b"ready\n"
    for worker in workers:
        assert worker.stdin
        worker.stdin.write(b"go\n")
    said = []
    for worker in workers:
        text, _ = await worker.communicate()
        said.append(json.loads(text))
    means = {name: statistics.mean(one[name] for one in said) for name in said[0]}
    return {**means, "rate": sum(one["rate"] for one in said)}


def medians(runs: list[dict[str, float]]) -> dict[str, float]:
    """Return the median of each figure."""
    return {name: statistics.median(one[name] for one in runs) for name in runs[0]}


async def compare(
    places: dict[str, str], processes: int, at_once: int, arguments: argparse.Namespace
) -> dict[str, dict[str, float]]:
    """Measure both engines, in turn."""
    found: dict[str, list[dict[str, float]]] = {engine: [] for engine in ENGINES}
    for number in range(arguments.runs):
        for engine in ENGINES if number % 2 else reversed(ENGINES):
            found[engine].append(await run(places[engine], processes, arguments.seconds, at_once))
    return {engine: medians(runs) for engine, runs in found.items()}


def missed(processes: int, at_once: int, said: dict[str, dict[str, float]]) -> list[str]:
    """Print the figures; return what is not as it must be."""
    for engine, one in said.items():
        print(
            f"{processes} x {at_once:3} {engine:10} {one['rate']:7.0f} payments/s"
            f"  {one['cpu_us']:5.0f} us each  {one['statements']:.3f} statements"
            f"  {one['ms']:6.2f} ms",
            flush=True,
        )
    file, server = said["sqlite"], said["postgresql"]
    if at_once == 1:
        ratio = server["ms"] / file["ms"]
        print(f"    alone: {ratio:.2f} times as long, at most {MAX_ALONE}")
        return ["alone"] if ratio > MAX_ALONE else []
    rate, least = server["rate"] / file["rate"], MIN_RATE if processes == 1 else MIN_SHARED_RATE
    cpu = server["cpu_us"] / file["cpu_us"]
    print(f"    {rate:.2f} times as many, at least {least}; {cpu:.2f} times the CPU, at most 1")
    checks = {"rate": rate >= least, "CPU": cpu <= MAX_CPU}
    checks["statements"] = server["statements"] <= MAX_STATEMENTS
    return [name for name, good in checks.items() if not good]


@contextlib.contextmanager
def url_of(given: str | None) -> Iterator[str]:
    """Give the URL of a database: the one that is given, or of a server of the benchmark's own."""
    if given is not None:
        yield given
        return
    from tests.clusters import cluster  # noqa: PLC0415 - needs no server where a URL is given

    with cluster() as server:
        yield server.url("bench")


async def main(arguments: argparse.Namespace) -> int:
    """Measure and print; return 1 if a limit is exceeded."""
    print(f"{platform.python_version()}, medians of {arguments.runs} runs", flush=True)
    rows, all_missed = [], []
    with tempfile.TemporaryDirectory() as folder, url_of(arguments.url) as url:
        places = {"sqlite": str(Path(folder) / "payments.db"), "postgresql": url}
        for processes, at_once in (*((one, AT_ONCE) for one in arguments.processes), (1, 1)):
            said = await compare(places, processes, at_once, arguments)
            rows.append({"processes": processes, "at_once": at_once, **said})
            all_missed += missed(processes, at_once, said)
    if arguments.json:
        arguments.json.write_text(json.dumps(rows, indent=1) + "\n")
    return 1 if all_missed else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--processes", type=int, nargs="*", default=[1, 4, 8])
    parser.add_argument("--url")
    parser.add_argument("--json", type=Path, metavar="FILE")
    parser.add_argument("--work", help=argparse.SUPPRESS)
    parser.add_argument("--at-once", type=int, default=AT_ONCE, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.work:
        asyncio.run(work(given.work, given.seconds, given.at_once))
    else:
        sys.exit(asyncio.run(main(given)))
