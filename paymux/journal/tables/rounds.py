"""Deciding about many orders at once, where another worker may change a row in between."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Generic, TypeVar

import msgspec

from ..base import OrderKey
from .payment_rows import StoredRow

W = TypeVar("W")


class Write(msgspec.Struct, Generic[W], gc=False):
    """What is to be written for an item, and the item's result once it is."""

    what: W
    result: Any


def in_rounds(
    keys: Sequence[OrderKey],
    read: Callable[[Iterable[OrderKey]], dict[OrderKey, StoredRow]],
    decide: Callable[[int, StoredRow | None], "Write[W] | Any"],
    write: Callable[[list[W]], dict[OrderKey, StoredRow]],
) -> list[Any]:
    """Decide for each item what its row becomes, and write that; return the items' results.

    `decide` gets the number of an item, and its row; it returns a `Write`, or a result if nothing
    is to be written. What it raises is the result of that item alone. `write` returns the rows as
    they are now. An item whose row another worker has changed since is decided again; items of one
    key are decided one after the other.
    """
    results: list[Any] = [None] * len(keys)
    rows: dict[OrderKey, StoredRow | None] = {}
    left = list(range(len(keys)))
    while left:
        unread = dict.fromkeys(keys[item] for item in left if keys[item] not in rows)
        if unread:
            rows |= {**unread, **read(unread)}
        writes: dict[OrderKey, tuple[int, Write[W]]] = {}
        later = []
        for item in left:
            key = keys[item]
            if key in writes:
                later.append(item)
                continue
            try:
                one = decide(item, rows[key])
            except Exception as error:  # noqa: BLE001 - a damaged row concerns its own item alone
                one = error
            if isinstance(one, Write):
                writes[key] = item, one
            else:
                results[item] = one
        now = write([one.what for _, one in writes.values()]) if writes else {}
        for key, (item, one) in writes.items():
            if key in now:
                rows[key], results[item] = now[key], one.result
            else:  # another worker was faster
                del rows[key]
                later.append(item)
        left = sorted(later)
    return results
