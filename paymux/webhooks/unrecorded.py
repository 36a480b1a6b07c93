"""Telling the shop of payments that no outbox has: they are no orders of ours."""

import asyncio
import uuid
from collections import OrderedDict

from ..core import Engine
from ..core.notify import CALLBACK_SECONDS, CallbackFailed, Dispatcher
from ..journal import MAX_ORDERS
from ..models import Payment
from ..primitives.forks import leave_to_parent

GLANCE = 0.05  # seconds between looks at a payment that another worker is telling


class Unrecorded:
    """Tells each state of such a payment once, where all goes well; Failed where it does not."""

    def __init__(self, engine: Engine, telling: Dispatcher) -> None:
        self._engine = engine
        self._telling = telling
        self._caller = uuid.uuid4().hex
        self._calls: dict[tuple[str, ...], asyncio.Future[None]] = {}
        self._told: OrderedDict[tuple[str, ...], None] = OrderedDict()

    def begin(self) -> None:
        """Begin in this loop."""
        self._calls = {}

    def forget(self) -> None:
        """Have none of the parent's calls in a forked child."""
        leave_to_parent(self._calls)
        self._calls = {}

    async def tell(self, payment: Payment) -> None:
        """Tell the shop of the state of a payment, unless it has been told."""
        named = (payment.account, payment.kind or "", payment.reference or "")
        key: tuple[str, ...] = (*named, payment.status)
        if payment.reference is None:
            key = (*key, payment.provider_reference or "")
        while key in self._calls:
            await asyncio.wait({self._calls[key]})
        if key in self._told:
            return
        self._calls[key] = over = asyncio.get_running_loop().create_future()
        try:
            await self._tell_in_turn(payment, " ".join(("on_payment", *key[3:])))
            self._told[key] = None
            if len(self._told) > MAX_ORDERS:
                self._told.popitem(last=False)
        finally:
            del self._calls[key]
            over.set_result(None)

    async def _tell_in_turn(self, payment: Payment, name: str) -> None:
        """Let one worker of all tell it; the others wait for that, or do it if that one died."""
        journal = self._engine.store.journal
        if journal is None:
            await self._telling.call(payment)
            return
        done = False
        try:
            async with asyncio.timeout(2 * CALLBACK_SECONDS):
                while not await journal.take_turn(payment, name, self._caller):
                    if await journal.turn_done(payment, name):
                        return
                    await asyncio.sleep(GLANCE)
        except TimeoutError:
            raise CallbackFailed from None
        try:
            await self._telling.call(payment)
            done = True
        finally:
            await journal.end_turn(payment, name, self._caller, done=done)
