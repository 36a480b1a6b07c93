"""Payments that came by themselves: adopted once for each receipt, and found again if lost."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime
from typing import Literal, NamedTuple, Protocol

from ..models import ADOPTED, Event, Payment
from .unconfirmed import CandidateOrders, Entry, KeptEvent


class Sweep(NamedTuple):
    """A period that this worker is to compare with what the provider lists."""

    since: datetime
    until: datetime
    first: datetime  # when this journal first adopted for the account: nothing older is adopted
    # When a listed payment without a time was paid, by that moment. Pull tells none that is sure:
    # no source says in which zone its times are.
    undated: Literal["before", "since", "unknown"]


class Adoptions(Protocol):
    """The adopted payments of a journal. What cannot be stored or read is an OSError."""

    async def begin(self, accounts: Collection[str]) -> Mapping[str, str]:
        """Return for each account the moment at which this journal first adopted for it."""
        ...

    async def adopt(
        self,
        entry: Entry,
        event: Event,
        payment: Payment,
        is_not_ours: Callable[[CandidateOrders], bool],
        fits: Callable[[Payment], bool],
    ) -> bool:
        """Record a proved payment, and end the entries of its receipt, in one transaction.

        `event`: its message as it was proved; `is_not_ours` decides about the orders that it may be
        about. False: an order or a person has it, or it was adopted before. An unpaid order that
        it `fits` counts as told if it succeeds late without a receipt.
        """
        ...

    async def end_dealt_with(self, entry: Entry, receipt: str) -> bool:
        """End an entry whose receipt was dealt with, by another message; False: it was not."""
        ...

    async def keep_listed(self, events: Sequence[Event]) -> list[KeptEvent]:
        """Keep those payments of a list that are in no row and were never dealt with."""
        ...

    async def put_aside(self, events: Sequence[Event]) -> None:
        """Note listed payments that are older than the first adoption: they are never told."""
        ...

    async def take_sweep(self, account: str, *, at_start: bool) -> Sweep | None:
        """Take the turn to compare an account; None: another worker's, or too early."""
        ...

    async def end_sweep(self, account: str, until: datetime | None) -> None:
        """Release the turn. None: the comparison failed, and is made again."""
        ...


def adopted_reference(receipt: str) -> str:
    """Return the reference of an adopted payment."""
    return f"{ADOPTED}{receipt}"
