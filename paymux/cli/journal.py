"""`paymux journal`: reading a journal, and removing a payer from it."""

import asyncio
import contextlib
import csv
import logging
import os
import sys
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime

import click
import msgspec
from rich.console import Console
from rich.table import Column, Table

from ..errors import UsageError
from ..journal import Forgotten, copy_journal, journal_at
from ..models import Payment, Status, log
from ..primitives.coerce import is_a
from ..primitives.redaction import Secret, as_place, mask


@click.group()
def journal() -> None:
    """Read and keep a journal: a file, or a postgresql:// URL.

    A URL with a password belongs in the variable PAYMUX_JOURNAL: other users of the machine see
    what stands in a command.
    """


def _place(given: str) -> object:
    """Check that there is such a file; the URL of a database becomes a Secret."""
    if is_a(place := as_place(given), Secret):
        return place
    return click.Path(exists=True, dir_okay=False).convert(given, None, None)


_PLACE = click.argument("journal", type=_place, envvar="PAYMUX_JOURNAL", metavar="JOURNAL")
_ACCOUNT = click.option("--account", default=None, help="Of this account only.")
_STATUS = click.option(
    "--status", type=click.Choice([status.value for status in Status]), default=None
)
_SINCE = click.option(
    "--since", type=click.DateTime(), default=None, help="Created at this time (UTC) or later."
)
# The columns for a spreadsheet; `--as jsonl` has everything.
_COLUMNS = (
    "account", "kind", "reference", "provider_reference", "status", "amount", "currency",
    "payer", "payee", "operator", "receipt", "fee", "reason", "provider_status",
    "created_at", "paid_at", "updated_at", "bill_reference",
)  # fmt: skip


@journal.command("list")
@_PLACE
@_ACCOUNT
@_STATUS
@_SINCE
def list_payments(
    journal: object, account: str | None, status: str | None, since: datetime | None
) -> None:
    """List payments, oldest first, with masked numbers."""
    # Whole: it is what `show` is asked with.
    reference = Column("reference", overflow="fold")
    shown = Table("created", "account", "kind", reference, "amount", "payer or payee", "status")
    with _reading():
        for payment in asyncio.run(_read(journal, account, status, since)):
            created = payment.created_at.strftime("%Y-%m-%d %H:%M:%S") if payment.created_at else ""
            money, party = (
                f"{payment.amount} {payment.currency}",
                mask(payment.payer or payment.payee or ""),
            )
            row = (
                created,
                payment.account,
                payment.kind,
                payment.reference,
                money,
                party,
                payment.status,
            )
            shown.add_row(*(str(cell or "") for cell in row))
        Console().print(shown)


@journal.command("show")
@click.argument("words", nargs=-1, required=True, metavar="[JOURNAL] REFERENCE")
@_ACCOUNT
def show_payment(words: tuple[str, ...], account: str | None) -> None:
    """Show the payments with this reference, complete, as JSON."""
    *places, reference = words
    # One word alone is the reference: click would take it for the journal.
    places = places or [os.environ.get("PAYMUX_JOURNAL", "")]
    if len(places) > 1 or not places[0]:
        raise click.UsageError("a JOURNAL (or the variable PAYMUX_JOURNAL) and a REFERENCE")
    journal = _place(places[0])
    with _reading():
        found = [
            one
            for one in asyncio.run(_read(journal, account, None, None))
            if one.reference == reference
        ]
        for payment in found:
            click.echo(msgspec.json.format(msgspec.json.encode(payment)))
        if not found:
            sys.exit(
                f"paymux: {reference} is not in the journal, or was refused, or was never sent"
            )


@journal.command("export")
@_PLACE
@_ACCOUNT
@_STATUS
@_SINCE
@click.option("--as", "form", type=click.Choice(["csv", "jsonl"]), default="csv", show_default=True)
def export_payments(
    journal: object, account: str | None, status: str | None, since: datetime | None, form: str
) -> None:
    """Write payments to standard output, as CSV or JSON lines."""
    with _reading():
        payments = asyncio.run(_read(journal, account, status, since))
        if form == "jsonl":
            for payment in payments:
                click.echo(msgspec.json.encode(payment))
            return
        lines = csv.writer(sys.stdout)
        lines.writerow(_COLUMNS)
        for payment in payments:
            told = msgspec.to_builtins({column: getattr(payment, column) for column in _COLUMNS})
            lines.writerow(["" if cell is None else cell for cell in told.values()])


class _Damage(logging.Handler):
    """Prints unreadable rows on standard error, and remembers that there was one."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.met = False

    def emit(self, record: logging.LogRecord) -> None:
        self.met = True
        click.echo(f"paymux: {record.getMessage()}", err=True)


@contextlib.contextmanager
def _reading() -> Iterator[None]:
    """End with exit code 1, after all other rows, if a row could not be read."""
    damage = _Damage()
    log.addHandler(damage)
    try:
        yield
    finally:
        log.removeHandler(damage)
    if damage.met:
        sys.exit(1)


async def _read(
    journal: object, account: str | None, status: str | None, since: datetime | None
) -> list[Payment]:
    book = None
    try:
        book = journal_at(journal, make=False)
        found: AsyncIterator[Payment] = book.payments(
            account=account,
            status=None if status is None else Status(status),
            since=None if since is None else since.replace(tzinfo=UTC),
        )
        return [payment async for payment in found]
    except (OSError, UsageError) as error:
        sys.exit(f"paymux: {error}")
    finally:
        if book is not None:
            await book.aclose()


@journal.command("forget-payer")
@click.argument("number")
@_PLACE
def forget_payer(number: str, journal: object) -> None:
    """Remove a payer's NUMBER, in every form, from all rows; references and money stay.

    It is in international form: +237 6…. Workers may go on meanwhile. An order of this payer that
    is still open is named, and nothing is changed: by its number a late payment finds it.
    """

    async def forget() -> Forgotten:
        book = journal_at(journal, make=False)
        try:
            return await book.forget_payer(number)
        finally:
            await book.aclose()

    try:
        done = asyncio.run(forget())
    except (OSError, UsageError) as error:
        sys.exit(f"paymux: {error}")
    click.echo(f"{done.payments} payments, {done.facts} facts and {done.messages} messages changed")
    if done.left:
        sys.exit(f"paymux: these came meanwhile: {', '.join(done.left)}; run it again later")


@journal.command("copy")
@click.argument("file", type=click.Path(exists=True, dir_okay=False))
@_PLACE
def copy(file: str, journal: object) -> None:
    """Move the journal in FILE, with its open orders, to a postgresql:// URL.

    All workers are stopped first: it refuses while one lives. Each row is read back and compared;
    then FILE is marked as moved, and no worker opens it any more. Killed at any moment and run
    again, it ends the same.
    """
    try:
        if not is_a(journal, Secret):
            raise UsageError.field(
                "journal", journal, "a postgresql:// URL, to which FILE is moved"
            )
        rows = copy_journal(file, journal, click.echo)
    except (OSError, UsageError) as error:
        sys.exit(f"paymux: {error}")
    click.echo(f"{rows} rows moved; {file} is of no use any more")
