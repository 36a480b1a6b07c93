"""What a driver states about its provider, beside its answers: verbs, facts, paces, tokens."""

from typing import Literal

import msgspec

from ..errors import ProviderError
from ..primitives.redaction import Secret
from ..values.parsing import Unreadable
from ..values.validation import VISIBLE_ASCII

Verb = Literal[
    "collect",
    "payout",
    "refund",
    "verify",
    "find",
    "balance",
    "history",
    "receipt",
    "methods",
    "webhook",
    "returned",
]
Option = Literal[
    "description",
    "customer",
    "items",
    "taxes",
    "metadata",
    "return_url",
    "cancel_url",
    "webhook_url",
    "operator",
    "bill_reference",
]


class Token(msgspec.Struct, frozen=True):
    """An access token and its lifetime in seconds; None: the driver's `token_life`."""

    secret: Secret
    expires_in: float | None = None

    def __post_init__(self) -> None:
        """Refuse a token that is not valid in a header."""
        if not VISIBLE_ASCII.fullmatch(self.secret.reveal()):
            raise Unreadable("the login gave no token that could sign anything")


class Duplicate(ProviderError):
    """Returned by `judge` if the provider says that it had a request with our reference before.

    That request may have moved money, so a money verb raises OutcomeUnknown, and the payment is
    looked up later.
    """


class NotJoining(Unreadable):
    """Raised by `judge` if the provider says that it recognises no repeated request now.

    The outcome is unknown, and the request is not sent again although it is `repeatable`.
    """


class Facts(msgspec.Struct, frozen=True, kw_only=True):
    """Facts about one money verb at this provider; a driver names the source of each fact."""

    deduplicates: bool  # the provider itself refuses or joins a second request with our reference
    findable: bool  # the provider can be asked by our reference
    not_found_final_after: float | None  # seconds after which "not found" is final; None: never


class Pace(msgspec.Struct, frozen=True, kw_only=True):
    """When to look up a payment; ages and times in seconds.

    `by_callback`: the provider takes the question and sends the answer later, as a message. Then
    no message about the payment causes more than one look-up.
    """

    first_look: float  # age at the first useful look-up
    watch_timeout: float  # age up to which a watch lasts, unless its caller says otherwise
    # The only ages at which to look up; one more look-up is at `watch_timeout`. None: as the
    # schedule finds the end soonest (watch/schedule.py).
    ages: tuple[float, ...] | None = None
    by_callback: bool = False
