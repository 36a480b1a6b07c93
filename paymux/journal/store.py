"""The record of a pool's payments: in its journal, or in memory until the process ends."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import cached_property, partial
from typing import TYPE_CHECKING, TypeAlias, cast

from ..errors import NotSent, OutcomeUnknown, ProviderError, Unavailable, UsageError
from ..models import Kind, Order, Payment, log
from ..primitives.redaction import as_place
from ..values.validation import checked_protocol
from .base import (
    Arrival,
    Ended,
    FollowUp,
    OrderOwner,
    Resolution,
    Row,
    State,
    order_digest,
    order_key,
)
from .memory.orders import OrderMemory
from .messages import RECORD_WAIT_SECONDS, Messages
from .place import is_place, journal_at
from .stored_events import OpenMessage

if TYPE_CHECKING:
    from .first_refunds import FirstRefunds
    from .interface import Journal
    from .memory.unconfirmed import LocalUnconfirmed
    from .unconfirmed import Unconfirmed

INTENT_POLL_SECONDS = 0.05  # seconds between looks at an order that another worker is about to send

Heard: TypeAlias = Callable[[Payment, str, State | None, Ended | None, OpenMessage | None], None]


class Store:
    """The record that the verbs read and write; without a journal it is short, but never wrong."""

    def __init__(self, journal: object) -> None:
        place = as_place(journal)
        if is_place(place):
            del journal  # the frames of an error must not hold a password
            journal = journal_at(place)
        elif journal is not None:
            from .interface import Journal  # noqa: PLC0415 - for a journal of the caller's own

            checked_protocol(
                "journal", journal, Journal, "a path, a postgresql:// URL, or a Journal"
            )
        self.journal = cast("Journal | None", journal)
        self.memory = OrderMemory()
        self.messages = Messages(self.journal)
        # accounts whose messages may be about payments that no look-up confirms
        self.unconfirmable_accounts: frozenset[str] = frozenset()
        # Called with each new fact: payment, source, state of the order, delivery of its end, and
        # the message that brought it.
        self.on_fact: Heard | None = None
        # Returns whether the notifier claims an end as it is stored.
        self.claims: Callable[[Payment], bool] = _claims_nothing

    async def open(self) -> None:
        """Open the journal; one that is locked now is opened at its first use."""
        if self.journal is not None:
            try:
                await self.journal.open()
            except OSError as error:
                log.warning(
                    "the journal is not open yet, and no order is sent until it is: %s", error
                )

    @cached_property
    def _local(self) -> "LocalUnconfirmed":
        from .memory.unconfirmed import LocalUnconfirmed  # noqa: PLC0415 - few providers need it

        return LocalUnconfirmed()

    @property
    def unconfirmed(self) -> "Unconfirmed":
        """Return the store of messages that no look-up confirms; without a journal, in memory."""
        return self._local if self.journal is None else self.journal.unconfirmed

    @cached_property
    def first_refunds(self) -> "FirstRefunds":
        """Return which refund of a payment came first; without a journal, in memory."""
        from .first_refunds import LocalFirstRefunds  # noqa: PLC0415 - few providers need it

        return LocalFirstRefunds() if self.journal is None else self.journal.first_refunds

    def require_journal(self) -> "Journal":
        """Return the journal; UsageError: this pool has none."""
        if self.journal is None:
            raise UsageError.missing("journal", "this pool has none")
        return self.journal

    async def begin(self, pending: Payment, order: Order, deadline: float) -> Row | None:
        """Record an order before it is sent, or return the row that its reference already has.

        Waits for an order that another worker is about to send, until shortly before the deadline
        (a time of the event loop's clock). NotSent: it could not be recorded in time.
        """
        if self.journal is None:
            return self.memory.find(pending, order)
        try:
            async with asyncio.timeout_at(deadline):
                return await self._intend(self.journal, pending, order, deadline)
        except TimeoutError:
            named = f"{pending.account} {order.kind} {order.reference}"
            raise NotSent(f"{named}: the deadline passed; nothing was sent") from None

    async def _intend(
        self, journal: "Journal", pending: Payment, order: Order, deadline: float
    ) -> Row | None:
        digest, time = order_digest(order), asyncio.get_running_loop().time
        while True:
            try:
                row = await journal.intend(pending, digest)
            except OSError as error:
                raise NotSent(f"{pending.account}: {error}; nothing was sent") from None
            if row is None or not row.in_flight or time() + 2 * INTENT_POLL_SECONDS > deadline:
                return row
            await asyncio.sleep(INTENT_POLL_SECONDS)

    async def mark_sending(self, pending: Payment, order: Order) -> None:
        """Make durable that a money request is about to leave, or raise NotSent."""
        # From here on the webhook may come before the answer, or instead of it.
        self.memory.note_sending(pending, order if self.journal is None else None)
        if self.journal is None:
            return
        try:
            await self.journal.mark_sending(pending)
        except OSError as error:
            raise NotSent(f"{pending.account}: {error}; nothing was sent") from None

    async def keep_known(
        self, payment: Payment, before: Callable[[], Awaitable[None]] | None
    ) -> None:
        """Make durable what an earlier step told of an order, or raise NotSent.

        `before` is `mark_sending` of the order, if no money request of it has left.
        """
        if before is not None:
            await before()
        self.memory.apply(payment, State.SENDING)
        if self.journal is None:
            return
        try:
            await self.journal.record(payment, "sending", State.SENDING)
        except OSError as error:
            raise NotSent(f"{payment.account}: {error}; nothing was sent") from None

    async def ended(
        self, pending: Payment, outcome: Payment | BaseException, *, in_doubt: bool
    ) -> None:
        """Record how a money request ended."""
        if isinstance(outcome, Payment):
            # Until it is answered, no other worker watches an order.
            ended = outcome.status.terminal
            await self.keep(outcome, "answer", State.ACCEPTED, news=ended)
        elif isinstance(outcome, OutcomeUnknown) or in_doubt:
            await self.keep(pending, "answer", State.UNKNOWN, news=False)
        else:
            refused = isinstance(outcome, ProviderError) and not outcome.unsent
            state = State.REFUSED if refused else State.NOT_SENT
            await self.keep(pending, "answer", state, news=False)

    async def keep(
        self,
        payment: Payment,
        source: str,
        state: State | None = None,
        *,
        passing: bool = False,
        message: OpenMessage | None = None,
        news: bool = True,
    ) -> None:
        """Record what an answer, a look-up or a message says; `news`: wake other workers' watches.

        passing=True: do not cache. An open message ends once its payment's end was delivered.
        """
        self.memory.apply(payment, state, passing=passing)
        if self.journal is None:
            if payment.account in self.unconfirmable_accounts:
                self._local.on_fact(payment, source, state)
            if self.on_fact is not None:
                self._durable(self.on_fact, payment, source, state, message, False, None)
            return
        then = partial(self._durable, self.on_fact, payment, source, state, message, news)
        event = None if message is None or not message.open else message.event
        claim = payment.status.terminal and self.claims(payment)
        try:
            # The write is queued at once and will be durable; only the wait for it is limited.
            async with asyncio.timeout(RECORD_WAIT_SECONDS):
                await self.journal.record(payment, source, state, FollowUp(claim, event, then))
        except TimeoutError:
            log.warning(
                "%s: %s is not recorded yet: the journal is slow",
                payment.account,
                payment.reference,
            )
        except Exception as error:  # noqa: BLE001 - money may have moved: the result must be returned
            # The row stays SENDING, which recover() resolves: nothing is lost or sent again.
            log.error("%s: %s could not be recorded: %s", payment.account, payment.reference, error)

    def _durable(
        self,
        heard: Heard | None,
        payment: Payment,
        source: str,
        state: State | None,
        message: OpenMessage | None,
        news: bool,
        ended: Ended | None,
    ) -> None:
        """Pass a durable fact on, to the notifier, also if its caller did not wait so long."""
        if news:
            self._announce(payment)
        if message is not None and ended is not None and ended.told:
            message.open, message.told = False, payment.status
        # The claims of a notifier that has left since were released, too.
        if heard is None or heard is not self.on_fact:
            return
        try:
            heard(payment, source, state, ended, message)
        except Exception as error:  # noqa: BLE001 - it is stored; the notifier's scan finds it
            what = f"{payment.account}: {payment.reference}"
            log.error("%s could not be passed on to the notifier: %r", what, error)

    def _announce(self, payment: Payment) -> None:
        """Wake the watches of a payment in other workers, if it has a row for them to read."""
        wakeups = None if self.journal is None else self.journal.wakeups
        if wakeups is not None and payment.reference is not None:
            wakeups.announce(payment)

    async def row_of(self, payment: Payment) -> Row | None:
        """Return the journal's row of an order."""
        account, kind, reference = order_key(payment)
        return await self._find(account, kind, reference=reference)

    async def resolve(self, word: Resolution) -> None:
        """End a row by a person's decision; Unavailable: it was not stored."""
        try:
            await self.require_journal().resolve(word)
        except OSError as error:
            raise Unavailable(f"{word.payment.account}: {error}") from None
        self._announce(word.payment)
        if self.on_fact is not None:
            self.on_fact(word.payment, "person", None, None, None)

    async def owner(
        self, account: str, kind: Kind, provider_reference: str | None
    ) -> OrderOwner | None:
        """Return the order that has a provider's id; of several kinds, this kind first."""
        owner = self.memory.owner(account, kind, provider_reference)
        if owner is None:
            found = await self._find(account, kind, provider_reference=provider_reference)
            return None if found is None else order_key(found.payment)[1:]
        return owner

    def answer_lost(self, payment: Payment, claimed: str | None, arrival: Arrival) -> bool:
        """Return whether this order's answer was lost, or it has the claimed id.

        For an order that this process sent, its memory decides; for any other, what the journal
        knew at the message's arrival.
        """
        account, kind, reference = order_key(payment)
        if self.memory.answer_lost(payment) or self.memory.owner(account, kind, claimed) == (
            kind,
            reference,
        ):
            return True
        return arrival.lost and not self.memory.knows(payment)

    async def _find(
        self,
        account: str,
        kind: Kind,
        *,
        reference: str | None = None,
        provider_reference: str | None = None,
    ) -> Row | None:
        if self.journal is None or reference is provider_reference is None:
            return None
        by = {"reference": reference, "provider_reference": provider_reference}
        try:
            return await self.journal.find(account, kind, **by)
        except OSError as error:
            raise Unavailable(f"{account}: {error}") from None


def _claims_nothing(_: Payment) -> bool:
    return False
