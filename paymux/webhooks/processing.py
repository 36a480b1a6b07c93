"""The messages in hand: each is handled in a task of its own, and repeated until it is done."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import msgspec

from ..core import Engine
from ..core.notify import Notifier
from ..errors import PaymuxError
from ..journal import OpenMessage
from ..models import Event, Payment, log
from ..primitives.forks import ForkAware, leave_to_parent, register
from .answers import AnswerProcessor
from .flood import FloodCounter, Names, names
from .handling import MessageHandler
from .matching import EventMatcher
from .pending import PendingEvent, Unfinished
from .telling import Teller

RESCAN_SECONDS = 30.0  # seconds between scans for messages of workers that died
NEVER, LONG_AGO = float("inf"), -float("inf")
MAX_REPETITIONS = 8  # retries at once
MAX_PENDING_EVENTS = 1000  # messages in hand
MAX_UNKNOWN_EVENTS = 100  # messages about unknown payments that wait for a retry


class EventProcessor(ForkAware):
    """Handles the messages of one pool.

    Between `begin` and `aclose`, its work goes on after a message was answered.
    """

    def __init__(
        self,
        engine: Engine,
        notifier: Notifier,
        lookup: Callable[[Event], Awaitable[Payment | None]] | None,
    ) -> None:
        self._engine = engine
        self._matcher = EventMatcher(engine, lookup)
        self._teller = Teller(engine, notifier)
        self._handler = MessageHandler(engine, notifier, self._matcher, self._teller)
        self.answers = AnswerProcessor(engine, self._teller)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._scan: asyncio.Task[None] | None = None
        self._over = asyncio.Event()
        self._few = asyncio.Semaphore(MAX_REPETITIONS)
        self._pending: dict[bytes, PendingEvent] = {}
        self._flood = FloodCounter()
        register(self)

    def after_fork_in_child(self) -> None:
        """Drop the parent's messages in a forked child, where `begin` was not called."""
        leave_to_parent(self._pending, self._scan)
        self._loop, self._scan = None, None
        self._pending = {}
        self._teller.unrecorded.forget()
        self.answers.forget()

    def begin(self) -> None:
        """Start to retry, in this loop, what other workers left."""
        self._loop = asyncio.get_running_loop()
        self._few = asyncio.Semaphore(MAX_REPETITIONS)
        self._over = asyncio.Event()
        self._teller.unrecorded.begin()
        self.answers.begin()
        self._scan = self._loop.create_task(self._rescan())

    async def aclose(self, grace: float) -> None:
        """Wait up to `grace` seconds for work in progress, and leave the rest to other workers."""
        self._loop = None
        self._over.set()
        tasks: set[asyncio.Task[Any]] = {
            message.task for message in self._pending.values() if message.task
        }
        tasks |= {self._scan} if self._scan is not None else set()
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=grace)
            for task in late:
                task.cancel()
        await asyncio.gather(*tasks, self.answers.aclose(grace), return_exceptions=True)
        self._scan = None
        for message in self._pending.values():
            if message.timer is not None:
                message.timer.cancel()
        unfinished, self._pending, self._flood = self._pending, {}, FloodCounter()
        for message in unfinished.values():
            await self._engine.store.messages.end(message, done=False)
        if unfinished and self._engine.store.journal is None:
            log.error("%d messages were not done with, and no journal keeps them", len(unfinished))

    async def take(self, event: Event, until: float) -> Unfinished | None:
        """Handle a message; return at the loop's time `until` at the latest, and go on after that.

        None: the message is finished.
        """
        if self._loop is not asyncio.get_running_loop():
            return await self._once(event, until)
        named = names(event)
        if named and self._flood.full(named):
            event = await self._matcher.repeat_event_for(event)
            named = names(event)
        message = self._begun(event, until, named)
        if message is None or message.task is None:
            return Unfinished(retry_after=1.0, always=True)
        task = message.task
        # The task goes on even if the client disconnects or its request is cancelled.
        await asyncio.wait({task}, timeout=max(0.0, until - asyncio.get_running_loop().time()))
        if not task.done():
            return Unfinished()
        return Unfinished(always=True) if task.cancelled() else task.result()

    async def _once(self, event: Event, until: float) -> Unfinished | None:
        """Handle a message without work after the answer; so a message that failed is refused."""
        done, message = False, OpenMessage(event)
        try:
            async with asyncio.timeout_at(until):
                unfinished = await self._handler.handle(message, until)
            done = unfinished is None or not unfinished.retry_seconds
        except TimeoutError:
            unfinished = Unfinished()
        finally:
            await self._engine.store.messages.end(message, done=done)
        return unfinished and msgspec.structs.replace(
            unfinished, always=unfinished.always or not done
        )

    def _begun(
        self,
        event: Event,
        until: float,
        named: Names | None = None,
        *,
        always: bool = False,
        open: bool = False,
    ) -> PendingEvent | None:
        """Return the message with its task, also if the same message is already in hand.

        None: too many messages are in hand.
        """
        key = msgspec.json.encode(event)
        message = self._pending.get(key)
        if message is None:
            # A message that no look-up confirms is sent once, and only has to be kept: it is
            # accepted even if too many messages are in hand.
            many = len(self._pending) >= MAX_PENDING_EVENTS and not always
            if many and self._engine.drivers[event.account].confirms(event):
                return None
            named = names(event) if named is None else named
            message = self._pending[key] = PendingEvent(event, named=named)
            if named:
                self._flood.enter(named)
        message.open = message.open or open
        if message.task is None:
            if message.timer is not None:
                message.timer.cancel()
            message.task = asyncio.get_running_loop().create_task(self._work(key, message, until))
        return message

    def _drop(self, key: bytes) -> None:
        if named := self._pending.pop(key).named:
            self._flood.leave(named)

    async def _work(
        self,
        key: bytes,
        message: PendingEvent,
        until: float,
        few: contextlib.AbstractAsyncContextManager[object] | None = None,
    ) -> Unfinished | None:
        await asyncio.sleep(0)  # an eager task could end before it is stored as `message.task`
        async with few or contextlib.nullcontext():
            unfinished = await self._handler.handle(message, until)
        worth = unfinished is not None and self._is_worth_it(message, unfinished)
        if worth and not await self._matcher.is_kept(message):
            # Its order has too many kept messages: one event is retried for all of them.
            other = await self._matcher.repeat_event_for(message.event)
            worth = other == message.event
            if not worth:
                self._begun(other, LONG_AGO, always=True)
        if worth and unfinished is not None:
            pause = max(message.pause(), unfinished.retry_after or 0.0)
            message.timer = asyncio.get_running_loop().call_later(pause, self._again, key)
        else:
            self._drop(key)
            await self._engine.store.messages.end(message, done=True)
        message.task = None
        return unfinished

    def _is_worth_it(self, message: PendingEvent, unfinished: Unfinished) -> bool:
        """Return whether a message is to be retried."""
        now = asyncio.get_running_loop().time()
        message.since = now if message.since is None else message.since
        if unfinished.retry_seconds and now - message.since > unfinished.retry_seconds:
            log.error(
                "%s: a message was tried for %.0f s, and is given up",
                message.event.account,
                unfinished.retry_seconds,
            )
            return False
        message.unknown = not unfinished.known
        return unfinished.retry_seconds > 0 and not (
            message.unknown and self._unknown() > MAX_UNKNOWN_EVENTS
        )

    def _unknown(self) -> int:
        return sum(message.unknown for message in self._pending.values())

    def _again(self, key: bytes) -> None:
        message = self._pending.get(key)
        if message is not None and message.task is None and self._loop is not None:
            message.task = asyncio.get_running_loop().create_task(
                self._work(key, message, NEVER, self._few)
            )

    async def _rescan(self) -> None:
        """Handle the messages of workers that died, now and every RESCAN_SECONDS."""
        while not self._over.is_set():
            with contextlib.suppress(PaymuxError):
                while found := await self._engine.store.messages.claim(MAX_REPETITIONS):
                    if self._over.is_set():
                        for claimed in found:
                            await self._engine.store.messages.end(claimed, done=False)
                        return
                    begin = partial(self._begun, until=LONG_AGO, always=True, open=True)
                    begun = [begin(claimed.event) for claimed in found]
                    await asyncio.wait({one.task for one in begun if one and one.task})
            with contextlib.suppress(PaymuxError, OSError):
                await self.answers.scan(LONG_AGO)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._over.wait(), RESCAN_SECONDS)
