"""Amounts as people write them: `1 500,00`, `1.500,00`, `1,500.00`; never one of two readings."""

import re
from decimal import Decimal
from functools import lru_cache

# Amounts are staged as whole numbers of a ten-thousandth, so that SQLite compares and adds exactly.
SCALE = 10_000
_DECIMALS = 4
_DIGITS = 13  # before the decimal mark, at most
_LONGEST = 60  # characters of a cell with an amount

# Every space, and the apostrophes that part thousands in Switzerland.
_SPACE = re.compile("[\\s\u00a0\u1680\u2000-\u200b\u202f\u205f\u2060\u3000'\u2019\ufeff]+")
_CELL = re.compile(
    r"(?P<sign>[-+(\u2212]?) ?(?:[A-Za-z]{1,4}|[€$£])?\.? ?(?P<inner>[-+\u2212]?) ?"
    r"(?P<number>[0-9][0-9 .,]*?)"
    r" ?(?:[A-Za-z]{1,4}(?: [A-Za-z]{3})?|[€$£])?\.? ?(?P<end>[-)]?)"
)
_PLAIN = re.compile(r"([0-9]+)(?:([.,])([0-9]+))?")
_SPACED = re.compile(r"([0-9]{1,3}(?: [0-9]{3})+)(?:([.,])([0-9]+))?")
_GROUPED = re.compile(
    r"([0-9]{1,3}(?:,[0-9]{3})+)(\.)([0-9]+)|([0-9]{1,3}(?:\.[0-9]{3})+)(,)([0-9]+)"
)
_THOUSANDS = re.compile(r"[1-9][0-9]{0,2}(?:(?:,[0-9]{3})+|(?:\.[0-9]{3})+)")
_TWO_READINGS = re.compile(r"[1-9][0-9]{0,2}[.,][0-9]{3}")


class TwoReadings(ValueError):
    """An amount such as `1,500`: to one reader fifteen hundred, to another one and a half."""


class NoAmount(ValueError):
    """A cell that is no amount."""


@lru_cache(maxsize=4096)  # the same prices come again and again
def parse_amount(cell: str, decimal: str | None) -> int:
    """Read an amount in ten-thousandths; `decimal` is the mark before its decimals, if known.

    TwoReadings: only `decimal` can tell. NoAmount: it is none, or has more than 13 digits before
    the mark or 4 after it.
    """
    found = _CELL.fullmatch(_SPACE.sub(" ", cell).strip()) if len(cell) <= _LONGEST else None
    if found is None:
        raise NoAmount(f"{cell[:40]!r} is no amount")
    whole, mark, rest = _parts(cell, found["number"], decimal)
    rest = rest.rstrip("0")
    if len(whole.lstrip("0")) > _DIGITS or len(rest) > _DECIMALS:
        raise NoAmount(f"{cell[:40]!r} has more digits than an amount of money")
    if mark and decimal not in (None, mark):
        raise NoAmount(f"{cell[:40]!r} has another decimal mark than {decimal!r}")
    units = int(whole) * SCALE + int(rest.ljust(_DECIMALS, "0"))
    signs = found["sign"] + found["inner"] + found["end"]
    return -units if set(signs) & {"-", "(", "\u2212"} else units


def _parts(cell: str, number: str, decimal: str | None) -> tuple[str, str, str]:
    """Return the digits before the decimal mark, the mark, and the digits after it."""
    if decimal is None and _TWO_READINGS.fullmatch(number):
        raise TwoReadings(f"{cell[:40]!r} reads two ways")
    if spaced := _SPACED.fullmatch(number):
        return spaced[1].replace(" ", ""), spaced[2] or "", spaced[3] or ""
    if grouped := _GROUPED.fullmatch(number):
        whole, mark, rest = (one for one in grouped.groups() if one is not None)
        return re.sub("[.,]", "", whole), mark, rest
    if _THOUSANDS.fullmatch(number) and (decimal is None or decimal not in number):
        return re.sub("[.,]", "", number), "", ""
    if plain := _PLAIN.fullmatch(number):
        return plain[1], plain[2] or "", plain[3] or ""
    raise NoAmount(f"{cell[:40]!r} is no amount")


def as_decimal(units: int | None) -> Decimal | None:
    """Return a staged amount in major units, without zeros at its end."""
    if units is None:
        return None
    whole, rest = divmod(units, SCALE)
    if not rest:
        return Decimal(whole)
    return (Decimal(units) / SCALE).quantize(
        Decimal("0.01") if rest % 100 == 0 else Decimal("0.0001")
    )


def as_units(amount: Decimal | None) -> int | None:
    """Return an amount in ten-thousandths; NoAmount: it is too large or too fine to be staged."""
    if amount is None:
        return None
    if not amount.is_finite() or abs(amount) >= 10**_DIGITS:
        raise NoAmount(f"{amount:.6g} is too large for an amount")
    units = amount * SCALE
    if units != int(units):
        raise NoAmount(f"{amount:.20g} has more than {_DECIMALS} decimals")
    return int(units)
