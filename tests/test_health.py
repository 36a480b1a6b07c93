"""A health page: what `pay.health()` says of a pool and its journal, and that it never raises."""

import asyncio
import sqlite3
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from paymux import Health, Notifier, Payment, Pool, SqliteJournal, UsageError
from paymux.core import health as module
from paymux.journal.base import State
from paymux.primitives.clock import wall_time

from .notify.world import order
from .toys import Keyless, Wire, answer


def _pool(file: Path | None, status: str = "OK") -> Pool:
    def desk(outgoing: Any) -> Any:
        return answer(id="p1", status=status)

    return Pool(Keyless(account="toy"), connection=Wire(desk), journal=file)


async def _collect(pay: Pool, reference: str) -> Payment:
    return await pay.collect("toy", amount=500, currency="XAF", reference=reference)


async def test_a_sound_journal_is_ok(tmp_path: Path) -> None:
    """It tells the engine, how long a write and a read take, and its settings."""
    async with _pool(tmp_path / "shop.db") as pay:
        await _collect(pay, "order-1")
        found = await pay.health()
    assert (found.engine, found.state, found.problems) == ("sqlite", "ok", ())
    assert 0 < (found.write_seconds or 0) < 1
    assert 0 < (found.read_seconds or 0) < 1
    assert (found.untold, found.oldest_untold, found.open_orders) == (0, None, 0)
    assert found.dead_workers == 0
    assert abs(found.clock or 0) < 0.1
    assert found.settings["journal_mode"] == "wal"
    assert set(found.settings) >= {"version", "synchronous", "bytes"}
    assert msgspec.json.decode(msgspec.json.encode(found), type=Health) == found


async def test_without_a_journal_there_is_little_to_tell() -> None:
    """Such a pool is ok; the lag of its watches is all that it has."""
    async with _pool(None, "WAIT") as pay:
        payment = await _collect(pay, "order-1")
        watching = asyncio.create_task(_end(pay, payment))
        await asyncio.sleep(0)
        found = await pay.health()
        assert (found.engine, found.state, found.open_orders) == (None, "ok", None)
        assert found.lag == {"toy": 0.0}
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


async def _end(pay: Pool, payment: Payment) -> Payment:
    return await pay.watch(payment)


async def test_what_waits_is_counted(tmp_path: Path) -> None:
    """Open orders, ends that are not told, and since when the oldest waits."""
    file = tmp_path / "shop.db"

    async def fails(_: Payment) -> None:
        raise ValueError

    async with _pool(file) as pay, Notifier(pay, fails):
        await _collect(pay, "order-1")
        await _collect(pay, "order-2")
    old = (wall_time() - timedelta(seconds=90)).isoformat(timespec="microseconds")
    with sqlite3.connect(file) as db:
        db.execute("UPDATE payments SET updated_at = ? WHERE reference = 'order-1'", (old,))
    db.close()
    async with _pool(file, "WAIT") as pay:
        await _collect(pay, "order-3")
        found = await pay.health()
    assert (found.state, found.untold, found.open_orders) == ("problems", 2, 1)
    assert 90 <= (found.oldest_untold or 0) < 100
    assert "2 ends are not told, the oldest for 9" in found.problems[0]


async def test_claims_of_the_dead_are_told(tmp_path: Path) -> None:
    """A worker that died in the midst of an order holds it until another takes it over."""
    file = tmp_path / "shop.db"
    book = SqliteJournal(file)
    await book.intend(order(), "digest")
    await book.mark_sending(order())
    async with _pool(file) as pay:
        assert (await pay.health()).dead_workers == 0  # it lives
        await book.aclose()
        found = await pay.health()
        assert (found.dead_workers, found.state) == (1, "problems")
        assert "workers that died: 1" in found.problems[0]
        assert [one.was async for one in pay.recover()] == [State.SENDING]
        assert (await pay.health()).dead_workers == 0


async def test_a_locked_file_is_down_in_time(tmp_path: Path) -> None:
    """While another program has the file locked, writes fail within the deadline; reads go on."""
    file = tmp_path / "shop.db"
    async with _pool(file) as pay:
        await _collect(pay, "order-1")
        db = sqlite3.connect(file, isolation_level=None)
        db.execute("BEGIN EXCLUSIVE")
        began = time.monotonic()
        found = await pay.health(deadline=0.5)
        assert time.monotonic() - began < 1
        assert (found.state, found.write_seconds, found.open_orders) == ("down", None, 0)
        assert "cannot be written: no answer within 0.5 s" in found.problems[0]
        db.close()
        assert (await pay.health()).state == "ok"


async def test_a_broken_file_is_down(tmp_path: Path) -> None:
    """A file that was moved away, and a closed pool, are told and not raised."""
    file = tmp_path / "shop.db"
    pay = _pool(file)
    async with pay:
        await _collect(pay, "order-1")
        file.rename(tmp_path / "elsewhere.db")
        found = await pay.health()
        assert (found.state, found.engine) == ("down", "sqlite")
        assert "moved or deleted" in found.problems[0]
        (tmp_path / "elsewhere.db").rename(file)
    found = await pay.health()
    assert (found.state, "closed" in found.problems[0]) == ("down", True)


@pytest.mark.parametrize("deadline", [0, -1, "2", None, float("nan")])
async def test_a_deadline_is_a_number_of_seconds(deadline: Any) -> None:
    """A mistake of the caller is an error of the caller."""
    async with _pool(None) as pay:
        with pytest.raises(UsageError):
            await pay.health(deadline=deadline)


async def test_a_clock_that_is_off_is_a_problem(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Times of several machines are compared in one journal, so a wrong clock is told."""
    async with _pool(tmp_path / "shop.db") as pay:
        monkeypatch.setattr(
            "paymux.journal.tables.health.wall_time", lambda: wall_time() + timedelta(seconds=30)
        )
        found = await pay.health()
        assert found.problems == ("this machine's clock is 30.0 s ahead of the database's",)
        monkeypatch.setattr(
            "paymux.journal.tables.health.wall_time", lambda: wall_time() - timedelta(seconds=30)
        )
        found = await pay.health()
        assert found.problems == ("this machine's clock is 30.0 s behind the database's",)


async def test_a_slow_journal_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A write or a read that takes long is told with its time."""
    monkeypatch.setattr(module, "SLOW_SECONDS", 0.0)
    async with _pool(tmp_path / "shop.db") as pay:
        found = await pay.health()
    assert [one[:8] for one in found.problems] == ["a write ", "a read t"]
