"""Amounts: exact or refused, quickly, and never a float."""

import time
from decimal import Decimal, getcontext, localcontext
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paymux import UsageError
from paymux.values.money import exact, whole

EXACT: list[tuple[Any, str, str]] = [
    (1, "XAF", "1"),
    (5000, "XAF", "5000"),
    ("5000", "XOF", "5000"),
    ("5000.00", "XAF", "5000"),
    (Decimal("5000.0000"), "GNF", "5000"),
    (Decimal("5E+3"), "XAF", "5000"),
    (Decimal("0.01"), "KES", "0.01"),
    ("0.01", "USD", "0.01"),
    ("100.99", "KES", "100.99"),
    (Decimal("100.99"), "CDF", "100.99"),
    ("999999999999", "XAF", "999999999999"),
    (10**12 - 1, "XAF", "999999999999"),
    ("999999999999.99", "KES", "999999999999.99"),
    ("1.0000", "KES", "1.00"),
    (2**31, "XAF", "2147483648"),
    ("0005", "XAF", "5"),
]
REFUSED: list[Any] = [
    0,
    -1,
    -0.0,
    0.0,
    1.0,
    5000.0,
    1e2,
    0.1,
    float("nan"),
    float("inf"),
    float("-inf"),
    1e308,
    True,
    False,
    None,
    10**12,
    2**63,
    2**64,
    10**30,
    -(10**30),
    10**5000,
    "",
    " ",
    "0",
    "0.00",
    "-1",
    "-0",
    "+1",
    " 5",
    "5 ",
    "5\n",
    "\t5",
    "1e2",
    "1E2",
    "1E+1000000",
    "1e-5",
    "1_000",
    "1,000",
    "1.000,00",
    "1,5",
    ".5",
    "5.",
    "0x10",
    "0b1",
    "0o7",
    "NaN",
    "nan",
    "sNaN",
    "Infinity",
    "-Infinity",
    "inf",
    "\u0661\u0662",
    "\uff11\uff12",
    "\u00b2",
    "\u2160",
    "5\u00a0000",
    "5 000",
    "5'000",
    "$5",
    "5 XAF",
    "XAF5",
    "1/2",
    "1.00000",
    "1.12345",
    "1000000000000",
    "9" * 400,
    "1" * 10**6,
    "5\x00",
    "\ufeff5",
    "\ud800",
    "5\u200b",
    "--5",
    "5-",
    "1.2.3",
    "1..2",
    "e5",
    "E",
    b"5",
    bytearray(b"5"),
    [5],
    (5,),
    {5},
    {"amount": 5},
    5j,
    Fraction(5),
    object(),
    int,
    Decimal(0),
    Decimal("-0"),
    Decimal(-5),
    Decimal("NaN"),
    Decimal("-NaN"),
    Decimal("sNaN"),
    Decimal("Infinity"),
    Decimal("-Infinity"),
    Decimal("1E+1000000"),
    Decimal("1E+999999"),
    Decimal("-1E+1000000"),
    Decimal("1E-1000000"),
    Decimal("9" * 400),
    Decimal("1E+12"),
    Decimal("1." + "0" * 400 + "1"),
    Decimal("0.5"),
    Decimal("5000.01"),
    Decimal("4999.9999999999999999999999"),
    "5000.5",
    "0.01",
    "0.0001",
]


@pytest.mark.parametrize(("value", "currency", "expected"), EXACT)
def test_an_amount_is_exact(value: object, currency: str, expected: str) -> None:
    """What is accepted keeps its value to the last digit."""
    found = exact(value, currency)
    assert type(found) is Decimal
    assert found == Decimal(expected)


@pytest.mark.usefixtures("uncollected")
@pytest.mark.parametrize("number", range(len(REFUSED)))
def test_anything_else_is_refused_and_named(number: int) -> None:
    """Anything but a positive amount in whole francs is UsageError, without delay."""
    began = time.thread_time()
    with pytest.raises(UsageError) as caught:
        exact(REFUSED[number], "XAF")
    assert time.thread_time() - began < 0.25
    assert str(caught.value).startswith("amount: ")
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("value", ["100.999", Decimal("0.001"), "0.0001", Decimal("1.005")])
def test_a_fraction_finer_than_the_currency_is_refused_never_rounded(value: object) -> None:
    """100.999 shillings are refused, and not 101.00 or 100.99."""
    with pytest.raises(UsageError, match="2 decimals"):
        exact(value, "KES")


def test_a_driver_may_take_fewer_decimals_than_iso() -> None:
    """Whole shillings only, if a provider accepts no others."""
    assert exact("5.00", "KES", {"KES": 0}) == 5
    with pytest.raises(UsageError, match="whole units"):
        exact("5.50", "KES", {"KES": 0})


def test_an_unknown_currency_has_two_decimals() -> None:
    """An unknown currency has two decimals."""
    assert exact("5.25", "NGN") == Decimal("5.25")


@settings(max_examples=300, deadline=None, derandomize=True)
@given(st.one_of(st.decimals(), st.integers(), st.text(max_size=30), st.floats(), st.booleans()))
def test_an_amount_is_exact_or_refused(value: object) -> None:
    """No value is rounded, and only UsageError is raised."""
    try:
        found = exact(value, "KES")
    except UsageError:
        return
    assert not isinstance(value, float | bool)
    assert isinstance(value, int | str | Decimal)
    assert found == Decimal(value)
    assert 0 < found < 10**12
    assert found == round(found, 2)


def test_the_callers_decimal_context_changes_nothing() -> None:
    """A caller's own precision and traps neither round an amount nor raise."""
    with localcontext() as context:
        context.prec = 3
        for signal in context.traps:
            context.traps[signal] = True
        assert exact("123456.78", "KES") == Decimal("123456.78")
        assert exact(123456, "XAF") == 123456
        with pytest.raises(UsageError):
            exact("100.999", "KES")
    assert getcontext().prec == 28


@pytest.mark.parametrize(
    ("amount", "number"), [("5000", 5000), ("5000.00", 5000), ("999999999999", 999999999999)]
)
def test_a_whole_amount_becomes_an_integer(amount: str, number: int) -> None:
    """A field that takes an integer gets one."""
    assert whole(Decimal(amount)) == number
    assert type(whole(Decimal(amount))) is int


def test_a_fraction_never_becomes_an_integer() -> None:
    """100.99 is refused, not cut to 100."""
    with pytest.raises(UsageError):
        whole(Decimal("100.99"))
