"""A message in hand, and what is left to do about it."""

import asyncio
from collections.abc import Generator

import msgspec

from ..models import Event

SLOWEST = 300.0  # seconds between repetitions, at most


class Left(msgspec.Struct, frozen=True, kw_only=True):
    """A message that is not done with: what to answer a provider that would send it again, and what we do."""

    status: int = 503
    retry_after: float | None = None
    lasting: float = 0.0  # seconds for which it is worth doing again; 0: not at all
    known: bool = True  # it is about a payment of ours
    plainly: bool = False  # answer the status, whatever the provider does then


class Message:
    """A message in hand: being handled, or waiting to be handled again."""

    def __init__(self, event: Event) -> None:
        import backoff  # noqa: PLC0415 - 2 ms of an import that hears nothing yet

        self.event = event
        self.task: asyncio.Task[Left | None] | None = None
        self.timer: asyncio.TimerHandle | None = None
        self.since: float | None = None  # when it failed first
        self.unknown = False
        self.pauses: Generator[float] = backoff.expo(base=2, factor=1, max_value=SLOWEST)
        next(self.pauses)
