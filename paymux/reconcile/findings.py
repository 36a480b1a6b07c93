"""What the matched sides come to, step by step: rows for the report, and sums for the summary."""

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from ..models import Status
from .amounts import as_decimal
from .comparing import AGREES_SQL, Said, Scope, compare, judge_ours, judge_theirs
from .difference import Difference, DifferenceKind
from .neighbours import perhaps
from .staging import COLUMNS, Staging
from .summary import AGREED, CONFIRMED

_O = ", ".join(f"o.{one}" for one in ("n", *COLUMNS.split(", ")))
_T = _O.replace("o.", "t.")
_PAIRED = "FROM pairs p JOIN ours o ON o.n = p.ours JOIN theirs t ON t.n = p.theirs"
_LOST = "SELECT n, reason FROM unreadable WHERE side = ? AND n > ? ORDER BY n LIMIT ?"
_DIFFERING = (
    f"SELECT {_O}, {_T} {_PAIRED} WHERE p.ours > ? AND NOT {AGREES_SQL} ORDER BY p.ours LIMIT ?"
)
_THEIRS = f"""SELECT {_T}, twins.ours FROM theirs t LEFT JOIN twins ON twins.theirs = t.n
              WHERE t.n > ? AND NOT EXISTS (SELECT 1 FROM pairs WHERE pairs.theirs = t.n)
              ORDER BY t.n LIMIT ?"""
_OURS = f"""SELECT {_O} FROM ours o WHERE o.n > ?
            AND NOT EXISTS (SELECT 1 FROM pairs WHERE pairs.ours = o.n) ORDER BY o.n LIMIT ?"""
_ONE = f"SELECT {_O} FROM ours o WHERE n = ?"
# In two parts, for a sum of amounts may be more than 64 bits hold.
_UNIT: Final = 10**9
_PARTS = ", ".join(
    f"sum({one}.amount / {_UNIT}), sum({one}.amount % {_UNIT})" for one in ("o", "t")
)
_AGREED = f"""SELECT o.kind, o.currency, t.kind, t.currency, count(*), {_PARTS} {_PAIRED}
              WHERE {AGREES_SQL} GROUP BY 1, 2, 3, 4"""
_WIDTH = len(Said._fields)


class Found(NamedTuple):
    """What became of a row, or of two: an outcome that is counted, and the difference to yield."""

    n: int  # where the step goes on behind it
    outcome: str
    ours: Said | None = None
    theirs: Said | None = None
    difference: Difference | None = None


def unreadable(staging: Staging, side: str, after: int, most: int) -> list[Found]:
    """List lines that could not be read."""
    return [
        Found(
            n,
            DifferenceKind.UNREADABLE,
            difference=Difference(
                kind=DifferenceKind.UNREADABLE,
                side=side,
                our_line=n if side == "ours" else None,
                their_line=n if side == "theirs" else None,
                reason=reason,
            ),
        )
        for n, reason in staging.rows(_LOST, (side, after, most)).fetchall()
    ]


class Findings:
    """The rows of a staged and matched run, in the order of the report."""

    def __init__(
        self, staging: Staging, scope: Scope, *, our_lines: bool, their_lines: bool
    ) -> None:
        self._staging, self._scope = staging, scope
        self._our_lines, self._their_lines = our_lines, their_lines
        self.steps: Sequence[Callable[[int, int], list[Found]]] = (
            lambda after, most: unreadable(staging, "theirs", after, most),
            lambda after, most: unreadable(staging, "ours", after, most),
            self._differing,
            self._only_theirs,
            self._only_ours,
        )

    def _differing(self, after: int, most: int) -> list[Found]:
        rows = self._staging.rows(_DIFFERING, (after, most)).fetchall()
        return [self.paired(Said(*row[:_WIDTH]), Said(*row[_WIDTH:])) for row in rows]

    def paired(
        self, ours: Said, theirs: Said, asked: str | None = None, as_read: Said | None = None
    ) -> Found:
        """Compare two matched rows; `asked`: ours is what the provider said, and was `as_read`."""
        kinds = compare(ours, theirs)
        before = as_read or ours
        if not kinds:
            return Found(ours.n, AGREED if asked is None else CONFIRMED, before, theirs)
        made = self._difference(kinds[0], ours, theirs, asked=asked, also=tuple(kinds[1:]))
        return Found(ours.n, kinds[0], before, theirs, made)

    def _only_theirs(self, after: int, most: int) -> list[Found]:
        return [
            self._lone_theirs(Said(*row[:_WIDTH]), row[_WIDTH])
            for row in self._staging.rows(_THEIRS, (after, most)).fetchall()
        ]

    def _lone_theirs(self, row: Said, twin: int | None) -> Found:
        outcome = judge_theirs(row, self._scope, twin=twin is not None)
        if not isinstance(outcome, DifferenceKind):
            return Found(row.n, outcome, None, row)
        order = None if twin is None else Said(*self._staging.rows(_ONE, (twin,)).fetchone())
        near = perhaps(self._staging, row, "ours") if twin is None else None
        return Found(row.n, outcome, None, row, self._difference(outcome, order, row, perhaps=near))

    def _only_ours(self, after: int, most: int) -> list[Found]:
        rows = self._staging.rows(_OURS, (after, most)).fetchall()
        return [self.lone_ours(Said(*row)) for row in rows]

    def lone_ours(self, row: Said, asked: str | None = None, as_read: Said | None = None) -> Found:
        """Judge an order that they do not list."""
        outcome = judge_ours(row, self._scope)
        before = as_read or row
        if not isinstance(outcome, DifferenceKind):
            return Found(row.n, outcome, before)
        near = perhaps(self._staging, row, "theirs")
        made = self._difference(outcome, row, None, perhaps=near, asked=asked)
        return Found(row.n, outcome, before, None, made)

    def _difference(
        self, kind: DifferenceKind, ours: Said | None, theirs: Said | None, **more: Any
    ) -> Difference:
        first = ours or theirs
        assert first is not None  # noqa: S101 - one side is always there
        both = [one for one in (ours, theirs) if one is not None]

        def known(name: str) -> Any:
            return next((found for one in both if (found := getattr(one, name)) is not None), None)

        return Difference(
            kind=kind,
            account=first.account,
            reference=known("reference"),
            provider_reference=known("provider_reference"),
            receipt=known("receipt"),
            our_line=ours.n if ours and self._our_lines else None,
            their_line=theirs.n if theirs and self._their_lines else None,
            **_fields("our", ours),
            **_fields("their", theirs),
            **more,
        )

    def agreed(self) -> list[tuple[str, str | None, str | None, int, int]]:
        """Return sums of the rows that agree: side, kind, currency, rows, ten-thousandths."""
        found = []
        for kind, currency, their_kind, their_currency, rows, *parts in self._staging.rows(_AGREED):
            ours, theirs = (int(parts[at] or 0) * _UNIT + int(parts[at + 1] or 0) for at in (0, 2))
            found.append(("ours", kind, currency, rows, ours))
            found.append(("theirs", their_kind, their_currency, rows, theirs))
        return found


def _fields(prefix: str, row: Said | None) -> dict[str, Any]:
    if row is None:
        return {}
    return {
        f"{prefix}_kind": None if row.kind == "out" else row.kind,
        f"{prefix}_amount": as_decimal(row.amount),
        f"{prefix}_currency": row.currency,
        f"{prefix}_status": Status(row.status),
    }
