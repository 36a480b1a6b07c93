"""`paymux journal list | show | export | stats | check`: they stream, and change nothing."""

import contextlib
import csv
import io
import logging
from collections import Counter
from collections.abc import AsyncIterator, Callable
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import click
import msgspec

from ..models import Payment, Status, log
from ..primitives.coerce import is_a
from ..primitives.redaction import Secret, mask
from ..primitives.spreadsheet import as_text
from . import streams
from .command import command, options
from .exits import Exit
from .failures import Failed
from .history import DAY, moment
from .settings import journal_place
from .tables import Column

if TYPE_CHECKING:
    from ..journal.stored.journal import StoredJournal
    from .invocation import Invocation

# The columns for a spreadsheet; `--as jsonl` has everything.
_COLUMNS = (
    "account", "kind", "reference", "provider_reference", "status", "amount", "currency",
    "payer", "payee", "operator", "receipt", "fee", "reason", "provider_status",
    "created_at", "paid_at", "updated_at", "bill_reference",
)  # fmt: skip
_STATES = ("intent", "sending", "accepted", "unknown")
_PARTS = ("account", "kind", "status", "currency")  # of what is counted together
_CHUNK = 500  # rows of a file that are written at once
_MARK = "\ufeff"  # by which Excel knows UTF-8

_FILE = click.argument("file", required=False)
_filtered = options(
    click.option("-a", "--account", help="Of this account only."),
    click.option("--status", type=click.Choice([status.value for status in Status])),
    click.option("--state", type=click.Choice(_STATES), help="How far its request came."),
    click.option("--since", type=DAY, metavar="DAY", help="Created on this day or later."),
    click.option("--until", type=DAY, metavar="DAY", help="Created before this day."),
)


class _Damage(logging.Handler):
    """Names unreadable rows on standard error, and remembers that there was one."""

    met = 0

    def __init__(self) -> None:
        super().__init__(logging.ERROR)

    def emit(self, record: logging.LogRecord) -> None:
        self.met += 1


@contextlib.asynccontextmanager
async def opened(cli: "Invocation", file: str | None) -> AsyncIterator["StoredJournal"]:
    """Open the journal that is named; Failed: a row could not be read, after all others."""
    from ..journal import journal_at  # noqa: PLC0415 - `--help` needs none

    place, damage = checked_place(journal_place(cli, file)), _Damage()
    book = journal_at(place, make=False)
    log.addHandler(damage)
    try:
        yield book
    finally:
        log.removeHandler(damage)
        await book.aclose()
    if damage.met:
        raise Failed(f"{damage.met} rows cannot be read", Exit.NO)


def checked_place(place: Any) -> Any:
    """Check that there is such a file: reading makes none."""
    from pathlib import Path  # noqa: PLC0415

    if not is_a(place, Secret) and not Path(place).is_file():
        raise Failed(f"journal: {place}: there is no such file", Exit.USAGE)
    return place


def _payments(
    cli: "Invocation", book: "StoredJournal", given: dict[str, Any]
) -> AsyncIterator[Payment]:
    from ..journal import State  # noqa: PLC0415

    since, until = given["since"], given["until"]
    return book.payments(
        account=given["account"],
        status=Status(given["status"]) if given["status"] else None,
        state=State(given["state"]) if given["state"] else None,
        since=since and moment(cli, since),
        until=until and moment(cli, until),
    )


@command("list", examples=("paymux journal list", "paymux journal list shop.db --status pending"))
@_FILE
@_filtered
async def list_payments(cli: "Invocation", file: str | None, **given: Any) -> None:
    """List payments, oldest first, with masked numbers."""
    from .payments import columns, encoded  # noqa: PLC0415 - `--help` needs no payment

    rows = cli.rows(columns(cli), lambda payment: encoded(_masked(payment)))
    async with opened(cli, file) as book:
        async for payment in _payments(cli, book, given):
            rows.write(payment)
        rows.close()


def _masked(payment: Payment) -> Payment:
    party = {"payer": mask(payment.payer or "") or None, "payee": mask(payment.payee or "") or None}
    return msgspec.structs.replace(payment, **party, raw="")


@command(
    "show", examples=("paymux journal show order-1042", "paymux journal show shop.db order-1042")
)
@click.argument("words", nargs=-1, required=True, metavar="[FILE] REFERENCE")
@click.option("-a", "--account", help="Of this account only.")
async def show_payment(cli: "Invocation", words: tuple[str, ...], account: str | None) -> None:
    """Show the payments with this reference, complete, as JSON."""
    *files, reference = words
    if len(files) > 1:
        raise Failed("show: accepted: [FILE] REFERENCE", Exit.USAGE)
    async with opened(cli, files[0] if files else None) as book:
        found = await book.named(reference, account)
        for payment in found:
            if cli.json:
                cli.write_json(payment)
            else:
                cli.write(f"{msgspec.json.format(msgspec.json.encode(payment)).decode()}\n")
        if not found:
            said = f"{reference} is not in the journal, or was refused, or was never sent"
            raise Failed(said, Exit.REFUSED, error="NotFound", fields={"reference": reference})


