"""How `paymux reconcile` shows what it does and finds."""

import shlex
import sys
import time
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from ..errors import PaymuxError, Unavailable
from ..pool import Pool
from ..reconcile import (
    REPORT_COLUMNS,
    Difference,
    DifferenceKind,
    Explanation,
    ReconcileProgress,
    Reconciliation,
    Summary,
    Total,
    as_json,
    cells,
    summary_json,
)
from . import streams
from .exits import Exit
from .failures import Failed, Hint, failure_of
from .invocation import Invocation
from .tables import Column

# Why rows are in no difference, and do not agree either.
_WHY = {
    "unpaid": " (no money moved, and the other side has no such row)",
    "other_kind": " (left out: of another kind)",
    "outside_period": " (left out: not in the period)",
    "confirmed": " (they agree since the provider was asked)",
}
_SECONDS = 5.0  # between two lines of progress
# The columns leave a terminal in this order; kind, reference and statuses stay.
_LEAVES = {
    name: place
    for place, name in enumerate(
        ("their_line", "our_line", "perhaps", "receipt", "their_currency", "our_currency",
         "account", "note", "provider_reference", "advice", "their_amount", "our_amount"), 1,
    )
}  # fmt: skip


class Shown:
    """Shows one reconciliation: progress and summary on standard error, differences as results."""

    def __init__(self, cli: Invocation, pool: Pool, given: Mapping[str, Any]) -> None:
        self._cli, self._pool, self._given = cli, pool, given
        self._next = time.monotonic() + _SECONDS
        cli.resume = shlex.join(["paymux", *sys.argv[1:]])

    def asks(self, *, yes: bool) -> bool:
        """Return whether a person is there who can say whether the columns are right."""
        told = yes or self._given["maps"]
        files = {self._given["statement"], self._given["ours"]} - {None}
        terminal = sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()
        return bool(terminal and files and "-" not in files and not told)

    async def run(self, found: Reconciliation) -> Exit:
        """Write each difference as it is found, then the summary."""
        cli = self._cli
        columns = [
            Column[dict[str, str]](name, lambda row, name=name: row[name], _LEAVES.get(name, 0))  # type: ignore[misc]
            for name in REPORT_COLUMNS
        ]
        rows = cli.rows(columns, lambda one: one, at_once=False)
        try:
            async with found:
                async for one in found:
                    if self._given["out"] is None:
                        self._write(rows, one)
            if self._given["out"] is None:
                rows.close()
        except streams.ReaderGone:
            return Exit.NO
        except Unavailable as error:
            raise self._later(error) from None
        summary = found.summary
        if cli.json:
            cli.write_json(summary_json(summary))
        self._sum_up(summary)
        if not summary.adds_up:
            raise RuntimeError("the sums of a reconciliation do not add up")
        return Exit.NO if summary.differences else Exit.DONE

    def _write(self, rows: Any, one: Difference) -> None:
        language = self._cli.language
        if self._cli.json:
            streams.write_json(as_json(one, language))
        else:
            rows.write(cells(one, language))

    def _later(self, error: PaymuxError) -> Failed:
        failed = failure_of(error)
        hint = Hint(self._cli.resume, "goes on from here")
        return Failed(str(error), failed.exit, hints=(hint,), error=failed.error)

    def progress(self, said: ReconcileProgress) -> None:
        """Say now and then how far it is."""
        if said.stage == "resumed":
            self._cli.tell("{rows} rows read, going on", rows=f"{said.rows:,}")
        elif said.stage == "asking":
            self._tell_limit(said.rows)
        elif time.monotonic() >= self._next and said.stage != "matching":
            self._next = time.monotonic() + _SECONDS
            self._cli.tell("{rows} rows so far ({stage})", rows=f"{said.rows:,}", stage=said.stage)

    def _tell_limit(self, rows: int) -> None:
        """Say how long the provider's limit makes a verification, before it begins."""
        rates = [
            count / seconds * 60
            for account in self._pool.drivers
            for kind, (count, seconds) in self._pool.limits(account).stated.items()
            if kind == "look-up" and self._given["account"] in (None, account)
        ]
        if rates:
            minutes = rows / min(rates)
            self._cli.tell(
                "{rows} orders: about {hours} h {minutes} at {rate} a minute",
                rows=f"{rows:,}",
                hours=int(minutes // 60),
                minutes=f"{int(minutes % 60):02}",
                rate=f"{min(rates):,.0f}",
            )

    def _sum_up(self, summary: Summary) -> None:
        tell = self._cli.tell
        sides = [("ours", summary.read), ("theirs", summary.read)]
        ours, theirs = (_money([one for one in read if one.side == side]) for side, read in sides)
        tell("read: ours {ours}; theirs {theirs}", ours=ours, theirs=theirs)
        for outcome in sorted({one.outcome for one in summary.totals}, key=_order):
            of = [one for one in summary.totals if one.outcome == outcome]
            ours, theirs = (_money([one for one in of if one.side == side]) for side, _ in sides)
            tell(
                "  {outcome}{why}: ours {ours}; theirs {theirs}",
                outcome=outcome,
                why=self._cli.say(_WHY.get(outcome, "")),
                ours=ours,
                theirs=theirs,
            )
        if summary.unreadable:
            tell("  unreadable: {rows} lines", rows=f"{summary.unreadable:,}")
        if summary.differences:
            tell("{count} differences", count=f"{summary.differences:,}")
        else:
            tell("Nothing differs.")
        if self._given["out"] is not None:
            tell("The report is in {file}", file=self._given["out"])

    def explain(self, explained: Sequence[Explanation]) -> None:
        """Write how each file is understood, and what would keep it."""
        for one in explained:
            if self._cli.json:
                self._cli.write_json(msgspec.to_builtins(one))
            else:
                self._cli.write(streams.harmless(_explained(one)))
        if not self._cli.json and explained:
            columns = ", ".join(
                f"{field} = {msgspec.json.encode(name).decode()}"
                for field, name in explained[0].columns.items()
            )
            account = self._given["account"] or next(iter(self._pool.drivers), "ACCOUNT")
            kept = f"\n[reconcile.{account}]\ncolumns = {{ {columns} }}\n"
            self._cli.write(streams.harmless(kept))

    async def confirm(self, explained: Sequence[Explanation]) -> None:
        """Show on the terminal how the files are understood, and ask whether that is right."""
        for one in explained:
            streams.write_error(_explained(one))
        await self._cli.confirm(self._cli.say("Is this right? [y/N] "), None, yes=False)


def _order(outcome: str) -> tuple[bool, str]:
    return outcome in list(DifferenceKind), outcome


def _money(totals: Sequence[Total]) -> str:
    """Return rows and money of one side, by currency: `3 = 1,500 XAF`; "0" of none."""
    sums: dict[str, Decimal] = {}
    for one in totals:
        sums[one.currency or "?"] = sums.get(one.currency or "?", Decimal(0)) + one.amount
    rows = sum(one.rows for one in totals)
    money = " + ".join(f"{amount:,} {code}" for code, amount in sorted(sums.items()))
    return f"{rows:,} = {money}" if rows else "0"


def _explained(one: Explanation) -> str:
    lines = [f"{one.file} ({one.form})"]
    width = max((len(field) for field in one.columns), default=0)
    for field, header in one.columns.items():
        values = " | ".join(row.get(field, "") for row in one.rows)
        lines.append(f"  {field:<{width}}  {header}: {values}")
    if "status" not in one.columns:
        lines.append("  status: no column, so each row counts as succeeded")
    lines += [f"  unreadable: {row['unreadable']}" for row in one.rows if "unreadable" in row]
    if one.unused:
        lines.append(f"  not used: {', '.join(one.unused[:20])}")
    return "\n".join(lines) + "\n"
