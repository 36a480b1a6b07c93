"""What is in flight: the same order twice at once is one request, and so is the same question."""

import asyncio
import copy
from collections.abc import Awaitable, Callable
from typing import Protocol, TypeAlias

from .errors import DuplicateReference, OutcomeUnknown, PaymuxError, Unavailable
from .limits import Priority
from .models import Kind, Order, Payment
from .transport import Call

Answer: TypeAlias = Payment | PaymuxError | None


class Closing(Protocol):
    """What goes on by itself, and ends with the pool."""

    async def close(self) -> None:
        """End it, and wait until it has ended."""
        ...


class Flights:
    """The money requests of one pool that have not been answered yet."""

    def __init__(self) -> None:
        self._flying: dict[tuple[str, Kind, str], tuple[Order, asyncio.Future[Answer]]] = {}

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
                # Each has a copy of its own: one shared error would collect everybody's traceback.
                raise copy.copy(outcome)
        landing = asyncio.get_running_loop().create_future()
        self._flying[key] = (order, landing)
        outcome = None
        try:
            outcome = await request()
            return outcome
        except PaymuxError as error:
            outcome = error
            raise
        except BaseException:
            if call.in_doubt:
                outcome = OutcomeUnknown(f"{order.account}: broken off after sending", pending)
            # Otherwise nothing was sent: whoever joined takes the request over.
            raise
        finally:
            del self._flying[key]
            landing.set_result(outcome)


class Questions:
    """The look-ups of one pool that have not been answered yet."""

    def __init__(self) -> None:
        self._asked: dict[tuple[object, ...], list[asyncio.Future[Answer]]] = {}

    async def join(self, key: tuple[object, ...], call: Call, ask: Callable[[], Awaitable[Payment]]) -> Payment:
        """Ask, or share the answer to the same question that is already under way."""
        while (joined := self._asked.get(key)) is not None:
            landing: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
            joined.append(landing)
            try:
                # In bulk the first one may wait long for its place, which is not part of the deadline.
                async with asyncio.timeout_at(None if call.priority is Priority.BULK else call.deadline):
                    answer = await landing
            except TimeoutError:
                raise Unavailable(f"{call}: too late") from None
            if isinstance(answer, Payment):
                return answer
            if answer is not None:
                raise copy.copy(answer)
        joined = self._asked[key] = []
        outcome: Answer = None  # cut off: whoever joined asks anew
        try:
            outcome = await ask()
            return outcome
        except PaymuxError as error:
            outcome = error
            raise
        finally:
            del self._asked[key]
            for landing in joined:
                if not landing.done():
                    landing.set_result(outcome)
