"""Messages about payments that no look-up confirms, kept until the merchant deals with them."""

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple, Protocol

import msgspec

from ..models import Event, Payment

MAX_OPEN_ENTRIES = 100_000  # open messages at once
MAX_EVENT_BYTES = 2048  # bytes of one message
TOO_MANY = "there were too many"  # why an entry was dropped that was not dealt with
BEFORE = "it was paid before this account adopted"  # why a listed payment was put aside
YOUNG_SECONDS = 3600.0  # seconds, at most, between an order and a message that may be about it


class Entry(NamedTuple):
    """A kept message and its id."""

    id: int
    event: Event
    at: str = ""  # when it was kept, as the journal writes a time


class KeptEvent(NamedTuple):
    """The id of a kept message, None: not kept; and the messages dropped to make room for it."""

    id: int | None
    gone: tuple[Event, ...] = ()


class CandidateOrders(NamedTuple):
    """The collects of its account and amount that a message may be about."""

    paid: tuple[Payment, ...] = ()  # they have its receipt, or a message claimed so
    open: tuple[Payment, ...] = ()
    # succeeded lately without a receipt, and matched to no other message
    bare: tuple[Payment, ...] = ()


class Unconfirmed(Protocol):
    """The store of kept messages. What cannot be kept or read is an OSError."""

    async def keep(self, event: Event) -> KeptEvent:
        """Keep a message once; at the limit, delivered messages are dropped, oldest first."""
        ...

    async def waiting(self, *, told: bool, adopting: Collection[str] = ()) -> dict[int, str]:
        """Return id and time of messages not yet delivered, oldest first.

        Told=False: not yet logged. Of accounts in `adopting`, the delivered ones as well that came
        since the journal adopts for them: they may still be proved.
        """
        ...

    async def load(self, ids: Sequence[int]) -> list[Entry]:
        """Return the open entries with these ids."""
        ...

    async def left(self, after: int) -> list[Entry]:
        """List a page of open entries, after this id."""
        ...

    async def orders(self, event: Event) -> CandidateOrders:
        """Return the orders that a message may be about."""
        ...

    async def claim(self, entry: Entry) -> bool:
        """Claim an entry to deliver it; False: another live worker has it, or it has ended."""
        ...

    async def done(self, entry: Entry, *, told: bool) -> None:
        """Release a claimed entry. told=True: it was delivered."""
        ...

    async def log(self, entry: Entry) -> bool:
        """Mark an entry as logged; False: it was marked before."""
        ...

    async def give(self, entry: Entry, of: Payment) -> bool:
        """End an entry as the message of an order without a receipt.

        False: the order has another.
        """
        ...

    async def end(self, event: Event, because: str) -> bool:
        """End the entry of a message; False: there is no such entry."""
        ...

    async def reopen(self) -> Collection[Event]:
        """Reopen messages that were matched to an order which has another receipt now."""
        ...


def trimmed(event: Event) -> Event:
    """Return a message without what is not stored: the raw body and personal data."""
    bare: dict[str, Any] = {"raw": "", "customer": None, "metadata": {}, "prompt": None}
    claims = msgspec.structs.replace(event.claims, **bare)
    return msgspec.structs.replace(event, claims=claims)


def encoded_event(event: Event) -> str:
    """Return a message as the text that is stored."""
    return msgspec.json.encode(trimmed(event)).decode()


def receipts(payment: Payment) -> tuple[str, ...]:
    """Return the receipt of an order, and the receipt that a message claimed for it."""
    return tuple(
        one for one in (payment.receipt, payment.ids.get("claimed_receipt")) if one is not None
    )
