"""An open order that is watched: no task and no timer of its own, only a place in its account's line."""

import asyncio
import time
from typing import Protocol
from weakref import ref

from ..journal import Key, named
from ..models import Event, Payment
from ..watch import AGAIN, NEVER, Looks, News, Place, Ref

BEFORE = -NEVER
LATEST = 86_400.0  # seconds between looks at an order that is older than its provider's time-out, at most
SOONEST, HOUR = 60.0, 3600.0  # the same of one that could not be looked at


class Keeper(Protocol):
    """Who moves an order in its line when something is heard of it."""

    def found(self, order: "Order", payment: Payment) -> None:
        """Apply what was found."""

    def move(self, order: "Order", due: float) -> None:
        """Let it be asked about at another time."""

    def next(self, order: "Order") -> float:
        """Give when it is to be asked about next, after it was just now."""


class Order:
    """One open order of the journal, as the pool's watches know it."""

    # Ten thousand of them are held at once: each slot counts.
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
        """What it is kept under."""
        return named(self.payment)

    def tell(self, found: Payment) -> None:
        """Take what a confirmed event found."""
        self.keeper.found(self, found)

    def nudge(self) -> None:
        """Look again soon, because of a hint; a flood of hints costs one look-up a second."""
        due = max(self.asked + AGAIN, asyncio.get_running_loop().time())
        if due < self.due:
            self.keeper.move(self, due)

    def rouse(self) -> None:
        """See that the pool is closed; what is new is told."""

    def hear(self, said: News | None, looks: Looks) -> None:
        """Take what a watch of the same payment was told."""
        self.asked, self.looked, self.rank = looks.asked, max(self.looked, looks.looked), looks.rank
        if isinstance(said, Payment):
            self.keeper.found(self, said)
        if not self.payment.status.terminal:
            self.keeper.move(self, max(self.keeper.next(self), looks.not_before))

    def take_over(self, now: float) -> None:
        """Ask at once: the watch of this payment that was asking was broken off."""
        self.keeper.move(self, now)


def rarer(age: float) -> float:
    """Give the seconds to the next look at an order beyond its provider's time-out: minutes, hours, then a day."""
    return min(max(age / 2, AGAIN), LATEST)


def again(looked: int) -> float:
    """Give the seconds to the next look at an order that is over its days, and could not be looked at so far."""
    return float(min(SOONEST * 2 ** min(looked, 10), HOUR))
