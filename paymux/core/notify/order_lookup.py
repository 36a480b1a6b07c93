"""One look-up of an open order that is watched, with the messages about it; it raises nothing."""

from ...errors import Mismatch, NotFound, PaymuxError, Rejected, Unavailable
from ...limits import Priority
from ..engine import Engine
from ..recovery import Examined, examine
from .callbacks import log_failure
from .watched_order import WatchedOrder


async def look_up(engine: Engine, order: WatchedOrder) -> Examined:
    """Look an order up; a driver's bug counts as a provider that does not answer."""
    events, order.events = order.events, ()
    try:
        return await examine(engine, order.payment, events, Priority.WATCH)
    except Exception as error:  # noqa: BLE001 - a driver's bug must not end a watch
        log_failure("a driver", order.payment.account, error)
        return Examined(
            payment=order.payment,
            failed=Unavailable(f"{order.payment.account}: a driver failed"),
        )


def is_answer(failed: PaymuxError | None) -> bool:
    """Return whether the provider answered about the order, even that there is none."""
    return failed is None or isinstance(failed, NotFound | Rejected | Mismatch)
