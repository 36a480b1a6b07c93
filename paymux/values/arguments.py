"""Checking what a caller passes beyond plain fields: payments, messages and times.

Text and numbers with a clear meaning are converted, because a payment may be written by hand from a
line of a file: `amount="500"`, `status="pending"`, `created_at="2026-11-30T08:00:00Z"`, and "" for
an unknown value. Anything else is UsageError, before any request.
"""

import enum
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from decimal import Decimal
from functools import cache, partial
from operator import itemgetter
from typing import Any, TypeVar, get_args

import msgspec

from ..errors import UsageError
from ..models import Customer, Event, Kind, PathUse, Payment, Reason, Status, Trust
from ..primitives import coerce
from ..primitives.coerce import is_a
from .parsing import is_deeper
from .payment_shapes import IS_TEXT, Shape, shape_of

S = TypeVar("S", bound=msgspec.Struct)
W = TypeVar("W", bound=enum.StrEnum)

MAX_IDS = 100  # entries of `ids`; no provider has more than five
MAX_CHARS = 4096  # characters of a text that is sent in a request
MAX_DEPTH = 64  # levels of nested mappings and lists
_DIGITS = 10**15
_WORDS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
_KINDS = get_args(Kind)
_PATH_USES = get_args(PathUse)
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
    accepted = "an int, a Decimal or a plain digit string"
    found: Decimal | None = None
    if is_a(value, Decimal):
        found = value if type(value) is Decimal else Decimal(value)
    elif (number := coerce.whole(value)) is not None:
        found = Decimal(number) if -_DIGITS < number < _DIGITS else None
    elif (said := coerce.text(value)) is not None and len(said) <= 40 and _is_number(said):
        found = Decimal(said)
    if found is None or not found.is_finite() or not -_DIGITS < found < _DIGITS:
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


def _word(kind: type[W], name: str, value: object) -> W:
    if type(value) is kind:
        return value
    said = (coerce.text(value) or "")[:40].lower()
    found = next((word for word in kind if word.value == said), None)
    if found is None:
        raise UsageError.field(name, value, ", ".join(kind))
    return found


def status(name: str, value: object) -> Status:
    """Return a status, also from its word."""
    return _word(Status, name, value)


def reason(name: str, value: object) -> Reason:
    """Return a reason, also from its word."""
    return _word(Reason, name, value)


def kind(name: str, value: object) -> Kind:
    """Return the kind of a payment."""
    said = (coerce.text(value) or "")[:40].lower()
    for known in _KINDS:
        if said == known:
            found: Kind = known
            return found
    raise UsageError.field(name, value, ", ".join(_KINDS))


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
            # order_memory hashes this form of it
            msgspec.msgpack.encode(found, order="deterministic")
        deep = fits and sum(map(written.count, b"{[")) > MAX_DEPTH and is_deeper(found, MAX_DEPTH)
    except Exception as error:  # noqa: BLE001 - a value in it may raise anything
        raise UsageError.field(name, value, f"{accepted} ({type(error).__name__})") from None
    if deep or not fits:
        raise UsageError.field(
            name, value, f"{accepted}, nested {MAX_DEPTH} deep at most, not {size}"
        )
    return found


def _customer(name: str, value: object) -> Customer:
    if not is_a(value, Customer):
        raise UsageError.field(name, value, "a Customer")
    return checked(value, name, CUSTOMER)


_any_text = partial(text, longest=1 << 21)  # a provider's text, which may be long
CUSTOMER: dict[str, Callable[[str, Any], Any]] = dict.fromkeys(
    Customer.__struct_fields__, _any_text
)
_PAYMENT: dict[str, Callable[[str, Any], Any]] = {
    **dict.fromkeys(Payment.__struct_fields__, _any_text),
    **dict.fromkeys(("account", "reference", "provider_reference", "currency"), text),
    **dict.fromkeys(("amount", "fee", "refunded_amount"), amount),
    **dict.fromkeys(("paid_at", "created_at", "updated_at"), moment),
    "kind": kind,
    "live": flag,
    "ids": ids,
    "status": status,
    "reason": partial(_word, Reason),
    "customer": _customer,
    "metadata": json_mapping,
}


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


