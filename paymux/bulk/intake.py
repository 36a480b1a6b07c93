"""The items of one bulk verification, and what became of each."""

from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator, Sized
from typing import Generic, TypeVar, cast

import msgspec

from ..errors import UsageError
from ..given import named, payment
from ..models import Payment
from ..plain import is_a, sequence

A = TypeVar("A", bound=Payment | tuple[str, str])

PARKED = 1_000  # items of a stream that may wait for their account's turn while others are read


class Verified(msgspec.Struct, Generic[A], frozen=True, kw_only=True):
    """What became of one item, which is `asked`, as it was given: the `payment`, or an `error` of its own."""

    index: int
    asked: A
    payment: Payment | None = None
    error: Exception | None = None


def _counted(items: object) -> int | None:
    try:
        return len(cast("Sized", items)) if issubclass(type(items), Sized) else None
    except Exception:  # noqa: BLE001 - it is a class of the caller's; how many there are is only told, not needed
        return None


class Intake(Generic[A]):
    """Numbers the items and keeps those that are not done. A list is its caller's memory: all of it may wait."""

    def __init__(self, items: Iterable[A] | AsyncIterable[A], named: Callable[[str, str], Payment]) -> None:
        self._named = named  # gives what is known of a payment by its account and provider reference alone
        self.total = _counted(items)
        # Copied, for callers strike off what is done.
        self._listed = tuple(items) if isinstance(items, list | tuple) else None
        self.most_parked = PARKED if self._listed is None else len(self._listed) + 1
        self._held: dict[int, A] = {}
        self._count = 0
        self.stream: AsyncIterator[A] | None = None  # to be read by a task; else `source` is read as needed
        self.source: Iterator[A] | None = None
        if isinstance(items, AsyncIterable):
            self.stream = aiter(items)
        else:
            self.source = iter(items if self._listed is None else self._listed)

    def add(self, item: A) -> int:
        """Keep an item that was read, and give its number."""
        index, self._count = self._count, self._count + 1
        if self._listed is None:
            self._held[index] = item
        return index

    def item(self, index: int) -> A:
        """Give an item that is not done."""
        return self._held[index] if self._listed is None else self._listed[index]

    def payment(self, index: int) -> Payment:
        """Give what is to be asked for; UsageError where the item names no payment."""
        item: object = self.item(index)
        if is_a(item, Payment):
            return payment(item, "items")
        pair = sequence(item) if is_a(item, tuple) else None
        if pair is not None and len(pair) == 2 and is_a(pair[0], str):
            return self._named(pair[0], named("provider_reference", pair[1]))
        raise UsageError.field("items", item, "a Payment, or a pair of an account and a provider reference")

    def done(self, index: int) -> A:
        """Give an item for the last time."""
        return self._held.pop(index) if self._listed is None else self._listed[index]
