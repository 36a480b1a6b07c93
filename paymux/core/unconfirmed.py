"""Payments that no look-up confirms: their orders, the open list, and how an entry ends."""

import enum
import time
from collections.abc import AsyncIterator
from datetime import datetime

import msgspec

from ..errors import Unavailable, UsageError
from ..journal import CandidateOrders, encoded_event
from ..models import Event, Payment, Status
from ..values.payment_arguments import checked_event
from ..values.validation import checked_text
from .engine import Engine

# Seconds in which a payment that the account adopts waits for its order, and is proved.
ADOPTION_SECONDS = 180.0


class Ownership(enum.Enum):
    """What an unconfirmed message is about, as far as is known now."""

    ORDER = "of an order of ours, which has its receipt"
    OPEN = "perhaps of an open order, whose end shows"
    WITHOUT_RECEIPT = "very likely of an order that succeeded without a receipt"
    NOT_OURS = "of no order of ours"


def owner_of(
    engine: Engine, event: Event, orders: CandidateOrders
) -> tuple[Ownership, Payment | None]:
    """Return which of these orders, if any, a message is about."""
    driver, receipt = engine.driver(event.account), event.claims.receipt
    for order in orders.paid:
        # A receipt that an unproved message claimed counts only if nothing else contradicts it.
        claimed = order.status in (Status.SUCCEEDED, Status.REFUNDED) and driver.may_tell_of(
            event, order
        )
        if order.receipt == receipt or claimed:
            return Ownership.ORDER, order
    for which, some in ((Ownership.OPEN, orders.open), (Ownership.WITHOUT_RECEIPT, orders.bare)):
        for order in some:
            if driver.may_tell_of(event, order):
                return which, order
    return Ownership.NOT_OURS, None


async def unconfirmed(engine: Engine) -> AsyncIterator[Event]:
    """List open entries, oldest first, without those that may be about an order of ours.

    An entry that may just be being adopted is left out, too.
    """
    engine.lifetime.use()
    after = 0
    try:
        while page := await engine.store.unconfirmed.left(after):
            for after, event, at in page:  # noqa: B007 - the next page begins after the last one
                if event.account not in engine.drivers:
                    yield event
                    continue
                if engine.driver(event.account).adopts(event) and age_of(at) < ADOPTION_SECONDS:
                    continue
                orders = await engine.store.unconfirmed.orders(event)
                if owner_of(engine, event, orders)[0] is Ownership.NOT_OURS:
                    yield event
    except OSError as error:
        raise Unavailable(str(error)) from None


def age_of(at: str) -> float:
    """Return the seconds since an entry was kept."""
    return time.time() - datetime.fromisoformat(at).timestamp()


async def dealt_with(engine: Engine, event: Event, because: str) -> None:
    """End the entry of a message for good."""
    engine.lifetime.use()
    event, because = checked_event(event), checked_text("because", because, 500)
    try:
        encoded_event(event)
    except (AttributeError, TypeError, ValueError, RecursionError, msgspec.MsgspecError):
        raise UsageError.field(
            "event", event, "an event of unconfirmed() or of on_unconfirmed"
        ) from None
    try:
        known = await engine.store.unconfirmed.end(event, because)
    except OSError as error:
        raise Unavailable(f"{event.account}: {error}") from None
    if not known:
        raise UsageError.field("event", event, "one that was kept as unconfirmed")
