"""What several pages of Daraja share: its time zone, its test shortcode, and how values look."""

import re
from collections.abc import Iterable
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, TypeAlias

from ...primitives.clock import wall_time
from ..ledger import Entry

EAT = timezone(timedelta(hours=3))
SHORTCODE = "174379"

# The entries of a result: a key may come twice, and may have no value (None).
Pairs: TypeAlias = Iterable[tuple[str, Any]]
# A field and its pattern.
Wanted: TypeAlias = tuple[tuple[str, str], ...]

PHONE = r"254[17][0-9]{8}"
ORGANISATION = r"[0-9]{5,7}"
WHOLE = r"0*[1-9][0-9]{0,9}"


def stamp(moment: datetime | None = None) -> str:
    """Write a moment (now) in East Africa as 14 digits."""
    return f"{(moment or wall_time(EAT)).astimezone(EAT):%Y%m%d%H%M%S}"


def shillings(amount: Decimal) -> str:
    """Write an amount as in a status answer: without cents where there are none."""
    return f"{amount:f}" if amount % 1 else f"{int(amount)}"


def fits(pattern: str, value: Any) -> bool:
    """Return whether a text or a number, as it would be written, has this form."""
    return value is not None and re.fullmatch(pattern, str(value), re.ASCII) is not None


def paid_at(entry: Entry) -> datetime:
    """Return when an order was paid, also if it was given back later; until then, when it began."""
    found: datetime = entry.words.get("paid_at") or entry.opened_at
    return found.replace(microsecond=0)
