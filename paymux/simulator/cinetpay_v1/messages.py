"""The codes of CinetPay's API of 2026, its answers about payments and transfers, and its notice."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from ...http import Response
from ...models import Reason, Status
from ..ledger import Entry
from ..replies import json_reply

# PyPI cinetpay-python 0.1.0, constants/statuses.py.
WORDS: Mapping[int, str] = {
    200: "OK",
    100: "SUCCESS",
    -1: "OPERATION_ERROR",
    404: "NOT_FOUND",
    1002: "INVALID_TOKEN",
    1003: "EXPIRED_TOKEN",
    1004: "INVALID_PARAMS",
    1005: "INVALID_CREDENTIALS",
    1200: "TRANSACTION_EXIST",
    2001: "INITIATED",
    2002: "PENDING",
    2003: "EXPIRED",
    2004: "OTP_ERROR",
    2005: "INSUFFICIENT_BALANCE",
    2006: "USER_NOT_FOUND",
    2007: "USER_IS_BLOCKED",
    2008: "OTP_EXPIRED",
    2010: "FAILED",
    2011: "NOT_ALLOWED",
}
_ENDS: Mapping[Status, int] = {
    Status.SUCCEEDED: 100,
    Status.REFUNDED: 100,  # it has no refunds, and no word for one
    Status.EXPIRED: 2003,
}
_FAILURES: Mapping[Reason | None, int] = {
    Reason.INSUFFICIENT_FUNDS: 2005,
    Reason.WRONG_PIN: 2004,
    Reason.UNKNOWN_PAYER: 2006,
    Reason.UNKNOWN_PAYEE: 2006,
    Reason.LIMIT: 2011,
}

_OF_A_PAYER = (2003, 2004)  # a transfer waits for no answer, and asks for no password


def error(code: int, description: str, status: int) -> Response:
    """Refuse, in the three fields that cinetpay-python reads (errors/api_error.py)."""
    word = WORDS.get(code, "FAILED")
    return json_reply({"code": code, "status": word, "description": description}, status)


def state(entry: Entry, waiting: int) -> dict[str, Any]:
    """Return the code and the word of an order; `waiting`: the code of an undecided one.

    An order's own code replaces both, or only the word if it is no number.
    """
    if entry.status is Status.PENDING:
        code = waiting
    else:
        code = _ENDS.get(entry.status) or _FAILURES.get(entry.reason, 2010)
        if entry.kind == "payout" and code in _OF_A_PAYER:
            code = 2010
    own = entry.code or ""
    if own.lstrip("-").isdecimal():
        return {"code": int(own), "status": WORDS.get(int(own), "UNKNOWN")}
    return {"code": code, "status": own or WORDS[code]}


def payment(entry: Entry, waiting: int) -> dict[str, Any]:
    """Format the state of a payment, as in scenario payment_status_retry_after_expired_token."""
    return {
        **state(entry, waiting),
        "merchant_transaction_id": entry.reference,
        "transaction_id": entry.provider_reference,
        "user": user(entry),
    }


def transfer(entry: Entry, waiting: int, *, texts: bool) -> dict[str, Any]:
    """Format the state of a transfer, as in scenario transfer_success.

    `texts`: the amounts are texts, as in the types of cinetpay-python, and not numbers.
    """
    told = payment(entry, waiting)
    sums = {"amount": entry.amount, "fee_amount": fee(entry.amount)}
    told |= {name: str(value) if texts else int(value) for name, value in sums.items()}
    return {**told, "phone_number": f"+{entry.party}", "currency": entry.currency}


def opened(entry: Entry, waiting: int, address: str) -> dict[str, Any]:
    """Format the answer to a payment's request, as in scenario payment_web_redirect.

    Its own code stays 200, also where `details` say that a direct payment failed.
    """
    now = state(entry, waiting)
    redirected = not entry.words["direct"]
    messages = {
        2001: "Veuillez cliquer sur le lien pour continuer le paiement",
        2010: "Paiement echoue",
    }
    return {
        "code": 200,
        "status": WORDS[200],
        "payment_token": entry.words["payment_token"],
        "notify_token": entry.words["notify_token"],
        "transaction_id": entry.provider_reference,
        "merchant_transaction_id": entry.reference,
        "payment_url": address,
        "details": {
            **now,
            "message": messages.get(now["code"], now["status"].lower()),
            "must_be_redirected": redirected,
        },
    }


def notice(entry: Entry, token: str) -> dict[str, Any]:
    """Format a notification: it has no status (README of the same repository)."""
    return {
        "notify_token": token,
        "merchant_transaction_id": entry.reference,
        "transaction_id": entry.provider_reference,
        "user": user(entry),
    }


def user(entry: Entry) -> dict[str, str]:
    """Return who pays or is paid."""
    words = entry.words
    return {
        "name": str(words.get("name") or "Doe John"),
        "email": str(words.get("email") or "john.doe@gmail.com"),
        "phone_number": f"+{entry.party}" if entry.party else "",
    }


def fee(amount: Decimal) -> Decimal:
    """Return the fee of a transfer; the scenario has 2 of 100."""
    return (amount / 50).to_integral_value()
