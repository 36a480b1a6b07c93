"""The questions of a pool without a journal, in memory until the process ends."""

import copy
from collections import OrderedDict
from collections.abc import Collection

from ...primitives.clock import wall_time
from ..questions import KEPT_SECONDS, Asked, Heard

_HERE = "here"  # the only worker


class LocalQuestions:
    """The questions of one pool: their answers must come to the same process."""

    def __init__(self) -> None:
        self._asked: OrderedDict[str, Asked] = OrderedDict()  # by nonce; the oldest first

    async def begin(self, asked: Asked) -> None:
        """Note a question before it is sent; old ones are deleted."""
        old = wall_time().timestamp() - KEPT_SECONDS
        while self._asked and (first := next(iter(self._asked.values()))).expires < old:
            del self._asked[first.nonce]
        asked.worker = _HERE
        self._asked[asked.nonce] = asked

    async def look(self, nonce: str) -> Asked | None:
        """Return a question as it is now."""
        return self._asked.get(nonce)

    async def acknowledge(self, nonce: str, named: str) -> str | None:
        """Note the id of the acknowledgement; return the answer, if it came before."""
        asked = self._asked.get(nonce)
        return None if asked is None else asked.acknowledge(named)

    async def give_up(self, nonce: str) -> str | None:
        """Stop waiting, unless there is an answer: return that."""
        asked = self._asked.get(nonce)
        return None if asked is None else asked.give_up()

    def forget(self, nonce: str) -> None:
        """Delete a question that was not acknowledged."""
        self._asked.pop(nonce, None)

    def release(self, nonce: str) -> None:
        """Leave a question, and its answer, to be claimed."""
        if (asked := self._asked.get(nonce)) is not None:
            asked.end(done=False)

    async def hear(self, nonce: str, named: str, text: str, *, waits: bool) -> Heard:
        """Take a message."""
        asked = self._asked.get(nonce)
        return Heard.UNKNOWN if asked is None else asked.hear(named, text, _HERE, lambda _: waits)

    async def time_out(self, nonce: str) -> bool:
        """Note that the provider sent a time-out."""
        asked = self._asked.get(nonce)
        return asked is not None and asked.time_out()

    async def claim(self, accounts: Collection[str], count: int) -> list[Asked]:
        """Claim answers for which no verb waits, and that are not being applied."""
        found: list[Asked] = []
        for asked in self._asked.values():
            left = asked.answer is not None and not asked.over and asked.worker is None
            if left and asked.account in accounts and len(found) < count:
                asked.worker = _HERE
                found.append(copy.copy(asked))
        return found

    async def end(self, nonce: str, *, done: bool) -> None:
        """Let go of a claimed answer."""
        if (asked := self._asked.get(nonce)) is not None:
            asked.end(done=done)
