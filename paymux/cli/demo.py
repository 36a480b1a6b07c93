"""`paymux demo`: many collects, network faults, and the ledger that shows the truth."""

from typing import TYPE_CHECKING

from .command import command
from .exits import Exit

if TYPE_CHECKING:
    from .invocation import Invocation


@command("demo", examples=("paymux demo", "NO_COLOR=1 paymux demo"))
def demo(cli: "Invocation") -> Exit:
    """Collect from simulated payers, with network faults.

    At its end it compares what paymux says with what was really charged; --json writes that to
    standard output, a line for each order, and all the rest to standard error.
    """
    import asyncio  # noqa: PLC0415 - `--help` needs no loop

    from rich.console import Console  # noqa: PLC0415

    from .demonstration import Demo  # noqa: PLC0415

    found = asyncio.run(Demo(Console(stderr=cli.json)).run())
    if cli.json:
        for one in found:
            cli.write_json(one)
    return Exit.DONE if all(one.agrees for one in found) else Exit.NO
