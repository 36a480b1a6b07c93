"""What the Merchant API says of an order: its operation, its transaction, its message.

github.com/suntechdevs/paycfa merchant-api/reference/*.md and webhooks.md (2026-05).
"""

from decimal import Decimal
from typing import Any

from ...models import Status
from ..ledger import Entry
from .wire import INTERNAL, written

TYPES = {"collect": "payment_request", "payout": "payout", "refund": "refund"}
_KINDS = {"collect": "CREDIT", "payout": "DEBIT", "refund": "REFUND"}
_WORDS = {
    Status.PENDING: "PENDING",
    Status.SUCCEEDED: "SUCCESS",
    Status.REFUNDED: "REFUNDED",
}
_METHODS = {
    "MTN_BENIN_229": "MTN Bénin",
    "MOOV_AFRICA_BENIN_229": "Moov Bénin",
    "SBIN_BENIN_229": "SBIN Bénin",
}
QUEUED = "queued_for_settlement"
_QR = "data:image/png;base64,iVBORw0KGgo="
_SAID = {
    "insufficient_balance": "Insufficient merchant balance",
    "provider_error": "Unexpected provider error",
    "provider_rejected": "The provider rejected the operation",
}


def method(code: str | None) -> str | None:
    """Return the name of a way to pay."""
    return _METHODS.get(code or "", code)


def _is_wire(entry: Entry) -> bool:
    return bool(entry.words.get("bank"))


def _destination(entry: Entry) -> dict[str, Any]:
    if _is_wire(entry):
        return {"type": "bank_account", "account_number": (entry.party or "")[5:]}
    return {"type": "mobile_money", "msisdn": entry.party}


def failure(entry: Entry) -> str | None:
    """Return the error code of an operation that failed; None: it did not."""
    own: str | None = entry.words.get("failure")
    if own is not None or entry.kind == "collect":
        return own
    failed = entry.status.terminal and not entry.moved
    return (entry.code or "provider_rejected") if failed else None


def accepted(entry: Entry, env: str, *, payload: bool = False) -> dict[str, Any]:
    """Return the answer to a new request."""
    told = {
        "operation_id": entry.provider_reference,
        "type": TYPES[entry.kind],
        "status": "queued",
        "env": env,
        "date": written(entry.opened_at),
        "_links": {"self": f"{INTERNAL}/operations/{entry.provider_reference}"},
    }
    return {**told, "payload": entry.words["payload"]} if payload else told


def operation(entry: Entry, env: str, url: str, attempts: int) -> dict[str, Any]:
    """Return an operation as it is now."""
    error, result = failure(entry), None
    status = "queued"
    if error is not None:
        status = "failed"
    elif entry.kind == "collect" and entry.words["worked"]:
        status, result = "succeeded", _page(entry, url)
    elif entry.words["worked"]:
        open_ = entry.status is Status.PENDING and entry.code is None and not _is_wire(entry)
        status = "processing" if open_ else "succeeded"
        result = None if open_ else _result(entry)
    ended = status in ("succeeded", "failed")
    at = written(entry.settled_at or entry.opened_at)
    return {
        **accepted(entry, env, payload=True),
        "status": status,
        "result": result,
        "error": error and {"code": error, "message": _SAID.get(error, error), "details": None},
        "attempts": attempts if status != "queued" else 0,
        "updated_date": at,
        "completed_date": at if ended else None,
    }


def _page(entry: Entry, url: str) -> dict[str, Any]:
    gate = f"{url}/gateway/{entry.words['transaction']}"
    return {
        "transaction_reference": entry.words["transaction"],
        "status": "pending",
        "amount": int(entry.amount),
        "currency": entry.currency,
        "gateway_url": gate,
        "payment_url": gate,
        "receipt_url": gate,
        "qr_code": _QR,
    }


def _result(entry: Entry) -> dict[str, Any]:
    status = entry.code or (QUEUED if _is_wire(entry) else "completed")
    answer = {"responsecode": "00", "responsemsg": "Success"}
    if entry.kind == "refund":
        return {
            "status": status,
            "refund_reference": entry.words["transaction"],
            "amount": int(entry.amount),
            "transaction_reference": entry.words["payload"]["transaction_reference"],
            "provider_response": answer,
        }
    return {
        "reference": entry.reference,
        "amount": int(entry.amount),
        "currency": entry.currency,
        "destination": _destination(entry),
        "status": status,
        "provider_response": {**answer, "serviceref": entry.words["service"]},
    }


def transaction(entry: Entry, fee: Decimal, refunds: list[Entry]) -> dict[str, Any]:
    """Return a transaction as it is now."""
    fees = int(entry.amount * fee) if entry.kind == "collect" else 0
    buyer = entry.words["payload"].get("invoice", {}).get("customer", {})
    name = " ".join(filter(None, (buyer.get("first_name"), buyer.get("last_name"))))
    person = {"email": buyer.get("email"), "name": name}
    return {
        "reference": entry.words["transaction"],
        "status": entry.code or _WORDS.get(entry.status, "ERROR"),
        "type": _KINDS[entry.kind],
        "amount": int(entry.amount),
        "fees": fees,
        "net_amount": int(entry.amount) - fees,
        "currency": entry.currency,
        "payment_method": method(entry.words.get("operator")),
        "customer": {name: one for name, one in person.items() if one},
        "source": {"number": entry.party},
        "date": written(entry.opened_at),
        "refunds": [
            {
                "reference": one.words["transaction"],
                "status": one.code or _WORDS.get(one.status, "ERROR"),
                "reason": one.words["payload"].get("reason"),
                "date": written(one.opened_at),
            }
            for one in refunds
        ],
    }


def told(entry: Entry, *, created: bool, forged: bool) -> tuple[str, dict[str, Any]]:
    """Return the event of a message, and its data."""
    kind, error = TYPES[entry.kind], failure(entry)
    paid = forged or (entry.moved and error is None)
    if entry.kind == "collect":
        event = "created" if created else "paid" if paid else "failed"
        # No page shows this body; the integrator of github tries both names.
        return f"{kind}.{event}", {
            "transaction_reference": entry.words["transaction"],
            "amount": int(entry.amount),
            "currency": entry.currency,
            "webhook_data": entry.words["payload"].get("webhook_data") or {},
        }
    word = "completed" if paid else "failed"
    if _is_wire(entry) and error is None and not forged:
        word = "queued"  # the office sends it, and no page has a word for its end
    own = entry.code if entry.code and not forged else None
    body: dict[str, Any] = {"amount": int(entry.amount), "status": word}
    if entry.kind == "payout":
        body = {
            "reference": entry.reference,
            "amount": int(entry.amount),
            "currency": entry.currency,
            "status": own or (QUEUED if word == "queued" else word),
            "destination": _destination(entry),
        }
    else:
        body = {
            "refund_reference": entry.words["transaction"],
            "transaction_reference": entry.words["payload"]["transaction_reference"],
            "amount": int(entry.amount),
            "status": own or word,
        }
    return f"{kind}.{word}", body
