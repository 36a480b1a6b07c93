"""What a provider told us and no look-up confirms: it is kept until the shop has dealt with it."""

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple, Protocol

import msgspec

from ..models import Event, Payment

MOST = 100_000  # that are open at once
LARGEST = 2048  # bytes of one
YOUNG = 3600.0  # seconds before a message within which the order began that it may be of


class Entry(NamedTuple):
    """A kept message, and the number that it is kept under."""

    id: int
    event: Event


class Kept(NamedTuple):
    """The number that a message is kept under, None if it is not, and which others left: there were too many."""

    id: int | None
    gone: tuple[Event, ...] = ()


class Orders(NamedTuple):
    """The orders of ours that a message may be of: all are collects of its account, and of its amount."""

    paid: tuple[Payment, ...] = ()  # they have its receipt, or claim to
    open: tuple[Payment, ...] = ()
    bare: tuple[Payment, ...] = ()  # they succeeded lately without a receipt, and no other message is theirs


class Unconfirmed(Protocol):
    """The messages that are kept. What cannot be kept or read is an OSError."""

    async def keep(self, event: Event) -> Kept:
        """Keep a message; the same one twice is kept once. Too many: those that were told leave, oldest first."""
        ...

    async def waiting(self, *, told: bool) -> dict[int, str]:
        """Give when each came that was not told yet (or, where nobody is told, not logged), oldest first."""
        ...

    async def load(self, ids: Sequence[int]) -> list[Entry]:
        """Give the entries of these numbers that are open."""
        ...

    async def left(self, after: int) -> list[Entry]:
        """List a page of what is open, after this number."""
        ...

    async def orders(self, event: Event) -> Orders:
        """Give the orders of ours that a message may be of."""
        ...

    async def claim(self, entry: Entry) -> bool:
        """Take an entry to tell it; False: another living worker has it, or it is over."""
        ...

    async def done(self, entry: Entry, *, told: bool) -> None:
        """Let go of a claimed entry: it was told, or not."""
        ...

    async def log(self, entry: Entry) -> bool:
        """Note that an entry is being logged; False: it was before."""
        ...

    async def give(self, entry: Entry, of: Payment) -> bool:
        """End an entry as the one of an order without a receipt; False: it has another one."""
        ...

    async def end(self, event: Event, because: str) -> bool:
        """End the entry of a message; False: there is none."""
        ...

    async def reopen(self) -> Collection[Event]:
        """Open again what was given to an order that has another receipt by now."""
        ...


def small(event: Event) -> Event:
    """Give what is kept of a message: what it says of the money, and not the rest."""
    bare: dict[str, Any] = {"raw": "", "customer": None, "metadata": {}, "prompt": None}
    claims = msgspec.structs.replace(event.claims, **bare)
    return msgspec.structs.replace(event, claims=claims)


def written(event: Event) -> str:
    """Write down what is kept of a message."""
    return msgspec.json.encode(small(event)).decode()


def receipts(payment: Payment) -> tuple[str, ...]:
    """Give the receipt of an order, and the one that a message claimed it to have."""
    return tuple(one for one in (payment.receipt, payment.ids.get("claimed_receipt")) if one is not None)
