"""The durable record of payments: what it promises, and how one order is told from another."""

import enum
from collections.abc import AsyncIterator
from datetime import datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Protocol, TypeAlias, get_args

import msgspec
from msgspec.structs import astuple

from ..errors import DuplicateReference
from ..models import Event, Kind, Order, Payment, Status
from .unconfirmed import Unconfirmed

if TYPE_CHECKING:
    from .outbox import Outbox


class State(enum.StrEnum):
    """How far a money request came; beyond ACCEPTED and UNKNOWN the payment's own status goes on."""

    INTENT = "intent"  # noted, and nothing has left
    SENDING = "sending"  # the request may leave at any moment from here on
    ACCEPTED = "accepted"
    REFUSED = "refused"
    NOT_SENT = "not_sent"
    UNKNOWN = "unknown"

    @property
    def free(self) -> bool:
        """Tell whether no money can have moved, so that the reference may be used anew."""
        return self in _FREE

    @property
    def in_doubt(self) -> bool:
        """Tell whether money may have moved without anybody's knowing; the order is never sent again."""
        return self in _DOUBTFUL

    def after(self, state: "State | None", payment: Payment) -> "State":
        """Tell the state after a fact; nothing leads back, and only a payment that is known ends an unknown."""
        if state is None:
            known = payment.status.terminal or payment.provider_reference is not None
            return _ACCEPTED if known else self
        if state is not _ACCEPTED and self in _LASTING:
            return self
        return state


# Each order asks these several times, and a member is slow to find in an Enum.
_ACCEPTED = State.ACCEPTED
_LASTING = (State.ACCEPTED, State.UNKNOWN)
_DOUBTFUL = (State.SENDING, State.UNKNOWN)
_FREE = (State.REFUSED, State.NOT_SENT)


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A payment in the record, and who answers for it at the moment."""

    state: State
    payment: Payment
    fence: int = 0
    hints: tuple[Event, ...] = ()  # messages about it that have arrived
    flying: bool = False  # a living worker is at it, and will tell how it ended


class Word(msgspec.Struct, frozen=True, kw_only=True):
    """What a person says of a payment, and why."""

    payment: Payment  # as it stands from then on
    because: str
    by: str | None = None
    before: datetime  # what was accepted later than this may still end by itself


class Journal(Protocol):
    """A durable record of payments. What it cannot keep is an OSError, and the money is then not sent."""

    @property
    def outbox(self) -> "Outbox":
        """Give what is to be told and to be watched."""
        ...

    async def open(self) -> None:
        """Open it before anything is asked of it; UsageError: it can be none, OSError: not yet."""
        ...

    async def intend(self, pending: Payment, digest: str) -> Row | None:
        """Note an order before anything is sent; give the row that exists for the same order, or None: go on.

        DuplicateReference where the reference belongs to another order.
        """
        ...

    async def sending(self, pending: Payment) -> None:
        """Make durable that the request is about to leave; OSError where somebody else has the order by now."""
        ...

    async def record(self, payment: Payment, source: str, state: State | None = None) -> None:
        """Append a fact, and apply it where it does not turn the record back."""
        ...

    async def find(
        self, account: str, kind: Kind, *, reference: str | None = None, provider_reference: str | None = None
    ) -> Row | None:
        """Give the row of this kind with our reference, or that with the provider's, of this kind first.

        Ours may be that of a collect and of a payout; the provider's is looked for under every kind, for which
        one it is of was perhaps only claimed.
        """
        ...

    async def hints(self, payment: Payment) -> tuple[Event, ...]:
        """Give the messages about a payment that have arrived."""
        ...

    async def resolve(self, word: Word) -> None:
        """End a row by a person's word, a fact of source `person`; UsageError where it may not be ended."""
        ...

    async def meant(self, event: Event) -> Row | None:
        """Give the open payment of the last day that has one of the ids that a message names."""
        ...

    async def hint(self, event: Event, *, open: bool = False) -> bool:
        """Keep a message before it is acknowledged; an open one is this worker's, until it ends it, or dies.

        False: about its order, no more are kept.
        """
        ...

    async def end_hint(self, event: Event, *, done: bool) -> None:
        """End an open message: done with, or left for whoever claims it."""
        ...

    async def claim_hints(self, count: int) -> list[Event]:
        """Take so many open messages that no living worker answers for."""
        ...

    def payments(
        self, *, account: str | None = None, status: Status | None = None, since: datetime | None = None
    ) -> AsyncIterator[Payment]:
        """List payments, oldest first."""
        ...

    async def claim(self, after: Row | None) -> Row | None:
        """Take the next row that needs looking after and that no living worker answers for."""
        ...

    async def release(self, row: Row) -> None:
        """Give a claimed row back."""
        ...

    async def take_turn(self, payment: Payment, name: str, caller: str) -> bool:
        """Tell one caller of all that the turn is his; he has it until he ends it, or dies."""
        ...

    async def turn_done(self, payment: Payment, name: str) -> bool:
        """Tell whether a turn is done for ever."""
        ...

    async def end_turn(self, payment: Payment, name: str, caller: str, *, done: bool) -> None:
        """End a turn: done for ever, or given back."""
        ...

    @property
    def unconfirmed(self) -> Unconfirmed:
        """Give the messages that no look-up confirms."""
        ...

    async def aclose(self) -> None:
        """Make everything durable and let go."""
        ...


KINDS: tuple[Kind, ...] = get_args(Kind)
Owner: TypeAlias = tuple[Kind, str]  # an order of an account: its kind and our reference
Key: TypeAlias = tuple[str, Kind, str]  # of any account


def named(payment: Payment) -> Key:
    """Give what an order of ours is found by: a collect and a payout may share a reference."""
    return (payment.account, payment.kind or "collect", payment.reference or "")


def another_order(pending: Payment) -> DuplicateReference:
    """Give the error of an order whose reference belongs to another one."""
    error = DuplicateReference(f"{pending.reference}: this reference belongs to another order")
    error.account, error.provider, error.reference = pending.account, pending.provider, pending.reference
    return error


_FIELDS = Order.__struct_fields__
_encode = msgspec.json.Encoder(order="deterministic").encode


def digest(order: Order) -> str:
    """Tell one order from another under the same reference; the callback URL is ours and does not count."""
    # Without what was left out, so that an option of a later release does not make every order another one.
    said = {name: value for name, value in zip(_FIELDS, astuple(order), strict=True) if value}
    said.pop("webhook_url", None)
    return sha256(_encode(said)).hexdigest()
