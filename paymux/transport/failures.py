"""What the failure of a request means to its caller: the error of a paymux verb."""

from typing import TYPE_CHECKING, Any

from ..errors import NotSent, OutcomeUnknown, ProviderError, RateLimited, Unavailable
from ..http import Request, Response, ResponseTooLarge
from .attempt import Attempt, without_account
from .outcome import Means, Verdict
from .retries import retry_after

if TYPE_CHECKING:
    from .call import Call


def failure(
    call: "Call", request: Request[Any], attempt: Attempt, verdict: Verdict, lost: str | None
) -> Exception:
    """Return the error of a request that is not sent again.

    `lost`: what is known of an attempt that may have moved money; None: there was none.
    """
    what = f"{call.driver.account}: {request.method} {request.path}"
    if verdict.means is Means.DUPLICATE and verdict.error is not None:
        error = _completed(call, verdict.error, attempt.reply)
        return _had_before(what, without_account(call.driver.account, error), request)
    said = call.response.scrub(attempt.said if lost is None else lost)
    if lost is not None:
        return OutcomeUnknown(f"{what}: {said}; the outcome is unknown")
    if verdict.error is not None:
        return _completed(call, verdict.error, attempt.reply)
    if verdict.means is Means.NOT_SENT:
        return NotSent(f"{what}: {said}; nothing was sent")
    kind = ResponseTooLarge if attempt.too_large else Unavailable
    return kind(f"{what}: {said}", http_status=attempt.status)


def _completed(call: "Call", error: ProviderError, reply: Response | None) -> ProviderError:
    """Complete a provider's error with account and reference, and remove secrets from it."""
    error.account, error.provider = call.driver.account, call.driver.name
    error.reference = call.reference
    call.response.scrub_error(error, raw=call.signs)
    if isinstance(error, RateLimited) and error.retry_after is None and reply is not None:
        error.retry_after = retry_after(reply)
    return error


def _had_before(what: str, said: str, request: Request[Any]) -> Exception:
    """Return the error of a provider that has had a request with our reference before."""
    if request.money:
        return OutcomeUnknown(
            f"{what}: the provider has had this reference before ({said}); what became of it "
            "is unknown, so look it up, and do not send the order again under another "
            "reference"
        )
    return Unavailable(f"{what}: {said}")
