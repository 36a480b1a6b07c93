"""The commands: a demonstration, and the simulator for other people's programs."""

import asyncio
import sys

import click
from rich.console import Console

from .demo import Demo
from .drivers import table
from .simulator import Simulator


@click.group()
@click.version_option(package_name="paymux")
def commands() -> None:
    """Collect, pay out and verify money through African payment providers."""


@commands.command()
def demo() -> None:
    """Collect money from simulated payers, with trouble on the wire, and compare with what was really charged."""
    sys.exit(0 if asyncio.run(Demo(Console()).run()) else 1)


@commands.command()
@click.option("--port", default=8765, show_default=True, help="The loopback port; 0 takes a free one.")
@click.option("--root", default=None, help="A provider to serve without its mount, too.")
@click.option("--seed", default=0, show_default=True, help="Repeats a run's chances.")
def simulator(port: int, root: str | None, seed: int) -> None:
    """Serve every provider on a loopback port until interrupted; all credentials are "simulator"."""

    async def serve() -> None:
        async with Simulator(port=port, seed=seed, root=root) as sim:
            for name, provider in sim.providers.items():
                click.echo(f"{name:14} {provider.url}{provider.base_path}")
            await asyncio.get_running_loop().create_future()

    try:
        asyncio.run(serve())
    except KeyboardInterrupt:
        click.echo("stopped")


@commands.command()
def providers() -> None:
    """Print which provider has which operation."""
    click.echo(table(), nl=False)
