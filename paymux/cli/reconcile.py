"""`paymux reconcile`: the journal, or a file of yours, against what a provider says."""

from typing import TYPE_CHECKING, Any

import click

from .command import command
from .exits import Exit

if TYPE_CHECKING:
    from .invocation import Invocation


@command(
    "reconcile",
    examples=(
        "paymux reconcile november.csv --ours orders.csv --out differences.csv",
        "paymux reconcile --history -a campay --since 2026-11-01 --until 2026-12-01",
    ),
)
@click.argument("statement", required=False)
@click.option("-a", "--account", help="The account that the statement is of.")
@click.option("--history", is_flag=True, help="The provider's own list is the statement.")
@click.option("--verify", is_flag=True, help="The provider is asked about each order.")
@click.option("--ours", metavar="FILE", help="A file of yours, instead of the journal.")
@click.option("--since", metavar="DAY", help="The first day of the period.")
@click.option("--until", metavar="DAY", help="The day behind the last one.")
@click.option("--map", "maps", multiple=True, metavar="FIELD=COLUMN", help="Names a column.")
@click.option("--status", "statuses", multiple=True, metavar="WORD=STATUS", help="Reads a word.")
@click.option("--encoding", multiple=True, help="Of a file that is not UTF-8, such as cp1252.")
@click.option("--decimal", multiple=True, help="The mark before decimals: , or a point.")
@click.option("--edge", help="How near the period's end a row may be missing: 2d, 12h.")
@click.option(
    "--kind",
    type=click.Choice(["collect", "payout", "refund"]),
    help="The only kind that the statement lists.",
)
@click.option("--ask", is_flag=True, help="Verify each order that differs first.")
@click.option("--out", metavar="FILE", help="Write the report there: .csv or .jsonl.")
@click.option("--explain", is_flag=True, help="Only show how the files are understood.")
@click.option("--restart", is_flag=True, help="Begin anew where a run was stopped.")
@click.option("-y", "--yes", is_flag=True, help="Do not ask whether the columns are right.")
async def reconcile(cli: "Invocation", *, explain: bool, yes: bool, **given: Any) -> Exit:
    """Compare the journal, or a file of yours, with what a provider says.

    STATEMENT is CSV or JSON lines, .gz too; - is standard input. FIELD is account, reference,
    provider_reference, receipt, amount, net, fee, currency, kind, status, at or party; "ours."
    before it, and before a value of --encoding and --decimal, means the file of --ours. The same
    command goes on where a run was stopped. Exit: 0 nothing differs, 1 differences.
    """
    # With them, all that `paymux --help` does without.
    from .reconcile_options import options_of, pool_of  # noqa: PLC0415
    from .reconciling import Shown  # noqa: PLC0415

    async with pool_of(cli, given) as pool:
        options = options_of(cli, given)
        shown = Shown(cli, pool, given)
        if explain or shown.asks(yes=yes):
            async with pool.reconcile(**options) as unread:
                explained = await unread.explain()
            if explain:
                shown.explain(explained)
                return Exit.DONE
            await shown.confirm(explained)
        return await shown.run(pool.reconcile(**options, progress=shown.progress))
