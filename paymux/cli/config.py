"""`paymux config`: where the settings are, what they are, and secrets without an echo."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .command import Group, command
from .exits import Exit
from .failures import Failed, Hint
from .tables import Column

if TYPE_CHECKING:
    from .invocation import Invocation

_SECRET_BYTES = 1 << 16  # of standard input at the most


@click.group(
    "config", cls=Group, examples=("paymux config init campay mpesa", "paymux config show")
)
def config() -> None:
    """Show and write the settings."""


@command("path", examples=("paymux config path", "paymux config path --config shop.toml"))
def path(cli: "Invocation") -> Exit:
    """Print which config file is used.

    The first of: --config, the variable PAYMUX_CONFIG, ./paymux.toml,
    $XDG_CONFIG_HOME/paymux/config.toml. Exit 1: there is none, and the environment is used.
    """
    from ..core import config_file  # noqa: PLC0415 - `--help` needs no config

    found = config_file(cli.config)
    if found is None:
        cli.tell("There is no file; the variables of the environment are used.")
        return Exit.NO
    cli.write_one(f"{found}\n", type="file", path=str(found))
    return Exit.DONE


@command("show", examples=("paymux config show", "paymux config show --json"))
def show(cli: "Invocation") -> None:
    """Print each setting, its value and where it stands.

    A secret is shown as its length alone.
    """
    from .. import core  # noqa: PLC0415 - `--help` needs no config
    from .settings import add_variables  # noqa: PLC0415

    add_variables(cli.env_file)
    rows = cli.rows(
        [
            Column[Any]("setting", lambda row: row.setting),
            Column[Any]("value", lambda row: row.value, leaves=2),
            Column[Any]("source", lambda row: row.source, leaves=1),
        ],
        lambda row: row._asdict(),
    )
    for row in core.shown_settings(cli.config):
        rows.write(row)
    rows.close()


@command("init", examples=("paymux config init campay", "paymux config init campay mpesa"))
@click.argument("drivers", nargs=-1, metavar="[DRIVER]...")
def init(cli: "Invocation", drivers: tuple[str, ...]) -> None:
    """Write a commented config file, which others cannot read; never over another.

    It is the FILE of --config, or ./paymux.toml.
    """
    from .config_file import commented  # noqa: PLC0415 - it loads the drivers

    text = commented(drivers)
    file = Path(cli.config or "paymux.toml")
    _write_new(file, text)
    cli.write_one(f"{file}\n", type="file", path=str(file))
    cli.tell("Fill in the empty fields; paymux doctor says what is still wrong.")


def _write_new(file: Path, text: str) -> None:
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        said = f"{file} exists, and is left as it is"
        raise Failed(said, Exit.USAGE, hints=[Hint("paymux config show")]) from None
    with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
        opened.write(text)


@command(
    "set-secret",
    examples=(
        "paymux config set-secret kenya passkey",
        "pass show daraja | paymux config set-secret kenya passkey --stdin",
    ),
)
@click.argument("account")
@click.argument("field")
@click.option("--stdin", is_flag=True, help="Never ask, also on a terminal.")
def set_secret(cli: "Invocation", account: str, field: str, *, stdin: bool) -> None:
    """Keep a secret in a file beside the config, and name that file there.

    ACCOUNT - is the pool: webhook_key. It is asked for without an echo, or read from a pipe. No
    option takes a secret: other users of the machine can read the arguments of a command.
    """
    from .config_file import keep_secret  # noqa: PLC0415 - it loads the drivers

    typed = _typed(cli, account, field, stdin=stdin)
    kept = keep_secret(cli.config, account, field, typed)
    cli.write_one(f"{kept}\n", type="file", path=str(kept))


def _typed(cli: "Invocation", account: str, field: str, *, stdin: bool) -> str:
    if stdin or not sys.stdin or not sys.stdin.isatty():
        typed = (sys.stdin.read(_SECRET_BYTES) if sys.stdin else "").removesuffix("\n")
    else:
        import getpass  # noqa: PLC0415 - only for the question

        typed = getpass.getpass(f"{account} {field}: ", stream=sys.stderr)
    if not typed.strip():
        raise Failed(f"{field}: empty", Exit.USAGE)
    return typed


@command(
    "webhook-url",
    examples=("paymux webhook-url campay", "paymux webhook-url kenya order-1042"),
)
@click.argument("account")
@click.argument("reference", required=False)
def webhook_url(cli: "Invocation", account: str, reference: str | None) -> None:
    """Print the address to register at a provider.

    With REFERENCE it is that order's own.
    """
    pool = cli.pool(journal=None)
    name = cli.account(account)
    url = pool.webhook_url(name, reference)
    cli.write_one(f"{url}\n", type="webhook_url", account=name, reference=reference, url=url)


for _command in (path, show, init, set_secret):
    config.add_command(_command)
