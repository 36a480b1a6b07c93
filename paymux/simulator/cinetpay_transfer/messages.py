"""The transfer API's codes, the forms of its answers, and the fields of a notification."""

from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

from ...http import Response
from ...models import Status
from ..ledger import Entry
from ..replies import json_reply

Form: TypeAlias = Literal["nested", "list", "object"]

# https://docs.cinetpay.com/api/1.0-fr/transfert/annexe, with its spelling.
CODES: Mapping[str, str] = {
    "-1": "OPERATION_ERROR",
    "602": "INSUFFICIENT_BALANCE",
    "701": "INVALID_CREDENTIALS",
    "702": "COULD_NOT_CREATE_TOKEN",
    "703": "INVALID_USER",
    "704": "INVALID_PARAM",
    "705": "EXPIRED_TOKEN",
    "706": "INVALID_TOKEN",
    "707": "CANT_REFRESH_TOKEN",
    "708": "NOT_ALLOWED",
    "709": "EXECUTION_ERROR",
    "710": "EXECUTION_ERROR",
    "715": "UNEXPECTED_ERROR",
    "716": "DATA_NOT_VALID",
    "717": "ERROR_PHONE_NOT_PARTICULAR",
    "718": "JSON_PARSE_ERROR",
    "719": "AMOUNT_TOO_SMALL",
    "720": "AMOUNT_TOO_LARGE",
    "721": "OPERATOR_NOT_AVAILABLE",
    "723": "NOT_FOUND",
    "724": "ERROR_PHONE_NOT_MY_CONTACT",
    "725": "MISSING_NOTIFY_URL",
    "726": "ERROR_PHONE_ALREADY_MY_CONTACT",
    "801": "INVALID_AMOUNT",
    "802": "INVALID_PHONE",
    "804": "OPERATOR_UNAVAILABLE",
    "805": "CLIENT_TRANSACTION_ID_EXIST",
}
_WORDS: Mapping[Status, str] = {Status.SUCCEEDED: "VAL", Status.REFUNDED: "VAL"}


def error(code: str, description: str = "", status: int = 200) -> Response:
    """Refuse in the form of …/transfert/utilisation, where the code of an error is text."""
    body = {
        "code": code,
        "message": CODES.get(code, "UNKNOWN_ERROR"),
        "description": description or CODES.get(code, "UNKNOWN_ERROR"),
        "data": [],
    }
    return json_reply(body, status)


def answer(rows: list[dict[str, Any]], form: Form) -> Response:
    """Answer with rows: a list of lists (…/transfert/etapes), a list, or one object."""
    data: Any = rows
    if form == "nested":
        data = [rows]
    elif form == "object" and len(rows) == 1:
        data = rows[0]
    return json_reply({"code": 0, "message": "OPERATION_SUCCES", "data": data})


def word(entry: Entry) -> str:
    """Return the `treatment_status` of a transfer; a test may have set its own word."""
    if entry.code:
        return entry.code
    if entry.status is Status.PENDING:
        return str(entry.words["waits"])
    return _WORDS.get(entry.status, "REJ")


def transfer(entry: Entry) -> dict[str, Any]:
    """Format a transfer as github.com/jojupiter/duskswap-archive reads it (TransferInfoData).

    No page shows it. Amounts are text there.
    """
    confirmed = word(entry) != "NOS"
    return {
        "transaction_id": entry.provider_reference,
        "client_transaction_id": entry.reference,
        "lot": entry.words["lot"],
        "amount": str(entry.amount),
        "receiver": entry.words["phone"],
        "receiver_e164": f"+{entry.party}",
        "operator": entry.words["operator"],
        "sending_status": "CONFIRM" if confirmed else "PENDING",
        "transfer_valid": "Y" if confirmed else "N",
        "treatment_status": word(entry),
        "comment": entry.words["comment"],
        "operator_transaction_id": entry.words["receipt"] if entry.moved else None,
        "validated_at": f"{entry.settled_at:%Y-%m-%d %H:%M:%S}" if entry.settled_at else None,
    }


def notice(entry: Entry, told: str) -> dict[str, str]:
    """Format a notification: the ten fields of …/transfert/notification, in its order."""
    row = {**transfer(entry), "treatment_status": told}
    fields = (
        "transaction_id",
        "client_transaction_id",
        "lot",
        "amount",
        "receiver",
        "sending_status",
        "comment",
        "treatment_status",
        "operator_transaction_id",
        "validated_at",
    )
    return {name: str(row[name] or "") for name in fields}
