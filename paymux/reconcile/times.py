"""Times as statements have them; they only decide what lies at the edge of a period."""

import re
from datetime import UTC, datetime

# The day first, as in most of Africa; a month first is taken where it must be one.
_DAY_FIRST = re.compile(
    r"([0-9]{1,2})[/.-]([0-9]{1,2})[/.-]([0-9]{4})"
    r"(?:[ T,]+([0-9]{1,2})[:hH]([0-9]{2})(?::([0-9]{2}))?)?"
)
_DIGITS = re.compile(r"(20[0-9]{2})([01][0-9])([0-3][0-9])([0-2][0-9])([0-5][0-9])([0-5][0-9])")
_LONGEST = 40  # characters of a time
_LAST = 253_402_300_799  # seconds since 1970 at the end of the year 9999


def parse_time(cell: str) -> int | None:
    """Return seconds since 1970; a time without an offset is UTC. None: it is no time we know.

    Read are ISO 8601, `30/11/2026 14:05`, `20261130140509`, and seconds or milliseconds since 1970.
    """
    cell = cell.strip()
    if not cell or len(cell) > _LONGEST:
        return None
    try:
        if cell.isascii() and cell.isdigit():
            return _of_digits(cell)
        if found := _DAY_FIRST.match(cell):
            day, month, year, hour, minute, second = (int(one or 0) for one in found.groups())
            if month > 12:
                day, month = month, day
            moment = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
            return int(moment.timestamp())
        moment = datetime.fromisoformat(cell)
        return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())
    except (ValueError, OverflowError):
        return None


def _of_digits(cell: str) -> int | None:
    if _DIGITS.fullmatch(cell):
        return int(datetime.fromisoformat(f"{cell[:8]}T{cell[8:]}+00:00").timestamp())
    if len(cell) in (10, 13):
        return min(int(cell[:10]), _LAST)
    return (
        None
        if len(cell) != 8
        else int(datetime.fromisoformat(cell).replace(tzinfo=UTC).timestamp())
    )


def moment_of(seconds: int | None) -> datetime | None:
    """Return a staged time as aware UTC."""
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
