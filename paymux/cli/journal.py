"""`paymux journal`: reading a journal, moving it, and removing a payer from it."""

import click

from . import journal_changes, journal_reads
from .command import Group


@click.group(
    "journal",
    cls=Group,
    examples=("paymux journal list shop.db", "paymux journal show order-1042"),
)
def journal() -> None:
    """Read and keep a journal.

    FILE is a file or a postgresql:// URL; without it the config's, or the variable PAYMUX_JOURNAL.
    A URL with a password belongs there: other users of the machine see what stands in a command.
    """


for _command in (*journal_reads.COMMANDS, *journal_changes.COMMANDS):
    journal.add_command(_command)
