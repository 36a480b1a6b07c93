"""The kept messages of a pool without a journal, in memory until the process ends."""

import time
from collections import OrderedDict
from collections.abc import Collection, Iterator, Sequence
from typing import Any

import msgspec

from ...errors import Mismatch
from ...models import Event, Payment, Status, merge
from ...primitives.clock import wall_time
from ..base import OrderKey, State, order_key
from ..tables.columns import iso
from ..unconfirmed import (
    MAX_OPEN_ENTRIES,
    TOO_MANY,
    YOUNG_SECONDS,
    CandidateOrders,
    Entry,
    KeptEvent,
    encoded_event,
    receipts,
)

MAX_KNOWN_ORDERS = 10_000  # newest orders of this pool that a message may be about


class _Entry(msgspec.Struct):
    id: int
    event: Event
    at: str
    told: bool = False
    logged: bool = False
    teller: bool = False
    ended: bool = False
    of: OrderKey | None = None


class LocalUnconfirmed:
    """Messages of one pool that no look-up confirms, and its orders they may be about."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, _Entry] = OrderedDict()
        # ended: the same message is not kept again
        self._over: OrderedDict[str, _Entry] = OrderedDict()
        self._orders: OrderedDict[OrderKey, Payment] = OrderedDict()
        self._by_provider_key: OrderedDict[tuple[str, str], OrderKey] = OrderedDict()
        self._number = 0

    def on_fact(self, payment: Payment, source: str, state: State | None) -> None:
        """Record a fact about an order that this pool sent."""
        key = order_key(payment)
        theirs = (payment.account, payment.provider_reference or "")
        if payment.reference is None:  # a message whose order the provider does not name
            key = self._by_provider_key.get(theirs, key)
        known = self._orders.get(key)
        if state is not None and state.frees_reference:
            self._orders.pop(key, None)
        elif known is not None or (source == "answer" and key[1] == "collect"):
            try:
                payment = payment if known is None else merge(known, payment)
            except Mismatch:
                return
            self._orders[key] = msgspec.structs.replace(payment, raw="")
            self._by_provider_key[theirs] = key
            _trim(self._orders)
            _trim(self._by_provider_key)

    async def keep(self, event: Event) -> KeptEvent:
        """Keep a message once."""
        text = encoded_event(event)
        if (known := self._kept.get(text) or self._over.get(text)) is not None:
            return KeptEvent(known.id)
        gone: tuple[Event, ...] = ()
        if len(self._kept) >= MAX_OPEN_ENTRIES:
            leaving = next((one for one in self._kept.values() if one.told), None)
            if leaving is None:
                return KeptEvent(None)
            await self.end(leaving.event, TOO_MANY)
            gone = (leaving.event,)
        self._number += 1
        self._kept[text] = _Entry(self._number, event, iso(wall_time()))
        return KeptEvent(self._number, gone)

    async def waiting(self, *, told: bool, adopting: Collection[str] = ()) -> dict[int, str]:
        """Return id and time of messages not yet delivered; told=False: not yet logged."""
        return {
            one.id: one.at for one in self._kept.values() if not (one.told if told else one.logged)
        }

    async def load(self, ids: Sequence[int]) -> list[Entry]:
        """Return the open entries with these ids."""
        wanted = set(ids)
        return [_entry(one) for one in self._kept.values() if one.id in wanted]

    async def left(self, after: int) -> list[Entry]:
        """List open entries, after this id."""
        return [_entry(one) for one in self._kept.values() if one.id > after]

    async def orders(self, event: Event) -> CandidateOrders:
        """Return the orders that a message may be about."""
        claims, taken = event.claims, {one.of for one in self._over.values()}
        ours = [one for one in self._orders.values() if one.account == event.account]
        paid = [one for one in ours if claims.receipt in receipts(one)] if claims.receipt else []
        same = [one for one in ours if one.amount == claims.amount]
        bare = [
            one
            for one in same
            if one.status is Status.SUCCEEDED and not receipts(one) and _is_young(one)
        ]
        return CandidateOrders(
            paid=tuple(paid),
            open=tuple(one for one in same if not one.status.terminal),
            bare=tuple(one for one in bare if order_key(one) not in taken),
        )

    async def claim(self, entry: Entry) -> bool:
        """Claim an entry to deliver it."""
        for one in self._of(entry.event):
            if not (one.teller or one.told):
                one.teller = True
                return True
        return False

    async def done(self, entry: Entry, *, told: bool) -> None:
        """Release a claimed entry."""
        for one in self._of(entry.event):
            one.teller, one.told = False, one.told or told

    async def log(self, entry: Entry) -> bool:
        """Mark an entry as logged."""
        for one in self._of(entry.event):
            before, one.logged = one.logged, True
            return not before
        return False

    async def give(self, entry: Entry, of: Payment) -> bool:
        """End an entry as the message of an order without a receipt."""
        key = order_key(of)
        if any(one.of == key for one in self._over.values()):
            return False
        for one in self._of(entry.event):
            one.of = key
        return await self.end(entry.event, "")

    async def end(self, event: Event, because: str) -> bool:
        """End the entry of a message."""
        text = encoded_event(event)
        if (one := self._kept.pop(text, None)) is not None:
            self._over[text] = one
            _trim(self._over)
        return text in self._over

    async def reopen(self) -> Collection[Event]:
        """Reopen messages that were matched to an order which has another receipt now."""
        found = []
        for text, one in list(self._over.items()):
            order = self._orders.get(one.of) if one.of is not None else None
            if order is not None and order.receipt not in (None, one.event.claims.receipt):
                self._kept[text], one.of = self._over.pop(text), None
                found.append(one.event)
        return found

    def _of(self, event: Event) -> Iterator[_Entry]:
        one = self._kept.get(encoded_event(event))
        return iter(() if one is None else (one,))


def _entry(one: _Entry) -> Entry:
    return Entry(one.id, one.event, one.at)


def _is_young(order: Payment) -> bool:
    return order.created_at is None or time.time() - order.created_at.timestamp() < YOUNG_SECONDS


def _trim(kept: OrderedDict[Any, Any]) -> None:
    if len(kept) > MAX_KNOWN_ORDERS:
        kept.popitem(last=False)
