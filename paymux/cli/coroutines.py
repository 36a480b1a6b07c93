"""The coroutines of an account's driver beyond the common verbs: a list of them, and a call."""

from collections.abc import Callable, Mapping
from functools import partial
from inspect import getdoc, signature
from typing import Any

import click
import msgspec

from .. import core
from ..drivers.base import Driver
from ..errors import UsageError
from ..pool import Pool
from .fields import Field, fields_of
from .invocation import Invocation


def called(cli: Invocation, account: str, words: tuple[str, ...], *, yes: bool) -> None:
    """List the coroutines of an account's driver, or call the one that the words name."""
    cli.json = cli.json or "--json" in words
    words = tuple([word for word in words if word != "--json"])
    pool = cli.pool(journal=None)
    group = _Offered(cli, pool, cli.account(account), yes=yes)
    if cli.json and not words:
        for name, method in _coroutines(pool.drivers[account]).items():
            cli.write_json(_told(name, method))
        return
    path = f"paymux run {account}"
    with group.make_context(path, list(words) or ["--help"]) as inner:
        group.invoke(inner)


class _Offered(click.Group):
    """The coroutines of a driver, each a command with its fields as options."""

    def __init__(self, cli: Invocation, pool: Pool, account: str, *, yes: bool) -> None:
        driver = pool.drivers[account]
        super().__init__(
            account,
            help=f"What {driver.name} offers beyond the common verbs.",
            options_metavar="",
            subcommand_metavar="COROUTINE [--field value]...",
        )
        for name, method in _coroutines(driver).items():
            call = partial(_call, cli, pool, account, method, yes=yes)
            self.add_command(_command(call, name, method))

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
        for name, one in self.commands.items():
            with formatter.section(name):
                formatter.write_text(one.help or "")
                options = (found for found in one.params if isinstance(found, click.Option))
                if rows := [(found.opts[-1], found.help or "") for found in options]:
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


def _command(call: Callable[..., None], name: str, method: Any) -> click.Command:
    fields = {field.name: field for field in fields_of(method)}
    options = [
        click.Option([one.name, f"--{one.name}"], multiple=True, help=one.help, metavar="")
        for one in fields.values()
    ]
    return click.Command(
        name,
        params=[*options],
        options_metavar="[--field value]...",
        callback=partial(_filled, call, fields),
        help=_summary(method),
    )


def _summary(method: Any) -> str:
    return (getdoc(method) or "").partition("\n")[0]


def _told(name: str, method: Any) -> dict[str, Any]:
    """Return a coroutine and its fields, for a list in JSON."""
    fields = [
        {"name": one.name, "required": one.required, "accepted": one.accepted}
        for one in fields_of(method)
    ]
    return {"type": "coroutine", "name": name, "help": _summary(method), "fields": fields}


def _filled(
    call: Callable[..., None], fields: Mapping[str, Field], **given: tuple[str, ...]
) -> None:
    call(_values(fields, given))


def _call(
    cli: Invocation,
    pool: Pool,
    account: str,
    method: Any,
    values: Mapping[str, Any],
    *,
    yes: bool,
) -> None:
    """Call a coroutine, and print what it returns; a person is asked before a live call."""

    async def called() -> Any:
        driver = pool.drivers[account]
        if not driver.rehearsing:
            asked = "Call {name} of {account}, LIVE? [y/N] "
            question = cli.say(asked, name=method.__name__, account=account)
            await cli.confirm(question, None, yes=yes)
        async with pool:
            return await pool.run(account, method, **values)

    found = cli.stopping.run(called())
    encoded = msgspec.json.encode(found, enc_hook=str)  # `str` of a Secret is ***
    cli.write(f"{(encoded if cli.json else msgspec.json.format(encoded)).decode()}\n")


def _values(fields: Mapping[str, Field], given: Mapping[str, tuple[str, ...]]) -> dict[str, Any]:
    for name, field in fields.items():
        if field.required and not given.get(name):
            raise UsageError.missing(name, f"accepted: {field.accepted}")
    return {name: fields[name].read(texts) for name, texts in given.items() if texts}
