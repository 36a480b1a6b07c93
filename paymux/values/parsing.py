"""Reading what providers really send: words for null, numbers as text, several date forms."""

import json
import math
import re
from collections.abc import Callable
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from functools import lru_cache
from itertools import accumulate
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias, TypeVar
from urllib.parse import parse_qsl

import msgspec
from msgspec.structs import astuple, force_setattr

from .unreadable import why

T = TypeVar("T")
U = TypeVar("U")

# A JSON value that a provider sends now as text, now as a number, now as nothing.
Scalar: TypeAlias = str | int | float | bool | None
SCALARS = (str, int, float)  # its types, for isinstance; a bool is an int

# A field of `ProviderData` that is read as text: a provider may send any Scalar, and a driver finds
# what `text` makes of it. One that `amount` or `parse_time` reads is a Scalar.
if TYPE_CHECKING:
    Text: TypeAlias = str | None
else:
    Text = Annotated[Scalar, "text"]

BOM = b"\xef\xbb\xbf"  # which Windows writes before UTF-8
_NOTHING = frozenset({"", "none", "null", "undefined"})
_NOTHING_LENGTHS = frozenset(map(len, _NOTHING))
MAX_DEPTH = 512  # levels of nested objects and lists in a body
MESSAGE_VALUES = 4096  # values in a message's JSON, at most
MESSAGE_LEVELS = 32  # levels of nested objects and lists in a message
_NESTED = (dict, list, tuple)
# field types that have no deep values: such a page is not scanned, which would need its size again
_FLAT = (list[msgspec.Raw], Scalar, Text, str, int, int | None)
_TEXT = re.compile(rb'"(?:[^"\\]|\\.)*+"', re.DOTALL)
_NO_BRACKET = bytes(set(range(256)) - set(b"{}[]"))
_DEEPER = {**dict.fromkeys(b"{[", 1), **dict.fromkeys(b"}]", -1)}
_LONGEST_AMOUNT = 26  # characters of what the next line matches
_AMOUNT = re.compile(r"-?[0-9]{1,15}(?:\.[0-9]{1,9})?", re.ASCII)


class Unreadable(ValueError):
    """A body or a value that is not what the provider documents; its text says why."""


_decoders: dict[Any, msgspec.json.Decoder[Any]] = {}


def decoder(type: type[T]) -> msgspec.json.Decoder[T]:
    """Return the decoder of a type; msgspec raises its own error for an unsupported type."""
    found = _decoders.get(type)
    if found is None:
        found = _decoders[type] = msgspec.json.Decoder(type, strict=False)
    return found


def decode(type: type[T], body: bytes) -> T:
    """Read a JSON body as this type, or raise Unreadable.

    A body that is cut off, empty, HTML or nested too deep is unreadable.
    """
    reader: msgspec.json.Decoder[T] = _decoders.get(type) or decoder(type)
    try:
        deep = len(body) > MAX_DEPTH and body.count(b"{") + body.count(b"[") > MAX_DEPTH
        if deep and not _is_flat(type) and _is_deeper(body):
            raise RecursionError(f"nested deeper than {MAX_DEPTH}")
        return reader.decode(body.removeprefix(BOM))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        if not body and type is Empty:
            return reader.decode(b"{}")
        raise Unreadable(why(error) if body else "an empty body") from None


def row(type: type[T], raw: msgspec.Raw, number: int, read: Callable[[T], U]) -> tuple[U, str]:
    """Read one row of a list; return it and its own text.

    Unreadable names the number of the row.
    """
    body = bytes(raw)
    try:
        return read(decode(type, body)), body.decode("utf-8", "replace")
    except Unreadable as error:
        raise Unreadable(f"row {number}: {error}") from None


def _is_flat(type: Any) -> bool:
    """Return whether a type has no field for deep values.

    Its rows, if any, are read and checked one by one.
    """
    fields = getattr(type, "__annotations__", {}).values()
    return len(fields) == len(getattr(type, "__struct_fields__", ())) > 0 and all(
        field in _FLAT for field in fields
    )


def _is_deeper(body: bytes) -> bool:
    """Return whether JSON is nested too deep to be compared and written later."""
    # Without escapes, every second part between quotes is outside of strings; splitting takes a
    # fifth of the time of a regular expression.
    outside = _TEXT.sub(b"", body) if b"\\" in body else b"".join(body.split(b'"')[::2])
    brackets = outside.translate(None, _NO_BRACKET)
    return max(accumulate(map(_DEEPER.__getitem__, brackets)), default=0) > MAX_DEPTH


def convert(type: type[T], fields: Any) -> T:
    """Read already parsed fields as this type, or raise Unreadable."""
    try:
        return msgspec.convert(fields, type, strict=False)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise Unreadable(why(error)) from None


def unique_fields(pairs: list[tuple[str, T]]) -> dict[str, T]:
    """Make a dict of pairs; a repeated name is Unreadable: which value was signed is unknown."""
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise Unreadable("a field comes twice")
    return fields


