"""An open order that is watched; it needs no task and no timer, only a ticket in the poll queue."""

import asyncio
import time
from typing import Protocol
from weakref import ref

from ..journal import Key, named
from ..models import Event, Payment
from ..watch import AGAIN, NEVER, Looks, News, Place, Ref

BEFORE = -NEVER
# seconds between look-ups of an order older than its provider's time-out, at most
LATEST = 86_400.0
SOONEST, HOUR = 60.0, 3600.0  # seconds, shortest and longest, after failed look-ups


class Keeper(Protocol):
    """Schedules the next look-up of an order when there is news of it."""

    def found(self, order: "Order", payment: Payment) -> None:
        """Apply a payment that was found."""

    def move(self, order: "Order", due: float) -> None:
        """Change the time of its next look-up."""

    def next(self, order: "Order") -> float:
        """Return the time of its next look-up, after one just now."""


class Order:
    """An open order of the journal, with the interface of a watch."""

    # Ten thousand may exist at once: each slot counts.
    __slots__ = (
        "__weakref__",
        "asked",
        "born",
        "due",
        "hints",
        "keeper",
        "left",
        "looked",
        "payment",
        "place",
        "rank",
        "ref",
    )

    def __init__(
        self, keeper: Keeper, payment: Payment, hints: tuple[Event, ...] = (), *, left: bool = False
    ) -> None:
        now, created = asyncio.get_running_loop().time(), payment.created_at
        age = max(time.time() - created.timestamp(), 0.0) if created else 0.0
        self.payment = payment
        self.keeper = keeper
        self.ref: Ref = ref(self)
        self.hints = hints
        self.left = left
        self.born = now - age
        self.asked = BEFORE
        self.due = now
        self.looked = 0
        self.rank = BEFORE
        self.place: Place | None = None

    @property
    def key(self) -> Key:
        """Its key in the journal."""
        return named(self.payment)

    def tell(self, found: Payment) -> None:
        """Take what a confirmed event found."""
        self.keeper.found(self, found)

    def nudge(self) -> None:
        """Look up again soon, because of a hint; many hints cost one look-up per second."""
        due = max(self.asked + AGAIN, asyncio.get_running_loop().time())
        if due < self.due:
            self.keeper.move(self, due)

    def rouse(self) -> None:
        """Do nothing: news is delivered by `hear` and `tell`."""

    def hear(self, said: News | None, looks: Looks) -> None:
        """Take the result of another watch's look-up of this payment."""
        self.asked, self.looked, self.rank = looks.asked, max(self.looked, looks.looked), looks.rank
        if isinstance(said, Payment):
            self.keeper.found(self, said)
        if not self.payment.status.terminal:
            self.keeper.move(self, max(self.keeper.next(self), looks.not_before))

    def take_over(self, now: float) -> None:
        """Look up at once: another watch of this payment was interrupted in its look-up."""
        self.keeper.move(self, now)


def rarer(age: float) -> float:
    """Return seconds to the next look-up after the provider's time-out: minutes, hours, a day."""
    return min(max(age / 2, AGAIN), LATEST)


def again(looked: int) -> float:
    """Return seconds to the next look-up of an order past its days, after failed look-ups."""
    return float(min(SOONEST * 2 ** min(looked, 10), HOUR))
