"""`paymux run`: what an account's driver offers beyond the common verbs, and a call of it."""

import asyncio
import sys
from collections.abc import Mapping
from functools import partial
from inspect import getdoc, signature
from typing import Any

import click
import msgspec

from .. import core
from ..drivers.base import Driver
from ..errors import PaymuxError, UsageError
from ..pool import Pool
from .fields import Field, fields_of


@click.command("run", context_settings={"allow_interspersed_args": False})
@click.option(
    "--config",
    default=None,
    type=click.Path(exists=True, dir_okay=False),
    help="The TOML file of the accounts; without it they are in the environment.",
)
@click.argument("account")
@click.argument("words", nargs=-1, type=click.UNPROCESSED, metavar="[COROUTINE [--field value]...]")
@click.pass_context
def run(ctx: click.Context, config: str | None, account: str, words: tuple[str, ...]) -> None:
    """List what an account's driver offers beyond the common verbs, or call one of these.

    Without COROUTINE it lists each coroutine of the driver with its fields. A coroutine that moves
    money is refused, and nothing is sent: collect, payout and refund belong in a program, with a
    journal. The result is printed as JSON.

    The accounts are those of Pool.from_config("FILE") with --config, which stands before ACCOUNT,
    and of Pool.from_env() without it: PAYMUX_MOMO__DRIVER=campay is the account momo.
    """
    try:
        pool = _pool(config)
        if account not in pool.drivers:
            raise UsageError.field("account", account, ", ".join(pool.drivers))
    except UsageError as error:
        raise click.UsageError(str(error)) from None
    group = _Offered(pool, account)
    path = f"{ctx.command_path} {account}"
    with group.make_context(path, list(words) or ["--help"]) as inner:
        group.invoke(inner)


def _pool(config: str | None) -> Pool:
    return Pool.from_env() if config is None else Pool.from_config(config)


class _Offered(click.Group):
    """The coroutines of a driver, each a command with its fields as options."""

    def __init__(self, pool: Pool, account: str) -> None:
        driver = pool.drivers[account]
        super().__init__(
            account,
            help=f"What {driver.name} offers beyond the common verbs.",
            options_metavar="",
            subcommand_metavar="COROUTINE [--field value]...",
        )
        for name, method in _coroutines(driver).items():
            self.add_command(_command(pool, account, name, method))

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command:
        found = self.commands.get(cmd_name)
        if found is None:
            accepted = ", ".join(self.commands) or "none: the driver has the common verbs only"
            raise click.UsageError(str(UsageError.field("coroutine", cmd_name, accepted)), ctx)
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        if not self.commands:
            with formatter.section("Coroutines"):
                formatter.write_text("none")
        for name, command in self.commands.items():
            with formatter.section(name):
                formatter.write_text(command.help or "")
                options = (one for one in command.params if isinstance(one, click.Option))
                if rows := [(one.opts[-1], one.help or "") for one in options]:
                    formatter.write_dl(rows)


def _coroutines(driver: Driver) -> dict[str, Any]:
    """Return the coroutines that a driver has beyond those of every driver, by name."""
    found = {}
    for name in dir(type(driver)):
        method = getattr(type(driver), name)
        if name.startswith("_") or hasattr(Driver, name):
            continue
        if core.is_driver_method(driver, method) and "send" in [*signature(method).parameters][1:2]:
            found[name] = method
    return found


def _command(pool: Pool, account: str, name: str, method: Any) -> click.Command:
    fields = {field.name: field for field in fields_of(method)}
    options = [
        click.Option([one.name, f"--{one.name}"], multiple=True, help=one.help, metavar="")
        for one in fields.values()
    ]
    return click.Command(
        name,
        params=[*options],
        options_metavar="[--field value]...",
        callback=partial(_call, pool, account, method, fields),
        help=(getdoc(method) or "").partition("\n")[0],
    )


def _call(
    pool: Pool, account: str, method: Any, fields: Mapping[str, Field], **given: tuple[str, ...]
) -> None:
    """Convert the fields, call the coroutine, and print what it returns."""

    async def called() -> Any:
        async with pool:
            return await pool.run(account, method, **values)

    try:
        values = _values(fields, given)
        found = asyncio.run(called())
    except UsageError as error:
        raise click.UsageError(str(error)) from None
    except PaymuxError as error:
        sys.exit(f"paymux: {error}")
    # `str` of a Secret is ***.
    click.echo(msgspec.json.format(msgspec.json.encode(found, enc_hook=str)))


def _values(fields: Mapping[str, Field], given: Mapping[str, tuple[str, ...]]) -> dict[str, Any]:
    for name, field in fields.items():
        if field.required and not given.get(name):
            raise UsageError.missing(name, f"accepted: {field.accepted}")
    return {name: fields[name].read(texts) for name, texts in given.items() if texts}
