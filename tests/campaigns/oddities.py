"""Odd values, which bench_callers passes to each parameter of each public callable.

A new value is made for each call, because a coroutine or an iterator can be used only once.
"""

import enum
import fractions
import ipaddress
import numbers
import pathlib
import types
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from functools import partial
from typing import Any, NoReturn

from paymux import (
    Customer,
    Event,
    Item,
    Payment,
    Reason,
    Status,
    Tax,
    UsageError,
    WebhookRequest,
    get,
)
from paymux.primitives.redaction import Secret
from paymux.simulator import Fault

LONG = "9" * 1_000_000
HALF = "\ud800"  # half of a surrogate pair, which cannot be encoded


class Broken(Exception):
    """Raised by hostile objects."""


def _raise(*_: object, **__: object) -> NoReturn:
    raise Broken


_DUNDERS = (
    "eq ne lt le gt ge hash str repr bool len iter aiter next call await contains getitem "
    "format int float index complex bytes fspath enter exit copy deepcopy reduce reduce_ex "
    "add sub mul neg abs round trunc"
)
_RAISING: dict[str, Any] = {f"__{name}__": _raise for name in _DUNDERS.split()}
Hostile = type("Hostile", (), {**_RAISING, "__getattr__": _raise})
HostileText = type(
    "HostileText", (str,), {**_RAISING, "encode": _raise, "strip": _raise, "lower": _raise}
)
HostileNumber = type("HostileNumber", (int,), _RAISING)
HostileAmount = type(
    "HostileAmount", (Decimal,), {**_RAISING, "is_finite": _raise, "quantize": _raise}
)
HostileDict = type(
    "HostileDict", (dict,), {**_RAISING, "items": _raise, "keys": _raise, "get": _raise}
)
HostileList = type("HostileList", (list,), _RAISING)


class Lying:
    """An object whose `__class__` raises, as that of a request proxy does outside a request."""

    @property
    def __class__(self) -> Any:
        raise RuntimeError("working outside of request context")

    @__class__.setter
    def __class__(self, _: Any) -> None: ...


class Safe(str):
    """Text of a subclass of str, such as Django's SafeString."""

    __slots__ = ()


class Word(enum.StrEnum):
    """Text that is a member of an enum."""

    PENDING = "pending"


class Scalar:
    """An integer of another library, such as numpy."""

    def __init__(self, number: int) -> None:
        self._number = number

    def __index__(self) -> int:
        return self._number


numbers.Integral.register(Scalar)


class OddMapping(Mapping[Any, Any]):
    """A mapping that raises at each use."""

    def __getitem__(self, _: object) -> NoReturn:
        raise Broken

    def __iter__(self) -> NoReturn:
        raise Broken

    def __len__(self) -> NoReturn:
        raise Broken


class OddZone(tzinfo):
    """A time zone whose methods raise."""

    utcoffset = dst = tzname = _raise


class OddPath:
    """A path that raises when it is used."""

    def __fspath__(self) -> NoReturn:
        raise Broken


def deep(levels: int) -> dict[str, Any]:
    """Return nested mappings."""
    found: dict[str, Any] = {}
    for _ in range(levels):
        found = {"a": found}
    return found


def circle() -> dict[str, Any]:
    """Return a mapping that contains itself."""
    found: dict[str, Any] = {}
    found["a"] = found
    return found


async def coroutine(*_: object, **__: object) -> None:
    """Do nothing."""


async def stream() -> AsyncIterator[object]:
    """Yield a value that no parameter accepts."""
    yield 5


def iterator() -> Iterator[object]:
    """Yield a value that no parameter accepts."""
    yield 5


def stopped() -> Awaitable[None]:
    """Return a coroutine that is never awaited.

    Python's warning about it is an error only if the call refused the value.
    """
    return coroutine()


def _give(value: Any) -> Any:
    return value


def _same(*values: Any) -> dict[str, Callable[[], Any]]:
    return {_named(value): partial(_give, value) for value in values}


def _named(value: object) -> str:
    size = value.bit_length() if type(value) is int else 0
    text = f"an integer of {size} bits" if size > 200 else ascii(value)
    return text if len(text) < 60 else f"{text[:40]}… of {len(text)}"


_EAST, _WEST = timezone(timedelta(hours=14)), timezone(timedelta(hours=-12))

