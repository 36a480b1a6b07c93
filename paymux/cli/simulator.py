"""`paymux simulator`: the simulated providers, for any program."""

import asyncio
import os
import sys

import click

from ..errors import UsageError
from ..simulator import Simulator
from ..simulator import names as simulated
from ..simulator.providers import load as load_simulator
from .command import Command
from .invocation import Invocation


class _Served(Command):
    """A command whose help lists the credentials of the simulated providers."""

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Credentials of every run"):
            listed = []
            for name in simulated():
                try:
                    fields = load_simulator(name).credentials.items()
                except UsageError as error:  # an entry point of another package
                    formatter.write_text(str(error))
                else:
                    listed.append((name, " ".join(map("=".join, fields))))
            formatter.write_dl(listed)
            formatter.write_text("M-Pesa's initiator_name and security_credential are any text.")


@click.command(
    "simulator",
    cls=_Served,
    examples=("paymux simulator", "paymux simulator --port 0 --root mpesa"),
)
@click.option(
    "--port",
    type=click.IntRange(0, 65535),
    default=8765,
    show_default=True,
    help="The loopback port; 0 takes a free one.",
)
@click.option("--root", default=None, help="A provider to serve without its mount, too.")
@click.option("--seed", default=0, show_default=True, help="Repeats a run's random values.")
def simulator(cli: Invocation, port: int, root: str | None, seed: int) -> None:
    """Serve simulated providers on a loopback port.

    Each is at its mount, until interrupted.

    What a payer does is in the number's last digit: CamPay's 237677777777 pays, 237677777770
    declines, 237677777774 never answers. The README lists all of them.
    """

    async def serve() -> None:
        async with Simulator(port=port, seed=seed, root=root) as sim:
            for name, provider in sim.providers.items():
                bare = f" {sim.url}{provider.base_path}" if name == root else ""
                click.echo(f"{name:14} {provider.url}{provider.base_path}{bare}")
            await asyncio.get_running_loop().create_future()

    try:
        asyncio.run(serve())
    except KeyboardInterrupt:
        click.echo("stopped")
    except UsageError as error:
        raise click.UsageError(str(error)) from None
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else str(error)
        sys.exit(
            f"paymux: port {port}: {why}; take another with --port, or any free one with --port 0"
        )
