"""`keep_days` in small steps: other workers write in between, and a run may end at any step."""

import asyncio
import contextlib
import random
import shutil
import sqlite3
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from paymux import DuplicateReference, Notifier, SqliteJournal, Status
from paymux.journal.sqlite.schema import prepare
from paymux.journal.stored import retention
from paymux.journal.tables import keep_days

from .notify.world import Shop, dead, file, order, rarely, run_sql
from .notify.world import pool as virtual_pool
from .toys import timeless

__all__ = ["file", "rarely"]

TABLES = ("payments", "facts", "hints", "unconfirmed", "turns", "fences", "forgotten")
OLD = "2025-01-01T00:00:00.000000+00:00"


def _filled(path: Path, count: int, *, at: str = OLD) -> None:
    """Make a journal with so many payments that ended then, each with its rows, and a young one."""
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
        prepare(db)
        db.execute("BEGIN")
        for number in range(count):
            payment = order(f"old-{number:05}", status=Status.SUCCEEDED, payer="237677777777")
            text = msgspec.json.encode(payment).decode()
            key = ("toy", "collect", f"old-{number:05}")
            db.execute(
                "INSERT INTO payments (account, kind, reference, state, status, digest, payment,"
                " created_at, updated_at) VALUES (?, ?, ?, 'accepted', 'succeeded', 'd', ?, ?, ?)",
                (*key, text, at, at),
            )
            for state in ("intent", "sending", "accepted"):
                db.execute(
                    "INSERT INTO facts (account, kind, reference, at, source, state, status,"
                    " payment) VALUES (?, ?, ?, ?, 'x', ?, 'succeeded', ?)",
                    (*key, at, state, text),
                )
            db.execute("INSERT INTO turns VALUES (?, ?, ?, 'done', ?, NULL, '')", (*key, at))
            db.execute("INSERT INTO fences VALUES (?, ?, ?, 'done', ?, 1)", (*key, at))
        db.execute("COMMIT")


def _all(path: Path, sql: str) -> list[Any]:
    with contextlib.closing(sqlite3.connect(path)) as db:
        return db.execute(sql).fetchall()


def _count(path: Path, table: str) -> int:
    return int(_all(path, f"SELECT count(*) FROM {table}")[0][0])  # noqa: S608 - names of this test


async def _young(path: Path) -> None:
    await dead(path, order("young", status=Status.PENDING))


async def test_a_large_journal_is_open_at_once(tmp_path: Path) -> None:
    """The rest of a run goes on beside the work: an order is recorded between its steps."""
    path = tmp_path / "shop.db"
    _filled(path, 4000)
    await _young(path)
    journal = SqliteJournal(path, keep_days=30)
    await journal.open()
    assert await journal.intend(order("new-0"), "digest") is None
    left = []
    for number in range(1, 400):
        await asyncio.sleep(0.01)
        assert await journal.intend(order(f"new-{number}"), "digest") is None
        left.append(_count(path, "payments") - number - 2)
        if left[-1] <= 0:
            break
    assert left[0] > 0
    assert left[-1] == 0
    assert len(set(left)) > 3  # some steps
    while _count(path, "facts WHERE reference LIKE 'old-%'"):
        await asyncio.sleep(0.01)
    await journal.aclose()
    assert _count(path, "forgotten") == 4000


async def test_two_workers_share_the_file_meanwhile(tmp_path: Path) -> None:
    """Another worker's writes wait for one step at most, not for the whole run."""
    path = tmp_path / "shop.db"
    _filled(path, 3000)
    await _young(path)
    journal, other = SqliteJournal(path, keep_days=30), SqliteJournal(path)
    await journal.open()
    await other.open()
    await journal.touch()
    await journal.touch()
    made = 0
    while _count(path, "payments WHERE reference LIKE 'old-%'"):
        await other.intend(order(f"other-{made}"), "digest")
        made += 1
    assert made > 1
    await journal.aclose()
    await other.aclose()


@pytest.mark.parametrize("steps", [1, 2, 3, 5, 9])
async def test_a_run_that_is_cut_off_is_made_by_the_next(tmp_path: Path, steps: int) -> None:
    """Whichever step was the last, no reference is free, and the next run leaves nothing."""
    path = tmp_path / "shop.db"
    _filled(path, 2000)
    await _young(path)
    run = keep_days.deletion(timedelta(days=30))
    next(run)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
        for _ in range(steps):
            db.execute("BEGIN IMMEDIATE")
            run.send(db)
            db.execute("COMMIT")
        db.execute("BEGIN IMMEDIATE")
        run.send(db)
        db.execute("ROLLBACK")  # it died
    known = _all(path, "SELECT reference FROM payments UNION SELECT reference FROM forgotten")
    assert len(known) == 2001
    journal = SqliteJournal(path, keep_days=30)
    for number in (0, 1000, 1999):
        with pytest.raises(DuplicateReference):
            await journal.intend(order(f"old-{number:05}"), "another")
    await journal.touch()
    while _count(path, "fences WHERE reference LIKE 'old-%'"):
        await asyncio.sleep(0.01)
    await journal.aclose()
    assert _all(path, "SELECT reference FROM payments") == [("young",)]
    assert {one for (one,) in _all(path, "SELECT reference FROM facts")} == {"young"}
    assert _count(path, "turns") == 2000  # what was done once stays done


