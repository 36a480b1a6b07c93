"""`paymux payout`: send money to a payee, once."""

from typing import TYPE_CHECKING, Any

import click

from .command import command
from .exits import Exit
from .ordering import Asked, need_reference, options_of, order_options, place
from .payments import need_journal

if TYPE_CHECKING:
    from .invocation import Invocation


@command(
    "payout",
    examples=(
        "paymux payout 5000 XAF 237677777777 --reference wage-2026-11-17",
        "paymux payout 500 KES 254708374149 --reference wage-18 -a kenya --dry-run",
    ),
)
@click.argument("amount")
@click.argument("currency")
@click.argument("payee")
@order_options
async def payout(cli: "Invocation", amount: str, currency: str, payee: str, **given: Any) -> Exit:
    """Send money to a payee, once.

    PAYEE is a phone number, or has a word before a colon: pochi:2547…, as its provider takes it.
    The same reference and order again send nothing: they show the payment that exists. Exit: 0
    accepted (with --wait: paid), 1 ended unpaid, 3 refused, 4 not sent (repeat it), 5 unknown or
    pending (never repeat it: watch).
    """
    from .. import core  # noqa: PLC0415 - `--help` needs no pool

    need_journal(cli)
    reference = need_reference(cli, given["reference"], "payout")
    account, options = cli.account(given["account"]), options_of(given)
    async with cli.pool() as pool:
        order = core.checked_order(
            pool.drivers[account],
            "payout",
            reference=reference,
            amount=amount,
            currency=currency,
            party=payee,
            options=options,
        )
        asked = Asked(
            order=order,
            party=order.party,
            wait=given["wait"],
            yes=given["yes"],
            dry_run=given["dry_run"],
        )
        return await place(
            cli,
            pool,
            asked,
            lambda: pool.payout(
                account,
                amount=amount,
                currency=currency,
                payee=payee,
                reference=reference,
                **options,
            ),
        )
