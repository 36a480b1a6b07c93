"""Reads the environment: `PAYMUX_<ACCOUNT>__<FIELD>`, and `PAYMUX_<NAME>` for the pool."""

import re
from collections.abc import Collection, Mapping
from typing import Any

from ...errors import UsageError
from ...values.network import network_of
from .file import Found
from .references import References
from .settings import NETWORK, OF_COMMANDS, OF_POOL, Setting, read_options

_IN_FILES = ("webhook_key", "journal", "proxy")  # of the pool: what may hold a credential


def variables_of(
    environment: Mapping[Any, Any], references: References, known: Collection[str] = ()
) -> Found:
    """Return what the environment says; an empty variable is not set.

    `known` are the accounts of a file: a variable of such a one is its field. Variables have no
    "-" or "." in their names: `PAYMUX_MY_SHOP__PASSWORD` is of the account "my-shop".
    """
    names = _spelled(known)
    accounts: dict[str, dict[str, Setting]] = {}
    for variable, value in environment.items():
        spelled = variable if type(variable) is str else ""
        account, separator, field = spelled.removeprefix("PAYMUX_").partition("__")
        if not separator or not spelled.startswith("PAYMUX_"):
            continue
        name, field = names.get(_plain(account), account.lower()), field.lower()
        fields = accounts.setdefault(name, {})
        if field in fields:
            raise UsageError.field(spelled, "***", f"only one of it and {fields[field].name}")
        fields[field] = Setting(value, spelled, spelled, is_text=True)
    settings = _settings(environment, references)
    _check_network(settings)
    return Found(settings, accounts)


def prefix_of(account: str) -> str:
    """Return how the variables of an account begin."""
    return f"PAYMUX_{re.sub('[^A-Z0-9_]', '_', account.upper())}__"


def _plain(name: str) -> str:
    return re.sub("[^A-Z0-9]", "_", name.upper())


def _spelled(known: Collection[str]) -> dict[str, str]:
    names: dict[str, str] = {}
    for name in known:
        if type(name) is not str:
            continue
        if (other := names.get(_plain(name))) is not None:
            accepted = f"names that differ from accounts.{other} in more than capitals and marks"
            raise UsageError.field(f"accounts.{name}", name, accepted)
        names[_plain(name)] = name
    return names


def _settings(environment: Mapping[Any, Any], references: References) -> dict[str, Setting]:
    settings = {}
    for name in sorted(OF_POOL | OF_COMMANDS):
        variable = f"PAYMUX_{name.upper()}"
        place = f"{variable}_FILE"
        value, file = environment.get(variable) or None, environment.get(place) or None
        if name == "lang":
            continue  # it is read as a locale is: other words than a config's are no error
        if value is not None and file is not None and name in _IN_FILES:
            raise UsageError.field(place, "***", f"only one of it and {variable}")
        if value is not None:
            settings[name] = Setting(value, variable, variable, is_text=True)
        elif file is not None and name in _IN_FILES:
            settings[name] = references.of_file(Setting(None, place, place), file)
    return settings


def _check_network(settings: Mapping[str, Setting]) -> None:
    """Check the variables of the pool's own connections, as an error is to name the variable."""
    own = {name: settings[name] for name in NETWORK if name in settings}
    values = read_options(own)
    try:
        network_of(values.get("proxy"), values.get("tls"), values.get("local_address"))
    except UsageError as error:
        raise error.renamed(f"PAYMUX_{str(error.name).upper()}") from None
