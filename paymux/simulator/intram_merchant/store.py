"""The store of idempotency keys, with a clock that a test moves.

From github.com/suntechdevs/paycfa merchant-api/idempotency.md (2026-05): a key is kept with a
fingerprint of method, path and body for 24 hours, and with the answer, which a repeat gets again.
"""

import hashlib
import re
from collections.abc import Callable
from typing import Literal, NamedTuple

import msgspec

from ...http import Response, WebhookRequest
from ...primitives.clock import wall_time
from ..replies import Refused
from .wire import error

_KEY = re.compile(r"[A-Za-z0-9_-]{8,128}", re.ASCII)


class _Kept(NamedTuple):
    fingerprint: str
    at: float
    reply: Response


class Store:
    """The keys that were used."""

    def __init__(self) -> None:
        self.life = 86_400.0  # seconds
        self.ahead = 0.0  # seconds by which a test has moved this clock
        # Redis is away: 500 `idempotency_error`. Whether the request is processed all the same, no
        # page says.
        self.away: Literal["no", "refuses", "processes"] = "no"
        self._kept: dict[str, _Kept] = {}

    def once(
        self, incoming: WebhookRequest, path: str, process: Callable[[], Response]
    ) -> Response:
        """Process a request whose key is new, or give the answer of the first with this key."""
        key = incoming.headers.get("idempotency-key")
        if key is None:
            said = "Idempotency-Key header is required for mutating requests"
            return error(400, "missing_idempotency_key", said)
        if not _KEY.fullmatch(key):
            said = "Idempotency-Key must be 8-128 alphanumeric / - / _ characters"
            return error(400, "invalid_idempotency_key", said)
        if self.away != "no":
            if self.away == "processes":
                _answer(process)
            return error(500, "idempotency_error", "Idempotency store unavailable")
        whole = f"{incoming.method}{path}".encode() + incoming.body
        fingerprint, now = hashlib.sha256(whole).hexdigest(), self._now()
        kept = self._kept.get(key)
        if kept is not None and now - kept.at < self.life:
            return _again(kept, fingerprint)
        reply = _answer(process)
        self._kept[key] = _Kept(fingerprint, now, reply)
        return reply

    def _now(self) -> float:
        return wall_time().timestamp() + self.ahead


def _again(kept: _Kept, fingerprint: str) -> Response:
    if kept.fingerprint != fingerprint:
        said = "Idempotency-Key already used with a different request body"
        return error(409, "idempotency_conflict", said)
    headers = {**kept.reply.headers, "Idempotent-Replay": "true"}
    return msgspec.structs.replace(kept.reply, headers=headers)


def _answer(process: Callable[[], Response]) -> Response:
    try:
        return process()
    except Refused as refused:
        return refused.reply
