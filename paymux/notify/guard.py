"""Calling what the shop wrote: bounded in time, and whatever it raises is one error of ours."""

import asyncio
import traceback
from collections.abc import Awaitable, Callable
from typing import TypeVar

from ..models import log
from ..redact import mask

T = TypeVar("T")


class Failed(Exception):
    """A call of the shop's failed; it is logged already."""


async def guarded(what: str, account: str, call: Callable[[], Awaitable[T]], seconds: float) -> T:
    """Await a call of the shop's for so long; whatever it does wrong is logged, and is Failed."""
    try:
        async with asyncio.timeout(seconds):
            return await call()
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise  # it is we who are cancelled
        failure: BaseException = error
    except Exception as error:  # noqa: BLE001 - the shop's code may raise anything
        failure = error
    log_failure(what, account, failure)
    raise Failed


def log_failure(what: str, account: str, error: BaseException) -> None:
    """Log a failure: where it was, and what was raised."""
    # Without the variables, and without a whole number in what was raised.
    where = "".join(traceback.format_tb(error.__traceback__)[-3:])
    log.error("%s: %s failed: %s: %s\n%s", account, what, type(error).__name__, mask(str(error)), where)
