"""Reading what providers really send.

Bent JSON, words for null, numbers as text, several date forms.
"""

import json
import math
import re
from collections.abc import Callable
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from itertools import accumulate
from typing import Any, TypeAlias, TypeVar
from urllib.parse import parse_qsl

import msgspec

T = TypeVar("T")
U = TypeVar("U")

# A JSON value that a provider sends now as text, now as a number, now as nothing.
Scalar: TypeAlias = str | int | float | bool | None

BOM = b"\xef\xbb\xbf"  # which Windows writes before UTF-8
_NOTHING = frozenset({"", "none", "null", "undefined"})
_NOTHING_LENGTHS = frozenset(map(len, _NOTHING))
MAX_DEPTH = 512  # of objects and lists in one another, in a body
MESSAGE_VALUES = 4096  # of a message's JSON, at most
MESSAGE_LEVELS = 32  # of objects and lists in one another, in a message
_NESTED = (dict, list, tuple)
# to look through a page costs its size again
_FLAT = (list[msgspec.Raw], Scalar, str, int, int | None)
_TEXT = re.compile(rb'"(?:[^"\\]|\\.)*+"', re.DOTALL)
_NO_BRACKET = bytes(set(range(256)) - set(b"{}[]"))
_DEEPER = {**dict.fromkeys(b"{[", 1), **dict.fromkeys(b"}]", -1)}
_LARGEST = 10**15
_AMOUNT = re.compile(r"-?[0-9]{1,15}(?:\.[0-9]{1,9})?", re.ASCII)


class Unreadable(ValueError):
    """A body or a value that cannot be what the provider documents.

    Its text is the reason that a caller reads.
    """


def require(holds: object, otherwise: str) -> bool:
    """Give True where something holds, else raise Unreadable with the reason.

    For `matches` of a request.
    """
    if not holds:
        raise Unreadable(otherwise)
    return True


_decoders: dict[Any, msgspec.json.Decoder[Any]] = {}


def decoder(type: type[T]) -> msgspec.json.Decoder[T]:
    """Give the decoder of a type; what msgspec cannot read from JSON is an error of its own."""
    found = _decoders.get(type)
    if found is None:
        found = _decoders[type] = msgspec.json.Decoder(type, strict=False)
    return found


def decode(type: type[T], body: bytes) -> T:
    """Read a JSON body as this type, or raise Unreadable.

    Cut, empty, HTML and too deep are all unreadable.
    """
    reader = decoder(type)
    try:
        deep = len(body) > MAX_DEPTH and body.count(b"{") + body.count(b"[") > MAX_DEPTH
        if deep and not _is_flat(type) and _is_deeper(body):
            raise RecursionError(f"nested deeper than {MAX_DEPTH}")
        return reader.decode(body.removeprefix(BOM))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Unreadable(_why(error) if body else "an empty body") from None


def row(type: type[T], raw: msgspec.Raw, number: int, read: Callable[[T], U]) -> tuple[U, str]:
    """Read one row of a list, and give its own text beside it.

    Unreadable names the row by its number.
    """
    body = bytes(raw)
    try:
        return read(decode(type, body)), body.decode("utf-8", "replace")
    except Unreadable as error:
        raise Unreadable(f"row {number}: {error}") from None


def _is_flat(type: Any) -> bool:
    """Tell whether a type has room for nothing deep.

    Its rows, if any, are read and looked at one by one.
    """
    fields = getattr(type, "__annotations__", {}).values()
    return len(fields) == len(getattr(type, "__struct_fields__", ())) > 0 and all(
        field in _FLAT for field in fields
    )


def _is_deeper(body: bytes) -> bool:
    """Tell whether JSON is nested deeper than anything that is later compared and written can be."""
    # Without escapes, every other part between quotes is no text; splitting takes a fifth of a
    # pattern's time.
    outside = _TEXT.sub(b"", body) if b"\\" in body else b"".join(body.split(b'"')[::2])
    brackets = outside.translate(None, _NO_BRACKET)
    return max(accumulate(map(_DEEPER.__getitem__, brackets)), default=0) > MAX_DEPTH


def convert(type: type[T], fields: Any) -> T:
    """Read already parsed fields as this type, or raise Unreadable."""
    try:
        return msgspec.convert(fields, type, strict=False)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise Unreadable(_why(error)) from None


# What msgspec says of a wrong type: "Expected `int`, got `array` - at `$.items[0].price`".
_TYPES = re.compile(r"Expected `([^`]*)`, got `([^`]*)`")
_PLACE = re.compile(r"(.*?)(?: - at `\$\.?(.*)`)?", re.DOTALL)
_WORDS = {
    "str": "text",
    "int": "number",
    "float": "number",
    "array": "list",
    "bool": "true or false",
}
_SCALAR = {"str", "int", "float", "bool"}  # a value that may be any of these is written as text


