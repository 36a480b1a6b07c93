"""Operations for the journal's thread, and their callers."""

import asyncio
import contextlib
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, NamedTuple, Protocol

import msgspec

from ..errors import PaymuxError
from .database import Operation

LOCK_WAIT_SECONDS = 10.0  # seconds that an operation waits for a journal that is locked or away
RETRY_SECONDS = 1.0  # seconds until a write that must not be lost is tried again

CANNOT_TELL = object()  # returned by a glance that cannot answer


class Work(msgspec.Struct, eq=False):
    """An operation, and the future of its caller."""

    do: Operation[Any]
    peek: Operation[Any] | None = None  # what can be read of a locked file
    durable: bool = False  # it is tried until it is durable
    read_only: bool = False
    # It reads or tells by single statements, which need no transaction around them.
    alone: bool = False
    then: Callable[[], None] | None = None  # called in the journal's thread once it is durable
    # called in the loop with its result after that, cancelled or not
    after: Callable[[Any], None] | None = None
    # What undoes it, if it turns out to be durable after its caller got an error.
    undo: Callable[[Any], Operation[Any]] | None = None
    # what its caller awaits, in the caller's loop; None: it has no caller
    done: "asyncio.Future[Any] | None" = None
    until: float = 0.0  # when its caller gets an error if the file is locked


class Answer(NamedTuple):
    """The result of an operation."""

    work: Work
    result: Any = None
    error: BaseException | None = None

    @property
    def failed(self) -> bool:
        """Return whether a retry may succeed; what paymux itself refuses stays refused."""
        return self.error is not None and not isinstance(self.error, PaymuxError)


def deliver(answers: list[Answer]) -> None:
    """Hand the results to their callers, each in the caller's own loop."""
    by_loop: dict[asyncio.AbstractEventLoop, list[Answer]] = {}
    for answer in answers:
        if answer.work.done is not None:
            by_loop.setdefault(answer.work.done.get_loop(), []).append(answer)
    for loop, own in by_loop.items():
        # A closed loop has no waiting callers.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(settle, own)


def settle(answers: list[Answer]) -> None:
    """Set the results in their loop; one wake-up for all, as each writes a byte to a socket."""
    for work, result, error in answers:
        if error is None and work.after is not None:
            work.after(result)
        if work.done is None or work.done.done():
            continue
        if error is not None:
            work.done.set_exception(error)
        else:
            work.done.set_result(result)


class Runner(Protocol):
    """Owns a database in the journal's thread, and runs the operations that are queued."""

    # returns periodic work, or None
    pulse: "Callable[[], Operation[None] | None] | None"

    def run(self, queue: "SimpleQueue[Work | None]") -> None:
        """Run what is queued until the end is asked for, in the journal's thread."""
        ...

    def rest(self) -> None:
        """Close the database before a fork."""
        ...

    def resume(self) -> None:
        """Let the thread continue after a fork, in the parent."""
        ...

    def leave(self) -> None:
        """Leave everything to the parent, in its child."""
        ...
