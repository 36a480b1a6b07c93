"""What `paymux doctor` looks at: a configuration as it is written, however wrong it is."""

import re
import tomllib
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec

from ... import core
from ...drivers import load
from ...drivers.base import Driver
from ...errors import UsageError
from ...primitives import coerce
from ...values.credentials import secret_fields
from .mending import Place

# The settings of a pool that a variable may have: PAYMUX_JOURNAL and so on.
_POOL = frozenset(
    {"journal", "webhook_base", "webhook_key", "proxy", "tls", "local_address", "deadline"}
)
_LINE = re.compile(r"at line (\d+)")


class Setup:
    """A configuration, its environment, and what could be made of both."""

    def __init__(
        self,
        path: Path | None,
        environment: Mapping[str, str],
        *,
        only: tuple[str, ...] = (),
        offline: bool = False,
    ) -> None:
        self.path = path
        self.environment = environment
        self.offline = offline
        self.mounts: str | None = None  # the mounts of this machine, as a test sets them
        self.unread = ""  # why the file could not be read; "": it could, or there is none
        self.secret_files: list[Path] = []  # that hold a value of the configuration
        self.line = 0  # the line that could not be read
        tables = {} if path is None else self._read(path)
        self._variables: dict[tuple[str, str], str] = {}  # what is in the environment, and where
        self.accounts: dict[str, dict[str, Any]] = _accounts(tables)
        self.options = {name: value for name, value in tables.items() if name != "accounts"}
        # What is written in the file, by its name; a reference to another place is no text.
        self._written = {
            **{name: value for name, value in self.options.items() if isinstance(value, str)},
            **{
                f"{account}.{name}": value
                for account, fields in self.accounts.items()
                for name, value in fields.items()
            },
        }
        self._take_variables()
        if only:
            self.accounts = {name: self.accounts[name] for name in only if name in self.accounts}

    @cached_property
    def drivers(self) -> dict[str, Driver | UsageError]:
        """Return the driver of each account, or why there is none; unknown fields are left out."""
        return {account: self._driver(account) for account in self.accounts}

    @property
    def whole(self) -> dict[str, Driver]:
        """Return the accounts that could be made."""
        return {name: one for name, one in self.drivers.items() if isinstance(one, Driver)}

    def kind(self, account: str) -> type[Driver] | None:
        """Return the class of an account's driver; None: no such driver is named."""
        name = coerce.text(self.accounts[account].get("driver"))
        try:
            return None if name is None else load(name)
        except UsageError:
            return None

    def known(self, account: str) -> dict[str, msgspec.structs.FieldInfo]:
        """Return the fields that an account may have."""
        kind = self.kind(account)
        fields = () if kind is None else msgspec.structs.fields(kind)
        return {field.name: field for field in fields if field.name != "account"}

    def secrets(self, account: str) -> tuple[str, ...]:
        """Return the names of an account's fields that hold a credential."""
        kind = self.kind(account)
        return () if kind is None else secret_fields(kind)

    @property
    def holds_secret(self) -> bool:
        """Return whether a credential is written in the file itself."""
        if any(name in self._written for name in ("webhook_key", "proxy", "journal")):
            return True
        return any(
            isinstance(self._written.get(f"{account}.{name}"), str)
            for account in self.accounts
            for name in self.secrets(account)
        )

    def place(self, key: str, account: str = "") -> Place:
        """Return where a setting stands, or would."""
        found = self._variables.get((account, key))
        usual = f"PAYMUX_{account.upper()}__{key.upper()}" if account else f"PAYMUX_{key.upper()}"
        table = f"accounts.{account}" if account else ""
        path = None if found else self.path
        return Place(variable=found or usual, key=key, table=table, path=path)

    def _read(self, path: Path) -> dict[str, Any]:
        try:
            return tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            self.unread = error.strerror or type(error).__name__
        except tomllib.TOMLDecodeError as error:
            self.unread, found = str(error), _LINE.search(str(error))
            self.line = int(found[1]) if found else 1
        except (ValueError, RecursionError) as error:
            self.unread, self.line = type(error).__name__, 1
        return {}

    def _take_variables(self) -> None:
        for spelled, value in self.environment.items():
            account, separator, field = spelled.removeprefix("PAYMUX_").partition("__")
            name = field.lower()
            if not spelled.startswith("PAYMUX_") or not account:
                continue
            if separator:
                name, given = _of_file(name, value)
                self.accounts.setdefault(account.lower(), {})[name] = given
                self._variables[account.lower(), name] = spelled
            elif account.lower() in _POOL and value:
                self.options[account.lower()] = value
                self._variables["", account.lower()] = spelled
        for fields in self.accounts.values():
            fields.update({name: self._resolved(value) for name, value in fields.items()})
        self.options = {name: self._resolved(value) for name, value in self.options.items()}

    def _resolved(self, value: object) -> object:
        """Return what `{ env = "NAME" }` and `{ file = "PATH" }` stand for; "": nothing."""
        if isinstance(value, dict) and value.keys() == {"env"}:
            return self.environment.get(str(value["env"]), "")
        if isinstance(value, dict) and value.keys() == {"file"}:
            beside = Path() if self.path is None else self.path.parent
            path = beside / str(value["file"])
            try:
                told = path.read_text(encoding="utf-8").strip()
                self.secret_files.append(path)
                return told
            except (OSError, ValueError):
                return ""
        return value

    def _driver(self, account: str) -> Driver | UsageError:
        known = {"driver", *self.known(account)}
        fields = {name: value for name, value in self.accounts[account].items() if name in known}
        for name, value in fields.items():
            if (account, name) in self._variables and name != "driver":
                fields[name] = _typed(self.known(account)[name].type, value)
        found = core.from_mapping({"accounts": {account: fields}})
        return found if isinstance(found, UsageError) else found.drivers[0]


def _of_file(name: str, value: str) -> tuple[str, object]:
    """Read `…__FIELD_FILE`, which names the file of the field's value."""
    if name.endswith("_file"):
        return name.removesuffix("_file"), {"file": value}
    return name, value


def _typed(type: object, value: object) -> object:
    """Return the text of a variable as a field takes it; what is none, the driver refuses."""
    said = coerce.text(value) or ""
    if type is bool:
        return {"true": True, "1": True, "false": False, "0": False}.get(said.lower(), value)
    return int(said) if type is int and said.isdecimal() and len(said) < 10 else value


def _accounts(tables: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    found = tables.get("accounts")
    if not isinstance(found, dict):
        return {}
    return {name: dict(fields) for name, fields in found.items() if isinstance(fields, dict)}
