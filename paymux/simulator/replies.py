"""Writing answers as providers do, and reading requests."""

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote

from ..http import Response, WebhookRequest


class Refused(Exception):
    """The provider refuses: this reply is sent, and nothing else happens."""

    def __init__(self, reply: Response) -> None:
        super().__init__(reply)
        self.reply = reply


def json_reply(body: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Answer with JSON."""
    return Response(
        status=status,
        headers={"content-type": "application/json", **(headers or {})},
        body=json.dumps(body).encode(),
    )


def html_reply(body: str, status: int = 200) -> Response:
    """Answer with an HTML page."""
    return Response(
        status=status, headers={"content-type": "text/html; charset=utf-8"}, body=body.encode()
    )


def redirect(location: str) -> Response:
    """Redirect a browser."""
    return Response(status=302, headers={"location": location})


def segments(incoming: WebhookRequest) -> list[str]:
    """Split a path at slashes, ignoring empty parts; an encoded slash stays in its segment."""
    return [unquote(part) for part in incoming.path.split("/") if part]


def fields(incoming: WebhookRequest) -> dict[str, Any] | None:
    """Read a JSON object or a form, by its content type; None: the body is neither."""
    if "form" in incoming.headers.get("content-type", ""):
        return dict(parse_qsl(incoming.body.decode("utf-8", "replace"), keep_blank_values=True))
    try:
        found = json.loads(incoming.body)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def query(incoming: WebhookRequest) -> dict[str, str]:
    """Read the fields of the query."""
    return dict(parse_qsl(incoming.query, keep_blank_values=True))
