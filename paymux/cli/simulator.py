"""`paymux simulator`: the simulated providers, for any program."""

import errno
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .. import __version__
from . import simulator_calls
from .command import Command, Group
from .control import running_at
from .exits import Exit
from .failures import Failed, Hint
from .invocation import Invocation
from .signals import Stopped

if TYPE_CHECKING:
    from ..simulator import Simulator

_KEEP = 1000  # requests and webhooks that are kept
_COMMAND = "paymux.simulator.command"


class _Served(Group):
    """The simulator itself where no command of it is named; what is behind `--` it runs."""

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        for option in self.params:
            if option.name == "env_file" and isinstance(option, click.Option):
                option.help = "Write the lines to paste there, once it listens."
            if isinstance(option, click.Option):
                option.hidden = False

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Keep what is behind `--` as the command to run."""
        if "--" in args:
            at = args.index("--")
            args, ctx.meta[_COMMAND] = args[:at], args[at + 1 :]
            if not ctx.meta[_COMMAND]:
                raise click.UsageError("-- stands before a command to run", ctx)
        return super().parse_args(ctx, args)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the credentials of the simulated providers."""
        from ..errors import UsageError  # noqa: PLC0415 - for the help alone
        from ..simulator import names  # noqa: PLC0415
        from ..simulator.providers import load  # noqa: PLC0415

        with formatter.section("Credentials of every run"):
            listed = []
            for name in names():
                try:
                    kind = load(name)
                except UsageError as error:  # an entry point of another package
                    formatter.write_text(str(error))
                else:
                    fields = {**kind.credentials, **kind.more_credentials}.items()
                    listed.append((name, " ".join(map("=".join, fields))))
            formatter.write_dl(listed)


@click.group(
    "simulator",
    cls=_Served,
    invoke_without_command=True,
    no_args_is_help=False,
    subcommand_metavar="[-- COMMAND...]",
    examples=("paymux simulator", "paymux simulator -- npm test"),
)
@click.option("--port", type=click.IntRange(0, 65535), help="8765 unless told; 0 is a free one.")
@click.option("--host", help="Another address to listen on, as 0.0.0.0; it then wants a token.")
@click.option(
    "--payers",
    type=click.Choice(["ask", "approve", "random"]),
    default="ask",
    show_default=True,
    help="Who decides for a number without a meaning: you, on the page, or itself.",
)
@click.option("--after", type=click.FloatRange(0), help="Seconds until a payer decides.")
@click.option("--seed", default=0, show_default=True, help="Repeats a run's random values.")
@click.option("--root", metavar="NAME", help="A provider to serve without its mount, too.")
@click.option(
    "--webhook", multiple=True, metavar="PROVIDER=URL", help="Where a provider's webhooks go."
)
@click.option("--webhook-host", multiple=True, metavar="NAME", help="May get webhooks, too.")
@click.option("--allow-host", multiple=True, metavar="NAME", help="Also answer under this name.")
@click.option("--cors", multiple=True, metavar="ORIGIN", help="Its pages may use the control API.")
@click.pass_context
def simulator(ctx: click.Context, /, **given: Any) -> int:
    """Serve simulated providers on a loopback port.

    A page at its address shows the payers' phones, every request and every webhook. What a payer
    does is in the number's last digit, too: CamPay's 237677777777 pays, 237677777770 declines.

    With -- COMMAND it takes a free port, runs the command with accounts of the simulator alone,
    and ends with it, with its exit code.
    """
    if ctx.invoked_subcommand is not None:
        return Exit.DONE
    Command.running = cli = Invocation(**ctx.meta.get("paymux.common", {}))
    words: list[str] | None = ctx.meta.get(_COMMAND)
    try:
        return (
            cli.stopping.run(_serve(cli, words, given))
            if words is None
            else _run(cli, words, given)
        )
    except Stopped:
        cli.tell("stopped")
        return Exit.DONE


def _run(cli: Invocation, words: list[str], given: dict[str, Any]) -> int:
    import asyncio  # noqa: PLC0415 - `--help` needs no loop

    return asyncio.run(_serve(cli, words, given))


async def _serve(cli: Invocation, words: list[str] | None, given: dict[str, Any]) -> int:
    import asyncio  # noqa: PLC0415 - `--help` needs no loop

    webhooks = [_webhook(one) for one in given.pop("webhook")]
    port = given.pop("port")
    sim = _made(given, port if port is not None else 8765 if words is None else 0)
    try:
        await sim.__aenter__()
    except OSError as error:
        raise _taken(error, port if port is not None else 8765, given["host"]) from None
    try:
        for provider, url in webhooks:
            sim.change(**{provider: {"webhook_url": url}})
        _tell_ready(cli, sim, quietly=words is not None)
        if words is not None:
            from .simulator_run import run_command  # noqa: PLC0415 - for this alone

            return await run_command(cli, sim, words)
        await asyncio.get_running_loop().create_future()
    finally:
        await sim.__aexit__(None, None, None)
    return Exit.DONE


def _made(given: dict[str, Any], port: int) -> "Simulator":
    from ..simulator import Simulator  # noqa: PLC0415 - `--help` needs none

    return Simulator(port=port, keep=_KEEP, **given)


def _webhook(given: str) -> tuple[str, str]:
    provider, equals, url = given.partition("=")
    if not equals or not provider or not url:
        said = f"webhook: {given[:100]!r} is refused; accepted: PROVIDER=URL"
        raise Failed(said, Exit.USAGE)
    return provider, url


def _tell_ready(cli: Invocation, sim: "Simulator", *, quietly: bool) -> None:
    """Print where it listens, and the lines to paste; they go to a file, too."""
    from ..simulator import environment  # noqa: PLC0415
    from .whole_file import write_whole  # noqa: PLC0415

    token = sim.access.token
    page = f"{sim.url}/{f'?token={token}' if token else ''}"
    if cli.env_file is not None:
        write_whole(Path(cli.env_file), environment.lines(sim, "dotenv"))
    if cli.json:
        told = {
            "type": "ready",
            "url": sim.url,
            "page": page,
            "version": __version__,
            "pid": os.getpid(),
            "providers": sorted(sim.providers),
            "env": environment.variables(sim),
        }
        if not quietly:  # else standard output is the command's
            cli.write_json(told)
        return
    if token is not None:
        cli.tell(
            "It listens beyond this machine: a program that has the address can speak with it."
        )
    if quietly:
        cli.tell("Simulated providers: {page}", page=page)
        return
    cli.write(f"# paymux simulator {__version__}: {page}\n{environment.lines(sim, 'sh')}")
    cli.tell("Open {page} to pay as a payer; Ctrl-C ends it.", page=page)


def _taken(error: OSError, port: int, host: str | None) -> Exception:
    """Say who has the port, and what to type instead."""
    where = f"port {port}" if host is None else f"{host}, port {port}"
    hints = [Hint("paymux simulator --port 0", "takes a free port")]
    if error.errno != errno.EADDRINUSE:
        why = os.strerror(error.errno) if error.errno else str(error)
        return Failed(f"{where}: {why}", Exit.USAGE, hints=hints)
    other = running_at(port)
    if other is None:
        return Failed(f"{where} is taken by another program", Exit.USAGE, hints=hints)
    version, uptime = other
    up = f"{uptime / 60:.0f} min" if uptime >= 60 else f"{uptime:.0f} s"
    said = f"{where} is taken by another paymux simulator ({version}, up {up}):"
    return Failed(f"{said} http://127.0.0.1:{port}/", Exit.USAGE, hints=hints)


for _command in simulator_calls.COMMANDS:
    simulator.add_command(_command)
