"""Starting to watch a payment."""

from types import EllipsisType

from ..errors import UsageError
from ..models import Payment
from ..values.payment_arguments import checked_payment
from ..values.validation import checked_seconds
from ..watch import Watch
from .engine import Engine


def watch(engine: Engine, payment: Payment, timeout: float | EllipsisType | None) -> Watch:
    """Start to watch a payment for `timeout` seconds; None: for ever.

    `...`: as long as the payment's `Pace` says.
    """
    payment = checked_payment(payment)
    driver = engine.driver(payment.account)
    if payment.provider_reference is None and payment.reference is None and not payment.ids:
        raise UsageError.field("payment", payment, "one with your reference or the provider's")
    seconds = driver.pace(payment).watch_timeout if timeout is ... else timeout
    if seconds is not None:
        seconds = checked_seconds("timeout", seconds)
    return Watch(payment, timeout=seconds, watches=engine.watch_registry)
