"""A journal is moved from a file to PostgreSQL: every row, open orders too, and never twice."""

import asyncio
import contextlib
import json
import random
import signal
import sqlite3
import subprocess
import sys
import textwrap
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from paymux import (
    DuplicateReference,
    OutcomeUnknown,
    Payment,
    Pool,
    SqliteJournal,
    Status,
    UsageError,
)
from paymux.errors import PaymuxError
from paymux.http import PreparedRequest, Response, TransportError
from paymux.journal import copy_journal
from paymux.journal.base import State
from paymux.journal.postgres import PostgresJournal
from paymux.journal.postgres.connection import Connection, ServerGone
from paymux.journal.postgres.target import Target
from paymux.models import Event, Trust
from paymux.primitives.redaction import Secret

from ..cli.running import ended
from ..notify.world import order
from ..toys import Findable, Wire, answer
from .test_opening import sql

KILLS = 20


def _pool(journal: Any) -> Pool:
    def desk(outgoing: PreparedRequest) -> Response:
        if outgoing.url.endswith("/login"):
            return answer(token="t", expires_in=3600)
        if outgoing.method == "POST":
            said = json.loads(outgoing.body or b"")
            if said["reference"].startswith("lost"):
                raise TransportError("cut off")
            status = "WAIT" if said["reference"].startswith("open") else "OK"
            return answer(id=f"id-{said['reference']}", status=status, reference=said["reference"])
        name = outgoing.url.rpartition("/")[2].removeprefix("id-")
        return answer(id=f"id-{name}", status="OK", reference=name)

    wire = Wire(desk)
    return Pool(Findable(account="toy"), connection=wire, journal=journal)


async def _collect(pay: Pool, reference: str) -> Payment:
    return await pay.collect(
        "toy", amount=500, currency="XAF", reference=reference, payer="237677777777",
        metadata={"é": "漢 \u0000 🙂"},
    )  # fmt: skip


async def _filled(file: Path, count: int = 3) -> None:
    """Make a journal with orders that ended, are open, unknown, and were being sent at a crash."""
    async with _pool(file) as pay:
        for number in range(count):
            paid = await _collect(pay, f"paid-{number}")
            async with pay.once(paid, "fulfilled") as turn:
                assert turn
            await _collect(pay, f"open-{number}")
            with contextlib.suppress(OutcomeUnknown):
                await _collect(pay, f"lost-{number}")
    book = SqliteJournal(file)
    await book.intend(order("intent"), "digest")
    await book.intend(order("sending"), "digest")
    await book.mark_sending(order("sending"))
    await book.take_turn(order("paid-0"), "held", "caller")
    claims = Payment(account="toy", provider_reference="id-open-0")
    await book.keep_event(Event(account="toy", claims=claims, trust=Trust.BODY), open=True)
    await book.aclose()
    with contextlib.closing(sqlite3.connect(file)) as db, db:
        db.execute("INSERT INTO forgotten VALUES ('toy', 'collect', 'old', 'd', 'failed', ?)",
                   ("2026-01-01T00:00:00.000000+00:00",))  # fmt: skip
        db.execute("INSERT INTO notes VALUES ('entered collect', '')")


def _copy(file: Path, url: str) -> int:
    with ThreadPoolExecutor(1) as thread:  # a loop of its own cannot run inside that of a test
        return thread.submit(copy_journal, str(file), Secret(url)).result()


def _rows(file: Path, table: str, columns: str) -> list[Any]:
    with contextlib.closing(sqlite3.connect(file)) as db:
        return db.execute(f"SELECT {columns} FROM {table} ORDER BY 1, 2, 3").fetchall()  # noqa: S608


async def test_every_row_is_there_and_work_goes_on(tmp_path: Path, database: str) -> None:
    """Open orders are recovered there, ended ones are returned, and new ones are numbered on."""
    file = tmp_path / "payments.db"
    await _filled(file)
    facts = _rows(file, "facts", "account, kind, reference, id, at, state, payment")
    assert await asyncio.to_thread(_copy, file, database) > len(facts)
    with pytest.raises(UsageError, match="it was moved to postgresql://") as caught:
        async with _pool(file):
            pass
    assert caught.value.name == "journal"
    book = PostgresJournal(database)
    payments = {payment.reference: payment async for payment in book.payments()}
    assert {f"{name}-{number}" for name in ("paid", "open", "lost") for number in range(3)} <= set(
        payments
    )
    assert payments["paid-1"].metadata == {"é": "漢 \u0000 🙂"}
    assert await book.turn_done(payments["paid-0"], "fulfilled")
    assert await book.take_turn(payments["paid-0"], "held", "another")  # its holder is dead
    assert len(await book.claim_events(10)) == 1
    await book.aclose()
    async with _pool(database) as pay:
        assert (await _collect(pay, "paid-0")).status is Status.SUCCEEDED
        with pytest.raises(DuplicateReference):
            await pay.collect("toy", amount=5, currency="XAF", reference="paid-0")
        found = {one.payment.reference: one async for one in pay.recover()}
        assert found["open-0"].payment.status is Status.SUCCEEDED
        assert found["lost-1"].resolved
        assert found["sending"].was is State.SENDING
        assert "intent" in found
        await _collect(pay, "new")
    more = f"SELECT count(*) FROM {_schema(database)}.facts WHERE id > {len(facts)}"  # noqa: S608
    (count,) = sql(database, more)
    assert count >= 3


