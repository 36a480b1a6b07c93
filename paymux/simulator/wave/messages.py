"""Wave's sessions, payouts and events, as the page's samples have them."""

import hmac
import json
import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from ...models import Reason, Status
from ..ledger import Entry
from ..messages import Message, Redelivery

if TYPE_CHECKING:
    from . import Wave

FAILED = "failed"  # payment_status in the sample of a payment_failed; it is not in the page's list
# The page's list of errors of a payment; "payment-failure" is any technical one.
_ERRORS: Mapping[Reason | None, tuple[str, str]] = {
    Reason.INSUFFICIENT_FUNDS: ("insufficient-funds", "Insufficient balance"),
    Reason.LIMIT: ("kyb-limits-exceeded", "The business has reached its limit."),
    Reason.UNKNOWN_PAYER: ("payer-mobile-mismatch", "The payer isn't the one of the session."),
    Reason.DECLINED: ("blocked-account", "The account is blocked."),
}
_FAILURE = ("payment-failure", "A technical error occurred.")
# The page's list of errors of a payout that was tried.
_PAYOUT_ERRORS: Mapping[Reason | None, tuple[str, str]] = {
    Reason.INSUFFICIENT_FUNDS: ("insufficient-funds", "Insufficient funds in wallet."),
    Reason.LIMIT: (
        "recipient-limit-exceeded",
        "The recipient has reached their monthly limit.",
    ),
    Reason.UNKNOWN_PAYEE: ("recipient-account-inactive", "The recipient's account is inactive."),
}
_BLOCKED = ("recipient-account-blocked", "The recipient's account is blocked.")
_PAYOUT_WORDS: Mapping[Status, str] = {
    Status.PENDING: "processing",
    Status.SUCCEEDED: "succeeded",
    Status.REFUNDED: "reversed",
}


def stamp(at: datetime | None) -> str | None:
    """Format a time: UTC, to the second."""
    return None if at is None else f"{at:%Y-%m-%dT%H:%M:%S}Z"


def failure(reason: Reason | None) -> dict[str, str]:
    """Return the error of a payment that was tried."""
    code, message = _ERRORS.get(reason, _FAILURE)
    return {"code": code, "message": message}


def session(wave: "Wave", entry: Entry) -> dict[str, Any]:
    """Format a session; `entry.code` is what a test sends in place of its checkout_status."""
    words, ended = entry.words, entry.status.terminal
    error = words["error"]
    if entry.moved:
        state, paid = "complete", "succeeded"
    elif not ended:
        state, paid = "open", words["paid"]
    else:
        state = "expired"
        paid = wave.unpaid_word if entry.status is Status.FAILED else "cancelled"
        error = failure(entry.reason) if entry.status is Status.FAILED else error
    told = {
        "id": entry.provider_reference,
        "amount": str(int(entry.amount)),
        "checkout_status": entry.code or state,
        "client_reference": entry.reference,
        "currency": entry.currency,
        "error_url": words["error_url"],
        "last_payment_error": error,
        "business_name": wave.business,
        "payment_status": paid,
        "transaction_id": words["transaction_id"] if entry.moved else None,
        "success_url": words["success_url"],
        "wave_launch_url": f"{wave.url}/c/{entry.provider_reference}",
        "when_completed": stamp(entry.settled_at) if entry.moved else None,
        "when_created": stamp(entry.opened_at),
        "when_expires": stamp(entry.opened_at + timedelta(seconds=wave.page_life)),
    }
    merchant = words["aggregated_merchant_id"]
    return {**told, "aggregated_merchant_id": merchant} if merchant else told


def payout(wave: "Wave", entry: Entry) -> dict[str, Any]:
    """Format a payout: "the same fields as those you submitted", and four of Wave's own."""
    words = entry.words
    failed = entry.status.terminal and not entry.moved
    told = {
        "id": entry.provider_reference,
        "currency": entry.currency,
        "receive_amount": str(int(entry.amount)),
        "fee": str(int(wave.fee_of(entry))),
        "mobile": f"+{entry.party}",
        **{name: said for name, said in words["submitted"].items() if said is not None},
        "status": entry.code or ("failed" if failed else _PAYOUT_WORDS[entry.status]),
        "timestamp": stamp(entry.opened_at),
    }
    if entry.reference is not None:
        told["client_reference"] = entry.reference
    if failed:
        code, said = _PAYOUT_ERRORS.get(entry.reason, _BLOCKED)
        told["payout_error"] = {"error_code": code, "error_message": said}
    return told


def event(wave: "Wave", kind: str, data: Mapping[str, Any], *, secret: str = "") -> Message:
    """Make an event, signed as the portal's strategy says: over `t` and the body, unseparated."""
    key = secret or wave.webhook_secret
    number = wave.core.random.getrandbits(60)
    body = json.dumps({"id": f"EV_{number:012x}", "type": kind, "data": data}).encode()
    headers = {"content-type": "application/json"}
    renewed = None
    if wave.strategy == "shared":
        headers["authorization"] = f"Bearer {key}"
    else:
        renewed = partial(_signed, key)
    again = Redelivery(pauses=wave.pauses, renewed=renewed)
    message = Message(url=wave.webhook_url, headers=headers, body=body, again=again)
    return renewed(message) if renewed else message


def _signed(key: str, message: Message) -> Message:
    now = str(int(time.time()))
    seal = hmac.digest(key.encode(), now.encode() + message.body, "sha256").hex()
    headers = {**message.headers, "wave-signature": f"t={now},v1={seal}"}
    return msgspec.structs.replace(message, headers=headers)
