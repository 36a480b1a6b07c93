"""Intram's transactions, in the three shapes of its pages and its SDKs."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from ...models import Status
from ..ledger import Entry

# intram-nodejs: "SUCCESS, PENDING, CANCELED or FAIL"; an expired payment has no word.
WORDS: Mapping[Status, str] = {
    Status.PENDING: "PENDING",
    Status.SUCCEEDED: "SUCCESS",
    Status.FAILED: "FAIL",
    Status.CANCELLED: "CANCELED",
    Status.EXPIRED: "FAIL",
    Status.REFUNDED: "REFUNDED",
}
_SAID = "statut de la transaction"
QR_CODE = "data:image/png;base64,iVBORw0KGgo="


def flat(entry: Entry, word: str, fee: Decimal) -> dict[str, Any]:
    """Format a transaction as on the pages of 2022 to 2026: without any id."""
    fees = int(entry.amount * fee)
    return {
        "status": word,
        "amount": int(entry.amount),
        "currency": entry.currency,
        "account_number": "22996XXXXXX",
        "source": entry.words.get("operator", "MOOV"),
        "fees": fees,
        "net_amount": int(entry.amount) + fees,
    }


def nested(entry: Entry, word: str, env: str) -> dict[str, Any]:
    """Format a transaction as on the pages of 2020 to 2022."""
    invoice, opened = entry.words["invoice"], f"{entry.opened_at:%Y-%m-%dT%H:%M:%S}.000Z"
    transaction = {
        "_status": word,
        "_channels": invoice.get("channels") or [],
        "_created_at": opened,
        "_id": entry.provider_reference,
        "_type": "DEBIT",
        "marchand": {"_env": env, "_company": "Simulator", "_email": "shop@example.com"},
        "_store": entry.words["store"],
        "_reference": entry.words["public_reference"],
        "_amount": int(entry.amount),
        "_country_code": "BJ",
        "_qrcode": QR_CODE,
        "__v": 0,
        "invoice": {
            "custom_datas": invoice["custom_datas"],
            "_created_at": opened,
            "currency": entry.currency,
            "items": invoice.get("items") or [],
            "taxes": invoice.get("taxes") or [],
            "amount": int(entry.amount),
            "description": invoice.get("description") or "",
            "transaction": entry.provider_reference,
            "__v": 0,
        },
    }
    return {"error": False, "status": word, "transaction": transaction, "message": _SAID}


def customer(entry: Entry, word: str, site: str) -> dict[str, Any]:
    """Format a transaction as intram-nodejs reads it.

    Customer and receipt only after a success; `site`: the address below which receipts are.
    """
    told = {"error": False, "status": word, "message": _SAID, "total_amount": int(entry.amount)}
    if not entry.moved:
        return told
    return {
        **told,
        "customer": {
            "name": "Koffi Mensah",
            "phone": "22967723243",
            "email": "koffi@example.com",
        },
        "receipt_url": f"{site}/receipt/pdf/{entry.provider_reference}.pdf",
        "custom_data": entry.words["invoice"]["custom_datas"],
    }
