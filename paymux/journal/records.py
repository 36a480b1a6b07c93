"""The record of a pool's payments: in its journal, or in memory until the process ends."""

import asyncio
from collections.abc import Callable
from os import PathLike
from typing import cast

import msgspec

from ..checks import checked_path, filled
from ..errors import NotSent, OutcomeUnknown, ProviderError, Unavailable, UsageError
from ..models import Event, Kind, Order, Payment, log
from ..plain import is_a
from .base import Journal, Owner, Row, State, Word, digest, named
from .local_unconfirmed import LocalUnconfirmed
from .memory import Memory
from .unconfirmed import Unconfirmed

GLANCE = 0.05  # seconds between looks at an order that another worker is about to send
# seconds to wait for the disk with a known result; another process may hold the lock
PATIENCE = 2.0


class Records:
    """The record that the verbs read and write; without a journal it is short, but never wrong."""

    def __init__(self, journal: Journal | str | PathLike[str] | None) -> None:
        if is_a(journal, str) or issubclass(type(journal), PathLike):
            from .sqlite import SqliteJournal  # noqa: PLC0415 - SQLite is loaded only for a journal

            journal = SqliteJournal(checked_path("journal", journal, unread=True))
        elif journal is not None:
            filled("journal", journal, Journal, "a path, or a Journal")
        self.journal = cast("Journal | None", journal)
        self.memory = Memory()
        self._local = LocalUnconfirmed()
        # accounts whose messages may be about payments that no look-up confirms
        self.apart: frozenset[str] = frozenset()
        # Called with each new fact: the payment, its source, and the state of the order.
        self.heard: Callable[[Payment, str, State | None], None] | None = None
        # Messages that this process is still processing; True: open in the journal.
        self._answering: dict[bytes, bool] = {}

    async def open(self) -> None:
        """Open the journal; one that is locked now is opened at its first use."""
        if self.journal is not None:
            try:
                await self.journal.open()
            except OSError as error:
                log.warning("the journal is not open yet: %s", error)

    def begin_anew(self) -> None:
        """In a forked child, forget the messages that the parent is processing."""
        self._answering.clear()

    @property
    def unconfirmed(self) -> Unconfirmed:
        """Return the store of messages that no look-up confirms; without a journal, in memory."""
        return self._local if self.journal is None else self.journal.unconfirmed

    def book(self) -> Journal:
        """Return the journal; UsageError: this pool has none."""
        if self.journal is None:
            raise UsageError.missing("journal", "this pool has none")
        return self.journal

    async def begin(self, pending: Payment, order: Order, deadline: float) -> Row | None:
        """Record an order before it is sent, or return the row that its reference already has.

        Waits for an order that another worker is about to send, until shortly before the deadline
        (a time of the event loop's clock).
        """
        journal, time = self.journal, asyncio.get_running_loop().time
        if journal is None:
            return self.memory.find(pending, order)
        while True:
            try:
                row = await journal.intend(pending, digest(order))
            except OSError as error:
                raise NotSent(f"{pending.account}: {error}; nothing was sent") from None
            if row is None or not row.flying or time() + 2 * GLANCE > deadline:
                return row
            await asyncio.sleep(GLANCE)

    async def sending(self, pending: Payment, order: Order) -> None:
        """Make durable that a money request is about to leave, or raise NotSent."""
        # From here on the webhook may come before the answer, or instead of it.
        self.memory.fly(pending, order if self.journal is None else None)
        if self.journal is None:
            return
        try:
            await self.journal.sending(pending)
        except OSError as error:
            raise NotSent(f"{pending.account}: {error}; nothing was sent") from None

    async def ended(self, pending: Payment, outcome: Payment | BaseException, *, in_doubt: bool) -> None:
        """Record how a money request ended."""
        if isinstance(outcome, Payment):
            await self.keep(outcome, "answer", State.ACCEPTED)
        elif isinstance(outcome, OutcomeUnknown) or in_doubt:
            await self.keep(pending, "answer", State.UNKNOWN)
        else:
            refused = isinstance(outcome, ProviderError)
            await self.keep(pending, "answer", State.REFUSED if refused else State.NOT_SENT)

    async def keep(
        self, payment: Payment, source: str, state: State | None = None, *, passing: bool = False
    ) -> None:
        """Record what an answer, a look-up or a message says.

        passing=True: do not cache.
        """
        self.memory.apply(payment, state, passing=passing)
        if self.journal is None and payment.account in self.apart:
            self._local.hear(payment, source, state)
        try:
            if self.journal is not None:
                # The write is queued at once and will be durable; only the wait for it is limited.
                async with asyncio.timeout(PATIENCE):
                    await self.journal.record(payment, source, state)
            if self.heard is not None:
                self.heard(payment, source, state)
        except TimeoutError:
            log.warning("%s: %s is not recorded yet: the journal is slow", payment.account, payment.reference)
        except Exception as error:  # noqa: BLE001 - money may have moved: the result must be returned
            # The row stays SENDING, which recover() resolves: nothing is lost or sent again.
            log.error("%s: %s could not be recorded: %s", payment.account, payment.reference, error)

    def answer_for(self, event: Event) -> None:
        """Once it is stored, keep a message open until `end_hint`."""
        self._answering.setdefault(msgspec.json.encode(event), False)

    async def hint(self, event: Event) -> bool:
        """Store a message before it is acknowledged; Unavailable: let the provider send it again.

        False: the limit of messages for its order is reached. It is not stored; a look-up is
        enough.
        """
        if self.journal is None:
            return True
        key = msgspec.json.encode(event)
        if open := key in self._answering:
            self._answering[key] = True
        try:
            kept = await self.journal.hint(event, open=open)
        except OSError as error:
            raise Unavailable(f"{event.account}: {error}") from None
        if key in self._answering:
            self._answering[key] = kept
        return kept

    async def end_hint(self, event: Event, *, done: bool) -> None:
        """End an open message.

        If that cannot be stored, it is processed again, which is harmless.
        """
        if self._answering.pop(msgspec.json.encode(event), False) and self.journal is not None:
            try:
                async with asyncio.timeout(PATIENCE):
                    await self.journal.end_hint(event, done=done)
            except OSError as error:
                log.warning("%s: the end of a message was not kept: %s", event.account, error)

    async def claim_hints(self, count: int) -> list[Event]:
        """Claim up to `count` open messages that no live worker is processing."""
        if self.journal is None:
            return []
        try:
            found = await self.journal.claim_hints(count)
        except OSError as error:
            raise Unavailable(str(error)) from None
        self._answering.update((msgspec.json.encode(event), True) for event in found)
        return found

    async def known(self, event: Event) -> Payment | None:
        """Return the payment that a message claims to be about; its secret path counts first."""
        if self.journal is None:
            return None
        account, kind, claims = event.account, event.kind, event.claims
        found = (
            await self._find(account, kind, reference=event.attempt)
            or await self._find(account, kind, provider_reference=claims.provider_reference)
            # the provider must confirm it
            or await self._find(account, kind, reference=claims.reference)
        )
        if found is None and claims.reference is claims.provider_reference is event.attempt is None:
            found = await self._meant(event)
        return None if found is None else found.payment

    async def _meant(self, event: Event) -> Row | None:
        """Return the open payment that a message names only by another id of the provider."""
        try:
            return await self.journal.meant(event) if self.journal and event.claims.ids else None
        except OSError as error:
            raise Unavailable(f"{event.account}: {error}") from None

    async def row(self, payment: Payment) -> Row | None:
        """Return the journal's row of an order."""
        account, kind, reference = named(payment)
        return await self._find(account, kind, reference=reference)

    async def hints(self, payment: Payment) -> tuple[Event, ...]:
        """Return the webhook messages about a payment."""
        try:
            return await self.book().hints(payment)
        except OSError as error:
            raise Unavailable(f"{payment.account}: {error}") from None

    async def resolve(self, word: Word) -> None:
        """End a row by a person's decision; Unavailable: it was not stored."""
        try:
            await self.book().resolve(word)
        except OSError as error:
            raise Unavailable(f"{word.payment.account}: {error}") from None
        if self.heard is not None:
            self.heard(word.payment, "person", None)

    async def owner(self, account: str, kind: Kind, provider_reference: str | None) -> Owner | None:
        """Return the order that has a provider's id; of several kinds, this kind first."""
        owner = self.memory.owner(account, kind, provider_reference)
        if owner is None:
            found = await self._find(account, kind, provider_reference=provider_reference)
            return None if found is None else named(found.payment)[1:]
        return owner

    async def lost(self, payment: Payment, claimed: str | None) -> bool:
        """Return whether we sent this order and its answer was lost, or it has the claimed id."""
        account, kind, reference = named(payment)
        if self.memory.lost(payment) or self.memory.owner(account, kind, claimed) == (kind, reference):
            return True
        found = await self._find(account, kind, reference=payment.reference)
        if found is None:
            return False
        open_ = found.state in (State.SENDING, State.UNKNOWN)
        return open_ or (claimed is not None and found.payment.provider_reference == claimed)

    async def _find(
        self, account: str, kind: Kind, *, reference: str | None = None, provider_reference: str | None = None
    ) -> Row | None:
        if self.journal is None or reference is provider_reference is None:
            return None
        by = {"reference": reference, "provider_reference": provider_reference}
        try:
            return await self.journal.find(account, kind, **by)
        except OSError as error:
            raise Unavailable(f"{account}: {error}") from None
