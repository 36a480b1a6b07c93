"""Calling `on_payment`: once for each status if all goes well, again after any failure."""

import asyncio
import random
from collections import deque
from collections.abc import Awaitable, Callable, Generator
from functools import partial
from operator import attrgetter

import msgspec

from ...errors import Unavailable
from ...journal import OpenMessage, OrderKey, Outbox, order_key
from ...models import Event, Kind, Payment, Status, log
from .callbacks import CallbackFailed, run_callback

# seconds that a callback may take before it is cancelled and called again later
CALLBACK_SECONDS = 60.0
MAX_RETRY_SECONDS = 300.0  # seconds between retries, at most
MAX_CALLBACKS = 100  # callbacks at once
STATUS_POLL_SECONDS = 0.2  # seconds between checks of a payment that another worker is delivering
WRITE_RETRY_SECONDS = 1.0  # seconds between attempts to record a delivery
_is_open, _event = attrgetter("open"), attrgetter("event")


class _Rest:
    """A status whose delivery failed, until the next attempt."""

    def __init__(self, status: Status) -> None:
        import backoff  # noqa: PLC0415 - saves 2 ms of import time while nothing fails

        self.status = status
        self.over = False
        self.pauses: Generator[float] = backoff.expo(base=2, factor=1, max_value=MAX_RETRY_SECONDS)
        next(self.pauses)


class _Call(msgspec.Struct, eq=False):
    """A running callback: its order and status, and the messages that end with the call."""

    key: OrderKey
    status: Status
    messages: list[OpenMessage] = []


