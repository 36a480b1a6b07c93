"""What proves a message: https://docs.wave.com/webhook.

Signed with "signing secret": `Wave-Signature: t=<seconds>,v1=<hex>[,v1=<hex>]`, HMAC-SHA256 over
the digits of `t` and the raw body, with nothing between them. With "shared secret", the message
only shows it: `Authorization: Bearer <secret>`.
"""

import hmac
import re
import time
from collections.abc import Sequence
from typing import Any

from ...http import Request, WebhookRequest
from ...models import Trust
from ...values.parsing import Unreadable

TOLERANCE = 300  # seconds, both ways; the page: 5 minutes
_SECONDS = re.compile(r"[0-9]{1,11}", re.ASCII)
_MOST = 16  # signatures of one header; a secret that is replaced makes two


def seal(secret: str, seconds: str, body: bytes) -> str:
    """Return the signature of a body at a time."""
    return hmac.digest(secret.encode(), seconds.encode() + body, "sha256").hex()


def request_headers(request: Request[Any], key: str, secret: str) -> dict[str, str]:
    """Return the headers that sign a request.

    Two clients (PyPI wave-business-api 1.0.0 and yoonpay 0.7.0) sign in the same way with a key's
    own secret, where the portal wants it; Wave's page is not known.
    """
    headers = {"Authorization": f"Bearer {key}"}
    if secret:
        now, body = str(int(time.time())), b"" if request.body is None else request.content()
        headers["Wave-Signature"] = f"t={now},v1={seal(secret, now, body)}"
    return headers


def proof_of(incoming: WebhookRequest, secrets: Sequence[str]) -> Trust:
    """Return what a message's headers prove; Unreadable: nothing, though there is a secret."""
    header = incoming.headers.get("wave-signature")
    if header is not None:
        _check(header, incoming.body, secrets)
        return Trust.BODY
    scheme, _, shown = incoming.headers.get("authorization", "").partition(" ")
    given = shown.strip().encode(errors="replace")
    if scheme.lower() == "bearer" and _any(given, [secret.encode() for secret in secrets]):
        return Trust.ORIGIN
    raise Unreadable("it has neither a Wave-Signature nor the shared secret")


def _check(header: str, body: bytes, secrets: Sequence[str]) -> None:
    parts = [part.strip().partition("=") for part in header.split(",", _MOST + 1)]
    times = [value for name, _, value in parts if name == "t"]
    given = [value for name, _, value in parts if name == "v1"]
    if len(times) != 1 or not _SECONDS.fullmatch(times[0]) or not 0 < len(given) <= _MOST:
        raise Unreadable("its Wave-Signature is none")
    if abs(time.time() - int(times[0])) > TOLERANCE:
        raise Unreadable("it was signed more than five minutes ago, or ahead")
    seals = [seal(secret, times[0], body).encode() for secret in secrets]
    if not any(_any(one.encode(errors="replace"), seals) for one in given):
        raise Unreadable("it is not signed with the webhook's secret")


def _any(given: bytes, known: Sequence[bytes]) -> bool:
    return any(hmac.compare_digest(given, one) for one in known)
