"""`paymux providers`: which provider has which operation, and what is known of one."""

from typing import TYPE_CHECKING

import click

from . import streams
from .command import command
from .exits import Exit

if TYPE_CHECKING:
    from .invocation import Invocation


@command("providers", examples=("paymux providers", "paymux providers mpesa"))
@click.argument("name", required=False)
def providers(cli: "Invocation", name: str | None) -> Exit:
    """Print which provider has which operation.

    With NAME: its fields, operations and limits, the sources of what is known, and what is not.
    """
    from ..drivers import load, names, table  # noqa: PLC0415 - `--help` needs none

    if name is not None:
        from .provider_facts import lines_of, told  # noqa: PLC0415

        driver = load(name)
        if cli.json:
            cli.write_json(told(driver))
        else:
            cli.write("\n".join(lines_of(driver)) + "\n")
        return Exit.DONE
    from ..errors import UsageError  # noqa: PLC0415

    whole = []
    for one in names():
        try:
            load(one)
        except UsageError as error:  # an entry point of another package
            streams.write_error(f"paymux: {error}\n")
        else:
            whole.append(one)
    if cli.json:
        from .provider_facts import told  # noqa: PLC0415

        for one in whole:
            cli.write_json(told(load(one)))
    else:
        cli.write(table(whole))
    return Exit.DONE if len(whole) == len(names()) else Exit.NO
