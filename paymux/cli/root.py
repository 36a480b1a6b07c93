"""The group of all commands, and the options of `paymux` itself."""

from importlib import import_module

import click

from .. import __version__
from .command import Group
from .commands import COMMANDS


class Commands(Group):
    """The group of all commands; none is loaded before it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names, without loading a command."""
        return sorted(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load a command; None: there is no such."""
        if cmd_name not in COMMANDS:
            return None
        module, name, _ = COMMANDS[cmd_name]
        found: click.Command = getattr(import_module(f".{module}", __package__), name)
        return found

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the summaries of the table, without loading a command."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, COMMANDS[name][2]) for name in sorted(COMMANDS)])


def _version(ctx: click.Context, _: click.Parameter, given: object) -> None:
    """Print the version, and end."""
    if given:
        click.echo(f"paymux {__version__}")
        ctx.exit()


@click.group(cls=Commands, examples=("paymux demo", "paymux simulator"))
@click.option("--version", is_flag=True, is_eager=True, expose_value=False, callback=_version)
def commands() -> None:
    """Collect, pay out and verify money through African payment providers."""
