"""Who may speak with the simulator: not a page of another origin, and not a rebound name.

The simulator listens on the developer's machine, where every page of the browser can reach it. A
page of another origin cannot forge its `Host`, `Origin` and `Sec-Fetch-Site`: these decide. See
https://developer.mozilla.org/docs/Web/HTTP/Reference/Headers/Sec-Fetch-Site.
"""

from collections.abc import Collection, Mapping

from ...http import Response, WebhookRequest
from .problems import Problem

_UNSAFE = frozenset({"POST", "PUT", "PATCH", "DELETE"})


def refuses_decision(request: WebhookRequest) -> Response | None:
    """Refuse a checkout's decision that another page sends; None: it is from a page of ours.

    Call it for each POST of a hosted checkout page. A program that is no browser sends neither
    header, and is answered.
    """
    problem = foreign(request.headers)
    return None if problem is None else problem.reply()


def foreign(headers: Mapping[str, str], cors: Collection[str] = ()) -> Problem | None:
    """Return the refusal of a request from a page of another origin; None: it may go on.

    `headers` have lower-case names, and their `host` was checked. `cors`: the origins that are
    allowed. Another port of this machine is `same-site`, and refused as any other.
    """
    origin, site = headers.get("origin"), headers.get("sec-fetch-site")
    if origin is not None and origin in cors:
        return None
    if site not in (None, "same-origin", "none"):
        return _forbidden("sec-fetch-site", site, "same-origin or none, or no such header")
    ours = {f"{scheme}://{headers.get('host', '')}" for scheme in ("http", "https")}
    # A page with the policy `no-referrer` sends its form with `Origin: null`, also to itself.
    if origin is None or origin in ours or (origin == "null" and site == "same-origin"):
        return None
    return _forbidden("origin", origin, "this server's own, or one that --cors names")


def refuses_content(method: str, headers: Mapping[str, str]) -> Problem | None:
    """Return the refusal of an unsafe request without JSON, as a foreign form would send it."""
    if method not in _UNSAFE:
        return None
    if method == "DELETE" and headers.get("content-length", "0") == "0":
        return None  # no form can send this method
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json":
        return None
    accepted = "application/json"
    return Problem(
        415,
        f"content-type: {kind[:60]!r} is refused; accepted: {accepted}",
        field="content-type",
        accepted=accepted,
    )


def _forbidden(field: str, value: str, accepted: str) -> Problem:
    return Problem(
        403,
        f"{field}: {value[:200]!r} is refused; accepted: {accepted}",
        field=field,
        accepted=accepted,
    )
