"""The gateway's texts and bodies: as in its document, else as its origin's server sends them.

The document is docs/PAYMENT_API.md of github.com/trent130/EasyMarket; the origin is its server.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from ...http import Response
from ...models import Reason, Status
from ...primitives.clock import wall_time
from ..ledger import Entry, Outcome
from ..replies import html_reply, json_reply

# The document's six, then ours: the document calls its own "common", so there are others.
_ERRORS: Mapping[str, str] = {
    "INVALID_PHONE": "Invalid phone number format",
    "AMOUNT_TOO_LOW": "Amount below minimum allowed",
    "AMOUNT_TOO_HIGH": "Amount exceeds maximum allowed",
    "PAYMENT_FAILED": "Payment processing failed",
    "PAYMENT_EXPIRED": "Payment request expired",
    "INVALID_CURRENCY": "Invalid currency for payment method",
    "INVALID_AMOUNT": "Invalid amount",
    "INVALID_REQUEST": "Invalid request",
    "NOT_FOUND": "Transaction not found",
    "RATE_LIMITED": "Too many requests",
}
# "completed" is the document's; "refunded" is in the origin's front end, the others in its older
# views.
WORDS: Mapping[Status, str] = {
    Status.PENDING: "pending",
    Status.SUCCEEDED: "completed",
    Status.FAILED: "failed",
    Status.CANCELLED: "cancelled",
    Status.EXPIRED: "timeout",
    Status.REFUNDED: "refunded",
}
MESSAGES: Mapping[Status, str] = {
    Status.PENDING: "Payment pending",
    Status.SUCCEEDED: "Payment successful",
    Status.FAILED: "Payment failed",
    Status.CANCELLED: "Payment cancelled",
    Status.EXPIRED: "Payment timeout",
    Status.REFUNDED: "Payment refunded",
}
# Daraja's result codes, as in its callback (github.com/ronnyabuto/daraja-error-codes).
RESULTS: Mapping[int, tuple[Outcome, str]] = {
    0: (Outcome(Status.SUCCEEDED), "The service request is processed successfully."),
    1: (
        Outcome(Status.FAILED, Reason.INSUFFICIENT_FUNDS),
        "The balance is insufficient for the transaction.",
    ),
    4: (
        Outcome(Status.FAILED, Reason.LIMIT),
        "Declined due to limit rule: would exceed daily transfer limit.",
    ),
    1001: (Outcome(Status.FAILED, Reason.BUSY), "Unable to lock subscriber"),
    1032: (Outcome(Status.CANCELLED, Reason.CANCELLED), "Request cancelled by user"),
    1037: (Outcome(Status.EXPIRED, Reason.EXPIRED), "DS timeout user cannot be reached"),
    2001: (Outcome(Status.FAILED, Reason.WRONG_PIN), "The initiator information is invalid."),
}


def error(
    code: str,
    status: int = 400,
    details: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Refuse with the document's error object; it does not say which HTTP status a code has."""
    return json_reply(
        {"error": _ERRORS.get(code, code), "code": code, "details": details or {}}, status, headers
    )


def no_token() -> Response:
    """Refuse a request without a token, as Django REST framework does."""
    said = {"detail": "Authentication credentials were not provided."}
    return json_reply(said, 401, {"www-authenticate": 'Bearer realm="api"'})


def bad_token(message: str) -> Response:
    """Refuse a token, as djangorestframework-simplejwt does."""
    said = {
        "detail": "Given token not valid for any token type",
        "code": "token_not_valid",
        "messages": [{"token_class": "AccessToken", "token_type": "access", "message": message}],
    }
    return json_reply(said, 401, {"www-authenticate": 'Bearer realm="api"'})


def no_such_page() -> Response:
    """Answer an unknown path, as Django does."""
    return html_reply("<!doctype html><title>Not Found</title><h1>Not Found</h1>", 404)


def word(entry: Entry) -> str:
    """Return the gateway's word for an order's status."""
    return entry.code or WORDS[entry.status]


def ids(entry: Entry) -> dict[str, Any]:
    """Return the ids of a payment; a test payment has no order."""
    return {
        "transaction_id": entry.provider_reference,
        "order_id": int(entry.reference) if entry.reference else None,
        "checkout_request_id": entry.words["checkout_request_id"],
    }


def row(entry: Entry, *, text: bool) -> dict[str, Any]:
    """Format a payment as a row of the history; text: the amount as text, as in the origin."""
    return {
        "id": entry.provider_reference,
        "amount": f"{entry.amount:.2f}" if text else float(entry.amount),
        "status": word(entry),
        "payment_method": "mpesa",
        "created_at": f"{entry.opened_at:%Y-%m-%dT%H:%M:%SZ}",
    }


def history(
    entries: Sequence[Entry], page: int, size: int, *, paginated: bool, url: str
) -> Response:
    """Format a page of payments as in the document, or as Django REST framework's paginator."""
    first, last = (page - 1) * size, page * size
    if page < 1 or (paginated and page > 1 and first >= len(entries)):
        return json_reply({"detail": "Invalid page."}, 404)
    rows = [row(entry, text=paginated) for entry in entries[first:last]]
    if not paginated:
        return json_reply({"results": rows, "total": len(entries), "page": page})
    links = {
        "next": f"{url}?page={page + 1}" if last < len(entries) else None,
        "previous": f"{url}?page={page - 1}" if page > 1 else None,
    }
    return json_reply({"count": len(entries), **links, "results": rows})


def receipt(entry: Entry) -> dict[str, Any]:
    """Format a receipt; its time has no zone in the document, the origin's is UTC."""
    return {
        "receipt_number": entry.provider_reference.replace("TXN", "RCP", 1),
        "date": f"{entry.settled_at or entry.opened_at:%Y-%m-%d %H:%M:%S}",
        "amount": f"{entry.currency} {entry.amount:,.2f}",
        "payment_method": "M-Pesa",
        "status": word(entry).capitalize(),
        "customer_name": "John Doe",
        "order_reference": f"Order #{entry.reference}" if entry.reference else "",
    }


def callback(entry: Entry, *, success: bool, metadata: bool) -> dict[str, Any]:
    """Format Daraja's callback; without metadata it equals the document's sample."""
    known = {outcome.reason: code for code, (outcome, _) in RESULTS.items()}
    code = 0 if success else known.get(entry.reason, 1) or 1
    told: dict[str, Any] = {
        "MerchantRequestID": entry.words["merchant_request_id"],
        "CheckoutRequestID": entry.words["checkout_request_id"],
        "ResultCode": code,
        "ResultDesc": RESULTS[code][1],
    }
    if success and metadata:
        values = {"Amount": float(entry.amount), "PhoneNumber": int(entry.party or 0)}
        told["CallbackMetadata"] = {
            "Item": [{"Name": name, "Value": value} for name, value in values.items()]
        }
    return {"Body": {"stkCallback": told}}


def now() -> str:
    """Return the wall clock's time in the format of a WebSocket frame."""
    return wall_time().isoformat(timespec="milliseconds").replace("+00:00", "Z")
