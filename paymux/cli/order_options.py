"""The options of collect, payout and refund, apart from what they do: `--help` needs no more."""

import click

from .command import options

PROVIDERS_OWN = -1.0  # the wait that `--wait` without seconds means

# How an order is sent.
SENDING = (
    click.option(
        "--wait",
        is_flag=False,
        flag_value=PROVIDERS_OWN,
        default=None,
        type=float,
        metavar="[SECONDS]",
        help="Wait for its end; else only for the provider's word.",
    ),
    click.option("-y", "--yes", is_flag=True, help="Do not ask before money moves."),
    click.option("--dry-run", is_flag=True, help="Check and show it; send nothing."),
)
# What every new order has.
order_options = options(
    click.option("-a", "--account", help="May be left out where there is one."),
    click.option("--reference", metavar="REF", help="Yours; it is what is never sent twice."),
    click.option("--description", help="What the payer reads."),
    click.option("--metadata", multiple=True, metavar="K=V", help="May be repeated."),
    click.option("--return-url", metavar="URL", help="Where a page leads back to."),
    click.option("--cancel-url", metavar="URL"),
    click.option("--operator", help="The network, where the provider cannot tell it."),
    *SENDING,
)