def payment(value: object, name: str = "payment") -> Payment:
    """Return a checked payment; the same object, in 2 µs, if nothing has to be changed."""
    if type(value) is Payment and _is_sound(value):
        amount: object = value.amount
        # in a payment written by hand, this is mostly the only field to convert
        if type(amount) is int:
            return msgspec.structs.replace(value, amount=Decimal(amount))
        return value
    if not is_a(value, Payment):
        raise UsageError.field(name, value, "a Payment")
    return checked(value, name, _PAYMENT)


_IS_KIND = frozenset({None, *_KINDS})
_FIELDS = Payment.__struct_fields__
_KIND, _IDS, _CUSTOMER, _METADATA = map(_FIELDS.index, ("kind", "ids", "customer", "metadata"))
_names = itemgetter(*map(_FIELDS.index, ("account", "reference", "provider_reference", "currency")))
# tuples of field types that are known to be right, and are not checked one by one again
MAX_SEEN_TYPES = 1000
_shapes: dict[tuple[type, ...], Shape] = {}


def _is_sound(value: Payment) -> bool:
    """Return whether a payment is valid by a fast check; False: check it field by field."""
    values = msgspec.structs.astuple(value)
    kinds = tuple(map(type, values))
    shape = _shapes.get(kinds)
    if shape is None:
        shape = shape_of(kinds)
        if shape is None:
            return False
        if len(_shapes) < MAX_SEEN_TYPES:
            _shapes[kinds] = shape
    said = "".join(shape.texts(values))
    if not said.isascii() and coerce.text(said) is None:
        return False
    for place in shape.numbers:
        number = values[place]
        if type(number) is int:
            if not -_DIGITS < number < _DIGITS:
                return False
        elif not (number.is_finite() and number.adjusted() < 15):
            return False
    for place in shape.times:
        when = values[place]
        if not (when.tzinfo is UTC and 1971 <= when.year <= 9988):
            return False
    return (
        values[_KIND] in _IS_KIND
        and (not values[_IDS] or _is_sound_ids(values[_IDS]))
        and (values[_CUSTOMER] is None or _is_sound_customer(values[_CUSTOMER]))
        and (not values[_METADATA] or _is_sound_metadata(values[_METADATA]))
        and len(said) <= MAX_CHARS
        and "" not in _names(values)
    )


def _is_sound_ids(value: Mapping[str, str]) -> bool:
    for key, id in value.items():
        if type(key) is not str or type(id) is not str or not (key + id).isascii():
            return False
    return len(value) <= MAX_IDS


def _is_sound_customer(value: Customer) -> bool:
    texts = msgspec.structs.astuple(value) if type(value) is Customer else (value,)
    return (
        IS_TEXT.issuperset(map(type, texts))
        and coerce.text("".join(filter(None, texts))) is not None
    )


def _is_sound_metadata(value: Mapping[str, Any]) -> bool:
    try:
        return json_mapping("metadata", value) is value
    except UsageError:
        return False


def _path_use(name: str, value: object) -> str:
    said = coerce.text(value)
    if said is None or said not in _PATH_USES:
        raise UsageError.field(name, value, ", ".join(_PATH_USES))
    return said


_EVENT_TYPES = {
    (str, str, Trust, Payment, bool, path, use)
    for path in (str, type(None))
    for use in (str, type(None))
}


def event(value: object, name: str = "event") -> Event:
    """Return a checked message, which `webhook` returned, or which was kept."""
    if type(value) is Event and tuple(map(type, msgspec.structs.astuple(value))) in _EVENT_TYPES:
        # Nearly all messages come from our own drivers.
        said = f"{value.account}{value.provider}{value.path_reference}"
        fits = said.isascii() and len(said) <= MAX_CHARS and value.path_reference != ""
        fits = fits and (value.path_use is None or value.path_use in _PATH_USES)
        if fits and _is_sound(value.claims):
            return value
    if not is_a(value, Event):
        raise UsageError.field(name, value, "an Event, which webhook and returned give")
    return checked(value, name, _EVENT)


_EVENT: dict[str, Callable[[str, Any], Any]] = {
    **dict.fromkeys(("account", "provider", "path_reference"), text),
    "trust": partial(_word, Trust),
    "claims": lambda name, value: payment(value, name),
    "ping": flag,
    "path_use": _path_use,
}
