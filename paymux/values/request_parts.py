"""Checking the parts of a request that a caller makes with `get` or `post`."""

import re
from collections.abc import Mapping
from functools import lru_cache, partial
from inspect import CO_COROUTINE
from types import FunctionType, MethodType
from typing import Any

from ..errors import UsageError
from ..models import Payment
from ..primitives import coerce
from .parsing import decoder
from .validation import checked_function

MAX_PAIRS = 100
_PATH = r"/(?!/)[\x21-\x22\x24-\x7e]*"


def fixed_parts(*given: Any) -> Any:
    """Check what a driver writes the same in each of its requests.

    They are path, type, accept, largest, form, money, repeatable. Checking them once, and not
    with each request, saves six calls.
    """
    try:
        return _seen(*given)
    except UsageError:
        raise
    except Exception:  # noqa: BLE001 - a caller's value may not support hash or comparison
        return _fixed_parts(*given)


def _fixed_parts(
    path: object,
    type: Any,
    accept: object,
    largest: object,
    form: object,
    money: object,
    repeatable: object,
) -> tuple[str, Any, tuple[int, ...], int, bool, bool, bool]:
    return (
        path_of(path),
        type_of(type),
        statuses_of(accept),
        size_of("largest", largest),
        flag_of("form", form),
        flag_of("money", money),
        flag_of("repeatable", repeatable),
    )


_seen = lru_cache(maxsize=256, typed=True)(_fixed_parts)


def path_of(path: object) -> str:
    """Check the path of a request."""
    found = coerce.text(path)
    # Without "#": a server sees nothing after it.
    if found is None or len(found) > 2000 or not re.fullmatch(_PATH, found):
        raise UsageError.field(
            "path", path, "a path below the provider's base URL, such as '/balance/'"
        )
    return found


def type_of(type: Any, name: str = "type") -> Any:
    """Check the type that a reply is decoded as."""
    try:
        decoder(type)
    except Exception:  # noqa: BLE001 - msgspec, or a class of the caller, may raise anything
        raise UsageError.field(name, type, "a type that msgspec can read from JSON") from None
    return type


def flag_of(name: str, value: object) -> bool:
    """Check a bool."""
    if not coerce.is_a(value, bool):
        raise UsageError.field(name, value, "True or False")
    return value


def pairs_of(name: str, value: object) -> Mapping[str, str]:
    """Check a mapping of text to text."""
    if value is None:
        return {}
    if type(value) is dict and len(value) <= MAX_PAIRS:
        for key, one in value.items():  # nearly every id is plain
            if (
                type(key) is not str
                or type(one) is not str
                or not (key.isascii() and one.isascii())
            ):
                break
        else:
            return value
    found = coerce.mapping(value)
    pairs: dict[str, str] = {}
    if found is None or len(found) > MAX_PAIRS:
        raise UsageError.field(name, value, f"a mapping of text to text, of {MAX_PAIRS} at most")
    for key, one in found.items():
        named, said = coerce.text(key), coerce.text(one)
        if named is not None and said is not None:
            pairs[named] = said
    if len(pairs) < len(found):
        raise UsageError.field(name, value, "a mapping of text to text")
    return pairs


def statuses_of(value: object) -> tuple[int, ...]:
    """Check HTTP statuses."""
    if type(value) is tuple and (not value or set(map(type, value)) == {int}):
        return value
    found = coerce.sequence(value)
    statuses = [status for one in found or () if (status := coerce.whole(one)) is not None]
    if found is None or len(statuses) < len(found):
        raise UsageError.field("accept", value, "a tuple of HTTP statuses")
    return tuple(statuses)


def matcher_of(value: Any) -> Any:
    """Check the function that decides whether an answer belongs to the request."""
    return None if value is None else function_of("matches", value, "one reply")


def function_of(name: str, value: Any, of: str) -> Any:
    """Check a plain function."""
    called = value.func if type(value) is partial else value
    if type(called) is MethodType:
        called = called.__func__
    # Nearly always it is a function, which is known in a hundredth of the time.
    if type(called) is not FunctionType or called.__code__.co_flags & CO_COROUTINE:
        checked_function(name, value, of, wait=False)
    return value


def two_names_of(name: str, value: object) -> tuple[str, str]:
    """Check the names of two different fields."""
    names = [coerce.text(one) for one in coerce.sequence(value) or ()]
    if len(names) != 2 or names[0] == names[1] or not all(names):
        raise UsageError.field(name, value, "the names of two different fields, in a tuple")
    return str(names[0]), str(names[1])


FRAMING = frozenset(
    {"host", "content-length", "transfer-encoding", "connection", "expect", "upgrade", "trailer"}
)


def headers_of(given: object) -> Mapping[str, str]:
    """Check the headers of a request; headers for routing or framing are refused."""
    headers = pairs_of("headers", given)
    for name, value in headers.items():
        if not re.fullmatch(r"[A-Za-z0-9-]+", name) or not re.fullmatch(r"[\x20-\x7e]*", value):
            raise UsageError.field("headers", name, "visible ASCII names and values")
        if name.lower() in FRAMING:
            raise UsageError.field(
                "headers", name, "a header that does not say where a request goes or ends"
            )
    return headers


def size_of(name: str, value: object) -> int:
    """Check a number of bytes."""
    found = coerce.whole(value)
    if found is None or not 1 <= found <= 1 << 30:
        raise UsageError.field(name, value, "1 to 2**30 bytes")
    return found


# The fields of a payment that an earlier step may tell; any other name is one of its `ids`.
TOLD = frozenset({"provider_reference", "receipt", "checkout_url"})
_NO_IDS = frozenset(Payment.__struct_fields__) - TOLD


def known_of(given: object, *, money: bool) -> Mapping[str, str]:
    """Check what is known of an order before a request of it leaves."""
    if not money:
        raise UsageError.field("known", given, "nothing: this request moves no money")
    known = pairs_of("known", given)
    for name, value in known.items():
        if name in _NO_IDS:
            accepted = f"{', '.join(sorted(TOLD))}, or the name of an id"
            raise UsageError.field("known", name, accepted)
        if not name or not value:
            raise UsageError.field(f"known.{name}", value, "what the provider told, not empty")
    return known
