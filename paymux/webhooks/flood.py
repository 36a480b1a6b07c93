"""Unauthenticated messages that name the same order.

Beyond a few, one look-up is made for all of them.
"""

import asyncio
from collections import Counter, OrderedDict
from itertools import repeat
from typing import TypeAlias

from ..models import Event, log
from ..primitives.redaction import shown

MAX_SAME_NAME = 4  # such messages in hand at once
HOUR_SECONDS = 3600.0
Names: TypeAlias = frozenset[tuple[str, str]]  # accounts, each with an id of any sort
MAX_REMEMBERED = 1000  # errors that were logged, and are not logged again for an hour


class FloodCounter:
    """Counts the messages in hand by the ids that they name.

    Messages with one id in common count together, even if their other ids differ.
    """

    def __init__(self) -> None:
        self._named: Counter[tuple[str, str]] = Counter()

    def enter(self, named: Names) -> None:
        """Count an unauthenticated message, by the ids that it names."""
        self._named.update(named)

    def leave(self, named: Names) -> None:
        """Stop counting a message."""
        for name in named:
            self._named[name] -= 1
            if not self._named[name]:
                del self._named[name]

    def full(self, named: Names) -> bool:
        """Return whether enough messages in hand already name one of these ids."""
        return max(map(self._named.__getitem__, named), default=0) >= MAX_SAME_NAME


def names(event: Event) -> Names:
    """Return the ids that a message names; none, if the message is authenticated."""
    if event.authenticated:
        return frozenset()
    claims = event.claims
    # A collect and a payout may have the same reference.
    ours = claims.reference and f"{event.kind} {claims.reference}"
    given = filter(None, {ours, claims.provider_reference, *claims.ids.values()})
    return frozenset(zip(repeat(event.account), given, strict=False))


class HourlyLog:
    """Logs an error once an hour: unauthenticated messages must not fill the disk with logs."""

    def __init__(self) -> None:
        self._said: OrderedDict[tuple[str, str | None], float] = OrderedDict()

    def error(self, said: str, about: str | None) -> None:
        """Log an error about an order, unless the same one was logged within the last hour."""
        now, key = asyncio.get_running_loop().time(), (said, about)
        if key in self._said and now - self._said[key] < HOUR_SECONDS:
            return
        self._said[key] = now
        self._said.move_to_end(key)
        if len(self._said) > MAX_REMEMBERED:
            self._said.popitem(last=False)
        log.error("%s%s", said, f" (order {shown(about)})" if about else "")
