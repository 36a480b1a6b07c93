"""The files that a checkout page loads: its style, its script and its icon."""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from ...http import Response

_TYPES: Mapping[str, str] = {
    "checkout.css": "text/css; charset=utf-8",
    "checkout.js": "text/javascript; charset=utf-8",
    "checkout.svg": "image/svg+xml",
}


@cache
def asset(name: str) -> Response | None:
    """Return a file below `/_paymux/`; None: the checkout page has none of this name."""
    if name not in _TYPES:
        return None
    return Response(
        status=200,
        headers={
            "content-type": _TYPES[name],
            "x-content-type-options": "nosniff",
            "cross-origin-resource-policy": "same-origin",
            "cache-control": "no-cache",
        },
        body=(Path(__file__).parent / name).read_bytes(),
    )
