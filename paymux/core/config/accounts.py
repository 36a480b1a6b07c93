"""Makes the driver of each account from its fields; errors name the wrong field."""

from collections.abc import Mapping
from typing import Any

import msgspec

from ...drivers import load
from ...drivers.base import Driver
from ...errors import UsageError
from ...primitives import coerce
from ...values.validation import NAME_PATTERN
from .references import References
from .settings import Setting

_WORDS = {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}
_FILE = "_file"  # the end of a variable that names the file of a value


def checked_account(account: object) -> str:
    """Check the name of an account."""
    found = coerce.text(account)
    if found is None or not NAME_PATTERN.fullmatch(found):
        raise UsageError.field("account", account, "a string of 1 to 64 of A-Z a-z 0-9 . _ -")
    return found


def driver_of(
    account: str, fields: dict[str, Setting], prefix: str, references: References
) -> tuple[Driver, dict[str, Setting]]:
    """Make the driver of an account; also return its fields, those in files read.

    `prefix` stands before a field in the name of one that is missing: `accounts.shop.`.
    """

    def named(field: str) -> str:
        found = fields.get(field)
        upper = field.upper() if prefix.startswith("PAYMUX_") else field
        return found.name if found else f"{prefix}{upper}"

    given = dict(fields)
    setting = given.pop("driver", None)
    name = coerce.text(setting.value) if setting else None
    if name is None:
        raise UsageError.missing(named("driver"), "the name of a driver, such as campay")
    driver = load(name)
    known = {field.name: field for field in msgspec.structs.fields(driver)}
    given = _with_files(given, known, references)
    values = _values(given, known, name)
    fields = {**given, "driver": setting} if setting else given
    try:
        return driver(account=account, **values), fields
    except UsageError as error:
        raise error.renamed(named(error.name or str(error).partition(":")[0])) from None


def _with_files(
    given: dict[str, Setting], known: Mapping[str, Any], references: References
) -> dict[str, Setting]:
    """Read the files that variables such as `PAYMUX_SHOP__PASSWORD_FILE` name."""
    found = {}
    for field, setting in given.items():
        base = str(field).removesuffix(_FILE)
        if field in known or base == field or base not in known or not setting.is_text:
            found[field] = setting
            continue
        if base in given and given[base].origin.startswith("PAYMUX_"):
            raise UsageError.field(setting.name, "***", f"only one of it and {given[base].name}")
        found[base] = references.of_file(setting, coerce.text(setting.value) or "")
    return found


def _values(given: Mapping[str, Setting], known: Mapping[str, Any], driver: str) -> dict[str, Any]:
    """Check that the driver has these fields, and convert them to its types."""
    values: dict[str, Any] = {}
    for field, setting in given.items():
        if field not in known or field == "account":
            accepted = ", ".join(sorted(set(known) - {"account"}))
            said = setting.name if coerce.text(field) else "…"
            raise UsageError(
                f"{said}: unknown; {driver} has {accepted}", name=said, accepted=accepted
            )
        value = setting.value
        if setting.is_text:
            value = _typed(known[field], value)
        elif type(value) is int and known[field].type is not int:
            value = str(value)  # a shortcode or a site id is often written as a number
        values[field] = value
    return values


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
