"""The only request of money that is sent again after its verb: a refund named by its path."""

from ..drivers._repeating import Repeating
from ..drivers.base import Driver
from ..journal import State
from ..limits import Priority
from ..models import Payment, log
from .engine import Engine


def repeating(driver: Driver, payment: Payment) -> Repeating | None:
    """Return a driver that repeats this payment, which is a refund without an answer, or None."""
    if payment.kind != "refund" or payment.status.terminal or not isinstance(driver, Repeating):
        return None
    return driver if driver.repeats(payment) else None


async def repeat(engine: Engine, driver: Repeating, refund: Payment, priority: Priority) -> Payment:
    """Send a refund again within the pool's deadline, and keep its answer.

    OutcomeUnknown: it was not answered again. Rejected: it was refused now, which says nothing of
    the requests before. As any request of money it waits for the account's limit.
    """
    account = engine.driver(refund.account)
    call = engine.call(account, "repeat", None, refund.reference, priority)
    call.pending = refund
    payment = await engine.transport.perform(call, driver.repeat, refund)
    said = "%s: the refund %s had no answer; it was sent again, and is %s"
    log.info(said, refund.account, refund.reference, payment.status)
    await engine.store.keep(payment, "repeat", State.ACCEPTED)
    return payment
