"""What a webhook costs in the journal: at most three transactions, for orders of any worker."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from paymux import Notifier, Payment, Pool, SqliteJournal, Status, WebhookRequest
from paymux.journal import State
from paymux.webhooks import Webhooks

from ..toys import BASE, KEY, push, timeless
from .world import Desk, Shop, collect, dead, file, order, pool

__all__ = ["file"]

MOST = 3
PAID = [("order-1", Status.SUCCEEDED)]


class Counted:
    """Counts the transactions of one pool's journal: here, each operation is a transaction."""

    def __init__(self, pay: Pool) -> None:
        journal = pay._engine.store.journal
        assert isinstance(journal, SqliteJournal)
        self._writer = journal._writer
        self.began: list[str] = []

    async def __aenter__(self) -> list[str]:
        assert self._writer.runner.db is not None
        self._writer.runner.db.set_trace_callback(self._note)
        return self.began

    async def __aexit__(self, *_: object) -> None:
        assert self._writer.runner.db is not None
        self._writer.runner.db.set_trace_callback(None)

    def _note(self, statement: str) -> None:
        if statement.startswith("BEGIN"):
            self.began.append("")
        elif self.began:
            self.began[-1] += f"{statement}\n"


@asynccontextmanager
async def shop(file: Path, desk: Desk, told: Shop) -> AsyncIterator[tuple[Pool, Webhooks]]:
    """Open a pool with webhooks and a journal."""
    async with pool(file, desk, webhook_base=BASE, webhook_key=KEY) as pay:
        hooks = Webhooks(pay, told)
        async with hooks:
            yield pay, hooks


def message(pay: Pool, path: str | None = None, **fields: Any) -> WebhookRequest:
    """Return the message about the order's end, on the account's path or on the order's."""
    said = {"id": "id-order-1", "status": "OK", **fields}
    return push(path=pay.webhook_url("toy", path), **said)


@pytest.mark.parametrize("path", [None, "order-1"])
@pytest.mark.parametrize("shop_fails", [False, True])
@timeless
async def test_of_an_order_that_this_process_sent(
    file: Path,
    path: str | None,
    *,
    shop_fails: bool,
) -> None:
    """One transaction stores the message, one its end, and one the result of `on_payment`."""
    desk, told = Desk(), Shop(*([boom] if shop_fails else []))
    async with shop(file, desk, told) as (pay, hooks):
        await collect(pay)
        desk.status["order-1"] = "OK"
        await asyncio.sleep(1)
        async with Counted(pay) as began:
            assert (await hooks.answer(message(pay, path))).status == 200
        assert len(began) == MOST, began
        assert open_messages(pay) == 0
        await asyncio.sleep(10)
    assert told.told == PAID


async def boom(_: Payment) -> None:
    """Fail like an application whose database is down."""
    raise RuntimeError("no database")


def open_messages(pay: Pool) -> int:
    """Count the open messages in the journal."""
    journal = pay._engine.store.journal
    assert isinstance(journal, SqliteJournal)
    assert journal._writer.runner.db is not None
    sql = "SELECT count(*) FROM hints WHERE worker IS NOT NULL"
    found: int = journal._writer.runner.db.execute(sql).fetchone()[0]
    return found


@pytest.mark.parametrize(
    ("left", "reached", "path"),
    [
        (order(), State.ACCEPTED, None),
        (order(), State.ACCEPTED, "order-1"),
        (order(provider_reference=None), State.UNKNOWN, "order-1"),  # matched by path only
    ],
)
@timeless
async def test_of_an_order_of_a_worker_that_died(
    file: Path, left: Payment, reached: State, path: str | None
) -> None:
    """An order of another process costs no more, also if its answer was lost."""
    desk, told = Desk(), Shop()
    await dead(file, msgspec.structs.replace(left, created_at=datetime.now(UTC)), reached=reached)
    async with shop(file, desk, told) as (pay, hooks):
        await asyncio.sleep(1)
        desk.status["order-1"] = "OK"
        async with Counted(pay) as began:
            assert (await hooks.answer(message(pay, path))).status == 200
        assert len(began) == MOST, began
    assert told.told == PAID


@timeless
async def test_of_an_order_that_another_process_watches(file: Path) -> None:
    """A webhook about an order of another live process costs the same three transactions."""
    desk, told = Desk(), Shop()
    async with pool(file, desk) as other, Notifier(other, Shop()):
        await collect(other)
        async with shop(file, desk, told) as (pay, hooks):
            await asyncio.sleep(1)
            desk.status["order-1"] = "OK"
            async with Counted(pay) as began:
                assert (await hooks.answer(message(pay))).status == 200
            assert len(began) == MOST, began
            assert told.told == PAID


@pytest.mark.parametrize(
    ("fields", "most"),
    [
        ({}, 2),  # a repeated message: stored, then closed
        ({"amount": "501"}, 2),  # a look-up shows that it is about another payment
        ({"status": "WAIT"}, 2),
        ({"id": "id-order-2"}, 1),  # refused on arrival, and not stored
    ],
)
@timeless
async def test_what_tells_nothing_new_costs_less(
    file: Path,
    fields: dict[str, str],
    most: int,
) -> None:
    """Repeated messages, and messages about another payment, cost at most two transactions."""
    desk, told = Desk(), Shop()
    async with shop(file, desk, told) as (pay, hooks):
        await collect(pay)
        desk.status["order-1"] = "OK"
        await asyncio.sleep(1)
        assert (await hooks.answer(message(pay, "order-1"))).status == 200
        await asyncio.sleep(1.5)
        async with Counted(pay) as began:
            assert (await hooks.answer(message(pay, "order-1", **fields))).status == 200
        assert len(began) <= most, began
        assert open_messages(pay) == 0
    assert told.told == PAID


@timeless
async def test_of_what_still_waits(file: Path) -> None:
    """A message about a pending order is stored and closed in three transactions at most."""
    desk = Desk()
    async with shop(file, desk, Shop()) as (pay, hooks):
        await collect(pay)
        await asyncio.sleep(1)
        async with Counted(pay) as began:
            assert (await hooks.answer(message(pay, status="WAIT"))).status == 200
        assert len(began) <= MOST, began
        assert open_messages(pay) == 0
