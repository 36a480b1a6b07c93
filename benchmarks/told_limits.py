"""Run four notifiers that share one account's rate limit and thousands of open orders.

They run in virtual time, without the journal's thread.
"""

import asyncio
import resource
import time
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import ClassVar

import paymux.journal.sqlite.journal
from paymux import Notifier
from paymux.primitives.clock import wall_time
from tests.notify.world import Desk, Inline, Shop, dead, order, pool
from tests.toys import Keyless
from tests.toys import run as run_virtually

WORKERS = 4


class Allowed(Keyless, frozen=True, kw_only=True):
    """An account with the rate limit that the M-Pesa gateway documents."""

    name = "allowed"
    limits: ClassVar = {"look-up": (1000, 60.0)}


def run(orders: int, folder: Path) -> dict[str, float]:
    """Let them work for so long that each order could be asked about once."""
    # In the loop: a thread for each of thousands of writes would be what is measured.
    vars(paymux.journal.sqlite.journal)["Writer"] = Inline
    began = time.process_time()
    found = run_virtually(_work(orders, folder / "payments.db"))
    found["CPU seconds"] = time.process_time() - began
    return found


async def _work(orders: int, file: Path) -> dict[str, float]:
    desk, created = Desk(), wall_time() - timedelta(minutes=5)
    await dead(file, *(order(f"order-{number}", created_at=created) for number in range(orders)))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    limit, seconds = Allowed.limits["look-up"]
    async with AsyncExitStack() as stack:
        for _ in range(WORKERS):
            pay = await stack.enter_async_context(pool(file, desk, Allowed(account="toy")))
            await stack.enter_async_context(Notifier(pay, Shop()))
            await asyncio.sleep(7)
        await asyncio.sleep(seconds * (orders / limit + 6))
        used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {
        "open orders": orders,
        "workers": WORKERS,
        "limit": limit,
        "fullest window": _fullest(desk, seconds),
        "look-ups": len(desk.looks),
        "orders asked about": len({reference for _, reference in desk.looks}),
        "KiB an order": (used - before) / orders,
    }


def _fullest(desk: Desk, seconds: float) -> int:
    times, first, most = sorted(when for when, _ in desk.looks), 0, 0
    for last, when in enumerate(times):
        while times[first] <= when - seconds:
            first += 1
        most = max(most, last - first + 1)
    return most
