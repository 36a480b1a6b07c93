"""`paymux providers`: which provider has which operation."""

from ..drivers import load, names, table
from ..errors import UsageError
from . import streams
from .command import command
from .exits import Exit
from .invocation import Invocation


@command("providers", examples=("paymux providers", "paymux providers | less"))
def providers(cli: Invocation) -> Exit:
    """Print which provider has which operation."""
    whole = []
    for name in names():
        try:
            load(name)
        except UsageError as error:  # an entry point of another package
            streams.write_error(f"paymux: {error}\n")
        else:
            whole.append(name)
    cli.write(table(whole))
    return Exit.DONE if len(whole) == len(names()) else Exit.NO
