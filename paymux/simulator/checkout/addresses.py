"""Addresses that a merchant gave: which of them a browser may be sent to, and its origin."""

import re
from collections.abc import Iterable
from urllib.parse import quote, urlsplit

# What a URL may contain, of the ASCII characters; others are percent-encoded.
_URL = "!#$%&'()*+,-./:;=?@[]_~"
# https://www.w3.org/TR/CSP3/#grammardef-host-part: an IPv6 address or an underscore is in none.
_NAMED = re.compile(r"[a-z0-9-]+(?:\.[a-z0-9-]+)*", re.ASCII)
_UNNAMED = re.compile(r"[a-z0-9:._-]+", re.ASCII)


def web_address(written: object) -> str | None:
    """Return an address that a browser may be sent to; None for `javascript:`, `data:` and others.

    A line break would begin another header of a redirect, and urlsplit removes it silently.
    """
    text = written.strip(" ") if isinstance(written, str) else ""
    return quote(text, safe=_URL) if _source(text) else None


def form_action(addresses: Iterable[object]) -> str:
    """Return what `form-action` must list, for forms of ours that lead to these addresses.

    Chromium applies it to each redirect that follows a form, too.
    """
    found = {source for one in addresses if (source := _source(one))}
    return " ".join(["'self'", *sorted(found)])


def _source(written: object) -> str | None:
    """Return the origin of a web address as a policy writes it, else its scheme; None: neither."""
    if not isinstance(written, str) or not written.isprintable():
        return None
    try:
        url = urlsplit(written.strip(" "))
        host, port = (url.hostname or "").lower(), url.port
        if ":" not in host:
            host = host.encode("idna").decode("ascii")
    except ValueError:
        return None
    if url.scheme not in ("http", "https") or not _UNNAMED.fullmatch(host):
        return None
    if not _NAMED.fullmatch(host):
        return f"{url.scheme}:"
    return f"{url.scheme}://{host}" + (f":{port}" if port else "")
