"""Checking what a caller passes: references, URLs, durations and functions."""

import inspect
import os
import re
from functools import lru_cache
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

from ..errors import UsageError
from ..primitives import coerce
from ..primitives.redaction import Secret

VISIBLE_ASCII = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]{0,4094}[\x21-\x7e])?")
NAME_PATTERN = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)


def is_loopback(url: str) -> bool:
    """Return whether a URL's host is this machine."""
    return _is_here(urlsplit(url).hostname or "")


def _is_here(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def checked_reference(reference: object) -> str:
    """Check a reference that a caller chose."""
    found = reference if type(reference) is str else coerce.text(reference)
    if found is None or not NAME_PATTERN.fullmatch(found):
        raise UsageError.field("reference", reference, "a string of 1 to 64 of A-Z a-z 0-9 . _ -")
    return found


def checked_text(field: str, value: object, longest: int) -> str:
    """Check a text that a caller wrote for people who read it later."""
    found = coerce.text(value)
    if found is None or len(found) > longest or not found.strip() or not _is_plain(found):
        raise UsageError.field(
            field, value, f"a string of 1 to {longest} characters, none of them control"
        )
    return found


def _is_plain(text: str) -> bool:
    return not any(
        ord(char) < 0x20 or 0x7F <= ord(char) < 0xA0 or 0xD800 <= ord(char) < 0xE000
        for char in text
    )


def checked_seconds(name: str, seconds: object, unit: str = "seconds") -> float:
    """Check a duration in seconds, or in another unit."""
    number = coerce.whole(seconds)
    found = number if number is not None else seconds if coerce.is_a(seconds, float) else None
    try:
        # A subclass of float may define its own comparison.
        lasting = (
            float("nan")
            if found is None
            else float.__pos__(float(found) if type(found) is int else found)
        )
    except OverflowError:
        lasting = float("nan")
    if not lasting > 0:
        raise UsageError.field(name, seconds, f"{unit} above 0, as an int or a float")
    return lasting


def checked_function(name: str, value: object, of: str, *, wait: bool) -> None:
    """Check a function of the caller: with `wait` it must be async, else it must not.

    A lambda or a decorated function passes as async: only a call shows what it returns.
    """
    try:
        fits = callable(value) and (_may_be_awaited(value) if wait else not _is_async(value))
    except Exception:  # noqa: BLE001 - it may be a class of the caller
        fits = False
    if not fits:
        raise UsageError.field(name, value, f"{'an async' if wait else 'a plain'} function of {of}")


def _is_async(value: object) -> bool:
    called = inspect.getattr_static(type(value), "__call__", None)
    return inspect.iscoroutinefunction(value) or inspect.iscoroutinefunction(called)


def _may_be_awaited(value: object) -> bool:
    if inspect.isclass(value) or inspect.isbuiltin(value):
        return False
    if inspect.isfunction(value) and not _is_async(value):
        return value.__name__ == "<lambda>" or hasattr(value, "__wrapped__")
    return True


def checked_protocol(name: str, value: object, protocol: type, accepted: str) -> None:
    """Check that an object has the methods of a protocol."""
    functions = [method for method, called in vars(protocol).items() if inspect.isfunction(called)]
    methods = [method for method in functions if not method.startswith("_")]
    try:
        fits = not inspect.isclass(value) and all(
            callable(getattr(value, method, None)) for method in methods
        )
    except Exception:  # noqa: BLE001 - it may be a class of the caller
        fits = False
    if not fits:
        raise UsageError.field(name, value, accepted)


def checked_path(name: str, value: Any, *, unread: bool = False) -> str:
    """Check the path of a file; the file need not exist.

    `unread`: only the type is checked here; opening the file may still refuse the path.
    """
    try:
        found = os.fspath(value)
        fits = type(found) is str or coerce.is_a(found, str)
        found = str.__str__(found) if fits else ""
        # A path far beyond what a system opens is not even split into its parts: that takes long.
        longest = 16_384 if unread else 4096
        fits = fits and len(found) <= longest
        fits = fits and (unread or (found != "" and b"\x00" not in os.fsencode(found)))
    except Exception:  # noqa: BLE001 - it may be a class of the caller
        found, fits = "", False
    if not fits:
        raise UsageError.field(name, value, "the path of a file")
    return str(found)


def setting(settings: object, name: str) -> object:
    """Return a setting of a mapping or an object; "": it has none."""
    try:
        known = coerce.mapping(settings)
        return getattr(settings, name, "") if known is None else known.get(name, "")
    except Exception as error:  # noqa: BLE001 - Django's settings raise if not configured
        why = f"{type(error).__name__}: {error}"
    raise UsageError(
        f"settings: {why}", name="settings", accepted="a mapping, or an object with attributes"
    )


def checked_url(field: str, url: object, *, query: bool = False, http: bool = False) -> str:
    """Check a URL of the caller.

    It must be https (or http, on loopback or if allowed), without user or fragment, and without a
    query unless `query` allows it.
    """
    given = coerce.text(url)
    if given is None or len(given) > 2000 or not _is_fit(_without_order(given), query, http):
        scheme = "http or https URL" if http else "https URL (http on loopback only)"
        accepted = f"an {scheme} without user{'' if query else ', query'} or fragment"
        raise UsageError.field(field, _showable(url), accepted)
    return given


def _showable(url: object) -> object:
    """Hide a URL in an error if it may hold a credential: in a user, a query or a fragment."""
    said = str.__str__(url)[:60] if coerce.is_a(url, str) else ""  # an error shows no more of it
    return url if {"@", "?", "#"}.isdisjoint(said) else Secret(said)


def _without_order(url: str) -> str:
    """Remove the last part of a path if it is plain: each order has another, and it is valid."""
    head, _, tail = url.rpartition("/")
    return f"{head}/" if "//" in head and tail.isascii() and tail.isalnum() else url


@lru_cache(maxsize=256)
def _is_fit(url: str, query: bool, http: bool) -> bool:
    if not VISIBLE_ASCII.fullmatch(url) or " " in url:
        return False
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        safe = parts.scheme == "https" or (parts.scheme == "http" and (http or _is_here(host)))
        bare = not ("@" in parts.netloc or parts.fragment or (parts.query and not query))
        return bool(host) and safe and bare and (parts.port is None or parts.port > 0)
    except ValueError:
        return False
