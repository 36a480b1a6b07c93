"""How an order moves money, once."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Concatenate, ParamSpec

import msgspec

from ..drivers.base import Driver
from ..http import Send
from ..models import Order, Payment
from ..primitives.clock import wall_time
from ..values.phone import operator
from .engine import Engine
from .id_keys import check_kept, derives_ids
from .one_refund import check_first
from .singleflight import InFlightOrder, as_known

P = ParamSpec("P")


async def move_money(
    engine: Engine,
    driver: Driver,
    order: Order,
    seconds: float | None,
    method: Callable[Concatenate[Send, Order, P], Awaitable[Payment]],
    /,
    *args: P.args,
    **named: P.kwargs,
) -> Payment:
    """Run a driver's money verb for an order, or return what is known of the same order.

    The order is recorded before its first request, and its end after the last.
    """
    store = engine.store
    call = engine.call(driver, order.kind, seconds, order.reference)
    pending = call.pending = msgspec.structs.replace(
        driver.pending(order),
        created_at=wall_time(),
        operator=order.operator or await operator(order.party),
    )
    call.before_money = partial(store.mark_sending, pending, order)
    call.keep_known = store.keep_known
    async with InFlightOrder(engine.lifetime.in_flight_orders, order, pending, call) as flight:
        if flight.outcome is not None:
            return flight.outcome
        if store.journal is not None and derives_ids(driver):
            await check_kept(engine, call)
        row = await store.begin(pending, order, call.deadline)
        if row is not None:
            flight.outcome = as_known(row, call)
            return flight.outcome
        try:
            if driver.refunds_once and order.refunds is not None:
                await check_first(engine, call, order)
            payment = await engine.transport.perform(call, method, order, *args, **named)
        except BaseException as error:
            await store.ended(call.pending, error, in_doubt=call.in_doubt)
            raise
        await store.ended(call.pending, payment, in_doubt=False)
        flight.outcome = payment
        return payment
