"""What becomes of a message: its payment is confirmed and told to the shop, and what failed is done again."""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import msgspec

from ..confirm import confirm
from ..engine import Engine
from ..errors import (
    AuthenticationFailed,
    BadWebhook,
    Mismatch,
    NotFound,
    PaymuxError,
    RateLimited,
    Unsupported,
    UsageError,
)
from ..forks import Forking, leave_to_parent, watch
from ..journal import OpenMessage
from ..models import Event, Payment, log
from ..notify import Failed, Full, Notifier, log_failure
from ..redact import mask
from .about import About
from .crowd import Crowd, Names, names
from .messages import Left, Message
from .unrecorded import Unrecorded

RESCAN = 30.0  # seconds between looks for messages of workers that died
DAY = 86_400.0  # seconds for which a provider that does not answer is asked again
NEVER, BEFORE = float("inf"), -float("inf")
AT_ONCE = 8  # repetitions at once
MOST = 1000  # messages in hand
UNKNOWN = 100  # of them about payments that we do not know, waiting to be repeated


class Delivery(Forking):
    """Handles the messages of one pool. Between `begin` and `aclose` it goes on after the answer was given."""

    def __init__(
        self,
        engine: Engine,
        notifier: Notifier,
        lookup: Callable[[Event], Awaitable[Payment | None]] | None,
    ) -> None:
        self._engine = engine
        self._notifier = notifier
        self._about = About(engine, lookup)
        self._unrecorded = Unrecorded(engine, notifier.telling)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._scan: asyncio.Task[None] | None = None
        self._over = asyncio.Event()
        self._few = asyncio.Semaphore(AT_ONCE)
        self._messages: dict[bytes, Message] = {}
        self._crowd = Crowd()
        watch(self)

    def begin_anew(self) -> None:
        """Have none of the parent's messages in a forked child, where this was not entered."""
        leave_to_parent(self._messages, self._scan)
        self._loop, self._scan = None, None
        self._messages = {}
        self._unrecorded.forget()

    def begin(self) -> None:
        """Start repeating what was left, in this loop."""
        self._loop = asyncio.get_running_loop()
        self._few = asyncio.Semaphore(AT_ONCE)
        self._over = asyncio.Event()
        self._unrecorded.begin()
        self._scan = self._loop.create_task(self._rescan())

    async def aclose(self, grace: float) -> None:
        """Let what is under way end within `grace` seconds, and leave the rest to whoever comes next."""
        self._loop = None
        self._over.set()
        tasks: set[asyncio.Task[Any]] = {message.task for message in self._messages.values() if message.task}
        tasks |= {self._scan} if self._scan is not None else set()
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=grace)
            for task in late:
                task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._scan = None
        for message in self._messages.values():
            if message.timer is not None:
                message.timer.cancel()
        left, self._messages, self._crowd = self._messages, {}, Crowd()
        for message in left.values():
            await self._engine.records.end_hint(message, done=False)
        if left and self._engine.records.journal is None:
            log.error("%d messages were not done with, and no journal keeps them", len(left))

    async def take(self, event: Event, until: float) -> Left | None:
        """Handle a message until the loop's clock says so, and go on after that; None: done with it."""
        if self._loop is not asyncio.get_running_loop():
            return await self._once(event, until)
        named = names(event)
        if named and self._crowd.full(named):
            event = await self._about.for_all(event)
            named = names(event)
        # What no look-up confirms is sent once, and is only to be kept: there is always a place for it.
        always = not self._engine.drivers[event.account].confirms(event)
        message = self._begun(event, until, named, always=always)
        if message is None or message.task is None:
            return Left(retry_after=1.0, plainly=True)
        task = message.task
        # The message outlives whoever brought it: a client that is gone, or a request that is cancelled.
        await asyncio.wait({task}, timeout=max(0.0, until - asyncio.get_running_loop().time()))
        if not task.done():
            return Left()
        return Left(plainly=True) if task.cancelled() else task.result()

    async def _once(self, event: Event, until: float) -> Left | None:
        """Handle a message where nothing goes on after the answer; so what failed is refused."""
        done, message = False, OpenMessage(event)
        try:
            async with asyncio.timeout_at(until):
                left = await self._handle(message, until)
            done = left is None or not left.lasting
        except TimeoutError:
            left = Left()
        finally:
            await self._engine.records.end_hint(message, done=done)
        return left and msgspec.structs.replace(left, plainly=left.plainly or not done)

    def _begun(
        self,
        event: Event,
        until: float,
        named: Names | None = None,
        *,
        always: bool = False,
        open: bool = False,
    ) -> Message | None:
        """Give the message with a task at it: that of the same message, if it is in hand."""
        key = msgspec.json.encode(event)
        message = self._messages.get(key)
        if message is None:
            if len(self._messages) >= MOST and not always:
                return None
            named = names(event) if named is None else named
            message = self._messages[key] = Message(event, named=named)
            if named:
                self._crowd.enter(named)
        message.open = message.open or open
        if message.task is None:
            if message.timer is not None:
                message.timer.cancel()
            message.task = asyncio.get_running_loop().create_task(self._work(key, message, until))
        return message

    def _drop(self, key: bytes) -> None:
        if named := self._messages.pop(key).named:
            self._crowd.leave(named)

    async def _work(
        self,
        key: bytes,
        message: Message,
        until: float,
        few: contextlib.AbstractAsyncContextManager[object] | None = None,
    ) -> Left | None:
        await asyncio.sleep(0)  # an eager task could end before it is known as the message's
        async with few or contextlib.nullcontext():
            left = await self._handle(message, until)
        worth = left is not None and self._is_worth_it(message, left)
        if worth and not await self._about.is_kept(message):
            # Its order has its share of messages: one that stands for all is repeated instead.
            other = await self._about.for_all(message.event)
            worth = other == message.event
            if not worth:
                self._begun(other, BEFORE, always=True)
        if worth and left is not None:
            pause = max(message.pause(), left.retry_after or 0.0)
            message.timer = asyncio.get_running_loop().call_later(pause, self._again, key)
        else:
            self._drop(key)
            await self._engine.records.end_hint(message, done=True)
        message.task = None
        return left

    def _is_worth_it(self, message: Message, left: Left) -> bool:
        """Tell whether a message is to be handled again."""
        now = asyncio.get_running_loop().time()
        message.since = now if message.since is None else message.since
        if left.lasting and now - message.since > left.lasting:
            log.error("%s: a message was tried for %.0f s, and is given up", message.event.account, left.lasting)
            return False
        message.unknown = not left.known
        return left.lasting > 0 and not (message.unknown and self._unknown() > UNKNOWN)

    def _unknown(self) -> int:
        return sum(message.unknown for message in self._messages.values())

    def _again(self, key: bytes) -> None:
        message = self._messages.get(key)
        if message is not None and message.task is None and self._loop is not None:
            message.task = asyncio.get_running_loop().create_task(self._work(key, message, NEVER, self._few))

    async def _rescan(self) -> None:
        """Handle what workers that died have left, now and whenever another one dies."""
        while not self._over.is_set():
            with contextlib.suppress(PaymuxError):
                while found := await self._engine.records.claim_hints(AT_ONCE):
                    if self._over.is_set():
                        for claimed in found:
                            await self._engine.records.end_hint(claimed, done=False)
                        return
                    begin = partial(self._begun, until=BEFORE, always=True, open=True)
                    begun = [begin(claimed.event) for claimed in found]
                    await asyncio.wait({one.task for one in begun if one and one.task})
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._over.wait(), RESCAN)

    async def _handle(self, message: OpenMessage, until: float) -> Left | None:
        """Confirm a message and tell the shop of its payment; None: done with it, well or for good."""
        event, expected, real = message.event, None, False
        driver = self._engine.driver(event.account)
        if not driver.confirms(event):
            return await self._keep(event)
        try:
            expected = await self._about.expected(event)
            payment = await confirm(self._engine, event, expected, None, message=message)
            real = True
            if payment.status.terminal:
                return await self._tell(message, payment, until)
            if event.claims.status.terminal:
                # The message may be ahead of the provider's own query, or a lie: it is asked for a while.
                return Left(
                    status=200, lasting=driver.watch_timeout, known=await self._about.knows(event, expected)
                )
        except Failed:
            return Left(lasting=float("inf"), known=real or await self._about.knows(event, expected))
        except Unsupported:
            return await self._keep(event)
        except (PaymuxError, OSError) as error:  # OSError: of the journal
            return await self._left(event, expected, error)
        except Exception as error:  # noqa: BLE001 - a driver's bug must not lose a message
            log_failure("a driver", event.account, error)
            return Left(lasting=DAY)
        return None

    async def _left(
        self,
        event: Event,
        expected: Payment | None,
        error: PaymuxError | OSError,
    ) -> Left | None:
        """Tell what is left to do about a message that was not confirmed; None: nothing."""
        driver = self._engine.driver(event.account)
        if isinstance(error, Mismatch):
            # The same message again would say the same: a person is told, and nobody else.
            self._about.refused(event, error)
            return None
        if isinstance(error, BadWebhook):
            if event.attempt is not None:
                # Its own path says whose it is; the answer that gives the provider's id may be under way.
                return Left(lasting=driver.watch_timeout)
            log.warning("%s", mask(str(error)))
            return None
        known = await self._about.knows(event, expected)
        if isinstance(error, RateLimited):
            lasting = DAY if known else 0.0
            return Left(
                status=429,
                retry_after=error.retry_after,
                lasting=lasting,
                known=known,
                plainly=not known,
            )
        if isinstance(error, NotFound):
            return Left(lasting=driver.watch_timeout if known else 0.0, known=known)
        level = logging.ERROR if isinstance(error, AuthenticationFailed) else logging.WARNING
        said = "%s: a message could not be confirmed yet: %s"
        log.log(level, said, event.account, mask(str(error)))
        return Left(lasting=DAY, known=known)

    async def _keep(self, event: Event) -> Left | None:
        """Keep what no look-up confirms, before it is acknowledged: it may be money, and is told once."""
        try:
            await self._notifier.unconfirmed.take(event)
        except UsageError:
            return Left(status=400, plainly=True)
        except Full:
            return Left(plainly=True)
        except OSError as error:
            log.warning("%s: a message could not be kept yet: %s", event.account, error)
            return Left(lasting=float("inf"))
        return None

    async def _tell(self, message: OpenMessage, payment: Payment, until: float) -> Left | None:
        """See that the shop hears of a payment's state; None: it has. What the outbox has, it goes on with."""
        wanted = (payment.kind or "collect") in self._notifier.telling.kinds
        if not wanted or message.told is payment.status:
            return None
        outbox = self._notifier.outbox
        told: bool | None = None
        if outbox is not None:
            told = await self._notifier.telling.heard(outbox, payment, until, message)
        elif (journal := self._engine.records.journal) is not None:
            told = await self._notifier.telling.once(journal.outbox, payment, until)
        if told is None:  # it is no order of ours: only this message speaks of it
            await self._unrecorded.tell(payment)
        return Left(plainly=outbox is None) if told is False else None