def _schema(url: str) -> str:
    return url.rpartition("schema=")[2].partition("&")[0]


async def test_it_refuses_while_a_worker_lives(tmp_path: Path, database: str) -> None:
    """In this process or in another one: it says which, and nothing is changed."""
    file = tmp_path / "payments.db"
    async with _pool(file) as pay:
        await _collect(pay, "paid-0")
        with pytest.raises(UsageError, match="this process still uses it"):
            await asyncio.to_thread(_copy, file, database)
        await _collect(pay, "paid-1")
    code = """
        import asyncio, sys
        from paymux import SqliteJournal
        async def main():
            book = SqliteJournal(sys.argv[1])
            await book.open()
            print("open", flush=True)
            sys.stdin.read()
        asyncio.run(main())
    """
    other = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code), str(file)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert other.stdout is not None
    assert other.stdout.readline() == "open\n"
    with pytest.raises(UsageError, match=f"process {other.pid} still uses it"):
        await asyncio.to_thread(_copy, file, database)
    other.communicate("")
    assert await asyncio.to_thread(_copy, file, database)


async def test_it_refuses_a_database_that_has_a_journal(tmp_path: Path, database: str) -> None:
    """Rows of two journals are never mixed; the file stays as it was."""
    file = tmp_path / "payments.db"
    await _filled(file)
    async with _pool(database) as pay:
        await _collect(pay, "paid-9")
    with pytest.raises(UsageError, match="has payments already"):
        await asyncio.to_thread(_copy, file, database)
    async with _pool(file) as pay:
        assert (await _collect(pay, "paid-0")).status is Status.SUCCEEDED


async def test_a_moved_file_goes_nowhere_else(tmp_path: Path, database: str) -> None:
    """Again to the same journal ends the same; to another one is refused by name."""
    file = tmp_path / "payments.db"
    await _filled(file)
    rows = await asyncio.to_thread(_copy, file, database)
    assert await asyncio.to_thread(_copy, file, database) == rows
    with pytest.raises(UsageError, match="it was moved to"):
        await asyncio.to_thread(_copy, file, f"{database}_other")


