"""Notifiers share the look-ups of an account: no window exceeds the limit."""

import asyncio
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import ClassVar

import pytest

from paymux import Notifier, Pool
from paymux.drivers.base import Driver

from ..toys import START, Keyless, now, timeless
from .world import Desk, Limited, Shop, dead, file, kill, order, pool

__all__ = ["file"]


class Few(Keyless, frozen=True, kw_only=True):
    """A toy that accepts two look-ups in ten seconds: fewer than there are notifiers."""

    name = "few"
    limits: ClassVar = {"look-up": (2, 10.0)}


def fullest(desk: Desk, seconds: float) -> int:
    """Return the most look-ups in any window of `seconds` seconds."""
    times, first, most = sorted(when for when, _ in desk.looks), 0, 0
    for last, when in enumerate(times):
        while times[first] <= when - seconds:
            first += 1
        most = max(most, last - first + 1)
    return most


def held(pay: Pool) -> int:
    """Return how many look-ups per window a worker may send."""
    return pay._engine.limiter("toy")._lookup_window.count


async def begun(
    file: Path, desk: Desk, driver: type[Driver], stack: AsyncExitStack
) -> tuple[Pool, Notifier]:
    """Start a worker with a notifier."""
    pay = pool(file, desk, driver(account="toy"))
    await stack.enter_async_context(pay)
    return pay, await stack.enter_async_context(Notifier(pay, Shop()))


@timeless
async def test_one_alone_has_all_at_once(file: Path) -> None:
    """In a new journal the first notifier may use the provider's whole limit."""
    desk, created = Desk(), datetime.now(UTC) - timedelta(hours=1)
    await dead(file, *(order(f"order-{number}", created_at=created) for number in range(100)))
    async with AsyncExitStack() as stack:
        await begun(file, desk, Limited, stack)
        await asyncio.sleep(1)
        assert len(desk.looks) == 20
        await asyncio.sleep(50)
    assert fullest(desk, 10.0) == 20
    assert len({reference for _, reference in desk.looks}) == 100


@pytest.mark.slow
@pytest.mark.parametrize("driver", [Limited, Few])
@timeless
async def test_no_window_is_too_full_when_notifiers_come_and_go(
    file: Path, driver: type[Driver]
) -> None:
    """Four notifiers enter, one leaves, one is killed, one is blocked: at most the limit."""
    desk, count = Desk(), driver.limits["look-up"][0]
    await dead(file, *(order(f"order-{number}") for number in range(800)))
    async with AsyncExitStack() as stack, AsyncExitStack() as leaving:
        workers = []
        for number in range(4):
            workers.append(await begun(file, desk, driver, leaving if number == 1 else stack))
            await asyncio.sleep(17)
        await asyncio.sleep(100)
        shares = [held(worker[0]) for worker in workers]
        assert sum(shares) == count
        assert max(shares) - min(shares) <= 1
        before = len(desk.looks)
        await asyncio.sleep(100)
        assert len(desk.looks) - before >= 0.8 * 10 * count
        await leaving.aclose()
        await asyncio.sleep(40)
        kill(*workers[2])
        await asyncio.sleep(40)
        blocked = workers[3][1]
        blocked._next = now() + START + 90
        await asyncio.sleep(200)
        assert held(workers[0][0]) + held(workers[3][0]) == count
        await asyncio.sleep(100)
    assert fullest(desk, 10.0) <= count


@pytest.mark.slow
@timeless
async def test_the_orders_are_divided_too(file: Path) -> None:
    """A notifier with all orders releases the others' share, so that the whole limit is used."""
    desk = Desk()
    await dead(file, *(order(f"order-{number}") for number in range(600)))
    async with AsyncExitStack() as stack:
        workers = [await begun(file, desk, Keyless, stack) for _ in range(4)]
        await asyncio.sleep(60)
        held = [len(notifier._order_watcher._orders()) for _, notifier in workers]
        assert sum(held) == 600
        assert max(held) <= 600 // 4 + 100


@timeless
async def test_a_silent_notifier_asks_nothing(file: Path) -> None:
    """Sixty seconds after its last heartbeat a notifier has no share: others may have it."""
    desk = Desk()
    await dead(file, *(order(f"order-{number}") for number in range(1000)))
    async with AsyncExitStack() as stack:
        _, notifier = await begun(file, desk, Limited, stack)
        notifier._next = now() + START + 500
        await asyncio.sleep(65)
        asked = len(desk.looks)
        await asyncio.sleep(100)
        assert len(desk.looks) == asked
