"""A command: its examples, the options that all commands have, and how it ends."""

import inspect
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import click

from .exits import Exit
from .invocation import Invocation
from .language import LANGUAGES

_NAMES = {"help_option_names": ["-h", "--help"]}
_UNSET = (None, False, "auto")
_COMMON = ("json", "quiet", "verbose", "utc", "color", "lang", "config", "env_file")


def _common_options(*, hidden: bool = False) -> list[click.Option]:
    options = [
        click.Option(["--json"], is_flag=True, help="One JSON object a line."),
        click.Option(["-q", "--quiet"], is_flag=True, help="Only results and errors."),
        click.Option(["-v", "--verbose"], is_flag=True, help="Also each exchange, redacted."),
        click.Option(["--utc"], is_flag=True, help="Times in UTC; else in local time."),
        click.Option(["--color"], type=click.Choice(["auto", "never", "always"]), default="auto"),
        click.Option(["--lang"], type=click.Choice(LANGUAGES), help="Of hints and questions."),
        click.Option(["--config"], metavar="FILE", help="The accounts, in TOML."),
        click.Option(["--env-file"], metavar="FILE", help="Variables that are not set yet."),
    ]
    for option in options:
        option.hidden = hidden
    return options


def _common(ctx: click.Context) -> dict[str, Any]:
    """Take the common options out of a command's own; those of the groups before it count, too."""
    given = {name: ctx.params.pop(name) for name in _COMMON}
    before = ctx.meta.setdefault("paymux.common", {})
    before.update({name: value for name, value in given.items() if value not in _UNSET})
    return {**given, **before}


class _Examples(click.Command):
    """A command whose help begins with examples."""

    examples: Sequence[str] = ()

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        if self.examples:
            with formatter.section("Examples"):
                formatter.write("".join(f"  {example}\n" for example in self.examples))
            formatter.write_paragraph()
        super().format_help(ctx, formatter)


class Command(_Examples):
    """A command whose callback gets an Invocation first, and may be a coroutine.

    What the callback returns is the exit code; None is 0.
    """

    running: ClassVar[Invocation | None] = None  # the one of this process, for its last words

    def __init__(self, *given: Any, examples: Sequence[str], **named: Any) -> None:
        named.setdefault("context_settings", {})
        named["context_settings"] = {**_NAMES, **named["context_settings"]}
        super().__init__(*given, **named)
        self.examples = examples
        self.params.extend(_common_options())

    def invoke(self, ctx: click.Context) -> int:
        """Run the callback, in a loop if it is a coroutine; return the exit code."""
        ctx.obj = Command.running = cli = Invocation(**_common(ctx))
        from . import logs  # noqa: PLC0415 - `--help` writes no log

        logs.to_standard_error(verbose=cli.verbose, quiet=cli.quiet, as_json=cli.json)
        assert self.callback is not None  # noqa: S101 - for type checkers
        work = ctx.invoke(self.callback, cli, **ctx.params)
        if inspect.iscoroutine(work):
            work = cli.stopping.run(work)
        return int(work or Exit.DONE)


class Group(_Examples, click.Group):
    """A command with commands below it; the common options may stand before these, too."""

    def __init__(self, *given: Any, examples: Sequence[str] = (), **named: Any) -> None:
        named.setdefault("context_settings", _NAMES)
        super().__init__(*given, **named)
        self.examples = examples
        self.params.extend(_common_options(hidden=True))

    def invoke(self, ctx: click.Context) -> Any:
        """Keep the common options that stand before the command, and run it."""
        _common(ctx)
        return super().invoke(ctx)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find a command; one that does not exist is answered with the nearest."""
        if args and self.get_command(ctx, args[0]) is None and not args[0].startswith("-"):
            import difflib  # noqa: PLC0415 - only for a word that is no command

            near = difflib.get_close_matches(args[0], self.list_commands(ctx), n=1)
            hint = f"; did you mean {near[0]}?" if near else f"; {ctx.command_path} -h lists them"
            raise click.UsageError(f"no such command: {args[0][:60]}{hint}", ctx)
        return super().resolve_command(ctx, args)


def options(*given: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return a decorator that adds several options, which are listed in their order."""

    def added(callback: Any) -> Any:
        for option in reversed(given):
            callback = option(callback)
        return callback

    return added


def command(
    name: str, *, examples: Sequence[str], **settings: Any
) -> Callable[[Callable[..., Any]], Command]:
    """Make a command of a function `(cli, …)`; `examples` are two whole command lines."""

    def made(callback: Callable[..., Any]) -> Command:
        found = click.command(name, cls=Command, examples=examples, **settings)(callback)
        assert isinstance(found, Command)  # noqa: S101 - for type checkers
        return found

    return made
