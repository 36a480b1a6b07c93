"""Telling the observers of a pool: they are never felt, whatever they do.

A pool without observers imports nothing of this.
"""

import asyncio
import re
import time
import traceback
from collections.abc import Awaitable, Callable, Sequence
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar
from urllib.parse import urlsplit

from ..drivers.base import Driver
from ..errors import (
    Mismatch,
    NotFound,
    NotSent,
    OutcomeUnknown,
    PaymuxError,
    ProviderError,
    RateLimited,
    Unavailable,
    UsageError,
)
from ..http import Request
from ..models import Payment, Status, log
from ..primitives import coerce
from .attempt import Attempt
from .observers import AccountLoad, AttemptEnded, VerbBegan, VerbEnded
from .outcome import Means

if TYPE_CHECKING:
    from .call import Call

T = TypeVar("T")

# Gives accounts with their open watches and their lag; None: the pool is gone.
Loads: TypeAlias = Callable[[], Sequence[tuple[Driver, int, float]] | None]


class Observers:
    """The observers of one pool."""

    def __init__(self, observers: Sequence[Any], loads: Loads) -> None:
        self._all = [_Guarded(one) for one in observers]
        self._servers: dict[str, tuple[str, int]] = {}
        for one in self._all:
            one.read_gauges(partial(_loads, loads))

    async def perform(self, call: "Call", method: Callable[[], Awaitable[T]]) -> T:
        """Run a verb, and tell its begin and its end."""
        verb = call.observed = ObservedVerb(self._all, call, self._server(call))
        failure: BaseException | None = None
        try:
            found = await method()
        except BaseException as error:  # noqa: BLE001 - raised again, when its end was told
            failure = error
        call.observed = None
        # Told outside the `except`: an error of an observer must not have this one as its context.
        if failure is None:
            verb.returned(found)
            return found
        try:
            verb.failed(failure)
            raise failure
        finally:
            del failure  # its traceback refers to this frame

    def _server(self, call: "Call") -> tuple[str, int]:
        driver = call.driver
        server = self._servers.get(driver.account)
        if server is None:
            url = urlsplit(driver.url)
            server = url.hostname or "", url.port or (80 if url.scheme == "http" else 443)
            self._servers[driver.account] = server
        return server


def _loads(loads: Loads) -> list[AccountLoad] | None:
    found = loads()
    if found is None:
        return None
    return [
        AccountLoad(
            provider=driver.name,
            account=driver.account,
            live=driver.live,
            open_orders=watches,
            lag=lag,
        )
        for driver, watches, lag in found
    ]


class ObservedVerb:
    """One verb, and the observers that began it."""

    def __init__(self, observers: "list[_Guarded]", call: "Call", server: tuple[str, int]) -> None:
        self._server = server
        self._deadline = call.deadline
        self._is_send = call.verb == "send"
        self._request: Request[Any] | None = None
        self._sent = False
        self._began = time.perf_counter()
        driver = call.driver
        began = partial(
            VerbBegan,
            provider=driver.name,
            account=driver.account,
            operation=call.verb,
            live=driver.live,
        )
        self._begun: list[tuple[_Guarded, object]] = []
        for one in observers:
            found = one.tell("begin", began(reference=call.reference if one.references else None))
            if found is not _FAILED:
                self._begun.append((one, found))

    def attempt_began(self, request: Request[Any], attempt: Attempt) -> None:
        """Begin an attempt; if nothing says what it means, it was interrupted."""
        self._request, self._attempt, self._attempted = request, attempt, time.perf_counter()

    def attempt_ended(self, means: Means) -> None:
        """Tell an attempt that ended, and what it means."""
        self._tell_attempt(means, _error(self._attempt, means))

    def returned(self, found: object) -> None:
        """Tell the end of a verb that returned something."""
        status = found.status if coerce.is_a(found, Payment) else None
        self._end(status.value if type(status) is Status else "answered", None)

    def failed(self, failure: BaseException) -> None:
        """Tell the end of a verb that raised an error, and its attempt if that was cut off."""
        if isinstance(failure, StopAsyncIteration):  # the last page of a history was read before
            self._end("answered", None)
            return
        name = type(failure).__name__
        if self._request is not None:
            means = Means.UNKNOWN if self._attempt.outgoing.may_have_left else Means.NOT_SENT
            self._tell_attempt(means, self._interruption(failure))
        self._end(_outcome(failure), name)

    def _interruption(self, failure: BaseException) -> str:
        """Return what cut an attempt off: a cancellation, the deadline, or an unknown error."""
        if not isinstance(failure, PaymuxError):
            return type(failure).__name__
        late = asyncio.get_running_loop().time() >= self._deadline
        return TimeoutError.__name__ if late else "no_response"

    def _tell_attempt(self, means: Means, error: str | None) -> None:
        request, attempt = self._request, self._attempt
        if request is None:
            return
        self._request = None
        sent = attempt.reply is not None or attempt.outgoing.may_have_left
        self._sent = self._sent or sent
        outcome: Any = means.name.lower()
        self._tell(
            "attempt",
            AttemptEnded(
                method=request.method,
                template=self._template(request),
                host=self._server[0],
                port=self._server[1],
                resend_count=attempt.number - 1,
                outcome=outcome,
                sent=sent,
                status=attempt.status,
                error=error,
                duration=time.perf_counter() - self._attempted,
            ),
        )

    def _template(self, request: Request[Any]) -> str:
        if self._is_send and not request.at:
            return ""  # the caller may have written an id into the path
        return _template(request.path)

    def _end(self, outcome: str, error: str | None) -> None:
        duration = time.perf_counter() - self._began
        self._tell(
            "end", VerbEnded(outcome=outcome, sent=self._sent, error=error, duration=duration)
        )

    def _tell(self, method: str, what: AttemptEnded | VerbEnded) -> None:
        # The last that began comes first: what two observers set and reset is nested.
        for one, begun in reversed(self._begun):
            one.tell(method, begun, what)


