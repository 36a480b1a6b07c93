"""An open order that is watched; it needs no task and no timer, only a ticket in the poll queue."""

import asyncio
import time
from typing import Protocol
from weakref import ref

from ...journal import OrderKey, order_key
from ...models import Event, Payment
from ...watch import MIN_REPEAT_SECONDS, NEVER, LookupResult, PollState, Ticket, WatchRef

LONG_AGO = -NEVER
# seconds between look-ups of an order older than its provider's time-out, at most
MAX_GAP_SECONDS = 86_400.0
# seconds, shortest and longest, after failed look-ups
MIN_RETRY_SECONDS, MAX_RETRY_SECONDS = 60.0, 3600.0


class OrderKeeper(Protocol):
    """Schedules the next look-up of an order when there is news of it."""

    def found(self, order: "WatchedOrder", payment: Payment) -> None:
        """Apply a payment that was found."""

    def waits_for_message(self, order: "WatchedOrder") -> bool:
        """Return whether the answer about an order comes later, as a message."""

    def move(self, order: "WatchedOrder", due: float) -> None:
        """Change the time of its next look-up."""

    def next(self, order: "WatchedOrder") -> float:
        """Return the time of its next look-up, after one just now."""


class WatchedOrder:
    """An open order of the journal, with the interface of a watch."""

    # Ten thousand may exist at once: each slot counts.
    __slots__ = (
        "__weakref__",
        "asked",
        "born",
        "due",
        "events",
        "keeper",
        "left_to_person",
        "looked",
        "payment",
        "rank",
        "ref",
        "ticket",
    )

    def __init__(
        self,
        keeper: OrderKeeper,
        payment: Payment,
        events: tuple[Event, ...] = (),
        *,
        left_to_person: bool = False,
    ) -> None:
        now, created = asyncio.get_running_loop().time(), payment.created_at
        age = max(time.time() - created.timestamp(), 0.0) if created else 0.0
        self.payment = payment
        self.keeper = keeper
        self.ref: WatchRef = ref(self)
        self.events = events
        self.left_to_person = left_to_person
        self.born = now - age
        self.asked = LONG_AGO
        self.due = now
        self.looked = 0
        self.rank = LONG_AGO
        self.ticket: Ticket | None = None

    @property
    def key(self) -> OrderKey:
        """Its key in the journal."""
        return order_key(self.payment)

    def deliver(self, found: Payment) -> None:
        """Take what a confirmed event found."""
        self.keeper.found(self, found)

    def look_soon(self) -> None:
        """Look up again soon, because of a hint; many hints cost one look-up per second."""
        if self.keeper.waits_for_message(self):
            return
        due = max(self.asked + MIN_REPEAT_SECONDS, asyncio.get_running_loop().time())
        if due < self.due:
            self.keeper.move(self, due)

    def wake(self) -> None:
        """Do nothing: results arrive by `on_result` and `deliver`."""

    def on_result(self, said: LookupResult | None, poll_state: PollState) -> None:
        """Take the result of another watch's look-up of this payment."""
        self.asked, self.looked, self.rank = (
            poll_state.asked,
            max(self.looked, poll_state.looked),
            poll_state.rank,
        )
        if isinstance(said, Payment):
            self.keeper.found(self, said)
        if not self.payment.status.terminal:
            self.keeper.move(self, max(self.keeper.next(self), poll_state.not_before))

    def take_over(self, now: float) -> None:
        """Look up at once: another watch of this payment was interrupted in its look-up."""
        self.keeper.move(self, now)

    def renew(self) -> None:
        """Do nothing: its notifier renews the orders of an account."""


def sparse_gap(age: float) -> float:
    """Return seconds to the next look-up after the provider's time-out: minutes, hours, a day."""
    return min(max(age / 2, MIN_REPEAT_SECONDS), MAX_GAP_SECONDS)


def retry_gap(looked: int) -> float:
    """Return seconds to the next look-up of an order past its days, after failed look-ups."""
    return float(min(MIN_RETRY_SECONDS * 2 ** min(looked, 10), MAX_RETRY_SECONDS))
