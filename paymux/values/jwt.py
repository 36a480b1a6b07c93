"""Verifying a signed message: JWT with HS256 only, by the standard library."""

import base64
import hmac
import time
from typing import Any

from .parsing import Unreadable, json_fields

LEEWAY_SECONDS = 60.0  # seconds that the signer's clock and ours may differ


def verified_claims(token: str, key: str) -> dict[str, Any]:
    """Return the claims of a valid JWT signed with this key, or raise Unreadable.

    The algorithm is fixed here, not by the message. A header that contains or names a key is
    refused.
    """
    signed, _, seal = token.rpartition(".")
    mac = base64.urlsafe_b64encode(
        hmac.digest(key.encode(), signed.encode(errors="replace"), "sha256")
    )
    try:
        header, claims = (
            json_fields(base64.urlsafe_b64decode(part + "==")) for part in signed.split(".")
        )
        now = time.time()
        exp, nbf, iat = (float(claims.get(name, now)) for name in ("exp", "nbf", "iat"))
    except (ValueError, TypeError, OverflowError):
        raise Unreadable("the signature is no JWT") from None
    pinned = header.get("alg") == "HS256" and not header.keys() & {
        "jku",
        "jwk",
        "x5u",
        "x5c",
        "crit",
    }
    current = (
        now - LEEWAY_SECONDS < exp < 1e11
        and nbf < now + LEEWAY_SECONDS
        and iat < now + LEEWAY_SECONDS
    )
    if not (
        pinned and current and hmac.compare_digest(mac.rstrip(b"="), seal.encode(errors="replace"))
    ):
        raise Unreadable("not signed with this key by HS256, or out of date")
    return claims
