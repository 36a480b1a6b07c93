"""`paymux run`: what an account's driver offers beyond the common verbs, and a call of it."""

from typing import TYPE_CHECKING

import click

from .command import command

if TYPE_CHECKING:
    from .invocation import Invocation


@command(
    "run",
    examples=(
        "paymux run campay",
        "paymux run campay payment_link --amount 500 --reference order-1042",
    ),
    context_settings={"allow_interspersed_args": False},
)
@click.option("-y", "--yes", is_flag=True, help="Do not ask before a call of a live account.")
@click.argument("account")
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="[COROUTINE [--field value]...]")
def run(cli: "Invocation", account: str, words: tuple[str, ...], *, yes: bool) -> None:
    """Call what a driver offers beyond the common verbs.

    Without COROUTINE it lists each coroutine of the account's driver with its fields. A coroutine
    that moves money is refused, and nothing is sent: use collect, payout and refund. The result is
    printed as JSON, with --json in one line. Other options of paymux itself stand before ACCOUNT.
    """
    from .coroutines import called  # noqa: PLC0415 - `--help` needs no driver

    called(cli, account, words, yes=yes)
