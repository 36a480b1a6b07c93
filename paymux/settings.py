"""Accounts from a TOML file, a mapping or the environment; a missing or wrong field names itself."""

import os
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any, TypeAlias

import msgspec

from .drivers import load
from .drivers.base import Driver
from .errors import UsageError

_POOL = frozenset({"deadline", "connect_timeout", "attempts", "webhook_base", "webhook_key"})
_WORDS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


Found: TypeAlias = tuple[list[Driver], dict[str, Any]] | UsageError


def from_mapping(config: Mapping[str, Any] | str | PathLike[str]) -> Found:
    """Read `[accounts.<name>]` tables and the pool's own settings.

    An error is given and not raised: the frames here hold credentials, and an error shows its frames.
    """
    try:
        return _from_mapping(config)
    except UsageError as error:
        return UsageError(str(error))


def from_environment(environment: Mapping[str, str] | None = None) -> Found:
    """Read `PAYMUX_<ACCOUNT>__<FIELD>` variables; account and field are lower-cased."""
    try:
        return _from_environment(os.environ if environment is None else environment), {}
    except UsageError as error:
        return UsageError(str(error))


def _from_mapping(config: Mapping[str, Any] | str | PathLike[str]) -> tuple[list[Driver], dict[str, Any]]:
    if not isinstance(config, Mapping):
        import tomllib  # noqa: PLC0415 - only whoever has a file pays for it

        try:
            config = tomllib.loads(Path(config).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise UsageError(f"config: {error}") from None
    accounts = config.get("accounts")
    if not isinstance(accounts, Mapping) or not accounts:
        raise UsageError("accounts: missing; the config needs an [accounts.<name>] table for each account")
    options = {name: value for name, value in config.items() if name != "accounts"}
    for name in options:
        if name not in _POOL:
            raise UsageError.field("config", name, ", ".join(sorted({"accounts", *_POOL})))
    return [_driver(account, fields, f"accounts.{account}.") for account, fields in accounts.items()], options


def _from_environment(environment: Mapping[str, str]) -> list[Driver]:
    accounts: dict[str, dict[str, Any]] = {}
    for name, value in environment.items():
        account, separator, field = name.removeprefix("PAYMUX_").lower().partition("__")
        if name.startswith("PAYMUX_") and separator:
            accounts.setdefault(account, {})[field] = value
    if not accounts:
        raise UsageError("PAYMUX_<ACCOUNT>__DRIVER: missing; no account is set in the environment")
    return [_driver(account, fields, f"PAYMUX_{account.upper()}__") for account, fields in accounts.items()]


def _typed(field: msgspec.structs.FieldInfo, value: str) -> object:
    """Read a variable as what its field holds; what cannot be read is left for the driver to refuse."""
    if field.type is bool:
        return _WORDS.get(value.lower(), value)
    return int(value) if field.type is int and value.isascii() and value.isdigit() else value


def _driver(account: str, fields: object, prefix: str) -> Driver:
    env = prefix.endswith("__")
    if not isinstance(fields, Mapping):
        raise UsageError(f"{prefix.rstrip('.')}: not a table")
    given = dict(fields)
    name = given.pop("driver", None)
    if not isinstance(name, str):
        raise UsageError(f"{prefix}{'DRIVER' if env else 'driver'}: missing")
    driver = load(name)
    known = {field.name: field for field in msgspec.structs.fields(driver)}
    for field in given:
        if field not in known or field == "account":
            accepted = ", ".join(sorted(set(known) - {"account"}))
            raise UsageError(f"{prefix}{field.upper() if env else field}: unknown; {name} has {accepted}")
    for field, value in given.items():
        if env:
            given[field] = _typed(known[field], value)
        elif type(value) is int and known[field].type is not int:
            given[field] = str(value)  # a shortcode or a site id is easily written as a number
    try:
        return driver(account=account, **given)
    except UsageError as error:
        raise UsageError(f"{prefix}{error}") from None
