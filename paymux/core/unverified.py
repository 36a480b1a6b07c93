"""Rate limit for look-ups caused by unauthenticated webhooks."""

import asyncio
from collections import OrderedDict

from ..drivers.base import Driver
from ..errors import NotFound
from ..limits import Limiter, Priority
from ..models import Event

LIMIT_DIVISOR = 10  # they may use a tenth of an account's stated look-ups
DEFAULT_LIMIT = (10, 1.0)  # look-ups per seconds, if the provider states no limit
# seconds for which "no such payment" is cached; a redelivery may come before the payment exists
NOT_FOUND_SECONDS = 60.0
PAUSE_SECONDS = 1.0  # seconds between look-ups that messages about one order may cause
MAX_REMEMBERED = 10_000


class UnverifiedLimiter:
    """The look-ups that unauthenticated messages have caused in a pool."""

    def __init__(self) -> None:
        self._limiters: dict[str, Limiter] = {}
        self._absent: OrderedDict[tuple[str, str], float] = OrderedDict()
        self._asked: OrderedDict[tuple[str, str], float] = OrderedDict()

    async def admit(self, driver: Driver, event: Event) -> None:
        """Take a slot in the small share for messages about unknown payments.

        RateLimited at once if the share is used up; NotFound if the provider said so a moment ago.
        """
        now = asyncio.get_running_loop().time()
        if self._absent.get(_named(event), 0.0) > now:
            error = NotFound("the provider said a moment ago that it does not know this payment")
            error.account, error.provider = driver.account, driver.name
            raise error
        limiter = self._limiters.get(driver.account)
        if limiter is None:
            count, seconds = driver.limits.get(
                "look-up", (DEFAULT_LIMIT[0] * LIMIT_DIVISOR, DEFAULT_LIMIT[1])
            )
            limiter = Limiter(
                driver.account, {"look-up": (max(1, count // LIMIT_DIVISOR), seconds)}
            )
            self._limiters[driver.account] = limiter
        await limiter.acquire(money=False, priority=Priority.HINT, deadline=now)
        limiter.release(money=False)

    def remember_not_found(self, event: Event) -> None:
        """Cache that the provider does not know the payment of a message."""
        _put(self._absent, _named(event), asyncio.get_running_loop().time() + NOT_FOUND_SECONDS)

    async def throttle(self, account: str, order: str) -> None:
        """Wait until a message about this order may cause another look-up, by any of its ids."""
        loop, key = asyncio.get_running_loop(), (account, order)
        if (wait := self._asked.get(key, float("-inf")) + PAUSE_SECONDS - loop.time()) > 0:
            await asyncio.sleep(wait)
        _put(self._asked, key, loop.time())


def _named(event: Event) -> tuple[str, str]:
    return (event.account, event.claims.provider_reference or "")


def _put(kept: OrderedDict[tuple[str, str], float], key: tuple[str, str], value: float) -> None:
    kept[key] = value
    kept.move_to_end(key)
    if len(kept) > MAX_REMEMBERED:
        kept.popitem(last=False)
