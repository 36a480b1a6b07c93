"""What MTN answers: statuses, errors, and the reasons of failures."""

from collections.abc import Mapping
from typing import Any, Literal

from ...http import Response
from ...models import Reason, Status
from ..ledger import Entry
from ..replies import html_reply, json_reply

# Codes and texts of content/html_widgets/o46rh, each with the HTTP status of the portal's table.
_ERRORS: Mapping[str, tuple[int, str]] = {
    "RESOURCE_ALREADY_EXIST": (409, "Duplicated reference id. Creation of resource failed"),
    "NOT_FOUND": (404, "Requested resource was not found"),
    "RESOURCE_NOT_FOUND": (404, "Requested resource was not found"),
    "NOT_ALLOWED": (500, "Authorization failed. Insufficient permissions"),
    "NOT_ALLOWED_TARGET_ENVIRONMENT": (500, "Access to target environment is forbidden"),
    "INVALID_CALLBACK_URL_HOST": (500, "Callback URL does not match the configured value"),
    "INVALID_CURRENCY": (500, "Currency not supported."),
    "INTERNAL_PROCESSING_ERROR": (500, "An internal error occurred while processing"),
    "SERVICE_UNAVAILABLE": (503, "Service temporarily unavailable, try again later"),
}
_WORDS: Mapping[Status, str] = {
    Status.PENDING: "PENDING",
    Status.SUCCEEDED: "SUCCESSFUL",
    Status.REFUNDED: "SUCCESSFUL",
}
_CAUSES: Mapping[Reason, str] = {
    Reason.DECLINED: "APPROVAL_REJECTED",
    Reason.INSUFFICIENT_FUNDS: "NOT_ENOUGH_FUNDS",
    Reason.EXPIRED: "EXPIRED",
    Reason.CANCELLED: "TRANSACTION_CANCELED",
    Reason.LIMIT: "PAYER_LIMIT_REACHED",
    Reason.UNKNOWN_PAYER: "PAYER_NOT_FOUND",
    Reason.UNKNOWN_PAYEE: "PAYEE_NOT_FOUND",
    Reason.WRONG_PIN: "PAYMENT_NOT_APPROVED",
}


def error(code: str) -> Response:
    """Refuse with one of the portal's codes."""
    status, message = _ERRORS[code]
    return json_reply({"code": code, "message": message}, status)


def gateway(status: int, message: str) -> Response:
    """Refuse as the API gateway before the wallets does."""
    return json_reply({"statusCode": status, "message": message}, status)


def firewall() -> Response:
    """Refuse as the web firewall does: a page, with 200."""
    return html_reply(
        "<html><head><title>Request Rejected</title></head><body>The requested URL was rejected. "
        "Please consult with your administrator.<br><br>Your support ID is: 0</body></html>"
    )


def transaction(entry: Entry, shape: Literal["text", "object"], receipts: bool) -> dict[str, Any]:
    """Format a transaction as the notebook's sandbox answered in 2024-11."""
    word = entry.code or _WORDS.get(entry.status, "FAILED")
    told: dict[str, Any] = {}
    if entry.moved and receipts:
        told["financialTransactionId"] = entry.words["receipt"]
    told |= {
        "externalId": entry.reference,
        "amount": entry.words["amount_said"],
        "currency": entry.currency,
    }
    if entry.party:
        party = {"partyIdType": entry.words["party_type"], "partyId": entry.party}
        told["payer" if entry.kind == "collect" else "payee"] = party
    told |= {**entry.words["notes"], "status": word}
    cause = entry.words["cause"] or (_CAUSES.get(entry.reason) if entry.reason else None)
    if cause and not entry.moved and entry.code is None:
        message = f"{cause.replace('_', ' ').capitalize()}."
        told["reason"] = cause if shape == "text" else {"code": cause, "message": message}
    return told
