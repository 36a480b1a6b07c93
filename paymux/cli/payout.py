"""`paymux payout`: send money to a payee, once."""

from typing import TYPE_CHECKING, Any

import click

from .command import command
from .exits import Exit
from .order_options import order_options

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
    from .new_order import new_order  # noqa: PLC0415 - `--help` needs no order

    return await new_order(cli, "payout", amount, currency, payee, given)
