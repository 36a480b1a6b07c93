"""The signature of a request, and that of a message.

https://github.com/suntechdevs/paycfa merchant-api/authentication.md @5a20951, idempotency.md and
webhooks.md @585cc6f.
"""

import hmac
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from ...http import Request, WebhookRequest
from ...models import Kind
from ...values.parsing import Unreadable, parse_time

# "Hardcode /api/v1/merchant/<endpoint>": the path behind the proxy is signed, whatever the URL.
SIGNED_PATH = "/api/v1/merchant"
WINDOW = 300.0  # seconds between the clocks, in both directions
# Intram keeps a key and its answer for 24 hours in a store (idempotency.md); after that the same
# key pays again. A repeat within one verb needs no more than an hour, which leaves the rest for
# clocks that differ and for requests that wait on their way.
KEY_LIFE = 3600.0


def key(kind: Kind, reference: str) -> Mapping[str, str]:
    """Return the header of an order's key: of 8 to 128 of A-Z a-z 0-9 _ -, the same each time."""
    return {"Idempotency-Key": f"{kind}-{sha256(reference.encode()).hexdigest()[:32]}"}


def signed(request: Request[Any], public_key: str, secret_key: str) -> Request[Any]:
    """Sign the bytes that are sent; a repeat has a new time, and the same key and body."""
    path, _, query = request.target().partition("?")
    body = b"" if request.body is None else request.content()
    stamp = _stamp(_now())
    lines = (stamp, request.method, f"{SIGNED_PATH}{path}", "&".join(sorted(query.split("&"))), "")
    return request.with_headers(
        {
            "X-Api-Key": public_key,
            "X-Timestamp": stamp,
            "X-Signature": _seal(secret_key, "\n".join(lines).encode() + body),
        }
    )


def check_message(incoming: WebhookRequest, secret: str) -> None:
    """Raise Unreadable for a message that the subscription's secret did not sign, now."""
    stamp = incoming.headers.get("x-intram-timestamp", "")
    seal = _seal(secret, stamp.encode("utf-8", "replace") + b"." + incoming.body)
    given = incoming.headers.get("x-intram-signature", "").encode("utf-8", "replace")
    if not hmac.compare_digest(seal.encode(), given):
        raise Unreadable("not signed with the secret of this account's subscription")
    at = parse_time(stamp)
    if at is None or abs((_now() - at).total_seconds()) > WINDOW:
        raise Unreadable("signed more than 5 minutes ago, or in the future")


def _seal(secret: str, said: bytes) -> str:
    return "sha256=" + hmac.digest(secret.encode(), said, "sha256").hex()


def _now() -> datetime:
    return datetime.fromtimestamp(time.time(), UTC)


def _stamp(now: datetime) -> str:
    return f"{now:%Y-%m-%dT%H:%M:%S}.{now.microsecond // 1000:03d}Z"
