"""Reading the items of one bulk verification: on demand, or from a stream, and never too early."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from typing import Generic, Protocol

import msgspec

from ..models import Payment
from .fairness import FairQueues, Waiting
from .items import Items, ItemT


class ItemTaker(Protocol):
    """Takes the items that were read, and says when more may be read."""

    @property
    def wants(self) -> bool:
        """Return whether another item may be read."""

    def fill(self) -> None:
        """Use every free slot."""

    def put(self, index: int, payment: Payment | None, error: Exception | None) -> None:
        """Take the result of an item."""

    def fail(self, error: BaseException) -> None:
        """End with the error of the caller's iterator."""


class ItemReader(msgspec.Struct, Generic[ItemT], eq=False):
    """Reads items into the queues of their accounts; it keeps no reference to their taker."""

    items: Items[ItemT]
    queues: FairQueues
    driver: Callable[[str], object]  # of an account; UsageError: there is no such account
    hungry: asyncio.Future[None] | None = None  # while no more may be read
    lull: bool = False  # the stream has no item at the moment

    @property
    def ready(self) -> bool:
        """Return whether another item can be read without waiting."""
        ready = self.items.source is not None or not (self.lull or self.queues.ended)
        return ready and self.queues.parked < self.items.most_parked

    def pull(self, source: Iterator[ItemT], taker: ItemTaker) -> bool:
        """Read an item; return whether it can be looked up."""
        try:
            item = next(source)
        except StopIteration:
            self.items.source, self.queues.ended = None, True
        except Exception as error:  # noqa: BLE001 - any error of the caller's iterator goes to the caller
            taker.fail(error)
        else:
            return self._admit(item, taker)
        return False

    async def run(self, source: AsyncIterator[ItemT], taker: ItemTaker) -> None:
        """Read a stream to its end, and wait whenever no more may be read."""
        try:
            async for item in source:
                self.lull = False
                self._admit(item, taker)
                taker.fill()
                while not taker.wants:
                    self.hungry = asyncio.get_running_loop().create_future()
                    await self.hungry
            self.queues.ended = True
            taker.fill()
        except BaseException as error:
            taker.fail(error)
            if not isinstance(error, Exception):
                raise
        finally:
            if isinstance(source, AsyncGenerator):
                await source.aclose()

    def _admit(self, item: ItemT, taker: ItemTaker) -> bool:
        index = self.items.add(item)
        try:
            payment = self.items.payment(item)
            self.driver(payment.account)  # UsageError: there is no such account
        except Exception as error:  # noqa: BLE001 - an item may be any object, with any `repr`
            taker.put(index, None, error.with_traceback(None))
            return False
        self.queues.park(Waiting(index, payment))
        return True
