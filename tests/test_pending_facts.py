"""Facts not yet written are never lost: known at once, and written as soon as possible."""

import asyncio
import contextlib
import queue
import sqlite3
import subprocess
import sys
import textwrap
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

import paymux.journal.sqlite.batch_runner
import paymux.journal.store
import paymux.journal.stored.writer
from paymux import DuplicateReference, NotSent, Payment, Pool, Status, Unavailable
from paymux.http import PreparedRequest, Response
from paymux.journal.sqlite import SqliteJournal
from paymux.journal.sqlite.batch_runner import BatchRunner
from paymux.journal.stored.writer import Writer

from .campaigns.locked import locked_while_charging
from .toys import BASE, KEY, Desk, Findable, Keyless, Wire, answer, push

ROOT = Path(__file__).parents[1]


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the path of a journal that waits a tenth of a second for a lock, instead of ten."""
    for module in (paymux.journal.stored.writer, paymux.journal.sqlite.batch_runner):
        monkeypatch.setattr(module, "LOCK_WAIT_SECONDS", 0.1)
        monkeypatch.setattr(module, "RETRY_SECONDS", 0.2)
    monkeypatch.setattr(paymux.journal.store, "RECORD_WAIT_SECONDS", 0.05)
    return tmp_path / "payments.db"


class Lock:
    """Another program's lock on the file."""

    def __init__(self, file: Path) -> None:
        self._db = sqlite3.connect(file, isolation_level=None)

    def take(self) -> None:
        self._db.execute("BEGIN IMMEDIATE")

    def free(self) -> None:
        self._db.execute("ROLLBACK")
        self._db.close()


def rows(file: Path) -> dict[str, tuple[str, str]]:
    """Read the state and the status of each order with plain SQL."""
    with contextlib.closing(sqlite3.connect(file)) as db:
        found = db.execute("SELECT reference, state, status FROM payments").fetchall()
    return {reference: (state, status) for reference, state, status in found}


async def until(seen: Callable[[], object]) -> None:
    """Wait until a condition is true."""
    async with asyncio.timeout(20):
        while not seen():
            await asyncio.sleep(0.01)


async def charged(file: Path, replies: Any = None, **options: Any) -> tuple[Pool, Lock]:
    """Return a pool whose `order-1` was answered while another program had locked the file."""
    lock = Lock(file)

    def respond(outgoing: PreparedRequest) -> Response:
        if outgoing.money:
            lock.take()
        return desk(outgoing)

    replies = replies or answer(id="id-1", status="WAIT")
    found = answer(id="id-1", status="OK", reference="order-1")
    desk = Desk(collect=replies, payments=found, find=found)
    pay = Pool(
        Findable(),
        connection=Wire(respond),
        journal=file,
        webhook_base=BASE,
        webhook_key=KEY,
        **options,
    )
    await pay.__aenter__()
    await collect(pay)
    await asyncio.sleep(0.3)  # longer than any operation waits for the lock
    assert rows(file)["order-1"] == ("sending", "pending")
    return pay, lock


async def collect(pay: Pool, reference: str = "order-1", amount: int = 500) -> Payment:
    """Collect from the pool's only account."""
    (account,) = pay.drivers
    return await pay.collect(
        account, amount=amount, currency="XAF", reference=reference, deadline=0.5
    )


async def test_it_is_written_once_the_lock_is_gone(file: Path) -> None:
    """The row is written without a further call, in the process that knew the answer."""
    pay, lock = await charged(file)
    async with pay:
        lock.free()
        await until(lambda: rows(file)["order-1"] == ("accepted", "pending"))


async def _collect_again(pay: Pool) -> None:
    assert (await collect(pay)).provider_reference == "id-1"
    with pytest.raises(DuplicateReference):
        await collect(pay, amount=501)


async def _verify(pay: Pool) -> None:
    known = Payment(
        account="findable", kind="collect", reference="order-1", provider_reference="id-1"
    )
    assert (await pay.verify(known)).status is Status.SUCCEEDED
    assert [one.status async for one in pay.payments(status=Status.SUCCEEDED)] == [Status.SUCCEEDED]
    assert [one async for one in pay.payments(status=Status.PENDING)] == []


