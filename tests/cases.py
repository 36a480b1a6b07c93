"""The case of each driver, from its test file."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from paymux import Payment, Pool
from paymux.drivers import own
from paymux.testing.contract import Case

CASES: Mapping[str, Case] = {
    name: import_module(f"{__package__}.drivers.test_{name}").CASE for name in own()
}


async def ordered(pool: Pool, name: str, **more: Any) -> Payment:
    """Make the order of a driver's case: a collect, or a payout where there is no other."""
    order: dict[str, Any] = {**CASES[name].order, **more}
    verb = pool.payout if "payee" in order else pool.collect
    return await verb(order.pop("account", name), **order)
