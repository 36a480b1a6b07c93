"""Under anyio, as in FastAPI and Starlette: its scopes cancel anew in each step of the loop."""

import asyncio
import gc
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest

from paymux import OutcomeUnknown, Pool, Status
from paymux.simulator import Fault, Simulator

from .toys import Keyless, Wire, answer, now, timeless

ORDER: dict[str, Any] = {"amount": 500, "currency": "XAF", "payer": "237677777777"}
PUSHED: dict[str, Any] = {"amount": 250, "currency": "KES", "payer": "254708374149"}


def _others() -> int:
    return len(asyncio.all_tasks()) - 1


@timeless
async def test_a_watch_that_a_scope_left_is_resumed() -> None:
    """A scope around a step of a watch takes nothing from the steps after it."""
    wire = Wire(lambda _: answer(id="p1", status="OK" if now() > 20 else "WAIT"))
    async with Pool(Keyless(), connection=wire) as pool:
        payment = await pool.verify("keyless", "p1")
        seen: list[Status] = []
        async with pool.watch(payment, timeout=60) as watch:
            while not (seen and seen[-1].terminal):
                with anyio.move_on_after(3.0):
                    seen.append((await anext(watch)).status)
    assert seen == [Status.PENDING, Status.SUCCEEDED]
    assert _others() == 0


async def test_a_charge_that_a_scope_cut_is_in_the_journal(tmp_path: Path) -> None:
    """The order is unknown, the same call sends nothing, and a once-lock is released."""
    file = tmp_path / "payments.db"
    async with Simulator() as sim, Pool(sim.driver("campay"), journal=file) as pool:
        sim.fault("campay", "POST /api/collect/", kind=Fault.STALL)
        async with anyio.create_task_group() as group:
            group.start_soon(partial(pool.collect, "campay", reference="order-1", **ORDER))
            while not sim.received("campay", "POST /api/collect/"):
                await anyio.sleep(0.01)
            group.cancel_scope.cancel()
        with pytest.raises(OutcomeUnknown) as caught:
            await pool.collect("campay", reference="order-1", **ORDER)
        again = caught.value.payment
        assert (again.status, again.provider_reference) == (Status.PENDING, None)
        assert len(sim.received("campay", "POST /api/collect/")) == 1
        with anyio.move_on_after(0.1):
            async with pool.once(again, "fulfilled") as first:
                assert first
                await anyio.sleep_forever()
        async with pool.once(again, "fulfilled") as first:
            assert first
        left = [(one.payment.reference, one.was) async for one in pool.recover()]
        assert left == [("order-1", "unknown")]


async def test_a_pool_that_a_scope_closes_is_closed() -> None:
    """Cancelled while it closes, it still closes its connections, its logins and its update
    socket.
    """
    async with Simulator() as sim:
        with anyio.move_on_after(0.5) as scope:
            async with Pool(sim.driver("campay"), sim.driver("mpesa_gateway")) as pool:
                await pool.collect("campay", reference="1", **ORDER)
                payment = await pool.collect("mpesa_gateway", reference="2", **PUSHED)
                async with pool.watch(payment) as watch:
                    await anext(watch)
                    await anyio.sleep_forever()
        assert scope.cancelled_caught
        while _others():  # at the servers' end of the connections
            await asyncio.sleep(0.01)
        gc.collect()  # what was left open warns, and a warning fails the test