async def _find_for_a_message(pay: Pool) -> None:
    event = pay.webhook(push(path=pay.webhook_url("findable"), id="id-1", status="OK"))
    known = await pay._engine.store.messages.payment_of(event)
    assert known is not None
    assert known.reference == "order-1"


async def _list(pay: Pool) -> None:
    assert [one.provider_reference async for one in pay.payments()] == ["id-1"]


@pytest.mark.parametrize("ask", [_collect_again, _verify, _find_for_a_message, _list])
async def test_the_same_process_answers_from_what_it_knows(
    file: Path, ask: Callable[[Pool], Awaitable[None]]
) -> None:
    """While the file is locked, the same order, a look-up, a message and a list know the answer."""
    pay, lock = await charged(file)
    async with pay:
        async with asyncio.timeout(5):
            await ask(pay)
        lock.free()
        await until(lambda: rows(file)["order-1"][0] == "accepted")


async def test_what_was_found_meanwhile_is_written_in_order(file: Path) -> None:
    """An answer and its end, both while the file was locked, become two facts in that order."""
    pay, lock = await charged(file)
    async with pay:
        await _verify(pay)
        lock.free()
        await until(lambda: rows(file)["order-1"] == ("accepted", "succeeded"))
    with contextlib.closing(sqlite3.connect(file)) as db:
        told = db.execute("SELECT source, status FROM facts ORDER BY id").fetchall()
    assert told[-2:] == [("answer", "pending"), ("verify", "succeeded")]


async def test_nothing_new_is_sent_meanwhile(file: Path) -> None:
    """Another order cannot be recorded: NotSent; once the lock is released it can be sent."""
    pay, lock = await charged(file)
    async with pay:
        with pytest.raises(NotSent):
            await collect(pay, "order-2")
        lock.free()
        await until(lambda: rows(file)["order-1"][0] == "accepted")
    assert "order-2" not in rows(file)


