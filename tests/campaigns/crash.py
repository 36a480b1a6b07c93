"""R5: a process dies or its disk fails at a chosen system call, and another process recovers."""

import asyncio
import contextlib
import json
import os
import random
import re
import sqlite3
import sys
import tempfile
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
import psycopg
from psycopg.rows import dict_row

from paymux import CamPay, OutcomeUnknown, Payment, PaymuxError, Pool, Status
from paymux.drivers import load
from paymux.journal.place import journal_at
from paymux.journal.postgres.address import Address
from paymux.simulator import Simulator

ROOT = Path(__file__).parents[2]
DEADLY = (
    "write",
    "pwrite64",
    "fsync",
    "fdatasync",
    "sendto",
    "sendmsg",
    "writev",
    "recvfrom",
    "recvmsg",
    "connect",
)
DISK = ("pwrite64", "pread64", "fsync", "fdatasync", "ftruncate")
OPERATIONS = ("campay collect", "campay payout", "mpesa collect", "campay recover")
MONEY = {"campay": ("XAF", "237677777777"), "mpesa": ("KES", "254708374149")}
BASES = {"campay": "/campay/api", "mpesa": "/mpesa"}
NAME = "order-1"


class Point(msgspec.Struct, frozen=True):
    """A point: the nth call of a system call in one thread, and the fault at this call."""

    syscall: str
    nth: int
    trouble: str = "signal=SIGKILL"
    onwards: str = ""  # "+": also at all later calls

    def __str__(self) -> str:
        return f"{self.syscall}:{self.trouble}:when={self.nth}{self.onwards}"


def shop(url: str, driver: str, journal: str) -> Pool:
    """Return a pool with one account at a simulator, and with a journal: a path or a URL."""
    fields: dict[str, Any] = dict.fromkeys(("username", "password", "webhook_key"), "simulator")
    if driver == "mpesa":
        fields = {
            "consumer_key": "simulator",
            "consumer_secret": "simulator",
            "shortcode": "174379",
        }
        fields["passkey"] = "simulator"
    return Pool(
        load(driver)(base_url=f"{url}{BASES[driver]}", **fields),
        journal=journal,
        deadline=5.0,
        webhook_base="http://127.0.0.1:1/pay",
        webhook_key="0123456789abcdef-hooks",
    )


async def act(pay: Pool, driver: str, verb: str) -> Payment | None:
    """Run the operation that the crash interrupts."""
    currency, number = MONEY[driver]
    if verb == "recover":
        async for _ in pay.recover():
            pass
        return None
    if verb == "payout":
        return await pay.payout(driver, amount=500, currency=currency, payee=number, reference=NAME)
    return await pay.collect(driver, amount=500, currency=currency, payer=number, reference=NAME)


async def child(url: str, driver: str, verb: str, journal: str) -> None:
    """Run the process that dies; if it survives, it prints how the operation ended."""
    said: dict[str, Any] = {}
    try:
        async with shop(url, driver, journal) as pay:
            payment = await act(pay, driver, verb)
            said = {"status": payment.status if payment else None}
    except PaymuxError as error:
        said = {"error": type(error).__name__}
    except BaseException as error:  # noqa: BLE001 - a foreign exception is a finding
        said = {"foreign": repr(error)}
    print(json.dumps(said), flush=True)


DIED: Counter[str] = Counter()


class Ran(msgspec.Struct, frozen=True):
    """How a child process ended."""

    code: int
    said: dict[str, Any]
    told: str


