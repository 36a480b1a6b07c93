"""The credentials of a driver: they become Secrets before any other code sees them."""

from functools import cache

import msgspec

from ..errors import UsageError
from ..primitives.coerce import is_a, text
from ..primitives.redaction import Secret
from .validation import VISIBLE_ASCII, checked_url

MAX_CHARS = 4096  # characters of a field


def wrap_secrets(driver: msgspec.Struct) -> str | None:
    """Make a Secret of every credential; return the name of one that is not visible text."""
    unfit = None
    for field in secret_fields(type(driver)):
        value = getattr(driver, field)
        found = text(value.reveal() if is_a(value, Secret) else value)
        if found is None or (found and not VISIBLE_ASCII.fullmatch(found)):
            unfit, found = field, ""
        msgspec.structs.force_setattr(driver, field, Secret(found))
    return unfit


def check_base_url(driver: msgspec.Struct) -> UsageError | None:
    """Check `base_url`; on an error, remove it from the driver and return the error.

    It may contain a password, which no traceback may show.
    """
    given, put = getattr(driver, "base_url", None), msgspec.structs.force_setattr
    put(driver, "base_url", None)
    try:
        put(driver, "base_url", checked_url("base_url", given).rstrip("/"))
    except UsageError as error:
        return error.with_traceback(None)
    return None


@cache
def secret_fields(driver: type[msgspec.Struct]) -> tuple[str, ...]:
    """Return the names of the fields that hold a credential."""
    fields = msgspec.structs.fields(driver)
    return tuple(field.name for field in fields if Secret in getattr(field.type, "__args__", ()))


@cache
def text_fields(driver: type[msgspec.Struct]) -> tuple[str, ...]:
    """Return the names of the fields that hold plain text."""
    return tuple(field.name for field in msgspec.structs.fields(driver) if field.type is str)


def check_texts(driver: msgspec.Struct, prose: frozenset[str]) -> None:
    """Make plain text of every text field; UsageError names one that is not printable text."""
    for field in text_fields(type(driver)):
        given = getattr(driver, field)
        value = text(given)
        if value is None or len(value) > MAX_CHARS or not _fits(value, prose=field in prose):
            accepted = f"a string, {'printable' if field in prose else 'of visible ASCII'}"
            raise UsageError.field(field, given, accepted)
        msgspec.structs.force_setattr(driver, field, value)


def _fits(value: str, *, prose: bool) -> bool:
    return value.isprintable() if prose else VISIBLE_ASCII.fullmatch(value or "-") is not None
