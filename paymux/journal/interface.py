"""The journal's interface: what it promises."""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Protocol

from ..limits import SharedPlaces
from ..models import Event, Kind, Payment, Status
from .adoptions import Adoptions
from .base import Arrival, Check, FollowUp, Resolution, Row, State
from .credentials import Credentials
from .first_refunds import FirstRefunds
from .id_keys import IdKeys
from .outbox import Outbox
from .questions import Questions
from .shared_tokens import SharedTokens
from .suspension import Suspension
from .unconfirmed import Unconfirmed
from .wakeups import Subject, Wakeups


class Journal(Protocol):
    """A durable journal of payments. What it cannot store is an OSError; then no money is sent."""

    @property
    def outbox(self) -> Outbox:
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

    async def payments_of(self, subjects: list[Subject]) -> list[Payment]:
        """Return the payments that these name, in one read; of what is not there, none."""
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
        until: datetime | None = None,
        state: State | None = None,
    ) -> AsyncIterator[Payment]:
        """List payments, oldest first, without orders that were refused or never sent.

        `since` and `until` are of their creation, the latter not included.
        """
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

    async def end_turn(self, payment: Payment, name: str, caller: str, *, done: bool) -> bool:
        """Release a once-lock. done=True: completed, never granted again.

        False: it was completed too late, another caller has had it since. OSError: it is not stored
        yet, and is stored as soon as possible.
        """
        ...

    @property
    def suspension(self) -> Suspension | None:
        """Return what suspends this worker's turns; None: it may act while its process runs."""
        ...

    async def end_turn_in(
        self, connection: object, payment: Payment, name: str, caller: str
    ) -> bool:
        """Complete a once-lock in the caller's own transaction, with which it stands and falls.

        False: too late, another caller has had it since. UsageError: it cannot be written in this
        transaction. Unsupported: this journal is in no database of the caller's.
        """
        ...

    @property
    def unconfirmed(self) -> Unconfirmed:
        """Return the store of messages that no look-up confirms."""
        ...

    @property
    def adoptions(self) -> Adoptions:
        """Return the payments that came by themselves and were adopted."""
        ...

    @property
    def credentials(self) -> Credentials:
        """Return where it is kept how good each credential is, for all workers."""
        ...

    @property
    def first_refunds(self) -> FirstRefunds:
        """Return which refund of a payment came first, where the provider makes only one."""
        ...

    @property
    def id_keys(self) -> IdKeys:
        """Return the fingerprint of each account's `id_key`."""
        ...

    @property
    def places(self) -> SharedPlaces:
        """Return the places of stated limits, which all workers share."""
        ...

    @property
    def questions(self) -> Questions:
        """Return the store of questions whose answers come as messages."""
        ...

    @property
    def tokens(self) -> SharedTokens:
        """Return the access tokens that all workers share."""
        ...

    @property
    def wakeups(self) -> Wakeups | None:
        """Return what carries news between workers; None: their watches only poll."""
        ...

    async def aclose(self) -> None:
        """Make everything durable, and close; a pool that is entered again calls `open`."""
        ...
