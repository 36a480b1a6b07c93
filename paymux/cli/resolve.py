"""`paymux resolve`: a person's word about an order that nothing else can end."""

import getpass
import socket
from typing import TYPE_CHECKING

import click

from .command import command
from .exits import Exit

if TYPE_CHECKING:
    from .invocation import Invocation

_ENDS = ["succeeded", "failed", "cancelled", "expired"]


@command(
    "resolve",
    examples=(
        "paymux resolve order-1042 failed --because 'not on the statement of November'",
        "paymux resolve wage-17 succeeded --because 'the payee confirms it' --receipt SBK1234567",
    ),
)
@click.argument("reference", metavar="REF")
@click.argument("status", type=click.Choice(_ENDS))
@click.option("--because", required=True, metavar="TEXT", help="Why; it is stored with the order.")
@click.option("--receipt", metavar="R", help="The receipt's number, of a success.")
@click.option("-a", "--account", help="May be left out where the journal knows it.")
@click.option("--kind", type=click.Choice(["collect", "payout", "refund"]))
@click.option("-y", "--yes", is_flag=True, help="Do not ask.")
async def resolve(
    cli: "Invocation",
    reference: str,
    status: str,
    because: str,
    receipt: str | None,
    account: str | None,
    kind: str | None,
    *,
    yes: bool,
) -> Exit:
    """End an order that no API ends, by a person's word.

    Only one whose outcome is unknown, or that is pending beyond its provider's time. The provider
    is asked first where it can be. Your name, the time and the reason are stored.
    """
    from ..models import Status  # noqa: PLC0415 - `--help` needs none
    from .payments import money, need_journal, rows_of, the_one  # noqa: PLC0415

    need_journal(cli)
    async with cli.pool() as pool:
        payment = await the_one(cli, pool, reference, account, kind)
        asks = "Say that {reference} ({amount}) {status}? [y/N] "
        amount = money(payment.amount, payment.currency)
        question = cli.say(asks, reference=reference, amount=amount, status=status)
        await cli.confirm(question, None, yes=yes)
        with cli.finishing():
            ended = await pool.resolve(
                payment,
                Status(status),
                because=because,
                receipt=receipt,
                by=f"{getpass.getuser()}@{socket.gethostname()}",
            )
            rows = rows_of(cli)
            rows.write(ended)
            rows.close()
        return Exit.DONE if ended.status == status else Exit.NO
