"""Calling the application's callbacks, with a time limit; any error becomes CallbackFailed."""

import asyncio
import traceback
from collections.abc import Awaitable, Callable
from typing import TypeVar

from ...models import log
from ...primitives.redaction import mask

T = TypeVar("T")


class CallbackFailed(Exception):
    """A callback failed; the failure is logged already."""


async def run_callback(
    what: str, account: str, call: Callable[[], Awaitable[T]], seconds: float
) -> T:
    """Await a callback for at most `seconds`; CallbackFailed: it failed, which is logged."""
    try:
        async with asyncio.timeout(seconds):
            return await call()
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise  # our own task is cancelled
        failure: BaseException = error
    except Exception as error:  # noqa: BLE001 - a callback may raise anything
        failure = error
    log_failure(what, account, failure)
    raise CallbackFailed


def log_failure(what: str, account: str, error: BaseException) -> None:
    """Log where a callback failed, and what it raised."""
    # No variables, and no complete number in the message: they may be personal data.
    where = "".join(traceback.format_tb(error.__traceback__)[-3:])
    log.error(
        "%s: %s failed: %s: %s\n%s", account, what, type(error).__name__, mask(str(error)), where
    )
