"""The table of commands: each is loaded when it is called, so that `--help` is fast."""

from collections.abc import Mapping
from importlib import import_module

import click

from .command import Group

# Name: (module, its name there, summary). A test compares each summary with the command's own help.
COMMANDS: Mapping[str, tuple[str, str, str]] = {
    "demo": ("demo", "demo", "Collect from simulated payers, with network faults."),
    "journal": ("journal", "journal", "Read and keep a journal."),
    "providers": ("providers", "providers", "Print which provider has which operation."),
    "run": ("run", "run", "Call what a driver offers beyond the common verbs."),
    "security-credential": (
        "security_credential",
        "security_credential",
        "Encrypt M-Pesa's initiator password.",
    ),
    "simulator": ("simulator", "simulator", "Serve simulated providers on a loopback port."),
}


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


@click.group(cls=Commands, examples=("paymux demo", "paymux simulator"))
@click.version_option(package_name="paymux", message="%(prog)s %(version)s")
def commands() -> None:
    """Collect, pay out and verify money through African payment providers."""
