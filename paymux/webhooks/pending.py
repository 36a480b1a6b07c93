"""A message in hand, and what is left to do about it."""

import asyncio
import random
from collections.abc import Generator
from typing import Any

import msgspec

from ..journal import OpenMessage

MAX_RETRY_SECONDS = 300.0  # seconds between retries, at most


class Unfinished(msgspec.Struct, frozen=True, kw_only=True):
    """A message that is not finished: the response to its provider, and how long we retry it."""

    status: int = 503
    retry_after: float | None = None
    retry_seconds: float = 0.0  # seconds for which a retry is useful; 0: none
    known: bool = True  # it is about one of our payments
    always: bool = False  # answer with this status even if the provider sends no message again


class PendingEvent(OpenMessage, eq=False):
    """A message in hand: being handled, or waiting for its next retry."""

    named: frozenset[tuple[str, str]] = frozenset()  # the ids it names, if it is unauthenticated
    task: Any = None  # the task that handles it, and returns what is left to do
    timer: asyncio.TimerHandle | None = None
    since: float | None = None  # when it first failed
    unknown: bool = False
    pauses: Generator[float] | None = None  # between retries

    def pause(self) -> float:
        """Return the seconds until the next retry."""
        if self.pauses is None:
            import backoff  # noqa: PLC0415 - takes 2 ms, and is not needed before the first retry

            self.pauses = backoff.expo(base=2, factor=1, max_value=MAX_RETRY_SECONDS)
            next(self.pauses)
        return next(self.pauses) * random.uniform(0.75, 1.25)  # noqa: S311 - jitter is no secret
