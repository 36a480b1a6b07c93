"""What a journal stores and returns, and how one order is told from another."""

import enum
from collections.abc import Callable
from datetime import datetime
from hashlib import sha256
from typing import NamedTuple, TypeAlias, get_args

import msgspec
from msgspec.structs import astuple

from ..errors import DuplicateReference
from ..models import Event, Kind, Order, Payment


class State(enum.StrEnum):
    """Progress of a money request.

    After ACCEPTED or UNKNOWN, the payment's status tells the rest.
    """

    INTENT = "intent"  # recorded; nothing was sent
    SENDING = "sending"  # the request may be sent at any moment from here on
    ACCEPTED = "accepted"
    REFUSED = "refused"
    NOT_SENT = "not_sent"
    UNKNOWN = "unknown"

    frees_reference: bool  # no money can have moved, so that the reference may be used again
    in_doubt: bool  # money may have moved without our knowledge; the order is not sent again

    def __init__(self, word: str) -> None:
        self.frees_reference = word in ("refused", "not_sent")
        self.in_doubt = word in ("sending", "unknown")

    def after(self, state: "State | None", payment: Payment) -> "State":
        """Return the state after a fact; it never goes back.

        UNKNOWN ends only with a fact that proves that the payment exists.
        """
        if state is None:
            known = payment.status.terminal or payment.provider_reference is not None
            return _ACCEPTED if known else self
        if state is not _ACCEPTED and self in _LASTING:
            return self
        return state


# Used several times for each order; access through an Enum is slow.
_ACCEPTED = State.ACCEPTED
_LASTING = (State.ACCEPTED, State.UNKNOWN)


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A payment in the journal, and whether a worker is processing it now."""

    state: State
    payment: Payment
    fence: int = 0
    events: tuple[Event, ...] = ()  # webhook messages about it that were received
    in_flight: bool = False  # a live worker is processing it, and will record how it ended


class Resolution(msgspec.Struct, frozen=True, kw_only=True):
    """What a person states about a payment, and why."""

    payment: Payment  # with the status that the person states
    because: str
    by: str | None = None
    before: datetime  # a payment accepted after this time may still end by itself


class Arrival(msgspec.Struct, frozen=True, kw_only=True):
    """What the journal knows about a webhook message at its arrival."""

    known: Payment | None = None  # the payment that it claims to be about
    # False: the limit for its order is reached; None: nothing names its order, nothing was stored.
    kept: bool | None = None
    lost: bool = False  # its order was sent, and its answer is unknown or has the same id


class Ended(NamedTuple):
    """What is known about the delivery of an end that was just stored."""

    claimed: Payment | None = None  # claimed for this worker's notifier, which must deliver it
    told: bool = False  # it was delivered before


class FollowUp(NamedTuple):
    """What follows a fact, at once or in the same transaction."""

    claim: bool  # an end that no worker delivers is claimed for this one's notifier
    message: Event | None  # an open message about it: done with, if that end was told before
    # Called in this loop once it is durable, however late that is; None: it is no end.
    then: Callable[[Ended | None], None]


KINDS: tuple[Kind, ...] = get_args(Kind)
OrderOwner: TypeAlias = tuple[Kind, str]  # an order of an account: its kind and our reference
OrderKey: TypeAlias = tuple[str, Kind, str]  # the same, with its account
Check: TypeAlias = Callable[[Payment | None, OrderOwner | None], None]


def order_key(payment: Payment) -> OrderKey:
    """Return the key of an order; a collect and a payout may have the same reference."""
    return (payment.account, payment.kind or "collect", payment.reference or "")


def duplicate_reference(pending: Payment) -> DuplicateReference:
    """Return the error for a reference that belongs to another order."""
    error = DuplicateReference(
        f"{pending.reference}: this reference belongs to another order",
        name="reference",
        value=pending.reference or "",
        accepted="a reference of no other order",
    )
    error.account, error.provider, error.reference = (
        pending.account,
        pending.provider,
        pending.reference,
    )
    return error


_FIELDS = Order.__struct_fields__
_encode = msgspec.json.Encoder(order="deterministic").encode


def order_digest(order: Order) -> str:
    """Return a hash that tells one order from another with the same reference.

    The callback URLs are not part of it: they are chosen by us, not by the caller.
    """
    # Empty fields are left out: a new option in a later release must not change the hash.
    said = {name: value for name, value in zip(_FIELDS, astuple(order), strict=True) if value}
    said.pop("webhook_url", None)
    said.pop("timeout_url", None)
    return sha256(_encode(said)).hexdigest()
