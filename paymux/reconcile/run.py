"""One reconciliation from its beginning to its end, or from where the last run stopped."""

from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import aclosing
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Self

from ..errors import UsageError
from .asking import AT_ONCE, ask
from .comparing import Said
from .counting import count_agreed, count_batch, finish, report_again, scope_of, summary_of
from .difference import Difference, DifferenceKind
from .findings import Findings, Found
from .late_orders import LateOrders
from .matching import STEPS, match
from .neighbours import gather
from .options import ReconcileProgress
from .plan import Plan
from .reading import Explanation, FileSide
from .report import Report
from .sides import BEFORE, Reading
from .staging import Cursor, Staging
from .summary import Summary
from .threads import in_thread
from .times import moment_of

FINDINGS = 500  # rows of the report in one transaction
_WORTH_ASKING = frozenset(DifferenceKind) - {
    DifferenceKind.EDGE,
    DifferenceKind.OPEN,
    DifferenceKind.UNREADABLE,
}


class Reconciliation:
    """The differences of two sides, one by one: iterate over it, then read its `summary`.

    Made by `Pool.reconcile`. Use `async with` if you may leave before the end. UsageError: a file
    cannot be read or mapped. Unavailable: the provider was not there; the same call with `out` or
    `state` goes on later.
    """

    def __init__(
        self, plan: Plan, progress: Callable[[ReconcileProgress], object] | None = None
    ) -> None:
        self._plan, self._progress = plan, progress
        self._summary: Summary | None = None
        self._resumed = 0
        self._found = self._run()

    @property
    def summary(self) -> Summary:
        """What was read and found, in rows and money; UsageError: the end is not reached yet."""
        if self._summary is None:
            raise UsageError("summary: it is there when the iteration has ended")
        return self._summary

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Difference:
        return await anext(self._found)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Stop, and close the files; a later run goes on from here."""
        await self._found.aclose()

    async def explain(self) -> list[Explanation]:
        """Say how the files are understood: columns, and three rows of each. Compares nothing."""
        files = await in_thread(None, self._open_files)
        try:
            return [await in_thread(None, one.explain) for one in files.values()]
        finally:
            _close(files)

    def _open_files(self) -> dict[str, FileSide]:
        plan, files = self._plan, dict[str, FileSide]()
        sides: Sequence[tuple[str, Any, Any]] = (
            ("theirs", plan.statement, plan.their_format),
            ("ours", plan.ours, plan.our_format),
        )
        try:
            for side, path, form in sides:
                if isinstance(path, str):
                    needs = side == "theirs"
                    account, currency = plan.account, plan.currency
                    files[side] = FileSide(side, path, form, account, currency, needs_amount=needs)
        except BaseException:
            _close(files)
            raise
        return files

    async def _run(self) -> AsyncGenerator[Difference, None]:
        files = await in_thread(None, self._open_files)
        staging: Staging | None = None
        report: Report | None = None
        try:
            staging = await in_thread(None, self._staged)
            if self._plan.out is not None:
                report = _report(self._plan, files)
            if not staging.cursor.over:
                await self._read(staging, files)
                await self._match(staging)
                async with aclosing(self._report(staging, report)) as batches:
                    async for batch in batches:
                        for one in batch:
                            yield one
            self._summary = summary_of(self._plan, staging, self._resumed)
            await in_thread(staging, finish, staging, report, self._summary)
        finally:
            _close(files)
            if report is not None:
                report.close()
            if staging is not None:
                staging.close()

    def _staged(self) -> Staging:
        """Open the staging file: that of an earlier run of the same, or a new one."""
        plan = self._plan
        path = plan.state or (None if plan.out is None else f"{plan.out}.state")
        staging = Staging(path)
        try:
            of = plan.fingerprint()
            cursor = staging.cursor
            if plan.restart or not of or cursor.of != of:
                staging.begin(Cursor(of=of))
            elif not cursor.over and plan.out is None:
                # What went to a caller's loop is told again: how much arrived is unknown.
                report_again(cursor)
            self._resumed = staging.cursor.theirs.rows + staging.cursor.ours.rows
        except BaseException:
            staging.close()
            raise
        return staging

    def _tell(self, stage: str, rows: int) -> None:
        if self._progress is not None:
            self._progress(ReconcileProgress(stage=stage, rows=rows, resumed=self._resumed))

    async def _read(self, staging: Staging, files: dict[str, FileSide]) -> None:
        plan, cursor = self._plan, staging.cursor
        reading = Reading(plan, staging, self._tell)
        if self._resumed:
            self._tell("resumed", self._resumed)
        # The statement first: it says of which period our orders are needed.
        sides = ("ours", "theirs") if plan.verify else ("theirs", "ours")
        for side in sides:
            if cursor.side(side).done:
                continue
            given = plan.ours if side == "ours" else plan.statement
            if side in files:
                await reading.file(side, files[side])
            elif given is not None:
                await reading.items(side, given)
            elif side == "ours":
                await reading.journal(*self._window(cursor))
            elif plan.verify:
                await reading.verify()
            else:
                listed = plan.pool.history(plan.account, since=plan.since, until=plan.until)
                await reading.items(side, listed)

    def _window(self, cursor: Cursor) -> tuple[datetime | None, datetime | None]:
        """Return until and since when the journal's orders are read."""
        scope = scope_of(self._plan, cursor)
        wide = max(BEFORE, timedelta(seconds=scope.edge))
        since, until = moment_of(scope.since), moment_of(scope.until)
        return until and until + wide, since and since - wide

    async def _match(self, staging: Staging) -> None:
        cursor = staging.cursor
        late = LateOrders(self._plan, staging) if self._plan.journal else None
        while True:
            while cursor.matched < len(STEPS):
                self._tell("matching", cursor.matched)
                await in_thread(staging, match, staging, cursor.matched)
            if cursor.late or late is None or self._plan.verify or not await late.add():
                break

        def list_neighbours() -> None:
            with staging.transaction() as db:
                gather(db)

        if cursor.step == cursor.after == 0:
            await in_thread(staging, list_neighbours)

    async def _report(
        self, staging: Staging, report: Report | None
    ) -> AsyncGenerator[list[Difference], None]:
        """Go through the findings, batch by batch; each is written and counted once."""
        plan, cursor = self._plan, staging.cursor
        found = Findings(
            staging,
            scope_of(plan, cursor),
            our_lines=plan.ours is not None,
            their_lines=plan.statement is not None,
        )
        if report is not None:
            cursor.written = await in_thread(staging, report.open, cursor.written)
        most = AT_ONCE if plan.ask else FINDINGS
        while cursor.step < len(found.steps):
            batch = await in_thread(staging, found.steps[cursor.step], cursor.after, most)
            if plan.ask:
                batch = await self._asked(staging, found, batch)
            yield await in_thread(staging, count_batch, staging, report, batch)
            self._tell("report", cursor.differences + cursor.information)
        await in_thread(staging, count_agreed, staging, found)

    async def _asked(self, staging: Staging, found: Findings, batch: list[Found]) -> list[Found]:
        """Ask the provider about the orders that differ, and compare once more."""
        rows = [one.ours for one in batch if one.ours is not None and one.outcome in _WORTH_ASKING]
        if not rows:
            return batch
        answers = await ask(self._plan.pool, rows, own=self._plan.journal)
        staging.cursor.asked += len(rows)
        return [
            one if one.ours is None or (answer := answers.get(one.ours.n)) is None
            else _again(found, one, one.ours, answer.row, answer.said)
            for one in batch
        ]  # fmt: skip


def _again(found: Findings, one: Found, was: Said, now: Said | None, said: str) -> Found:
    row = was if now is None else now._replace(n=was.n, at=was.at)
    if one.theirs is None:
        return found.lone_ours(row, asked=said, as_read=was)
    return found.paired(row, one.theirs, asked=said, as_read=was)


def _report(plan: Plan, files: dict[str, FileSide]) -> Report:
    """Return the report's file, in the form of the statement: what opens one opens the other."""
    theirs = files.get("theirs")
    delimiter = theirs.table.delimiter if theirs is not None else ","
    marked = theirs is not None and theirs.lines.marked
    return Report(str(plan.out), plan.language, delimiter, marked=marked)


def _close(files: dict[str, FileSide]) -> None:
    for one in files.values():
        one.close()