def json_fields(body: bytes) -> dict[str, Any]:
    """Read a JSON object without repeated names, of at most 4096 values and 32 levels."""
    brackets = body.count(b"[") + body.count(b"{")
    if body.count(b",") + brackets > MESSAGE_VALUES:
        raise Unreadable("JSON of more values than a message has")
    try:
        fields = json.loads(
            body.removeprefix(BOM).decode("utf-8"),
            object_pairs_hook=unique_fields,
            parse_float=_finite,
            parse_constant=_finite,
        )
        msgspec.json.encode(fields)  # json reads a lone surrogate, but it can never be stored
    except Unreadable:
        raise
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"not JSON: {str(error)[:120]}") from None
    if not isinstance(fields, dict):
        raise Unreadable("not a JSON object")
    # The depth is at most the number of brackets, and hardly any message has that many.
    if brackets > MESSAGE_LEVELS and is_deeper(fields, MESSAGE_LEVELS):
        raise Unreadable("JSON nested deeper than a message is")
    return fields


def is_deeper(value: Any, levels: int) -> bool:
    """Return whether mappings and lists are nested deeper than this number of levels."""
    level = [value]
    for _ in range(levels):
        inner = [one.values() if isinstance(one, dict) else one for one in level]
        level = [each for some in inner for each in some if isinstance(each, _NESTED)]
        if not level:
            return False
    return True


def _finite(number: str) -> float:
    # json reads Infinity and NaN, which would be stored as null.
    found = float(number)
    if not math.isfinite(found):
        raise Unreadable("a number that is none")
    return found


def form_fields(text: str) -> dict[str, str]:
    """Read a form or a query without repeated names, of 200 fields at most."""
    if len(text) > 65_536 or text.count("%") > 8192:
        raise Unreadable("a form larger than 64 KiB, or of more escapes than a message has")
    try:
        text.encode()  # refuses half a surrogate pair
        return unique_fields(
            parse_qsl(text, keep_blank_values=True, max_num_fields=200, errors="strict")
        )
    except Unreadable:
        raise
    except ValueError as error:
        raise Unreadable(f"not a form: {str(error)[:120]}") from None


def text(value: Scalar) -> str | None:
    """Read text; `"None"`, `" "`, `null` and a missing field are all None."""
    if value is None:
        return None
    if type(value) is str:
        plain = value.strip()
    elif value is True or value is False:
        return None
    else:
        plain = str(value)
    return None if len(plain) in _NOTHING_LENGTHS and plain.lower() in _NOTHING else plain


class ProviderData(msgspec.Struct, frozen=True):
    """What a provider says: an answer, a message, or a part of one, or a row of a history.

    Each field of the type `Text` is normalised once, when the struct is made: it is text, or None.
    """

    def __post_init__(self) -> None:
        # What `text` does, without its calls: an answer has up to twenty fields, and nearly all of
        # them are absent, or a text that stays as it is.
        values = astuple(self)
        for name, place in _text_fields.get(self.__class__) or _find_text_fields(self.__class__):
            value = values[place]
            if value is None:
                continue
            plain: str | None
            if value.__class__ is str:
                plain = value.strip()
                if len(plain) in _NOTHING_LENGTHS and plain.lower() in _NOTHING:
                    plain = None
                elif plain is value:
                    continue
            elif value.__class__ is int:
                plain = str(value)
            else:
                plain = text(value)
            force_setattr(self, name, plain)


class Empty(ProviderData, frozen=True, forbid_unknown_fields=True):
    """An answer of a status alone: without a body, or `{}`. Any other body is no answer to it."""


# by type: the name and the place of each field that is a Text
_text_fields: dict[type[ProviderData], tuple[tuple[str, int], ...]] = {}


def _find_text_fields(type: type[ProviderData]) -> tuple[tuple[str, int], ...]:
    fields = enumerate(msgspec.structs.fields(type))
    found = tuple([(field.name, place) for place, field in fields if field.type == Text])
    _text_fields[type] = found
    return found


def amount(value: Scalar) -> Decimal | None:
    """Read an amount written `5`, `5.0`, `"5.00"` or `"None"`; anything else is Unreadable."""
    if value is None:
        return None
    plain = value.strip() if type(value) is str else str(value)
    found = _decimal(plain) if len(plain) <= _LONGEST_AMOUNT else None
    if found is not None:
        return found
    if text(value) is None:
        return None
    # Shown only if it is a number in another form: anything else may be a secret.
    shown = f": {plain!r}" if len(plain) <= 20 and not plain.strip("0123456789.,'+- eE") else ""
    raise Unreadable(f"not an amount{shown}")


@lru_cache(maxsize=1024)  # every poll has the same amount again
def _decimal(plain: str) -> Decimal | None:
    return Decimal(plain) if _AMOUNT.fullmatch(plain) else None


def parse_time(value: Scalar, form: str | None = None, zone: tzinfo = UTC) -> datetime | None:
    """Read a date as aware UTC: ISO 8601, or `form` (strptime) in `zone`; else None."""
    if value is None:
        return None
    plain = value.strip() if type(value) is str else str(value)
    try:
        found = datetime.strptime(plain, form) if form else datetime.fromisoformat(plain)  # noqa: DTZ007
        return (found if found.tzinfo else found.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
