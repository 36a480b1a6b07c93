"""A message in hand, and what is left to do about it."""

import asyncio
import random
from collections.abc import Generator
from typing import Any

import msgspec

from ..journal import OpenMessage

MAX_RETRY_SECONDS = 300.0  # seconds between repetitions, at most


class Unfinished(msgspec.Struct, frozen=True, kw_only=True):
    """A message that is not done with.

    What to answer a provider that would send it again, and what we do.
    """

    status: int = 503
    retry_after: float | None = None
    retry_seconds: float = 0.0  # seconds for which it is worth doing again; 0: not at all
    known: bool = True  # it is about a payment of ours
    always: bool = False  # answer the status, whatever the provider does then


class PendingEvent(OpenMessage, eq=False):
    """A message in hand: being handled, or waiting to be handled again."""

    named: frozenset[tuple[str, str]] = frozenset()  # what it names, where it proves nothing
    task: Any = None  # that handles it, and gives what is left to do
    timer: asyncio.TimerHandle | None = None
    since: float | None = None  # when it failed first
    unknown: bool = False
    pauses: Generator[float] | None = None  # between repetitions

    def pause(self) -> float:
        """Give the seconds until it is handled again."""
        if self.pauses is None:
            import backoff  # noqa: PLC0415 - 2 ms of an import that has not failed yet

            self.pauses = backoff.expo(base=2, factor=1, max_value=MAX_RETRY_SECONDS)
            next(self.pauses)
        return next(self.pauses) * random.uniform(0.75, 1.25)  # noqa: S311 - jitter is no secret
