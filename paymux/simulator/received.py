"""What was received of a request, as text that can be kept and shown."""

from aiohttp import web


def headers_of(request: web.BaseRequest) -> dict[str, str]:
    """Return a request's headers, their names in small letters.

    Bytes that are not UTF-8 are replaced: aiohttp keeps them as surrogates, which no JSON can hold.
    """
    return {
        name.lower(): value.encode(errors="surrogateescape").decode(errors="replace")
        for name, value in request.headers.items()
    }