async def test_closing_says_what_could_not_be_kept(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """`aclose` waits a limited time, then one ERROR names the order and its unstored answer."""
    pay, lock = await charged(file)
    caplog.clear()
    async with asyncio.timeout(5):
        await pay.aclose()
    (said,) = [one.getMessage() for one in caplog.records if one.levelname == "ERROR"]
    assert all(word in said for word in ("findable", "order-1", "pending", "id-1"))
    lock.free()
    assert rows(file)["order-1"] == ("sending", "pending")


async def test_closing_writes_what_it_can(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    """If the lock is released in time, the answer is stored and nothing is logged."""
    pay, lock = await charged(file)
    caplog.clear()
    closing = asyncio.create_task(pay.aclose())
    await asyncio.sleep(0)
    lock.free()
    await closing
    assert rows(file)["order-1"] == ("accepted", "pending")
    assert [one for one in caplog.records if one.levelname == "ERROR"] == []


async def test_a_disk_that_recovers_gets_the_answer(file: Path) -> None:
    """After a failed write the answer is tried again, without harm to other writes."""
    wire = Wire(Desk(collect=answer(id="id-1", status="OK")))
    async with Pool(Keyless(), connection=wire, journal=file) as pay:
        with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as db:
            db.execute(
                """CREATE TRIGGER refuse BEFORE INSERT ON facts WHEN NEW.source = 'answer' AND
                   NEW.reference = 'order-1' BEGIN SELECT RAISE(ABORT, 'disk on fire'); END"""
            )
            await collect(pay)
            await collect(pay, "order-2")
            assert rows(file) == {
                "order-1": ("sending", "pending"),
                "order-2": ("accepted", "succeeded"),
            }
            db.execute("DROP TRIGGER refuse")
        await until(lambda: rows(file)["order-1"] == ("accepted", "succeeded"))


async def test_the_end_of_a_turn_is_never_lost(file: Path) -> None:
    """Work that was done while the file was locked is not done again."""
    async with Pool(Keyless(), connection=Wire(Desk()), journal=file) as pay:
        payment = Payment(account="keyless", kind="collect", reference="order-1")
        _ = [one async for one in pay.payments()]
        lock = Lock(file)
        turn = pay.once(payment, "fulfilled")
        assert await turn.__aenter__()
        lock.take()
        with pytest.raises(Unavailable):
            await turn.__aexit__(None, None, None)
        lock.free()
        async with pay.once(payment, "fulfilled") as again:
            assert not again


async def test_the_lock_held_while_a_hundred_charges_are_on_the_wire(file: Path) -> None:
    """A slice of `benchmarks/bench_locked.py`: a hundred answers are in the journal afterwards."""
    kept, seconds = await locked_while_charging(file, count=100, hold=1.0)
    assert kept == 100
    assert seconds >= 1.0


ENDS_WITHOUT_CLOSING = """
    import asyncio, sqlite3, sys, threading
    from paymux import Pool
    from tests.toys import Desk, Keyless, Wire, answer

    db = sqlite3.connect(sys.argv[1], isolation_level=None, check_same_thread=False)

    def respond(outgoing):
        db.execute("BEGIN IMMEDIATE")
        threading.Timer(4.0, lambda: db.execute("ROLLBACK")).start()
        return answer(id="id-1", status="OK")

    pool = Pool(Keyless(), connection=Wire(respond), journal=sys.argv[1])
    asyncio.run(pool.collect("keyless", amount=500, currency="XAF", reference="order-1"))
"""


@pytest.mark.slow
def test_a_process_that_ends_without_closing_writes_what_it_knows(tmp_path: Path) -> None:
    """If a program ends while the file is locked, the answer is written first."""
    file = tmp_path / "payments.db"
    ended = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(ENDS_WITHOUT_CLOSING), str(file)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=ROOT,
    )
    assert ended.returncode == 0, ended.stderr
    assert rows(file)["order-1"] == ("accepted", "succeeded")


class Unheard(BaseException):
    """An exception that the thread does not expect."""


@pytest.mark.parametrize(
    "error", [MemoryError, RecursionError, KeyboardInterrupt, SystemExit, Unheard, ValueError]
)
@pytest.mark.parametrize("where", ["operation", "opening", "thread"])
async def test_after_any_error_in_the_thread_no_caller_waits_for_ever(
    tmp_path: Path, error: type[BaseException], where: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Any exception becomes an OSError for the caller, and the next operation works."""
    broken = threading.Event()

    def fail(*_: object) -> Any:
        if not broken.is_set():
            broken.set()
            raise error
        return None

    def connect() -> sqlite3.Connection:
        if where == "opening":
            fail()
        return sqlite3.connect(
            tmp_path / "numbers.db", isolation_level=None, check_same_thread=False
        )

    writer = Writer(lambda: BatchRunner(connect, lambda: None, None))
    if where == "thread":
        whole = writer.runner._gather

        def gather(*given: Any) -> bool:
            ended = whole(*given)
            fail()
            return ended

        monkeypatch.setattr(writer.runner, "_gather", gather)
    async with asyncio.timeout(5):
        with pytest.raises(OSError, match="journal"):
            await writer.do(fail if where == "operation" else lambda _: None)
        assert await writer.do(lambda db: db.execute("SELECT 5").fetchone()) == (5,)
        await writer.aclose()


async def test_a_thread_that_cannot_begin_is_an_oserror(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a thread or memory, or while the process ends: NotSent, and the next order works."""

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread at interpreter shutdown")

    async with asyncio.timeout(5):
        pay = Pool(
            Keyless(),
            connection=Wire(Desk(collect=answer(id="1"))),
            journal=tmp_path / "payments.db",
        )
        with monkeypatch.context() as patch:
            patch.setattr(threading.Thread, "start", refuse)
            with pytest.raises(NotSent, match="thread"):
                await collect(pay)

        def full(*_: object) -> None:
            raise MemoryError

        with monkeypatch.context() as patch:
            journal = pay._engine.store.journal
            assert isinstance(journal, SqliteJournal)
            patch.setattr(journal._writer, "_queue", _Full(full))
            with pytest.raises(NotSent, match="thread"):
                await collect(pay)
        assert (await collect(pay)).provider_reference == "1"
        await pay.aclose()


class _Full(queue.SimpleQueue[Any]):
    def __init__(self, put: Callable[..., None]) -> None:
        self._refuse = put

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        self._refuse(item)
