"""Makes a Config of a mapping, a file or the environment, or of the file that is in use.

An error is returned and not raised: the frames here hold credentials, and a traceback shows
frames. The `options` of a caller that may hold a credential are wrapped in place.
"""

import os
from collections.abc import Callable, Mapping
from os import PathLike
from pathlib import Path
from typing import Any, TypeAlias

from ...drivers.base import Driver
from ...errors import UsageError
from ...primitives import coerce
from ...primitives.coerce import is_a
from ...primitives.redaction import Secret, as_place, shown
from ...values.credentials import secret_fields
from .accounts import checked_account, driver_of
from .file import Found, found_in, read_file
from .location import config_file, is_exposed, usual_places
from .references import References
from .settings import OF_COMMANDS, Config, Setting, read_options, wrap
from .variables import prefix_of, variables_of

Loaded: TypeAlias = Config | UsageError


def from_mapping(
    config: Mapping[str, Any] | str | PathLike[str], options: dict[str, Any] | None = None
) -> Loaded:
    """Read `[accounts.<name>]` tables and the settings at the top, of a mapping or a file.

    Several keys are a list there, too: `webhook_key = ["new…", "old…"]`. The environment is read
    only where a value says so.
    """
    return _loaded(lambda: _from_mapping(config), options)


def from_environment(
    environment: Mapping[str, str] | None = None, options: dict[str, Any] | None = None
) -> Loaded:
    """Read `PAYMUX_<ACCOUNT>__<FIELD>` variables; account and field are lower-cased.

    `PAYMUX_<NAME>` is a setting of the pool: PAYMUX_JOURNAL, PAYMUX_DEADLINE. Several keys are
    `["new…", "old…"]`. `…_FILE` names the file that has the value.
    """
    return _loaded(lambda: _from_environment(environment), options)


def from_place(given: object = None, options: dict[str, Any] | None = None) -> Loaded:
    """Read the config in use: a named file, or the first one found, then the environment.

    A variable overrides the single field; with no file the environment is enough.
    """
    return _loaded(lambda: _from_place(given), options)


def _loaded(read: Callable[[], Config], options: dict[str, Any] | None) -> Loaded:
    wrap({} if options is None else options)
    try:
        return read()
    except UsageError as error:
        return error.renamed(error.name)


def _from_mapping(config: object) -> Config:
    tables, path = coerce.mapping(config), None
    if tables is None:
        path = config_file(config)
        assert path is not None  # noqa: S101 - it is given
        tables = read_file(path)
    references = References(path.parent if path else Path(), os.environ)
    found = found_in(tables, "mapping" if path is None else str(path), references)
    if not found.accounts:
        said = "the config needs an [accounts.<name>] table for each account"
        raise UsageError.missing("accounts", said)
    return _made(found, references, path)


def _from_environment(environment: object) -> Config:
    variables = _variables(environment)
    references = References(Path(), variables)
    found = variables_of(variables, references)
    if not found.accounts:
        raise UsageError.missing("PAYMUX_<ACCOUNT>__DRIVER", "no account is set in the environment")
    return _made(found, references)


def _from_place(given: object) -> Config:
    found, references, path = merged(given)
    if not found.accounts and path:
        raise UsageError.missing("accounts", f"{path} needs an [accounts.<name>] table for each")
    if not found.accounts:
        looked = " or ".join(map(str, usual_places()))
        accepted = f"no account is set in the environment, and there is no {looked}"
        raise UsageError.missing("PAYMUX_<ACCOUNT>__DRIVER", accepted)
    return _made(found, references, path)


def merged(given: object = None) -> tuple[Found, References, Path | None]:
    """Return the settings of the config in use, the variables before those of the file."""
    path, variables = config_file(given), _variables(os.environ)
    references = References(path.parent if path else Path(), variables)
    kept = found_in(read_file(path), str(path), references) if path else Found({}, {})
    said = variables_of(variables, references, kept.accounts)
    accounts = dict(kept.accounts)
    for name, fields in said.accounts.items():
        below = accounts.get(name, {})
        # An empty variable takes nothing away.
        over = {field: one for field, one in fields.items() if one.value or field not in below}
        accounts[name] = {**below, **over}
    return Found({**kept.settings, **said.settings}, accounts), references, path


