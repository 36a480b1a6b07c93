"""The payments of a period, as the provider lists them."""

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from itertools import count
from typing import TypeVar

from ..http import Send
from ..models import Payment
from ..values.validation import checked_seconds
from .engine import Engine

T = TypeVar("T")
ROWS_PER_STEP = 50  # rows that are read before other tasks run


async def pages(
    engine: Engine, account: str, since: datetime, until: datetime, seconds: float | None
) -> AsyncIterator[Payment]:
    """List a history; the deadline bounds each page."""
    driver = engine.driver(account)
    call = engine.call(driver, "history", seconds)
    found = driver.history(call, since, until)
    for number in count(1):
        call.renew(engine.deadline if seconds is None else checked_seconds("deadline", seconds))
        try:
            payment = await engine.transport.perform(call, _next, found)
        except StopAsyncIteration:
            return
        if number % ROWS_PER_STEP == 0:
            # a page may have thousands of rows, and other tasks must not wait for all of them
            await asyncio.sleep(0)
        if payment is not None:
            yield call.stamped(payment, payment.kind)


async def _next(_: Send, rows: AsyncIterator[T]) -> T:
    return await anext(rows)
