"""The sandbox's numbers (content/html_widgets/881wm and l4KRt): 467331234 and two digits."""

from collections.abc import Mapping

from ...models import Reason, Status
from ..ledger import Outcome

_STEM = "467331234"
# What happens, by the word of the table: how it ends, and the reason that is told.
_MEANS: Mapping[str, tuple[Outcome, str | None]] = {
    "failed": (Outcome(Status.FAILED), None),
    "rejected": (Outcome(Status.FAILED, Reason.DECLINED), "APPROVAL_REJECTED"),
    "expired": (Outcome(Status.EXPIRED), "EXPIRED"),
    "ongoing": (Outcome(Status.PENDING), "ONGOING"),
    "delayed": (Outcome(Status.PENDING), "DELAYED"),
    "payer not found": (Outcome(Status.FAILED, Reason.UNKNOWN_PAYER), "PAYER_NOT_FOUND"),
    "payee not found": (Outcome(Status.FAILED, Reason.UNKNOWN_PAYEE), "PAYEE_NOT_FOUND"),
    "payee not allowed to receive": (
        Outcome(Status.FAILED, Reason.UNKNOWN_PAYEE),
        "PAYEE_NOT_ALLOWED_TO_RECEIVE",
    ),
    "not enough funds": (Outcome(Status.FAILED, Reason.INSUFFICIENT_FUNDS), "NOT_ENOUGH_FUNDS"),
    "payer limit reached": (Outcome(Status.FAILED, Reason.LIMIT), "PAYER_LIMIT_REACHED"),
    "not allowed": (Outcome(Status.FAILED), "NOT_ALLOWED"),
    "not allowed target environment": (
        Outcome(Status.FAILED),
        "NOT_ALLOWED_TARGET_ENVIRONMENT",
    ),
    "invalid callback host": (Outcome(Status.FAILED), "INVALID_CALLBACK_URL_HOST"),
    "invalid currency": (Outcome(Status.FAILED), "INVALID_CURRENCY"),
    "internal processing error": (Outcome(Status.FAILED), "INTERNAL_PROCESSING_ERROR"),
    "service unavailable": (Outcome(Status.FAILED), "SERVICE_UNAVAILABLE"),
    "could not perform transaction": (Outcome(Status.FAILED), "COULD_NOT_PERFORM_TRANSACTION"),
    # No page says which reason this is.
    "transfer type unknown": (Outcome(Status.FAILED), "TRANSFER_TYPE_UNKNOWN"),
}
_BOTH = ("failed", "rejected", "expired", "ongoing", "delayed")
_REST = (
    "not allowed",
    "not allowed target environment",
    "invalid callback host",
    "invalid currency",
    "internal processing error",
    "service unavailable",
)
# From 50 on: requesttopay (withdraw and deposit are the same), and transfer.
_PAY = (
    *_BOTH,
    "payer not found",
    "payee not allowed to receive",
    *_REST,
    "could not perform transaction",
    "transfer type unknown",
)
_TRANSFER = (
    *_BOTH,
    "not enough funds",
    "payer limit reached",
    "payee not found",
    *_REST,
    "transfer type unknown",
)


def meaning(api: str, number: str | None) -> tuple[Outcome, str | None] | None:
    """Return how an order of a test number ends, and the reason; None: it is no test number."""
    if number is None or not number.startswith(_STEM) or not number[len(_STEM) :].isdigit():
        return None
    table, place = (_TRANSFER if api == "transfer" else _PAY), int(number[len(_STEM) :]) - 50
    return _MEANS[table[place]] if 0 <= place < len(table) else None
