"""Whose form may decide: a page of this simulator's, or a program that is no browser."""

from ...http import Response, WebhookRequest


def refuses_decision(request: WebhookRequest) -> Response | None:
    """Refuse a decision that another page sends; None: it is from a page of ours, or a program.

    Another port of this machine is `same-site`, and refused as any other origin.
    """
    origin, site = request.headers.get("origin"), request.headers.get("sec-fetch-site")
    ours = {f"{scheme}://{request.headers.get('host', '')}" for scheme in ("http", "https")}
    # A page with the policy `no-referrer` sends its form with `Origin: null`, also to itself.
    if site in (None, "same-origin", "none") and (
        origin is None or origin in ours or (origin == "null" and site == "same-origin")
    ):
        return None
    return Response(
        status=403, headers={"content-type": "text/plain"}, body=b"this page is not the sender"
    )