def _why(error: Exception) -> str:
    """Say what could not be read, and where, without a word of its content.

    "status: expected text, got list".
    """
    if isinstance(error, RecursionError):
        return "nested too deep"
    found = _PLACE.fullmatch(str(error)[:400])
    what, place = found.groups() if found else (str(error)[:120], None)
    if types := _TYPES.fullmatch(what):
        wanted, got = set(types[1].split(" | ")) - {"null"}, types[2]
        if wanted > _SCALAR or wanted == _SCALAR:
            wanted = wanted - _SCALAR | {"str"}
        named = " or ".join(sorted({_WORDS.get(name, name) for name in wanted}))
        return f"{place or 'the body'}: expected {named}, got {_WORDS.get(got, got)}"
    if missing := re.fullmatch("Object missing required field `(.*)`", what):
        return f"{'.'.join(filter(None, (place, missing[1])))}: missing"
    if not isinstance(error, msgspec.ValidationError):
        cut = what == "Input data was truncated"
        return (
            "JSON that is cut off"
            if cut
            else f"not JSON: {what.removeprefix('JSON is malformed: ')[:120]}"
        )
    plain = what.partition(" '")[0].rstrip(": ")  # what follows is the value itself
    return f"{place or 'the body'}: {plain[:120]}"


def unique_fields(pairs: list[tuple[str, T]]) -> dict[str, T]:
    """Make a dict of pairs, refusing a name that comes twice: nobody knows which one was signed."""
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise Unreadable("a field comes twice")
    return fields


def json_fields(body: bytes) -> dict[str, Any]:
    """Read a JSON object in which no name comes twice, of 4096 values at most, nested 32 deep at most."""
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
        msgspec.json.encode(fields)  # a lone surrogate could be read here, and never written down
    except Unreadable:
        raise
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"not JSON: {str(error)[:120]}") from None
    if not isinstance(fields, dict):
        raise Unreadable("not a JSON object")
    # Nothing is nested deeper than it has brackets, and hardly any message has so many.
    if brackets > MESSAGE_LEVELS and is_deeper(fields, MESSAGE_LEVELS):
        raise Unreadable("JSON nested deeper than a message is")
    return fields


def is_deeper(value: Any, levels: int) -> bool:
    """Tell whether mappings and lists lie in one another deeper than so many levels."""
    level = [value]
    for _ in range(levels):
        inner = [one.values() if isinstance(one, dict) else one for one in level]
        level = [each for some in inner for each in some if isinstance(each, _NESTED)]
        if not level:
            return False
    return True


def _finite(number: str) -> float:
    # Infinity could be read here, too, and would be written down as null.
    found = float(number)
    if not math.isfinite(found):
        raise Unreadable("a number that is none")
    return found


def form_fields(text: str) -> dict[str, str]:
    """Read a form or a query in which no name comes twice, of 200 fields at most."""
    if len(text) > 65_536 or text.count("%") > 8192:
        raise Unreadable("a form larger than 64 KiB, or of more escapes than a message has")
    try:
        text.encode()  # half a surrogate pair is no text of anybody's
        return unique_fields(
            parse_qsl(text, keep_blank_values=True, max_num_fields=200, errors="strict")
        )
    except Unreadable:
        raise
    except ValueError as error:
        raise Unreadable(f"not a form: {str(error)[:120]}") from None


def text(value: Scalar) -> str | None:
    """Read text; `"None"`, `" "`, `null` and absence are all None."""
    if value is None:
        return None
    if type(value) is str:
        plain = value.strip()
    elif value is True or value is False:
        return None
    else:
        plain = str(value)
    return None if len(plain) in _NOTHING_LENGTHS and plain.lower() in _NOTHING else plain


def amount(value: Scalar) -> Decimal | None:
    """Read an amount written `5`, `5.0`, `"5.00"` or `"None"`; anything stranger is Unreadable."""
    if type(value) is int and -_LARGEST < value < _LARGEST:
        return Decimal(value)
    if value is None or (plain := text(value)) is None:
        return None
    if not _AMOUNT.fullmatch(plain):
        # Shown only where it is nothing but a number in another form: anything else may be
        # anybody's secret.
        shown = f": {plain!r}" if len(plain) <= 20 and not plain.strip("0123456789.,'+- eE") else ""
        raise Unreadable(f"not an amount{shown}")
    return Decimal(plain)


def parse_time(value: Scalar, form: str | None = None, zone: tzinfo = UTC) -> datetime | None:
    """Read a date as aware UTC; ISO 8601, or `form` (strptime) in `zone`; nonsense is None."""
    if value is None or (plain := text(value)) is None:
        return None
    try:
        found = datetime.strptime(plain, form) if form else datetime.fromisoformat(plain)  # noqa: DTZ007
        return (found if found.tzinfo else found.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
