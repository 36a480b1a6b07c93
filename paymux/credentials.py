"""The credentials of a driver: fields that are made Secrets before anything else looks at them."""

from functools import cache

import msgspec

from .checks import VISIBLE, checked_url
from .errors import UsageError
from .redact import Secret


def wrap(driver: msgspec.Struct) -> str | None:
    """Make a Secret of every credential; give the name of one that is no visible text."""
    unfit = None
    for field in secret_fields(type(driver)):
        value = getattr(driver, field)
        text = value.reveal() if isinstance(value, Secret) else value
        if not isinstance(text, str) or (text and not VISIBLE.fullmatch(text)):
            unfit, text = field, ""
        msgspec.structs.force_setattr(driver, field, Secret(text))
    return unfit


def address(driver: msgspec.Struct) -> UsageError | None:
    """Check `base_url`, or take it out and give what is wrong: it may hold a password, which no frame may show."""
    given, put = getattr(driver, "base_url", None), msgspec.structs.force_setattr
    put(driver, "base_url", None)
    try:
        put(driver, "base_url", checked_url("base_url", given).rstrip("/"))
    except UsageError as error:
        return error.with_traceback(None)
    return None


@cache
def secret_fields(driver: type[msgspec.Struct]) -> tuple[str, ...]:
    """Name the fields that hold a credential."""
    fields = msgspec.structs.fields(driver)
    return tuple(field.name for field in fields if Secret in getattr(field.type, "__args__", ()))


@cache
def text_fields(driver: type[msgspec.Struct]) -> tuple[str, ...]:
    """Name the fields that hold plain text."""
    return tuple(field.name for field in msgspec.structs.fields(driver) if field.type is str)
