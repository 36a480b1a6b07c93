"""What MTN refuses in a request: headers, texts, amounts and parties."""

import re
import uuid
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from ...http import Response, WebhookRequest
from ..replies import Refused, fields, json_reply
from .messages import error

# The currency of each X-Target-Environment; the sandbox has EUR alone.
CURRENCIES: Mapping[str, str] = {
    "sandbox": "EUR",
    "mtnuganda": "UGX",
    "mtnghana": "GHS",
    "mtnivorycoast": "XOF",
    "mtnzambia": "ZMW",
    "mtncameroon": "XAF",
    "mtnbenin": "XOF",
    "mtncongo": "XAF",
    "mtnswaziland": "SZL",
    "mtnguineaconakry": "GNF",
    "mtnsouthafrica": "ZAR",
    "mtnliberia": "LRD",
    "mtnsouthsudan": "SSP",
    "mtnnigeria": "NGN",
    "mtnrwanda": "RWF",
}
_AMOUNT = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,4})?", re.ASCII)
_DIGITS = re.compile(r"[0-9]{5,15}", re.ASCII)
_TYPES = ("MSISDN", "EMAIL", "PARTY_CODE")


def bad_request() -> Response:
    """Refuse a request that does not follow the page; no page shows a body."""
    return Response(status=400)


def reference_id(incoming: WebhookRequest, user: str) -> str:
    """Check the X-Reference-Id: a UUID of version 4, and not that of the API user."""
    given = incoming.headers.get("x-reference-id", "")
    try:
        found = uuid.UUID(given)
    except ValueError:
        raise Refused(bad_request()) from None
    if found.version != 4 or given == user or len(given) != 36:
        raise Refused(bad_request())
    return given.lower()


def target(incoming: WebhookRequest) -> str:
    """Check the X-Target-Environment."""
    given = incoming.headers.get("x-target-environment", "")
    if given not in CURRENCIES:
        raise Refused(error("NOT_ALLOWED_TARGET_ENVIRONMENT"))
    return given


def order_body(incoming: WebhookRequest, environment: str, note_chars: int) -> dict[str, Any]:
    """Check the fields that all orders have."""
    body = fields(incoming)
    if body is None or not isinstance(body.get("externalId"), str):
        raise Refused(bad_request())
    amount = str(body.get("amount", ""))
    if isinstance(body.get("amount"), bool) or not _AMOUNT.fullmatch(amount) or not Decimal(amount):
        raise Refused(bad_request())
    for name in ("payerMessage", "payeeNote"):
        note = body.get(name)
        # "Having unsupported special characters in the body, for example an apostrophe."
        if not isinstance(note, str) or len(note) > note_chars or set(note) & set("'&<>\""):
            raise Refused(bad_request())
    if body.get("currency") != CURRENCIES[environment]:
        raise Refused(error("INVALID_CURRENCY"))
    return body


def party(body: Mapping[str, Any], name: str) -> tuple[str, str]:
    """Check the payer or payee: its type and its id, a number without a plus."""
    found = body.get(name)
    if not isinstance(found, dict) or found.get("partyIdType") not in _TYPES:
        raise Refused(bad_request())
    said = found.get("partyId")
    plain = isinstance(said, str) and said != ""
    if not plain or (found["partyIdType"] == "MSISDN" and not _DIGITS.fullmatch(str(said))):
        raise Refused(bad_request())
    return str(found["partyIdType"]), str(said)


def no_target() -> Response:
    """Refuse a login without X-Target-Environment, as the platform of 2026 does."""
    return json_reply({"error": "Invalid or missing X-Target-Environment header"}, 400)
