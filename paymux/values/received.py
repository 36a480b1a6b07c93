"""A received message, and the checks of what a web server passes on."""

from collections.abc import Mapping
from typing import Any

import msgspec

from ..errors import BadWebhook, UsageError
from ..primitives import coerce


class WebhookRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A received message: raw body, lower-case header names, and the query without its `?`."""

    method: str = "POST"
    path: str = ""
    query: str = ""
    headers: Mapping[str, str] = {}
    body: bytes = b""
    peer: str | None = None

    def __repr__(self) -> str:
        return f"<WebhookRequest {self.method} of {len(self.body)} bytes>"


MAX_HEADERS = 64  # of a WebhookRequest


def checked_webhook_request(value: object) -> WebhookRequest:
    """Return a message with header names in lower case, and the body as bytes.

    UsageError: wrong types, which no web server passes on. What any client can send, such as too
    many headers or half a surrogate pair, is not the caller's mistake: it is BadWebhook, here or
    when the message is read.
    """
    if not coerce.is_a(value, WebhookRequest):
        raise UsageError.field("incoming", value, "a WebhookRequest")
    given: Any = value.body
    body = bytes(given) if type(given) in (bytearray, memoryview) else given
    if type(body) is not bytes:
        raise UsageError.field("incoming.body", value.body, "the bytes as they came in")
    found = coerce.mapping(value.headers)
    if found is None:
        raise UsageError.field("incoming.headers", value.headers, "a mapping of text to text")
    if len(found) > MAX_HEADERS:
        raise BadWebhook(f"more than {MAX_HEADERS} headers")
    headers = {}
    for name, text in found.items():
        headers[received_text("incoming.headers", name).lower()] = received_text(
            "incoming.headers", text
        )
    return WebhookRequest(
        method=received_text("incoming.method", value.method),
        path=received_text("incoming.path", value.path),
        query=received_text("incoming.query", value.query),
        headers=headers,
        body=body,
        peer=None if value.peer is None else received_text("incoming.peer", value.peer),
    )


def received_text(name: str, value: object) -> str:
    """Return received text; half a surrogate pair in it is refused later, when it is read."""
    if type(value) is str:
        return value
    if not coerce.is_a(value, str):
        raise UsageError.field(name, value, "a string")
    return str.__str__(value)
