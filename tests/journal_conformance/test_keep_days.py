"""What every journal promises about deleting in small steps what ended long ago."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from paymux import DuplicateReference
from paymux.journal.stored import retention
from paymux.journal.tables import keep_days
from paymux.primitives.clock import wall_time

from .conftest import Engine
from .orders import message, order, paid, sent


@pytest.mark.parametrize("size", [1, 3, 500])
async def test_steps_of_any_size_delete_the_same(
    engine: Engine, worker: Any, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    """The first steps are made at the opening, the rest beside the work of the new worker."""
    one = await worker()
    long_ago = wall_time() - timedelta(days=40)
    for module in ("tables.payment_table", "tables.inbox"):
        monkeypatch.setattr(f"paymux.journal.{module}.wall_time", lambda: long_ago)
    for number in range(7):
        await sent(one, order(f"old-{number}"))
        await one.record(paid(f"old-{number}"), "verify")
        await one.keep_event(message(number, of=f"old-{number}"))
    await sent(one, order("open"))
    monkeypatch.undo()
    await sent(one, order("young"))
    await one.aclose()
    monkeypatch.setattr(keep_days, "ROWS_PER_STEP", size)
    monkeypatch.setattr(retention, "PAUSE_SECONDS", 0.0)
    two = await worker(keep_days=30)
    for number in range(3):
        await two.intend(order(f"new-{number}"), "digest")
    async with asyncio.timeout(60):
        while engine.query("SELECT 1 FROM facts WHERE reference LIKE 'old-%'"):
            await asyncio.sleep(0.05)
    left = {reference for (reference,) in engine.query("SELECT reference FROM payments")}
    assert left == {"open", "young", "new-0", "new-1", "new-2"}
    assert len(engine.query("SELECT 1 FROM forgotten")) == 7
    with pytest.raises(DuplicateReference):
        await two.intend(order("old-3"), "another")
