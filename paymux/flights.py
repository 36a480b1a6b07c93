"""Money requests in flight: the same order twice at once is one request."""

import asyncio
from collections.abc import Awaitable, Callable

from .errors import DuplicateReference, OutcomeUnknown, PaymuxError
from .models import Kind, Order, Payment
from .transport import Call


class Flights:
    """The money requests of one pool that have not been answered yet."""

    def __init__(self) -> None:
        self._flying: dict[tuple[str, Kind, str], tuple[Order, asyncio.Future[Payment | PaymuxError | None]]] = {}

    async def join(
        self,
        order: Order,
        pending: Payment,
        call: Call,
        request: Callable[[], Awaitable[Payment]],
    ) -> Payment:
        """Make the request, or share the outcome of the one that is already under way for this order."""
        key = (order.account, order.kind, order.reference)
        while key in self._flying:
            other, landing = self._flying[key]
            if other != order:
                error = DuplicateReference("this reference is in flight with another order")
                error.account, error.provider, error.reference = order.account, pending.provider, order.reference
                raise error
            left = call.deadline - asyncio.get_running_loop().time()
            await asyncio.wait([landing], timeout=max(left, 0))
            if not landing.done():
                raise OutcomeUnknown(f"{call}: the deadline passed while the same order was in flight", pending)
            outcome = landing.result()
            if isinstance(outcome, Payment):
                return outcome
            if outcome is not None:
                raise outcome
        landing = asyncio.get_running_loop().create_future()
        self._flying[key] = (order, landing)
        outcome = None
        try:
            outcome = await request()
            return outcome
        except PaymuxError as error:
            outcome = error
            raise
        except asyncio.CancelledError:
            if call.in_doubt:
                outcome = OutcomeUnknown(f"{order.account}: cancelled after sending", pending)
            # Otherwise nothing was sent: whoever joined takes the request over.
            raise
        finally:
            del self._flying[key]
            landing.set_result(outcome)
