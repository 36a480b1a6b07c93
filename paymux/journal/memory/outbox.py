"""The outbox of a pool without a journal: orders it sent itself while its notifier ran."""

from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence

import msgspec

from ...errors import Mismatch
from ...models import Event, Kind, Payment, Status, merge
from ..base import Ended, OrderKey, State, order_key
from ..outbox import Heartbeat, NotifiedStatus, NotifierInfo, OpenOrder
from .orders import MAX_ORDERS


class _Kept:
    """An order of this pool."""

    __slots__ = ("payment", "told")

    def __init__(self, payment: Payment) -> None:
        self.payment = payment
        self.told: Status | None = None

    @property
    def is_untold(self) -> bool:
        return self.payment.status.terminal and self.told is not self.payment.status


class LocalOutbox:
    """Payments to deliver and orders to watch, of one pool; no other process shares them."""

    def __init__(self) -> None:
        self._kept: OrderedDict[OrderKey, _Kept] = OrderedDict()
        # delivered; another status may come late
        self._over: OrderedDict[OrderKey, _Kept] = OrderedDict()
        self._untold: dict[OrderKey, None] = {}
        self._claimed: set[OrderKey] = set()

    def on_fact(
        self,
        payment: Payment,
        source: str,
        state: State | None,
        *,
        claim: bool = False,
    ) -> Ended | None:
        """Record what an answer, a look-up or a message says about an order of this pool.

        `claim` its end, where it is not being delivered.
        """
        key = order_key(payment)
        kept = self._get(key)
        payment = msgspec.structs.replace(payment, raw="")
        if kept is None:
            if source != "answer" or state not in (State.ACCEPTED, State.UNKNOWN):
                return None
            kept = self._kept[key] = _Kept(payment)
            if len(self._kept) + len(self._over) > MAX_ORDERS:
                forgotten, _ = (self._over or self._kept).popitem(last=False)
                self._untold.pop(forgotten, None)
        else:
            try:
                kept.payment = merge(kept.payment, payment)
            except Mismatch:
                return None  # the caller that asked raises it
        if not kept.payment.status.terminal:
            return None
        if not kept.is_untold:
            return Ended(told=True)
        self._kept[key] = kept
        self._over.pop(key, None)
        self._untold[key] = None
        if not claim or key in self._claimed:
            return Ended()
        self._claimed.add(key)
        return Ended(claimed=kept.payment)

    async def enter(self, member: NotifierInfo, now: float) -> Heartbeat:
        """Start."""
        self._claimed.clear()
        return Heartbeat(late=False, too_many=0)

    async def heartbeat(self, member: NotifierInfo, now: float) -> Heartbeat:
        """Heartbeat."""
        return Heartbeat(late=False, too_many=0)

    async def leave(self, now: float) -> None:
        """Stop."""

    async def claim_unnotified(
        self, kinds: tuple[Kind, ...], count: int, resting: Mapping[OrderKey, Status]
    ) -> list[Payment]:
        """Claim up to `count` payments to deliver."""
        found: list[Payment] = []
        for key in self._untold:
            payment = self._kept[key].payment
            if len(found) == count:
                break
            if (
                key not in self._claimed
                and key[1] in kinds
                and resting.get(key) is not payment.status
            ):
                found.append(payment)
        self._claimed.update(map(order_key, found))
        return found

    async def claim(self, payment: Payment) -> Payment | None:
        """Claim nothing: a worker without a notifier has no orders here."""
        return None

    async def mark_notified(self, payment: Payment, messages: Sequence[Event] = ()) -> None:
        """Record that this status of a claimed payment was delivered, and release the payment."""
        key = order_key(payment)
        kept = self._get(key)
        self._claimed.discard(key)
        if kept is not None:
            kept.told = payment.status
            if not kept.is_untold:
                self._over[key] = self._kept.pop(key, kept)
                self._untold.pop(key, None)

    async def release(self, payment: Payment, messages: Sequence[Event] = ()) -> None:
        """Release a claimed payment that could not be delivered."""
        self._claimed.discard(order_key(payment))

    async def notified_status(self, payment: Payment) -> NotifiedStatus | None:
        """Return a payment's status, and the status that was delivered last."""
        kept = self._get(order_key(payment))
        return None if kept is None else NotifiedStatus(kept.payment.status, kept.told)

    async def claim_open_orders(self, accounts: Collection[str], count: int) -> list[OpenOrder]:
        """Claim nothing: the pool knows what it sent."""
        return []

    async def claim_sent(self, payments: list[Payment]) -> list[Payment]:
        """Claim orders that this process has just sent."""
        return payments

    async def owned(self, accounts: Collection[str]) -> set[OrderKey]:
        """Return the orders that this notifier still watches."""
        return set(self._kept)

    async def let_go(self, payments: list[Payment]) -> None:
        """Release claimed orders; no other notifier exists to take them."""

    async def leave_to_person(self, payment: Payment) -> bool:
        """Note that an order is left to a person."""
        return True

    def _get(self, key: OrderKey) -> _Kept | None:
        return self._kept.get(key) or self._over.get(key)