_FAILED = object()


class _Guarded:
    """An observer whose errors end here; the first one is logged."""

    def __init__(self, observer: Any) -> None:
        self._observer = observer
        self._logged = False
        self.references = self._has("references") is True

    def _has(self, name: str) -> object:
        try:
            return getattr(self._observer, name, None)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # noqa: BLE001 - a class of the caller may raise anything
            self._log(name, error)
            return None

    def read_gauges(self, read: Callable[[], list[AccountLoad] | None]) -> None:
        """Give an observer that has gauges the function to read them."""
        if callable(self._has("gauges")):
            self.tell("gauges", read)

    def tell(self, method: str, *args: object) -> object:
        """Call one of its functions, and return what it returns, or _FAILED.

        These are plain functions, which no task's cancellation reaches: a CancelledError is an
        error of the observer. Only the two by which a process is ended go through.
        """
        try:
            return getattr(self._observer, method)(*args)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # noqa: BLE001 - an observer changes nothing
            self._log(method, error)
            return _FAILED

    def _log(self, method: str, error: BaseException) -> None:
        if self._logged:
            return
        self._logged = True
        try:
            log.error(
                "an observer failed, and later failures of it are not logged: %s",
                _described(self._observer, method, error),
            )
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException:  # noqa: BLE001 - a filter or a handler of the program failed
            return


def _described(observer: object, method: str, error: BaseException) -> str:
    """Return the class and the place of an error only: its text may hold anything, or raise."""
    try:
        where = traceback.extract_tb(error.__traceback__)[-1]
        failed = f"{type(observer).__name__}.{method}: {type(error).__name__}"
        return f"{failed} ({where.filename}:{where.lineno})"
    except Exception:  # noqa: BLE001 - the class of an error may raise anything
        return f"{method}: an error that cannot be described"


# A word of an API (also b2c, createStandingOrder), a version, an id's name; others may be ids.
_WORD = r"(?:[a-z][a-z_-]{0,39})?|[a-z]{2,12}(?:[A-Z][a-z]{2,11}){1,4}|[a-z]2[a-z]{1,9}"
_SEGMENT = re.compile(rf"{_WORD}|v[0-9]{{1,2}}(_[0-9])?|\{{\w{{1,40}}\}}")


@lru_cache(maxsize=256)
def _template(path: str) -> str:
    """Return a path without its query, and with the names of ids for the ids."""
    segments = path.partition("?")[0].split("/")
    return "/".join(one if _SEGMENT.fullmatch(one) else "{id}" for one in segments)


# What a connection says of a failure begins with the name of an error's class. Another text may
# come from a connection that is not ours, and may hold anything.
_CLASS = re.compile(r"([A-Z][A-Za-z]{2,60}(?:Error|Disconnected|Mismatch))(?: \([A-Za-z]+\))?")


def _error(attempt: Attempt, means: Means) -> str | None:
    """Return what was wrong with an attempt, in few different words."""
    status = attempt.status
    if status is None:
        named = _CLASS.fullmatch(attempt.why)
        return named[1] if named else "no_response"
    if means is Means.ANSWER:
        return None
    return str(status) if status >= 400 else means.name.lower()


_OUTCOMES: tuple[tuple[type[BaseException], str], ...] = (
    (NotSent, "not_sent"),
    (OutcomeUnknown, "unknown"),
    (Unavailable, "unavailable"),
    (RateLimited, "throttled"),
    (NotFound, "not_found"),
    (ProviderError, "refused"),
    (Mismatch, "mismatch"),
    (UsageError, "usage"),
    (asyncio.CancelledError, "interrupted"),
    (GeneratorExit, "interrupted"),
)


def _outcome(failure: BaseException) -> str:
    return next((word for kind, word in _OUTCOMES if isinstance(failure, kind)), "error")
