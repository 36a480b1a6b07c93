"""The verbs of a journal that lies in a database, whichever engine it is."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from ...models import Event, Kind, Payment, Status
from ...primitives.forks import ForkAware, register
from ..base import Arrival, Check, FollowUp, Resolution, Row, State
from ..base import order_key as _key
from ..database import Worker
from ..ids import new_id
from ..pending_facts import Fact, PendingFacts
from ..suspension import Suspension
from ..tables.beats import Beats, MachineBeats
from ..tables.columns import iso
from ..tables.end_claims import EndClaims
from ..tables.fact_writer import FactItem, FactWriter
from ..tables.inbox import Inbox, Received
from ..tables.message_rows import MessageRows
from ..tables.notifiers import Notifiers
from ..tables.payment_finder import Arriving, PaymentFinder
from ..tables.payment_rows import PaymentRows
from ..tables.payment_table import Intent, PaymentTable
from ..tables.row_claims import RowClaims
from ..tables.turns import TurnTable
from ..tables.unnotified import Unnotified
from ..tables.watch_claims import WatchClaims
from ..wakeups import Subject
from .operations import StoredOperations
from .outbox import StoredOutbox
from .parts import StoredParts
from .reminders import Reminders
from .retention import Retention
from .verbs import Bulk
from .writer import Writer


class StoredJournal(StoredParts, StoredOperations, ForkAware):
    """A journal whose operations a writer runs on a database, each whole or not at all.

    Facts that cannot be written, because the database is locked, full or away, are held in memory
    and written as soon as possible.
    """

    def __init__(
        self,
        writer: Writer[Any],
        worker: Worker,
        keep: timedelta | None,
        rows: PaymentRows,
        messages: MessageRows,
        ends: EndClaims | None = None,
    ) -> None:
        self._keep = keep  # how long after its end a payment is kept; None: for ever
        self._writer = writer
        self._retention = Retention(keep, writer.queued)
        writer.daily = self._retention.look
        self._worker = worker
        self._inbox = Inbox(worker, messages)
        self._turn_table = TurnTable(worker)
        self._pending_facts = PendingFacts()
        self._finder = PaymentFinder(self._inbox, self._pending_facts)
        self._notifiers = notifiers = Notifiers(worker, self._beats())
        reminders = Reminders(notifiers)
        self._payments = PaymentTable(worker, rows, self._pending_facts, reminders.look)
        self._claims = RowClaims(worker, self._payments, self._inbox)
        watchers = WatchClaims(
            worker, notifiers, self._inbox, self._payments.lives, self._payments.apply
        )
        untold = Unnotified(worker, notifiers, ends)
        self._facts = FactWriter(self._payments, self._pending_facts, untold, self._inbox)
        self.outbox = StoredOutbox(writer, notifiers, untold, watchers, self._inbox, reminders)
        register(self)

    @property
    def suspension(self) -> Suspension | None:
        """Return what suspends the turns of this worker; None: it may act while it runs."""
        return None

    async def open(self) -> None:
        """Open it now, also after `aclose`; UsageError: it can never be a journal."""
        await self._writer.reopen()
        await self._writer.read(lambda _: None)

    async def intend(self, pending: Payment, digest: str) -> Row | None:
        """Record an order, or return the row that its reference already has."""
        noted: list[Row] = []
        try:
            peek = partial(self._payments.known, pending, digest)
            order = Intent(pending, digest, noted, new_id())
            begun = [Row(state=State.INTENT, payment=pending)]
            return await self._writer.do(
                Bulk(self._payments.intend, order, _key(pending), single=True),
                peek,
                undo=lambda _: lambda db: self._payments.withdraw(db, begun),
            )
        except Exception:
            self._payments.abandon(noted)
            raise
        except BaseException:
            # Cancelled: a caller without an answer sends nothing, so the row that was recorded, or
            # still will be, is withdrawn.
            self._writer.later(lambda db: self._payments.withdraw(db, noted))
            raise

    async def mark_sending(self, pending: Payment) -> None:
        """Make durable that the request is about to be sent."""
        fact = Fact(pending, "sending", State.SENDING)
        await self._writer.do(Bulk(self._payments.mark_sending, fact, _key(pending), single=True))

    async def record(
        self,
        payment: Payment,
        source: str,
        state: State | None = None,
        follow: FollowUp | None = None,
    ) -> None:
        """Append a fact, and apply it unless it would turn the row back.

        An answer and a terminal status are never lost.
        """
        fact, then = Fact(payment, source, state), None if follow is None else follow.then
        if payment.reference is None:
            if then is not None:
                then(None)
            return  # not an order of ours: there is no key to store it under
        try:
            if source != "answer" and not payment.status.terminal:
                item = FactItem(fact, held=False)
                note = Bulk(self._facts.write, item, _key(payment), single=True)
                await self._writer.do(note, after=then)
            else:
                self._pending_facts.add(fact)
                session = self.outbox.session if follow is not None and follow.claim else None
                item = FactItem(fact, True, follow and follow.message, session)
                write = Bulk(self._facts.write, item, _key(payment), single=True)
                await self._writer.keep(write, partial(self._pending_facts.drop, fact), then)
        finally:
            if source == "answer":
                # This worker only writes its remaining facts; it does nothing more about the order.
                self._payments.busy.discard(_key(payment))

    async def find(
        self,
        account: str,
        kind: Kind,
        *,
        reference: str | None = None,
        provider_reference: str | None = None,
    ) -> Row | None:
        """Return the row with our reference, or with the provider's, whichever is given."""
        if reference is not None:
            by_ours = partial(self._finder.by_reference, (account, kind, reference))
            return await self._writer.read(by_ours, alone=True)
        theirs = provider_reference or ""
        by_theirs = partial(self._finder.by_provider_reference, account, kind, theirs)
        return await self._writer.read(by_theirs, alone=True)

    async def named(self, reference: str, account: str | None = None) -> list[Payment]:
        """Return the payments with this reference of ours, of one account or of all."""
        read = partial(self._finder.named, reference, account)
        return await self._writer.read(read, alone=True)

    async def payments_of(self, subjects: list[Subject]) -> list[Payment]:
        """Return the payments that these name, in one read."""
        read = partial(self._finder.payments_of, subjects)
        return await self._writer.read(read, alone=True)

    async def events_of(self, payment: Payment) -> tuple[Event, ...]:
        """Return the webhook messages about a payment."""
        return await self._writer.read(partial(self._inbox.events_of, payment), alone=True)

    async def resolve(self, word: Resolution) -> None:
        """End a row by a person's decision."""
        await self._writer.do(partial(self._claims.resolve, word))

    async def about(self, event: Event) -> Row | None:
        """Return the payment that a message claims to be about."""
        return await self._writer.read(partial(self._finder.about, event), alone=True)

    async def arrive(
        self,
        event: Event,
        about: Payment | None,
        check: Check,
        *,
        open: bool,
    ) -> Arrival:
        """Find the payment of a message, and store the message."""
        one = Arriving(Received.of(event, open=open), about, check)
        arrive = Bulk(self._finder.arrive, one, one.received.key, single=True)
        return await self._writer.do(arrive)

    async def keep_event(self, event: Event, *, open: bool = False) -> bool:
        """Store a message once, before it is acknowledged.

        False: no more about its order are stored.
        """
        one = Received.of(event, open=open)
        return await self._writer.do(Bulk(self._inbox.keep, one, one.key, single=True))

    async def end_event(self, event: Event, *, done: bool) -> None:
        """End an open message. done=True: processed; False: another worker may claim it."""
        one = Received.of(event, open=False)
        await self._writer.keep(Bulk(self._inbox.end_all, (one, done), one.key))

    async def claim_events(self, count: int) -> list[Event]:
        """Claim up to `count` open messages that no live worker is processing."""
        return await self._writer.do(
            partial(self._inbox.claim, count),
            undo=lambda events: partial(self._inbox.give_back, events),
        )

    async def payments(
        self,
        *,
        account: str | None = None,
        status: Status | None = None,
        since: datetime | None = None,
        until: datetime | None = None,
        state: State | None = None,
    ) -> AsyncIterator[Payment]:
        """List payments, oldest first, page by page, so that memory stays small."""
        after: tuple[Any, ...] = ("", "", "", "")
        start = "" if since is None else iso(since)
        end = None if until is None else iso(until)
        while True:
            given = (*after, start, account, account, end, end)
            page = await self._writer.read(partial(self._finder.page, given, status, state))
            for payment in page.payments:
                yield payment
            if page.last is None:
                return
            after = page.last

    async def claim(self, after: Row | None) -> Row | None:
        """Claim the next row that needs recovery and that no live worker is processing."""
        claimed: list[Row] = []
        try:
            return await self._writer.do(
                partial(self._claims.claim, after, claimed),
                undo=lambda _: lambda db: self._claims.release(db, *claimed),
            )
        except Exception:
            self._payments.abandon(claimed)
            raise
        except BaseException:
            self._writer.later(lambda db: self._claims.release(db, *claimed))
            raise

    async def release(self, row: Row) -> None:
        """Release a claimed row, unless another worker has claimed it since."""
        await self._writer.keep(lambda db: self._claims.release(db, row))

    async def take_turn(self, payment: Payment, name: str, caller: str) -> int:
        """Give a turn to one caller, with a fencing token above 0; 0: the turn is not to be had."""
        key = (*_key(payment), name)
        return await self._writer.do(
            partial(self._turn_table.take, key, caller),
            undo=lambda _: partial(self._turn_table.end, key, caller, done=False),
        )

    async def turn_done(self, payment: Payment, name: str) -> bool:
        """Return whether the work under a once-lock is completed."""
        done = partial(self._turn_table.done, (*_key(payment), name))
        return await self._writer.read(done, alone=True)

    async def end_turn(self, payment: Payment, name: str, caller: str, *, done: bool) -> bool:
        """Release a once-lock. done=True: completed, never granted again; False: too late."""
        return await self._writer.keep(
            partial(self._turn_table.end, (*_key(payment), name), caller, done=done)
        )

    async def aclose(self) -> None:
        """Finish queued operations, end the thread, and release the worker's lock."""
        await self._writer.aclose()

    def after_fork_in_child(self) -> None:
        """Become another worker in a forked child, without any work of the parent."""
        self._pending_facts.forget()
        self._payments.forget()

    def _in_flight(self) -> int:
        """In the thread: return how many orders this worker is processing."""
        return len(self._payments.busy)

    def _beats(self) -> Beats:
        """Return how the notifiers of this journal tell that they go on."""
        return MachineBeats()

    def _forget_lost(self) -> None:
        """In the thread, after its last operation: log what could not be stored, and forget it."""
        self._pending_facts.log_lost()
        self._pending_facts.forget()
