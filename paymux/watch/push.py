"""Update sockets: one per account while it has watches. A frame is a hint, like a webhook."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from weakref import WeakSet

from ..drivers._pushed import Pushed
from ..drivers.base import Driver
from ..errors import PaymuxError
from ..http import NoWebSocket, TransportError
from ..models import Event, log
from ..transport import backoff_pauses
from ..values.parsing import Unreadable


class PushSockets:
    """The update sockets of a pool; each is open while its account has watches.

    A broken socket is reopened after a pause with jitter.
    """

    def __init__(
        self,
        frames: Callable[[Pushed], AsyncGenerator[str | bytes]],
        on_event: Callable[[Event], None],
    ) -> None:
        self._frames = frames
        self._on_event = on_event
        self._watching: dict[str, WeakSet[object]] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._polled: set[str] = set()  # accounts whose connection opens no WebSocket

    def subscribe(self, watch: object, driver: Driver) -> None:
        """Listen for this watch, if its provider pushes."""
        if not isinstance(driver, Pushed) or driver.account in self._polled:
            return
        self._watching.setdefault(driver.account, WeakSet()).add(watch)
        task = self._tasks.get(driver.account)
        if task is None or task.done() or task.get_loop() is not asyncio.get_running_loop():
            self._begin(driver, None)

    def unsubscribe(self, watch: object, driver: Driver) -> None:
        """Stop listening for this watch."""
        watching = self._watching.get(driver.account)
        if watching is not None:
            watching.discard(watch)
            self.close_if_unused(driver)

    def close_if_unused(self, driver: Driver) -> None:
        """Close the socket when the account has no watches left."""
        watching, task = self._watching.get(driver.account), self._tasks.get(driver.account)
        if not watching and task is not None and not task.get_loop().is_closed():
            # Removed now: a watch that begins before the cancellation is done gets a socket of its
            # own.
            del self._tasks[driver.account]
            task.cancel()

    def renew(self, driver: Driver) -> None:
        """Open an account's socket again, signed by the driver that replaces another."""
        if self._watching.get(driver.account) and isinstance(driver, Pushed):
            self._begin(driver, self._tasks.pop(driver.account, None))

    def _begin(self, driver: Pushed, before: asyncio.Task[None] | None) -> None:
        if before is not None and not before.get_loop().is_closed():
            before.cancel()
        loop = asyncio.get_running_loop()
        self._tasks[driver.account] = loop.create_task(self._listen(driver))

    async def aclose(self) -> None:
        """Close every socket of the running loop."""
        tasks = [
            task for task in self._tasks.values() if task.get_loop() is asyncio.get_running_loop()
        ]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._tasks.clear()
        self._watching.clear()

    async def _listen(self, driver: Pushed) -> None:
        steps = backoff_pauses(factor=1, longest=30)
        while True:
            try:
                async with aclosing(self._frames(driver)) as frames:
                    async for frame in frames:
                        steps = backoff_pauses(factor=1, longest=30)
                        self._on_frame(driver, frame)
            except NoWebSocket as error:
                self._polled.add(driver.account)
                log.info("%s: %s; watches poll", driver.account, error)
                return
            except (TransportError, PaymuxError) as error:
                # Polling continues, so a broken socket only delays the news.
                log.info("%s: the update socket broke: %s", driver.account, error)
            await asyncio.sleep(next(steps))

    def _on_frame(self, driver: Pushed, frame: str | bytes) -> None:
        try:
            event = driver.update(frame)
        except (Unreadable, UnicodeDecodeError) as error:
            log.info("%s: an update was not readable: %s", driver.account, error)
            return
        if event is not None:
            self._on_event(event)
