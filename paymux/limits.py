"""Rate limits of an account: no window of the stated length ever holds more requests than the provider allows."""

import asyncio
from collections import deque

from .errors import RateLimited


class Limit:
    """`count` requests per `seconds`, first come first served, exact as the provider sees it.

    A request holds its place from before it leaves until a whole window after its answer: whenever it arrived
    in between, no window at the provider's end can hold more than `count`.
    """

    def __init__(self, account: str, count: int, seconds: float) -> None:
        self._account = account
        self._count = count
        self._seconds = seconds
        self._loop: asyncio.AbstractEventLoop | None = None
        self._flying = 0
        self._done: deque[float] = deque()
        self._queue: deque[asyncio.Future[None]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    async def enter(self, deadline: float) -> None:
        """Wait for a place; RateLimited at once, with nothing sent, where none comes before `deadline`."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._loop, self._flying, self._queue, self._timer = loop, 0, deque(), None
        self._expire(loop.time())
        if not self._queue and self._flying + len(self._done) < self._count:
            self._flying += 1
            return
        free_at = self._free_at(len(self._queue), loop.time())
        if free_at > deadline:
            error = RateLimited(
                f"the limit of {self._count} requests per {self._seconds:g} s is reached; nothing was sent",
                retry_after=free_at - loop.time(),
            )
            error.account = self._account
            raise error
        place: asyncio.Future[None] = loop.create_future()
        self._queue.append(place)
        self._arm(loop)
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                self._flying -= 1
                self._serve()
            elif place in self._queue:
                self._queue.remove(place)
            raise

    def _free_at(self, ahead: int, now: float) -> float:
        """Tell when the place behind so many comes at the earliest; one in flight holds it a window more."""
        rounds, place = divmod(ahead, self._count)
        place -= max(0, self._count - self._flying - len(self._done))
        if place < len(self._done):
            now = self._done[place] if place >= 0 else now - self._seconds
        return now + self._seconds * (rounds + 1)

    def leave(self) -> None:
        """Say that the request was answered, or is over."""
        if self._loop is not None:
            self._flying -= 1
            self._done.append(self._loop.time())
            self._arm(self._loop)

    def _expire(self, now: float) -> None:
        while self._done and self._done[0] + self._seconds <= now:
            self._done.popleft()

    def _serve(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._loop is None:
            return
        self._expire(self._loop.time())
        while self._queue and self._flying + len(self._done) < self._count:
            place = self._queue.popleft()
            if not place.done():
                place.set_result(None)
                self._flying += 1
        self._arm(self._loop)

    def _arm(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._queue and self._done and self._timer is None:
            self._timer = loop.call_at(self._done[0] + self._seconds, self._serve)
