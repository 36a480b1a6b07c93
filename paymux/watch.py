"""Watching a payment until it is over: one object to iterate or to await."""

import asyncio
import random
import time
import warnings
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from typing import Self
from weakref import WeakSet

import msgspec

from .drivers.base import Driver, Pushed
from .errors import AuthenticationFailed, Mismatch, NotFound, PaymuxError, RateLimited, UsageError, WatchTimeout
from .models import Event, Payment, log, succeed
from .updates import Updates

FINAL_LOOK = 5.0  # seconds that the last look-up may take beyond the time-out


class Watch:
    """What is known of a payment, then each change of its status or provider status, until it is terminal.

    `async for payment in watch` sees the states, `await watch` only the last one; a time-out is WatchTimeout.
    It holds no task: breaking off, or `wait_for` around one step, leaves nothing behind and can be resumed.
    """

    def __init__(
        self,
        driver: Driver,
        payment: Payment,
        look: Callable[[Payment, float], Awaitable[Payment]] | None,
        *,
        timeout: float | None,
        watches: "Watches",
    ) -> None:
        self.payment = payment
        self._driver = driver
        self._look = look  # None: this payment cannot be asked for, only a webhook can tell
        self._timeout = timeout
        self._watches = watches
        self._started = self._over = self._busy = False
        self._deadline: float | None = None
        self._due = 0.0
        self._asked = float("-inf")  # when it was last looked at
        self._not_before = float("-inf")  # what a Retry-After asked for
        self.keys: set[tuple[str, ...]] = set()  # what it is noted under
        self._shown = (payment.status, payment.provider_status)
        self._news: list[Payment] = []
        self._wake: asyncio.Future[None] | None = None
        self._closed = False
        self._hurry: asyncio.Timeout | None = None
        import backoff  # noqa: PLC0415 - 2 ms of an import that watches nothing yet

        self._pauses = backoff.expo(base=1.5, factor=2, max_value=15)
        next(self._pauses)
        watches.add(self)

    def __del__(self) -> None:
        self._end()
        if not self._started:
            warnings.warn("a Watch was never awaited or iterated", RuntimeWarning, stacklevel=2)

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Payment:
        if self._busy:
            raise UsageError("watch: two tasks step one Watch; give each its own")
        self._busy = True
        try:
            return await self._step()
        except (StopAsyncIteration, asyncio.CancelledError):
            raise
        except BaseException:
            self._end()
            raise
        finally:
            self._busy = False

    def __await__(self) -> Generator[None, None, Payment]:
        return self._finish().__await__()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Stop watching; iterating on ends at once."""
        self._started = True
        self._end()

    def tell(self, found: Payment) -> None:
        """Hand over what a confirmed event found; it is seen by whoever waits, without another look-up."""
        self._news.append(found)
        self._rouse()

    def nudge(self) -> None:
        """Look again soon, because of a hint; a flood of hints costs one look-up a second."""
        if self._look is not None:
            self._due = max(min(self._due, self._asked + 1.0), self._not_before)
            self._rouse()

    def close(self) -> None:
        """End with UsageError for whoever waits: the pool is closed."""
        self._closed = True
        self._rouse()

    async def _finish(self) -> Payment:
        try:
            async for _ in self:
                pass
        except asyncio.CancelledError:
            # Nobody waits any more, however long somebody keeps the error; a next step would listen again.
            self._watches.updates.end(self, self._driver)
            raise
        if not self.payment.status.terminal:
            raise UsageError("watch: it is over, and the payment is still pending; watch it anew")
        return self.payment

    async def _step(self) -> Payment:
        if not self._started:
            self._start()
            return self.payment
        if self._over:
            raise StopAsyncIteration
        while True:
            if self._closed:
                raise UsageError("watch: the pool is closed")
            if self._news:
                found: Payment | None = self._news.pop(0)
            else:
                now = asyncio.get_running_loop().time()
                last = self._deadline is not None and now >= self._deadline
                if not last and now < self._due:
                    await self._sleep()
                    continue
                found = await self._ask(now)
                if found is None and (self._closed or self._news):
                    continue
                if last and (found is None or not found.status.terminal):
                    self._accept(found)
                    raise WatchTimeout(f"{self.payment.account}: still pending", self.payment)
            if self._accept(found):
                return self.payment

    def _start(self) -> None:
        self._started = True
        now = asyncio.get_running_loop().time()
        self._deadline = None if self._timeout is None else now + self._timeout
        created = self.payment.created_at
        age = time.time() - created.timestamp() if created else self._driver.first_look
        # A payment resumed later is looked at at once; a young one, when the payer may have answered.
        self._due = now + max(0.0, self._driver.first_look - age) if self._look else float("inf")
        if self.payment.status.terminal:
            self._end()
        else:
            self._watches.updates.begin(self, self._driver)

    async def _sleep(self) -> None:
        loop = asyncio.get_running_loop()
        self._watches.updates.begin(self, self._driver)
        until = self._due if self._deadline is None else min(self._due, self._deadline)
        self._wake = loop.create_future()
        timer = loop.call_at(until, self._rouse) if until != float("inf") else None
        try:
            await self._wake
        finally:
            self._wake = None
            if timer is not None:
                timer.cancel()

    async def _ask(self, now: float) -> Payment | None:
        """Look once; None where the look-up failed in a way that says nothing."""
        self._asked = now
        self._due = now + next(self._pauses) * random.uniform(0.75, 1.25)  # noqa: S311 - jitter is no secret
        if self._look is None:
            return None
        left = float("inf") if self._deadline is None else max(self._deadline - now, FINAL_LOOK)
        try:
            async with asyncio.timeout(None) as self._hurry:
                return await self._look(self.payment, left)
        except TimeoutError:
            pass  # roused: there is news, or the pool was closed
        except (UsageError, AuthenticationFailed, Mismatch):
            raise
        except NotFound:
            if self._not_found_is_final():
                raise
        except RateLimited as error:
            self._not_before = now + (error.retry_after or 0.0)
            self._due = max(self._due, self._not_before)
        except PaymuxError as error:
            log.info("%s: a look-up failed, the watch goes on: %s", self.payment.account, error)
        finally:
            self._hurry = None
        return None

    def _accept(self, found: Payment | None) -> bool:
        """Take what was found; tell whether there is something new to show."""
        if found is None:
            return False
        self.payment = succeed(self.payment, found)
        self._watches.add(self)  # it may be known by one more reference now
        if self.payment.status.terminal:
            self._end()
        elif self._look is None and self.payment.provider_reference is not None:
            self._look = self._watches.look
            self._due = asyncio.get_running_loop().time()
        shown = (self.payment.status, self.payment.provider_status)
        changed, self._shown = shown != self._shown, shown
        return changed

    def _not_found_is_final(self) -> bool:
        facts = self._driver.facts.get(self.payment.kind or "collect")
        created = self.payment.created_at
        if facts is None or facts.not_found_final_after is None or created is None:
            return False
        return time.time() - created.timestamp() > facts.not_found_final_after

    def _rouse(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)
        if self._hurry is not None and (self._news or self._closed):
            self._hurry.reschedule(asyncio.get_running_loop().time())

    def _end(self) -> None:
        self._over = True
        self._watches.remove(self)
        self._watches.updates.end(self, self._driver)


class Watches:
    """The open watches of a pool, found by whatever their payment is known by."""

    def __init__(
        self,
        look: Callable[[Payment, float], Awaitable[Payment]],
        frames: Callable[[Pushed], AsyncGenerator[str | bytes]],
    ) -> None:
        self.look = look
        self.updates = Updates(frames, self.hint)
        self._by_key: dict[tuple[str, ...], WeakSet[Watch]] = {}

    def add(self, watch: Watch) -> None:
        """Note a watch under what its payment is known by."""
        for key in _keys(watch.payment):
            watch.keys.add(key)
            self._by_key.setdefault(key, WeakSet()).add(watch)

    def remove(self, watch: Watch) -> None:
        """Forget a watch."""
        for key in watch.keys:
            watches = self._by_key.get(key)
            if watches is not None:
                watches.discard(watch)
                if not watches:
                    del self._by_key[key]

    def held(self, event: Event) -> Payment | None:
        """Give the payment that an open watch holds of what a message claims to be about."""
        return next((watch.payment for watch in self._about(event)), None)

    def hint(self, event: Event) -> None:
        """Let the watches that an update is about look again; all of the account, where it names no payment."""
        watches = self._about(event)
        if not _keys(event.claims):
            everyone = [found for key, found in self._by_key.items() if key[0] == event.account]
            watches = list({watch for found in everyone for watch in found})
        for watch in watches:
            watch.nudge()

    def _about(self, event: Event) -> list[Watch]:
        """List the watches that a message is about; what its own secret path proves comes first."""
        named = _keys(msgspec.structs.replace(event.claims, account=event.account, reference=None))
        attempts = [
            (event.account, kind, event.attempt) for kind in ("collect", "payout", "refund") if event.attempt
        ]
        return [watch for key in (*attempts, *named) for watch in self._by_key.get(key, ())]

    def tell(self, payment: Payment) -> None:
        """Wake every watch on this payment."""
        watches = {watch for key in _keys(payment) for watch in self._by_key.get(key, ())}
        for watch in watches:
            # Not every id is a payment's own: CinetPay's api_response_id is one answer's, made of its time.
            if not _differ(watch.payment, payment):
                watch.tell(payment)

    def close(self) -> None:
        """End every open watch with UsageError."""
        for watch in {watch for watches in self._by_key.values() for watch in watches}:
            watch.close()
        self._by_key.clear()


def _differ(one: Payment, other: Payment) -> bool:
    names = ("reference", "provider_reference")
    pairs = [(getattr(one, name), getattr(other, name)) for name in names]
    return any(None not in pair and pair[0] != pair[1] for pair in pairs)


def _keys(payment: Payment) -> list[tuple[str, ...]]:
    keys: list[tuple[str, ...]] = [(payment.account, name, id) for name, id in payment.ids.items()]
    if payment.reference is not None:
        keys.append((payment.account, payment.kind or "collect", payment.reference))
    if payment.provider_reference is not None:
        keys.append((payment.account, payment.provider_reference))
    return keys
