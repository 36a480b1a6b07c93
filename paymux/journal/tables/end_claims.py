"""Claiming many ends for the notifier of a worker at once."""

from collections.abc import Sequence
from typing import Protocol

import msgspec

from ...models import Status
from ..base import OrderKey
from ..database import Database


class NewEnd(msgspec.Struct, gc=False):
    """An end that was just written."""

    key: OrderKey
    id: str  # of its fact, by which a claim is recognised when it is repeated
    status: Status
    asked: bool  # it is to be claimed


class FoundEnd(msgspec.Struct, gc=False):
    """What is known of the delivery of an end."""

    told: str | None  # the status that was delivered last
    claimed: bool  # for this fact, now or by an earlier call whose answer was lost


class EndClaims(Protocol):
    """Claims ends by statements that need no transaction around them."""

    def claim(self, ends: Sequence[NewEnd], worker: str, db: Database) -> dict[str, FoundEnd]:
        """Claim those that no worker delivers or has delivered; return each by its id."""
        ...
