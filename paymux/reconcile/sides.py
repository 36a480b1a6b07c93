"""Reading both sides into the staging file: files, rows, the journal, the provider."""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from ..models import Payment
from .asking import AT_ONCE, ask
from .comparing import Said
from .matching import STEPS
from .plan import Plan
from .reading import FileSide, ItemReader, in_batches, stage
from .rows import UnreadableRow, staged_payment
from .staging import BATCH, COLUMNS, Side, Staging
from .summary import Tally
from .threads import in_thread

Tell = Callable[[str, int], None]
# How far before a statement an order may have been made without being looked for by itself.
BEFORE = timedelta(days=2)
_NEXT = f"SELECT n, {COLUMNS} FROM ours WHERE n > ? ORDER BY n LIMIT {AT_ONCE}"


_STAGED = "SELECT 1 FROM ours WHERE account = ? AND kind = ? AND reference = ? LIMIT 1"


class Reading:
    """Reads the sides of one run, each from where the last run stopped."""

    def __init__(self, plan: Plan, staging: Staging, tell: Tell) -> None:
        self._plan, self._staging, self._tell = plan, staging, tell

    async def file(self, side: str, opened: FileSide) -> None:
        """Read a file behind the last line that was staged."""
        here = self._staging.cursor.side(side)
        rows = opened.numbered(here.line)
        while await in_thread(self._staging, stage, self._staging, side, rows):
            self._tell(side, here.rows)
        await self._end(side)

    async def items(self, side: str, items: Any) -> None:
        """Read what a caller gives, or a provider lists, from its beginning."""
        plan, here = self._plan, self._staging.cursor.side(side)
        if here.line:
            await in_thread(self._staging, self._empty, side)
            here = self._staging.cursor.side(side)
        form = plan.our_format if side == "ours" else plan.their_format
        reader = ItemReader(side, form, plan.account, plan.currency)
        async with aclosing(in_batches(items)) as batches:
            async for batch in batches:
                first = here.line + 1
                rows = ((first + at, reader.read(first + at, one)) for at, one in enumerate(batch))
                await in_thread(self._staging, stage, self._staging, side, rows)
                self._tell(side, here.rows)
        await self._end(side)

    def _empty(self, side: str) -> None:
        cursor = self._staging.cursor
        setattr(cursor, side, Side())
        counts = cursor.read.counts
        cursor.read = Tally(
            {key: one for key, one in counts.items() if not key.startswith(f"{side}|")}
        )
        with self._staging.transaction() as db:
            db.execute(f"DELETE FROM {side}")
            db.execute("DELETE FROM unreadable WHERE side = ?", (side,))

    async def journal(self, until: datetime | None, since: datetime | None) -> None:
        """Read the journal's orders of a period, and a little before and behind it."""
        here = self._staging.cursor.ours
        accounts = await in_thread(self._staging, self._accounts)
        async with aclosing(self._orders(here, accounts, since, until)) as orders:
            async for batch in orders:
                rows = ((here.line + at, _staged(one)) for at, one in enumerate(batch, 1))
                numbered = list(rows)
                note = partial(_note, batch)
                await in_thread(self._staging, stage, self._staging, "ours", numbered, note)
                self._tell("ours", here.rows)
        await self._end("ours")

    def _accounts(self) -> frozenset[str] | None:
        """Return the accounts of the statement, where it says them; None: there is one account."""
        if self._plan.account is not None:
            return None
        return frozenset(
            one for (one,) in self._staging.rows("SELECT DISTINCT account FROM theirs")
        )

    async def _orders(
        self,
        here: Side,
        accounts: frozenset[str] | None,
        since: datetime | None,
        until: datetime | None,
    ) -> AsyncGenerator[list[Payment], None]:
        """Gather the journal's orders behind the last one that was staged."""
        # The journal lists orders by when it wrote them, a moment after they were made: from when
        # the last one was made, some come again.
        start = since if here.at is None else datetime.fromisoformat(here.at)
        again = here.line > 0
        if again:
            await in_thread(self._staging, self._index)
        batch: list[Payment] = []
        listed = self._plan.pool.payments(account=self._plan.account, since=start)
        async with aclosing(listed) as payments:
            async for one in payments:
                if until is not None and one.created_at is not None and one.created_at > until:
                    break
                if accounts is not None and one.account not in accounts:
                    continue
                again = again and self._is_staged(one)
                if again:
                    continue
                batch.append(one)
                if len(batch) == BATCH:
                    yield batch
                    batch = []
        if batch:
            yield batch

    def _index(self) -> None:
        with self._staging.transaction() as db:
            db.execute("CREATE INDEX IF NOT EXISTS ours_key ON ours(account, kind, reference)")

    def _is_staged(self, one: Payment) -> bool:
        key = (one.account, one.kind, one.reference)
        return self._staging.rows(_STAGED, key).fetchone() is not None

    async def verify(self) -> None:
        """Ask the provider about each of our orders: what it says is the other side."""
        staging = self._staging
        self._tell("asking", staging.cursor.ours.rows)
        while rows := await in_thread(staging, self._next_orders):
            answers = await ask(self._plan.pool, rows, own=self._plan.journal)
            await in_thread(staging, self._stage_answers, rows, answers)
            self._tell("theirs", staging.cursor.theirs.line)
        staging.cursor.matched = len(STEPS)
        await self._end("theirs")

    def _next_orders(self) -> list[Said]:
        found = self._staging.rows(_NEXT, (self._staging.cursor.theirs.line,)).fetchall()
        return [Said(*one) for one in found]

    def _stage_answers(self, rows: Sequence[Said], answers: dict[int, Any]) -> None:
        cursor = self._staging.cursor
        found = [one.row for one in answers.values() if one.row is not None]
        lost = [
            (n, one.said)
            for n, one in answers.items()
            if one.row is None and one.said != "not found"
        ]
        for row in found:
            cursor.read.add("theirs", "read", row.kind, row.currency, 1, row.amount or 0)
        cursor.theirs.rows += len(found)
        cursor.theirs.line = rows[-1].n
        cursor.asked += len(rows)
        with self._staging.transaction() as db:
            self._staging.put("theirs", found, lost)
            db.executemany("INSERT INTO pairs VALUES (?, ?)", [(one.n, one.n) for one in found])

    async def _end(self, side: str) -> None:
        def end() -> None:
            with self._staging.transaction():
                self._staging.cursor.side(side).done = True

        await in_thread(self._staging, end)


def _staged(payment: Payment) -> Any:
    try:
        return staged_payment(payment, ours=True)
    except UnreadableRow as error:
        return str(error)


def _note(batch: list[Payment], here: Side) -> None:
    """Keep when the last order was made, to list the journal from there."""
    at = batch[-1].created_at
    here.at = None if at is None else at.isoformat()
