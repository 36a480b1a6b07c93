"""Enums of a payment: its status, and what a message about it proves."""

import enum
from typing import Any, NoReturn

from ..errors import UsageError


class CheckedStrEnum(enum.StrEnum):
    """Text that is one of a few words; any other is UsageError, which lists them."""

    @classmethod
    def _missing_(cls, value: object) -> NoReturn:
        raise UsageError.field(cls.__name__.lower(), value, ", ".join(cls))

    @classmethod
    def __get_pydantic_core_schema__(cls, source: object, handler: object) -> Any:
        from pydantic_core import core_schema  # noqa: PLC0415 - pydantic is what calls this

        # As pydantic does it, but without `_missing_`: an error of that would not be its own.
        ref = f"{cls.__module__}.{cls.__qualname__}:{id(cls)}"
        return core_schema.enum_schema(cls, list(cls), sub_type="str", ref=ref)


class Status(CheckedStrEnum):
    """The status of a payment; every status but PENDING is terminal."""

    PENDING = "pending"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    REFUNDED = "refunded"

    terminal: bool  # no further change is expected

    def __init__(self, word: str) -> None:
        self.terminal = word != "pending"


class Trust(CheckedStrEnum):
    """What a webhook proves: that its body is authentic, that the provider sent it, or nothing."""

    BODY = "body"
    ORIGIN = "origin"
    NOTHING = "nothing"
