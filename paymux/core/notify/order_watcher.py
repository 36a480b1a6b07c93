"""Watching the open orders of the journal that no other notifier watches."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from ...drivers.base import Driver
from ...errors import AuthenticationFailed, Mismatch, PaymuxError, RateLimited, Rejected
from ...journal import OrderKey, Outbox, State, order_key
from ...models import Payment, log, merge
from ...primitives.redaction import mask
from ...watch import (
    MIN_REPEAT_SECONDS,
    NEVER,
    PollQueue,
    PollState,
    lookup_key,
    registry_keys,
    reuse_equal_values,
)
from ..engine import Engine
from ..repeating import repeating
from .order_lookup import is_answer, look_up
from .order_times import OrderTimes
from .pauses import AccountPauses
from .to_person import leave_to_person
from .watched_order import WatchedOrder, retry_gap

DAY_SECONDS = 86_400.0
ORDERS_PER_CLAIM = 500  # orders claimed in one transaction
MAX_FAILED_LOOKUPS = 10  # failed look-ups after which an order past its days is left to a person


class OrderWatcher:
    """The open orders that one notifier watches."""

    def __init__(
        self,
        engine: Engine,
        outbox: Outbox,
        days: float,
        fresh: Callable[[], bool],
        wake: Callable[[], None],
    ) -> None:
        self._engine = engine
        self._outbox = outbox
        self._longest = days * DAY_SECONDS
        self._fresh = fresh  # whether this notifier still owns its claims
        self._wake = wake
        self._watches = engine.watch_registry
        self._times = OrderTimes(engine, self._longest)
        self._accounts: defaultdict[str, dict[OrderKey, WatchedOrder]] = defaultdict(dict)
        self._pauses = AccountPauses(self._try)
        self._sent: list[Payment] = []  # sent by this process, and not claimed yet
        self._tasks: set[asyncio.Task[None]] = set()

    def on_fact(self, payment: Payment, source: str, state: State | None) -> None:
        """Take a fact that this process has just recorded."""
        order = self._accounts.get(payment.account, {}).get(order_key(payment))
        if order is not None:
            self.found(order, payment)
        elif (
            source == "answer"
            and state in (State.ACCEPTED, State.UNKNOWN)
            and not payment.status.terminal
        ):
            self._sent.append(payment)
            self._wake()

    async def take(self) -> None:
        """Claim the orders that this process has just sent."""
        sent, self._sent = self._sent, []
        if sent:
            for payment in await self._outbox.claim_sent(sent):
                self._begin(WatchedOrder(self, payment))

    async def claim(self) -> None:
        """Claim the open orders that no notifier watches."""
        found = None
        while found is None or len(found) == ORDERS_PER_CLAIM:
            found = await self._outbox.claim_open_orders(
                list(self._engine.drivers), ORDERS_PER_CLAIM
            )
            for row, left in found:
                self._begin(WatchedOrder(self, row.payment, row.events, left_to_person=left))

    async def give_up(self, *, too_many: int, late: bool) -> None:
        """Drop orders that others have, or that exceed the share."""
        if late:
            kept = await self._outbox.owned(list(self._accounts))
            for order in self._orders():
                if order.key not in kept:
                    self._drop(order)
        orders = self._orders()
        beyond = orders[len(orders) - too_many :] if too_many else []
        for order in beyond:
            self._drop(order)
        if beyond:
            await self._outbox.let_go([order.payment for order in beyond])

    async def aclose(self) -> None:
        """Stop watching."""
        self._pauses.close()
        for order in self._orders():
            self._drop(order)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def renew(self, account: str) -> None:
        """Go on with an account's new driver: its credentials are tried at once."""
        for order in self._orders(account):
            if order.due == NEVER and self._can_be_asked(order):
                self._join(order, self._times.soon(order))
        self._try(account)

    # Called by an order.

    def found(self, order: WatchedOrder, payment: Payment) -> None:
        """Apply a payment that any look-up or message found for an order."""
        known = order.payment
        try:
            order.payment = merge(known, payment)
        except Mismatch:
            return  # the caller that asked gets the error
        if order.payment.status.terminal:
            self._drop(order, known)
            return
        order.payment = reuse_equal_values(order.payment, known)
        if registry_keys(known) != registry_keys(order.payment):
            self._watches.update_keys(order, known)
            if order.due == NEVER and self._can_be_asked(order):
                self._join(order, self._times.soon(order))

    def waits_for_message(self, order: WatchedOrder) -> bool:
        """Return whether the answer about an order comes later, as a message."""
        return self._times.pace(order).by_callback

    def move(self, order: WatchedOrder, due: float) -> None:
        """Change the time of an order's next look-up."""
        if order.due < NEVER:
            order.due = due
            if order.ticket is not None:
                self._queue(order).reschedule(order.ticket, due, self._times.gap(order))

    def next(self, order: WatchedOrder) -> float:
        """Return the time of an order's next look-up, after one just now."""
        return self._times.next(order)

    # Its ticket in the poll queue.

    def _begin(self, order: WatchedOrder) -> None:
        held = self._accounts[order.payment.account]
        if order.key in held or self._watches.closed:
            return
        held[order.key] = order
        self._watches.add(order, current=True)
        self._watches.listen(order, self._driver(order))
        self._join(order, self._times.first(order))

    def _join(self, order: WatchedOrder, due: float, *, trial: bool = False) -> None:
        """Join the poll queue; while an account's credentials are refused, only the trial joins."""
        self._leave(order)
        order.due = due if order.events or self._can_be_asked(order) else NEVER
        if self._pauses.on(order.payment.account) and not trial:
            return
        queue = self._queue(order)
        if order.due < NEVER:
            key = lookup_key(order.payment, self._driver(order))
            ticket = queue.join(
                key, due=due, gap=self._times.gap(order), last=NEVER, rank=order.rank
            )
        else:  # only a message can report its end
            last = max(order.born + self._longest, asyncio.get_running_loop().time())
            ticket = queue.join("", due=NEVER, gap=NEVER, last=last, rank=NEVER)
        order.ticket = ticket
        ticket.add_done_callback(partial(self._go_on_with, order))

    def _go_on_with(self, order: WatchedOrder, ticket: "asyncio.Future[bool | None]") -> None:
        """Continue with an order. True: look up; None: its time is up."""
        if order.ticket is ticket and not ticket.cancelled():
            self._start(self._look(order) if ticket.result() else self._leave_to_person(order))

    def _leave(self, order: WatchedOrder) -> None:
        if order.ticket is not None:
            ticket, order.ticket = order.ticket, None
            self._queue(order).leave(ticket)

    def _drop(self, order: WatchedOrder, known: Payment | None = None) -> None:
        """Stop watching an order."""
        if self._accounts[order.payment.account].pop(order_key(order.payment), None) is order:
            self._leave(order)
            self._watches.remove(order, known or order.payment)
            self._watches.stop_listening(order, self._driver(order))

    # Look-ups.

    async def _look(self, order: WatchedOrder) -> None:
        """Look an order up once, for every watch of it."""
        now, ticket = asyncio.get_running_loop().time(), order.ticket
        if ticket is None:
            return
        if not self._fresh():  # the loop was blocked: another notifier may have it by now
            self._join(order, now + MIN_REPEAT_SECONDS)
            return
        key, account, driver = ticket.key, order.payment.account, self._driver(order)
        order.asked, order.rank = now, ticket.rank
        try:
            found = await look_up(self._engine, order)
        finally:
            if order.ticket is ticket:
                self._leave(order)
        order.looked += not isinstance(found.failed, RateLimited)
        if driver is self._driver(order):  # else it says nothing of the present credentials
            self._credentials(account, found.failed)
        due = self.next(order)
        poll_state = PollState(order.asked, order.looked, due, now, order.rank)
        await self._watches.share_result(order, key, found.failed or found.payment, poll_state)
        if found.payment.status.terminal:
            self.found(order, found.payment)
        elif self._accounts[account].get(order.key) is order:
            if found.failed is None:
                self.found(order, found.payment)
            await self._go_on(order, found.failed, due)

    async def _go_on(self, order: WatchedOrder, failed: PaymuxError | None, due: float) -> None:
        """Schedule the next look-up of an order that is still open, or leave it to a person."""
        now, answered = asyncio.get_running_loop().time(), is_answer(failed)
        refused = isinstance(failed, Rejected) and not self._engine.lookup_verb(order.payment)
        if refused or isinstance(failed, Mismatch):
            await self._leave_to_person(order, mask(str(failed)))
            return
        if isinstance(failed, RateLimited):
            due = now + max(failed.retry_after or 0.0, MIN_REPEAT_SECONDS)
        elif not answered:
            log.info("%s: a look-up failed: %s", order.payment.account, failed)
            due = (
                min(due, now + retry_gap(order.looked))
                if now - order.born >= self._longest
                else due
            )
        over = order.left_to_person or now - order.born >= self._longest
        if over and (answered or order.looked >= MAX_FAILED_LOOKUPS):
            await self._leave_to_person(order)
        else:
            self._join(order, due)

    async def _leave_to_person(self, order: WatchedOrder, why: str = "") -> None:
        """Stop watching an order; logged once, not again at each restart."""
        self._drop(order)
        why = why or f"it has had no end for {self._longest / DAY_SECONDS:g} days"
        await leave_to_person(self._outbox, order.payment, why)

    def _credentials(self, account: str, failed: PaymuxError | None) -> None:
        """Pause an account's look-ups while its credentials are refused."""
        if is_answer(failed) and self._pauses.end(account):
            log.info("%s: the credentials are accepted again", account)
            now = asyncio.get_running_loop().time()
            for order in self._orders(account):
                self._join(order, max(order.due, now) if self._times.fixed(order) else now)
        # Not for CredentialRefused: the account's other look-ups do not need that credential.
        if type(failed) is AuthenticationFailed and self._pauses.begin(account):
            orders = self._orders(account)
            log.error(
                "%s: the credentials are refused; its %d open orders are not looked up until "
                "they are accepted",
                *(account, len(orders)),
            )
            for order in orders:
                self._leave(order)

    def _try(self, account: str) -> bool:
        """Look up one order of a paused account; False: it has none."""
        order = next((one for one in self._orders(account) if one.due < NEVER), None)
        if order is not None:
            self._join(order, asyncio.get_running_loop().time(), trial=True)
        return order is not None

    # Facts about an order.

    def _orders(self, account: str | None = None) -> list[WatchedOrder]:
        held = self._accounts.values() if account is None else [self._accounts[account]]
        return [order for orders in held for order in orders.values()]

    def _driver(self, order: WatchedOrder) -> Driver:
        return self._engine.drivers[order.payment.account]

    def _queue(self, order: WatchedOrder) -> PollQueue:
        return self._watches.queue(self._driver(order))

    def _can_be_asked(self, order: WatchedOrder) -> bool:
        asks = self._engine.lookup_verb(order.payment) is not None
        return asks or repeating(self._driver(order), order.payment) is not None

    def _start(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
