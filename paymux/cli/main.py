"""Starts a command, and turns whatever ends it into lines on standard error and an exit code."""

import signal
import sys

import click

from . import streams
from .command import Command
from .exits import Exit
from .failures import Failed, Hint, failure_of, fault, show
from .invocation import Invocation
from .root import commands


def start() -> None:
    """Run the command line with the arguments of the process, and exit."""
    streams.prepare()
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run a command; return its exit code."""
    # Before the arguments are read, an error's form is known by looking for the word alone.
    cli = Invocation(json="--json" in arguments)
    Command.running = None  # of an earlier run in this process
    try:
        return int(commands.main(list(arguments), prog_name="paymux", standalone_mode=False) or 0)
    except streams.ReaderGone:
        return Exit.DONE
    except click.Abort as aborted:  # of a question: Ctrl-C, or the end of input
        ended = isinstance(aborted.__context__, EOFError)
        return Exit.USAGE if ended else 128 + signal.SIGINT
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except Exception as error:  # noqa: BLE001 - a fault of ours, too, ends in order
        return _ended(Command.running or cli, error)


def _ended(cli: Invocation, error: Exception) -> int:
    failed = _failed(cli, error)
    if isinstance(failed, int):
        return failed
    show(failed, cli.say, json=cli.json)
    return int(failed.exit)


def _failed(cli: Invocation, error: Exception) -> Failed | int:
    from ..errors import PaymuxError  # noqa: PLC0415 - only for a failure
    from .signals import Stopped  # noqa: PLC0415 - it loads asyncio

    if isinstance(error, Failed):
        return error
    if isinstance(error, Stopped):
        cli.tell("stopped")
        if cli.resume:
            cli.tell("  {command}", command=cli.resume)
        return error.exit
    if isinstance(error, PaymuxError):
        return failure_of(error, money=cli.unsent)
    if isinstance(error, streams.NotWritten):
        return Failed(str(error), Exit.USAGE, error="NotWritten")
    if isinstance(error, getattr(click.exceptions, "NoArgsIsHelpError", ())):  # click >= 8.2
        streams.write_error(f"{error}\n")
        return Exit.USAGE
    if isinstance(error, click.ClickException):
        path = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else ""
        hints = [Hint(f"{path} -h", "")] if path else []
        return Failed(error.format_message(), Exit.USAGE, hints=hints)
    if isinstance(error, ModuleNotFoundError) and error.name == "rich":
        said = "rich is missing; install the command line with: pip install 'paymux[cli]'"
        return Failed(said, Exit.USAGE)
    if isinstance(error, OSError) and error.errno is None:  # a database that is away
        return Failed(str(error), Exit.AGAIN, meaning="It may be repeated as it is.")
    if isinstance(error, OSError):
        return Failed(f"{error.filename or 'file'}: {error.strerror or error}", Exit.USAGE)
    said, file = fault(error, cli.hide)
    meaning = cli.say("This is a fault of paymux. Its traceback is in {file}.", file=file or "-")
    return Failed(said, Exit.FAULT, meaning=meaning, error=type(error).__name__)
