"""The outbox: payments to deliver to `on_payment` and orders to watch, shared by notifiers.

An order is undelivered while its status is terminal and differs from the status that was
delivered last. Both are in its row, so a fact and its place in the outbox are one write.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple, Protocol

from ..models import Event, Kind, Payment, Status
from .base import OrderKey, Row


class NotifierInfo(NamedTuple):
    """The accounts and kinds of a notifier."""

    accounts: tuple[str, ...]  # of its pool
    kinds: tuple[Kind, ...]


class Heartbeat(NamedTuple):
    """The answer to a heartbeat."""

    late: bool  # so late that other notifiers may have claimed its orders
    too_many: int  # orders that it watches beyond its share


class OpenOrder(NamedTuple):
    """An order that this notifier watches from now on."""

    row: Row
    left: bool  # to a person, days ago: it is looked up once more


class NotifiedStatus(NamedTuple):
    """A payment's status, and the status that was delivered last."""

    status: Status
    told: Status | None


class Outbox(Protocol):
    """The outbox's interface. A call is durable when it returns; what cannot be is an OSError."""

    async def enter(self, member: NotifierInfo, now: float) -> Heartbeat:
        """Start: this notifier owns what it claims from here on."""
        ...

    async def heartbeat(self, member: NotifierInfo, now: float) -> Heartbeat:
        """Heartbeat; `now` is the loop's time."""
        ...

    async def leave(self, now: float) -> None:
        """Stop, and release all claims."""
        ...

    async def claim_unnotified(
        self, kinds: tuple[Kind, ...], count: int, resting: Mapping[OrderKey, Status]
    ) -> list[Payment]:
        """Claim up to `count` payments to deliver.

        Those in `resting` are left out, in that status, because delivery failed recently.
        """
        ...

    async def claim(self, payment: Payment) -> Payment | None:
        """Claim one payment to deliver, for a worker without a notifier."""
        ...

    async def mark_notified(self, payment: Payment, messages: Sequence[Event] = ()) -> None:
        """Record that this status of a claimed payment was delivered; its messages end."""
        ...

    async def release(self, payment: Payment, messages: Sequence[Event] = ()) -> None:
        """Release a claimed payment that could not be delivered; its messages end all the same."""
        ...

    async def notified_status(self, payment: Payment) -> NotifiedStatus | None:
        """Return a payment's status and the last delivered status; None: it is not recorded."""
        ...

    async def claim_open_orders(self, accounts: Collection[str], count: int) -> list[OpenOrder]:
        """Claim up to `count` open orders that no live notifier watches."""
        ...

    async def claim_sent(self, payments: list[Payment]) -> list[Payment]:
        """Claim orders that this process has just sent; return those that were granted."""
        ...

    async def owned(self, accounts: Collection[str]) -> set[OrderKey]:
        """Return the orders that this notifier still watches."""
        ...

    async def let_go(self, payments: list[Payment]) -> None:
        """Release orders, so that other notifiers may claim them."""
        ...

    async def leave_to_person(self, payment: Payment) -> bool:
        """Record that an order is left to a person; False: it was already, or it has ended."""
        ...