async def run(*arguments: str, strace: Sequence[str] = ()) -> Ran:
    """Run a child process, with the given strace command."""
    process = await asyncio.create_subprocess_exec(
        *strace,
        sys.executable,
        "-m",
        "tests.campaigns.crash",
        *arguments,
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    line = out.decode().strip().splitlines()[-1:] or ["{}"]
    return Ran(process.returncode or 0, json.loads(line[0]), err.decode())


def traced(*options: str) -> list[str]:
    """Return the strace command for a process with all its threads."""
    # --seccomp-bpf is faster, but with it `when` above 1 never matches (strace 6.1).
    return ["strace", "-f", "-qq", *options]


async def prepared(journal: str, verb: str, sim: Simulator) -> None:
    """Write the journal that recover() starts from.

    Its process died while it sent two payments, and before it sent a third one.
    """
    if verb != "recover":
        return
    async with shop(sim.url, "campay", f"{journal}_first") as pay:
        payment = await act(pay, "campay", "collect")
    assert payment is not None
    book = journal_at(journal)
    for name in (NAME, "order-2", "order-3"):
        one = msgspec.structs.replace(payment, reference=name)
        await book.intend(one, "digest")
        if name != "order-3":
            await book.mark_sending(one)
    await book.aclose()


def on_disk(file: str) -> list[str]:
    """Return the options by which strace traces only the calls on the journal's files."""
    return [
        part for suffix in ("", "-wal", "-shm", "-journal") for part in ("-P", f"{file}{suffix}")
    ]


@contextlib.contextmanager
def empty_journal(server: str | None) -> Iterator[str]:
    """Yield the place of a journal that is not there yet: a path, or a schema behind a URL."""
    if server is None:
        with tempfile.TemporaryDirectory() as folder:
            yield str(Path(folder) / "payments.db")
        return
    schema = f"crash_{uuid.uuid4().hex}"
    yield f"{server}?schema={schema}"
    with psycopg.connect(server, autocommit=True) as db:
        for name in (schema, f"{schema}_first"):
            db.execute(f"DROP SCHEMA IF EXISTS {name} CASCADE".encode())


async def points(
    operation: str, syscalls: Sequence[str], trouble: Sequence[str], server: str | None = None
) -> list[Point]:
    """List every point at which a run without faults makes one of the calls.

    `server`: the URL of a PostgreSQL database, which has the journal in place of a file.
    """
    driver, verb = operation.split()
    disk = syscalls is DISK
    with tempfile.TemporaryDirectory() as folder, empty_journal(server) as journal:
        log = Path(folder) / "log"
        async with Simulator() as sim:
            await prepared(journal, verb, sim)
            options = traced(
                "-o",
                str(log),
                "-e",
                f"trace={','.join(syscalls)}",
                *(on_disk(journal) if disk else ()),
            )
            ran = await run("--child", sim.url, driver, verb, journal, strace=options)
        assert "status" in ran.said, ran
        calls = Counter(re.findall(r"(?m)^(\d+) +(\w+)\(", log.read_text()))
    # strace counts `when` for each thread separately.
    most: dict[str, int] = {}
    for (_, syscall), count in calls.items():
        most[syscall] = max(most.get(syscall, 0), count)
    return [
        Point(syscall, nth, kind.rstrip("+"), "+" if kind.endswith("+") else "")
        for syscall, count in most.items()
        for nth in range(1, count + 1)
        for kind in trouble
    ]


def money_sent(sim: Simulator, driver: str) -> int:
    """Count the money requests for the order that the provider received completely."""
    paths = ("/collect/", "/withdraw/") if driver == "campay" else ("/stkpush",)
    return sum(
        NAME.encode() in one.body for path in paths for one in sim.received(driver, f"POST {path}")
    )


def rows(journal: str) -> list[dict[str, Any]]:
    """Read the order's rows from the journal with plain SQL; no journal means no rows."""
    sql = "SELECT * FROM payments WHERE reference = 'order-1'"
    if "://" in journal:
        address = Address(journal)
        options = f"-c search_path={address.schema}"
        with psycopg.connect(address.url.reveal(), options=options, row_factory=dict_row) as server:
            try:
                return server.execute(sql.encode()).fetchall()
            except psycopg.errors.UndefinedTable:
                return []  # the process died before it created the tables
    if not Path(journal).exists():
        return []
    with contextlib.closing(sqlite3.connect(journal)) as db:
        db.row_factory = sqlite3.Row
        try:
            return [dict(row) for row in db.execute(sql)]
        except sqlite3.OperationalError:
            return []  # the process died before it created the tables


async def judged(operation: str, journal: str, sim: Simulator) -> Iterator[str]:
    """Recover twice as another process, repeat the order, and return what is wrong."""
    driver, verb = operation.split()
    wrong: list[str] = []
    sent = money_sent(sim, driver)
    before = rows(journal)
    if sent and (not before or before[0]["state"] in ("intent", "not_sent", "refused")):
        wrong.append(f"sent without a row: {before}")
    for _ in range(2):
        async with shop(sim.url, driver, journal) as pay:
            seen = [found.payment.reference async for found in pay.recover()]
        if len(seen) != len(set(seen)):
            wrong.append(f"recovered twice in a run: {seen}")
    if money_sent(sim, driver) != sent:
        wrong.append("recover() sent money")
    after = rows(journal)
    if before and before[0]["state"] == "intent" and after[0]["state"] != "not_sent":
        wrong.append(f"an intent became {after[0]['state']}")
    # The row of an ended payment may keep the name of a dead worker: no process reads it again.
    if any(
        one["state"] in ("intent", "sending") or (one["status"] == "pending" and one["worker"])
        for one in after
    ):
        wrong.append(f"left open: {after}")
    if verb != "recover":
        async with shop(sim.url, driver, journal) as pay:
            with contextlib.suppress(OutcomeUnknown):
                await act(pay, driver, verb)
        total = money_sent(sim, driver)
        if total > 1:
            wrong.append(f"sent {total} times")
        if total == 0 and not (after and after[0]["state"] == "unknown"):
            wrong.append("neither sent nor unknown")
    return iter(wrong)


async def crashed(operation: str, point: Point, server: str | None = None) -> list[str]:
    """R5: kill a process at a point, recover, and return what is wrong."""
    driver, verb = operation.split()
    with empty_journal(server) as journal:
        async with Simulator() as sim:
            await prepared(journal, verb, sim)
            options = traced("-e", f"trace={point.syscall}", "-e", f"inject={point}")
            ran = await run("--child", sim.url, driver, verb, journal, strace=options)
            wrong = list(await judged(operation, journal, sim))
        DIED["killed" if not ran.said else "lived"] += 1
        if "foreign" in ran.said:
            wrong.append(f"a foreign exception: {ran.said}")
    return [f"{operation} {point}: {one}" for one in wrong]


async def failed(operation: str, point: Point) -> list[str]:
    """R5b: make the disk fail at a point, and return what is wrong."""
    driver, verb = operation.split()
    with empty_journal(None) as journal:
        async with Simulator() as sim:
            await prepared(journal, verb, sim)
            options = traced(
                "-e", f"trace={point.syscall}", "-e", f"inject={point}", *on_disk(journal)
            )
            ran = await run("--child", sim.url, driver, verb, journal, strace=options)
            sent = money_sent(sim, driver)
            wrong = list(await judged(operation, journal, sim))
        DIED["not sent" if not sent else "sent"] += 1
        if verb != "recover":
            if sent and ran.said.get("status") != "pending":
                wrong.append(f"its answer was not told: {ran.said}")
            if not sent and ran.said.get("error") != "NotSent":
                wrong.append(f"not sent, and told as {ran.said}")
        if "foreign" in ran.said or not ran.said:
            wrong.append(f"ended with {ran.said} {ran.told[-300:]}")
    return [f"{operation} {point}: {one}" for one in wrong]


PAYMENTS = 1_000
WORKERS = 8


async def fulfil(file: Path, log: Path, count: int, seed: int) -> None:
    """Run one worker, which fulfils every payment whose turn it gets."""
    order = list(range(count))
    random.Random(seed).shuffle(order)
    me = f"{os.getpid()}-{seed}"
    out = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    driver = CamPay(username="simulator", password="simulator", base_url="http://127.0.0.1:1")
    async with Pool(driver, journal=file) as pay:
        for number in order:
            payment = Payment(
                account="campay",
                kind="collect",
                reference=f"order-{number}",
                status=Status.SUCCEEDED,
            )
            async with pay.once(payment, "fulfilled") as first:
                if first:
                    os.write(out, f"begun {number} {me}\n".encode())
                    await asyncio.sleep(0.0005)
                    os.write(out, f"done {number} {me}\n".encode())
            if first:
                os.write(out, f"ended {number} {me}\n".encode())
    os.write(out, f"finished - {me}\n".encode())


async def fulfilled(
    count: int = PAYMENTS, workers: int = WORKERS, kills: int = 60, seed: int = 0
) -> list[str]:
    """Run workers that fulfil payments, kill them at random, and return what is wrong."""
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        file, log = Path(folder) / "payments.db", Path(folder) / "log"
        log.touch()
        number = 0

        async def start() -> asyncio.subprocess.Process:
            nonlocal number
            number += 1
            given = ("--fulfil", str(file), str(log), str(count), str(seed * 1000 + number))
            return await asyncio.create_subprocess_exec(
                sys.executable, "-m", "tests.campaigns.crash", *given, cwd=ROOT
            )

        running = [await start() for _ in range(workers)]
        while kills and "finished" not in log.read_text():
            await asyncio.sleep(chance.uniform(0.1, 0.4))
            victim = chance.randrange(workers)
            if running[victim].returncode is None:
                running[victim].kill()
                kills -= 1
            await running[victim].wait()
            running[victim] = await start()
        codes = [await one.wait() for one in running]
        lines = [line.split() for line in log.read_text().splitlines()]
    wrong = [f"a worker ended with {code}" for code in codes if code]
    begun: dict[str, list[str]] = {}
    told = {(what, which, who) for what, which, who in lines}
    for what, which, who in lines:
        if what == "begun":
            begun.setdefault(which, []).append(who)
    for which in map(str, range(count)):
        whom = begun.get(which, [])
        if not any(("done", which, who) in told for who in whom):
            wrong.append(f"order-{which} was never fulfilled")
        wrong += [
            f"order-{which} was begun again although {who} had lived"
            for who in whom[:-1]
            if ("ended", which, who) in told or ("finished", "-", who) in told
        ]
    again = sum(len(whom) - 1 for whom in begun.values())
    print(
        f"once: {count} payments, {number - workers} workers killed, {again} turns given "
        f"back, {len(wrong)} wrong"
    )
    return wrong


if __name__ == "__main__":
    if sys.argv[1] == "--child":
        asyncio.run(child(*sys.argv[2:]))
    else:
        asyncio.run(
            fulfil(Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5]))
        )
