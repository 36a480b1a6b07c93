"""Checking what a caller gives: references and addresses."""

import re
from functools import lru_cache
from ipaddress import ip_address
from urllib.parse import urlsplit

from .errors import UsageError
from .redact import Secret

VISIBLE = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,4094}[\x21-\x7e])?")
NAME = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)


def is_loopback(url: str) -> bool:
    """Tell whether a URL's host is this machine."""
    return _is_here(urlsplit(url).hostname or "")


def _is_here(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def checked_reference(reference: object) -> str:
    """Check a reference that a caller chose."""
    if not isinstance(reference, str) or not NAME.fullmatch(reference):
        raise UsageError.field("reference", reference, "1 to 64 of A-Z a-z 0-9 . _ -")
    return reference


def checked_text(field: str, value: object, longest: int) -> str:
    """Check a text that a caller wrote for whoever reads it later."""
    if not isinstance(value, str) or len(value) > longest or not value.strip() or not _is_plain(value):
        raise UsageError.field(field, value, f"text of 1 to {longest} characters, none of them control")
    return value


def _is_plain(text: str) -> bool:
    return not any(ord(char) < 0x20 or 0x7F <= ord(char) < 0xA0 or 0xD800 <= ord(char) < 0xE000 for char in text)


def checked_url(field: str, url: object, *, query: bool = False, plain: bool = False) -> str:
    """Check a URL that we are given: https (or http, on loopback or if plain), and nothing that hides in it."""
    if not isinstance(url, str) or len(url) > 2000 or not _is_fit(_without_order(url), query, plain):
        scheme = "http or https URL" if plain else "https URL (http on loopback only)"
        accepted = f"an {scheme} without user{'' if query else ', query'} or fragment"
        raise UsageError.field(field, _showable(url), accepted)
    return url


def _showable(url: object) -> object:
    """Keep an address out of an error where it may hold a credential: a user, a query or a fragment."""
    return Secret(url) if isinstance(url, str) and not {"@", "?", "#"}.isdisjoint(url) else url


def _without_order(url: str) -> str:
    """Leave out the last part of a path, which each order has anew, where it is plain and decides nothing."""
    head, _, tail = url.rpartition("/")
    return f"{head}/" if "//" in head and tail.isascii() and tail.isalnum() else url


@lru_cache(maxsize=256)
def _is_fit(url: str, query: bool, plain: bool) -> bool:
    if not VISIBLE.fullmatch(url) or " " in url:
        return False
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        safe = parts.scheme == "https" or (parts.scheme == "http" and (plain or _is_here(host)))
        bare = not ("@" in parts.netloc or parts.fragment or (parts.query and not query))
        return bool(host) and safe and bare and (parts.port is None or parts.port > 0)
    except ValueError:
        return False


def checked_seconds(name: str, seconds: object) -> float:
    """Check a duration in seconds."""
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not seconds > 0:
        raise UsageError.field(name, seconds, "seconds above 0")
    return float(seconds)
