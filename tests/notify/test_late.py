"""An end that is written later than its caller waits is delivered once it is durable."""

import asyncio
import contextlib
import sqlite3
from pathlib import Path

import pytest

import paymux.core.notify.notifier
import paymux.core.notify.order_watcher
import paymux.journal.store
from paymux import Notifier, Payment, Status

from ..toys import answer, timeless
from .world import Desk, Shop, collect, file, pool

__all__ = ["file"]


@timeless
async def test_a_claimed_end_is_delivered_whatever_else_fails(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An end claimed by a notifier is delivered, even if another step of it fails."""

    def mistaken(*_: object) -> None:
        raise ZeroDivisionError

    desk, shop = Desk(), Shop()
    async with pool(file, desk) as pay, Notifier(pay, shop):
        payment = await collect(pay)
        desk.status["order-1"] = "OK"
        monkeypatch.setattr(paymux.core.notify.order_watcher.OrderWatcher, "on_fact", mistaken)
        await pay.verify(payment)
        await asyncio.sleep(1)
        assert shop.told == [("order-1", Status.SUCCEEDED)]


async def test_an_end_that_is_written_late_is_told_once_it_is_durable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After another program releases the file, the end is delivered without a scan."""
    monkeypatch.setattr(paymux.journal.store, "RECORD_WAIT_SECONDS", 0.05)
    monkeypatch.setattr(paymux.core.notify.notifier, "SCAN_SECONDS", 3600.0)
    path, desk, told = tmp_path / "payments.db", Desk(), asyncio.Event()

    async def on_payment(payment: Payment) -> None:
        assert payment.status is Status.SUCCEEDED
        told.set()

    async with pool(path, desk) as pay, Notifier(pay, on_payment):
        payment = await collect(pay)
        await asyncio.sleep(0.3)  # the notifier watches the new order, and waits
        with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")
            desk.status["order-1"] = "OK"
            assert (await pay.verify(payment)).status is Status.SUCCEEDED
            desk.replies["*"] = answer(500)  # so that no watch finds the end
            assert not told.is_set()
        await asyncio.wait_for(told.wait(), 20)
