"""What a pool keeps of its payments: in a journal where it has one, else until the process ends."""

import asyncio
from os import PathLike

from .errors import NotSent, OutcomeUnknown, ProviderError, Unavailable, UsageError
from .journal import Journal, Memory, State, digest
from .models import Event, Order, Payment, log


class Records:
    """The record that verbs read and write; without a journal it is short, but never wrong."""

    def __init__(self, journal: Journal | str | PathLike[str] | None) -> None:
        if isinstance(journal, str | PathLike):
            from .sqlite import SqliteJournal  # noqa: PLC0415 - SQLite is loaded by whoever keeps a journal

            journal = SqliteJournal(journal)
        self.journal = journal
        self.memory = Memory()

    def book(self) -> Journal:
        """Give the journal; without one it is UsageError."""
        if self.journal is None:
            raise UsageError("journal: missing; this pool keeps none")
        return self.journal

    async def begin(self, pending: Payment, order: Order) -> Payment | None:
        """Note an order before anything is sent; give the payment that its reference has already."""
        if self.journal is None:
            return None
        try:
            row = await self.journal.intend(pending, digest(order))
        except OSError as error:
            raise NotSent(f"{pending.account}: {error}; nothing was sent") from None
        return None if row is None else row.payment

    async def sending(self, pending: Payment) -> None:
        """Make durable that a money request is about to leave, or raise NotSent."""
        if self.journal is None:
            return
        try:
            await self.journal.sending(pending)
        except OSError as error:
            raise NotSent(f"{pending.account}: {error}; nothing was sent") from None

    async def ended(self, pending: Payment, outcome: Payment | BaseException, *, in_doubt: bool) -> None:
        """Keep how a money request ended."""
        if isinstance(outcome, Payment):
            await self._keep(outcome, "answer", State.ACCEPTED)
        elif isinstance(outcome, OutcomeUnknown) or in_doubt:
            self.memory.lose(pending)
            await self._keep(pending, "answer", State.UNKNOWN)
        else:
            refused = isinstance(outcome, ProviderError)
            await self._keep(pending, "answer", State.REFUSED if refused else State.NOT_SENT)

    async def learned(self, payment: Payment, source: str) -> None:
        """Keep what a look-up or a confirmed message told."""
        await self._keep(payment, source, None)

    async def hint(self, event: Event) -> None:
        """Keep a message before anybody acknowledges it; Unavailable: let the provider send it again."""
        if self.journal is not None:
            try:
                await self.journal.hint(event)
            except OSError as error:
                raise Unavailable(f"{event.account}: {error}") from None

    async def known(self, event: Event) -> Payment | None:
        """Give the payment that a message claims to be about; what its secret path proves comes first."""
        if self.journal is None:
            return None
        found = await self.journal.find(event.account, reference=event.attempt) if event.attempt else None
        claimed = event.claims.provider_reference
        if found is None and claimed is not None:
            found = await self.journal.find(event.account, provider_reference=claimed)
        return found

    async def owner(self, account: str, provider_reference: str | None) -> str | None:
        """Tell which reference of ours a provider's id belongs to."""
        owner = self.memory.owner(account, provider_reference)
        if owner is None and self.journal is not None and provider_reference is not None:
            found = await self.journal.find(account, provider_reference=provider_reference)
            return None if found is None else found.reference
        return owner

    async def lost(self, payment: Payment) -> bool:
        """Tell whether we sent this order and its answer was lost."""
        if self.memory.lost(payment):
            return True
        if self.journal is None or payment.reference is None:
            return False
        return await self.journal.find(payment.account, reference=payment.reference) is not None

    async def _keep(self, payment: Payment, source: str, state: State | None) -> None:
        self.memory.remember(payment)
        if self.journal is None:
            return
        try:
            await self.journal.record(payment, source, state)
        except asyncio.CancelledError:
            # It is queued already and will be durable; only the wait for it is cut short.
            raise
        except OSError as error:
            # The row says SENDING, which recover() resolves: nothing is lost, and nothing is sent again.
            log.error("%s: %s could not be recorded: %s", payment.account, payment.reference, error)
