"""The accounts of a command, and the pool that is made of them."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .. import core
from ..drivers.base import Driver
from ..errors import UsageError
from ..pool import Pool
from ..primitives.redaction import as_place, as_secrets
from .commands import COMMANDS
from .exits import Exit
from .failures import Failed

if TYPE_CHECKING:
    from .invocation import Invocation

_SHORTEST = 6  # characters of a secret that is searched for in the arguments


class Settings:
    """The accounts and the pool's settings that a command was given."""

    def __init__(self, config: core.Config) -> None:
        self.config = config
        self.drivers: dict[str, Driver] = {driver.account: driver for driver in config.drivers}
        self.options = config.options

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must never be shown: the accounts' credentials, and the pool's."""
        own = (self.options.get(name) for name in ("webhook_key", "proxy"))
        keys = [key.reveal() for value in own for key in as_secrets(value)]
        return (*(text for one in self.drivers.values() for text in one.secrets()), *keys)

    @property
    def journal(self) -> Any:
        """The journal that the config names; None: it names none."""
        return self.options.get("journal")

    def pool(self, **options: Any) -> Pool:
        """Make the pool; `options` go before those of the config."""
        return Pool(*self.drivers.values(), **{**self.options, **options})

    def account(self, given: str | None) -> str:
        """Return the account that is meant: the given one, the default one, or the only one."""
        named = self.config.default_account if given is None else given
        if named is not None:
            if named not in self.drivers:
                raise UsageError.field("account", named, ", ".join(sorted(self.drivers)))
            return named
        if len(self.drivers) == 1:
            return next(iter(self.drivers))
        raise UsageError.missing("account", f"-a is one of: {', '.join(sorted(self.drivers))}")


def load(cli: "Invocation") -> Settings:
    """Read the config that is in use, and the variables; `--env-file` adds those not set."""
    add_variables(cli.env_file)
    found = core.from_place(cli.config)
    if isinstance(found, UsageError):
        raise found
    settings = Settings(found)
    _refuse_secrets(settings)
    for file in found.exposed:
        cli.tell("Others may read {file}, which has a secret: chmod 600 {file}", file=file)
    return settings


def journal_place(cli: "Invocation", given: str | None) -> Any:
    """Return the journal that is named, or the config's; no account is needed for it.

    A URL is a Secret. Failed: none is named anywhere.
    """
    add_variables(cli.env_file)
    place = given or core.named_journal(cli.config)
    if not place:
        said = "journal: missing; name a FILE, or set journal in the config or PAYMUX_JOURNAL"
        raise Failed(said, Exit.USAGE)
    return as_place(place)


def add_variables(file: str | None) -> None:
    """Add the variables of `--env-file` that are not set; `.env` is never read by itself."""
    if file is None:
        return
    from dotenv import dotenv_values  # noqa: PLC0415 - only for the option

    if not Path(file).is_file():
        raise UsageError.field("env-file", file, "a file with NAME=value lines")
    try:
        for name, value in dotenv_values(file, interpolate=False).items():
            if value is not None:
                os.environ.setdefault(name, value)
    except ValueError:  # not UTF-8, or a NUL; its text may be a secret
        failed = UsageError.field("env-file", file, "UTF-8 text with NAME=value lines")
    else:
        return
    raise failed


def _refuse_secrets(settings: Settings) -> None:
    """Refuse a secret among the arguments: every user of the machine can read them."""
    known = {text for text in settings.secrets if len(text) >= _SHORTEST}
    for word in sys.argv[1:]:
        if word not in COMMANDS and (word in known or word.partition("=")[2] in known):
            said = "an argument is a secret of an account (not shown); other users can read it"
            raise Failed(said, Exit.USAGE, meaning="Nothing was sent.")