async def test_a_row_that_differs_stops_it(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was read back is compared: a row that is not the same there undoes all of it."""
    file = tmp_path / "payments.db"
    await _filled(file)
    fill = Connection.fill

    def broken(self: Connection, table: str, columns: tuple[str, ...], rows: list[Any]) -> None:
        if table == "facts":
            rows = [(*row[:-1], row[-1]) for row in rows[:-1]]
        fill(self, table, columns, rows)

    monkeypatch.setattr(Connection, "fill", broken)
    with pytest.raises(
        OSError, match=r"^facts: the row [0-9]+ is not the same there; nothing is moved"
    ):
        await asyncio.to_thread(_copy, file, database)
    monkeypatch.undo()
    async with _pool(file) as pay:
        assert (await _collect(pay, "paid-0")).status is Status.SUCCEEDED
    assert await asyncio.to_thread(_copy, file, database)


@pytest.mark.parametrize("durable", [False, True])
async def test_a_copy_that_was_broken_off_is_undone_where_nothing_was_moved(
    tmp_path: Path, database: str, monkeypatch: pytest.MonkeyPatch, *, durable: bool
) -> None:
    """The file is opened again if the database, which is asked, lacks its rows; else it stays."""
    file = tmp_path / "payments.db"
    await _filled(file)
    commit = Target.commit

    def gone(self: Target) -> None:
        if durable:
            commit(self)
        raise ServerGone("the connection is lost")

    monkeypatch.setattr(Target, "commit", gone)
    with pytest.raises(ServerGone):
        await asyncio.to_thread(_copy, file, database)
    monkeypatch.undo()
    with pytest.raises(UsageError, match="broken off"):
        async with _pool(file):
            pass
    words = ("journal", "copy", "--undo", str(file))
    other = await asyncio.to_thread(ended, *words, f"{database}_other")
    assert other.exit_code == 2
    done = await asyncio.to_thread(ended, *words, database)
    if durable:
        assert (done.exit_code, "the same copy again" in done.stderr) == (2, True)
        assert await asyncio.to_thread(_copy, file, database)
        return
    assert (done.exit_code, "is open again" in done.stdout) == (0, True), done.stderr
    async with _pool(file) as pay:
        assert (await _collect(pay, "paid-0")).status is Status.SUCCEEDED
    twice = await asyncio.to_thread(ended, *words, database)
    assert (twice.exit_code, "no move of this file" in twice.stderr) == (2, True)


CHILD = """
    import os, signal, sys
    from paymux.journal import copy_journal
    from paymux.journal.postgres.connection import Connection
    from paymux.journal.sqlite import source
    from paymux.primitives.redaction import Secret

    left = [int(sys.argv[3])]

    def counted(call):
        def counting(*given, **named):
            step()
            found = call(*given, **named)
            step()
            return found
        return counting

    def step():
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    Connection.run = counted(Connection.run)
    for name in ("mark", "_commit", "rows", "unmark"):
        setattr(source.Source, name, counted(getattr(source.Source, name)))
    source._empty_log = counted(source._empty_log)
    rows = copy_journal(sys.argv[1], Secret(sys.argv[2]))
    print(rows, 10**6 - left[0])
"""


@pytest.mark.slow
@pytest.mark.timeout(600)
async def test_killed_at_any_moment_and_run_again_it_ends_the_same(
    tmp_path: Path, database: str
) -> None:
    """SIGKILL before or after any statement: no worker opens both, and the next run moves all."""
    original = tmp_path / "original.db"
    await _filled(original, 2)
    program = tmp_path / "child.py"
    program.write_text(textwrap.dedent(CHILD))

    def run(file: Path, url: str, at: int) -> Any:
        return subprocess.run(
            [sys.executable, program, file, url, str(at)],
            capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip

    whole = run(_duplicate(original, tmp_path / "whole.db"), f"{database}_whole", 10**6)
    rows, steps = map(int, whole.stdout.split())
    last = range(steps - 13, steps + 1)  # the marks, the COMMIT, and what lies between them
    moments = [1, *random.Random(7).sample(range(2, steps - 13), KILLS - 1 - len(last)), *last]
    for number, at in enumerate(moments):
        file, url = _duplicate(original, tmp_path / f"{number}.db"), f"{database}_{number}"
        killed = await asyncio.to_thread(run, file, url, at)
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        opens = [await _opens(file), await _opens_filled(url)]
        assert opens.count(True) <= 1, at
        again = await asyncio.to_thread(run, file, url, 10**6)
        assert (again.returncode, int(again.stdout.split()[0])) == (0, rows), (at, again.stderr)
        assert [await _opens(file), await _opens_filled(url)] == [False, True]
        (facts,) = sql(url, f"SELECT count(*) FROM {_schema(url)}.facts")  # noqa: S608
        assert facts == len(_rows(original, "facts", "account, kind, reference"))


def _duplicate(original: Path, file: Path) -> Path:
    with (
        contextlib.closing(sqlite3.connect(original)) as one,
        contextlib.closing(sqlite3.connect(file)) as other,
    ):
        one.backup(other)
        other.execute("DELETE FROM notes WHERE name = 'path'")
        other.commit()
    return file


async def _opens(file: Path) -> bool:
    """Return whether a worker can use the file."""
    book = SqliteJournal(file)
    try:
        await book.find("toy", "collect", reference="paid-0")
    except PaymuxError:
        return False
    finally:
        await book.aclose()
    return True


async def _opens_filled(url: str) -> bool:
    """Return whether a worker finds the orders in the database."""
    book = PostgresJournal(url)
    try:
        return await book.find("toy", "collect", reference="paid-0") is not None
    finally:
        await book.aclose()


async def test_the_command(tmp_path: Path, database: str) -> None:
    """`paymux journal copy FILE URL` says what it did; the other commands read the new journal."""
    file = tmp_path / "payments.db"
    await _filled(file, 1)

    def invoke(*words: str) -> Any:
        return ended("journal", *words, PAYMUX_JOURNAL=database)

    call: Callable[..., Any] = asyncio.to_thread
    done = await call(invoke, "copy", str(file))
    assert (done.exit_code, "each row was read back" in done.output) == (0, True), done.output
    listed = await call(invoke, "list")
    assert (listed.exit_code, "paid-0" in listed.output) == (0, True)
    shown = await call(invoke, "show", database, "paid-0")
    assert (shown.exit_code, '"reference": "paid-0"' in shown.output) == (0, True)
    exported = await call(invoke, "export", "--as", "jsonl")
    assert len(exported.output.splitlines()) == 5
    old = await call(invoke, "list", str(file))
    assert (old.exit_code, "it was moved to" in old.output) == (2, True)
    path = await call(invoke, "copy", str(file), str(file))
    assert path.exit_code == 2
