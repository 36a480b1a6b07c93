"""Accounts from a TOML file, a mapping or the environment; errors name the wrong field."""

import os
from collections.abc import Callable, Mapping
from os import PathLike
from pathlib import Path
from typing import Any, TypeAlias

import msgspec

from ..drivers import load
from ..drivers.base import Driver
from ..errors import UsageError
from ..primitives import coerce
from ..primitives.redaction import as_place, as_secret, as_secrets, shown
from ..values.network import network_of
from ..values.validation import NAME_PATTERN, checked_path

MAX_FILE_BYTES = 1 << 20  # bytes of a config; real ones need a hundredth of it

_NETWORK = ("proxy", "tls", "local_address")
_POOL = frozenset(
    {
        "deadline",
        "connect_timeout",
        "attempts",
        "journal",
        "webhook_base",
        "webhook_key",
        "reconcile",
        *_NETWORK,
    }
)
# What may hold a credential, and what wraps it.
_WRAPPED: Mapping[str, Callable[[Any], object]] = {
    "proxy": as_secret,
    "webhook_key": as_secrets,
    "journal": as_place,
}
_WORDS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}


Loaded: TypeAlias = tuple[list[Driver], dict[str, Any]] | UsageError


def from_mapping(
    config: Mapping[str, Any] | str | PathLike[str], options: dict[str, Any] | None = None
) -> Loaded:
    """Read `[accounts.<name>]` tables and the settings of the pool, at the top of the file.

    Several keys are a list there, too: `webhook_key = ["new…", "old…"]`.

    An error is returned and not raised: the frames here hold credentials, and a traceback shows
    frames. The `options` of a caller that may hold a credential are wrapped in place.
    """
    _wrap({} if options is None else options)
    try:
        return _from_mapping(config)
    except UsageError as error:
        return error.renamed(error.name)


def from_environment(
    environment: Mapping[str, str] | None = None, options: dict[str, Any] | None = None
) -> Loaded:
    """Read `PAYMUX_<ACCOUNT>__<FIELD>` variables; account and field are lower-cased.

    `PAYMUX_JOURNAL`, `PAYMUX_WEBHOOK_BASE`, `PAYMUX_WEBHOOK_KEY` (one key, or several as
    `["new…", "old…"]`), `PAYMUX_PROXY`, `PAYMUX_TLS` and `PAYMUX_LOCAL_ADDRESS` are settings of
    the pool.
    """
    _wrap({} if options is None else options)
    try:
        return _from_environment(os.environ if environment is None else environment)
    except UsageError as error:
        return error.renamed(error.name)


def _from_mapping(config: object) -> tuple[list[Driver], dict[str, Any]]:
    tables = coerce.mapping(config)
    if tables is None:
        tables = _file(config)
    accounts = coerce.mapping(tables.get("accounts"))
    if not accounts:
        raise UsageError.missing(
            "accounts", "the config needs an [accounts.<name>] table for each account"
        )
    options = {name: value for name, value in tables.items() if name != "accounts"}
    for name in options:
        if name not in _POOL:
            raise UsageError.field("config", name, ", ".join(sorted({"accounts", *_POOL})))
    _wrap(options)
    drivers = []
    for account, fields in accounts.items():
        table = _Table(checked_account(account))
        drivers.append(_driver(table, fields))
    return drivers, options


def _wrap(options: dict[str, Any]) -> None:
    for name, wrap in _WRAPPED.items():
        if options.get(name) is not None:
            options[name] = wrap(options[name])


def _file(config: object) -> dict[str, Any]:
    import tomllib  # noqa: PLC0415 - loaded only to read a file

    path = Path(checked_path("config", config))
    try:
        if path.exists() and not path.is_file():
            raise OSError(f"{path} is no file")
        if path.stat().st_size > MAX_FILE_BYTES:
            raise OSError(f"{path} is larger than {MAX_FILE_BYTES} bytes")
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        why = str(error)
    raise UsageError(
        f"config: {why}",
        name="config",
        value=shown(str(path)),
        accepted="a mapping, or a TOML file",
    )


