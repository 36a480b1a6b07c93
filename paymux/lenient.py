"""Reading what providers really send: bent JSON, words for null, numbers as text, several date forms."""

import json
import math
import re
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from typing import Any, TypeAlias, TypeVar
from urllib.parse import parse_qsl

import msgspec

T = TypeVar("T")

# A JSON value that a provider sends now as text, now as a number, now as nothing.
Scalar: TypeAlias = str | int | float | bool | None

BOM = b"\xef\xbb\xbf"  # which Windows writes before UTF-8
_NOTHING = frozenset({"", "none", "null", "undefined"})
_AMOUNT = re.compile(r"-?[0-9]{1,15}(?:\.[0-9]{1,9})?", re.ASCII)


class Unreadable(ValueError):
    """A body or a value that cannot be what the provider documents."""


_decoders: dict[Any, msgspec.json.Decoder[Any]] = {}


def decode(type: type[T], body: bytes) -> T:
    """Read a JSON body as this type, or raise Unreadable; cut, empty, HTML and too deep are all unreadable."""
    decoder = _decoders.get(type)
    if decoder is None:
        decoder = _decoders[type] = msgspec.json.Decoder(type, strict=False)
    try:
        found: T = decoder.decode(body.removeprefix(BOM))
        return found
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Unreadable(f"not a {type.__name__}: {str(error)[:120]}") from None


def convert(type: type[T], fields: Any) -> T:
    """Read already parsed fields as this type, or raise Unreadable."""
    try:
        return msgspec.convert(fields, type, strict=False)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise Unreadable(f"not a {type.__name__}: {str(error)[:120]}") from None


def once(pairs: list[tuple[str, T]]) -> dict[str, T]:
    """Make a dict of pairs, refusing a name that comes twice: nobody knows which one was signed."""
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise Unreadable("a field comes twice")
    return fields


def json_fields(body: bytes) -> dict[str, Any]:
    """Read a JSON object in which no name comes twice, of 4096 values at most, nested 32 deep at most."""
    if sum(map(body.count, (b",", b"[", b"{"))) > 4096:
        raise Unreadable("JSON of more values than a message has")
    try:
        fields = json.loads(
            body.removeprefix(BOM).decode("utf-8"),
            object_pairs_hook=once,
            parse_float=_finite,
            parse_constant=_finite,
        )
        msgspec.json.encode(fields)  # a lone surrogate could be read here, and never written down
    except (ValueError, RecursionError) as error:
        raise Unreadable(f"not JSON: {str(error)[:120]}") from None
    if not isinstance(fields, dict):
        raise Unreadable("not a JSON object")
    level: list[Any] = [fields]
    for _ in range(32):
        below = (each for one in level for each in (one.values() if isinstance(one, dict) else one))
        level = [each for each in below if isinstance(each, dict | list)]
    if level:
        raise Unreadable("JSON nested deeper than a message is")
    return fields


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
        return once(parse_qsl(text, keep_blank_values=True, max_num_fields=200, errors="strict"))
    except ValueError as error:
        raise Unreadable(f"not a form: {str(error)[:120]}") from None


def text(value: Scalar) -> str | None:
    """Read text; `"None"`, `" "`, `null` and absence are all None."""
    if value is None or value is True or value is False:
        return None
    plain = value.strip() if type(value) is str else str(value)
    return plain if len(plain) > 9 or plain.lower() not in _NOTHING else None


def amount(value: Scalar) -> Decimal | None:
    """Read an amount written `5`, `5.0`, `"5.00"` or `"None"`; anything stranger is Unreadable."""
    if value is None or (plain := text(value)) is None:
        return None
    if not _AMOUNT.fullmatch(plain):
        raise Unreadable(f"not an amount: {plain[:20]!r}")
    return Decimal(plain)


def when(value: Scalar, form: str | None = None, zone: tzinfo = UTC) -> datetime | None:
    """Read a date as aware UTC; ISO 8601, or `form` (strptime) in `zone`; nonsense is None."""
    if value is None or (plain := text(value)) is None:
        return None
    try:
        found = datetime.strptime(plain, form) if form else datetime.fromisoformat(plain)  # noqa: DTZ007
        return (found if found.tzinfo else found.replace(tzinfo=zone)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
