"""Where a payment has its texts, numbers and times, by the types of its fields."""

from collections.abc import Callable, Container
from datetime import datetime
from decimal import Decimal
from operator import itemgetter
from typing import Any, NamedTuple

from ..models import Customer, Payment, Reason, Status

_NUMBERS = frozenset({"amount", "fee", "refunded_amount"})
_TIMES = frozenset({"paid_at", "created_at", "updated_at"})
IS_TEXT = frozenset({str, type(None)})
_FITS: dict[str, frozenset[type]] = {
    **dict.fromkeys(_NUMBERS, frozenset({Decimal, type(None)})),
    "amount": frozenset({Decimal, int, type(None)}),
    **dict.fromkeys(_TIMES, frozenset({datetime, type(None)})),
    "live": frozenset({bool, type(None)}),
    "ids": frozenset({dict}),
    "status": frozenset({Status}),
    "reason": frozenset({Reason, type(None)}),
    "customer": frozenset({Customer, type(None)}),
    "metadata": frozenset({dict}),
}
_FIELDS = Payment.__struct_fields__


class Shape(NamedTuple):
    """The texts among a payment's values, and the positions of its numbers and times."""

    texts: Callable[[tuple[Any, ...]], tuple[str, ...]]
    numbers: tuple[int, ...]
    times: tuple[int, ...]


def shape_of(kinds: tuple[type, ...]) -> Shape | None:
    """Return the shape of a payment whose fields have these types; None: one type is wrong."""
    fits = (_FITS.get(field, IS_TEXT) for field in _FIELDS)
    if not all(kind in fit for kind, fit in zip(kinds, fits, strict=True)):
        return None

    def places(names: Container[str], *types: type) -> tuple[int, ...]:
        named = enumerate(zip(_FIELDS, kinds, strict=True))
        return tuple(place for place, (field, kind) in named if field in names and kind in types)

    texts = itemgetter(*places(_FIELDS, str))  # three at least: account, provider, raw
    return Shape(texts, places(_NUMBERS, Decimal, int), places(_TIMES, datetime))
