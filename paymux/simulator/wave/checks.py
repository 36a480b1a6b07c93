"""What Wave refuses before anything happens, in its envelope of an error."""

import json
import re
from collections.abc import Collection, Mapping
from decimal import Decimal
from typing import Any

from ...http import Response, WebhookRequest
from ..replies import Refused, json_reply

# "No leading zeros; must be positive for requests"; XOF has no decimals.
_AMOUNT = re.compile(r"[1-9][0-9]{0,11}", re.ASCII)
_MOBILE = re.compile(r"\+[1-9][0-9]{7,14}", re.ASCII)
_SHOPS = ("https://", "http://127.0.0.1:", "http://localhost:")
_CURRENCY = re.compile(r"[A-Z]{3}", re.ASCII)


def refused(status: int, code: str, message: str, details: Any = None) -> Response:
    """Write an error: at least a code and a message."""
    told = {"code": code, "message": message}
    return json_reply({**told, "details": details} if details else told, status)


def invalid(field: str, said: str) -> Refused:
    """Refuse one field, as in the page's sample of a validation error."""
    details = [{"loc": [field], "msg": said, "type": "value_error"}]
    return Refused(refused(400, "request-validation-error", "Request invalid", details))


def authorized(incoming: WebhookRequest) -> None:
    """Check the key; the page lists a code for each way in which it may be wrong."""
    given = incoming.headers.get("authorization")
    if given is None:
        code, said = "missing-auth-header", "Your request must include an HTTP auth header."
        raise Refused(refused(401, code, said))
    scheme, _, key = given.partition(" ")
    if scheme != "Bearer":
        raise Refused(refused(401, "invalid-auth", "Your HTTP auth header can't be processed."))
    if not key:
        raise Refused(refused(401, "api-key-not-provided", "Your request must include an API key."))
    if key != "simulator":
        raise Refused(refused(401, "no-matching-api-key", "The key you provided doesn't exist."))


def fields(incoming: WebhookRequest, known: Collection[str], *, strict: bool) -> dict[str, Any]:
    """Read a JSON body with these fields."""
    if "json" not in incoming.headers.get("content-type", ""):
        raise Refused(refused(400, "request-not-json", "The request has no JSON body."))
    try:
        body = json.loads(incoming.body)
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise Refused(refused(400, "request-parsing-error", "The JSON body is invalid."))
    for name in body:
        if strict and name not in known:
            raise invalid(name, "extra fields not permitted")
    return body


def amount(body: Mapping[str, Any], name: str) -> Decimal:
    """Read an amount: text, a whole number of francs."""
    given = body.get(name)
    if not isinstance(given, str) or not _AMOUNT.fullmatch(given):
        raise invalid(name, "An amount is a string: a positive number without decimals.")
    currency = body.get("currency")
    if not isinstance(currency, str) or not _CURRENCY.fullmatch(currency):
        raise invalid("currency", f"Unknown currency identifier: {currency}.")
    if currency != "XOF":
        raise Refused(refused(400, "currency-mismatch", "The currency isn't your wallet's."))
    return Decimal(given)


def mobile(body: Mapping[str, Any], name: str) -> str:
    """Read a phone number: E.164, with its plus."""
    given = body.get(name)
    if not isinstance(given, str) or not _MOBILE.fullmatch(given):
        raise invalid(name, "Invalid phone number.")
    return given[1:]


def text(body: Mapping[str, Any], name: str, longest: int) -> str | None:
    """Read an optional text."""
    given = body.get(name)
    if given is not None and (not isinstance(given, str) or not 0 < len(given) <= longest):
        raise invalid(name, f"ensure this value has at most {longest} characters")
    return given


def url(body: Mapping[str, Any], name: str) -> str:
    """Read an address to which the payer is sent: https.

    A shop on this machine has none, and is tried here all the same.
    """
    given = body.get(name)
    if not isinstance(given, str) or not given.startswith(_SHOPS):
        raise invalid(name, "An https URL is required.")
    return given
