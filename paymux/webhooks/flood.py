"""Messages that prove nothing and name one order.

Beyond a few, one question stands for them all.
"""

import asyncio
from collections import Counter, OrderedDict
from itertools import repeat
from typing import TypeAlias

from ..models import Event, log
from ..primitives.redaction import shown

MAX_SAME_NAME = 4  # of them in hand at once
HOUR_SECONDS = 3600.0
Names: TypeAlias = frozenset[tuple[str, str]]  # accounts, each with an id of any sort
MAX_REMEMBERED = 1000  # things said, and not said again for an hour


class FloodCounter:
    """Counts the messages in hand by what they name.

    Whose claims differ in one name still share another.
    """

    def __init__(self) -> None:
        self._named: Counter[tuple[str, str]] = Counter()

    def enter(self, named: Names) -> None:
        """Count a message that proves nothing, by what it names."""
        self._named.update(named)

    def leave(self, named: Names) -> None:
        """Count it no more."""
        for name in named:
            self._named[name] -= 1
            if not self._named[name]:
                del self._named[name]

    def full(self, named: Names) -> bool:
        """Tell whether a message that names that is one of many."""
        return max(map(self._named.__getitem__, named), default=0) >= MAX_SAME_NAME


def names(event: Event) -> Names:
    """List what a message names; nothing, where it proves who sent it."""
    if event.authenticated:
        return frozenset()
    claims = event.claims
    given = filter(None, {claims.reference, claims.provider_reference, *claims.ids.values()})
    return frozenset(zip(repeat(event.account), given, strict=False))


class HourlyLog:
    """Says a thing once in an hour: what anybody may make us say would fill a disk."""

    def __init__(self) -> None:
        self._said: OrderedDict[tuple[str, str | None], float] = OrderedDict()

    def error(self, said: str, about: str | None) -> None:
        """Log an error about an order, unless the same was logged a moment ago."""
        now, key = asyncio.get_running_loop().time(), (said, about)
        if key in self._said and now - self._said[key] < HOUR_SECONDS:
            return
        self._said[key] = now
        self._said.move_to_end(key)
        if len(self._said) > MAX_REMEMBERED:
            self._said.popitem(last=False)
        log.error("%s%s", said, f" (order {shown(about)})" if about else "")
