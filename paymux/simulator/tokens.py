"""Access tokens of the providers, and JSON web tokens for signatures."""

import asyncio
import base64
import hashlib
import hmac
import json
import time
from typing import Any


class Tokens:
    """Issued access tokens, each valid for `life` seconds of the loop's clock (None: for ever)."""

    def __init__(self, life: float | None) -> None:
        self.life = life
        self.newest_only = False  # whether a new token ends the older ones
        self._until: dict[str, float] = {}

    def issue(self, token: str) -> str:
        """Make a token valid from now on."""
        if self.newest_only:
            self.revoke()
        life = float("inf") if self.life is None else self.life
        self._until[token] = asyncio.get_running_loop().time() + life
        return token

    def __contains__(self, token: str) -> bool:
        return self._until.get(token, 0.0) > asyncio.get_running_loop().time()

    def revoke(self) -> None:
        """Invalidate every token issued so far."""
        self._until.clear()


def jwt(key: str, claims: dict[str, Any], *, life: float, **header: Any) -> str:
    """Sign claims with HS256, valid from now for `life` seconds of the wall clock."""
    now = int(time.time())
    dated = {"iat": now, "nbf": now, "exp": now + int(life), **claims}
    signed = f"{_json({'typ': 'JWT', 'alg': 'HS256', **header})}.{_json(dated)}"
    return f"{signed}.{_text(hmac.new(key.encode(), signed.encode(), hashlib.sha256).digest())}"


def _json(part: dict[str, Any]) -> str:
    return _text(json.dumps(part, separators=(",", ":")).encode())


def _text(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
