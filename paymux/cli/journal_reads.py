"""`paymux journal list | show | export | stats | check`: they stream, and change nothing."""

from collections import Counter
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import click

from .command import command, options
from .exits import Exit
from .failures import Failed
from .history import DAY
from .tables import Column

if TYPE_CHECKING:
    from .invocation import Invocation

STATUSES = ("pending", "succeeded", "failed", "cancelled", "expired", "refunded")
_STATES = ("intent", "sending", "accepted", "unknown")
_PARTS = ("account", "kind", "status", "currency")  # of what is counted together
_FILE = click.argument("file", required=False)
_filtered = options(
    click.option("-a", "--account", help="Of this account only."),
    click.option("--status", type=click.Choice(STATUSES)),
    click.option("--state", type=click.Choice(_STATES), help="How far its request came."),
    click.option("--since", type=DAY, metavar="DAY", help="Created on this day or later."),
    click.option("--until", type=DAY, metavar="DAY", help="Created before this day."),
)


@command("list", examples=("paymux journal list", "paymux journal list shop.db --status pending"))
@_FILE
@_filtered
async def list_payments(cli: "Invocation", file: str | None, **given: Any) -> None:
    """List payments, oldest first, with masked numbers."""
    from .journal_rows import filtered, masked, opened  # noqa: PLC0415 - `--help` needs no journal
    from .payments import columns, encoded  # noqa: PLC0415

    rows = cli.rows(columns(cli), lambda payment: encoded(masked(payment)))
    async with opened(cli, file) as book:
        async for payment in filtered(cli, book, given):
            rows.write(payment)
        rows.close()


@command(
    "show", examples=("paymux journal show order-1042", "paymux journal show shop.db order-1042")
)
@click.argument("words", nargs=-1, required=True, metavar="[FILE] REFERENCE")
@click.option("-a", "--account", help="Of this account only.")
async def show_payment(cli: "Invocation", words: tuple[str, ...], account: str | None) -> None:
    """Show the payments with this reference, complete, as JSON."""
    import msgspec  # noqa: PLC0415 - `--help` needs none

    from .journal_rows import opened  # noqa: PLC0415

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
    from .journal_rows import export  # noqa: PLC0415 - `--help` needs no journal

    await export(cli, file, form, given, excel=excel)


@command("stats", examples=("paymux journal stats", "paymux journal stats shop.db --json"))
@_FILE
@_filtered
async def stats(cli: "Invocation", file: str | None, **given: Any) -> None:
    """Count payments and add their money, by account, kind, status and currency."""
    from .journal_rows import filtered, opened  # noqa: PLC0415 - `--help` needs no journal

    counts: Counter[tuple[str, ...]] = Counter()
    sums: dict[tuple[str, ...], Decimal] = {}
    async with opened(cli, file) as book:
        async for one in filtered(cli, book, given):
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
    from .journal_rows import opened  # noqa: PLC0415 - `--help` needs no journal

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