def named_journal(given: object = None) -> object:
    """Return the journal that the config in use names, without need of an account; or None."""
    try:
        found, _, _ = merged(given)
    except UsageError as error:
        failed = error.renamed(error.name)
    else:
        setting = found.settings.get("journal")
        return None if setting is None else as_place(setting.value)
    raise failed


def named_accounts(given: object = None) -> dict[str, str]:
    """Return the driver of each account of the config in use, by name, without its credentials.

    What a value refers to is not read, so it need not be there.
    """
    try:
        path = config_file(given)
        tables = coerce.mapping(read_file(path).get("accounts")) if path else None
    except UsageError as error:
        failed = error.renamed(error.name)
    else:
        drivers = {name: coerce.mapping(one) or {} for name, one in (tables or {}).items()}
        found = {name: coerce.text(one.get("driver")) for name, one in drivers.items()}
        for variable, value in _variables(os.environ).items():
            account, _, field = variable.removeprefix("PAYMUX_").partition("__")
            if variable.startswith("PAYMUX_") and field == "DRIVER":
                found.setdefault(account.lower(), value)
        return {name: driver for name, driver in found.items() if driver}
    raise failed


def _variables(environment: object) -> dict[Any, Any]:
    given = os.environ if environment is None else environment
    # os.environ is copied at once: another thread may change it meanwhile.
    variables = coerce.mapping(dict(os.environ) if given is os.environ else given)
    if variables is None:
        raise UsageError.field("environment", environment, "a mapping of text to text")
    return variables


def _made(found: Found, references: References, path: Path | None = None) -> Config:
    drivers: list[Driver] = []
    origins, secret = {}, False
    for account, fields in found.accounts.items():
        in_file = any(setting.name.startswith("accounts.") for setting in fields.values())
        name = checked_account(account)
        prefix = f"accounts.{account}." if in_file or not fields else _prefix(fields, name)
        driver, read = driver_of(name, fields, prefix, references)
        drivers.append(driver)
        secrets = secret_fields(type(driver))
        for field, setting in read.items():
            origins[f"accounts.{account}.{field}"] = setting.origin
            secret = secret or (field in secrets and _in(path, setting))
    options = read_options(found.settings)
    origins.update({name: setting.origin for name, setting in found.settings.items()})
    wrapped = [name for name in options if name == "webhook_key" or is_a(options[name], Secret)]
    secret = secret or any(_in(path, found.settings[name]) for name in wrapped)
    exposed = [str(path)] if path and secret and is_exposed(path) else []
    _refuse_live(drivers)
    kept = {name: options.pop(name) for name in OF_COMMANDS if name in options}
    default = kept.get("default_account")
    if default is not None and default not in found.accounts:
        name = found.settings["default_account"].name
        raise UsageError.field(name, default, ", ".join(map(shown, sorted(found.accounts))))
    return Config(
        drivers=drivers,
        options=options,
        file=None if path is None else str(path),
        exposed=(*exposed, *references.exposed),
        origins=origins,
        **kept,
    )


def _refuse_live(drivers: list[Driver]) -> None:
    """Refuse a live account where the simulator is meant: also in a file that a program names."""
    live = [driver.account for driver in drivers if not driver.rehearsing]
    if live and os.environ.get("PAYMUX_SIMULATOR"):
        said = "a live account is refused while PAYMUX_SIMULATOR is set; accepted: unset it first"
        raise UsageError(f"live: {live[0]}: {said}", name="live", value="True", accepted="False")


def _in(path: Path | None, setting: Setting) -> bool:
    return path is not None and setting.origin == str(path)


def _prefix(fields: Mapping[str, Setting], account: str) -> str:
    """Return how the variables of an account begin, as they are spelled there."""
    for setting in fields.values():
        if "__" in setting.name:
            return f"{setting.name.partition('__')[0]}__"
    return prefix_of(account)
