"""Headers of every answer of the control API and the page."""

from collections.abc import Collection, Mapping

from ...http import Response

# Of the API: no page may read or frame it, and nothing keeps it.
API: Mapping[str, str] = {
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "content-security-policy": "default-src 'none'; frame-ancestors 'none'",
    "cache-control": "no-store",
}


def cors(origin: str | None, allowed: Collection[str]) -> dict[str, str]:
    """Return the headers that let a page of an allowed origin read an answer; none for others."""
    if origin is None or origin not in allowed:
        return {}
    return {"access-control-allow-origin": origin, "vary": "Origin"}


def preflight(shared: Mapping[str, str]) -> Response:
    """Answer what a browser asks before it sends another origin's request."""
    allowed = {
        "access-control-allow-methods": "GET, POST, PUT, PATCH, DELETE",
        "access-control-allow-headers": "content-type, authorization, last-event-id",
        "access-control-max-age": "600",
    }
    return Response(status=204, headers={**API, **allowed, **shared})
