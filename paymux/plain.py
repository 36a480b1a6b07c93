"""Values of a caller's as plain ones: text of any subclass, numbers of any library, mappings that may fail.

Nothing here asks a value what it is, compares it or prints it: a proxy outside its request, a mock or a careless
class raises at any of that.
"""

import operator
from collections.abc import Mapping
from numbers import Integral
from typing import Any, TypeGuard, TypeVar

T = TypeVar("T")


def is_a(value: Any, kind: type[T]) -> TypeGuard[T]:
    """Tell whether a value is of a class, by what it is and not by what it says."""
    return issubclass(type(value), kind)


def text(value: object) -> str | None:
    """Give text as plain text; None where it is none, or holds half a surrogate pair, which nothing can write."""
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
    """Give a whole number of any library; None where it is none, and of a bool."""
    if type(value) is int:
        return value
    if is_a(value, int):
        return None if type(value) is bool else int.__pos__(value)
    if issubclass(type(value), Integral):
        try:
            return int.__pos__(operator.index(value))
        except Exception:  # noqa: BLE001 - it is a class of the caller's
            return None
    return None


def mapping(value: Any) -> dict[Any, Any] | None:
    """Give a mapping of any class as a dict; None where it is none, or cannot be read."""
    if type(value) is dict:
        return value
    if not issubclass(type(value), Mapping):
        return None
    try:
        return dict(value)
    except Exception:  # noqa: BLE001 - likewise
        return None


def sequence(value: Any) -> list[Any] | None:
    """Give a list or a tuple as a list; None where it is neither, or cannot be read."""
    if not issubclass(type(value), list | tuple):
        return None
    try:
        return list(value)
    except Exception:  # noqa: BLE001 - likewise
        return None
