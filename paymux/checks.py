"""Checking what a caller gives: references and addresses."""

import re
from collections.abc import Collection
from ipaddress import ip_address
from urllib.parse import urlsplit

from .errors import UsageError

VISIBLE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,4094}[\x21-\x7e])?")
NAME = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)


def is_loopback(url: str) -> bool:
    """Tell whether a URL's host is this machine."""
    host = urlsplit(url).hostname or ""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def checked_reference(reference: object) -> str:
    """Check a reference that a caller chose."""
    if not isinstance(reference, str) or not NAME.fullmatch(reference):
        raise UsageError.field("reference", reference, "1 to 64 of A-Z a-z 0-9 . _ -")
    return reference


def checked_url(field: str, url: object, forbidden: Collection[str] = (), *, query: bool = False) -> str:
    """Check a URL that we are given: https (http on loopback only), a host, and nothing that hides in it."""
    accepted = f"an https URL (http on loopback only) without user{'' if query else ', query'} or fragment"
    if not isinstance(url, str) or len(url) > 2000 or not VISIBLE.fullmatch(url) or " " in url:
        raise UsageError.field(field, url, accepted)
    try:
        parts = urlsplit(url)
        safe = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(url))
        whole = bool(parts.hostname) and not (parts.username or parts.fragment or (parts.query and not query))
        port_is_number = parts.port is None or parts.port > 0
    except ValueError:
        raise UsageError.field(field, url, accepted) from None
    if not (safe and whole and port_is_number):
        raise UsageError.field(field, url, accepted)
    for word in forbidden:
        if word in url.lower():
            raise UsageError.field(field, url, f"a URL without the word {word!r}, which the provider forbids")
    return url
