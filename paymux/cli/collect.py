"""`paymux collect`: ask a payer for money, once."""

from typing import TYPE_CHECKING, Any

import click

from .command import command
from .exits import Exit
from .ordering import Asked, need_reference, options_of, order_options, place
from .payments import need_journal

if TYPE_CHECKING:
    from .invocation import Invocation


@command(
    "collect",
    examples=(
        "paymux collect 5000 XAF 237677777777 --reference order-1042",
        "paymux collect 2500 XOF --reference order-7 --description Shoes --wait",
    ),
)
@click.argument("amount")
@click.argument("currency")
@click.argument("payer", required=False)
@order_options
async def collect(cli: "Invocation", amount: str, currency: str, **given: Any) -> Exit:
    """Ask a payer for money, once.

    A provider with a page prints its address instead. The same reference and order again send
    nothing: they show the payment that exists. Exit: 0 accepted (with --wait: paid), 1 ended
    unpaid, 3 refused, 4 not sent (repeat it), 5 unknown or pending (never repeat it: watch).
    """
    from .. import core  # noqa: PLC0415 - `--help` needs no pool

    need_journal(cli)
    reference, payer = need_reference(cli, given["reference"], "collect"), given["payer"]
    account, options = cli.account(given["account"]), options_of(given)
    async with cli.pool() as pool:
        order = core.checked_order(
            pool.drivers[account],
            "collect",
            reference=reference,
            amount=amount,
            currency=currency,
            party=payer,
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
            lambda: pool.collect(
                account,
                amount=amount,
                currency=currency,
                payer=payer,
                reference=reference,
                **options,
            ),
        )
