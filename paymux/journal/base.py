"""The journal's interface: what it promises, and how one order is told from another."""

import enum
from collections.abc import AsyncIterator, Callable
from datetime import datetime
from hashlib import sha256
from typing import TYPE_CHECKING, NamedTuple, Protocol, TypeAlias, get_args

import msgspec
from msgspec.structs import astuple

from ..errors import DuplicateReference
from ..models import Event, Kind, Order, Payment, Status
from .unconfirmed import Unconfirmed

if TYPE_CHECKING:
    from .outbox import Outbox


class State(enum.StrEnum):
    """Progress of a money request.

    After ACCEPTED or UNKNOWN, the payment's status tells the rest.
    """

    INTENT = "intent"  # recorded; nothing was sent
    SENDING = "sending"  # the request may be sent at any moment from here on
    ACCEPTED = "accepted"
    REFUSED = "refused"
    NOT_SENT = "not_sent"
    UNKNOWN = "unknown"

    frees_reference: bool  # no money can have moved, so that the reference may be used again
    in_doubt: bool  # money may have moved without our knowledge; the order is not sent again

    def __init__(self, word: str) -> None:
        self.frees_reference = word in ("refused", "not_sent")
        self.in_doubt = word in ("sending", "unknown")

    def after(self, state: "State | None", payment: Payment) -> "State":
        """Return the state after a fact; it never goes back.

        UNKNOWN ends only with a fact that proves that the payment exists.
        """
        if state is None:
            known = payment.status.terminal or payment.provider_reference is not None
            return _ACCEPTED if known else self
        if state is not _ACCEPTED and self in _LASTING:
            return self
        return state


