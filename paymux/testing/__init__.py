r"""Tests of your own app, and of your own driver: fixtures, a clock, and the driver contract.

`pip install 'paymux[testing]' pytest-asyncio` brings a pytest plugin, and one that runs coroutines,
which needs `asyncio_mode = "auto"` in pytest's settings, or `@pytest.mark.asyncio` on each test.
With anyio's plugin it is `anyio_mode = "auto"` or `@pytest.mark.anyio`, and a fixture
`anyio_backend` that returns `"asyncio"`. This test of a payer who takes two minutes ends in some
milliseconds:

```py
import asyncio

from paymux import Status
from paymux.testing import charged_once, virtual_time


async def test_a_payer_may_take_two_minutes(paymux_simulator, paymux_pool, tmp_path):
    pool = paymux_pool("campay", journal=tmp_path / "payments.db")
    async with virtual_time() as clock, pool as pay:
        order = {"amount": 500, "currency": "XAF", "payer": "237677777774", "reference": "order-1"}
        payment = await pay.collect("campay", **order)  # PENDING: this number never answers
        settle, loop = paymux_simulator.settle, asyncio.get_running_loop()
        loop.call_later(120, settle, "order-1", Status.SUCCEEDED)
        payment = await pay.watch(payment, timeout=300)
    assert payment.status is Status.SUCCEEDED and clock.elapsed > 120
    charged_once(paymux_simulator, "order-1", 500)
```

`virtual_time` moves the loop's clock, `time.time` and the dates of payments to the next timer as
soon as nothing is left to do. It waits for the journal's thread, for `run_in_executor` and for
loopback connections inside the loop; for other threads, processes and their sockets use `with
clock.busy():`. It needs asyncio's default loop (uvloop is refused), and works in
`unittest.IsolatedAsyncioTestCase` and beside freezegun and time-machine, entered before it.
`@pytest.mark.paymux_fault("campay", "POST /api/collect/", kind="drop_after")` plans a fault for a
test, with the arguments of `Simulator.fault`; a test that passes although the fault never happened
fails at its end.

A web shop is tested in the same way, here `paymux/examples/fastapi_shop.py`, with `pip install
fastapi uvicorn python-multipart httpx2`. Its pool needs a journal, because the shop calls
`pay.once`:

```py
import asyncio
from uuid import uuid4

import httpx2

from paymux import Status
from paymux.examples.fastapi_shop import create_app
from paymux.testing import charged_once, virtual_time

ORDER = f"order-{uuid4()}"


async def test_a_paid_order_is_made(paymux_simulator, paymux_pool, tmp_path, capsys):
    pool = paymux_pool(
        "campay",
        journal=tmp_path / "shop.db",
        webhook_base="https://shop.example/pay",
        webhook_key="sixteen characters or more",
    )
    app = create_app(pool)
    client = httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://shop")
    async with virtual_time(), app.router.lifespan_context(app), client:
        await client.post("/orders", data={"reference": ORDER, "phone": "237677777774"})
        await asyncio.sleep(30)
        paymux_simulator.settle(ORDER, Status.SUCCEEDED)
        await asyncio.sleep(60)  # no webhook reaches the shop: its Notifier looks the order up
    assert capsys.readouterr().out == f"make: {ORDER}\n"
    charged_once(paymux_simulator, ORDER, 500)
```

`TestClient` runs the app in another thread with its own loop: `virtual_time` does not reach it.

`Pool(sim.driver("campay"), connection=sim.connection)` runs without a socket, `async with
Simulator() as sim` serves every provider on one loopback port, and `paymux simulator --port 8765`
does so for programs in other languages. `sim.settle(reference, Status.SUCCEEDED)` decides an order,
`sim.fault("campay", "POST /api/collect/", kind=Fault.DROP_AFTER)` loses an answer, and
`sim.ledger.charged(reference)` returns what was really charged.
"""

from typing import TYPE_CHECKING

from ..primitives.lazy import loader

__all__ = ["VirtualClock", "charged_once", "virtual_time"]

if TYPE_CHECKING:
    from .clock import VirtualClock, virtual_time
    from .ledger import charged_once
else:
    # The plugin lies in this package, and every start of pytest loads it.
    __getattr__ = loader(
        __name__, {"clock": ("VirtualClock", "virtual_time"), "ledger": ("charged_once",)}
    )
