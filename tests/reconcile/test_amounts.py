"""Amounts as people write them."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from paymux.reconcile.amounts import NoAmount, TwoReadings, as_decimal, as_units, parse_amount

SPACES = (" ", "\u00a0", "\u202f", "\u2009", "'")


@pytest.mark.parametrize(
    ("cell", "amount"),
    [
        ("1500", "1500"),
        ("1 500,00", "1500"),
        ("1\u202f500,00", "1500"),
        ("1\u00a0500", "1500"),
        ("1'500.50", "1500.50"),
        ("1.500,00", "1500"),
        ("1,500.00", "1500"),
        ("1.500.000", "1500000"),
        ("1500,5", "1500.50"),
        ("0,125", "0.1250"),
        ("1 500,125", "1500.1250"),
        ("-500", "-500"),
        ("\u2212500", "-500"),
        ("500-", "-500"),
        ("(1 500)", "-1500"),
        ("1 500 FCFA", "1500"),
        ("1 500 F CFA", "1500"),
        ("KES 1,500.00", "1500"),
        ("Ksh. 250.00", "250"),
    ],
)
def test_an_amount_that_reads_one_way(cell: str, amount: str) -> None:
    """Each usual form is read, with any kind of space and with a currency beside it."""
    assert str(as_decimal(parse_amount(cell, None))) == amount


@pytest.mark.parametrize("cell", ["1,500", "1.500", "12,345", "KES 1,500", "-1.500"])
def test_an_amount_that_reads_two_ways_is_refused(cell: str) -> None:
    """Nothing guesses between 1500 and 1.5: only the caller knows the decimal mark."""
    with pytest.raises(TwoReadings):
        parse_amount(cell, None)
    assert abs(parse_amount(cell, "." if "," in cell else ",")) >= 1_500 * 10_000
    assert abs(parse_amount(cell, "," if "," in cell else ".")) < 13 * 10_000


@pytest.mark.parametrize(
    "cell",
    [
        "",
        "abc",
        "1e3",
        "12 34",
        "1 5000",
        "1,50,00",
        "=1+1",
        "1.2.3",
        "9" * 14,
        "0.00001",
        "NaN",
        "٣",
    ],
)
def test_what_is_no_amount_is_refused(cell: str) -> None:
    """A cell that is no amount is never read as one."""
    with pytest.raises(NoAmount):
        parse_amount(cell, None)


@given(
    units=st.integers(0, 10**14),
    space=st.sampled_from(SPACES),
    mark=st.sampled_from(",."),
)
def test_every_written_amount_is_read_back(units: int, space: str, mark: str) -> None:
    """What is written with a known mark and any space is the same amount again."""
    amount = Decimal(units) / 100
    written = f"{amount:,.2f}".translate({ord(","): space, ord("."): mark})
    assert as_decimal(parse_amount(written, mark)) == amount
    assert as_units(amount) == parse_amount(written, mark)
