"""The refusals of Daraja's gateway, by endpoint and message: one code has several meanings."""

from typing import Any

from ...errors import AuthenticationFailed, ProviderError, RateLimited, Rejected
from ...http import Request, Response
from ...models import Reason
from ..base import Duplicate
from .express import PUSH, QUERY
from .registration import REGISTER

# Throttling by Apigee, before Daraja: the faults of its policies SpikeArrest and Quota have these
# codes (https://docs.apigee.com/api-platform/reference/policies/spike-arrest-policy,
# .../quota-policy).
_THROTTLED = ("policies.ratelimit.SpikeArrestViolation", "policies.ratelimit.QuotaViolation")


def throttled(reply: Response) -> RateLimited | None:
    """Read a fault of Apigee, if the body is exactly its form, without other fields."""
    said = reply.read(dict[str, Any]) or {}
    fault = said.get("fault")
    words = fault.get("faultstring") if isinstance(fault, dict) else None
    for code in _THROTTLED:
        whole = {"fault": {"faultstring": words, "detail": {"errorcode": code}}}
        if isinstance(words, str) and said == whole:
            return RateLimited(words, code=code)
    return None


def duplicate(reply: Response) -> Duplicate | None:
    """Read that our OriginatorConversationID is that of an earlier request.

    It is told by the words alone: 500.002.1001 is "under maintenance", too, and one double answers
    200 with ResponseCode 1.
    """
    said = reply.read(dict[str, Any]) or {}
    for field in ("errorMessage", "ResponseDescription"):
        words = said.get(field)
        if isinstance(words, str) and "duplicate originatorconversationid" in words.lower():
            return Duplicate(words, code=str(said.get("errorCode") or said.get("ResponseCode")))
    return None


def refusal(
    request: Request[Any], reply: Response, code: str | None, said: str
) -> ProviderError | None:
    """Return the error that a code and its message certainly mean at this endpoint, or None."""
    words = said.lower()
    # Integrators' code received an empty body from the live host, and
    # https://pypi.org/project/mpesakit/ expects one.
    login = request.path.endswith("/generate")
    if login and reply.status == 400 and (code or not reply.body.strip()):
        why = "consumer key or secret is wrong, or of the other environment"
        return AuthenticationFailed(said or why)
    match code:
        case "401.002.01" | "401.003.01" | "404.001.03" | "400.003.01" | "401.001":
            return AuthenticationFailed(said)
        case "400.001" if not request.money:  # "Invalid ShortCode": /PullTransaction
            return Rejected(f"{said}: register it, `paymux run ACCOUNT register_pull`")
        case "500.003.1001" if request.path == REGISTER and "already registered" in words:
            return Rejected(f"{said} Once in production; then only Safaricom can change them")
        case "400.002.02" | "400.002.05":
            _, named, field = said.partition("Invalid ")
            return Rejected(said, details={"field": field} if named else None)
        case "404.001.01" | "404.002.01" | "404.003.01" | "405.001" if request.path != PUSH:
            return Rejected(f"{said}: the app lacks this product, or the address is wrong")
        case "500.003.02" | "500.003.03":
            # "System is busy", with the same code, does not prove that nothing was started.
            harmless = not request.money and not request.once
            if harmless or "spike arrest" in words or "quota" in words:
                return RateLimited(said)
        case "500.001.1001" if request.path in (PUSH, QUERY):
            return _express(request.path, said, words)
    return None


def _express(path: str, said: str, words: str) -> Rejected | None:
    """Return what M-Pesa Express means by its one code for all errors."""
    if "merchant does not exist" in words:
        return Rejected(f"{said}: the shortcode is unknown in this environment")
    if "wrong credentials" in words:  # about Password, not about the token
        why = "passkey and shortcode do not belong together, or not in this environment"
        return Rejected(f"{said}: {why}")
    if "unable to lock subscriber" in words and path == PUSH:
        return Rejected(said, reason=Reason.BUSY)
    return None
