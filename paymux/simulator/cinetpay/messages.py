"""CinetPay's codes, the two formats of a check, and the fields of a notification."""

import time
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ...http import Response
from ...models import Reason, Status
from ..ledger import Entry
from ..replies import json_reply

MESSAGES: Mapping[str, str] = {
    # The table of github.com/Tidev-CinetPay/api-checkout-doc (docs/integration.md), with its
    # spelling.
    "00": "SUCCES",
    "600": "PAYMENT_FAILED",
    "602": "INSUFFISENT_BALANCE",
    "603": "SERVICE_UNAVAILABLE",
    "604": "OTP_CODE_ERROR",
    "606": "INCORRECT_SETTINGS",
    "623": "WAITING_CUSTOMER_TO_VALIDATE",
    "627": "TRANSACTION_CANCEL",
    "635": "ERROR_PHONE_NUMBER_NOT_FOUND",
    "636": "ERROR_PHONE_NUMBER_NOT_SUPPORTED",
    "641": "ERROR_AMOUNT_TOO_LOW",
    "642": "ERROR_AMOUNT_TOO_HIGH",
    "662": "WAITING_CUSTOMER_PAYMENT",
    "663": "WAITING_CUSTOMER_OTP_CODE",
    "664": "WAITING_CUSTOMER_PAYMENT_AT_OPERATOR_SIDE",
    "804": "OPERATOR_UNAVAILABLE",
    "807": "DAILY_MAX_NUMBER_TRANSACTION_REACHED",
    "808": "DAILY_MAX_AMOUNT_TRANSACTION_REACHED",
    "809": "MONTHLY_MAX_AMOUNT_TRANSACTION_REACHED",
    "810": "MONTHLY_MAX_NUMBER_TRANSACTION_REACHED",
    "811": "WEEKLY_MAX_AMOUNT_TRANSACTION_REACHED",
    "812": "WEEKLY_MAX_NUMBER_TRANSACTION_REACHED",
    # Answers to an initialisation: the table of
    # https://docs.cinetpay.com/api/1.0-fr/checkout/initialisation.
    "201": "CREATED",
    "403": "FORBIDDEN",
    "429": "TOO_MANY_REQUEST",
    "608": "MINIMUM_REQUIRED_FIELDS",
    "609": "AUTH_NOT_FOUND",
    "613": "ERROR_SITE_ID_NOTVALID",
    "624": "UNKNOWN_ERROR",
    # Constants from integrators' code, which are on no page.
    "607": "PENDING",
    "620": "ERROR_DOUBLE_PAYEMNT",
    "625": "ABONNEMENT_OR_TRANSACTIONS_EXPIRED",
    "638": "SECURE_PAYMENT_WAITING_CONFIRMATION",
    "660": "REFUNDED",
    "661": "REFUNDING_IN_PROCESS",
}
# The code of each end, unless a test sets another; 808 is one of the six limits.
_ENDS: Mapping[Status, str] = {
    Status.SUCCEEDED: "00",
    Status.FAILED: "600",
    Status.CANCELLED: "627",
    Status.EXPIRED: "625",
    Status.REFUNDED: "660",
}
_FAILURES: Mapping[Reason | None, str] = {
    Reason.INSUFFICIENT_FUNDS: "602",
    Reason.WRONG_PIN: "604",
    Reason.UNKNOWN_PAYER: "635",
    Reason.LIMIT: "808",
}
# No page has a status word for a refunded payment: only its code shows it.
_STATUSES: Mapping[Status, str | None] = {
    Status.PENDING: "WAITING_FOR_CUSTOMER",
    Status.SUCCEEDED: "ACCEPTED",
    Status.REFUNDED: None,
}
_PREFIXES = ("221", "223", "224", "225", "226", "227", "228", "229", "237", "243")


def error(code: str, description: str, status: int = 400) -> Response:
    """Refuse in CinetPay's format.

    The only HTTP status ever seen is 400, with a 624 (PyPI cinetpay 0.0.1, README).
    """
    return json_reply(
        {
            "code": code,
            "message": MESSAGES.get(code, "UNKNOWN_ERROR"),
            "description": description,
            "api_response_id": response_id(),
        },
        status,
    )


def response_id() -> str:
    """Make the id of an answer."""
    return f"{time.time():.4f}"


def code(entry: Entry, waiting: str) -> str:
    """Return the code of a payment; `waiting` is the code of an undecided one."""
    if entry.code and entry.code.isdecimal():
        return entry.code
    if entry.status is Status.FAILED:
        return _FAILURES.get(entry.reason, "600")
    return _ENDS.get(entry.status, waiting)


def data(entry: Entry, operator: str) -> dict[str, Any]:
    """Format a payment as in the docs' page on verification.

    An entry's code that is not a number is its `status`.
    """
    word = (
        entry.code
        if entry.code and not entry.code.isdecimal()
        else _STATUSES.get(entry.status, "REFUSED")
    )
    return {
        "amount": str(entry.amount),
        "currency": entry.currency,
        "status": word,
        "payment_method": _operator(entry, operator) if entry.status.terminal else "",
        "description": entry.words["description"],
        "metadata": entry.words["metadata"],
        "operator_id": entry.words["operator_id"] if entry.moved else None,
        "payment_date": _date(entry.settled_at),
        "fund_availability_date": _date(entry.settled_at if entry.moved else None),
    }


def data_2021(entry: Entry, operator: str) -> dict[str, Any]:
    """Format a payment as in api-checkout-doc: without amount, currency and status."""
    prefix, number = _phone(entry)
    paid = {"operator_id": entry.words["operator_id"]} if entry.moved else {}
    return {
        **paid,
        "payment_method": _operator(entry, operator) if entry.status.terminal else "",
        "payment_date": _date(entry.settled_at),
        "phone_number": number,
        "phone_prefix": prefix,
    }


def notice(entry: Entry, operator: str, site_id: str, code: str) -> dict[str, str]:
    """Format a notification: sixteen fields, in the order in which they are signed.

    The order is from the docs' page on HMAC.
    """
    prefix, number = _phone(entry)
    return {
        "cpm_site_id": site_id,
        "cpm_trans_id": entry.provider_reference,
        "cpm_trans_date": _date(entry.settled_at or entry.opened_at),
        "cpm_amount": str(entry.amount),
        "cpm_currency": entry.currency,
        "signature": entry.words["signature"],
        "payment_method": _operator(entry, operator),
        "cel_phone_num": number,
        "cpm_phone_prefixe": prefix,
        "cpm_language": entry.words["lang"] or "fr",
        "cpm_version": "V4",
        "cpm_payment_config": "SINGLE",
        "cpm_page_action": "PAYMENT",
        "cpm_custom": entry.words["metadata"] or "",
        "cpm_designation": entry.words["description"],
        "cpm_error_message": MESSAGES.get(code, "UNKNOWN_ERROR"),
    }


def _operator(entry: Entry, usual: str) -> str:
    """Return with what a payment was paid: what the payer chose on the page, else the usual."""
    return str(entry.words.get("operator", usual))


def _phone(entry: Entry) -> tuple[str, str]:
    """Split a customer's number into its prefix and the rest."""
    party = entry.party or ""
    return (
        (party[:3], party[3:]) if len(party) > 10 and party.startswith(_PREFIXES) else ("", party)
    )


def _date(when: datetime | None) -> str:
    """Format a date as CinetPay does; a single space for none."""
    return f"{when:%Y-%m-%d %H:%M:%S}" if when else " "
