"""Messages that prove nothing: how often they may make us ask, so that a flood of forgeries delays nobody."""

import asyncio
from collections import OrderedDict

from .drivers.base import Driver
from .errors import NotFound
from .limits import Gate, Priority
from .models import Event

SHARE = 10  # one in so many of an account's stated look-ups
UNSTATED = (10, 1.0)  # look-ups per so many seconds, where the provider states no limit
ABSENT_FOR = 60.0  # seconds for which "no such payment" is remembered; a redelivery may come before it is known
PAUSE = 1.0  # seconds between look-ups that messages about one payment of ours may cause
REMEMBERED = 10_000


class Unproved:
    """What messages without a proof have made a pool ask."""

    def __init__(self) -> None:
        self._gates: dict[str, Gate] = {}
        self._absent: OrderedDict[tuple[str, str], float] = OrderedDict()
        self._asked: OrderedDict[tuple[str, str], float] = OrderedDict()

    async def admit(self, driver: Driver, event: Event) -> None:
        """Take a place in the small share of messages about payments that we do not know.

        RateLimited at once where the share is used up, NotFound where the provider said so a moment ago.
        """
        now = asyncio.get_running_loop().time()
        if self._absent.get(_named(event), 0.0) > now:
            error = NotFound("the provider said a moment ago that it does not know this payment")
            error.account, error.provider = driver.account, driver.name
            raise error
        gate = self._gates.get(driver.account)
        if gate is None:
            count, seconds = driver.limits.get("look-up", (UNSTATED[0] * SHARE, UNSTATED[1]))
            gate = Gate(driver.account, {"look-up": (max(1, count // SHARE), seconds)})
            self._gates[driver.account] = gate
        await gate.enter(money=False, priority=Priority.HINT, deadline=now)
        gate.leave(money=False)

    def absent(self, event: Event) -> None:
        """Remember that the provider does not know the payment of a message."""
        _put(self._absent, _named(event), asyncio.get_running_loop().time() + ABSENT_FOR)

    async def pace(self, account: str, order: str) -> None:
        """Wait until a message about an order of ours may make us ask again, whatever it names it by."""
        loop, key = asyncio.get_running_loop(), (account, order)
        if (wait := self._asked.get(key, float("-inf")) + PAUSE - loop.time()) > 0:
            await asyncio.sleep(wait)
        _put(self._asked, key, loop.time())


def _named(event: Event) -> tuple[str, str]:
    return (event.account, event.claims.provider_reference or "")


def _put(kept: OrderedDict[tuple[str, str], float], key: tuple[str, str], value: float) -> None:
    kept[key] = value
    kept.move_to_end(key)
    if len(kept) > REMEMBERED:
        kept.popitem(last=False)
