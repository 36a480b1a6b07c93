"""Reading the fields of a provider's message, in whichever form they came."""

from typing import TypeVar

from ..http import WebhookRequest
from ..values.multipart import multipart_fields
from ..values.parsing import BOM, Unreadable, convert, form_fields, json_fields

T = TypeVar("T")

WEBHOOK_BYTES = 64 * 1024  # ten times the largest message of these providers


def read_message(type: type[T], incoming: WebhookRequest) -> T:
    """Read the query of a GET, or the JSON or the form of a body, or raise Unreadable."""
    if len(incoming.body) > WEBHOOK_BYTES or len(incoming.query) > WEBHOOK_BYTES:
        raise Unreadable("larger than 64 KiB")
    if incoming.method == "GET":
        return convert(type, form_fields(incoming.query))
    body, sort = incoming.body.removeprefix(BOM), incoming.headers.get("content-type", "")
    if body.lstrip()[:1] == b"{":
        return convert(type, json_fields(body))
    if sort.lstrip().lower().startswith("multipart/form-data"):
        return convert(type, multipart_fields(body, sort))
    return convert(type, form_fields(body.decode("utf-8")))
