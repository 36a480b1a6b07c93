"""What the outcome of one attempt means: the outcome table, as one pure function."""

import enum
from typing import Any, TypeVar

import msgspec

from ..drivers.base import Driver, Duplicate, NotJoining
from ..errors import AuthenticationFailed, CredentialRefused, ProviderError, RateLimited
from ..http import Request, Response
from ..values.parsing import Unreadable

R = TypeVar("R")


class Means(enum.Enum):
    """What the outcome of one attempt means."""

    ANSWER = "a readable answer to this request"
    NOT_SENT = "the provider never saw it"
    STALE = "refused: the token is stale"
    THROTTLED = "refused before processing: too many requests"
    DUPLICATE = "an earlier request with our reference exists"
    REFUSED = "refused for certain"
    UNKNOWN = "anything may have happened"


class Verdict(msgspec.Struct, frozen=True):
    """A meaning, with its typed answer or provider's error, or why there is neither."""

    means: Means
    answer: Any = None
    error: ProviderError | None = None
    why: str = ""
    joins: bool = True  # False: the provider says that it recognises no repeated request now


def decide(
    driver: Driver, request: Request[R], reply: Response | None, *, left: bool = True
) -> Verdict:
    """Return what one attempt means: the outcome table, checked from the first row to the last.

    | outcome                                                            | verdict   |
    |--------------------------------------------------------------------|-----------|
    | no complete response, the attempt started, and no byte of it left  | NOT_SENT  |
    | no complete response: cut off, timed out, garbage                  | UNKNOWN   |
    | `judge` is sure: the token is stale                                | STALE     |
    | `judge` is sure: throttled before processing                       | THROTTLED |
    | `judge` is sure: it had a request with our reference before        | DUPLICATE |
    | `judge` is sure: any other refusal                                 | REFUSED   |
    | readable 2xx, or a status in `accept`, that `matches`              | ANSWER    |
    | everything else: unreadable, 3xx, HTML, 408, 409, 423, 425, 5xx, … | UNKNOWN   |

    What follows from a verdict differs for look-ups, for money that the provider deduplicates on
    our reference, and for other money; `Call` has that half of the table. A money request that is
    UNKNOWN is never sent again unless the provider deduplicates it, and does so now (`NotJoining`).
    One that is DUPLICATE is unknown at once and never sent again: the caller that has the payment
    looks up what became of the earlier request.
    """
    if reply is None:
        return Verdict(Means.UNKNOWN if left else Means.NOT_SENT)
    try:
        error = driver.judge(request, reply)
        if error is not None:
            error.http_status = reply.status
            if isinstance(error, AuthenticationFailed) and not isinstance(error, CredentialRefused):
                return Verdict(Means.STALE, error=error)
            if isinstance(error, RateLimited):
                return Verdict(Means.THROTTLED, error=error)
            if isinstance(error, Duplicate):
                return Verdict(Means.DUPLICATE, error=error)
            return Verdict(Means.REFUSED, error=error)
        if 200 <= reply.status < 300 or reply.status in request.accept:
            answer = reply.answer(request.type)
            if request.matches is None or request.matches(answer):
                return Verdict(Means.ANSWER, answer)
            return Verdict(Means.UNKNOWN, why="the answer is about something else")
    except NotJoining as error:
        return Verdict(Means.UNKNOWN, why=str(error), joins=False)
    except Unreadable as error:
        return Verdict(Means.UNKNOWN, why=str(error))
    return Verdict(Means.UNKNOWN)
