"""Echoes: credentials that a provider sends back within the values of its answers."""

import enum
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, TypeVar

import msgspec

from .redaction import LONG_SECRET_CHARS, hide_values, starts

T = TypeVar("T")


def may_echo(value: msgspec.Struct, secrets: tuple[str, ...]) -> bool:
    """Tell whether any of an account's credentials may be in a value, in one look at all of it.

    False is certain. True is not: what has to be escaped in JSON is for `clean` to look through.
    """
    try:
        text = msgspec.json.encode(value).decode()
    except (TypeError, ValueError, RecursionError):  # of a driver that is not ours
        return True
    if "\\" in text:
        return True
    return any(map(text.casefold().__contains__, starts(secrets)))


# not set by a provider, or cleaned already
_OURS = frozenset({"account", "provider", "kind", "raw"})
_WORDED = frozenset({"message", "prompt"})  # texts for people, which no code compares


def clean(value: T, secrets: tuple[str, ...], known: object = None) -> T:
    """Remove credentials that a provider echoed from parsed values, by their values only.

    A value equal to `known` (ours) stays, as does anything that is not text. A URL keeps parameters
    that only have a credential's name. A credential shorter than 8 characters is searched only in
    texts for people: it may be part of any id.
    """
    found: Any = value
    if value == known or not secrets:
        return value
    if isinstance(value, str):
        found = value if isinstance(value, enum.Enum) else hide_values(value, _long(secrets))
    elif isinstance(value, Mapping):
        held = known if isinstance(known, Mapping) else {}
        found = {
            clean(name, secrets): clean(inner, secrets, held.get(name))
            for name, inner in value.items()
        }
    elif isinstance(value, list):
        found = [clean(inner, secrets) for inner in value]
    elif isinstance(value, msgspec.Struct):
        changed = {}
        for name in value.__struct_fields__:
            if name not in _OURS:
                old = getattr(value, name)
                words = type(old) is str and name in _WORDED
                new = (
                    hide_values(old, secrets)
                    if words
                    else clean(old, secrets, getattr(known, name, None))
                )
                if new is not old and new != old:
                    changed[name] = new
        found = msgspec.structs.replace(value, **changed) if changed else value
    result: T = found
    return result


@lru_cache(maxsize=256)
def _long(secrets: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(secret for secret in secrets if len(secret) >= LONG_SECRET_CHARS)
