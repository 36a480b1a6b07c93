"""Calling `on_payment`: once for each status if all goes well, again after any failure."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Generator
from functools import partial

from ..errors import Unavailable
from ..journal import Key, Outbox, named
from ..models import Kind, Payment, Status, log
from .guard import Failed, guarded

LONGEST = 60.0  # seconds that a callback may take before it is cancelled and called again later
SLOWEST = 300.0  # seconds between repetitions, at most
AT_ONCE = 100  # callbacks at once
GLANCE = 0.2  # seconds between looks at a payment that another worker is delivering
AGAIN = 1.0  # seconds between attempts to record a delivery


class _Rest:
    """A status whose delivery failed, until the next attempt."""

    def __init__(self, status: Status) -> None:
        import backoff  # noqa: PLC0415 - saves 2 ms of import time while nothing fails

        self.status = status
        self.over = False
        self.pauses: Generator[float] = backoff.expo(base=2, factor=1, max_value=SLOWEST)
        next(self.pauses)


class Telling:
    """Delivers the outbox: the row as it is at the call, never two calls for one payment at once.

    A failed delivery is released and pauses here for a while. So if callbacks fail in one process,
    another process delivers. A status that was replaced before its delivery is never delivered:
    each claim reads the row anew.
    """

    def __init__(self, on_payment: Callable[[Payment], Awaitable[None]], kinds: tuple[Kind, ...]) -> None:
        self.kinds = kinds
        self._on_payment = on_payment
        self._over = True
        self._wake: Callable[[], None] = lambda: None
        self._tasks: set[asyncio.Task[None]] = set()
        self._resting: dict[Key, _Rest] = {}
        self._waiting: dict[Key, list[asyncio.Future[bool]]] = {}
        self._more = False  # the outbox may hold more than there was room for

    def begin(self, wake: Callable[[], None]) -> None:
        """Start; `wake` requests another `scan`."""
        self._over, self._wake = False, wake
        self._tasks, self._waiting = set(), {}

    async def call(self, payment: Payment) -> None:
        """Call `on_payment` once; Failed: it raised or timed out, which is logged."""
        await guarded("on_payment", payment.account, partial(self._on_payment, payment), LONGEST)

    async def scan(self, outbox: Outbox) -> None:
        """Start the delivery of payments that no worker delivers."""
        resting = {key: rest.status for key, rest in self._resting.items() if not rest.over}
        while (room := AT_ONCE - len(self._tasks)) > 0:
            found = await outbox.untold(self.kinds, room, resting)
            for payment in found:
                task = asyncio.get_running_loop().create_task(self._tell(outbox, payment))
                self._tasks.add(task)
                task.add_done_callback(self._ended)
            if len(found) < room:
                self._more = False
                return
        self._more = True

    async def aclose(self, grace: float) -> None:
        """Let running callbacks end within `grace` seconds."""
        self._over = True
        if self._tasks:
            _, late = await asyncio.wait(set(self._tasks), timeout=grace)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def heard(self, outbox: Outbox, payment: Payment, until: float) -> bool | None:
        """Wait until a payment's end was delivered, by any worker.

        False: not yet. None: it is not in the outbox. Unavailable: the end itself was not recorded,
        so nothing would deliver it.
        """
        key, loop = named(payment), asyncio.get_running_loop()
        while (standing := await outbox.standing(payment)) is not None:
            if not standing.status.terminal:
                raise Unavailable(f"{payment.account}: {payment.reference} could not be recorded")
            if standing.told is standing.status:
                return True
            rest = self._resting.get(key)
            if loop.time() >= until or (rest is not None and rest.status is standing.status):
                return False
            told = loop.create_future()
            self._waiting.setdefault(key, []).append(told)
            self._wake()
            await asyncio.wait({told}, timeout=min(GLANCE, until - loop.time()))
        return None

    async def once(self, outbox: Outbox, payment: Payment, until: float) -> bool | None:
        """Deliver one payment without a running notifier; returns what `heard` returns."""
        claimed = await outbox.claim(payment)
        if claimed is None:
            return await self.heard(outbox, payment, until)
        done = False
        try:
            await self.call(claimed)
            done = True
        except Failed:
            return False
        finally:
            await (outbox.told(claimed) if done else outbox.untell(claimed))
        return True

    async def _tell(self, outbox: Outbox, payment: Payment) -> None:
        key = named(payment)
        await asyncio.sleep(0)  # an eager task could end before it is in the set
        try:
            await self.call(payment)
        except Failed:
            self._rest(key, payment.status)
            await self._written(partial(outbox.untell, payment))
        else:
            self._resting.pop(key, None)
            await self._written(partial(outbox.told, payment))
        finally:
            for waiting in self._waiting.pop(key, ()):
                if not waiting.done():
                    waiting.set_result(True)

    def _rest(self, key: Key, status: Status) -> None:
        rest = self._resting.get(key)
        if rest is None or rest.status is not status:
            rest = self._resting[key] = _Rest(status)
        rest.over = False
        pause = next(rest.pauses) * random.uniform(0.75, 1.25)  # noqa: S311 - jitter is no secret
        asyncio.get_running_loop().call_later(pause, self._rested, key, rest)

    def _rested(self, key: Key, rest: _Rest) -> None:
        if rest.over and self._resting.get(key) is rest:
            del self._resting[key]  # old: another worker has delivered it, or its row has changed
        elif not rest.over:
            rest.over = True
            asyncio.get_running_loop().call_later(SLOWEST, self._rested, key, rest)
            self._wake()

    async def _written(self, write: Callable[[], Awaitable[None]]) -> None:
        """Record how a delivery ended, however long the file is locked.

        No other delivers meanwhile.
        """
        said = False
        while True:
            try:
                return await write()
            except OSError as error:
                if self._over:
                    return None
                if not said:
                    log.error("the result of an on_payment call cannot be recorded yet: %s", error)
                said = True
            await asyncio.sleep(AGAIN)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if self._more:
            self._wake()
