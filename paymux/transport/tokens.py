"""The token cache: one login for any number of callers.

A stale token is dropped only by a request that used it.
"""

import asyncio
import copy
import random
import time
from collections.abc import Awaitable, Callable
from functools import partial

from ..drivers.base import Driver, Token
from ..errors import PaymuxError, UsageError

# seconds for which a failed login is remembered, so that many callers do not repeat it
FAILED_LOGIN_SECONDS = 1.0


class _Entry:
    """The token of one account, and its login in progress."""

    __slots__ = (
        "error",
        "expires",
        "failed_until",
        "good",
        "login",
        "loop",
        "refresh",
        "text",
        "waiters",
        "wall",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.text: str | None = None  # None while `good`: this account needs no token
        self.good = False
        self.expires = self.wall = self.refresh = 0.0
        self.error: BaseException | None = None
        self.failed_until = 0.0
        self.loop = loop
        self.login: asyncio.Task[Token | None] | None = None
        # Each waiter has its own future: cancelling 10,000 waiters of one shielded task takes
        # seconds. They are in order of arrival.
        self.waiters: dict[asyncio.Future[BaseException | str | None], None] = {}


class TokenCache:
    """Access tokens by account.

    Logins belong to the cache: cancelling a caller does not cancel a login that others wait for.
    """

    def __init__(self, deadline: float) -> None:
        self._deadline = deadline
        self._entries: dict[str, _Entry] = {}

    def held(self, account: str, now: float) -> str | None:
        """Return a token that is valid `now`, and need not be renewed yet; None: call `get`."""
        entry = self._entries.get(account)
        if entry is None or not entry.good or time.time() >= entry.wall:
            return None
        return entry.text if now < entry.refresh else None

    def text(self, account: str) -> str:
        """Return the held token, valid or not, to remove it from what is shown."""
        entry = self._entries.get(account)
        return (entry and entry.text) or ""

    async def get(self, driver: Driver, login: Callable[[], Awaitable[Token | None]]) -> str | None:
        """Return a valid token; log in if there is none.

        None: this account needs no token.
        """
        loop = asyncio.get_running_loop()
        entry = self._entries.get(driver.account)
        if entry is None:
            entry = self._entries[driver.account] = _Entry(loop)
        elif entry.loop is not loop:
            # One loop after another: a token outlives its loop; a login and its waiters do not.
            entry.loop, entry.login, entry.waiters, entry.failed_until = loop, None, {}, 0.0
        now = loop.time()
        # The monotonic clock stops while a machine sleeps, and the wall clock may be adjusted: the
        # token expires when either one says so.
        if entry.good and now < entry.expires and time.time() < entry.wall:
            if now >= entry.refresh and entry.login is None and now >= entry.failed_until:
                self._start(entry, driver, login)
            return entry.text
        if entry.login is None:
            if entry.error is not None and now < entry.failed_until:
                raise _own(entry.error)
            self._start(entry, driver, login)
        waiter: asyncio.Future[BaseException | str | None] = loop.create_future()
        entry.waiters[waiter] = None
        try:
            landed = await waiter
        finally:
            entry.waiters.pop(waiter, None)
        if isinstance(landed, BaseException):
            raise _own(landed)
        return landed

    def drop(self, account: str, text: str) -> None:
        """Drop this token, unless it has already been replaced.

        So 50 "stale" answers cost one login.
        """
        entry = self._entries.get(account)
        if entry is not None and entry.text == text:
            entry.text, entry.good = None, False

    async def aclose(self) -> None:
        """Cancel the logins of the running loop; callers that wait for one get UsageError."""
        loop = asyncio.get_running_loop()
        logins = [
            entry.login for entry in self._entries.values() if entry.login and entry.loop is loop
        ]
        for login in logins:
            login.cancel()
        await asyncio.gather(*logins, return_exceptions=True)

    def _start(
        self, entry: _Entry, driver: Driver, login: Callable[[], Awaitable[Token | None]]
    ) -> None:
        # A lifetime counts from before the request: the provider's clock started later than that.
        began, wall = entry.loop.time(), time.time()
        entry.login = entry.loop.create_task(self._bounded(login))
        entry.login.add_done_callback(partial(self._landed, entry, driver, began, wall))

    async def _bounded(self, login: Callable[[], Awaitable[Token | None]]) -> Token | None:
        async with asyncio.timeout(self._deadline):
            return await login()

    def _landed(
        self,
        entry: _Entry,
        driver: Driver,
        began: float,
        wall: float,
        login: asyncio.Task[Token | None],
    ) -> None:
        error: BaseException | None
        if login.cancelled():
            error = UsageError(f"{driver.account}: the pool was closed during a login")
        else:
            error = login.exception()  # noqa: LOG004 - a task, not a logger
        if entry.login is login:
            entry.login = None
            if error is not None:
                entry.error, entry.failed_until = error, entry.loop.time() + FAILED_LOGIN_SECONDS
            else:
                self._keep(entry, driver, login.result(), began, wall)
        for waiter in entry.waiters:
            if not waiter.done():
                waiter.set_result(entry.text if error is None else error)

    def _keep(
        self, entry: _Entry, driver: Driver, token: Token | None, began: float, wall: float
    ) -> None:
        entry.error, entry.good = None, True
        if token is None:
            entry.text = None
            entry.expires = entry.wall = entry.refresh = float("inf")
            return
        life = max(0.0, driver.token_life if token.expires_in is None else token.expires_in)
        margin = min(60.0, life / 10)
        entry.text = token.secret.reveal()
        entry.expires, entry.wall = began + life - margin, wall + life - margin
        # Renewed in the background, before a caller has to wait, and not by every process in the
        # same second.
        entry.refresh = entry.expires - margin * (1 + random.random())  # noqa: S311 - jitter is no secret


def _own(error: BaseException) -> BaseException:
    # Each waiter raises its own copy: a shared error would collect every waiter's traceback.
    return copy.copy(error) if isinstance(error, PaymuxError) else error.with_traceback(None)
