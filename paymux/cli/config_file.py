"""Writes a config file: a new one with comments, and a secret into one that exists."""

import textwrap
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import msgspec
import tomlkit

from ..core import checked_account, config_file, read_file
from ..drivers import load, names
from ..drivers.base import Driver
from ..errors import UsageError
from ..primitives import coerce
from ..simulator.providers import load as load_simulator
from ..values.credentials import secret_fields
from .exits import Exit
from .failures import Failed, Hint
from .whole_file import write_whole

_HEAD = """\
# Settings of paymux. `paymux doctor` says what is wrong with them, `paymux config show` what is
# used. A value may stand elsewhere: { env = "NAME" } or { file = "PATH" }; the variable
# PAYMUX_<ACCOUNT>__<FIELD> goes before it.

journal = "payments.db"  # what was sent is known after a crash, too; or a postgresql:// URL
# webhook_base = "https://shop.example/pay"  # the public address of your Webhooks
# webhook_key = { file = "webhook_key.secret" }  # at least 16 characters, of your own
# default_account = "{first}"
"""


def commented(drivers: Iterable[str]) -> str:
    """Return a new config with an account for each driver; UsageError: there is no such driver."""
    chosen = list(drivers) or ["campay"]
    for name in chosen:
        if name not in names():
            raise UsageError.field("driver", name, ", ".join(names()))
    accounts = [_account(name) for name in dict.fromkeys(chosen)]
    return _HEAD.replace("{first}", chosen[0]) + "".join(accounts)


def _account(name: str) -> str:
    driver = load(name)
    needed = set(load_simulator(name).credentials)
    secrets = secret_fields(driver)
    about = (driver.__doc__ or "").strip().partition("\n")[0]
    lines = ["", f"[accounts.{name}]", *textwrap.wrap(f"# {about}", 98, subsequent_indent="# ")]
    lines += [f'driver = "{name}"', "live = false  # true: real money"]
    for field in msgspec.structs.fields(driver):
        if field.name in ("account", "live"):
            continue
        line = f"{field.name} = {tomlkit.item(_default(field)).as_string()}"
        if field.name in secrets:
            line += f"  # a secret; or: paymux config set-secret {name} {field.name}"
        lines.append(line if field.name in needed else f"# {line}")
    return "\n".join([*lines, ""])


def _default(field: msgspec.structs.FieldInfo) -> Any:
    plain = isinstance(field.default, str | int | bool | float)
    return field.default if plain else ""


def keep_secret(config: str | None, account: str, field: str, secret: str) -> Path:
    """Write a secret to a file of its own, and its path to the config; return the file.

    Both have mode 0600 afterwards. The rest of the config, its comments too, stays as it is.
    """
    path = config_file(config)
    if path is None or not path.is_file():
        hints = [Hint("paymux config init", "writes one")]
        raise Failed("config: there is no file", Exit.USAGE, hints=hints)
    tables = read_file(path)
    _check(tables, account, field)
    document = tomlkit.parse(path.read_text(encoding="utf-8"))
    table: Any = document if account == "-" else document["accounts"][account]
    name = f"{field}.secret" if account == "-" else f"{account}.{field}.secret"
    kept = path.parent / name
    write_whole(kept, f"{secret}\n")
    value = tomlkit.inline_table()
    value["file"] = name
    table[field] = value
    write_whole(path, tomlkit.dumps(document))
    return kept


def _check(tables: dict[str, Any], account: str, field: str) -> None:
    if account == "-":
        if field != "webhook_key":
            raise UsageError.field("field", field, "webhook_key")
        return
    checked_account(account)  # it becomes the name of a file
    accounts = coerce.mapping(tables.get("accounts", {})) or {}
    found = coerce.mapping(accounts.get(account))
    if found is None:
        raise UsageError.field("account", account, ", ".join(sorted(accounts)) or "-")
    driver: type[Driver] = load(coerce.text(found.get("driver")) or "")
    if field not in secret_fields(driver):
        raise UsageError.field("field", field, ", ".join(secret_fields(driver)))
