"""`paymux recover`: what a crash left open, and how it ended."""

from typing import TYPE_CHECKING, Any

import click

from .command import command
from .exits import Exit
from .tables import Column

if TYPE_CHECKING:
    from .invocation import Invocation


@command("recover", examples=("paymux recover", "paymux recover --list"))
@click.option("--list", "only_list", is_flag=True, help="Only list them; ask no provider.")
async def recover(cli: "Invocation", *, only_list: bool) -> Exit:
    """Find out how each order ended that a crash or an unknown outcome left open.

    Nothing is sent again, but a refund that its provider knows by its path and has not answered.
    Orders that a living worker is at are left to it. Exit: 5 while one is unknown.
    """
    from .payments import need_journal  # noqa: PLC0415 - `--help` needs no payment

    need_journal(cli)
    cli.resume = "paymux recover"
    async with cli.pool() as pool:
        if only_list:
            return await _listed(cli, pool)
        columns: list[Column[Any]] = [
            Column("reference", lambda one: one.payment.reference or ""),
            Column("status", lambda one: str(one.payment.status)),
            Column("account", lambda one: one.payment.account, leaves=2),
            Column("kind", lambda one: one.payment.kind or "", leaves=1),
            Column("advice", lambda one: one.advice, leaves=3),
        ]
        rows = cli.rows(columns, _encoded, at_once=True)
        left = repeated = 0
        async for found in pool.recover():
            left += not found.resolved
            repeated += found.repeated
            rows.write(found)
        rows.close()
        if repeated:
            cli.tell("Refunds without an answer that were sent again: {count}", count=repeated)
        return Exit.UNKNOWN if left else Exit.DONE


def _encoded(found: Any) -> dict[str, Any]:
    from .payments import encoded  # noqa: PLC0415 - `--help` needs no payment

    return {
        "type": "recovered",
        "was": found.was.value,
        "resolved": found.resolved,
        "advice": found.advice,
        "repeated": found.repeated,
        "payment": encoded(found.payment),
    }


async def _listed(cli: "Invocation", pool: Any) -> Exit:
    from ..models import Status  # noqa: PLC0415 - `--help` needs none
    from .payments import rows_of  # noqa: PLC0415

    rows = rows_of(cli)
    count = 0
    async for payment in pool.payments(status=Status.PENDING):
        count += 1
        rows.write(payment)
    rows.close()
    return Exit.UNKNOWN if count else Exit.DONE
