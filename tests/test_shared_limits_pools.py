"""Pools of one journal share what a provider states, for money and for look-ups; others do not."""

import asyncio
import gc
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, ClassVar, Literal

import pytest

from paymux import NotSent, RateLimited, SqliteJournal
from paymux.journal.stored.places import StoredPlaces

from .notify.world import Desk, collect, file, pool
from .toys import Keyless, timeless

__all__ = ["file"]


class Slow(Keyless, frozen=True, kw_only=True):
    """A toy that accepts three orders, and four look-ups, in ten seconds."""

    name = "slow"
    limits: ClassVar[Mapping[Literal["money", "look-up"], tuple[int, float]]] = {
        "money": (3, 10.0),
        "look-up": (4, 10.0),
    }


@timeless
async def test_orders_of_two_pools_share_a_limit(file: Path) -> None:
    """Three orders of either pool fill the window; the fourth waits, or is refused."""
    async with AsyncExitStack() as stack:
        pools = [await stack.enter_async_context(pool(file, None, Slow(account="toy")))]
        pools += [await stack.enter_async_context(pool(file, None, Slow(account="toy")))]
        for number in range(3):
            await collect(pools[number % 2], f"order-{number}")
        began = asyncio.get_running_loop().time()
        with pytest.raises(RateLimited):
            await pools[0].collect(
                "toy", amount=500, currency="XAF", reference="late", deadline=1.0
            )
        await collect(pools[1], "order-3")
        assert asyncio.get_running_loop().time() - began >= 9.9


@timeless
async def test_without_a_journal_each_pool_has_its_own_limit() -> None:
    """Nothing is shared, and nothing is waited for."""
    async with AsyncExitStack() as stack:
        for name in ("one", "two"):
            pay = await stack.enter_async_context(pool(None, None, Slow(account="toy")))
            began = asyncio.get_running_loop().time()
            for number in range(3):
                await collect(pay, f"{name}-{number}")
            assert asyncio.get_running_loop().time() - began < 1


@timeless
async def test_an_account_without_a_limit_asks_for_no_places(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It costs no access to the journal, and is not slowed down."""
    asked = []
    monkeypatch.setattr(StoredPlaces, "ask", lambda *said: asked.append(said))
    async with pool(file) as pay:
        for number in range(20):
            await pay.verify("toy", f"id-{number}")
    assert asked == []


@timeless
async def test_an_account_that_is_added_shares_its_limit(file: Path) -> None:
    """The account of `add` has its places from the journal, too."""
    async with AsyncExitStack() as stack:
        one = await stack.enter_async_context(pool(file, None, Slow(account="toy")))
        other = await stack.enter_async_context(pool(file, None, Keyless(account="other")))
        await other.add(Slow(account="toy"))
        for number in range(3):
            await collect(one, f"order-{number}")
        with pytest.raises((RateLimited, NotSent)):
            await other.collect("toy", amount=500, currency="XAF", reference="late", deadline=1.0)


@timeless
async def test_a_pool_that_closes_gives_its_places_back(file: Path) -> None:
    """The next one has those that were unused at once, and the others a window later."""
    desk = Desk()
    async with pool(file, desk, Slow(account="toy")) as first:
        await first.verify("toy", "id-1")
    async with pool(file, desk, Slow(account="toy")) as second:
        began = asyncio.get_running_loop().time()
        for number in range(3):
            await second.verify("toy", f"id-{number}")
        assert asyncio.get_running_loop().time() - began < 1
        await second.verify("toy", "id-4")
        assert 9 < asyncio.get_running_loop().time() - began < 16


@timeless
async def test_a_pool_that_was_never_closed_keeps_no_places(file: Path) -> None:
    """Once it exists no more, its places count as used for a deadline and a window, as of a dead.

    Its worker is alive: it is this process.
    """
    journal = SqliteJournal(file)
    await _left_open(journal)
    await asyncio.sleep(0.1)
    gc.collect()
    async with pool(file, None, Slow(account="toy"), deadline=5.0) as pay:
        began = asyncio.get_running_loop().time()
        for number in range(4):
            await pay.verify("toy", f"id-{number}", deadline=60.0)
        assert 15 <= asyncio.get_running_loop().time() - began < 30
    await journal.aclose()


async def _left_open(journal: Any) -> None:
    """Use a limit in a pool, and end its timers as the end of their loop does."""
    left = pool(journal, None, Slow(account="toy"), deadline=5.0)
    for number in range(4):
        await left.verify("toy", f"id-{number}")
    for borrower in left._engine.transport.shared_limits._borrowers:
        borrower._stop()
