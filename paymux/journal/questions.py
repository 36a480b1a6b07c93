"""Questions whose answers come as messages: what is known of each, and how it changes."""

import enum
from collections.abc import Callable, Collection
from typing import Protocol, TypeVar

import msgspec

from ..models import Payment

MAX_CANDIDATES = 4  # answers of one question that are kept before its acknowledgement is known
KEPT_SECONDS = 3600  # seconds for which a question is kept after its path has expired

T = TypeVar("T")


class Heard(enum.Enum):
    """What a message on the path of an answer turned out to be."""

    UNKNOWN = "of no question that is kept"
    WRONG = "without the id of the acknowledgement"
    USED = "after the answer"
    EARLY = "before the acknowledgement is known: kept"
    TAKEN = "the answer, for which a verb of this process waits"
    AWAITED = "the answer, for which a verb of another worker waits"
    LATE = "the answer, for which no verb waits: claimed by this worker"


_CHANGING = frozenset({Heard.EARLY, Heard.TAKEN, Heard.AWAITED, Heard.LATE})


class Asked(msgspec.Struct, kw_only=True):
    """A question, from before it is sent until an hour after its path has expired."""

    nonce: str
    account: str
    verb: str
    payment: Payment | None  # that it asks for; None: no payment, or one that a message claimed
    expires: int  # Unix seconds
    worker: str | None = None  # that waits for the answer, or applies one that came late
    named: str | None = None  # the id that the acknowledgement gave, and the answer must bear
    early: dict[str, str] = {}  # by their ids, messages that came before the acknowledgement
    answer: str | None = None  # the body, without the account's credentials
    timed_out: bool = False  # the provider sent a time-out: there may be no answer
    over: bool = False  # a verb has the answer, or it was applied
    credential: str = ""  # the digest of the one that it names, if any: a driver may be replaced

    def acknowledge(self, named: str) -> str | None:
        """Note the id of the acknowledgement; return the answer, if it came before."""
        self.named, self.answer, self.early = named, self.early.get(named), {}
        self.over = self.answer is not None
        return self.answer

    def hear(self, named: str, text: str, me: str, lives: Callable[[str | None], bool]) -> Heard:
        """Take a message; `lives` says whether a worker is alive and its verb still waits."""
        if self.answer is not None:
            return Heard.USED if named == self.named else Heard.WRONG
        if self.named is None:
            if named not in self.early and len(self.early) >= MAX_CANDIDATES:
                return Heard.WRONG
            self.early.setdefault(named, text)
            return Heard.EARLY
        if named != self.named:
            return Heard.WRONG
        self.answer = text
        if not lives(self.worker):
            self.worker = me
            return Heard.LATE
        self.over = self.worker == me
        return Heard.TAKEN if self.over else Heard.AWAITED

    def give_up(self) -> str | None:
        """Stop waiting, unless there is an answer."""
        self.over = self.answer is not None
        if not self.over:
            self.worker = None
        return self.answer

    def time_out(self) -> bool:
        """Note that the provider sent a time-out, which proves nothing."""
        self.timed_out = True
        return True

    def end(self, *, done: bool) -> None:
        """Let go of a question. done=False: its answer, if there is one, is left to any worker."""
        self.worker, self.over = None, done


class Questions(Protocol):
    """The store of questions. What cannot be stored or read is an OSError."""

    async def begin(self, asked: Asked) -> None:
        """Make a question durable before it is sent; old ones are deleted."""
        ...

    async def look(self, nonce: str) -> Asked | None:
        """Return a question as it is now."""
        ...

    async def acknowledge(self, nonce: str, named: str) -> str | None:
        """Note the id of the acknowledgement; return the answer, if it came before."""
        ...

    async def give_up(self, nonce: str) -> str | None:
        """Stop waiting, unless there is an answer: return that."""
        ...

    def forget(self, nonce: str) -> None:
        """Delete a question that was not acknowledged, without waiting for it."""
        ...

    def release(self, nonce: str) -> None:
        """Leave a question of this worker, and its answer, to any, without waiting for it."""
        ...

    async def hear(self, nonce: str, named: str, text: str, *, waits: bool) -> Heard:
        """Take a message. `waits`: a verb of this process waits for it."""
        ...

    async def time_out(self, nonce: str) -> bool:
        """Note that the provider sent a time-out; False: of no question that is kept."""
        ...

    async def claim(self, accounts: Collection[str], count: int) -> list[Asked]:
        """Claim up to `count` answers that no verb awaits and no worker applies."""
        ...

    async def end(self, nonce: str, *, done: bool) -> None:
        """Let go of a claimed answer. done=True: it was applied."""
        ...


def changes(heard: Heard) -> bool:
    """Return whether a message changes what is kept of its question."""
    return heard in _CHANGING
