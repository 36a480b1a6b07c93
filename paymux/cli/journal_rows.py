"""A journal that a command reads: opened, filtered, and written row by row."""

import contextlib
import csv
import io
import logging
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from ..journal import State, journal_at
from ..models import Payment, Status, log
from ..primitives.coerce import is_a
from ..primitives.redaction import Secret, mask
from ..primitives.spreadsheet import as_text
from . import streams
from .exits import Exit
from .failures import Failed
from .history import moment
from .settings import journal_place

if TYPE_CHECKING:
    from ..journal.stored.journal import StoredJournal
    from .invocation import Invocation

# The columns for a spreadsheet; `--as jsonl` has everything.
_COLUMNS = (
    "account", "kind", "reference", "provider_reference", "status", "amount", "currency",
    "payer", "payee", "operator", "receipt", "fee", "reason", "provider_status",
    "created_at", "paid_at", "updated_at", "bill_reference",
)  # fmt: skip
_CHUNK = 500  # rows of a file that are written at once
_MARK = "\ufeff"  # by which Excel knows UTF-8


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
    if not is_a(place, Secret) and not Path(place).is_file():
        raise Failed(f"journal: {place}: there is no such file", Exit.USAGE)
    return place


def filtered(
    cli: "Invocation", book: "StoredJournal", given: dict[str, Any]
) -> AsyncIterator[Payment]:
    """Yield the payments that the options of a command ask for."""
    since, until = given["since"], given["until"]
    return book.payments(
        account=given["account"],
        status=Status(given["status"]) if given["status"] else None,
        state=State(given["state"]) if given["state"] else None,
        since=since and moment(cli, since),
        until=until and moment(cli, until),
    )


def masked(payment: Payment) -> Payment:
    """Return a payment without its body, and with shortened numbers."""
    party = {"payer": mask(payment.payer or "") or None, "payee": mask(payment.payee or "") or None}
    return msgspec.structs.replace(payment, **party, raw="")


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


async def export(
    cli: "Invocation", file: str | None, form: str, given: dict[str, Any], *, excel: bool
) -> None:
    """Write payments to standard output, as CSV or JSON lines."""
    async with opened(cli, file) as book:
        if form == "jsonl" or cli.json:
            async for lines in _chunks(filtered(cli, book, given), _json_line):
                streams.write_bytes(lines.encode())
            return
        sheet = _Sheet(";" if excel else ",", shown=excel)
        streams.write_bytes(((_MARK if excel else "") + sheet.lines([_COLUMNS])).encode())
        async for lines in _chunks(filtered(cli, book, given), sheet.line):
            streams.write_bytes(lines.encode())
