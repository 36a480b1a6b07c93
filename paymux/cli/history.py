"""`paymux history`: the provider's own list of a period, page by page."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import click

from .command import command

if TYPE_CHECKING:
    from .invocation import Invocation

DAY = click.DateTime(["%Y-%m-%d", "%Y-%m-%dT%H:%M:%S"])


def moment(cli: "Invocation", given: datetime) -> datetime:
    """Return a day or a time of the options as an aware time: local, or UTC with --utc."""
    return given.replace(tzinfo=UTC) if cli.utc else given.astimezone()


@command(
    "history",
    examples=(
        "paymux history -a campay --since 2026-11-01 --until 2026-12-01",
        "paymux history --since 2026-11-30 --json",
    ),
)
@click.option("-a", "--account", help="May be left out where there is one.")
@click.option("--since", type=DAY, required=True, metavar="DAY", help="The first day.")
@click.option("--until", type=DAY, metavar="DAY", help="The day behind the last one; else now.")
async def history(
    cli: "Invocation", account: str | None, since: datetime, until: datetime | None
) -> None:
    """Print a provider's own list of a period, page by page."""
    from ..errors import UsageError  # noqa: PLC0415 - `--help` needs none
    from ..primitives.clock import wall_time  # noqa: PLC0415 - `--help` needs no clock
    from .payments import rows_of  # noqa: PLC0415

    name = cli.account(account)
    first = moment(cli, since)
    last = moment(cli, until) if until else wall_time() + timedelta(seconds=1)
    if last <= first:
        raise UsageError.field("until", f"{last:%Y-%m-%d}", f"a day behind {first:%Y-%m-%d}")
    async with cli.pool() as pool:
        rows = rows_of(cli)
        async for payment in pool.history(name, since=first, until=last):
            rows.write(payment)
        rows.close()
