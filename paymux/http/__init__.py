"""Typed requests, responses and incoming messages, and the connection that carries them."""

from ..values.received import MAX_HEADERS, WebhookRequest, checked_webhook_request, received_text
from .connection import (
    Connection,
    NoWebSocket,
    PreparedRequest,
    Response,
    ResponseTooLarge,
    TransportError,
)
from .requests import (
    MAX_BODY_BYTES,
    MAX_DAY_BYTES,
    MAX_FORM_FIELDS,
    MAX_PAGE_BYTES,
    Question,
    Request,
    Send,
    ask,
    get,
    post,
)

__all__ = [
    "MAX_BODY_BYTES",
    "MAX_DAY_BYTES",
    "MAX_FORM_FIELDS",
    "MAX_HEADERS",
    "MAX_PAGE_BYTES",
    "Connection",
    "NoWebSocket",
    "PreparedRequest",
    "Question",
    "Request",
    "Response",
    "ResponseTooLarge",
    "Send",
    "TransportError",
    "WebhookRequest",
    "ask",
    "checked_webhook_request",
    "get",
    "post",
    "received_text",
]
