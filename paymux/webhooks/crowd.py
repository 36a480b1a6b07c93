"""Messages that prove nothing and name one order: beyond a few, one question stands for them all."""

import asyncio
from collections import Counter, OrderedDict

from ..models import Event, log
from ..redact import shown

FEW = 4  # of them in hand at once
HOUR = 3600.0
MOST = 1000  # things said, and not said again for an hour


class Crowd:
    """Counts the messages in hand by what they name; whose claims differ in one name still share another."""

    def __init__(self) -> None:
        self._named: Counter[tuple[str, str]] = Counter()

    def enter(self, event: Event) -> None:
        """Count a message that proves nothing."""
        self._named.update(_names(event))

    def leave(self, event: Event) -> None:
        """Count it no more."""
        for name in _names(event):
            self._named[name] -= 1
            if not self._named[name]:
                del self._named[name]

    def full(self, event: Event) -> bool:
        """Tell whether a message is one of many."""
        return any(self._named[name] >= FEW for name in _names(event))


def _names(event: Event) -> set[tuple[str, str]]:
    if event.proved:
        return set()
    claims = event.claims
    named = {claims.reference, claims.provider_reference, *claims.ids.values()}
    return {(event.account, name) for name in named if name is not None}


class Once:
    """Says a thing once in an hour: what anybody may make us say would fill a disk."""

    def __init__(self) -> None:
        self._said: OrderedDict[tuple[str, str | None], float] = OrderedDict()

    def error(self, said: str, about: str | None) -> None:
        """Log an error about an order, unless the same was logged a moment ago."""
        now, key = asyncio.get_running_loop().time(), (said, about)
        if key in self._said and now - self._said[key] < HOUR:
            return
        self._said[key] = now
        self._said.move_to_end(key)
        if len(self._said) > MOST:
            self._said.popitem(last=False)
        log.error("%s%s", said, f" (order {shown(about)})" if about else "")
