"""When a request may be sent again, and after which pause."""

import time
from collections.abc import Iterator, Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Any

import msgspec

from ..errors import ProviderError, RateLimited
from ..http import Request, Response
from .outcome import Means, Verdict


class Tries(msgspec.Struct):
    """What was tried for one request."""

    number: int = 0  # attempts
    repeats: int = 0  # failed attempts, but for those with a stale token
    renewals: int = 0  # tokens that were dropped for it
    unknown: bool = False  # whether one of them may have moved money
    steps: Iterator[float] | None = None  # the pauses that follow
    # The loop's time and the wall's before the first attempt, where repeats are limited in time.
    began: tuple[float, float] | None = None

    def forgotten(self, seconds: float, now: float) -> bool:
        """Return whether the provider may have forgotten an attempt whose outcome is unknown.

        `seconds`: for how long it knows a request again.

        By both clocks: the loop's stands still while a machine is suspended, and the wall's may be
        set back.
        """
        read = (now, time.time())
        if self.began is None:
            self.began = read
        passed = max(abs(one - first) for one, first in zip(read, self.began, strict=True))
        return self.unknown and passed >= seconds


def may_retry(request: Request[Any], verdict: Verdict) -> bool:
    """Return whether the outcome table allows this request to be sent again."""
    if verdict.means in (Means.NOT_SENT, Means.THROTTLED):
        return True
    joins = request.repeatable and verdict.joins
    harmless = not request.money and not request.once
    return verdict.means is Means.UNKNOWN and (harmless or joins)


def backoff_pauses(factor: float, longest: float) -> Iterator[float]:
    """Yield the seconds to wait before each retry: exponential backoff with full jitter."""
    import backoff  # noqa: PLC0415 - takes 2 ms, and is not needed before the first retry

    steps: Iterator[float] = backoff.expo(base=2, factor=factor, max_value=longest)
    next(steps)
    return map(backoff.full_jitter, steps)


def requested_pause(reply: Response | None, error: ProviderError | None) -> float | None:
    """Return the seconds that a refusal or a response asks us to wait; None: it does not ask."""
    if isinstance(error, RateLimited) and error.retry_after is not None:
        return error.retry_after
    return retry_after(reply) if reply is not None else None


def retry_after(reply: Response) -> float | None:
    """Read `Retry-After` as seconds, from 0 to a day.

    It is digits, or a date, which is compared with the response's own `Date`.
    """
    text = reply.headers.get("retry-after", "").strip()
    if text.isascii() and text.isdigit():
        return float(min(int(text), 86_400)) if len(text) < 7 else 86_400.0
    until, now = _date(reply.headers, "retry-after"), _date(reply.headers, "date")
    if until is None:
        return None
    return min(max(until - (time.time() if now is None else now), 0.0), 86_400.0)


def _date(headers: Mapping[str, str], name: str) -> float | None:
    try:
        found = parsedate_to_datetime(headers.get(name, ""))
        return (found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
