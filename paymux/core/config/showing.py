"""The settings of the config in use, as a person may see them: of a secret how long it is."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from ...drivers import load
from ...errors import UsageError
from ...primitives import coerce
from ...primitives.coerce import is_a
from ...primitives.redaction import Secret, as_place, as_secrets
from ...values.credentials import secret_fields
from .reading import merged
from .settings import Setting

_SECRETS = frozenset({"webhook_key", "proxy"})


class Shown(NamedTuple):
    """A setting's name as in a file, its value (of a secret how long it is), and its origin."""

    setting: str
    value: str
    source: str


def shown_settings(given: object = None) -> list[Shown]:
    """Return every setting that is found, also of accounts that are not complete yet."""
    try:
        found, _, _ = merged(given)
    except UsageError as error:
        failed = error.renamed(error.name)
    else:
        rows = [_shown(name, one, name in _SECRETS) for name, one in found.settings.items()]
        for account, fields in found.accounts.items():
            secrets = _secrets(fields)
            for field, one in fields.items():
                base = field if field in secrets else str(field).removesuffix("_file")
                secret = base in secrets
                if one.is_text and base != field and secret:  # the name of its file
                    secret = False
                rows.append(_shown(f"accounts.{account}.{field}", one, secret))
        return sorted(rows)
    raise failed


def _secrets(fields: Mapping[str, Setting]) -> tuple[str, ...]:
    driver = fields.get("driver")
    name = coerce.text(driver.value) if driver else None
    try:
        return secret_fields(load(name)) if name else ()
    except UsageError:
        return ()


def _shown(name: str, setting: Setting, secret: bool) -> Shown:
    value: Any = setting.value
    if not value or not (secret or is_a(as_place(value), Secret)):
        text = str(value).lower() if is_a(value, bool) else str(value)  # as TOML writes it
        return Shown(name, "" if value is None else text, setting.origin)
    keys = [len(key.reveal()) for key in as_secrets(value)]
    lengths = " and ".join(f"set ({one} characters)" for one in keys)
    return Shown(name, lengths, setting.origin)
