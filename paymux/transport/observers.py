"""What an observer is, and what it is told of each verb and of each attempt on the wire."""

from typing import Any, Literal, Protocol, TypeAlias, TypeVar

import msgspec

from ..errors import UsageError
from ..primitives import coerce
from ..values.validation import checked_function, checked_protocol

B = TypeVar("B")

AttemptOutcome: TypeAlias = Literal[
    "answer", "not_sent", "stale", "throttled", "duplicate", "refused", "unknown"
]


class VerbBegan(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """A verb that begins. It has no number, no id and no credential of the payment."""

    provider: str
    account: str
    operation: str  # collect, payout, refund, verify, find, balance, …, and login
    live: bool
    # yours, only for an observer with `references = True`
    reference: str | None = None


class AttemptEnded(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An attempt of a verb that ended: one request, and its response if there was one."""

    method: str
    # The path below the account's base URL, with the names of ids for the ids. Empty: not known,
    # because a caller's own request (`send`) has no ids apart from its path.
    template: str
    host: str
    port: int
    resend_count: int  # how often this request was sent before, in the same verb
    outcome: AttemptOutcome
    sent: bool  # whether the provider may have received it
    status: int | None  # the HTTP status; None: no response
    error: str | None  # an HTTP status, the class of an error, or the outcome; None: an answer
    duration: float  # seconds from the begin of the attempt, after any wait for the rate limit


class VerbEnded(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """The end of a verb."""

    # The payment's status, or "answered"; after an error "not_sent", "unknown", "unavailable",
    # "throttled", "not_found", "refused", "mismatch", "usage", "interrupted" or "error".
    outcome: str
    sent: bool  # whether the provider may have received any request of it
    error: str | None  # the name of the error's class
    duration: float  # seconds of the whole verb: login, waits and attempts


class AccountLoad(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """What the watches of an account do in this process now."""

    provider: str
    account: str
    live: bool
    # payments that are watched: by the pool's Notifier or Webhooks, and by callers of `watch`
    open_orders: int
    lag: float  # seconds by which the look-ups of these watches are late


class Observer(Protocol[B]):
    """Is told what a pool does: `Pool(observers=[…])`.

    Each verb that has something to ask a provider begins, has any number of attempts, and ends;
    what `begin` returns is given to the others. A login is a verb of its own. A call that is
    answered from the journal, or shares the request of another call, begins nothing, and neither
    does the WebSocket of a provider that pushes. An observer with `references = True` gets your
    reference of each verb, too.

    All are plain functions, called in the event loop: what takes long belongs in a queue. What an
    observer raises is logged once and changes nothing, but for KeyboardInterrupt and SystemExit.

    An observer that has `gauges(read)`, too, is given a function that it may call at any time, from
    any thread: it returns the load of each account that has watches, or None once the pool is gone.
    """

    def begin(self, verb: VerbBegan, /) -> B:
        """Begin a verb; return what the other two are given."""
        ...

    def attempt(self, begun: B, attempt: AttemptEnded, /) -> object:
        """Take an attempt that ended."""
        ...

    def end(self, begun: B, end: VerbEnded, /) -> object:
        """End a verb."""
        ...


def checked_observers(observers: object) -> list[Any]:
    """Return the observers of a list or tuple; UsageError: one of them is none."""
    accepted = "observers, each with plain functions begin, attempt and end"
    found = coerce.sequence(observers)
    if found is None:
        raise UsageError.field("observers", observers, f"a list of {accepted}")
    for one in found:
        checked_protocol("observers", one, Observer, accepted)
        for name in ("begin", "attempt", "end"):
            checked_function(f"observers.{name}", _method(one, name), "an observer", wait=False)
    return found


def _method(observer: object, name: str) -> object:
    try:
        return getattr(observer, name)
    except Exception:  # noqa: BLE001 - it may be a class of the caller
        return None