# Used several times for each order; access through an Enum is slow.
_ACCEPTED = State.ACCEPTED
_LASTING = (State.ACCEPTED, State.UNKNOWN)


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A payment in the journal, and whether a worker is processing it now."""

    state: State
    payment: Payment
    fence: int = 0
    events: tuple[Event, ...] = ()  # webhook messages about it that were received
    in_flight: bool = False  # a live worker is processing it, and will record how it ended


class Resolution(msgspec.Struct, frozen=True, kw_only=True):
    """What a person states about a payment, and why."""

    payment: Payment  # with the status that the person states
    because: str
    by: str | None = None
    before: datetime  # a payment accepted after this time may still end by itself


class Arrival(msgspec.Struct, frozen=True, kw_only=True):
    """What the journal knows about a webhook message at its arrival."""

    known: Payment | None = None  # the payment that it claims to be about
    # False: the limit for its order is reached; None: nothing names its order, nothing was stored.
    kept: bool | None = None
    lost: bool = False  # its order was sent, and its answer is unknown or has the same id


class Ended(NamedTuple):
    """What is known about the delivery of an end that was just stored."""

    claimed: Payment | None = None  # claimed for this worker's notifier, which must deliver it
    told: bool = False  # it was delivered before


class FollowUp(NamedTuple):
    """What follows a fact in the same transaction."""

    claim: bool  # an end that no worker delivers is claimed for this one's notifier
    message: Event | None  # an open message about it: done with, if that end was told before
    # Called in this loop once it is durable, however late that is; None: it is no end.
    then: Callable[[Ended | None], None]


Check: TypeAlias = Callable[[Payment | None, "OrderOwner | None"], None]


class Journal(Protocol):
    """A durable journal of payments. What it cannot store is an OSError; then no money is sent."""

    @property
    def outbox(self) -> "Outbox":
        """Return the outbox: payments to deliver to `on_payment`, and orders to watch."""
        ...

    async def open(self) -> None:
        """Open it before its first use, and after `aclose`.

        UsageError: it can never be a journal; OSError: not now.
        """
        ...

    async def intend(self, pending: Payment, digest: str) -> Row | None:
        """Record an order before anything is sent.

        Returns the row that exists for the same order; None: the order is new, go on.
        DuplicateReference: the reference belongs to another order.
        """
        ...

    async def mark_sending(self, pending: Payment) -> None:
        """Make durable that the request is about to be sent.

        OSError: another worker has the order.
        """
        ...

    async def record(
        self,
        payment: Payment,
        source: str,
        state: State | None = None,
        follow: FollowUp | None = None,
    ) -> None:
        """Append a fact, and apply it unless it would turn the row back."""
        ...

    async def find(
        self,
        account: str,
        kind: Kind,
        *,
        reference: str | None = None,
        provider_reference: str | None = None,
    ) -> Row | None:
        """Return the row with our reference, or with the provider's, whichever is given.

        Our reference may name a collect and a payout; `kind` says which. The provider's reference
        is searched under every kind, `kind` first: a message only claims its kind.
        """
        ...

    async def events_of(self, payment: Payment) -> tuple[Event, ...]:
        """Return the webhook messages about a payment."""
        ...

    async def resolve(self, word: Resolution) -> None:
        """End a row by a person's decision, as a fact of source `person`.

        UsageError: not allowed.
        """
        ...

    async def about(self, event: Event) -> Row | None:
        """Return the payment that a message claims to be about; its secret path comes first.

        If a message has only other ids of the provider: the open payment of the last day with one
        of them.
        """
        ...

    async def arrive(
        self,
        event: Event,
        about: Payment | None,
        check: Check,
        *,
        open: bool,
    ) -> Arrival:
        """Find the payment of a message, and keep the message as `keep_event` does, at once.

        `about`: the payment, if the caller knows it. `check` gets the payment, and the order that
        has the claimed provider reference; if it raises, nothing is stored.
        """
        ...

    async def keep_event(self, event: Event, *, open: bool = False) -> bool:
        """Store a webhook message before it is acknowledged.

        open=True: this worker is processing it, until `end_event` or until the worker dies.
        False: no more messages are stored about its order.
        """
        ...

    async def end_event(self, event: Event, *, done: bool) -> None:
        """End an open message. done=True: processed; False: another worker may claim it."""
        ...

    async def claim_events(self, count: int) -> list[Event]:
        """Claim up to `count` open messages that no live worker is processing."""
        ...

    def payments(
        self,
        *,
        account: str | None = None,
        status: Status | None = None,
        since: datetime | None = None,
    ) -> AsyncIterator[Payment]:
        """List payments, oldest first."""
        ...

    async def claim(self, after: Row | None) -> Row | None:
        """Claim the next row that needs recovery and that no live worker is processing."""
        ...

    async def release(self, row: Row) -> None:
        """Release a claimed row."""
        ...

    async def take_turn(self, payment: Payment, name: str, caller: str) -> int:
        """Give a turn to one caller, until it ends the turn, or dies: a fencing token above 0.

        Each later caller of the turn has a higher one. 0: another caller has it, or it is done.
        """
        ...

    async def turn_done(self, payment: Payment, name: str) -> bool:
        """Return whether the work under a once-lock is completed."""
        ...

    async def end_turn(self, payment: Payment, name: str, caller: str, *, done: bool) -> None:
        """Release a once-lock. done=True: completed, never granted again."""
        ...

    @property
    def unconfirmed(self) -> Unconfirmed:
        """Return the store of messages that no look-up confirms."""
        ...

    async def aclose(self) -> None:
        """Make everything durable, and close; a pool that is entered again calls `open`."""
        ...


KINDS: tuple[Kind, ...] = get_args(Kind)
OrderOwner: TypeAlias = tuple[Kind, str]  # an order of an account: its kind and our reference
OrderKey: TypeAlias = tuple[str, Kind, str]  # the same, with its account


def order_key(payment: Payment) -> OrderKey:
    """Return the key of an order; a collect and a payout may have the same reference."""
    return (payment.account, payment.kind or "collect", payment.reference or "")


def duplicate_reference(pending: Payment) -> DuplicateReference:
    """Return the error for a reference that belongs to another order."""
    error = DuplicateReference(f"{pending.reference}: this reference belongs to another order")
    error.account, error.provider, error.reference = (
        pending.account,
        pending.provider,
        pending.reference,
    )
    return error


_FIELDS = Order.__struct_fields__
_encode = msgspec.json.Encoder(order="deterministic").encode


def order_digest(order: Order) -> str:
    """Return a hash that tells one order from another with the same reference.

    The callback URL is not part of it: it is chosen by us, not by the caller.
    """
    # Empty fields are left out: a new option in a later release must not change the hash.
    said = {name: value for name, value in zip(_FIELDS, astuple(order), strict=True) if value}
    said.pop("webhook_url", None)
    return sha256(_encode(said)).hexdigest()
