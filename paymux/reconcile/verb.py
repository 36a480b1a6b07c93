"""The pool's verb that compares a statement with what we believe."""

from collections.abc import AsyncIterable, Iterable, Mapping
from datetime import datetime
from os import PathLike
from typing import TYPE_CHECKING, Any, TypeAlias, Unpack

from ..models import Payment
from .options import ReconcileOptions

if TYPE_CHECKING:
    from .run import Reconciliation

Row: TypeAlias = Payment | Mapping[str, Any]
Side: TypeAlias = str | PathLike[str] | Iterable[Row] | AsyncIterable[Row]


class ReconcileVerb:
    """The comparison of two records of the same money."""

    # `[reconcile.<account>]` of the config
    _kept_formats: Mapping[str, Mapping[str, Any]] = {}

    def reconcile(
        self,
        statement: Side | None = None,
        *,
        account: str | None = None,
        ours: Side | None = None,
        history: bool = False,
        verify: bool = False,
        since: datetime | None = None,
        until: datetime | None = None,
        **options: Unpack[ReconcileOptions],
    ) -> "Reconciliation":
        """Yield what differs between a statement and our record, and then have its `summary`.

        ```python no-run
        found = pool.reconcile("november.csv", account="campay", out="differences.csv")
        async for difference in found:
            print(difference.kind, difference.reference)
        print(found.summary.differences)
        ```

        Their side is one of: a `statement` (a path of CSV or JSON lines, `.gz` too, or payments, or
        mappings of names to values); the provider's own list (`history`, with `since` and `until`);
        its answer for each order (`verify`). Ours is the journal, or what `ours` gives in the same
        forms. `account` may be left out where the pool has one, or a column says it.

        Rows are matched by account and provider reference, our reference or receipt, exactly and
        one to one; never by amount, day or number. Only what a provider answers changes the
        journal. Memory is flat, whatever the size. With `out` or `state`, the same call goes on
        where a run was stopped, and yields what is not in `out` yet (`ReconcileOptions`).
        UsageError: a file cannot be read or mapped, or an amount reads two ways.
        """
        from .plan import checked_plan  # noqa: PLC0415 - of those who compare
        from .run import Reconciliation  # noqa: PLC0415 - of those who compare

        progress = options.pop("progress", None)
        sides = (statement, ours, history, verify)
        plan = checked_plan(self, sides, account, since, until, options, self._kept_formats)
        return Reconciliation(plan, progress)
