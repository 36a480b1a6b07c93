"""Envelopes, signatures and dates of the Merchant API.

github.com/suntechdevs/paycfa merchant-api/errors.md, authentication.md and webhooks.md (2026-05).
"""

import hashlib
import hmac
from collections.abc import Iterable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from ...http import Response, WebhookRequest
from ...primitives.clock import wall_time
from ..replies import Refused, json_reply

INTERNAL = "/api/v1/merchant"  # the path behind the proxy, which is signed
_WINDOW = 300.0


def data(body: Any, status: int = 200, **more: Any) -> Response:
    """Answer with an envelope."""
    return json_reply({"error": False, "http_status": status, "data": body, **more}, status)


def error(status: int, code: str, message: str, **more: Any) -> Response:
    """Refuse with a code."""
    told = {"error": True, "http_status": status, "code": code, "message": message, **more}
    return json_reply(told, status)


def invalid(what: str, path: str, message: str) -> Refused:
    """Return the refusal of a field."""
    details = [{"path": path, "msg": message}]
    return Refused(error(400, "validation_error", f"Invalid {what} request", details=details))


def written(moment: datetime) -> str:
    """Write a time as JavaScript's toISOString does."""
    at = moment.astimezone(UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03d}Z"


def seal(secret: str, said: bytes) -> str:
    """Return the header of a signature."""
    return "sha256=" + hmac.new(secret.encode(), said, hashlib.sha256).hexdigest()


def check_signature(incoming: WebhookRequest, path: str, secret: str) -> None:
    """Refuse a request that the secret key did not sign, or too long ago."""
    headers = incoming.headers
    stamp, given = headers.get("x-timestamp"), headers.get("x-signature")
    if given is None:
        raise _unsigned("missing_signature")
    if stamp is None:
        raise _unsigned("missing_timestamp")
    try:
        at = datetime.fromisoformat(stamp)
    except ValueError:
        raise _unsigned("invalid_timestamp_format") from None
    if at.tzinfo is None or abs((wall_time() - at).total_seconds()) > _WINDOW:
        raise _unsigned("timestamp_out_of_window")
    query = "&".join(sorted(incoming.query.split("&")))
    body = b"" if incoming.method in ("GET", "HEAD", "DELETE") else incoming.body
    lines = "\n".join((stamp, incoming.method, f"{INTERNAL}{path}", query, "")).encode()
    if not hmac.compare_digest(seal(secret, lines + body).encode(), given.encode()):
        raise _unsigned("signature_mismatch")


def _unsigned(why: str) -> Refused:
    return Refused(error(401, "signature_invalid", f"Signature verification failed: {why}"))


def checked_amount(value: object, what: str, path: str) -> Decimal:
    """Check an amount: a number above 0; XOF has no decimals."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 10**12:
        raise invalid(what, path, "amount must be > 0")
    if value != int(value):
        raise invalid(what, path, "amount has decimals")
    return Decimal(int(value))


def page_of(rows: Iterable[dict[str, Any]], asked: dict[str, str]) -> Response:
    """Answer with one page of a list: made strictly before the cursor, newest first."""
    limit = asked.get("limit", "20")
    if not limit.isascii() or not limit.isdecimal() or not 1 <= int(limit) <= 100:
        raise invalid("list", "limit", "limit must be 1-100")
    before = asked.get("before")
    found = [
        one
        for one in sorted(rows, key=lambda one: str(one["date"]), reverse=True)
        if (before is None or one["date"] < before)
        and all(asked.get(name) in (None, one[name]) for name in ("type", "status"))
    ]
    page = found[: int(limit)]
    more = page[-1]["date"] if len(found) > len(page) else None
    return data(page, paging={"limit": int(limit), "next_before": more})
