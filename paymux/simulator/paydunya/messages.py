"""PayDunya's invoices: as a confirmation has them, and as the form of a notification."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import quote, urlencode

from ...models import Reason, Status
from ..ledger import Entry

if TYPE_CHECKING:
    from . import PayDunya

_STATUSES: Mapping[Status, str] = {
    Status.PENDING: "pending",
    Status.SUCCEEDED: "completed",
    Status.REFUNDED: "completed",  # there is no refund in this API
    Status.FAILED: "failed",
    Status.CANCELLED: "cancelled",
}
# "Payment cancelled by customer" is the page's; the others are ours: no page lists any.
_REASONS: Mapping[Reason | None, str] = {
    Reason.CANCELLED: "Payment cancelled by customer",
    Reason.EXPIRED: "Invoice expired",
    Reason.INSUFFICIENT_FUNDS: "Insufficient balance",
    Reason.WRONG_PIN: "Wrong code",
    Reason.LIMIT: "Limit exceeded",
}
# the page's payer
_FICTITIOUS = {"name": "Alioune Faye", "phone": "774563209", "email": "aliounefaye@gmail.com"}


def site(entry: Entry, paydunya: "PayDunya") -> str:
    """Return the address of the checkout pages of an invoice's mode."""
    return f"{paydunya.url}/{'sandbox-checkout' if entry.words['mode'] == 'test' else 'checkout'}"


def signature(paydunya: "PayDunya") -> str:
    """Return the hash of every message: that of the master key alone."""
    return hashlib.sha512(paydunya.credentials["master_key"].encode()).hexdigest()


def invoice(entry: Entry, paydunya: "PayDunya") -> dict[str, Any]:
    """Format an invoice as on the page; the payment's state is `status`, not the code."""
    words, token, ended = entry.words, entry.provider_reference, entry.status.terminal
    why = _REASONS.get(entry.reason, "Payment failed") if ended and not entry.moved else ""
    number = str if paydunya.strings else int
    told: dict[str, Any] = {
        "response_code": "00",
        "response_text": "Transaction Found",
        "hash": signature(paydunya),
        "invoice": {
            "items": words["items"],
            "taxes": words["taxes"],
            "token": token,
            "total_amount": number(entry.amount + paydunya.fees),
            "description": words["description"],
        },
        "custom_data": words["custom_data"],
        "actions": words["actions"],
        "mode": words["mode"],
        "status": entry.code or _STATUSES.get(entry.status, paydunya.expired),
        "fail_reason": why if paydunya.failure == "fail_reason" else "",
        "customer": _FICTITIOUS
        if ended and not any(words["customer"].values())
        else words["customer"],
        "receipt_url": f"{site(entry, paydunya)}/receipt/pdf/{token}.pdf" if ended else "",
    }
    if why and paydunya.failure == "errors":
        told["errors"] = {"message": why, "description": why}
    if paydunya.extras:
        told["invoice"] |= {
            "pal_is_on": "0",
            "total_amount_without_fees": number(entry.amount),
            "expire_date": f"{entry.opened_at + timedelta(hours=24):%Y-%m-%d %H:%M:%S}",
        }
        told["customer"] = {
            **told["customer"],
            "payment_method": words.get("operator", paydunya.operator) if ended else "",
        }
        told["receipt_identifier"] = words["receipt_identifier"] if entry.moved else ""
        told["provider_reference"] = words["operator_reference"] if entry.moved else ""
    return told


def encoded(told: dict[str, Any], shape: Literal["form", "bare", "data", "twice"]) -> bytes:
    """Encode an invoice as the form of a notification: the page's, or one that integrators saw."""
    text = json.dumps(told)
    return {
        "form": urlencode(list(_flat("data", told)), errors="replace"),
        "bare": urlencode(list(_flat("data", told)), safe="[]", errors="replace"),
        "data": urlencode({"data": text}),
        "twice": urlencode({"data": quote(text)}),
    }[shape].encode()


def _flat(name: str, value: Any) -> Iterator[tuple[str, str]]:
    """Flatten a tree as PHP's http_build_query does: nested keys, no nulls, no empty arrays."""
    if isinstance(value, dict | list):
        pairs = value.items() if isinstance(value, dict) else enumerate(value)
        for key, inner in pairs:
            yield from _flat(f"{name}[{key}]", inner)
    elif value is not None:
        yield name, str(int(value) if isinstance(value, bool) else value)
