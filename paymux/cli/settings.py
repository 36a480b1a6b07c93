"""The accounts of a command, and the pool that is made of them."""

import sys
from typing import TYPE_CHECKING, Any

from .. import core
from ..drivers.base import Driver
from ..errors import UsageError
from ..pool import Pool
from .commands import COMMANDS
from .exits import Exit
from .failures import Failed

if TYPE_CHECKING:
    from .invocation import Invocation

_SHORTEST = 6  # characters of a secret that is searched for in the arguments


class Settings:
    """The accounts and the pool's settings that a command was given."""

    def __init__(self, drivers: list[Driver], options: dict[str, Any]) -> None:
        self.drivers = {driver.account: driver for driver in drivers}
        self.options = options

    @property
    def secrets(self) -> tuple[str, ...]:
        """What must never be shown: the accounts' credentials."""
        return tuple(text for driver in self.drivers.values() for text in driver.secrets())

    def pool(self, **options: Any) -> Pool:
        """Make the pool; `options` go before those of the config."""
        return Pool(*self.drivers.values(), **{**self.options, **options})

    def account(self, given: str | None) -> str:
        """Return the account that is meant."""
        if given is not None:
            if given not in self.drivers:
                raise UsageError.field("account", given, ", ".join(sorted(self.drivers)))
            return given
        if len(self.drivers) == 1:
            return next(iter(self.drivers))
        raise UsageError.missing("account", f"-a is one of: {', '.join(sorted(self.drivers))}")


def load(cli: "Invocation") -> Settings:
    """Read the config that a command was given, or the environment."""
    found = core.from_environment() if cli.config is None else core.from_mapping(cli.config)
    if isinstance(found, UsageError):
        raise found
    settings = Settings(*found)
    _refuse_secrets(settings)
    return settings


def _refuse_secrets(settings: Settings) -> None:
    """Refuse a secret among the arguments: every user of the machine can read them."""
    known = {text for text in settings.secrets if len(text) >= _SHORTEST}
    for word in sys.argv[1:]:
        if word not in COMMANDS and (word in known or word.partition("=")[2] in known):
            said = "an argument is a secret of an account (not shown); other users can read it"
            raise Failed(said, Exit.USAGE, meaning="Nothing was sent.")
