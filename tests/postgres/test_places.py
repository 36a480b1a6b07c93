"""A worker that cannot show that it lives uses no places of a limit that is shared."""

import asyncio

from paymux import Pool
from paymux.journal.postgres import PostgresJournal

from ..test_shared_limits_pools import Slow
from ..toys import Wire, answer


async def _held(pay: Pool, wanted: bool) -> None:
    """Wait until the pool holds places, or none."""
    window = pay._engine.limiter("toy")._lookup_window
    async with asyncio.timeout(10):
        while (window.count > 0) is not wanted:
            await asyncio.sleep(0.01)


async def test_a_suspended_worker_uses_no_places(database: str) -> None:
    """Its life takes them away before others may have them, and gives back what is still its."""
    journal = PostgresJournal(database)
    wire = Wire(lambda _: answer(id="id-1", status="WAIT", reference="order-1"))
    async with Pool(Slow(account="toy"), connection=wire, journal=journal) as pay:
        await pay.verify("toy", "id-1")
        await _held(pay, wanted=True)
        for one in journal._life.listeners:
            one.on_suspended()
        await _held(pay, wanted=False)
        for one in journal._life.listeners:
            one.on_resumed()
        await _held(pay, wanted=True)
        await pay.verify("toy", "id-1")
