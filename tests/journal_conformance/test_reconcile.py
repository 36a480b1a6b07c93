"""A journal of either engine against a statement, the provider's list, and its answers."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from paymux import Difference, Payment, Pool, Status, Summary
from paymux.simulator import Simulator

from .conftest import Engine

SILENT = "237677777774"  # this payer never answers


@asynccontextmanager
async def shop(
    engine: Engine, orders: int = 3
) -> AsyncIterator[tuple[Pool, Simulator, list[Payment]]]:
    """Open a pool with orders that the provider knows as paid, and the journal as pending."""
    sim = Simulator()
    async with Pool(sim.driver("campay"), connection=sim.connection, journal=engine.where) as pool:
        made = [
            await pool.collect(
                "campay", amount=500, currency="XAF", payer=SILENT, reference=f"order-{number}"
            )
            for number in range(orders)
        ]
        for one in made:
            sim.settle(one.reference or "", Status.SUCCEEDED)
        yield pool, sim, made


async def all_of(pool: Pool, *args: Any, **options: Any) -> tuple[list[Difference], Summary]:
    """Reconcile, and return all differences and the summary."""
    async with pool.reconcile(*args, **options) as found:
        return [one async for one in found], found.summary


def rows(made: Sequence[Payment], status: str = "SUCCESSFUL") -> list[dict[str, object]]:
    """Return a statement about payments."""
    return [
        {"transaction id": one.provider_reference, "amount": "500", "status": status}
        for one in made
    ]


async def test_a_statement_finds_what_the_journal_does_not_know(engine: Engine) -> None:
    """A paid order that is pending here is owed; the statement alone changes nothing."""
    async with shop(engine) as (pool, _, made):
        found, summary = await all_of(pool, rows(made))
        assert [(str(one.kind), one.reference) for one in found] == [
            ("paid_unknown", one.reference) for one in made
        ]
        assert summary.adds_up
        kept = [one.status async for one in pool.payments()]
        assert kept == [Status.PENDING] * 3


async def test_a_journal_that_is_merely_late_is_no_difference(engine: Engine) -> None:
    """With `ask`, each differing order is verified first, and the journal learns its end."""
    async with shop(engine) as (pool, _, made):
        found, summary = await all_of(pool, rows(made), ask=True)
        assert found == []
        assert summary.rows("confirmed", "ours") == 3
        assert summary.asked == 3
        assert summary.adds_up
        assert [one.status async for one in pool.payments()] == [Status.SUCCEEDED] * 3


async def test_an_answer_that_agrees_with_us_is_told_beside_the_difference(engine: Engine) -> None:
    """Where the provider's answer contradicts its statement, both are told."""
    async with shop(engine) as (pool, _, made):
        for one in made:
            await pool.verify(one)
        found, _ = await all_of(pool, rows(made, "FAILED"), ask=True)
        assert {(str(one.kind), one.asked) for one in found} == {("believed_paid", "succeeded")}


async def test_the_provider_is_asked_about_each_order(engine: Engine) -> None:
    """With `verify`, the answers are the other side: a file of references needs no statement."""
    async with shop(engine) as (pool, _, made):
        ours = [
            {"provider_reference": one.provider_reference, "amount": 500, "status": "paid"}
            for one in made
        ]
        ours.append(
            {
                "provider_reference": "00000000-0000-4000-8000-000000000000",
                "amount": 500,
                "status": "paid",
            }
        )
        found, summary = await all_of(pool, verify=True, ours=ours)
        assert [str(one.kind) for one in found] == ["missing_theirs"]
        assert summary.rows("agreed", "theirs") == 3
        assert summary.adds_up


async def test_the_providers_own_list_is_a_statement(engine: Engine) -> None:
    """With `history`, the provider's list of a period is compared with the journal."""
    async with shop(engine) as (pool, _, made):
        now = datetime.now(UTC)
        day = timedelta(days=1)
        found, summary = await all_of(
            pool, account="campay", history=True, since=now - day, until=now + day, edge="0h"
        )
        assert sorted(str(one.reference) for one in found) == [one.reference for one in made]
        assert {str(one.kind) for one in found} == {"paid_unknown"}
        assert summary.adds_up


async def test_an_order_older_than_the_statement_is_found(engine: Engine) -> None:
    """An order of before the period, paid in it, is looked for in the journal by its key."""
    async with shop(engine) as (pool, _, made):
        later = datetime.now(UTC) + timedelta(days=40)
        lines = [
            {**row, "date": (later + timedelta(days=number)).isoformat()}
            for number, row in enumerate(rows(made))
        ]
        found, summary = await all_of(pool, lines)
        assert [str(one.kind) for one in found] == ["paid_unknown"] * 3
        assert summary.adds_up