@command(
    "export",
    examples=(
        "paymux journal export > shop.csv",
        "paymux journal export shop.db --excel > shop.csv",
    ),
)
@_FILE
@_filtered
@click.option("--as", "form", type=click.Choice(["csv", "jsonl"]), default="csv", show_default=True)
@click.option("--excel", is_flag=True, help="With ; and a mark of UTF-8, as a French Excel opens.")
async def export_payments(
    cli: "Invocation", file: str | None, form: str, *, excel: bool, **given: Any
) -> None:
    """Write payments to standard output, as CSV or JSON lines, in UTF-8 whatever the locale."""
    async with opened(cli, file) as book:
        if form == "jsonl" or cli.json:
            async for lines in _chunks(_payments(cli, book, given), _json_line):
                streams.write_bytes(lines.encode())
            return
        sheet = _Sheet(";" if excel else ",", shown=excel)
        streams.write_bytes(((_MARK if excel else "") + sheet.lines([_COLUMNS])).encode())
        async for lines in _chunks(_payments(cli, book, given), sheet.line):
            streams.write_bytes(lines.encode())


def _json_line(payment: Payment) -> str:
    return f"{msgspec.json.encode(payment).decode()}\n"


async def _chunks(
    payments: AsyncIterator[Payment], line: Callable[[Payment], str]
) -> AsyncIterator[str]:
    held: list[str] = []
    async for payment in payments:
        held.append(line(payment))
        if len(held) == _CHUNK:
            yield "".join(held)
            held = []
    yield "".join(held)


class _Sheet:
    """Writes rows of CSV, one at a time."""

    def __init__(self, delimiter: str, *, shown: bool) -> None:
        self._text = io.StringIO()
        self._shown = shown  # by a spreadsheet, which runs a formula
        self._rows = csv.writer(self._text, delimiter=delimiter)

    def lines(self, rows: list[tuple[str, ...]]) -> str:
        self._rows.writerows(rows)
        text = self._text.getvalue()
        self._text.seek(0)
        self._text.truncate()
        return text

    def line(self, payment: Payment) -> str:
        told = msgspec.to_builtins({column: getattr(payment, column) for column in _COLUMNS})
        cells = tuple("" if cell is None else str(cell) for cell in told.values())
        return self.lines([tuple(map(as_text, cells)) if self._shown else cells])


@command("stats", examples=("paymux journal stats", "paymux journal stats shop.db --json"))
@_FILE
@_filtered
async def stats(cli: "Invocation", file: str | None, **given: Any) -> None:
    """Count payments and add their money, by account, kind, status and currency."""
    counts: Counter[tuple[str, ...]] = Counter()
    sums: dict[tuple[str, ...], Decimal] = {}
    async with opened(cli, file) as book:
        async for one in _payments(cli, book, given):
            key = (one.account, one.kind or "", one.status.value, one.currency or "")
            counts[key] += 1
            sums[key] = sums.get(key, Decimal(0)) + (one.amount or 0)
    rows = cli.rows(
        [
            *(_part(at, name) for at, name in enumerate(_PARTS)),
            Column("payments", lambda key: str(counts[key]), right=True),
            Column("sum", lambda key: str(sums[key]), right=True),
        ],
        lambda key: {
            **dict(zip(_PARTS, key, strict=True)),
            "payments": counts[key],
            "sum": str(sums[key]),
        },
    )
    for found in sorted(counts):
        rows.write(found)
    rows.close()


def _part(at: int, name: str) -> Column[tuple[str, ...]]:
    return Column(name, lambda key: key[at])


@command("check", examples=("paymux journal check", "paymux journal check shop.db"))
@_FILE
async def check(cli: "Invocation", file: str | None) -> None:
    """Read every row and count them; exit 1 and their names where some cannot be read."""
    read, open_orders = 0, 0
    async with opened(cli, file) as book:
        async for payment in book.payments():
            read += 1
            open_orders += not payment.status.terminal
        if cli.json:
            cli.write_json({"type": "check", "read": read, "open": open_orders})
        else:
            said = "Payments that can be read: {read}; open: {open}."
            cli.write(f"{cli.say(said, read=read, open=open_orders)}\n")


COMMANDS = (list_payments, show_payment, export_payments, stats, check)
