"""What a reconciliation read, found and left out, in rows and in money."""

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal

import msgspec

from ..models import Model
from .amounts import as_decimal

# What becomes of a row that is in no difference.
AGREED = "agreed"
UNPAID = "unpaid"  # no money moved, and the other side does not have it
OUTSIDE = "outside_period"
OTHER_KIND = "other_kind"  # not what the caller asked for
CONFIRMED = "confirmed"  # it differed until the provider was asked


class Total(Model, frozen=True, kw_only=True):
    """Rows and money of one side ("ours", "theirs"), of one kind and currency, that ended one way.

    `outcome` is the kind of a difference, or "agreed", "confirmed" (by the provider, who was
    asked), "unpaid" (no money moved, and the other side has no such row), "outside_period" or
    "other_kind" (not the kind that was asked for).
    `amount` is Decimal in major units; a row without an amount counts as 0.
    """

    side: str
    outcome: str
    kind: str | None
    currency: str | None
    rows: int
    amount: Decimal


class Summary(Model, frozen=True, kw_only=True):
    """The end of a reconciliation: what was read, and what became of each row.

    `read` says for each side, kind and currency what was read; `totals` what became of it, so that
    both have the same sums (`adds_up`). `differences` and `information` are counts of what was
    yielded. `unreadable` lines are in neither sum, for nothing is known of their money.
    """

    differences: int
    information: int
    unreadable: int
    read: tuple[Total, ...]
    totals: tuple[Total, ...]
    since: datetime | None = None
    until: datetime | None = None
    asked: int = 0
    resumed: int = 0

    @property
    def adds_up(self) -> bool:
        """Return whether the totals of each side, kind and currency are what was read."""
        return _sums(self.read) == _sums(self.totals)

    def rows(self, outcome: str, side: str | None = None) -> int:
        """Return how many rows had an outcome, on one side or on both."""
        return sum(
            one.rows for one in self.totals if one.outcome == outcome and side in (None, one.side)
        )


def _sums(totals: Iterable[Total]) -> dict[tuple[str, str | None, str | None], tuple[int, Decimal]]:
    sums: dict[tuple[str, str | None, str | None], tuple[int, Decimal]] = {}
    for one in totals:
        key = (one.side, one.kind, one.currency)
        rows, amount = sums.get(key, (0, Decimal(0)))
        sums[key] = (rows + one.rows, amount + one.amount)
    return sums


class Tally(msgspec.Struct):
    """Counts of rows and ten-thousandths by side, outcome, kind and currency, stored as JSON."""

    counts: dict[str, tuple[int, int]] = {}

    def add(
        self, side: str, outcome: str, kind: str | None, currency: str | None, rows: int, units: int
    ) -> None:
        """Count rows, and their money."""
        key = f"{side}|{outcome}|{kind or ''}|{currency or ''}"
        before = self.counts.get(key, (0, 0))
        self.counts[key] = (before[0] + rows, before[1] + units)

    def totals(self) -> tuple[Total, ...]:
        """Return what was counted."""
        return tuple(
            Total(
                side=side, outcome=outcome, kind=kind or None, currency=currency or None,
                rows=rows, amount=as_decimal(units) or Decimal(0),
            )
            for key, (rows, units) in sorted(self.counts.items())
            for side, outcome, kind, currency in [key.split("|")]
        )  # fmt: skip
