"""Single flight: callers with the same order share one request, and so do the same look-ups."""

import asyncio
import copy
from types import TracebackType
from typing import Protocol, Self, TypeAlias

from ..errors import NotSent, OutcomeUnknown, PaymuxError, Unavailable
from ..journal import Row, State, duplicate_reference
from ..limits import Priority
from ..models import Kind, Order, Payment
from ..transport import Call, lost_page

Answer: TypeAlias = Payment | PaymuxError | None
# The money requests of one pool that have not been answered yet, and the same of its look-ups.
InFlightOrders: TypeAlias = dict[tuple[str, Kind, str], tuple[Order, asyncio.Future[Answer]]]
InFlightLookups: TypeAlias = dict[tuple[object, ...], list[asyncio.Future[Answer]]]


class Closable(Protocol):
    """Something that runs in the background, and is closed with the pool."""

    async def close(self) -> None:
        """End it, and wait until it has ended."""
        ...


class InFlightOrder:
    """An `async with` around one money request: send an order, or share the outcome of its request.

    In it, `outcome` is the payment from another caller's request for the same order, or None.

    If it is None, the caller sends the request and sets `outcome` for the callers that wait.
    """

    __slots__ = ("_call", "_in_flight", "_key", "_landing", "_order", "_pending", "outcome")

    def __init__(
        self, in_flight: InFlightOrders, order: Order, pending: Payment, call: Call
    ) -> None:
        self._in_flight = in_flight
        self._key = (order.account, order.kind, order.reference)
        self._order = order
        self._pending = pending
        self._call = call
        self._landing: asyncio.Future[Answer] | None = None  # set by the caller that sends
        self.outcome: Payment | None = None

    async def __aenter__(self) -> Self:
        while (other := self._in_flight.get(self._key)) is not None:
            order, landing = other
            if order != self._order:
                raise duplicate_reference(self._pending)
            answer = await self._landed(landing)
            if isinstance(answer, Payment):
                self.outcome = answer
                return self
            if answer is not None:
                # Each caller raises its own copy: a shared error would collect every traceback.
                raise copy.copy(answer)
        self._landing = asyncio.get_running_loop().create_future()
        self._in_flight[self._key] = (self._order, self._landing)
        return self

    async def _landed(self, landing: asyncio.Future[Answer]) -> Answer:
        left = self._call.deadline - asyncio.get_running_loop().time()
        await asyncio.wait([landing], timeout=max(left, 0))
        if not landing.done():
            said = f"{self._call}: the deadline passed while the same order was in flight"
            raise OutcomeUnknown(said, self._pending)
        return landing.result()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        frames: TracebackType | None,
    ) -> None:
        if self._landing is None:
            return
        answer: Answer = self.outcome
        if isinstance(error, PaymuxError):
            answer = error
        elif error is not None and self._call.in_doubt:
            answer = OutcomeUnknown(
                f"{self._order.account}: broken off after sending",
                self._call.pending or self._pending,
            )
        # Otherwise nothing was sent: the next caller that waits makes the request.
        del self._in_flight[self._key]
        self._landing.set_result(answer)


def same_lookup(payment: Payment, call: Call) -> tuple[object, ...]:
    """Return what two look-ups have in common whose answer can be shared."""
    return (
        id(call.account),  # not with a request of a driver that was replaced
        payment.account,
        payment.provider_reference,
        payment.reference or payment.receipt,
        payment.kind,
        tuple(payment.ids.items()),
    )


class InFlightLookup:
    """An `async with` around one look-up: look up, or share the answer of the same look-up.

    In it, `answer` is the payment from another caller's same look-up, or None.

    If it is None, the caller looks up and sets `answer` for the callers that wait.
    """

    __slots__ = ("_asked", "_asks", "_call", "_key", "answer")

    def __init__(self, asked: InFlightLookups, key: tuple[object, ...], call: Call) -> None:
        self._asked = asked
        self._key = key
        self._call = call
        self._asks = False
        self.answer: Payment | None = None

    async def __aenter__(self) -> Self:
        while (waiting := self._asked.get(self._key)) is not None:
            landing: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
            waiting.append(landing)
            # In bulk, the first caller may wait long for a slot, which is not part of the deadline.
            bulk = self._call.priority is Priority.BULK
            try:
                async with asyncio.timeout_at(None if bulk else self._call.deadline):
                    answer = await landing
            except TimeoutError:
                raise Unavailable(f"{self._call}: too late") from None
            if isinstance(answer, Payment):
                self.answer = answer
                return self
            if answer is not None:
                raise copy.copy(answer)
        self._asked[self._key] = []
        self._asks = True
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        frames: TracebackType | None,
    ) -> None:
        if not self._asks:
            return
        # After any other exception, the next caller that waits looks up.
        answer: Answer = error if isinstance(error, PaymuxError) else self.answer
        for landing in self._asked.pop(self._key):
            if not landing.done():
                landing.set_result(answer)


def as_known(row: Row, call: Call) -> Payment:
    """Return the payment of an order that was sent before; OutcomeUnknown: it is still unknown."""
    if row.state is State.INTENT:
        raise NotSent(
            f"{call}: the deadline passed while another worker was about to send it; nothing "
            "was sent"
        )
    if not row.state.in_doubt or row.payment.status.terminal:
        return row.payment
    said = f"{call}: it was sent before, and its outcome is unknown; nothing was sent again"
    page = lost_page(call.driver, row.payment)
    raise OutcomeUnknown(". ".join(filter(None, (said, page))), row.payment)
