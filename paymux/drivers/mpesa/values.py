"""Values that several of Daraja's APIs write in the same form."""

import re
from datetime import datetime, timedelta, timezone

from ...errors import UsageError
from ...values.parsing import parse_time

EAT = timezone(timedelta(hours=3))  # no summer time, so no time zone data is needed
STAMP = "%Y%m%d%H%M%S"
_NUMBER = re.compile("254[0-9]{9}")
# A prompt with one of these can fail without an error:
# https://github.com/bnjunge/MPESA-API-Tutorial/issues/3
_ODD = re.compile("[@#&]")


def paid_at(time: str | None) -> datetime | None:
    """Read the time of a payment; year 1, which occurs, too, has no UTC."""
    return parse_time(time, STAMP, EAT) if time and time.startswith("20") else None


def phone(number: str | None) -> str | None:
    """Return a number if it is not masked."""
    return number if number and _NUMBER.fullmatch(number) else None


def shown(field: str, value: object, longest: int) -> str:
    """Check a text that the payer sees."""
    printable = isinstance(value, str) and value.isprintable() and value.strip()
    if not isinstance(value, str) or not printable or len(value) > longest:
        accepted = f"a string of 1 to {longest} printable characters"
        raise UsageError.field(field, value, accepted)
    if odd := _ODD.search(value):
        raise UsageError.field(field, value, f"text without {odd[0]}")
    return value
