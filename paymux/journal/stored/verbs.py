"""Verbs of the journal that run once for all their callers of one moment."""

from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from typing import Any, TypeAlias

import msgspec

from ..database import Database
from ..work import Work

# Runs all items, in order; returns the result of each, or the error of one that changed nothing.
# What it raises has failed for all items.
Verb: TypeAlias = Callable[[Sequence[Any], Database], list[Any]]


class Bulk(msgspec.Struct, eq=False, gc=False):
    """One caller's item of a verb: an operation that the items of other callers may join."""

    verb: Verb
    item: Any
    # Items of one key run in the order of their callers; None: what other verbs write is read.
    key: Hashable = None
    # It writes by one statement, which may be repeated, and so needs no transaction around it.
    single: bool = False

    def __call__(self, db: Database) -> Any:
        """Run the verb for this item alone."""
        (result,) = self.verb([self.item], db)
        if isinstance(result, Exception):
            raise result
        return result


def in_groups(works: Iterable[Work]) -> Iterator[list[Work]]:
    """Divide works into groups that run one after the other, each with one call of its verb.

    Any other operation is a group of its own, and none moves past it.
    """
    waiting: dict[Verb, list[Work]] = {}
    last: dict[Hashable, Verb] = {}  # the verb of each key that waits
    for work in works:
        one = work.do
        if not isinstance(one, Bulk):
            yield from waiting.values()
            waiting, last = {}, {}
            yield [work]
            continue
        apart = None in last if one.key is not None else bool(last)
        if last.get(one.key, one.verb) != one.verb or (apart and {*waiting} != {one.verb}):
            yield from waiting.values()
            waiting, last = {}, {}
        last[one.key] = one.verb
        waiting.setdefault(one.verb, []).append(work)
    yield from waiting.values()


def run_group(group: Sequence[Work], db: Database) -> list[Any]:
    """Run a group; return the result of each work, or the error of one that changed nothing."""
    items = [work.do.item for work in group if isinstance(work.do, Bulk)]
    one = group[0].do
    return one.verb(items, db) if isinstance(one, Bulk) else [one(db)]
