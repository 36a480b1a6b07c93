"""`paymux collect`: ask a payer for money, once."""

from typing import TYPE_CHECKING, Any

import click

from .command import command
from .exits import Exit
from .order_options import order_options

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
    from .new_order import new_order  # noqa: PLC0415 - `--help` needs no order

    return await new_order(cli, "collect", amount, currency, given.pop("payer"), given)