VALUES: dict[str, Callable[[], Any]] = {
    **_same(
        None,
        True,
        False,
        0,
        1,
        -1,
        5,
        2**63,
        10**400,
        5.0,
        0.1,
        1e308,
        -5.5,
        5j,
        Ellipsis,
        NotImplemented,
    ),
    **_same(float("nan"), float("inf"), float("-inf"), fractions.Fraction(1, 3)),
    **_same(
        *map(
            Decimal, ("5", "5.5", "NaN", "sNaN", "Infinity", "1E+1000000", "1E-1000000", "-1", "0")
        )
    ),
    **_same(
        "",
        " ",
        "x",
        "pending",
        "5",
        "500",
        "5.50",
        "NaN",
        "1E+1000000",
        "true",
        "campay",
        "cinetpay",
        "GET",
    ),
    **_same(
        "2026-11-30T08:00:00Z",
        "2026-11-30",
        "a\r\nb",
        "a\x00b",
        "é",
        HALF,
        "\u202e5",
        "\u0665",
        "..",
        "a b",
    ),
    **_same(
        "https://shop.example/x",
        "http://[",
        "/balance/",
        "237670000000",
        "+" * 30,
        "on_payment",
        "{}",
        "%",
    ),
    "1,000,000 digits": lambda: LONG,
    "1,000,000 odd characters": lambda: "é/" * 500_000,
    "a str subclass": lambda: Safe("pending"),
    "a member of a StrEnum": lambda: Word.PENDING,
    "a str subclass that raises": lambda: HostileText("x"),
    **_same(b"", b"x", b"\xff" * 100),
    "a bytearray": lambda: bytearray(b"x"),
    "a memoryview": lambda: memoryview(b"x"),
    "a list": list,
    "a list of odd things": lambda: [5, None, "x", object()],
    "a list of 10,000": lambda: ["x"] * 10_000,
    "a list that raises": lambda: HostileList([1]),
    "a tuple": lambda: ("campay", "x"),
    "a tuple of None": lambda: (None, None),
    "a dict": dict,
    "a dict of text": lambda: {"a": "x"},
    "a dict with other keys": lambda: {1: 2, None: 3},
    "a dict with half a surrogate": lambda: {"x": HALF},
    "a dict with half a surrogate as key": lambda: {HALF: "x"},
    "a dict of NaN": lambda: {"x": Decimal("sNaN")},
    "a dict of 10,000": lambda: dict.fromkeys(map(str, range(10_000)), "x"),
    "a dict that raises": lambda: HostileDict(a=1),
    "a mapping proxy": lambda: types.MappingProxyType({"a": "x"}),
    "a mapping that raises": OddMapping,
    "a dict of something that raises": lambda: {"a": Hostile()},
    "500 levels": lambda: deep(500),
    "5,000 levels": lambda: deep(5_000),
    "a circle": circle,
    **_same(frozenset({"x"}), range(3)),
    "an iterator": iterator,
    "an object": object,
    "a hostile object": Hostile,
    "an object that has no class": Lying,
    "an int subclass that raises": lambda: HostileNumber(5),
    "a Decimal subclass that raises": lambda: HostileAmount(5),
    "another library's number": lambda: Scalar(5),
    "a class": lambda: Payment,
    "a union": lambda: dict | list,
    "a generic": lambda: dict[str, int],
    "a function": lambda: lambda *_, **__: None,
    "a builtin": lambda: len,
    "a function that raises": lambda: _raise,
    "an async function": lambda: coroutine,
    "a coroutine": stopped,
    "an async generator": stream,
    "a naive datetime": lambda: datetime(2026, 11, 30),  # noqa: DTZ001 - a caller's bug
    "a datetime": lambda: datetime(2026, 11, 30, tzinfo=UTC),
    "the last datetime": lambda: datetime.max.replace(tzinfo=_WEST),
    "the first datetime": lambda: datetime.min.replace(tzinfo=_EAST),
    "a datetime of an odd zone": lambda: datetime(2026, 11, 30, tzinfo=OddZone()),
    **_same(date(2026, 11, 30), timedelta(5), uuid.UUID(int=5), ipaddress.ip_address("127.0.0.1")),
    "a path": lambda: pathlib.Path("/nowhere/at/all"),
    "a folder": lambda: pathlib.Path("/"),
    "an endless file": lambda: pathlib.Path("/dev/zero"),
    "a path that raises": OddPath,
    "a Secret": lambda: Secret("simulator"),
    **_same(Status.PENDING, Reason.OTHER, Fault.ERROR),
    "a Payment": lambda: Payment(account="campay"),
    "a Payment of nothing": lambda: Payment(account=None),  # type: ignore[arg-type] # a caller's bug
    "an Event": lambda: Event(claims=Payment(account="campay")),
    "a WebhookRequest": WebhookRequest,
    "a Customer": lambda: Customer(name=5),  # type: ignore[arg-type] # a caller's bug
    "an Item": lambda: Item(name="x", unit_price=Decimal("NaN")),
    "a Tax": lambda: Tax(name="x", amount=Decimal("1E+1000000")),
    "a request": lambda: get("/balance/", dict),
    "an error": lambda: UsageError("x"),
    "a TypeError": lambda: TypeError("x"),
}
