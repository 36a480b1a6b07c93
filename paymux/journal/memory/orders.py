"""The orders that a pool remembers, so that one reference is one charge even without a journal."""

from collections import deque
from collections.abc import Callable
from functools import cache
from operator import attrgetter
from sys import getsizeof
from typing import Any, cast

import msgspec

from ...errors import Mismatch
from ...models import Kind, Order, Payment, Status, merge
from ..base import KINDS, OrderOwner, Row, State, duplicate_reference

MAX_ORDERS = 100_000  # orders of one pool; the newest are kept, and open ones are dropped last
MAX_BYTES = 60 * 2**20  # bytes of all orders and of their lookup tables
# bytes of a record beyond its texts: five objects, and its entries in two queues
BYTES_PER_ORDER = 300
TABLE_BYTES_PER_ORDER = 120  # bytes of its entries in the tables, at most

# Not kept: the fields that a caller with the same order gives again, and the body of the answer.
_ORDER = {"account", "provider", "kind", "live", "reference", "amount", "currency"}
_KEPT = tuple(
    name
    for name in Payment.__struct_fields__
    if name not in _ORDER | {"customer", "metadata", "raw"}
)
_kept = attrgetter(*_KEPT)
_news = attrgetter("status", "provider_status", "provider_reference", "receipt")
_pack = msgspec.msgpack.Encoder(order="deterministic").encode
_PENDING, _SENDING = Status.PENDING, State.SENDING  # slow to find in an Enum


# The callback URL is ours, and does not distinguish one order from another.
_MAPPINGS = ("metadata", "extra")
_ordered = attrgetter(
    *(name for name in Order.__struct_fields__ if name not in {"webhook_url", *_MAPPINGS})
)
_mappings = attrgetter(*_MAPPINGS)


class _Record(msgspec.Struct, gc=False):
    key: str  # the same object as in the table: 100,000 copies would take 10 MiB
    # a hash of its order, to detect another order; None: the journal does that
    order_hash: int | None
    state: State = _SENDING
    packed: bytes = b""  # what is known of its payment, after an answer


