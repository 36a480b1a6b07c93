"""The words that a payment is told in: where it stands, and what a message about it proves."""

import enum
from typing import NoReturn

from .errors import UsageError


class Word(enum.StrEnum):
    """Text that is one of a few words; any other is UsageError, which names them."""

    @classmethod
    def _missing_(cls, value: object) -> NoReturn:
        raise UsageError.field(cls.__name__.lower(), value, ", ".join(cls))


class Status(Word):
    """Where a payment stands; every state but PENDING is terminal."""

    PENDING = "pending"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    REFUNDED = "refunded"

    @property
    def terminal(self) -> bool:
        """Tell whether nothing more is expected to happen."""
        return self is not Status.PENDING


class Trust(Word):
    """What a webhook proves: that its body is authentic, that the provider sent it, or nothing."""

    BODY = "body"
    ORIGIN = "origin"
    NOTHING = "nothing"
