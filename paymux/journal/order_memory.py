"""The orders that a pool remembers, so that one reference is one charge even without a journal."""

from collections import deque
from collections.abc import Callable
from functools import cache
from operator import attrgetter, itemgetter
from sys import getsizeof
from typing import Any, cast

import msgspec

from ..errors import Mismatch
from ..models import Kind, Order, Payment, Status, merge
from .base import KINDS, OrderOwner, Row, State, duplicate_reference

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
_NEWS = ("status", "provider_status", "provider_reference", "receipt")
_news = attrgetter(*_NEWS)
_news_kept = itemgetter(*(_KEPT.index(name) for name in _NEWS))
_STATUS = _KEPT.index("status")
_pack = msgspec.msgpack.Encoder(order="deterministic").encode
_PENDING, _SENDING = Status.PENDING, State.SENDING  # slow to find in an Enum


# The callback URL is ours, and does not distinguish one order from another.
_MAPPINGS = ("metadata", "extra")
_ordered = attrgetter(
    *(name for name in Order.__struct_fields__ if name not in {"webhook_url", *_MAPPINGS})
)
_mappings = attrgetter(*_MAPPINGS)


class _Record(msgspec.Struct, gc=False):
    name: str  # the same object as its key: 100,000 copies would take 10 MiB
    made: int | None  # a hash of its order, to detect another order; None: the journal does that
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
        self._sent: deque[str] = deque()  # sorted by their start; some have ended
        self._over: deque[str] = deque()  # sorted by their end
        self._texts = 0  # bytes of names, ids and packed records

    def find(self, pending: Payment, order: Order) -> Row | None:
        """Return what is known of this order; None: it was not sent.

        DuplicateReference: another order was sent under its reference.
        """
        record = self._records.get(_name(pending))
        if record is None:
            return None
        if record.made != _made(order):
            raise duplicate_reference(pending)
        return Row(state=record.state, payment=msgspec.structs.replace(pending, **_read(record)))

    def note_sending(self, pending: Payment, order: Order | None) -> None:
        """Record that an order is about to be sent.

        `order` is None if a journal compares orders.
        """
        name = _name(pending)
        self._drop(name)
        self._sent.append(name)
        if len(self._sent) > 2 * MAX_ORDERS:
            self._sent = deque(one for one in self._sent if one in self._records)
        self._records[name] = _Record(name, None if order is None else _made(order))
        self._texts += len(name)
        self._trim()

    def apply(self, payment: Payment, state: State | None = None, *, passing: bool = False) -> None:
        """Record what an answer, a look-up or a message says of a payment.

        `passing`: only if this pool sent its order.
        """
        reference, theirs = payment.reference, _theirs(payment)
        name = _name(payment) if reference is not None else self._owners.get(theirs, "")
        record = self._records.get(name)
        if record is None:
            if passing or reference is None or payment.provider_reference is None:
                return
            # An order that this pool did not send is dropped before any that it sent.
            if self._others.setdefault(theirs, name) is name:
                self._texts += len(theirs) + len(name)
                self._trim()
            return
        was, after = record.state, record.state.after(state, payment)
        if after.frees_reference:
            self._drop(name)
            return
        over = False
        if record.packed and (was is not _SENDING or state is None):
            values = _unpack()(record.packed)
            if after is was and _news_kept(values) == _news(payment):
                return
            known, over = _payment(record), values[_STATUS] is not _PENDING
            try:
                payment = merge(known, payment)
            except Mismatch:
                return  # a payment that contradicts the record does not change it
            theirs = _theirs(payment)  # this payment may not have had the provider's reference
        if payment.status is not _PENDING and not over:
            self._over.append(record.name)
        record.state = after
        self._put(record, payment, theirs)

    def owner(self, account: str, kind: Kind, provider_reference: str | None) -> OrderOwner | None:
        """Return the order that has a provider's id, if known; first of this kind, then others."""
        for one in (kind, *KINDS):
            theirs = f"{account} {one} {provider_reference}"
            name = self._owners.get(theirs) or self._others.get(theirs)
            if name is not None:
                return one, name.split(" ", 2)[2]
        return None

    def answer_lost(self, payment: Payment) -> bool:
        """Return whether this process sent the order and has no answer, or no answer yet."""
        record = self._records.get(_name(payment))
        return record is not None and record.state.in_doubt

    def knows(self, payment: Payment) -> bool:
        """Return whether this process sent the order and still remembers it."""
        return _name(payment) in self._records

    def _put(self, record: _Record, payment: Payment, theirs: str) -> None:
        packed = bytes(memoryview(_pack(_kept(payment))))  # a copy without the spare capacity
        self._texts += len(packed) - len(record.packed)
        record.packed = packed
        if payment.provider_reference is not None and theirs not in self._owners:
            self._owners[theirs] = record.name
            self._texts += len(theirs)

    def _drop(self, name: str) -> None:
        record = self._records.pop(name, None)
        if record is None:
            return
        self._texts -= len(name) + len(record.packed)
        theirs = _theirs(_payment(record))
        if self._owners.get(theirs) == name:
            del self._owners[theirs]
            self._texts -= len(theirs)

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
            if self._others:
                theirs = next(iter(self._others))
                self._texts -= len(theirs) + len(self._others.pop(theirs))
            else:
                self._drop((self._over or self._sent).popleft())
            count = len(self._records) + len(self._others)


def _name(payment: Payment) -> str:
    # none of the three contains a space
    return f"{payment.account} {payment.kind or 'collect'} {payment.reference}"


def _theirs(payment: Payment) -> str:
    return f"{payment.account} {payment.kind or 'collect'} {payment.provider_reference}"


def _made(order: Order) -> int:
    # It is compared only with the order of the same reference. Each process has another hash seed.
    made = hash(_ordered(order))
    return hash((made, _pack(_mappings(order)))) if order.metadata or order.extra else made


@cache
def _unpack() -> Callable[[bytes], Any]:
    types = {field.name: field.type for field in msgspec.structs.fields(Payment)}
    row: Any = tuple
    return msgspec.msgpack.Decoder(row[tuple(types[name] for name in _KEPT)]).decode


def _read(record: _Record) -> dict[str, Any]:
    if not record.packed:
        return {}
    values = zip(_KEPT, _unpack()(record.packed), strict=True)
    return {name: value for name, value in values if value is not None}


def _payment(record: _Record) -> Payment:
    account, kind, reference = record.name.split(" ", 2)
    return Payment(account=account, kind=cast("Kind", kind), reference=reference, **_read(record))
