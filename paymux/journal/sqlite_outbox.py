"""The outbox of a journal in a file: each call is one operation of the journal's thread."""

import asyncio
import sqlite3
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import partial

from ..models import Event, Kind, Payment, Status
from .base import Key, named
from .inbox import Inbox
from .notifiers import Notifiers
from .outbox import FEW, Beat, Member, Open, Standing
from .reminders import Reminders
from .untold import Untold
from .watchers import Watchers
from .writer import Writer


class SqliteOutbox:
    """The outbox of one worker: payments to deliver and orders to watch."""

    def __init__(
        self,
        writer: Callable[[], Writer],
        notifiers: Notifiers,
        untold: Untold,
        watchers: Watchers,
        inbox: Inbox,
        reminders: Reminders,
    ) -> None:
        self._writer = writer  # the current one: a forked process gets its own
        self._notifiers = notifiers
        self._untold = untold
        self._watchers = watchers
        self._inbox = inbox
        self._reminders = reminders
        self._now = 0.0  # time of the last heartbeat, with which claims are made
        self.session: object = None  # of the entered notifier: see Untold

    async def enter(self, member: Member, now: float) -> Beat:
        """Start: this notifier owns what it claims from here on."""
        loop = asyncio.get_running_loop()
        self.session = session = object()

        def enter(db: sqlite3.Connection) -> Beat:
            self._untold.enter(member.kinds, db)
            self._untold.session = session
            self._watchers.enter(member.accounts, db)
            return self._beat(member, now, {}, dict.fromkeys(member.accounts, FEW), db)

        beat = await self._writer().do(enter)
        # A loop that has ended delivers nothing more; a slow one will go on.
        self._writer().pulse = lambda: None if loop.is_running() else partial(self._notifiers.leave, now)
        return beat

    async def beat(self, member: Member, now: float, held: Mapping[str, int], wanted: Mapping[str, int]) -> Beat:
        """Heartbeat."""
        return await self._writer().do(partial(self._beat, member, now, held, wanted))

    async def leave(self, now: float) -> None:
        """Stop, and release all claims."""
        self._writer().pulse = None

        def leave(db: sqlite3.Connection) -> None:
            self._untold.session = None
            self._untold.leave(db)
            self._notifiers.leave(now, db)  # its orders may then be claimed by others

        await self._writer().do(leave)

    async def untold(self, kinds: tuple[Kind, ...], count: int, resting: Mapping[Key, Status]) -> list[Payment]:
        """Claim up to `count` payments to deliver."""
        return await self._writer().do(partial(self._untold.claim_some, kinds, count, resting))

    async def claim(self, payment: Payment) -> Payment | None:
        """Claim one payment to deliver, for a worker without a notifier."""
        return await self._writer().do(partial(self._untold.claim, named(payment)))

    async def told(self, payment: Payment, messages: Sequence[Event] = ()) -> None:
        """Record that this status of a claimed payment was delivered; its messages end."""
        await self._writer().keep(partial(self._end, payment, payment.status, messages))

    async def untell(self, payment: Payment, messages: Sequence[Event] = ()) -> None:
        """Release a claimed payment that could not be delivered; its messages end all the same."""
        await self._writer().keep(partial(self._end, payment, None, messages))

    def _end(
        self,
        payment: Payment,
        told: Status | None,
        messages: Sequence[Event],
        db: sqlite3.Connection,
    ) -> None:
        self._untold.end(named(payment), told, db)
        for event in messages:
            self._inbox.end(event, db, done=True)

    async def standing(self, payment: Payment) -> Standing | None:
        """Return a payment's status, and the status that was delivered last."""
        return await self._writer().do(partial(self._untold.standing, named(payment)))

    async def open(self, accounts: Collection[str], count: int) -> list[Open]:
        """Claim up to `count` open orders that no live notifier watches."""
        return await self._writer().do(partial(self._watchers.claim, accounts, count, self._now))

    async def take(self, payments: list[Payment]) -> list[Payment]:
        """Claim orders that this process has just sent."""
        return await self._writer().do(partial(self._watchers.take, payments))

    async def watched(self, accounts: Collection[str]) -> set[Key]:
        """Return the orders that this notifier still watches."""
        return await self._writer().do(partial(self._watchers.mine, accounts))

    async def let_go(self, payments: list[Payment]) -> None:
        """Release orders, so that other notifiers may claim them."""
        await self._writer().keep(partial(self._watchers.let_go, payments))

    async def leave_to_person(self, payment: Payment) -> bool:
        """Record that an order is left to a person, once."""
        return await self._writer().do(partial(self._watchers.leave_to_person, payment))

    def _beat(
        self,
        member: Member,
        now: float,
        held: Mapping[str, int],
        wanted: Mapping[str, int],
        db: sqlite3.Connection,
    ) -> Beat:
        late, places = self._notifiers.beat(member, now, held, wanted, db)
        self._now = now
        self._reminders.look(db)
        return Beat(late, places, self._watchers.too_many(member.accounts, now, db))
