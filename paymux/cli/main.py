"""The commands: a demonstration, the simulator for other programs, and the journal's reader."""

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
from rich.table import Table

from ..drivers import load, names, table
from ..errors import UsageError
from ..journal.sqlite import SqliteJournal
from ..models import Payment, Status, log
from ..primitives.redaction import mask
from ..simulator import Simulator
from ..simulator import names as simulated
from ..simulator.providers import load as load_simulator
from .demo import Demo
from .run import run
from .security_credential import security_credential


@click.group()
@click.version_option(package_name="paymux")
def commands() -> None:
    """Collect, pay out and verify money through African payment providers."""


commands.add_command(run)
commands.add_command(security_credential)


@commands.command()
def demo() -> None:
    """Collect from simulated payers, with network faults, and compare with the real charges."""
    sys.exit(0 if asyncio.run(Demo(Console()).run()) else 1)


class _Served(click.Command):
    """A command whose help lists the credentials of the simulated providers."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Credentials of every run"):
            listed = []
            for name in simulated():
                try:
                    fields = load_simulator(name).credentials.items()
                except UsageError as error:  # an entry point of another package
                    formatter.write_text(str(error))
                else:
                    listed.append((name, " ".join(map("=".join, fields))))
            formatter.write_dl(listed)
            formatter.write_text("M-Pesa's initiator_name and security_credential are any text.")


@commands.command(cls=_Served)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8765,
    show_default=True,
    help="The loopback port; 0 takes a free one.",
)
@click.option("--root", default=None, help="A provider to serve without its mount, too.")
@click.option("--seed", default=0, show_default=True, help="Repeats a run's random values.")
def simulator(port: int, root: str | None, seed: int) -> None:
    """Serve every provider on a loopback port, each at its mount, until interrupted.

    What a payer does is in the number's last digit: CamPay's 237677777777 pays, 237677777770
    declines, 237677777774 never answers. The README lists all of them.
    """

    async def serve() -> None:
        async with Simulator(port=port, seed=seed, root=root) as sim:
            for name, provider in sim.providers.items():
                bare = f" {sim.url}{provider.base_path}" if name == root else ""
                click.echo(f"{name:14} {provider.url}{provider.base_path}{bare}")
            await asyncio.get_running_loop().create_future()

    try:
        asyncio.run(serve())
    except KeyboardInterrupt:
        click.echo("stopped")
    except UsageError as error:
        raise click.UsageError(str(error)) from None
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else str(error)
        sys.exit(
            f"paymux: port {port}: {why}; take another with --port, or any free one with --port 0"
        )


@commands.command()
def providers() -> None:
    """Print which provider has which operation."""
    whole = []
    for name in names():
        try:
            load(name)
        except UsageError as error:  # an entry point of another package
            click.echo(f"paymux: {error}", err=True)
        else:
            whole.append(name)
    click.echo(table(whole), nl=False)
    if len(whole) < len(names()):
        sys.exit(1)


@commands.group()
def journal() -> None:
    """Read a journal: `list`, `show` and `export`."""


_FILE = click.argument("file", type=click.Path(exists=True, dir_okay=False))
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
@_FILE
@_ACCOUNT
@_STATUS
@_SINCE
def list_payments(
    file: str, account: str | None, status: str | None, since: datetime | None
) -> None:
    """List payments, oldest first, with masked numbers."""
    shown = Table("created", "account", "kind", "reference", "amount", "payer or payee", "status")
    with _reading():
        for payment in asyncio.run(_read(file, account, status, since)):
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
@_FILE
@click.argument("reference")
@_ACCOUNT
def show_payment(file: str, reference: str, account: str | None) -> None:
    """Show the payments with this reference, complete, as JSON."""
    with _reading():
        found = [
            one
            for one in asyncio.run(_read(file, account, None, None))
            if one.reference == reference
        ]
        for payment in found:
            click.echo(msgspec.json.format(msgspec.json.encode(payment)))
        if not found:
            sys.exit(
                f"paymux: {reference} is not in the journal, or was refused, or was never sent"
            )


@journal.command("export")
@_FILE
@_ACCOUNT
@_STATUS
@_SINCE
@click.option("--as", "form", type=click.Choice(["csv", "jsonl"]), default="csv", show_default=True)
def export_payments(
    file: str, account: str | None, status: str | None, since: datetime | None, form: str
) -> None:
    """Write payments to standard output, as CSV or JSON lines."""
    with _reading():
        payments = asyncio.run(_read(file, account, status, since))
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
    file: str, account: str | None, status: str | None, since: datetime | None
) -> list[Payment]:
    book = SqliteJournal(file)
    try:
        found: AsyncIterator[Payment] = book.payments(
            account=account,
            status=None if status is None else Status(status),
            since=None if since is None else since.replace(tzinfo=UTC),
        )
        return [payment async for payment in found]
    except (OSError, UsageError) as error:
        sys.exit(f"paymux: {error}")
    finally:
        await book.aclose()
