"""The token cache: one login for any number of callers.

A stale token is dropped only by a request that used it. Where a pool shares its tokens with other
processes (`token_sharing.py`), a login may turn out to be needless: another one has a newer token.
"""

import asyncio
import copy
import random
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from ..drivers.base import Driver, Token
from ..errors import PaymuxError, UsageError

if TYPE_CHECKING:
    from .token_sharing import TokenSharing

Login: TypeAlias = Callable[[], Awaitable[Token | None]]

# seconds for which a failed login is remembered, so that many callers do not repeat it
FAILED_LOGIN_SECONDS = 1.0


class Landed(NamedTuple):
    """A token, and the loop's time and the wall time when its life began."""

    token: Token | None
    began: float
    wall: float
    own: bool = True  # False: another process logged in


class _Entry:
    """The token of one account, and its login in progress."""

    __slots__ = (
        "error",
        "expires",
        "failed_until",
        "good",
        "login",
        "loop",
        "own",
        "refresh",
        "refused",
        "text",
        "waiters",
        "wall",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.text: str | None = None  # None while `good`: this account needs no token
        self.good = False
        self.own = True  # False: another process logged in for it
        self.refused: str | None = None  # a token that was dropped
        self.expires = self.wall = self.refresh = 0.0
        self.error: BaseException | None = None
        self.failed_until = 0.0
        self.loop = loop
        self.login: asyncio.Task[Landed] | None = None
        # Each waiter has its own future: cancelling 10,000 waiters of one shielded task takes
        # seconds. They are in order of arrival.
        self.waiters: dict[asyncio.Future[BaseException | str | None], None] = {}


class TokenCache:
    """Access tokens by account, and by login where an account has several.

    Logins belong to the cache: cancelling a caller does not cancel a login that others wait for.
    """

    def __init__(self, deadline: float, sharing: "TokenSharing | None" = None) -> None:
        self._deadline = deadline
        self._sharing = sharing  # with the other processes
        self._entries: dict[tuple[str, str], _Entry] = {}

    def held(self, account: str, now: float, name: str = "") -> str | None:
        """Return a token that is valid `now`, and need not be renewed yet; None: call `get`."""
        entry = self._entries.get((account, name))
        if entry is None or not entry.good or time.time() >= entry.wall:
            return None
        return entry.text if now < entry.refresh else None

    def texts(self, account: str) -> tuple[str, ...]:
        """Return the held tokens, valid or not, to remove them from what is shown."""
        held = [entry.text for (owner, _), entry in self._entries.items() if owner == account]
        return tuple(filter(None, held))

    async def get(self, driver: Driver, login: Login, name: str = "") -> str | None:
        """Return a valid token of the login of this name; log in if there is none.

        None: this account needs no token.
        """
        loop = asyncio.get_running_loop()
        entry = self._entries.get((driver.account, name))
        if entry is None:
            entry = self._entries[driver.account, name] = _Entry(loop)
        elif entry.loop is not loop:
            # One loop after another: a token outlives its loop; a login and its waiters do not.
            entry.loop, entry.login, entry.waiters, entry.failed_until = loop, None, {}, 0.0
        now = loop.time()
        # The monotonic clock stops while a machine sleeps, and the wall clock may be adjusted: the
        # token expires when either one says so.
        if entry.good and now < entry.expires and time.time() < entry.wall:
            if now >= entry.refresh and entry.login is None and now >= entry.failed_until:
                self._start(entry, driver, name, login)
            return entry.text
        if entry.login is None:
            if entry.error is not None and now < entry.failed_until:
                raise _own(entry.error)
            self._start(entry, driver, name, login)
        waiter: asyncio.Future[BaseException | str | None] = loop.create_future()
        entry.waiters[waiter] = None
        try:
            landed = await waiter
        finally:
            entry.waiters.pop(waiter, None)
        if isinstance(landed, BaseException):
            raise _own(landed)
        return landed

    def is_own(self, account: str, text: str, name: str = "") -> bool:
        """Return whether this token comes from a login of this pool, and not of another process."""
        entry = self._entries.get((account, name))
        return self._sharing is None or (entry is not None and entry.text == text and entry.own)

    def drop(self, account: str, text: str, name: str = "") -> None:
        """Drop this token, unless it has already been replaced.

        So 50 "stale" answers cost one login.
        """
        entry = self._entries.get((account, name))
        if entry is not None and entry.text == text:
            entry.text, entry.good, entry.refused = None, False, text

    async def aclose(self) -> None:
        """Cancel the logins of the running loop; callers that wait for one get UsageError."""
        loop = asyncio.get_running_loop()
        logins = [
            entry.login for entry in self._entries.values() if entry.login and entry.loop is loop
        ]
        for login in logins:
            login.cancel()
        await asyncio.gather(*logins, return_exceptions=True)

    def _start(self, entry: _Entry, driver: Driver, name: str, login: Login) -> None:
        bounded = self._bounded(driver, name, login, entry.refused)
        entry.login = entry.loop.create_task(bounded)
        entry.login.add_done_callback(partial(self._landed, entry, driver))

    async def _bounded(
        self, driver: Driver, name: str, login: Login, refused: str | None
    ) -> Landed:
        async with asyncio.timeout(self._deadline):
            if self._sharing is None:
                return await logged_in(login)
            return await self._sharing.obtain(driver, name, login, refused)

    def _landed(self, entry: _Entry, driver: Driver, login: asyncio.Task[Landed]) -> None:
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
                self._keep(entry, driver, login.result())
        for waiter in entry.waiters:
            if not waiter.done():
                waiter.set_result(entry.text if error is None else error)

    def _keep(self, entry: _Entry, driver: Driver, landed: Landed) -> None:
        token, began, wall, entry.own = landed
        entry.error, entry.good, entry.refused = None, True, None
        if token is None:
            entry.text = None
            entry.expires = entry.wall = entry.refresh = float("inf")
            return
        life = life_of(driver, token)
        margin = margin_of(life)
        entry.text = token.secret.reveal()
        entry.expires, entry.wall = began + life - margin, wall + life - margin
        # Renewed in the background, before a caller has to wait, and not by every process in the
        # same second.
        entry.refresh = entry.expires - margin * (1 + random.random())  # noqa: S311 - jitter is no secret


async def logged_in(login: Login) -> Landed:
    """Log in."""
    # A lifetime counts from before the request: the provider's clock started later than that.
    began, wall = asyncio.get_running_loop().time(), time.time()
    return Landed(await login(), began, wall)


def life_of(driver: Driver, token: Token) -> float:
    """Return the seconds for which a new token is valid."""
    return max(0.0, driver.token_life if token.expires_in is None else token.expires_in)


def margin_of(life: float) -> float:
    """Return the seconds at the end of a token's life in which it is not used."""
    return min(60.0, life / 10)


def _own(error: BaseException) -> BaseException:
    # Each waiter raises its own copy: a shared error would collect every waiter's traceback.
    return copy.copy(error) if isinstance(error, PaymuxError) else error.with_traceback(None)
