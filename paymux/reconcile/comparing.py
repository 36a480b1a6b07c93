"""What two matched rows, or one without a partner, mean: the table of kinds of differences."""

from collections.abc import Mapping
from typing import Final, NamedTuple

from .difference import DifferenceKind as Kind
from .rows import OUT
from .summary import OTHER_KIND, UNPAID


class Said(NamedTuple):
    """What one row says, as it is staged."""

    n: int
    account: str
    kind: str | None
    reference: str | None
    provider_reference: str | None
    receipt: str | None
    amount: int | None
    currency: str | None
    status: str
    at: int | None
    party: str | None


# By our status and theirs; cancelled and expired are failed. A sale that was given back keeps its
# line in a statement, so our "refunded" agrees with their "succeeded". Money that came and went
# back unseen is owed to none.
_UNPAID, _OPEN, _PAID, _BACK = "failed", "pending", "succeeded", "refunded"
_MEANS: Final[Mapping[tuple[str, str], Kind | None]] = {
    (_PAID, _PAID): None,
    (_PAID, _OPEN): Kind.BELIEVED_PAID,
    (_PAID, _UNPAID): Kind.BELIEVED_PAID,
    (_PAID, _BACK): Kind.BELIEVED_PAID,
    (_OPEN, _PAID): Kind.PAID_UNKNOWN,
    (_OPEN, _OPEN): Kind.OPEN,
    (_OPEN, _UNPAID): Kind.OPEN,
    (_OPEN, _BACK): Kind.OPEN,
    (_UNPAID, _PAID): Kind.PAID_UNKNOWN,
    (_UNPAID, _OPEN): Kind.OPEN,
    (_UNPAID, _UNPAID): None,
    (_UNPAID, _BACK): None,
    (_BACK, _PAID): None,
    (_BACK, _OPEN): Kind.BELIEVED_PAID,
    (_BACK, _UNPAID): Kind.BELIEVED_PAID,
    (_BACK, _BACK): None,
}
_MOVED: Final = (_PAID, _BACK)

# True only of two rows that `compare` finds nothing in: so the many need no Python.
AGREES_SQL: Final = """(
    o.status = t.status AND o.status <> 'pending'
    AND (o.amount = t.amount OR o.amount IS NULL OR t.amount IS NULL)
    AND (o.currency = t.currency OR o.currency IS NULL OR t.currency IS NULL)
    AND (o.kind = t.kind OR o.kind IS NULL OR t.kind IS NULL))"""


def compare(ours: Said, theirs: Said) -> list[Kind]:
    """Return what differs: the currency, the amount, the kind, the status. Absent values do not."""
    found = []
    if _differ(ours.currency, theirs.currency):
        found.append(Kind.CURRENCY)
    if _differ(ours.amount, theirs.amount):
        found.append(Kind.AMOUNT)
    kinds = {ours.kind, theirs.kind}
    if _differ(ours.kind, theirs.kind) and not (OUT in kinds and "collect" not in kinds):
        found.append(Kind.KIND)
    status = _MEANS[_final(ours.status), _final(theirs.status)]
    if status is not None:
        found.append(status)
    return found


def _differ(ours: object, theirs: object) -> bool:
    return ours is not None and theirs is not None and ours != theirs


def _final(status: str) -> str:
    return _UNPAID if status in ("cancelled", "expired") else status


class Scope(NamedTuple):
    """What is compared: the seconds from `since` to `until`, their edge, and perhaps one kind.

    `before` and `behind` are what a row out of the period is; None: it is as missing as any other.
    """

    since: int | None = None
    until: int | None = None
    edge: int = 0
    kind: str | None = None  # the only kind that the other side lists
    before: str | None = None
    behind: str | None = None

    def leaves_out(self, row: Said) -> bool:
        """Return whether a row is of a kind that is not compared, if it has no partner."""
        return self.kind is not None and row.kind not in (None, self.kind)

    def place(self, at: int | None) -> str | None:
        """Return "edge" near the end, what a row out of the period is, or None."""
        if at is None or self.until is None:
            return None
        if abs(self.until - at) < self.edge:
            return Kind.EDGE
        if at > self.until:
            return self.behind
        return self.before if self.since is not None and at < self.since else None


def judge_ours(row: Said, scope: Scope) -> Kind | str:
    """Return what an order means that they do not list."""
    status = _final(row.status)
    if status == _UNPAID:
        return UNPAID
    if scope.leaves_out(row):
        return OTHER_KIND
    place = scope.place(row.at)
    if place is not None:
        return place
    return Kind.MISSING_THEIRS if status in _MOVED else Kind.OPEN


def judge_theirs(row: Said, scope: Scope, *, twin: bool) -> Kind | str:
    """Return what a row of theirs means that no order of ours has; `twin`: one has had another."""
    status = _final(row.status)
    if status == _UNPAID:
        return UNPAID
    if scope.leaves_out(row):
        return OTHER_KIND
    if status == _OPEN:
        return Kind.OPEN
    if twin:
        return Kind.TWICE
    return scope.place(row.at) or Kind.MISSING_OURS
