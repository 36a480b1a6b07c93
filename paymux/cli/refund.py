"""`paymux refund`: give back money of a payment, once."""

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import click

from .command import command, options
from .exits import Exit
from .failures import Failed
from .order_options import SENDING

if TYPE_CHECKING:
    from ..models import Payment
    from .invocation import Invocation


@command(
    "refund",
    examples=(
        "paymux refund order-1042 --reference refund-1042 --reason 'sold out'",
        "paymux refund order-1042 1500 --reference refund-1042-a -a shop",
    ),
)
@click.argument("paid", metavar="REF")
@click.argument("amount", required=False)
@click.option("-a", "--account", help="May be left out where the journal knows it.")
@click.option("--reference", metavar="NEW", help="Of the refund; it is what is never sent twice.")
@click.option("--reason", default="", help="Why, for the provider's list.")
@options(*SENDING)
async def refund(cli: "Invocation", paid: str, amount: str | None, **given: Any) -> Exit:
    """Give back money of a payment, once.

    REF is the payment's reference. Without an amount it is what is left of it. Exit: as for
    payout.
    """
    from .. import core  # noqa: PLC0415 - `--help` needs no pool
    from .ordering import Asked, need_reference, place  # noqa: PLC0415
    from .payments import need_journal, the_one  # noqa: PLC0415

    need_journal(cli)
    reference = need_reference(cli, given["reference"], "refund")
    async with cli.pool() as pool:
        payment = await the_one(cli, pool, paid, given["account"], "collect")
        back = amount or _left(payment)
        driver = pool.drivers[payment.account]
        order = core.checked_refund(
            driver, payment, amount=back, reference=reference, reason=given["reason"]
        )
        asked = Asked.of(order, payment.payer, given)
        return await place(
            cli,
            pool,
            asked,
            lambda: pool.refund(payment, amount=back, reference=reference, reason=given["reason"]),
        )


def _left(payment: "Payment") -> str:
    """Return what is left of a payment, as the journal has it; Failed: that is not known."""
    if payment.amount is None:
        raise Failed("amount: missing; the journal does not know what was paid", Exit.USAGE)
    left = payment.amount - (payment.refunded_amount or Decimal(0))
    if left <= 0:
        raise Failed(f"{payment.reference}: nothing is left of it", Exit.NO, error="Rejected")
    return f"{left.normalize():f}"