class Dispatcher:
    """Delivers the payments of the outbox, with their current row; calls for one never overlap.

    A failed delivery is released and pauses here for a while. So if callbacks fail in one process,
    another process delivers. A status that was replaced before its delivery is never delivered:
    each claim reads the row again.
    """

    def __init__(
        self, on_payment: Callable[[Payment], Awaitable[None]], kinds: tuple[Kind, ...]
    ) -> None:
        self.kinds = kinds
        self._on_payment = on_payment
        self._over = True
        self._wake: Callable[[], None] = lambda: None
        self._tasks: set[asyncio.Task[None]] = set()
        self._calls: dict[OrderKey, _Call] = {}  # running, or about to start
        self._claimed: deque[Payment] = deque()  # waiting for room
        self._resting: dict[OrderKey, _Rest] = {}
        self._waiting: dict[OrderKey, list[asyncio.Future[Status | None]]] = {}
        self._more = False  # the outbox may hold more than there was room for

    def begin(self, wake: Callable[[], None]) -> None:
        """Start; `wake` requests another `scan`."""
        self._over, self._wake = False, wake
        self._tasks, self._calls, self._waiting = set(), {}, {}
        self._claimed = deque()
        self._resting = {}  # its timers were of the loop before

    async def call(self, payment: Payment) -> None:
        """Call `on_payment` once; CallbackFailed: it raised or timed out, which is logged."""
        await run_callback(
            "on_payment", payment.account, partial(self._on_payment, payment), CALLBACK_SECONDS
        )

    async def scan(self, outbox: Outbox) -> None:
        """Start the delivery of payments that no worker delivers."""
        resting = {key: rest.status for key, rest in self._resting.items() if not rest.over}
        while (room := MAX_CALLBACKS - len(self._tasks)) > 0:
            found = await outbox.claim_unnotified(self.kinds, room, resting)
            for payment in found:
                self.tell(outbox, payment)
            if len(found) < room:
                self._more = False
                return
        self._more = True

    def wants(self, payment: Payment) -> bool:
        """Return whether to claim an end as it is stored: there is room for a call now."""
        room = (payment.kind or "collect") in self.kinds and len(self._tasks) < MAX_CALLBACKS
        return room and not (self._resting and self._rests(payment))

    def tell(self, outbox: Outbox, payment: Payment, message: OpenMessage | None = None) -> None:
        """Deliver a claimed payment, as soon as there is room for another call."""
        key = order_key(payment)
        call = self._calls[key] = _Call(key, payment.status)
        if message is not None:
            call.messages.append(message)
        if len(self._tasks) < MAX_CALLBACKS:
            self._start(outbox, payment, call)
        else:
            self._claimed.append(payment)

    def _rests(self, payment: Payment) -> bool:
        """Return whether the delivery of this status failed and is not to be repeated yet."""
        rest = self._resting.get(order_key(payment))
        return rest is not None and not rest.over and rest.status is payment.status

    def _start(self, outbox: Outbox, payment: Payment, call: _Call) -> None:
        task = asyncio.get_running_loop().create_task(self._tell(outbox, payment, call))
        self._tasks.add(task)
        task.add_done_callback(partial(self._ended, outbox))

    async def aclose(self, grace: float) -> None:
        """Let running callbacks end within `grace` seconds."""
        self._over = True
        if self._tasks:
            _, late = await asyncio.wait(set(self._tasks), timeout=grace)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    async def wait_notified(
        self, outbox: Outbox, payment: Payment, until: float, message: OpenMessage | None = None
    ) -> bool | None:
        """Wait until a payment's end was delivered, by any worker.

        False: not yet. None: it is not in the outbox. Unavailable: the end itself was not recorded,
        so nothing would deliver it.
        """
        key, loop = order_key(payment), asyncio.get_running_loop()
        call = self._calls.get(key)
        if call is not None and call.status is payment.status:
            if message is not None and message not in call.messages:
                call.messages.append(message)
            if await self._over_by(key, until) is payment.status:
                return True
            if self._rests(payment):
                return False
        while (standing := await outbox.notified_status(payment)) is not None:
            if not standing.status.terminal:
                raise Unavailable(f"{payment.account}: {payment.reference} could not be recorded")
            if standing.told is standing.status:
                return True
            rest = self._resting.get(key)
            if loop.time() >= until or (rest is not None and rest.status is standing.status):
                return False
            self._wake()
            await self._over_by(key, min(loop.time() + STATUS_POLL_SECONDS, until))
        return None

    async def _over_by(self, key: OrderKey, until: float) -> Status | None:
        """Wait until the call about a payment ends, or until `until`.

        Return the delivered status.
        """
        loop = asyncio.get_running_loop()
        told: asyncio.Future[Status | None] = loop.create_future()
        self._waiting.setdefault(key, []).append(told)
        await asyncio.wait({told}, timeout=max(until - loop.time(), 0.0))
        return told.result() if told.done() else None

    async def once(
        self, outbox: Outbox, payment: Payment, until: float, message: OpenMessage
    ) -> bool | None:
        """Deliver one payment without a running notifier; return the same as `wait_notified`.

        Its message ends with the delivery, in the same transaction.
        """
        claimed = await outbox.claim(payment)
        if claimed is None:
            return await self.wait_notified(outbox, payment, until)
        done = False
        try:
            await self.call(claimed)
            done = True
        except CallbackFailed:
            return False
        finally:
            if not done:
                await outbox.release(claimed)
        await outbox.mark_notified(claimed, [message.event] if message.open else [])
        message.open = False
        return True

    async def _tell(self, outbox: Outbox, payment: Payment, call: _Call) -> None:
        key, told = call.key, None
        await asyncio.sleep(0)  # an eager task could end before it is counted
        try:
            await self.call(payment)
        except CallbackFailed:
            self._rest(key, payment.status)
            await self._write(outbox.release, payment, call)
        else:
            self._resting.pop(key, None)
            if await self._write(outbox.mark_notified, payment, call):
                told = payment.status
        finally:
            if self._calls.get(key) is call:
                del self._calls[key]
            for waiting in self._waiting.pop(key, ()):
                if not waiting.done():
                    waiting.set_result(told)

    def _rest(self, key: OrderKey, status: Status) -> None:
        rest = self._resting.get(key)
        if rest is None or rest.status is not status:
            rest = self._resting[key] = _Rest(status)
        rest.over = False
        pause = next(rest.pauses) * random.uniform(0.75, 1.25)  # noqa: S311 - jitter is no secret
        asyncio.get_running_loop().call_later(pause, self._rested, key, rest)

    def _rested(self, key: OrderKey, rest: _Rest) -> None:
        if rest.over and self._resting.get(key) is rest:
            del self._resting[key]  # old: another worker has delivered it, or its row has changed
        elif not rest.over:
            rest.over = True
            asyncio.get_running_loop().call_later(MAX_RETRY_SECONDS, self._rested, key, rest)
            self._wake()

    async def _write(
        self,
        write: Callable[[Payment, list[Event]], Awaitable[None]],
        payment: Payment,
        call: _Call,
    ) -> bool:
        """Write how a delivery ended, however long the file is locked; no worker retries before."""
        said = False
        while True:
            messages = list(filter(_is_open, call.messages))
            try:
                await write(payment, list(map(_event, messages)))
            except OSError as error:
                if self._over:
                    return False
                if not said:
                    log.error("the result of an on_payment call cannot be recorded yet: %s", error)
                said = True
            else:
                for message in messages:
                    message.open = False
                return True
            await asyncio.sleep(WRITE_RETRY_SECONDS)

    def _ended(self, outbox: Outbox, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if self._claimed and not self._over:
            payment = self._claimed.popleft()
            self._start(outbox, payment, self._calls[order_key(payment)])
        elif self._more:
            self._wake()
