"""`paymux balance`: the money of all accounts that can be paid out."""

from functools import partial
from typing import TYPE_CHECKING, Any

import click

from .command import command
from .exits import Exit, gravest, of_error
from .failures import failure_of, show
from .tables import Column

if TYPE_CHECKING:
    from ..pool import Pool
    from .invocation import Invocation

_SILENCE = 2.0  # seconds after which a person is told what is waited for


@command("balance", examples=("paymux balance", "paymux balance -a kenya --json"))
@click.option("-a", "--account", "accounts", multiple=True, help="Of this account only.")
async def balance(cli: "Invocation", accounts: tuple[str, ...]) -> Exit:
    """Print the money that can be paid out, of all accounts.

    They are asked at once. An account that fails does not hide the others. Accounts whose provider
    tells no balance are left out, unless they are named.
    """
    import asyncio  # noqa: PLC0415 - `--help` needs no loop

    from .payments import money  # noqa: PLC0415 - nor a payment

    columns: list[Column[dict[str, Any]]] = [
        Column("account", lambda row: row["account"]),
        Column("of", lambda row: row["of"], leaves=1),
        Column("available", lambda row: money(row["available"], row["currency"]), right=True),
    ]
    async with cli.pool() as pool:
        named = [cli.account(one) for one in accounts]
        asked = named or [name for name, one in pool.drivers.items() if one.can("balance")]
        rows = cli.rows(columns, lambda row: {"type": "balance", **row}, at_once=True)
        codes = await asyncio.gather(*(_told(cli, pool, account, rows) for account in asked))
        rows.close()
        if not asked:
            cli.tell("No account tells its balance.")
        return gravest(codes)


async def _told(cli: "Invocation", pool: "Pool", account: str, rows: Any) -> Exit:
    import asyncio  # noqa: PLC0415 - `--help` needs no loop

    from ..errors import PaymuxError  # noqa: PLC0415 - nor an error

    waits = "Waiting for {account}: its provider has not answered yet."  # M-Pesa, by a message
    late = asyncio.get_running_loop().call_later(
        _SILENCE, partial(cli.tell, waits, account=account)
    )
    try:
        found = await pool.balance(account)
    except PaymuxError as error:
        failed = failure_of(error)
        if account not in str(failed):
            failed.args = (f"{account}: {failed}",)
        show(failed, cli.say, json=cli.json)
        return of_error(error)
    finally:
        late.cancel()
    parts = {"": found.available, **found.by_operator, **found.by_account}
    for of, available in parts.items():
        row = {"account": account, "of": of, "available": available, "currency": found.currency}
        rows.write(row)
    return Exit.DONE
