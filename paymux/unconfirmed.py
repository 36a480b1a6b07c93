"""What a provider told us and no look-up confirms: whose it is, what is left, and that it was dealt with."""

import enum
from collections.abc import AsyncIterator

import msgspec

from . import given
from .checks import checked_text
from .engine import Engine
from .errors import Unavailable, UsageError
from .journal import Orders, written
from .models import Event, Payment, Status


class Whose(enum.Enum):
    """What an unconfirmed message is, as far as it is known now."""

    ORDER = "of an order of ours, which has its receipt"
    OPEN = "perhaps of an open order, whose end shows"
    BARE = "very likely of an order that succeeded without a receipt"
    NOBODY = "of no order of ours"


def whose(engine: Engine, event: Event, orders: Orders) -> tuple[Whose, Payment | None]:
    """Tell whose payment a message is about, of the orders of that amount."""
    driver, receipt = engine.driver(event.account), event.claims.receipt
    for order in orders.paid:
        # What a message without a proof claimed of an order counts only where nothing else contradicts it.
        claimed = order.status in (Status.SUCCEEDED, Status.REFUNDED) and driver.may_tell_of(event, order)
        if order.receipt == receipt or claimed:
            return Whose.ORDER, order
    for which, some in ((Whose.OPEN, orders.open), (Whose.BARE, orders.bare)):
        for order in some:
            if driver.may_tell_of(event, order):
                return which, order
    return Whose.NOBODY, None


async def unconfirmed(engine: Engine) -> AsyncIterator[Event]:
    """List what nobody has dealt with, oldest first, without what is or may be of an order of ours."""
    engine.enter()
    after = 0
    try:
        while page := await engine.records.unconfirmed.left(after):
            for after, event in page:  # noqa: B007 - the last one begins the next page
                if event.account not in engine.drivers:
                    yield event
                    continue
                orders = await engine.records.unconfirmed.orders(event)
                if whose(engine, event, orders)[0] is Whose.NOBODY:
                    yield event
    except OSError as error:
        raise Unavailable(str(error)) from None


async def dealt_with(engine: Engine, event: Event, because: str) -> None:
    """End the entry of a message for good."""
    engine.enter()
    event, because = given.event(event), checked_text("because", because, 500)
    try:
        written(event)
    except (AttributeError, TypeError, ValueError, RecursionError, msgspec.MsgspecError):
        raise UsageError.field("event", event, "an event of unconfirmed() or of on_unconfirmed") from None
    try:
        known = await engine.records.unconfirmed.end(event, because)
    except OSError as error:
        raise Unavailable(f"{event.account}: {error}") from None
    if not known:
        raise UsageError.field("event", event, "one that was kept as unconfirmed")
