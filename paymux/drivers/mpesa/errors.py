"""The refusals of Daraja's gateway, by endpoint and message: one code has several meanings."""

from typing import Any

from ...errors import AuthenticationFailed, ProviderError, RateLimited, Rejected
from ...http import Request, Response
from ...models import Reason

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


def refusal(
    request: Request[Any], reply: Response, code: str | None, said: str
) -> ProviderError | None:
    """Return the error that a code and its message certainly mean at this endpoint, or None."""
    words = said.lower()
    asked = request.path.rpartition("/")[2]
    # Integrators' code received an empty body from the live host, and
    # https://pypi.org/project/mpesakit/ expects one.
    if asked == "generate" and reply.status == 400 and (code or not reply.body.strip()):
        why = "consumer key or secret is wrong, or of the other environment"
        return AuthenticationFailed(said or why)
    match code:
        case "401.002.01" | "401.003.01" | "404.001.03" | "400.003.01":
            return AuthenticationFailed(said)
        case "400.002.02" | "400.002.05":
            _, named, field = said.partition("Invalid ")
            return Rejected(said, details={"field": field} if named else None)
        case "500.003.02" | "500.003.03":
            # "System is busy", with the same code, does not prove that nothing was started.
            if not request.money or "spike arrest" in words or "quota" in words:
                return RateLimited(said)
        case "500.001.1001" if asked in ("processrequest", "query"):
            return _express(asked, said, words)
    return None


def _express(asked: str, said: str, words: str) -> Rejected | None:
    """Return what M-Pesa Express means by its one code for all errors."""
    if "merchant does not exist" in words:
        return Rejected(f"{said}: the shortcode is unknown in this environment")
    if "wrong credentials" in words:  # about Password, not about the token
        why = "passkey and shortcode do not belong together, or not in this environment"
        return Rejected(f"{said}: {why}")
    if "unable to lock subscriber" in words and asked == "processrequest":
        return Rejected(said, reason=Reason.BUSY)
    return None
