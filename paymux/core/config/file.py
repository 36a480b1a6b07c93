"""Reads a config file: its tables, each value with its place."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ...errors import UsageError
from ...primitives import coerce
from ...primitives.redaction import shown
from .location import check_writers
from .references import References
from .settings import OF_COMMANDS, OF_POOL, TABLES, Setting

MAX_FILE_BYTES = 1 << 20  # bytes of a config; real ones need a hundredth of it


class Found(NamedTuple):
    """The settings and the fields of each account, before they are checked."""

    settings: dict[str, Setting]
    accounts: dict[str, dict[str, Setting]]

    def __repr__(self) -> str:
        return "Found()"  # it holds credentials


def read_file(path: Path) -> dict[str, Any]:
    """Read a TOML file that no other user may write."""
    import tomllib  # noqa: PLC0415 - loaded only to read a file

    try:
        if path.exists() and not path.is_file():
            raise OSError(f"{path} is no file")
        if path.stat().st_size > MAX_FILE_BYTES:
            raise OSError(f"{path} is larger than {MAX_FILE_BYTES} bytes")
        check_writers(path)
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except UsageError:
        raise
    except UnicodeDecodeError:
        why = f"{path} is not UTF-8"
    except (OSError, ValueError, RecursionError) as error:
        said = error.strerror if isinstance(error, OSError) else None
        why = f"{path}: {said}" if said else str(error)
        why = why if str(path) in why else f"{path}: {why}"
    raise UsageError(
        f"config: {why}",
        name="config",
        value=shown(str(path)),
        accepted="a mapping, or a TOML file",
    )


def found_in(tables: Mapping[Any, Any], origin: str, references: References) -> Found:
    """Take a config apart into its settings and its accounts."""
    accounts = coerce.mapping(tables.get("accounts", {}))
    if accounts is None:
        raise UsageError.field("accounts", tables["accounts"], "[accounts.<name>] tables")
    settings = {}
    for name, value in tables.items():
        if name in TABLES:
            continue
        if name not in OF_POOL | OF_COMMANDS:
            accepted = ", ".join(sorted({*OF_POOL, *OF_COMMANDS, *TABLES}))
            raise UsageError.field("config", name, accepted)
        settings[name] = references.resolved(Setting(value, name, origin))
    if "reconcile" in tables:
        kept = _checked_reconcile(tables["reconcile"])
        settings["reconcile"] = Setting(kept, "reconcile", origin)
    found: dict[str, dict[str, Setting]] = {}
    for account, given in accounts.items():
        fields = coerce.mapping(given)
        named = account if type(account) is str else "…"
        if fields is None:
            raise UsageError.field(f"accounts.{named}", given, "a table")
        found[account] = {
            field: references.resolved(Setting(value, f"accounts.{named}.{field}", origin))
            for field, value in fields.items()
        }
    return Found(settings, found)


def _checked_reconcile(given: object) -> dict[Any, Any]:
    tables = coerce.mapping(given)
    if tables is None or any(coerce.mapping(one) is None for one in tables.values()):
        raise UsageError.field("reconcile", given, "[reconcile.<account>] tables")
    return tables
