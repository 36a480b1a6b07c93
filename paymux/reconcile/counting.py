"""What is counted while a run reports, and written in one transaction with how far it is."""

from datetime import timedelta

from .comparing import Scope
from .difference import Difference, DifferenceKind
from .findings import Findings, Found
from .plan import Plan
from .report import Report
from .staging import Cursor, Staging
from .summary import AGREED, OUTSIDE, Summary
from .times import moment_of

EDGE = timedelta(days=2)
_DAY = 86_400  # seconds


def count_batch(staging: Staging, report: Report | None, batch: list[Found]) -> list[Difference]:
    """Count a batch and write its differences, with the cursor in the same transaction."""
    cursor = staging.cursor
    made = [one.difference for one in batch if one.difference is not None]
    for one in batch:
        # The order of a second payment counts where its first one does.
        for side, row in (("ours", one.ours), ("theirs", one.theirs)):
            if row is not None:
                cursor.found.add(side, str(one.outcome), row.kind, row.currency, 1, row.amount or 0)
    for difference in made:
        if difference.kind is DifferenceKind.UNREADABLE:
            cursor.unreadable += 1
        if difference.kind.information:
            cursor.information += 1
        else:
            cursor.differences += 1
    if batch:
        cursor.after = batch[-1].n
    else:
        cursor.step, cursor.after = cursor.step + 1, 0
    if report is not None and made:
        cursor.written = report.write(made)
    with staging.transaction():
        pass
    return made


def count_agreed(staging: Staging, found: Findings) -> None:
    """Count the rows that agree, and end the run."""
    cursor = staging.cursor
    for side, kind, currency, rows, units in found.agreed():
        cursor.found.add(side, AGREED, kind, currency, rows, units)
    cursor.over = True
    with staging.transaction():
        pass


def finish(staging: Staging, report: Report | None, summary: Summary) -> None:
    """Give the report its name, and remove the staging file."""
    if report is not None:
        report.finish(summary, staging.cursor.written)
    staging.close()
    staging.remove()


def report_again(cursor: Cursor) -> None:
    """Begin the report anew, and keep what was read and matched."""
    fresh = Cursor()
    for name in ("step", "after", "written", "found", "differences", "information", "unreadable"):
        setattr(cursor, name, getattr(fresh, name))


def scope_of(plan: Plan, cursor: Cursor) -> Scope:
    """Return the period: as it was asked for, else the days from the first to the last of theirs.

    Out of a period that was asked for, a row is left out. Out of one that was only concluded, an
    order of the journal is told as at the edge, and one of a file, which is there to be compared,
    as missing.
    """
    first, last = (None, None) if plan.verify else (cursor.theirs.first, cursor.theirs.last)
    since = None if first is None else first - first % _DAY
    until = None if last is None else last + _DAY - last % _DAY
    since = since if plan.since is None else int(plan.since.timestamp())
    until = until if plan.until is None else int(plan.until.timestamp())
    # Of a statement of one day, two days would be all of it: nothing would ever be missing.
    longest = 0 if since is None or until is None else max(0, until - since) // 10
    edge = min(int(EDGE.total_seconds()), longest)
    concluded = DifferenceKind.EDGE if plan.journal else None
    return Scope(
        since,
        until,
        edge if plan.edge is None else int(plan.edge.total_seconds()),
        plan.kind,
        before=concluded if plan.since is None else OUTSIDE,
        behind=concluded if plan.until is None else OUTSIDE,
    )


def summary_of(plan: Plan, staging: Staging, resumed: int) -> Summary:
    """Return the summary of a run that is over."""
    cursor = staging.cursor
    scope = scope_of(plan, cursor)
    return Summary(
        differences=cursor.differences,
        information=cursor.information,
        unreadable=cursor.unreadable,
        read=cursor.read.totals(),
        totals=cursor.found.totals(),
        since=moment_of(scope.since),
        until=moment_of(scope.until),
        asked=cursor.asked,
        resumed=resumed,
    )
