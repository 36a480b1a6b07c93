"""The items of one bulk verification, and their results."""

from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Sized
from typing import Generic, TypeVar, cast

import msgspec

from ..errors import UsageError
from ..models import Payment
from ..primitives.coerce import is_a, sequence
from ..values.arguments import named
from ..values.payment_arguments import checked_payment

ItemT = TypeVar("ItemT", bound=Payment | tuple[str, str])

MAX_PARKED_ITEMS = 1_000  # items of a stream that may wait for their account while others are read


class Verified(msgspec.Struct, Generic[ItemT], frozen=True, kw_only=True):
    """The result of one item, `asked` as it was given: the `payment`, or its own `error`."""

    index: int
    asked: ItemT
    payment: Payment | None = None
    error: Exception | None = None


def counted(items: object) -> int | None:
    """Return how many items there are, for the progress; None: only reading them would tell."""
    try:
        return len(cast("Sized", items)) if issubclass(type(items), Sized) else None
    except Exception:  # noqa: BLE001 - the caller's class; the count is only for the progress
        return None


class Items(Generic[ItemT]):
    """Numbers the items and keeps those in work. A list is the caller's: all of it may wait."""

    def __init__(
        self, items: Iterable[ItemT] | AsyncIterable[ItemT], named: Callable[[str, str], Payment]
    ) -> None:
        self._named = named  # makes a payment of an account and a provider reference
        # A copy: callers remove finished items from their list.
        self._listed = tuple(items) if isinstance(items, list | tuple) else None
        self.most_parked = MAX_PARKED_ITEMS if self._listed is None else len(self._listed) + 1
        self._held: dict[int, ItemT] = {}
        self._count = 0
        # read by a task; `source` is read on demand
        self.stream: AsyncIterator[ItemT] | None = None
        self.source: Iterator[ItemT] | None = None
        if isinstance(items, AsyncIterable):
            self.stream = aiter(items)
        else:
            self.source = iter(items if self._listed is None else self._listed)

    def add(self, item: ItemT) -> int:
        """Keep an item that was read, and return its number."""
        index, self._count = self._count, self._count + 1
        if self._listed is None:
            self._held[index] = item
        return index

    def payment(self, item: object) -> Payment:
        """Return the payment to look up; UsageError: the item names none."""
        if is_a(item, Payment):
            return checked_payment(item, "items")
        pair = sequence(item) if is_a(item, tuple) else None
        if pair is not None and len(pair) == 2 and is_a(pair[0], str):
            return self._named(pair[0], named("provider_reference", pair[1]))
        raise UsageError.field(
            "items", item, "a Payment, or a pair of an account and a provider reference"
        )

    def done(self, index: int) -> ItemT:
        """Remove a finished item and return it."""
        return self._held.pop(index) if self._listed is None else self._listed[index]
