"""Calling `on_payment` for payments that are in no outbox, because they are not our orders."""

import asyncio
import uuid
from collections import OrderedDict

from ..core import Engine
from ..core.notify import CALLBACK_SECONDS, CallbackFailed, Dispatcher
from ..journal import MAX_ORDERS
from ..models import Payment
from ..primitives.forks import leave_to_parent

GLANCE = 0.05  # seconds between checks of a payment for which another worker calls `on_payment`


class Unrecorded:
    """Calls `on_payment` once for each status of such a payment; CallbackFailed: it failed."""

    def __init__(self, engine: Engine, telling: Dispatcher) -> None:
        self._engine = engine
        self._telling = telling
        self._caller = uuid.uuid4().hex
        self._calls: dict[tuple[str, ...], asyncio.Future[None]] = {}
        self._told: OrderedDict[tuple[str, ...], None] = OrderedDict()

    def begin(self) -> None:
        """Start in this loop."""
        self._calls = {}

    def forget(self) -> None:
        """Drop the parent's calls in a forked child."""
        leave_to_parent(self._calls)
        self._calls = {}

    async def tell(self, payment: Payment) -> None:
        """Call `on_payment` with a payment, unless its status was already delivered."""
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
        """Let one worker call `on_payment`; the others wait for it, and take over if it dies."""
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
