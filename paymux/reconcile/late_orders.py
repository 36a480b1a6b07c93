"""Orders that are older than a statement: looked for in the journal, key by key."""

from ..journal import Subject
from ..models import Payment
from ..values.arguments import KINDS
from .plan import Plan
from .rows import UnreadableRow, staged_payment
from .staging import Staging
from .threads import in_thread

_AT_ONCE = 200  # rows between two commits
_LOOSE = f"""SELECT n, account, reference, provider_reference FROM theirs
             WHERE n > ? AND status IN ('succeeded', 'refunded')
             AND NOT EXISTS (SELECT 1 FROM pairs WHERE pairs.theirs = theirs.n)
             AND NOT EXISTS (SELECT 1 FROM twins WHERE twins.theirs = theirs.n)
             ORDER BY n LIMIT {_AT_ONCE}"""
_STAGED = "SELECT 1 FROM ours WHERE account = ? AND kind = ? AND reference = ? LIMIT 1"


class LateOrders:
    """Adds the orders of the journal that were made before its part that was read.

    And those that were refused or never sent: if they are paid all the same, they are found here.
    """

    def __init__(self, plan: Plan, staging: Staging) -> None:
        self._plan, self._staging = plan, staging
        self._journal = plan.pool.internals.engine.store.require_journal()

    async def add(self) -> bool:
        """Look for the orders of rows of theirs without a partner; return whether one was found.

        Then the matching is to be done again.
        """
        added = False
        while rows := await in_thread(self._staging, self._next):
            found = await self._journal.payments_of([one for row in rows for one in _names(row)])
            added = await in_thread(self._staging, self._stage, rows[-1][0], found) or added
        await in_thread(self._staging, self._end, added)
        return added

    def _next(self) -> list[tuple[int, str, str | None, str | None]]:
        found: list[tuple[int, str, str | None, str | None]]
        found = self._staging.rows(_LOOSE, (self._staging.cursor.looked,)).fetchall()
        return found

    def _stage(self, looked: int, found: list[Payment]) -> bool:
        cursor, added = self._staging.cursor, False
        cursor.looked = looked
        with self._staging.transaction() as db:
            for payment in found:
                key = (payment.account, payment.kind, payment.reference)
                if db.execute(_STAGED, key).fetchone():
                    continue
                try:
                    row = staged_payment(payment, ours=True)
                except UnreadableRow:
                    continue
                cursor.ours.line += 1
                cursor.ours.rows += 1
                cursor.read.add("ours", "read", row[1], row[6], 1, row[5] or 0)
                self._staging.put("ours", [(cursor.ours.line, *row)], [])
                added = True
        return added

    def _end(self, added: bool) -> None:
        cursor = self._staging.cursor
        cursor.late = True
        if added:
            cursor.matched = 0
        with self._staging.transaction():
            pass


def _names(row: tuple[int, str, str | None, str | None]) -> list[Subject]:
    """List what a row of theirs names: an order of any kind by our reference, or by theirs."""
    _, account, reference, theirs = row
    found: list[Subject] = [] if theirs is None else [((account,), theirs)]
    if reference is not None:
        found += [((account, kind), reference) for kind in KINDS]
    return found
