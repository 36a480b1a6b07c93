"""Checking single values that a caller passes: texts, times, amounts, words, mappings.

Text and numbers with a clear meaning are converted, because a payment may be written by hand from a
line of a file: `amount="500"`, `status="pending"`, `created_at="2026-11-30T08:00:00Z"`, and "" for
an unknown value. Anything else is UsageError, before any request.
"""

import enum
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache
from typing import Any, TypeVar, get_args

import msgspec

from ..errors import UsageError
from ..models import Kind, Reason, Status
from ..primitives import coerce
from ..primitives.coerce import is_a
from .parsing import is_deeper

S = TypeVar("S", bound=msgspec.Struct)
W = TypeVar("W", bound=enum.StrEnum)

MAX_IDS = 100  # entries of `ids`; no provider has more than five
MAX_CHARS = 4096  # characters of a text that is sent in a request
MAX_DEPTH = 64  # levels of nested mappings and lists
AMOUNT_LIMIT = 10**15  # an amount is below this, and above its negative
_WORDS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
KINDS = get_args(Kind)
_FIRST, _LAST = datetime(1970, 1, 1, tzinfo=UTC), datetime(9990, 1, 1, tzinfo=UTC)


def text(name: str, value: object, accepted: str = "", longest: int = MAX_CHARS) -> str:
    """Return text as a plain str."""
    found = coerce.text(value)
    if found is None or len(found) > longest:
        raise UsageError.field(
            name, value, accepted or f"a string of at most {longest} characters, as UTF-8 has them"
        )
    return found


def named(name: str, value: object) -> str:
    """Return text that names something: it is not empty."""
    found = text(name, value)
    if not found or "\x00" in found:
        raise UsageError.field(name, value, "a string that names it")
    return found


def whole(name: str, value: object, low: int, high: int) -> int:
    """Return a whole number within bounds."""
    found = coerce.whole(value)
    if found is None or not low <= found <= high:
        raise UsageError.field(name, value, f"{low} to {high}")
    return found


def moment(name: str, value: object) -> datetime:
    """Return an aware datetime, or one from ISO 8601 text, in UTC.

    A time before 1971 or after 9988 is replaced by the first or last time in use.
    """
    found: datetime | None = value if is_a(value, datetime) else None
    if found is None and (said := coerce.text(value)) is not None and len(said) <= 40:
        try:
            found = datetime.fromisoformat(said)
        except ValueError:
            found = None
    try:
        if found is not None and found.utcoffset() is not None:
            if found.year < 1971:
                return _FIRST
            return _LAST if found.year > 9988 else found.astimezone(UTC)
    except Exception:  # noqa: BLE001 - its time zone may be a class of the caller
        found = None
    raise UsageError.field(name, value, "an aware datetime")


def amount(name: str, value: object) -> Decimal:
    """Return an amount that a payment may have: of any sign and fraction, but no float."""
    accepted = "an int, a Decimal, or digits such as 1500 or 1500.50"
    found: Decimal | None = None
    if is_a(value, Decimal):
        found = value if type(value) is Decimal else Decimal(value)
    elif (number := coerce.whole(value)) is not None:
        found = Decimal(number) if -AMOUNT_LIMIT < number < AMOUNT_LIMIT else None
    elif (said := coerce.text(value)) is not None and len(said) <= 40 and _is_number(said):
        found = Decimal(said)
    if found is None or not found.is_finite() or not -AMOUNT_LIMIT < found < AMOUNT_LIMIT:
        raise UsageError.field(name, value, accepted)
    return found


def _is_number(said: str) -> bool:
    head, _, tail = said.removeprefix("-").partition(".")
    return said.isascii() and head.isdigit() and (tail.isdigit() or "." not in said)


def flag(name: str, value: object) -> bool:
    """Return a bool, also from a word or number that means one in a file or a table."""
    if type(value) is bool:
        return value
    number, said = coerce.whole(value), coerce.text(value)
    found = number == 1 if number in (0, 1) else _WORDS.get((said or "")[:5].lower())
    if found is None:
        raise UsageError.field(name, value, "True or False")
    return found


def word(kind: type[W], name: str, value: object) -> W:
    """Return the member of an enumeration, also from its word."""
    if type(value) is kind:
        return value
    said = (coerce.text(value) or "")[:40].lower()
    found = next((one for one in kind if one.value == said), None)
    if found is None:
        raise UsageError.field(name, value, ", ".join(kind))
    return found


def status(name: str, value: object) -> Status:
    """Return a status, also from its word."""
    return word(Status, name, value)


def reason(name: str, value: object) -> Reason:
    """Return a reason, also from its word."""
    return word(Reason, name, value)


def kind(name: str, value: object) -> Kind:
    """Return the kind of a payment."""
    said = (coerce.text(value) or "")[:40].lower()
    for known in KINDS:
        if said == known:
            found: Kind = known
            return found
    raise UsageError.field(name, value, ", ".join(KINDS))


def ids(name: str, value: object) -> dict[str, str]:
    """Return a mapping of text to text."""
    found = coerce.mapping(value)
    if found is None or len(found) > MAX_IDS:
        raise UsageError.field(name, value, f"a mapping of at most {MAX_IDS} names to ids")
    return {text(name, key): text(f"{name}.{shown_name(key)}", id) for key, id in found.items()}


def shown_name(key: object) -> str:
    """Return a key as a part of a field's name; "…": it cannot be shown."""
    found = coerce.text(key)
    return found if found is not None and found.isidentifier() and len(found) <= 60 else "…"


def json_mapping(name: str, value: object, most: int | None = None) -> dict[str, Any]:
    """Return a mapping that JSON can represent, in `most` bytes at most."""
    found = coerce.mapping(value)
    if found is None:
        raise UsageError.field(name, value, "a mapping")
    accepted = (
        "what JSON can hold" if most is None else f"what JSON can hold, in at most {most} bytes"
    )
    try:
        written = msgspec.json.encode(found)
        size = len(written)
        fits = most is None or size <= most
        if fits and most is not None:
            # the memory of orders hashes this form of it
            msgspec.msgpack.encode(found, order="deterministic")
        deep = fits and sum(map(written.count, b"{[")) > MAX_DEPTH and is_deeper(found, MAX_DEPTH)
    except Exception as error:  # noqa: BLE001 - a value in it may raise anything
        raise UsageError.field(name, value, f"{accepted} ({type(error).__name__})") from None
    if deep or not fits:
        raise UsageError.field(
            name, value, f"{accepted}, nested {MAX_DEPTH} deep at most, not {size}"
        )
    return found


@cache
def _fields(struct: type[msgspec.Struct]) -> tuple[tuple[str, bool], ...]:
    return tuple((field.name, field.required) for field in msgspec.structs.fields(struct))


def checked(value: S, name: str, readers: Mapping[str, Callable[[str, Any], Any]]) -> S:
    """Return a Struct with each field checked; a field that is None or empty gets its default."""
    kept: dict[str, Any] = {}
    for field, required in _fields(type(value)):
        given = getattr(value, field, None)
        if given is None or (type(given) in (str, dict) and not given):
            if required:
                raise UsageError.field(f"{name}.{field}", given, "what it cannot be without")
            continue  # it gets its default
        kept[field] = readers[field](f"{name}.{field}", given)
    return type(value)(**kept)
