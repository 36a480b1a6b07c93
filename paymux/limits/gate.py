"""Rate limits of an account: no window of the stated length ever holds more requests than the provider allows."""

import asyncio
import enum
import heapq
from collections.abc import Mapping
from typing import Literal

import msgspec

from ..errors import RateLimited
from .pace import Pace
from .share import Share
from .windows import AT_ONCE, Place, Queue, Window

Lane = Literal["money", "look-up"]
SHARE = 10  # one of so many places that would go past somebody goes to whoever has waited longest


class Priority(enum.IntEnum):
    """Who goes first where an account's requests must wait."""

    MONEY = 0
    NOW = 1  # somebody waits for this answer
    WATCH = 2
    BULK = 3
    HINT = 4  # a message about a payment that nobody here knows


class Limits(msgspec.Struct, frozen=True, kw_only=True):
    """How fast an account's requests may go: what its provider states, and what its refusals taught."""

    stated: Mapping[Lane, tuple[int, float]]  # requests, per so many seconds
    pace: float | None = None  # requests a second of both kinds, learned from refusals; None: as fast as stated
    closed_for: float = 0.0  # seconds for which the provider asked us to send nothing, 120 at most
    waiting: int = 0  # requests that wait for their turn


class Gate:
    """Lets the requests of one account out, the most urgent first, as fast as its provider allows.

    Money and look-ups have windows of their own, as stated, and AT_ONCE in flight; what refusals teach (see Pace)
    holds for both. Within a priority it is first come, first served. Every tenth place that would go past somebody
    who came earlier goes to whoever has waited longest, so that neither bulk nor hints wait for ever, and take no
    more than that.
    """

    def __init__(self, account: str, stated: Mapping[Lane, tuple[int, float]]) -> None:
        self._account = account
        self._stated = stated
        self._money = Window(stated.get("money"), len(Priority))
        self._look_up = Window(stated.get("look-up"), len(Priority))
        self._pace = Pace()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._rings = float("inf")  # when it does: uvloop's own cannot always say
        self._number = self._waiting = self._passed = 0
        self._deadlines: list[tuple[float, int, Place, Queue]] = []
        self.share: Share | None = None  # of the watches, where several processes divide the look-ups

    def try_enter(self, *, money: bool) -> bool:
        """Take a place if one is free and nobody waits for it; otherwise `enter` waits."""
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._adopt(loop)
        window = self._money if money else self._look_up
        now = loop.time()
        if self._pace.rate is None:
            if (self._waiting and window.waits()) or window.room(now) <= 0:
                return False
        elif self._waiting or now < self._pace.opens() or window.room(now) <= 0:
            return False
        window.flying += 1
        self._pace.left(now)
        return True

    async def enter(self, *, money: bool, priority: Priority, deadline: float) -> None:
        """Wait for a place; RateLimited at once, with nothing sent, where none comes before `deadline`.

        That is counted from those ahead, at the pace of now; those of lower priority do not count. Who waits
        already is RateLimited in the moment in which a Retry-After closes the account beyond his deadline.
        """
        if self.try_enter(money=money):
            return
        loop, window = asyncio.get_running_loop(), self._money if money else self._look_up
        now = loop.time()
        free_at = self._free_at(window, priority, now)
        if free_at > deadline:
            raise self._refusal(window, free_at - now)
        place, queue = loop.create_future(), window.queues[priority]
        self._number += 1
        queue[place] = self._number
        self._waiting += 1
        self._note(deadline, place, queue)
        self._arm(loop, now)
        try:
            granted = await place
        except BaseException:
            if self._loop is loop:
                self._abandon(window, place, queue)
            raise
        if not granted:
            raise self._refusal(window, self._pace.closed_until - loop.time())

    def leave(self, *, money: bool) -> None:
        """Say that the request was answered, or is over."""
        window = self._money if money else self._look_up
        if window.flying:  # not what a loop left behind that is gone: adopting another one ended it
            window.flying -= 1
        if self._loop is not None and (window.count or self._waiting):
            now = self._loop.time()
            if window.count:
                window.done.append(now)
            if self._waiting:
                self._arm(self._loop, now)

    def throttled(self, retry_after: float | None) -> None:
        """Slow down at once: the provider refused a request because there were too many.

        `retry_after` is in seconds; nothing leaves before, 120 at most. Money waits, too, even where a look-up was
        refused: a bare 429 on a payment does not prove at every provider that nothing was processed, so one that
        is sent too early may end as OutcomeUnknown, and one that waits cannot.
        """
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._adopt(loop)
        pace = self._pace
        pace.refused(loop.time(), retry_after, self._money.flying + self._look_up.flying)
        while self._deadlines and self._deadlines[0][0] < pace.closed_until:
            _, _, place, queue = heapq.heappop(self._deadlines)
            if not place.done():
                self._drop(place, queue)
                place.set_result(False)

    def answered(self) -> None:
        """Recover slowly: the provider answered a request."""
        pace = self._pace
        pace.let += 1
        if pace.rate is None or self._loop is None:
            return
        now = self._loop.time()
        held = any(window.waits() and window.room(now) > 0 for window in (self._money, self._look_up))
        if pace.recover(now) and not held:
            pace.forget()

    def room(self) -> int:
        """Tell how many look-ups of a watch may come now: those that leave without waiting, or a second's worth.

        The latter where only bulk or hints wait: they take each place as it comes free, and a watch goes ahead of
        them only from within the queue.
        """
        loop, window, pace = asyncio.get_running_loop(), self._look_up, self._pace
        if loop is not self._loop:
            self._adopt(loop)
        now = loop.time()
        if now < pace.closed_until:
            return 0
        free, rate = window.room(now), window.rate
        if pace.rate is not None:
            free, rate = min(free, pace.room(now)), min(rate, pace.rate)
        ahead = self._ahead(window, Priority.WATCH, now)
        if any(window.queues[Priority.BULK :]):
            free = max(free, int(min(rate, AT_ONCE)), 1)
        if self.share is not None:
            free = min(free, self.share.room(now) + ahead)
        return max(free - ahead, 0)

    def free_at(self) -> float:
        """Tell the loop's time at which a look-up of a watch could leave; infinite where nobody knows."""
        now = asyncio.get_running_loop().time()
        if self.room():
            return now
        shared = now if self.share is None else self.share.free_at(now)
        return max(self._free_at(self._look_up, Priority.WATCH, now), self._look_up.next_at(now), shared)

    def state(self) -> Limits:
        """Tell how things stand."""
        closed_for = self._pace.closed_until - self._loop.time() if self._loop else 0.0
        return Limits(
            stated=self._stated, pace=self._pace.rate, closed_for=max(closed_for, 0.0), waiting=self._waiting
        )

    def _adopt(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin in another loop, with nobody in the queue; what a dead loop had in flight ends here."""
        if self._timer is not None:
            self._timer.cancel()
        self._loop, self._timer, self._waiting, self._deadlines = loop, None, 0, []
        for window in (self._money, self._look_up):
            window.begin(loop.time())

    def _refusal(self, window: Window, wait: float) -> RateLimited:
        """Say that nothing was sent, and why."""
        why = f"the limit of {window.count} requests per {window.seconds:g} s is reached"
        if self._pace.rate is not None and (not window.count or self._pace.rate < window.rate):
            why = "the provider refused requests that came too fast"
        error = RateLimited(f"{why}; nothing was sent", retry_after=max(wait, 0.0))
        error.account = self._account
        return error

    def _ahead(self, window: Window, rank: Priority, now: float) -> int:
        """Count who would go before one of this rank that comes now."""
        ahead = window.ahead(rank)
        if self._pace.rate is not None:  # the others' window may hold them up, but then it holds up nobody else
            other = self._look_up if window is self._money else self._money
            ahead += max(min(other.ahead(rank), other.room(now)), 0)
        return ahead

    def _free_at(self, window: Window, rank: Priority, now: float) -> float:
        """Tell when a place comes for one of this rank at the earliest."""
        free_at = window.free_at(window.ahead(rank), now) if window.count else now
        if self._pace.rate is not None:
            free_at = max(free_at, max(self._pace.opens(), now) + self._ahead(window, rank, now) / self._pace.rate)
        return free_at

    def _note(self, deadline: float, place: Place, queue: Queue) -> None:
        """Keep in mind until when somebody can wait."""
        if deadline < float("inf"):
            if len(self._deadlines) > 2 * self._waiting + 64:
                self._deadlines = [one for one in self._deadlines if not one[2].done()]
                heapq.heapify(self._deadlines)
            heapq.heappush(self._deadlines, (deadline, self._number, place, queue))

    def _drop(self, place: Place, queue: Queue) -> bool:
        """Take somebody out of the queue; tell whether he was there."""
        if queue.pop(place, None) is None:
            return False
        self._waiting -= 1
        if not self._waiting and self._timer is not None:
            self._timer.cancel()
            self._timer = None
        return True

    def _abandon(self, window: Window, place: Place, queue: Queue) -> None:
        """Give up a place, waited for or just granted."""
        if not self._drop(place, queue) and place.done() and not place.cancelled() and place.result():
            window.flying -= 1
            self._pace.stayed()
            self._serve()

    def _serve(self) -> None:
        """Let out everyone who may leave now."""
        loop = self._loop
        if loop is None:
            return
        now = loop.time()
        while self._waiting and now >= self._pace.opens():
            head = self._head(now)
            if head is None:
                break
            window, queue = head
            place = next(iter(queue))
            self._drop(place, queue)
            if not place.done():
                window.flying += 1
                self._pace.left(now)
                place.set_result(True)
        self._arm(loop, now)

    def _head(self, now: float) -> tuple[Window, Queue] | None:
        """Choose the queue whose first is next: the most urgent, or now and then who has waited longest."""
        heads = [
            (rank, next(iter(queue.values())), window, queue)
            for window in (self._money, self._look_up)
            if window.waits() and window.room(now) > 0
            for rank, queue in enumerate(window.queues)
            if queue
        ]
        if not heads:
            return None
        chosen, oldest = min(heads, key=lambda head: head[:2]), min(heads, key=lambda head: head[1])
        if chosen is not oldest:
            self._passed += 1
            if self._passed >= SHARE:
                chosen, self._passed = oldest, 0
        return chosen[2:]

    def _arm(self, loop: asyncio.AbstractEventLoop, now: float) -> None:
        """Set the timer for the next place, if anybody waits; one that is early does no harm."""
        opens = self._pace.opens()
        windows = (self._money, self._look_up)
        at = min((max(window.next_at(now), opens) for window in windows if window.waits()), default=float("inf"))
        if self._timer is not None:
            if self._rings <= at:
                return
            self._timer.cancel()
            self._timer = None
        if at < float("inf"):
            self._rings, self._timer = at, loop.call_at(at, self._rung)

    def _rung(self) -> None:
        self._timer = None
        self._serve()
