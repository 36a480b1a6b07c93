"""What a refusal of Wave's proves: https://docs.wave.com/payout, "errors" and "retries"."""

from collections.abc import Mapping
from typing import Any

from ...errors import AuthenticationFailed, NotFound, ProviderError, RateLimited, Rejected
from ...http import Request, Response
from ...values.parsing import Empty, Unreadable
from ..base import Duplicate
from .answers import KEY_REFUSALS, REFUSALS, Refusal

# Whatever a refused look-up says, it says nothing of the payment.
_LOOK_UPS: Mapping[int, type[ProviderError]] = {400: Rejected, 404: NotFound, 409: Rejected}
_OPEN = (408, 429)  # "the transaction is in an unknown state": mark it as pending


def refusal(request: Request[Any], reply: Response) -> ProviderError | None:
    """Return the error of a listed code; for money, an unlisted one proves nothing.

    A payout that may exist is not refused by 429: "mark it as pending rather than failed".
    """
    if request.type is Empty and request.money and 200 < reply.status < 300:
        raise Unreadable(f"HTTP {reply.status}, where the page has 200 without a body")
    told = reply.read(Refusal) or Refusal()
    code, message = None if told.id else told.word, told.said
    if code is None or reply.status >= 500:
        return None
    if KEY_REFUSALS.get(code) == reply.status:
        return AuthenticationFailed(message, code=code)
    if not request.money:
        kind = _LOOK_UPS.get(reply.status)
        return kind(message, code=code) if kind else None
    if code == "too-many-requests" and reply.status == 429:
        return None if request.repeatable else RateLimited(message, code=code)
    if code == "idempotency-mismatch":
        # The key had another body, and that may have paid.
        return Duplicate(message, code=code)
    if code in REFUSALS and reply.status not in _OPEN:
        return Rejected(message, code=code, reason=REFUSALS[code])
    return None
