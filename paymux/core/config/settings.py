"""One setting as it was found: its value, its name for errors, and where it comes from."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import msgspec

from ...errors import UsageError
from ...primitives import coerce
from ...primitives.redaction import as_place, as_secret, as_secrets

NETWORK = ("proxy", "tls", "local_address")
# The settings at the top of a file, or `PAYMUX_<NAME>`.
OF_POOL = frozenset(
    {"deadline", "connect_timeout", "attempts", "journal", "webhook_base", "webhook_key", *NETWORK}
)
OF_COMMANDS = frozenset({"default_account", "lang"})
TABLES = frozenset({"accounts", "reconcile"})
# What may hold a credential, and what wraps it.
_WRAPPED: Mapping[str, Callable[[Any], object]] = {
    "proxy": as_secret,
    "webhook_key": as_secrets,
    "journal": as_place,
}
_SHORTEST_KEY = 16  # characters, as of `webhook_key` of a pool


class Setting(NamedTuple):
    """A value, the name that an error calls it by, its origin, and whether it came as text."""

    value: Any
    name: str
    origin: str
    is_text: bool = False

    def __repr__(self) -> str:
        return f"Setting({self.name}, from {self.origin})"  # its value may be a secret


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """What a config says. `origins` has where each value comes from: `accounts.shop.password`.

    `file` is the config file; None: there was none. `exposed` are the files that hold a secret and
    that others may read.
    """

    drivers: list[Any]
    options: dict[str, Any]
    default_account: str | None = None
    lang: str | None = None
    file: str | None = None
    exposed: tuple[str, ...] = ()
    origins: Mapping[str, str] = {}

    def __repr__(self) -> str:
        return f"Config({self.file or 'environment'})"


def wrap(options: dict[str, Any]) -> None:
    """Wrap in place what may hold a credential."""
    for name, wrapped in _WRAPPED.items():
        if options.get(name) is not None:
            options[name] = wrapped(options[name])


def read_options(found: Mapping[str, Setting]) -> dict[str, Any]:
    """Return the settings of a pool and of commands; UsageError names one that is wrong."""
    return {name: _read(name, setting) for name, setting in found.items()}


def _read(name: str, setting: Setting) -> Any:
    value = setting.value
    if name in ("deadline", "connect_timeout", "attempts") and setting.is_text:
        return _number(setting, float if name != "attempts" else int)
    if name == "webhook_key":
        _refuse_pair(setting)
    if name == "lang" and value not in ("en", "fr"):
        raise UsageError.field(setting.name, value, "en, fr")
    if name == "default_account" and coerce.text(value) is None:
        raise UsageError.field(setting.name, value, "the name of an account")
    wrapped = _WRAPPED.get(name)
    return wrapped(value) if wrapped else value


def _number(setting: Setting, kind: type[float] | type[int]) -> float | int:
    accepted = "a number above 0" if kind is float else "a whole number above 0"
    try:
        found = kind(setting.value)
    except ValueError:
        raise UsageError.field(setting.name, setting.value, accepted) from None
    if not 0 < found < float("inf"):
        raise UsageError.field(setting.name, setting.value, accepted)
    return found


def _refuse_pair(setting: Setting) -> None:
    """Refuse two keys with a comma between them: as one key they would make other URLs."""
    text = coerce.text(setting.value)
    parts = [] if text is None or text.startswith('["') else text.split(",")
    if len(parts) > 1 and all(len(part.strip()) >= _SHORTEST_KEY for part in parts):
        accepted = 'several as ["new…", "old…"], and one with a comma in it as ["…,…"]'
        raise UsageError.hidden(setting.name, accepted)
