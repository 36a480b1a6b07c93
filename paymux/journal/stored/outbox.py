"""The outbox of a stored journal: each call is one operation of the journal's thread."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from ...models import Event, Kind, Payment, Status
from ..base import OrderKey, order_key
from ..database import Database
from ..outbox import Heartbeat, NotifiedStatus, NotifierInfo, OpenOrder
from ..tables.inbox import Inbox
from ..tables.notifiers import Notifiers
from ..tables.unnotified import Unnotified
from ..tables.watch_claims import WatchClaims
from .reminders import Reminders
from .verbs import Bulk
from .writer import Writer


class _Delivery(NamedTuple):
    """A delivery that ended, and the messages that end with it."""

    key: OrderKey
    told: Status | None  # None: it failed
    messages: Sequence[Event]


class StoredOutbox:
    """The outbox of one worker: payments to deliver and orders to watch."""

    def __init__(
        self,
        writer: Writer[Any],
        notifiers: Notifiers,
        untold: Unnotified,
        watchers: WatchClaims,
        inbox: Inbox,
        reminders: Reminders,
    ) -> None:
        self._writer = writer
        self._notifiers = notifiers
        self._unnotified = untold
        self._watch_claims = watchers
        self._inbox = inbox
        self._reminders = reminders
        self._now = 0.0  # time of the last heartbeat, with which claims are made
        self.session: object = None  # of the entered notifier: see Unnotified

    async def enter(self, member: NotifierInfo, now: float) -> Heartbeat:
        """Start: this notifier owns what it claims from here on."""
        loop = asyncio.get_running_loop()
        self.session = session = object()

        def enter(db: Database) -> Heartbeat:
            self._unnotified.enter(member.kinds, db)
            self._unnotified.session = session
            self._watch_claims.enter(member.accounts, db)
            return self._heartbeat(member, now, db)

        beat = await self._writer.do(enter)
        # A loop that has ended delivers nothing more; a slow one will go on.
        self._writer.runner.pulse = lambda: (
            None if loop.is_running() else partial(self._notifiers.leave, now)
        )
        return beat

    async def heartbeat(self, member: NotifierInfo, now: float) -> Heartbeat:
        """Heartbeat."""
        return await self._writer.do(partial(self._heartbeat, member, now))

    async def leave(self, now: float) -> None:
        """Stop, and release all claims."""
        self._writer.runner.pulse = None

        def leave(db: Database) -> None:
            self._unnotified.session = None
            self._unnotified.leave(db)
            self._notifiers.leave(now, db)  # its orders may then be claimed by others

        await self._writer.do(leave)

    async def claim_unnotified(
        self, kinds: tuple[Kind, ...], count: int, resting: Mapping[OrderKey, Status]
    ) -> list[Payment]:
        """Claim up to `count` payments to deliver."""
        return await self._writer.do(
            partial(self._unnotified.claim_some, kinds, count, resting),
            undo=lambda found: partial(self._give_back, found),
        )

    async def claim(self, payment: Payment) -> Payment | None:
        """Claim one payment to deliver, for a worker without a notifier."""
        return await self._writer.do(
            partial(self._unnotified.claim, order_key(payment)),
            undo=lambda found: partial(self._give_back, [] if found is None else [found]),
        )

    async def mark_notified(self, payment: Payment, messages: Sequence[Event] = ()) -> None:
        """Record that this status of a claimed payment was delivered; its messages end."""
        await self._end(_Delivery(order_key(payment), payment.status, messages))

    async def release(self, payment: Payment, messages: Sequence[Event] = ()) -> None:
        """Release a claimed payment that could not be delivered; its messages end all the same."""
        await self._end(_Delivery(order_key(payment), None, messages))

    async def _end(self, delivery: _Delivery) -> None:
        await self._writer.keep(Bulk(self._end_all, delivery, delivery.key))

    def _end_all(self, deliveries: "Sequence[_Delivery]", db: Database) -> list[None]:
        for one in deliveries:
            self._unnotified.end(one.key, one.told, db)
            for event in one.messages:
                self._inbox.end(event, db, done=True)
        return [None] * len(deliveries)

    def _give_back(self, payments: list[Payment], db: Database) -> None:
        for payment in payments:
            self._unnotified.end(order_key(payment), None, db)

    async def notified_status(self, payment: Payment) -> NotifiedStatus | None:
        """Return a payment's status, and the status that was delivered last."""
        return await self._writer.do(partial(self._unnotified.notified_status, order_key(payment)))

    async def claim_open_orders(self, accounts: Collection[str], count: int) -> list[OpenOrder]:
        """Claim up to `count` open orders that no live notifier watches."""
        return await self._writer.do(
            partial(self._watch_claims.claim, accounts, count, self._now),
            undo=lambda found: partial(
                self._watch_claims.let_go, [one.row.payment for one in found]
            ),
        )

    async def claim_sent(self, payments: list[Payment]) -> list[Payment]:
        """Claim orders that this process has just sent."""
        return await self._writer.do(
            partial(self._watch_claims.take, payments),
            undo=lambda found: partial(self._watch_claims.let_go, found),
        )

    async def owned(self, accounts: Collection[str]) -> set[OrderKey]:
        """Return the orders that this notifier still watches."""
        return await self._writer.do(partial(self._watch_claims.mine, accounts))

    async def let_go(self, payments: list[Payment]) -> None:
        """Release orders, so that other notifiers may claim them."""
        await self._writer.keep(partial(self._watch_claims.let_go, payments))

    async def leave_to_person(self, payment: Payment) -> bool:
        """Record that an order is left to a person, once."""
        return await self._writer.do(partial(self._watch_claims.leave_to_person, payment))

    def _heartbeat(self, member: NotifierInfo, now: float, db: Database) -> Heartbeat:
        late = self._notifiers.heartbeat(member, now, db)
        self._now = now
        self._reminders.look(db)
        return Heartbeat(late, self._watch_claims.too_many(member.accounts, now, db))
