"""What every journal tells of its health."""

from typing import Any

from paymux import Pool

from ..toys import Keyless
from .conftest import Engine
from .orders import order, paid, sent


async def test_its_state_is_told(engine: Engine, worker: Any) -> None:
    """What waits in it, who died holding a claim, the clock, and how the engine is set up."""
    one, two = await worker(), await worker()
    await sent(one, order())
    await one.record(paid(), "verify")
    await two.intend(order("order-2"), "digest")
    found = await one.health()
    assert (found.untold, found.open_orders, found.dead_workers) == (0, 1, 0)
    assert abs(found.clock) < 1
    assert found.settings["version"]
    assert found.problems == ()
    await two.aclose()
    assert (await one.health()).dead_workers == 1
    await one.touch()
    async with Pool(Keyless(account="toy"), journal=engine.where) as pay:
        page = await pay.health(deadline=5)
    assert page.engine == one.engine
    assert (page.state, page.open_orders) == ("problems", 1)
    assert page.problems == (
        "workers that died: 1 still hold claims, which a Notifier or `recover` takes over",
    )
