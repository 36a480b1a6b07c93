"""Watching a payment until it is terminal: one object to iterate or to await."""

import asyncio
import warnings
from collections.abc import Coroutine, Generator
from typing import Any, Self

from ..errors import UsageError, WatchTimeout
from ..models import Payment
from .poller import Poller
from .registry import WatchRegistry


class Watch(Poller):
    """A payment's states: the known one, then each change, until it is terminal.

    `async for payment in watch` yields each change (also of the provider's status), `await watch`
    returns the last one, a time-out is WatchTimeout. No task runs: it can be resumed after a break.
    Watches of one payment share their look-ups; watches of one account share a poll queue.
    """

    __slots__ = ("_busy",)

    def __init__(self, payment: Payment, *, timeout: float | None, watches: WatchRegistry) -> None:
        self._busy = False
        super().__init__(payment, timeout=timeout, watches=watches)

    def __del__(self) -> None:
        if not self._over:
            self._registry.discard_dead(self.ref, self.payment, self._driver)
        if not self._started:
            warnings.warn("a Watch was never awaited or iterated", RuntimeWarning, stacklevel=2)

    def __aiter__(self) -> Self:
        return self

    def __anext__(self) -> Coroutine[Any, Any, Payment]:
        return self._go(to_the_end=False)

    def __await__(self) -> Generator[None, None, Payment]:
        return self._go(to_the_end=True).__await__()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Stop watching; further iteration ends at once."""
        self._started = True
        self._end()

    async def _go(self, *, to_the_end: bool) -> Payment:
        """Run to the next state to yield, or to the end; a waiting watch holds only this frame."""
        if self._busy:
            raise UsageError("watch: two tasks iterate one Watch; give each its own")
        self._busy = True
        try:
            if not self._started:
                self._start()
                if not to_the_end:
                    return self.payment
            while not self._over:
                if self._registry.closed:
                    raise UsageError("watch: the pool is closed")
                if self._results:
                    shows: bool | None = self._take_next()
                elif self._asked >= self._deadline:
                    raise self._late()
                else:
                    self._ticket = self._join()
                    try:
                        shows = await self._ticket
                        if shows:
                            shows = await self._ask(self._ticket)
                        elif shows is None and not self._results:
                            raise self._late()
                    finally:
                        self._leave()
                if shows and not to_the_end:
                    return self.payment
            if not to_the_end:
                raise StopAsyncIteration
            return self._last()
        except asyncio.CancelledError:
            if to_the_end:
                # The awaiting task is gone, even if its error is kept; a next step listens again.
                self._stop_listening()
            raise
        except StopAsyncIteration:
            raise
        except BaseException:
            self._end()
            raise
        finally:
            self._busy = False

    def _last(self) -> Payment:
        """Return the state that it ended with."""
        if not self.payment.status.terminal:
            raise UsageError("watch: it is over, and the payment is still pending; make a new one")
        return self.payment

    def _late(self) -> WatchTimeout:
        return WatchTimeout(f"{self.payment.account}: still pending", self.payment)
