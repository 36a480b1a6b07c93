"""Callers' values as plain ones: text of any subclass, numbers of any library, any mapping.

Nothing here calls methods of a value, compares it or prints it: a proxy outside its request, a mock
or a careless class may raise in any of them.
"""

import operator
from collections.abc import Mapping
from numbers import Integral
from typing import Any, TypeGuard, TypeVar

T = TypeVar("T")


def is_a(value: Any, kind: type[T]) -> TypeGuard[T]:
    """Return whether a value is of a class, by its type and not by its `__class__`."""
    return issubclass(type(value), kind)


def text(value: object) -> str | None:
    """Return text as plain `str`; None: not text, or text that cannot be encoded."""
    if type(value) is str:
        plain = value
    elif is_a(value, str):
        plain = str.__str__(value)
    else:
        return None
    try:
        if not plain.isascii():
            plain.encode()
    except UnicodeEncodeError:
        return None
    return plain


def whole(value: Any) -> int | None:
    """Return an integer of any library as plain `int`; None: not an integer, or a bool."""
    if type(value) is int:
        return value
    if is_a(value, int):
        return None if type(value) is bool else int.__pos__(value)
    if issubclass(type(value), Integral):
        try:
            return int.__pos__(operator.index(value))
        except Exception:  # noqa: BLE001 - the caller's class may raise anything
            return None
    return None


def mapping(value: Any) -> dict[Any, Any] | None:
    """Return a mapping of any class as a dict; None: not a mapping, or unreadable."""
    if type(value) is dict:
        return value
    if not issubclass(type(value), Mapping):
        return None
    try:
        return dict(value)
    except Exception:  # noqa: BLE001 - the caller's class may raise anything
        return None


def sequence(value: Any) -> list[Any] | None:
    """Return a list or a tuple as a list; None: neither, or unreadable."""
    if not issubclass(type(value), list | tuple):
        return None
    try:
        return list(value)
    except Exception:  # noqa: BLE001 - the caller's class may raise anything
        return None
