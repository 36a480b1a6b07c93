"""Faults planned by a test; the next matching request or webhook takes one."""

import enum
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import NoReturn

import msgspec

from ..errors import UsageError
from ..primitives import coerce
from ..values.arguments import moment, text, whole
from ..values.validation import checked_seconds
from .ledger import Entry


class Fault(enum.Enum):
    """One kind of fault."""

    @classmethod
    def _missing_(cls, value: object) -> NoReturn:
        raise UsageError.field("fault", value, "a member of Fault")

    DROP_BEFORE = "closed before the body was read: nothing was processed"
    DROP_AFTER = "processed, then closed without a byte of the answer"
    RESET = "half of the answer, then a TCP reset"
    TRUNCATE = "half of the announced body, then a clean end"
    GARBAGE = "an answer that is not HTTP"
    STALL = "no answer, for as long as the client waits"
    DRIP = "a body of one byte per `seconds`"
    ERROR = "an HTTP error without a provider's body: `status`, 500 by default"
    HTML = "an HTML page with `status`, 200 by default"
    REDIRECT = "a redirect with `status`, 302 unless told, to `location`"
    THROTTLE = "refused before processing, with Retry-After: `retry_after`"
    STALE_TOKEN = "refused before processing: the token is no longer good"
    WEBHOOK_LOST = "the message is never sent"
    WEBHOOK_LATE = "the message is sent after `seconds`"
    WEBHOOK_DUPLICATE = "the message is sent twice"
    WEBHOOK_FORGED = "a forged message that claims success comes first, then the true one"


_NEVER_PROCESSED = {Fault.DROP_BEFORE, Fault.THROTTLE, Fault.STALE_TOKEN}
_WEBHOOKS = {fault for fault in Fault if fault.name.startswith("WEBHOOK")}


def checked_kind(kind: object) -> Fault:
    """Return a kind of fault, also from its name in any case."""
    if type(kind) is Fault:
        return kind
    found = Fault.__members__.get((coerce.text(kind) or "").upper())
    if found is None:
        raise UsageError.field("kind", kind, ", ".join(fault.name for fault in Fault))
    return found


class Planned(msgspec.Struct, kw_only=True):
    """A planned fault; `times` counts down, and `fired` up. `n` is its number in its world."""

    provider: str
    match: str
    kind: Fault
    times: int = 1
    fired: int = 0
    processed: bool = True
    status: int | None = None
    seconds: float = 1.0
    retry_after: int | str | datetime = 1
    location: str = ""
    n: int = 0

    def fits_request(self, provider: str, method: str, path: str) -> bool:
        """Return whether a request matches `"POST /path/"`, `"POST"` or `"/path/"`; `""`: any."""
        wanted, part = self._wanted()
        return (
            self.kind not in _WEBHOOKS
            and provider == self.provider
            and wanted in ("", method)
            and part in f"{path.rstrip('/')}/"
        )

    def fits_webhook(self, entry: Entry) -> bool:
        """Return whether an order's webhook matches: one of its references, or `""` for any."""
        return (
            self.kind in _WEBHOOKS
            and entry.provider == self.provider
            and self.match in ("", entry.reference, entry.provider_reference)
        )

    def impossible(self) -> bool:
        """Return whether no request can match: `match` has neither a method nor a path."""
        wanted, part = self._wanted()
        return self.kind not in _WEBHOOKS and not (
            wanted in ("", wanted.upper()) and part[:1] in ("", "/")
        )

    def _wanted(self) -> tuple[str, str]:
        method, _, part = self.match.partition(" ")
        return ("", self.match) if self.match.startswith("/") else (method, part)

    def retry_after_header(self) -> str:
        """Return the header's value: seconds, an HTTP date, or the text that the test gave."""
        if isinstance(self.retry_after, datetime):
            return format_datetime(self.retry_after.astimezone(UTC), usegmt=True)
        return str(self.retry_after)


def _check_header(value: object) -> None:
    if coerce.whole(value) is None and coerce.text(value) is None:
        moment("retry_after", value)


class Faults:
    """The planned faults, oldest first."""

    def __init__(self, providers: Sequence[str]) -> None:
        self._providers = providers
        self._planned: list[Planned] = []
        self._count = 0
        # Called for each fault that is planned, happens, or is dropped.
        self.changed: Callable[[Planned], object] = id

    def plan(self, planned: Planned) -> None:
        """Plan a fault; one that can never happen is UsageError."""
        if coerce.text(planned.provider) not in self._providers:
            raise UsageError.field("provider", planned.provider, ", ".join(self._providers))
        planned.match, planned.location = (
            text("match", planned.match),
            text("location", planned.location),
        )
        planned.kind = checked_kind(planned.kind)
        planned.times = whole("times", planned.times, 1, 10**9)
        if type(planned.processed) is not bool:
            raise UsageError.field("processed", planned.processed, "True or False")
        if planned.status is not None:
            planned.status = whole("status", planned.status, 100, 599)
        planned.seconds = checked_seconds("seconds", planned.seconds)
        _check_header(planned.retry_after)
        if planned.impossible():
            raise UsageError.field("match", planned.match, "'POST /path/', 'POST', '/path/' or ''")
        if planned.kind in _NEVER_PROCESSED:
            planned.processed = False
        self._count += 1
        planned.n = self._count
        self._planned.append(planned)
        self.changed(planned)

    @property
    def planned(self) -> tuple[Planned, ...]:
        """The faults that are still to happen, oldest first."""
        return tuple(self._planned)

    def clear(self) -> None:
        """Drop what is planned."""
        for planned in self.planned:
            self.drop(planned.n)

    def drop(self, n: object) -> None:
        """Drop the planned fault with this number; UsageError: there is none."""
        found = next((one for one in self._planned if one.n == coerce.whole(n)), None)
        if found is None:
            accepted = ", ".join(str(one.n) for one in self._planned) or "none: none is planned"
            raise UsageError.field("n", n, accepted)
        self._planned.remove(found)
        found.times = 0
        self.changed(found)

    def for_request(self, provider: str, method: str, path: str) -> Planned | None:
        """Take the first fault that this request matches."""
        return self._take(lambda planned: planned.fits_request(provider, method, path))

    def for_webhook(self, entry: Entry) -> Planned | None:
        """Take the first fault that this order's webhook matches."""
        return self._take(lambda planned: planned.fits_webhook(entry))

    def _take(self, fits: Callable[[Planned], bool]) -> Planned | None:
        found = next((planned for planned in self._planned if fits(planned)), None)
        if found is not None:
            found.times -= 1
            found.fired += 1
            if not found.times:
                self._planned.remove(found)
            self.changed(found)
        return found
