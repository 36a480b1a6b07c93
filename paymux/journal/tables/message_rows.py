"""Keeping many messages at once."""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from ...models import Kind
from ..database import Database


class NewMessage(msgspec.Struct, gc=False):
    """A message that is to be kept."""

    account: str
    kind: Kind
    reference: str | None  # of its order; None: unknown
    provider_reference: str | None
    text: str  # as JSON; the same text is the same message
    proved: bool
    places: int  # how many messages of its order, proved as this one is, are kept at most
    open: bool  # the worker that keeps it is processing it


class MessageRows(Protocol):
    """The rows of messages; what keeps some of them may be repeated."""

    def keep(
        self, messages: Sequence[NewMessage], at: str, worker: str, db: Database
    ) -> list[bool]:
        """Keep messages once, for this worker if they are open; False: there is no place for it."""
        ...
