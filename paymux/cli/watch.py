"""`paymux watch`: a line for each change of payments, until all are settled."""

import shlex
from typing import TYPE_CHECKING, Any

import click

from .command import command
from .exits import Exit, gravest, of_error, of_payment
from .failures import failure_of, show
from .streams import NotWritten, ReaderGone

if TYPE_CHECKING:
    from ..models import Payment
    from ..pool import Pool
    from .invocation import Invocation
    from .tables import Rows


@command(
    "watch",
    examples=("paymux watch order-1042", "paymux watch order-1 order-2 --timeout 600 --json"),
)
@click.argument("references", nargs=-1, required=True, metavar="REF...")
@click.option("-a", "--account", help="May be left out where the journal knows it.")
@click.option("--kind", type=click.Choice(["collect", "payout", "refund"]))
@click.option(
    "--timeout", "seconds", type=float, metavar="SECONDS", help="Else the provider's own."
)
async def watch(
    cli: "Invocation",
    references: tuple[str, ...],
    account: str | None,
    kind: str | None,
    seconds: float | None,
) -> Exit:
    """Print a line for each change, until all are settled.

    Exit: 0 all succeeded, 1 one did not, 5 one is still pending at the end of the time.
    """
    import asyncio  # noqa: PLC0415 - `--help` needs no loop

    from .payments import rows_of, the_one  # noqa: PLC0415 - nor a payment

    cli.resume = f"paymux watch {shlex.join(references)}"
    async with cli.pool() as pool:
        payments = [
            await the_one(cli, pool, reference, account, kind)
            for reference in dict.fromkeys(references)
        ]
        rows = rows_of(cli, at_once=True)
        until: Any = ... if seconds is None else seconds
        try:
            async with asyncio.TaskGroup() as group:
                watches = (_watched(cli, pool, one, rows, until) for one in payments)
                tasks = [group.create_task(one) for one in watches]
        except* (ReaderGone, NotWritten) as ended:
            unwritten = ended.exceptions[0]
            raise unwritten from None
        rows.close()
        return gravest(task.result() for task in tasks)


async def _watched(
    cli: "Invocation", pool: "Pool", payment: "Payment", rows: "Rows[Payment]", until: Any
) -> Exit:
    from ..errors import PaymuxError  # noqa: PLC0415 - `--help` needs none

    shown = None
    try:
        async for seen in pool.watch(payment, timeout=until):
            if shown is None or seen.status is not shown.status or seen.reason != shown.reason:
                rows.write(seen)
                shown = seen
    except PaymuxError as error:
        show(failure_of(error), cli.say, json=cli.json)
        return of_error(error)
    return of_payment(shown or payment)