@pytest.mark.parametrize("seed", range(12))
def test_steps_leave_what_one_transaction_left(
    tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With any rows and times, small steps delete what a single step would, and no more."""
    chance, path = random.Random(seed), tmp_path / "one.db"
    _filled(path, 0)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("BEGIN")
        for number in range(60):
            kind, name = chance.choice(["collect", "payout"]), f"r{number % 25}"
            at = (
                datetime.now(UTC) - timedelta(days=chance.choice([0, 5, 29, 31, 400, -9]))
            ).isoformat(timespec="microseconds")
            state, status = chance.choice(
                [("accepted", "succeeded"), ("accepted", "pending"), ("refused", "pending")]
            )
            told = chance.choice([None, status])
            db.execute(
                "INSERT OR REPLACE INTO payments (account, kind, reference, state, status, digest,"
                " payment, created_at, updated_at, told)"
                " VALUES ('a', ?, ?, ?, ?, 'd', '{}', ?, ?, ?)",
                (kind, name, state, status, at, at, told),
            )
            db.execute(
                "INSERT INTO facts (account, kind, reference, at, source, state, status, payment)"
                " VALUES ('a', ?, ?, ?, 'x', 'x', 'x', '{}')",
                (kind, chance.choice([name, "gone"]), at),
            )
            db.execute(
                "INSERT OR IGNORE INTO hints (account, reference, at, event, worker)"
                " VALUES ('a', ?, ?, ?, ?)",
                (name, at, str(number), chance.choice([None, ""])),
            )
            db.execute(
                "INSERT OR IGNORE INTO unconfirmed (account, at, event, ended)"
                " VALUES ('a', ?, ?, ?)",
                (at, str(number), chance.choice([None, at])),
            )
            row = ("a", kind, name, str(number), at)
            db.execute("INSERT INTO turns VALUES (?, ?, ?, ?, ?, ?, '')",
                       (*row, chance.choice([None, "w"])))  # fmt: skip
            db.execute("INSERT INTO fences VALUES (?, ?, ?, ?, ?, 1)", row)
        if chance.random() < 0.5:
            db.execute("INSERT INTO notes VALUES ('entered collect', '')")
        db.execute("COMMIT")
    shutil.copy(path, tmp_path / "steps.db")
    found = []
    for name, size in (("one.db", 10**6), ("steps.db", chance.choice([1, 2, 7]))):
        monkeypatch.setattr(keep_days, "ROWS_PER_STEP", size)
        run = keep_days.deletion(timedelta(days=30))
        next(run)
        with (
            contextlib.closing(sqlite3.connect(tmp_path / name)) as db,
            db,
            contextlib.suppress(StopIteration),
        ):
            while True:
                run.send(db)
        found.append({one: _all(tmp_path / name, f"SELECT * FROM {one}") for one in TABLES})  # noqa: S608
    assert found[0] == found[1]


@timeless
async def test_it_runs_once_a_day_while_open(file: Path, rarely: None) -> None:
    """A worker that runs for months deletes what has become old, not only at its start."""
    await dead(file, order("order-1", status=Status.SUCCEEDED))
    journal = SqliteJournal(file, keep_days=30)
    async with virtual_pool(journal) as pay, Notifier(pay, Shop()):  # type: ignore[arg-type]
        await asyncio.sleep(3600)
        run_sql(file, "UPDATE payments SET updated_at = ?", OLD)
        run_sql(file, "UPDATE facts SET at = ?", OLD)
        await dead(file, order("young", status=Status.SUCCEEDED))
        run_sql(file, "UPDATE payments SET told = status")
        await asyncio.sleep(3600)
        assert _count(file, "payments") == 2
        await asyncio.sleep(retention.DAY_SECONDS)
        assert _all(file, "SELECT reference FROM payments") == [("young",)]


async def test_what_is_old_is_decided_by_the_first_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clock that jumps in the midst of a run deletes nothing more than before."""
    path = tmp_path / "shop.db"
    _filled(path, 1200)
    recent = (datetime.now(UTC) - timedelta(days=10)).isoformat(timespec="microseconds")
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("UPDATE payments SET updated_at = ? WHERE reference > 'old-01000'", (recent,))
        db.execute("UPDATE facts SET at = ? WHERE reference > 'old-01000'", (recent,))
    await _young(path)
    run = keep_days.deletion(timedelta(days=30))
    next(run)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as db:
        run.send(db)
        far = datetime.now(UTC) + timedelta(days=3650)
        monkeypatch.setattr(keep_days, "wall_time", lambda: far)
        db.execute("UPDATE facts SET at = ? WHERE reference = 'young'", (far.isoformat(),))
        with contextlib.suppress(StopIteration):
            while True:
                run.send(db)
    assert _count(path, "payments") == 200
