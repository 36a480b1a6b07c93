"""The journal in one SQLite file, shared by any number of processes of one machine, readable with plain SQL."""

import sqlite3
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any

from ..checks import checked_path, checked_seconds
from ..forks import Forking, watch
from ..models import Event, Kind, Payment, Status, log
from .base import Row, State, Word
from .base import named as _key
from .hand import Fact, Hand
from .inbox import Inbox, Turns
from .notifiers import Notifiers
from .opening import opened
from .place import Place
from .schema import iso
from .sqlite_outbox import SqliteOutbox
from .sqlite_unconfirmed import SqliteUnconfirmed
from .table import Rows
from .untold import Untold
from .watchers import Watchers
from .workers import Worker
from .writer import Writer


class SqliteJournal(Forking):
    """A journal in a file. `keep_days` forgets payments that ended so many days ago; None keeps them for ever.

    A reference is never forgotten: the same order gives how it ended, and another one is DuplicateReference.

    Writes of one moment share one commit (WAL, `synchronous=FULL`), made by a thread of its own. A worker is known
    to live by a lock that it holds on the journal itself, which the system lets go of when it dies. What is known
    and cannot be written, because another program has the file locked or the disk is full, is held and written as
    soon as it can be. Where the file is moved, deleted or replaced while it is in use, no order is begun until the
    same file lies there again, or the process is restarted: another file would not know what was sent already.
    """

    def __init__(self, path: str | PathLike[str], *, keep_days: float | None = None) -> None:
        given = checked_path("journal", path, unread=True)
        days = None if keep_days is None else min(checked_seconds("keep_days", keep_days, "days"), 36_500.0)
        # A process may change its folder later; what is no path at all is refused when it is opened.
        self._path = str(Path.cwd() / given) if given.strip() not in ("", ":memory:") else given
        self._keep = None if days is None else timedelta(days=days)
        self._worker = Worker(Path(self._path))
        self._place = Place(Path(self._path))
        self._inbox = Inbox(self._worker)
        self._turns = Turns(self._worker)
        self._writer = Writer(self._open, self._end, self._place)
        self._hand = Hand()
        notifiers = Notifiers(self._worker)
        self._rows = Rows(self._worker, self._inbox, self._hand, self._applied)
        watchers = Watchers(self._worker, notifiers, self._inbox, self._rows.lives, self._rows.apply)
        untold = Untold(self._worker, notifiers)
        self.outbox = SqliteOutbox(lambda: self._writer, notifiers, untold, watchers)
        watch(self)

    @property
    def unconfirmed(self) -> SqliteUnconfirmed:
        """Give the messages that no look-up confirms."""
        return SqliteUnconfirmed(self._writer.do, self._worker)

    def begin_anew(self) -> None:
        """Be another worker in a forked child, with nothing of what its parent is about."""
        self._worker.forget()
        self._place.forget()
        self._hand.forget()
        self._rows.busy.clear()

    async def open(self) -> None:
        """Open the file now: UsageError where it can be no journal."""
        await self._writer.read(lambda _: None)

    async def intend(self, pending: Payment, digest: str) -> Row | None:
        """Note an order, or give the row that its reference has already."""
        noted: list[Row] = []
        try:
            glance = partial(self._rows.known, pending, digest)
            return await self._writer.do(partial(self._rows.intend, pending, digest, noted), glance)
        except Exception:
            self._rows.abandon(noted)
            raise
        except BaseException:
            # Cancelled; whoever is told nothing sends nothing: what was noted, or still will be, is withdrawn.
            self._writer.later(lambda db: self._rows.withdraw(db, noted))
            raise

    async def sending(self, pending: Payment) -> None:
        """Make durable that the request is about to leave."""
        await self._writer.do(partial(self._rows.sending, pending))

    async def record(self, payment: Payment, source: str, state: State | None = None) -> None:
        """Append a fact, and apply it where it does not turn the row back; an answer or an end is never lost."""
        if payment.reference is None:
            return  # not one of ours: there is nothing to keep it under
        try:
            if source != "answer" and not payment.status.terminal:
                await self._writer.do(lambda db: self._rows.apply(db, payment, source, state))
            else:
                fact = Fact(payment, source, state)
                self._hand.take(fact)
                await self._writer.keep(partial(self._rows.write, fact), lambda: self._hand.drop(fact))
        finally:
            if source == "answer":
                # This worker does no more about it than to write what is in hand.
                self._rows.busy.discard(_key(payment))

    async def find(
        self, account: str, kind: Kind, *, reference: str | None = None, provider_reference: str | None = None
    ) -> Row | None:
        """Give the row of this kind with our reference, or that with the provider's, of this kind first."""
        if reference is not None:
            return await self._writer.read(partial(self._rows.named, (account, kind, reference)))
        return await self._writer.read(partial(self._rows.theirs, account, kind, provider_reference or ""))

    async def hints(self, payment: Payment) -> tuple[Event, ...]:
        """Give the messages about a payment that have arrived."""
        return await self._writer.read(partial(self._inbox.of, payment))

    async def resolve(self, word: Word) -> None:
        """End a row by a person's word."""
        await self._writer.do(partial(self._rows.resolve, word))

    async def meant(self, event: Event) -> Row | None:
        """Give the open payment of the last day that has one of the ids that a message names."""
        return await self._writer.read(partial(self._rows.meant, event))

    async def hint(self, event: Event, *, open: bool = False) -> bool:
        """Keep a message before it is acknowledged, once; False: about its order, no more are kept."""
        return await self._writer.do(partial(self._inbox.keep, event, open=open))

    async def end_hint(self, event: Event, *, done: bool) -> None:
        """End an open message: done with, or left for whoever claims it."""
        await self._writer.keep(partial(self._inbox.end, event, done=done))

    async def claim_hints(self, count: int) -> list[Event]:
        """Take so many open messages that no living worker answers for."""
        return await self._writer.do(partial(self._inbox.claim, count))

    async def payments(
        self, *, account: str | None = None, status: Status | None = None, since: datetime | None = None
    ) -> AsyncIterator[Payment]:
        """List payments, oldest first, in pages, so that a long record does not fill the memory."""
        after: tuple[Any, ...] = ("", "", "", "")
        start = "" if since is None else iso(since)
        while True:
            page = await self._writer.read(partial(self._rows.page, (*after, start, account, account), status))
            for payment in page.payments:
                yield payment
            if page.last is None:
                return
            after = page.last

    async def claim(self, after: Row | None) -> Row | None:
        """Take the next row that needs looking after and that no living worker answers for."""
        claimed: list[Row] = []
        try:
            return await self._writer.do(partial(self._rows.claim, after, claimed))
        except Exception:
            self._rows.abandon(claimed)
            raise
        except BaseException:
            self._writer.later(lambda db: self._rows.release(db, *claimed))
            raise

    async def release(self, row: Row) -> None:
        """Give a claimed row back; a row that somebody else has taken since is left alone."""
        await self._writer.keep(lambda db: self._rows.release(db, row))

    async def take_turn(self, payment: Payment, name: str, caller: str) -> bool:
        """Tell one caller of all that the turn is his."""
        return await self._writer.do(partial(self._turns.take, _key(payment), name, caller))

    async def turn_done(self, payment: Payment, name: str) -> bool:
        """Tell whether a turn is done for ever."""
        return await self._writer.read(partial(self._turns.done, _key(payment), name))

    async def end_turn(self, payment: Payment, name: str, caller: str, *, done: bool) -> None:
        """End a turn: done for ever, or given back."""
        await self._writer.keep(partial(self._turns.end, _key(payment), name, caller, done=done))

    async def aclose(self) -> None:
        """Finish what is queued, end the thread, and let go of the lock that says that this worker lives."""
        await self._writer.aclose()

    # What runs in the thread.

    def _applied(self, db: sqlite3.Connection) -> None:
        self.outbox.reminders.look(db)

    def _open(self) -> sqlite3.Connection:
        return opened(self._path, self._worker, self._place, self._keep)

    def _end(self) -> None:
        """Let go of the lock, and say what could not be kept."""
        self._place.forget()
        self._worker.end()
        for fact in self._hand.facts():
            one = fact.payment
            outcome = one.status if fact.state in (None, State.ACCEPTED) else fact.state
            said = (one.account, one.kind or "collect", one.reference, outcome, one.provider_reference)
            log.error("%s: the journal could not keep that %s %r is %s (provider's reference: %s)", *said)
        self._hand.forget()
