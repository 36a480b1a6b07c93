"""Checking a payment or a message that a caller passes: at a glance, else field by field."""

from collections.abc import Callable, Mapping
from datetime import UTC
from decimal import Decimal
from functools import partial
from operator import itemgetter
from typing import Any, get_args

import msgspec

from ..errors import UsageError
from ..models import Customer, Event, PathUse, Payment, Reason, Trust
from ..primitives import coerce
from ..primitives.coerce import is_a
from .arguments import (
    AMOUNT_LIMIT,
    KINDS,
    MAX_CHARS,
    MAX_IDS,
    amount,
    checked,
    flag,
    ids,
    json_mapping,
    kind,
    moment,
    status,
    text,
    word,
)
from .payment_shapes import IS_TEXT, Shape, shape_of

_PATH_USES = get_args(PathUse)


def _customer(name: str, value: object) -> Customer:
    if not is_a(value, Customer):
        raise UsageError.field(name, value, "a Customer")
    return checked(value, name, _CUSTOMER_FIELDS)


_any_text = partial(text, longest=1 << 21)  # a provider's text, which may be long
_CUSTOMER_FIELDS: dict[str, Callable[[str, Any], Any]] = dict.fromkeys(
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
    "reason": partial(word, Reason),
    "customer": _customer,
    "metadata": json_mapping,
}


def checked_payment(value: object, name: str = "payment") -> Payment:
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


_IS_KIND = frozenset({None, *KINDS})
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
            if not -AMOUNT_LIMIT < number < AMOUNT_LIMIT:
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


def checked_event(value: object, name: str = "event") -> Event:
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
    "trust": partial(word, Trust),
    "claims": lambda name, value: checked_payment(value, name),
    "ping": flag,
    "path_use": _path_use,
}