class OrderMemory:
    """The orders of one pool, by account, kind and reference, until the process ends.

    A record is packed, so that 100,000 fit into 60 MiB; if answers are long, fewer fit.
    """

    def __init__(self) -> None:
        self._records: dict[str, _Record] = {}
        self._owners: dict[str, str] = {}  # the order that a provider's id belongs to
        # the same for orders that this pool looked up, and did not send
        self._others: dict[str, str] = {}
        # The same ids, the oldest first: the first key of a dict whose old ones were deleted is
        # found only behind all of their places, 11 microseconds for each look-up.
        self._looked_up: deque[str] = deque()
        self._sent: deque[str] = deque()  # sorted by their start; some have ended
        self._over: deque[str] = deque()  # sorted by their end
        self._texts = 0  # bytes of names, ids and packed records

    def find(self, pending: Payment, order: Order) -> Row | None:
        """Return what is known of this order; None: it was not sent.

        DuplicateReference: another order was sent under its reference.
        """
        record = self._records.get(_order_key(pending))
        if record is None:
            return None
        if record.order_hash != _order_hash(order):
            raise duplicate_reference(pending)
        values = zip(_KEPT, _kept(_payment(record)), strict=True)
        said = {name: value for name, value in values if value is not None}
        return Row(state=record.state, payment=msgspec.structs.replace(pending, **said))

    def note_sending(self, pending: Payment, order: Order | None) -> None:
        """Record that an order is about to be sent.

        `order` is None if a journal compares orders.
        """
        key = _order_key(pending)
        if key in self._records:
            self._drop(key)
        self._sent.append(key)
        if len(self._sent) > 2 * MAX_ORDERS:
            self._sent = deque(one for one in self._sent if one in self._records)
        self._records[key] = _Record(key, None if order is None else _order_hash(order))
        self._texts += len(key)
        self._trim()

    def apply(self, payment: Payment, state: State | None = None, *, passing: bool = False) -> None:
        """Record what an answer, a look-up or a message says of a payment.

        `passing`: only if this pool sent its order.
        """
        if payment.reference is not None:
            key = _order_key(payment)
        else:
            key = self._owners.get(_provider_key(payment), "")
        record = self._records.get(key)
        if record is None:
            if not passing:
                self._note_other(key, payment)
            return
        was, after = record.state, record.state.after(state, payment)
        if after.frees_reference:
            self._drop(key)
            return
        known = None
        if record.packed and (was is not _SENDING or state is None):
            known = _payment(record)
            if after is was and _news(known) == _news(payment):
                return
            try:
                payment = merge(known, payment)
            except Mismatch:
                return  # a payment that contradicts the record does not change it
        if payment.status is not _PENDING and (known is None or known.status is _PENDING):
            self._over.append(record.key)
        packed = bytes(memoryview(_pack(_kept(payment))))  # a copy without the spare capacity
        self._texts += len(packed) - len(record.packed)
        record.state, record.packed = after, packed
        if known is None or known.provider_reference is None:
            self._note_owner(record, payment)

    def _note_other(self, key: str, payment: Payment) -> None:
        """Remember which order a provider's id belongs to, if this pool did not send the order.

        It is dropped before any order that this pool sent.
        """
        if payment.reference is None or payment.provider_reference is None:
            return
        provider_key = _provider_key(payment)
        if self._others.setdefault(provider_key, key) is key:
            self._looked_up.append(provider_key)
            self._texts += len(provider_key) + len(key)
            self._trim()

    def owner(self, account: str, kind: Kind, provider_reference: str | None) -> OrderOwner | None:
        """Return the order that has a provider's id, if known; first of this kind, then others."""
        for one in (kind, *KINDS):
            provider_key = f"{account} {one} {provider_reference}"
            key = self._owners.get(provider_key) or self._others.get(provider_key)
            if key is not None:
                return one, key.split(" ", 2)[2]
        return None

    def answer_lost(self, payment: Payment) -> bool:
        """Return whether this process sent the order and has no answer, or no answer yet."""
        record = self._records.get(_order_key(payment))
        return record is not None and record.state.in_doubt

    def knows(self, payment: Payment) -> bool:
        """Return whether this process sent the order and still remembers it."""
        return _order_key(payment) in self._records

    def known(self, payment: Payment) -> Payment | None:
        """Return what is known of an order that this process sent and still remembers."""
        record = self._records.get(_order_key(payment))
        return None if record is None else _payment(record)

    def _note_owner(self, record: _Record, payment: Payment) -> None:
        """Remember which order a provider's id belongs to."""
        if payment.provider_reference is None:
            return
        provider_key = _provider_key(payment)
        if provider_key not in self._owners:
            self._owners[provider_key] = record.key
            self._texts += len(provider_key)

    def _drop(self, key: str) -> None:
        record = self._records.pop(key, None)
        if record is None:
            return
        self._texts -= len(key) + len(record.packed)
        provider_key = _provider_key(_payment(record))
        if self._owners.get(provider_key) == key:
            del self._owners[provider_key]
            self._texts -= len(provider_key)

    def _trim(self) -> None:
        """Drop the oldest orders: first those only looked up, then ended ones, then open ones."""
        count = len(self._records) + len(self._others)
        if (
            count <= MAX_ORDERS
            and self._texts + (BYTES_PER_ORDER + TABLE_BYTES_PER_ORDER) * count <= MAX_BYTES
        ):
            return
        tables = getsizeof(self._records) + getsizeof(self._owners) + getsizeof(self._others)
        while count > MAX_ORDERS or self._texts + BYTES_PER_ORDER * count + tables > MAX_BYTES:
            if self._looked_up:
                provider_key = self._looked_up.popleft()
                self._texts -= len(provider_key) + len(self._others.pop(provider_key))
            else:
                self._drop((self._over or self._sent).popleft())
            count = len(self._records) + len(self._others)


def _order_key(payment: Payment) -> str:
    # none of the three contains a space
    return f"{payment.account} {payment.kind or 'collect'} {payment.reference}"


def _provider_key(payment: Payment) -> str:
    return f"{payment.account} {payment.kind or 'collect'} {payment.provider_reference}"


def _order_hash(order: Order) -> int:
    # It is compared only with the order of the same reference. Each process has another hash seed.
    found = hash(_ordered(order))
    return hash((found, _pack(_mappings(order)))) if order.metadata or order.extra else found


@cache
def _unpack() -> Callable[[bytes], Any]:
    types = {field.name: field.type for field in msgspec.structs.fields(Payment)}
    row: Any = tuple
    return msgspec.msgpack.Decoder(row[tuple(types[name] for name in _KEPT)]).decode


def _payment(record: _Record) -> Payment:
    account, kind, reference = record.key.split(" ", 2)
    known = dict(zip(_KEPT, _unpack()(record.packed), strict=True)) if record.packed else {}
    return Payment(account=account, kind=cast("Kind", kind), reference=reference, **known)
