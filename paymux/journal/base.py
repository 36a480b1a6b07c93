"""The durable record of payments: what it promises, and what a pool remembers where it has none."""

import enum
from collections import OrderedDict
from collections.abc import AsyncIterator
from datetime import datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Protocol, TypeAlias, get_args

import msgspec

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
        return self in (State.REFUSED, State.NOT_SENT)

    def after(self, state: "State | None", payment: Payment) -> "State":
        """Tell the state after a fact; nothing leads back, and only a payment that is known ends an unknown."""
        if state is None:
            known = payment.status.terminal or payment.provider_reference is not None
            return State.ACCEPTED if known else self
        if self in (State.ACCEPTED, State.UNKNOWN) and state is not State.ACCEPTED:
            return self
        return state


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A payment in the record, and who answers for it at the moment."""

    state: State
    payment: Payment
    fence: int = 0
    hints: tuple[Event, ...] = ()  # messages about it that have arrived


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

    async def hint(self, event: Event, *, open: bool = False) -> None:
        """Keep a message before it is acknowledged; an open one is this worker's, until it ends it, or dies."""
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


REMEMBERED = 100_000  # payments of this process whose owner is known; the newest are kept


class Memory:
    """What a pool without a journal knows, until the process ends: whose a provider's id is, and what was lost."""

    def __init__(self) -> None:
        self._owners: OrderedDict[tuple[str, Kind, str], str] = OrderedDict()
        self._lost: OrderedDict[Key, None] = OrderedDict()
        self._flying: set[Key] = set()

    def remember(self, payment: Payment) -> None:
        """Note whose payment a provider's id is, so that it can never confirm another order."""
        if payment.reference is not None and payment.provider_reference is not None:
            key = (payment.account, payment.kind or "collect", payment.provider_reference)
            self._owners.setdefault(key, payment.reference)
            if len(self._owners) > REMEMBERED:
                self._owners.popitem(last=False)

    def owner(self, account: str, kind: Kind, provider_reference: str | None) -> Owner | None:
        """Tell whose a provider's id is, where this process knows; of several kinds, this one's."""
        for one in (kind, *KINDS):
            if (reference := self._owners.get((account, one, provider_reference or ""))) is not None:
                return one, reference
        return None

    def lose(self, payment: Payment) -> None:
        """Note that this process sent an order whose answer was lost."""
        self._lost[named(payment)] = None
        if len(self._lost) > REMEMBERED:
            self._lost.popitem(last=False)

    def fly(self, payment: Payment) -> None:
        """Note that an order is being sent."""
        self._flying.add(named(payment))

    def land(self, payment: Payment) -> None:
        """Note that it is known how the sending ended."""
        self._flying.discard(named(payment))

    def lost(self, payment: Payment) -> bool:
        """Tell whether this process sent the order and has no answer, or none yet."""
        return named(payment) in self._lost or named(payment) in self._flying


_UNSAID: tuple[object, ...] = (None, "", (), {})


def digest(order: Order) -> str:
    """Tell one order from another under the same reference; the callback URL is ours and does not count."""
    # Without what was left out, so that an option of a later release does not make every order another one.
    said = {name: value for name in order.__struct_fields__ if (value := getattr(order, name)) not in _UNSAID}
    said.pop("webhook_url", None)
    return sha256(msgspec.json.encode(said, order="deterministic")).hexdigest()
