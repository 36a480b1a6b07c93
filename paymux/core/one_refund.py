"""One refund of each payment, where the provider makes one under whatever reference.

It says of every other that it made it, too: books that count them would count money that never
went back.
"""

import asyncio
from typing import TYPE_CHECKING

from ..errors import NotSent, Unavailable, UsageError
from ..journal import Refunded
from ..models import Order, Payment, Status

if TYPE_CHECKING:
    from ..transport import Call
    from .engine import Engine


async def check_first(engine: "Engine", call: "Call", order: Order) -> None:
    """Note a refund as the only one of its payment, before it is sent.

    UsageError: another one exists, which has not failed. NotSent: the journal cannot be asked now.
    """
    store, reference = engine.store, order.reference
    refunded = Refunded(order.account, call.driver.live, order.refunds or "")
    try:
        async with asyncio.timeout_at(call.deadline):
            first = await store.first_refunds.take(refunded, reference)
            while first != reference and await _is_over(engine, order.account, first):
                was = first
                first = await store.first_refunds.take(refunded, reference, instead_of=was)
    except (OSError, TimeoutError, Unavailable) as error:
        why = str(error) or "the deadline passed"
        raise NotSent(f"{call}: {why}; nothing was sent") from None
    if first != reference:
        accepted = (
            f"a payment that was not refunded: {call.driver.name} makes one refund of each, and "
            f"{first!r} is that one"
        )
        raise UsageError.field("payment", order.refunds, accepted)


async def _is_over(engine: "Engine", account: str, reference: str) -> bool:
    """Return whether a refund gave nothing back, and never will."""
    if (account, "refund", reference) in engine.lifetime.in_flight_orders:
        return False
    refund = Payment(account=account, kind="refund", reference=reference)
    store = engine.store
    if store.journal is None:
        known = store.memory.known(refund)
        return known is None or known.status in _FAILED
    row = await store.row_of(refund)
    if row is None:  # deleted after `keep_days`: it had ended, and no one knows how
        return False
    return row.state.frees_reference or row.payment.status in _FAILED


_FAILED = frozenset({Status.FAILED, Status.CANCELLED, Status.EXPIRED})
