"""What the Merchant API refuses, by its stable codes.

https://github.com/suntechdevs/paycfa merchant-api/errors.md @585cc6f: "always dispatch on `code`".
"""

from collections.abc import Mapping
from typing import Any

from ...errors import AuthenticationFailed, NotFound, ProviderError, Rejected
from ...http import Request, Response
from ...models import Reason
from ..base import Duplicate, NotJoining
from .answers import Answer

# The codes of a request that was not taken, by the status that the page gives them.
_CREDENTIALS: Mapping[int, frozenset[str]] = {
    401: frozenset({"missing_api_key", "invalid_api_key", "signature_invalid"}),
    403: frozenset({"merchant_inactive", "ip_allowlist_empty", "ip_not_allowed"}),
}
_REFUSED: Mapping[str, Reason] = {
    "missing_idempotency_key": Reason.OTHER,
    "invalid_idempotency_key": Reason.OTHER,
    "validation_error": Reason.OTHER,
    "invalid_body": Reason.OTHER,
    "unknown_currency": Reason.OTHER,
    "missing_invoice": Reason.OTHER,
    "not_refundable": Reason.OTHER,
    "amount_too_small": Reason.LIMIT,
    "amount_too_large": Reason.LIMIT,
}
_UNKNOWN = frozenset({"transaction_not_found", "operation_not_found"})
_HINTS: Mapping[str, str] = {
    "signature_invalid": " (wrong secret_key, or a clock that is 5 minutes off)",
    "ip_allowlist_empty": " (dashboard, Développeurs, IPs autorisées)",
    "ip_not_allowed": " (dashboard, Développeurs, IPs autorisées)",
}


def refusal(request: Request[Any], reply: Response) -> ProviderError | None:
    """Return the error of a listed code with its status; NotJoining: the store of keys is away."""
    said = reply.read(Answer)
    code = said.code if said is not None and said.error is True else None
    if said is None or code is None:
        return None
    message = f"{said.message or code}{_HINTS.get(code, '')}"
    if code in _CREDENTIALS.get(reply.status, ()):
        return AuthenticationFailed(message, code=code)
    if reply.status == 409 and code == "idempotency_conflict":
        return Duplicate(message, code=code)
    if reply.status == 404 and code in _UNKNOWN:
        # refunds.md: a refund of an unknown transaction is refused before an operation is made.
        return Rejected(message, code=code) if request.money else NotFound(message, code=code)
    if reply.status == 400 and code in _REFUSED:
        return Rejected(message, code=code, reason=_REFUSED[code])
    if reply.status == 500 and code == "idempotency_error" and request.money:
        # The page says to try again after some seconds; but without its store nothing would tell
        # a repeat from another order.
        raise NotJoining("Intram's store of keys is away")
    return None
