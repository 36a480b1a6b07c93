"""What pawaPay refuses: https://docs.pawapay.io/v2/docs/failure_codes."""

from collections.abc import Mapping

from ...errors import AuthenticationFailed, NotFound, ProviderError, Rejected
from ...models import Reason
from ...values.parsing import Unreadable
from ..base import Duplicate
from .answers import Said

# Codes of a request that was refused before anything moved, each on the page of failure codes or in
# the answers of the request. UNKNOWN_ERROR, with HTTP 500, is none of them.
REFUSALS: Mapping[str, Reason] = {
    "INVALID_INPUT": Reason.OTHER,
    "MISSING_PARAMETER": Reason.OTHER,
    "UNSUPPORTED_PARAMETER": Reason.OTHER,
    "INVALID_PARAMETER": Reason.OTHER,
    "DUPLICATE_METADATA_FIELD": Reason.OTHER,
    "AMOUNT_OUT_OF_BOUNDS": Reason.LIMIT,
    "INVALID_AMOUNT": Reason.OTHER,
    "INVALID_PHONE_NUMBER": Reason.UNKNOWN_PAYER,
    "INVALID_PROVIDER": Reason.OTHER,
    "INVALID_CURRENCY": Reason.OTHER,
    "PROVIDER_TEMPORARILY_UNAVAILABLE": Reason.OTHER,
    "DEPOSITS_NOT_ALLOWED": Reason.OTHER,
    "PAYOUTS_NOT_ALLOWED": Reason.OTHER,
    "REFUNDS_NOT_ALLOWED": Reason.OTHER,
    "PAWAPAY_WALLET_OUT_OF_FUNDS": Reason.INSUFFICIENT_FUNDS,
    # Of a refund: https://docs.pawapay.io/v2/api-reference/refunds/initiate-refund
    "NOT_FOUND": Reason.OTHER,
    "INVALID_STATE": Reason.OTHER,
    "AMOUNT_TOO_LARGE": Reason.LIMIT,
    "DEPOSIT_ALREADY_REFUNDED": Reason.OTHER,
    "REFUND_IN_PROGRESS": Reason.BUSY,
}
REFUSED_WITH = frozenset({200, 400, 403})  # the builders' list has some codes with 403
# The credentials, with HTTP 401 or 403. A missing signature is one of them: the token alone is not
# enough for an account that accepts signed requests only.
CREDENTIALS = frozenset(
    {"NO_AUTHENTICATION", "AUTHENTICATION_ERROR", "AUTHORISATION_ERROR", "HTTP_SIGNATURE_ERROR"}
)


def refusal(said: Said, status: int, *, money: bool) -> ProviderError | None:
    """Return the error that an answer below HTTP 500 certainly means, or None."""
    code, message = said.failure.failure_code, said.failure.failure_message or ""
    if code in CREDENTIALS and status in (401, 403):
        return AuthenticationFailed(message, code=code)
    if money:
        return _of_money(said, status, code, message)
    if said.status == "NOT_FOUND" and status == 200:
        return NotFound("unknown to pawaPay, or not known yet")
    if said.status == "REJECTED" or (code is not None and status in REFUSED_WITH):
        return Rejected(message, code=code)
    return None


def _of_money(said: Said, status: int, code: str | None, message: str) -> ProviderError | None:
    """Return what is certain of a request of money; Unreadable: a refusal without a listed code."""
    if said.status == "DUPLICATE_IGNORED":
        return Duplicate("DUPLICATE_IGNORED", code=said.status)
    if status not in REFUSED_WITH or (status == 200 and said.status != "REJECTED"):
        return None
    reason = REFUSALS.get(code or "")
    if reason is None:
        raise Unreadable("refused without a code that is on a page")
    return Rejected(message, code=code, reason=reason)
