"""pawaPay's bodies, as https://docs.pawapay.io/v2/api-reference shows them."""

from collections.abc import Mapping
from typing import Any

from ...http import Response
from ...models import Kind, Reason, Status
from ..ledger import Entry
from ..replies import Refused, json_reply
from .numbers import NUMBERS, STUCK, WHY, code_of

IDS: dict[Kind, str] = {"collect": "depositId", "payout": "payoutId", "refund": "refundId"}
_FAILED: dict[Reason | None, str] = {
    Reason.DECLINED: "PAYMENT_NOT_APPROVED",
    Reason.WRONG_PIN: "PAYMENT_NOT_APPROVED",
    Reason.EXPIRED: "PAYMENT_NOT_APPROVED",
    Reason.LIMIT: "PAYER_LIMIT_REACHED",
    Reason.UNKNOWN_PAYER: "PAYER_NOT_FOUND",
    Reason.BUSY: "PAYMENT_IN_PROGRESS",
    Reason.INSUFFICIENT_FUNDS: "INSUFFICIENT_BALANCE",
    Reason.UNKNOWN_PAYEE: "RECIPIENT_NOT_FOUND",
}
_PAYOUT_FAILED: dict[Reason | None, str] = {
    Reason.LIMIT: "WALLET_LIMIT_REACHED",
    Reason.UNKNOWN_PAYEE: "RECIPIENT_NOT_FOUND",
    Reason.INSUFFICIENT_FUNDS: "PAWAPAY_WALLET_OUT_OF_FUNDS",
    Reason.CANCELLED: "MANUALLY_CANCELLED",
}


def failure(code: str, message: str = "") -> dict[str, Any]:
    """Return the reason of a refusal or a failure."""
    return {"failureReason": {"failureCode": code, "failureMessage": message or code}}


def refused(
    code: str, message: str, ids: Mapping[str, str] | None = None, *, status: int = 200
) -> Refused:
    """Return a refusal: most come with HTTP 200."""
    return Refused(
        json_reply({**(ids or {}), "status": "REJECTED", **failure(code, message)}, status)
    )


def not_allowed(code: str, message: str, status: int) -> Response:
    """Answer a request whose token or signature is not accepted."""
    return json_reply(failure(code, message), status)


def moment(when: Any) -> str:
    """Return a time as pawaPay writes it."""
    return f"{when:%Y-%m-%dT%H:%M:%SZ}"


def initiated(entry: Entry, status: str = "ACCEPTED") -> dict[str, Any]:
    """Return the answer to a request that was accepted, now or before."""
    body = {
        IDS[entry.kind]: entry.provider_reference,
        "status": status,
        "created": moment(entry.opened_at),
    }
    if entry.kind == "collect" and status == "ACCEPTED":
        waits = "authorizationUrl" in entry.words
        body["nextStep"] = "GET_AUTH_URL" if waits else "FINAL_STATUS"
    return body


def word(entry: Entry) -> str:
    """Return the status of a payment."""
    if entry.code is not None:
        return entry.code
    if entry.status in (Status.SUCCEEDED, Status.REFUNDED):
        return "COMPLETED"
    if entry.status.terminal:
        return "FAILED"
    if entry.words.get("enqueued"):
        return "ENQUEUED"
    return str(entry.words.get("stuck") or "PROCESSING")


def stuck(entry: Entry) -> bool:
    """Return whether the number is one of those that never end."""
    outcome = NUMBERS.get(entry.party or "")
    return outcome is not None and code_of(entry.party) == STUCK


def failure_code(entry: Entry) -> str:
    """Return the code of a failed payment: that of its number, else of its reason."""
    listed = code_of(entry.party) if entry.party in NUMBERS else None
    if listed is not None and WHY.get(listed) is entry.reason:
        return listed
    codes = _FAILED if entry.kind == "collect" else _PAYOUT_FAILED
    if entry.status is not Status.FAILED and entry.kind == "collect":
        return "PAYMENT_NOT_APPROVED"  # there is no other word for who cancels, or waits too long
    return codes.get(entry.reason, "UNSPECIFIED_FAILURE")


def payment(entry: Entry, *, callback: bool = False) -> dict[str, Any]:
    """Return a payment in a status check, or in a callback, which has no clientReferenceId."""
    words = entry.words
    party = {
        "type": "MMO",
        "accountDetails": {"phoneNumber": entry.party, "provider": words["provider"]},
    }
    said = word(entry)
    body = {
        IDS[entry.kind]: entry.provider_reference,
        "status": said,
        "amount": f"{entry.amount:.2f}",
        "currency": entry.currency,
        "country": words["country"],
        "payer" if entry.kind == "collect" else "recipient": party,
        "customerMessage": words.get("message"),
        "clientReferenceId": entry.reference,
        "created": moment(entry.opened_at),
        "metadata": words.get("metadata") or None,
    }
    if entry.moved:
        body["providerTransactionId"] = words["receipt"]
    elif entry.status.terminal:
        body |= failure(failure_code(entry), "The payment has failed.")
    if "authorizationUrl" in words and not entry.status.terminal:
        body["authorizationUrl"] = words["authorizationUrl"]
        body["nextStep"] = "REDIRECT_TO_AUTH_URL"
    if callback:
        del body["clientReferenceId"]
    return {name: value for name, value in body.items() if value is not None}
