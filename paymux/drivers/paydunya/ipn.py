"""The IPN: the fields of an invoice, in one of five forms."""

import re
from typing import Any
from urllib.parse import unquote_to_bytes

import msgspec

from ...http import WebhookRequest
from ...values.parsing import Unreadable, json_fields
from ..base import WEBHOOK_BYTES

_KEY = re.compile(r"data((?:\[[^\[\]]+\])+)")
_DEEPEST = 8


def once_encoded(incoming: WebhookRequest) -> WebhookRequest:
    """Return a message whose form is encoded once, also if it was encoded twice."""
    if not incoming.body.startswith((b"data=%25", b"data%25")):
        return incoming
    if len(incoming.body) > WEBHOOK_BYTES or incoming.body.count(b"%") > 8192:
        raise Unreadable("larger than 64 KiB, or of more escapes than a message has")
    return msgspec.structs.replace(incoming, body=unquote_to_bytes(incoming.body))


def below_data(fields: dict[str, Any]) -> Any:
    """Return what is below `data`: an object, JSON in a form field, or PHP's `data[a][b]=…`."""
    below = fields.get("data", fields)
    if isinstance(below, str):
        return json_fields(below.encode("utf-8", "surrogatepass"))
    return _php_tree(fields) or below


def _php_tree(fields: dict[str, Any]) -> dict[str, Any]:
    """Return what fields named `data[a][b]` are in PHP."""
    tree: dict[str, Any] = {}
    for name, value in fields.items():
        found = _KEY.fullmatch(name)
        if found is None:
            continue
        *steps, last = found[1][1:-1].split("][")
        branch: Any = tree
        for step in steps[:_DEEPEST]:
            branch = branch.setdefault(step, {}) if isinstance(branch, dict) else None
        if len(steps) > _DEEPEST or not isinstance(branch, dict) or last in branch:
            raise Unreadable("fields that contradict each other")
        branch[last] = value
    return tree
