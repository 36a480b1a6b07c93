"""`paymux doctor`, also `paymux check`: what is wrong with a configuration, and what mends it."""

import os
from typing import TYPE_CHECKING

import click

from .command import Command, command, options
from .exits import Exit
from .streams import harmless

if TYPE_CHECKING:
    from .checks import Finding, Setup
    from .invocation import Invocation


async def _examined(
    cli: "Invocation",
    *,
    accounts: tuple[str, ...],
    skip: tuple[str, ...],
    offline: bool,
    callback: int | None,
) -> Exit:
    """Say what is wrong with a configuration, and what mends it.

    It moves no money, takes at most 10 seconds, and writes nothing but one row of the journal,
    which it deletes. Only what is wrong is printed, with the command that mends it; -v prints every
    check. Exit: 0 ready (warnings too), 1 there is a problem, 2 wrong arguments.
    """
    from ..core import config_file  # noqa: PLC0415
    from ..errors import UsageError  # noqa: PLC0415
    from . import checks  # noqa: PLC0415 - `--help` needs no check
    from .settings import add_variables  # noqa: PLC0415

    add_variables(cli.env_file)
    path = config_file(cli.config)
    setup = checks.Setup(path, dict(os.environ), only=accounts, offline=offline)
    for name in accounts:
        if name not in setup.accounts:
            raise UsageError.field("account", name, ", ".join(sorted(setup.accounts)) or "none")
    found = await checks.examine(setup, checks.chosen(skip, offline=offline))
    if callback is not None:
        found.append(await _heard(cli, setup, callback))
    _show(cli, found)
    last = checks.summary(found, len(setup.accounts), cli.language)
    problems = sum(one.result == "problem" for one in found)
    if cli.json:
        warnings = sum(one.result == "warning" for one in found)
        told = {"type": "summary", "problems": problems, "warnings": warnings}
        cli.write_json({**told, "accounts": len(setup.accounts), "checks": len(found)})
    else:
        cli.write(f"{last}\n")
    return Exit.NO if problems else Exit.DONE


def _show(cli: "Invocation", found: "list[Finding]") -> None:
    for one in found:
        if cli.json:
            cli.write_json(one.encoded())
        elif cli.verbose or one.result in ("problem", "warning"):
            colour = {"problem": "red", "warning": "yellow"}.get(one.result)
            first, *rest = one.lines(cli.language)
            cli.write("\n".join([cli.styled(harmless(first), colour), *map(harmless, rest)]) + "\n")


async def _heard(cli: "Invocation", setup: "Setup", port: int) -> "Finding":
    from ..pool import Pool  # noqa: PLC0415
    from .checks import callback  # noqa: PLC0415 - `--help` needs no check

    cli.tell("Waiting up to a minute for a message of our own on port {port}.", port=port)
    async with Pool() as pool:
        return await callback(setup, pool, port)


def _made(name: str) -> Command:
    """Make the command under one of its two names."""
    added = options(
        click.option("-a", "--account", "accounts", multiple=True, help="Of this account only."),
        click.option("--offline", is_flag=True, help="Ask no provider."),
        click.option("--skip", multiple=True, metavar="ID", help="Leave a check out."),
        click.option(
            "--callback",
            type=click.IntRange(1, 65535),
            metavar="PORT",
            help="Serve PORT for a minute: does our own message come back by webhook_base?",
        ),
    )
    examples = (f"paymux {name}", f"paymux {name} --offline -v")
    return command(name, examples=examples)(added(_examined))


doctor = _made("doctor")
check = _made("check")
