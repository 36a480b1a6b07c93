"""One run of a command: its common options, its language, its config, its streams."""

import os
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeVar

import click

from . import language, streams
from .exits import Exit
from .failures import Failed
from .tables import Column, Rows

if TYPE_CHECKING:
    from ..pool import Pool
    from .settings import Settings
    from .signals import Stopping

T = TypeVar("T")


class Invocation:
    """What every command is given as its first argument, named `cli`."""

    def __init__(
        self,
        *,
        json: bool = False,
        quiet: bool = False,
        verbose: bool = False,
        utc: bool = False,
        color: str = "auto",
        lang: str | None = None,
        config: str | None = None,
        env_file: str | None = None,
    ) -> None:
        self.json = json
        self.quiet = quiet
        self.verbose = verbose
        self.utc = utc
        self.color = color
        self.config = config
        self.env_file = env_file
        self.resume = ""  # the command that goes on where a signal ended this one
        self.unsent = False  # an order is being checked: an error says that nothing was sent
        self._lang = lang

    @cached_property
    def language(self) -> str:
        """The language of hints and questions."""
        return language.chosen(self._lang)

    @cached_property
    def stopping(self) -> "Stopping":
        """What a signal does to this command."""
        from .signals import Stopping  # noqa: PLC0415 - it loads asyncio

        return Stopping()

    def finishing(self) -> AbstractContextManager[None]:
        """Let what is inside end before a first signal ends the command."""
        return self.stopping.finishing()

    # Words.

    def say(self, sentence: str, **fields: object) -> str:
        """Return a sentence in the language of this run, with its fields filled in."""
        return language.translated(sentence, self.language).format(**fields)

    def tell(self, sentence: str, **fields: object) -> None:
        """Write a hint, a progress or a summary to standard error; -q silences it."""
        if not self.quiet:
            streams.write_error(f"{self.say(sentence, **fields)}\n")

    # Results.

    @property
    def width(self) -> int | None:
        """The columns of the terminal that the result goes to; None: it is piped."""
        if not sys.stdout or not sys.stdout.isatty():
            return None
        try:
            return int(os.environ.get("COLUMNS") or os.get_terminal_size(1).columns) or 80
        except (OSError, ValueError):
            return 80

    def styled(self, text: str, style: str | None) -> str:
        """Colour a text for a terminal; colour never carries meaning alone."""
        if style is None or not self._coloured:
            return text
        return click.style(text, bold=True) if style == "bold" else click.style(text, fg=style)

    @cached_property
    def _coloured(self) -> bool:
        if self.color != "auto":
            return self.color == "always"
        plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
        return not plain and self.width is not None

    def rows(
        self, columns: Sequence[Column[T]], encode: Callable[[T], Any], *, at_once: bool = False
    ) -> Rows[T]:
        """Return what writes a result row by row; `at_once`: a terminal shows each as it comes."""
        return Rows(
            columns,
            encode,
            json=self.json,
            width=self.width,
            style=self.styled,
            at_once=at_once,
        )

    def write(self, text: str) -> None:
        """Write a result that is no table; one whose reader has gone is no error."""
        try:
            streams.write(text)
        except streams.ReaderGone:
            return

    def write_one(self, text: str, **fields: object) -> None:
        """Write a result that is one thing: its text, or with --json an object of its fields."""
        if self.json:
            self.write_json(fields)
        else:
            self.write(text)

    def write_json(self, value: object) -> None:
        """Write one object of a result as a line of JSON."""
        try:
            streams.write_json(value)
        except streams.ReaderGone:
            return

    # Accounts.

    @cached_property
    def settings(self) -> "Settings":
        """The accounts and the pool's settings, from the config file and the environment."""
        from .settings import load  # noqa: PLC0415 - few commands need an account

        settings = load(self)
        if self._lang is None and not os.environ.get("PAYMUX_LANG"):
            self._lang = settings.config.lang
            self.__dict__.pop("language", None)
        return settings

    def hide(self, text: str) -> str:
        """Return a text without the secrets of the accounts that were read."""
        from ..primitives.redaction import hide_values  # noqa: PLC0415 - only for a failure

        settings = self.__dict__.get("settings")
        return hide_values(text, settings.secrets) if settings else text

    def pool(self, **options: Any) -> "Pool":
        """Make the pool of the config; `options` go before it."""
        return self.settings.pool(**options)

    def account(self, given: str | None) -> str:
        """Return the account that is meant; Failed: there are several, and none is named."""
        return self.settings.account(given)

    async def confirm(self, question: str, answer: str | None, *, yes: bool) -> None:
        """Ask before money moves; Failed: the answer is no, or none can be given.

        `answer`: what has to be typed; None: y or yes (o or oui).
        """
        if yes:
            return
        if not sys.stdin or not sys.stdin.isatty():
            said = "standard input is no terminal, so nothing can be asked; accepted: --yes"
            raise Failed(said, Exit.USAGE, meaning="Nothing was sent.")
        from .signals import ask_line  # noqa: PLC0415 - it loads asyncio

        typed = await ask_line(lambda: streams.write_error(question))
        accepted = {answer} if answer else {"y", "yes", "o", "oui"}
        if typed.replace(" ", "").lower() not in accepted:
            raise Failed("not confirmed", Exit.USAGE, meaning="Nothing was sent.")
