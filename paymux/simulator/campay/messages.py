"""CamPay's transactions and balances, as in the live API and as in a short French summary."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from ...http import Response
from ...models import Reason, Status
from ..ledger import Entry
from ..replies import json_reply
from ..tokens import jwt

# The complete error table of the page; the place of the code in a body is from integrators' code.
_ERRORS: Mapping[str, str] = {
    "ER101": (
        "Invalid phone number. Ensure the number starts with the country code. e.g 237xxxxxxxxx"
    ),
    "ER102": (
        "Unsupported Carrier phone number. Currently, only MTN and Orange phone numbers are "
        "accepted for mobile money"
    ),
    "ER201": (
        "Invalid amount. Decimal numbers are NOT allowed. The Amount can be sent as integer or "
        "string"
    ),
    "ER301": (
        "Insufficient balance. Trying to withdraw an amount which is above your current balance "
        "for the specific carrier"
    ),
}
_LIVE: Mapping[Status, str] = {
    Status.PENDING: "PENDING",
    Status.SUCCEEDED: "SUCCESSFUL",
    Status.REFUNDED: "SUCCESSFUL",
}
_SUMMARY: Mapping[Status, str] = {
    Status.PENDING: "PENDING",
    Status.SUCCEEDED: "SUCCESS",
    Status.REFUNDED: "SUCCESS",
    Status.CANCELLED: "CANCELLED",
}
# "timeout" is read by github.com/common-repository/campay-api; the others are ours: the page has
# none.
_REASONS: Mapping[Reason, str] = {
    Reason.EXPIRED: "timeout",
    Reason.CANCELLED: "Cancelled by the user",
    Reason.INSUFFICIENT_FUNDS: "Insufficient balance of the payer",
    Reason.WRONG_PIN: "Wrong PIN",
    Reason.BUSY: "Another transaction is in progress",
    Reason.LIMIT: "Limit exceeded",
}


def error(code: str) -> Response:
    """Refuse with one of the page's codes."""
    return json_reply({"message": _ERRORS[code], "error_code": code}, 400)


def signature(key: str) -> str:
    """Sign as the callback does: times and source, without the payment (the page's sample)."""
    return jwt(key, {"source": "CamPay"}, life=3600, app="Test")


def fee(entry: Entry) -> Decimal:
    """Return the fee; the one published sample has 0.05 of 5 (Go SDK's stubs of /history/)."""
    return entry.amount / 100 if entry.kind == "collect" else Decimal(0)


def summary(entry: Entry) -> dict[str, Any]:
    """Format a transaction as the summary does."""
    return {
        "reference": entry.provider_reference,
        "status": entry.code or _SUMMARY.get(entry.status, "FAILED"),
        "amount": str(entry.amount),
        "currency": entry.currency,
    }


def transaction(entry: Entry, webhook_key: str) -> dict[str, Any]:
    """Format a transaction as the demo did on 2026-09-30."""
    return {
        "reference": entry.provider_reference,
        "status": entry.code or _LIVE.get(entry.status, "FAILED"),
        "amount": f"{entry.amount:.2f}",
        "currency": entry.currency,
        "operator": entry.words["operator"],
        "code": entry.words["code"],
        "operator_reference": entry.words["operator_reference"],
        "endpoint": "withdraw" if entry.kind == "payout" else "collect",
        "external_reference": entry.reference or "None",
        "external_user": entry.words["external_user"] or "None",
        "app_amount": f"{entry.amount - fee(entry):.2f}",
        "phone_number": entry.party or "None",
        "reason": _REASONS.get(entry.reason, "failed") if entry.reason else "None",
        "signature": signature(webhook_key),
    }


def airtime(entry: Entry) -> dict[str, Any]:
    """Format airtime as the Go SDK's stubs do: its amount is a number, and no reason is empty."""
    return {
        "reference": entry.provider_reference,
        "external_reference": entry.reference or "",
        "status": entry.code or _LIVE.get(entry.status, "FAILED"),
        "amount": int(entry.amount),
        "currency": entry.currency,
        "operator": f"{entry.words['operator']}_CM",
        "code": entry.words["code"],
        "type": "AIRTIME",
        "reason": _REASONS.get(entry.reason, "failed") if entry.reason else "",
    }


def callback(entry: Entry, webhook_key: str) -> dict[str, Any]:
    """Format the callback: the transaction, and the further fields that the page lists."""
    told = transaction(entry, webhook_key) | {
        "amount": str(entry.amount),
        "extra_first_name": "None",
        "extra_last_name": "None",
        "extra_email": "None",
        "redirect_url": entry.words.get("redirect_url") or "None",
        "failure_redirect_url": entry.words.get("failure_redirect_url") or "None",
        "description": entry.words["description"] or "None",
    }
    del told["app_amount"]
    return told


def balance(mtn: Decimal, orange: Decimal, utility: Decimal) -> dict[str, Any]:
    """Format the two floats as the live API does; the last one is of a real call."""
    return {
        "total_balance": float(mtn + orange),
        "mtn_balance": float(mtn),
        "orange_balance": float(orange),
        "currency": "XAF",
        "utility_balance": float(utility),
    }


def summary_balance(mtn: Decimal, orange: Decimal) -> dict[str, Any]:
    """Format the two floats as the summary does, which has no utilities."""
    return {"available_balance": str(int(mtn + orange)), "currency": "XAF"}


def row(entry: Entry) -> dict[str, Any]:
    """Format a transaction as a row of /history/, as in the Go SDK's stubs."""
    collect, operator = entry.kind == "collect", entry.words["operator"]
    return {
        "datetime": f"{entry.opened_at:%Y-%m-%dT%H:%M:%S.%fZ}",
        "code": entry.words["code"],
        "operator_tx_code": entry.words["operator_reference"],
        "operator": "Orange" if operator == "ORANGE" else operator,
        "phone_number": entry.party or "",
        "description": entry.words["description"] or "",
        "external_user": entry.words["external_user"] or "",
        "amount": float(entry.amount),
        "charge_amount": float(fee(entry)),
        "debit": 0 if collect else float(entry.amount),
        "credit": float(entry.amount - fee(entry)) if collect else 0,
        "status": entry.code or _LIVE.get(entry.status, "FAILED"),
        "reference_uuid": entry.provider_reference,
    }


def taken(entry: Entry) -> Decimal:
    """Return what an order takes from its carrier's float; an open withdrawal counts already."""
    if entry.kind == "payout":
        return entry.amount if entry.moved or entry.status is Status.PENDING else Decimal(0)
    return fee(entry) - entry.amount if entry.moved else Decimal(0)