def _from_environment(environment: object) -> tuple[list[Driver], dict[str, Any]]:
    variables = coerce.mapping(dict(os.environ) if environment is os.environ else environment)
    if variables is None:
        raise UsageError.field("environment", environment, "a mapping of text to text")
    tables: dict[str, _Variables] = {}
    accounts: dict[str, dict[str, Any]] = {}
    for spelled, value in variables.items():
        account, separator, field = (
            (spelled if type(spelled) is str else "").removeprefix("PAYMUX_").partition("__")
        )
        if not separator or not spelled.startswith("PAYMUX_"):
            continue
        table = tables.setdefault(
            account.lower(), _Variables(account.lower(), f"PAYMUX_{account}__")
        )
        if field.lower() in table.spelled:
            raise UsageError.field(
                spelled, "***", f"only one of it and {table.spelled[field.lower()]}"
            )
        table.spelled[field.lower()] = spelled
        accounts.setdefault(account.lower(), {})[field.lower()] = value
    if not accounts:
        raise UsageError.missing("PAYMUX_<ACCOUNT>__DRIVER", "no account is set in the environment")
    options = {**_own(variables), **_network(variables)}
    return [_driver(table, accounts[account]) for account, table in tables.items()], options


def _own(variables: Mapping[Any, Any]) -> dict[str, Any]:
    """Read the variables of the journal and the callback URLs; an empty one is not set."""
    names = ("journal", "webhook_base", "webhook_key")
    found = {name: variables.get(f"PAYMUX_{name.upper()}") or None for name in names}
    _wrap(found)
    return {name: value for name, value in found.items() if value is not None}


def _network(variables: Mapping[Any, Any]) -> dict[str, Any]:
    """Read and check the variables of the pool's own connections; an empty one is not set."""
    named = {name: variables.get(f"PAYMUX_{name.upper()}") or None for name in _NETWORK}
    proxy = named["proxy"] = as_secret(named["proxy"])
    try:
        network_of(proxy, named["tls"], named["local_address"])
    except UsageError as error:
        raise error.renamed(f"PAYMUX_{str(error.name).upper()}") from None
    return {name: value for name, value in named.items() if value is not None}


class _Table:
    """The names of an account's fields, as in a file."""

    reads_text = False

    def __init__(self, account: str) -> None:
        self.account = account

    def name(self, field: str) -> str:
        """Return a field's name as it is written in the configuration."""
        return f"accounts.{self.account}.{field}".rstrip(".")


class _Variables(_Table):
    """The names of an account's fields, as in the environment."""

    reads_text = True

    def __init__(self, account: str, prefix: str) -> None:
        super().__init__(account)
        self._prefix = prefix
        self.spelled: dict[str, str] = {}

    def name(self, field: str) -> str:
        """Return a field's variable as spelled there; a missing one in its usual spelling."""
        return self.spelled.get(field) or f"{self._prefix}{field.upper()}"


def _typed(field: msgspec.structs.FieldInfo, value: object) -> object:
    """Convert a variable to its field's type; if that is impossible, the driver refuses it."""
    said = coerce.text(value)
    if said is None:
        return value
    if field.type is bool:
        return _WORDS.get(said.lower(), value) if len(said) < 10 else value
    return (
        int(said)
        if field.type is int and said.isascii() and said.isdigit() and len(said) < 10
        else value
    )


def checked_account(account: object) -> str:
    """Check the name of an account."""
    found = coerce.text(account)
    if found is None or not NAME_PATTERN.fullmatch(found):
        raise UsageError.field("account", account, "a string of 1 to 64 of A-Z a-z 0-9 . _ -")
    return found


def _driver(table: _Table, fields: object) -> Driver:
    given = coerce.mapping(fields)
    if given is None:
        raise UsageError.field(table.name(""), fields, "a table")
    given = dict(given)
    name = coerce.text(given.pop("driver", None))
    if name is None:
        raise UsageError.missing(table.name("driver"), "the name of a driver, such as campay")
    driver = load(name)
    known = {field.name: field for field in msgspec.structs.fields(driver)}
    for field in given:
        if field not in known or field == "account":
            accepted = ", ".join(sorted(set(known) - {"account"}))
            said = coerce.text(field) or "…"
            raise UsageError(
                f"{table.name(said)}: unknown; {name} has {accepted}",
                name=table.name(said),
                accepted=accepted,
            )
    for field, value in given.items():
        if table.reads_text:
            given[field] = _typed(known[field], value)
        elif type(value) is int and known[field].type is not int:
            given[field] = str(value)  # a shortcode or a site id is often written as a number
    try:
        return driver(account=table.account, **given)
    except UsageError as error:
        field = error.name or str(error).partition(":")[0]
        raise error.renamed(table.name(field)) from None
