"""Rate limiter of an account: no window ever holds more requests than the provider allows."""

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING

from ..errors import RateLimited
from .adaptive import AdaptiveRate
from .deadlines import Deadlines
from .places import RequestKind, SharedPlaces
from .sliding_window import MAX_IN_FLIGHT, SlidingWindow, Waiter, WaiterQueue
from .state import Limits
from .turns import Priority, Turns

if TYPE_CHECKING:
    from .borrower import Borrower

ASKING_SECONDS = 0.02  # seconds until watches look for the places that are being asked for


class Limiter:
    """Rate limiter for one account: the most urgent request first, as fast as the provider allows.

    Money and look-ups have separate windows, as stated, and at most 100 requests in flight each.
    The rate learned from refusals applies to both together. Within a priority: first come,
    first served; between priorities, `Turns` chooses. With `share`, the windows as stated are those
    of all workers of a journal; the learned rate stays this one's own.
    """

    def __init__(self, account: str, stated: Mapping[RequestKind, tuple[int, float]]) -> None:
        self._account = account
        self._stated = stated
        self._money_window = SlidingWindow(stated.get("money"), len(Priority))
        self._lookup_window = SlidingWindow(stated.get("look-up"), len(Priority))
        self._turns = Turns((self._money_window, self._lookup_window))
        self._rate = AdaptiveRate()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._rings = float("inf")  # when the timer fires: uvloop's own cannot always tell
        self._number = self._waiting = 0
        self._deadlines = Deadlines()
        self._borrowers: list[Borrower] = []

    def share(self, places: SharedPlaces, rest: float) -> "list[Borrower]":
        """Share the stated limits with other workers; before the first request."""
        from .borrower import Borrower  # noqa: PLC0415 - few accounts have a stated limit

        windows = {"money": self._money_window, "look-up": self._lookup_window}
        for kind in self._stated:
            borrower = Borrower(self._account, kind, windows[kind], places, rest, self._serve)
            windows[kind].borrower = borrower
            self._borrowers.append(borrower)
        return self._borrowers

    def try_acquire(self, *, money: bool, loop: asyncio.AbstractEventLoop | None = None) -> bool:
        """Take a slot if one is free and no request waits for it; otherwise call `acquire`.

        `loop`: the running loop, if the caller knows it.
        """
        loop = loop or asyncio.get_running_loop()
        if loop is not self._loop:
            self._adopt(loop)
        window = self._money_window if money else self._lookup_window
        now = loop.time()
        if self._rate.rate is None:
            if self._waiting and window.has_waiters():
                return False
        elif self._waiting or now < self._rate.next_send_at():
            return False
        free = window.free_slots(now)
        if free <= window.low:
            if window.borrower is not None:
                window.borrower.need()
            if free <= 0:
                return False
        window.in_flight += 1
        self._rate.on_sent(now)
        return True

    async def acquire(self, *, money: bool, priority: Priority, deadline: float) -> None:
        """Wait for a slot; RateLimited at once, with nothing sent, if none comes before `deadline`.

        The estimate counts requests of the same or higher priority, at the present rate. A waiting
        request gets RateLimited as soon as a Retry-After closes the account beyond its deadline.
        """
        if self.try_acquire(money=money):
            return
        loop = asyncio.get_running_loop()
        window, now = self._money_window if money else self._lookup_window, loop.time()
        free_at = self._free_at(window, priority, now)
        if free_at > deadline:
            raise self._refusal(window, free_at - now)
        waiter, queue = loop.create_future(), window.queues[priority]
        self._number += 1
        queue[waiter] = self._number
        self._waiting += 1
        self._deadlines.note(deadline, self._number, waiter, queue, self._waiting)
        if window.borrower is not None:
            window.borrower.need()
        self._arm(loop, now)
        try:
            granted = await waiter
        except BaseException:
            if self._loop is loop:
                self._abandon(window, waiter, queue)
            raise
        if not granted:
            raise self._refusal(window, self._rate.closed_until - loop.time())

    def release(self, *, money: bool) -> None:
        """Report that the request was answered or has ended."""
        window = self._money_window if money else self._lookup_window
        # 0 when another loop was adopted meanwhile: that ended what the old loop had in flight
        if window.in_flight:
            window.in_flight -= 1
        if self._loop is not None and (window.stated or self._waiting):
            now = self._loop.time()
            if window.stated:
                window.answered_at.append(now)
            if self._waiting:
                self._arm(self._loop, now)

    def on_throttled(self, retry_after: float | None) -> None:
        """Reduce the rate: the provider refused a request because there were too many.

        `retry_after` is in seconds, at most 120; nothing is sent before. Money waits too, even if a
        look-up was refused: with some providers a bare 429 on a payment does not prove that nothing
        was processed. A payment sent too early may end as OutcomeUnknown; one that waits cannot.
        """
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._adopt(loop)
        adaptive = self._rate
        adaptive.on_refused(
            loop.time(), retry_after, self._money_window.in_flight + self._lookup_window.in_flight
        )
        for waiter, queue in self._deadlines.before(adaptive.closed_until):
            self._drop(waiter, queue)
            waiter.set_result(False)

    def on_answer(self) -> None:
        """Recover slowly: the provider answered a request."""
        adaptive = self._rate
        adaptive.answered += 1
        if adaptive.rate is None or self._loop is None:
            return
        now = self._loop.time()
        held = any(
            window.has_waiters() and window.free_slots(now) > 0
            for window in (self._money_window, self._lookup_window)
        )
        if adaptive.recover(now) and not held:
            adaptive.reset()

    def free_slots(self, due: int = 0) -> int:
        """Return how many look-ups of watches, of those that are due, may be started now.

        That is what can be sent without waiting. If only bulk and hints wait, it is one second's
        worth at least: they take each free slot at once, and a watch passes them only from within
        the queue.
        """
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            self._adopt(loop)
        now = loop.time()
        free, borrower = self._free_polls(now), self._lookup_window.borrower
        if borrower is not None:
            borrower.poll(due - free, now)
        return free

    def _free_polls(self, now: float) -> int:
        window, adaptive = self._lookup_window, self._rate
        if now < adaptive.closed_until:
            return 0
        free, rate = window.free_slots(now), window.rate
        if adaptive.rate is not None:
            free, rate = min(free, adaptive.free_slots(now)), min(rate, adaptive.rate)
        ahead = self._ahead(window, Priority.WATCH, now)
        if any(window.queues[Priority.BULK :]):
            free = max(free, int(min(rate, MAX_IN_FLIGHT)), 1)
        return max(free - ahead, 0)

    def free_at(self) -> float:
        """Return the loop's time at which a watch's look-up can be sent; infinite: unknown."""
        now = asyncio.get_running_loop().time()
        if self._free_polls(now):
            return now
        window = self._lookup_window
        if window.borrower is not None and window.borrower.asking:
            return now + ASKING_SECONDS
        return max(self._free_at(window, Priority.WATCH, now), window.next_at(now))

    def state(self) -> Limits:
        """Return the present limits."""
        closed_for = self._rate.closed_until - self._loop.time() if self._loop else 0.0
        return Limits(
            stated=self._stated,
            pace=self._rate.rate,
            closed_for=max(closed_for, 0.0),
            waiting=self._waiting,
        )

    def _adopt(self, loop: asyncio.AbstractEventLoop) -> None:
        """Start in another loop with empty queues; requests in flight of a dead loop end here."""
        if self._timer is not None:
            self._timer.cancel()
        self._loop, self._timer, self._waiting, self._deadlines = loop, None, 0, Deadlines()
        for window in (self._money_window, self._lookup_window):
            window.reset(loop.time())
        for borrower in self._borrowers:
            borrower.begin(loop)

    def _refusal(self, window: SlidingWindow, wait: float) -> RateLimited:
        """Return the error that says that nothing was sent, and why."""
        why = f"the limit of {window.stated} requests per {window.seconds:g} s is reached"
        if self._rate.rate is not None and (not window.stated or self._rate.rate < window.rate):
            why = "the provider refused requests that came too fast"
        error = RateLimited(f"{why}; nothing was sent", retry_after=max(wait, 0.0))
        error.account = self._account
        return error

    def _ahead(self, window: SlidingWindow, rank: Priority, now: float) -> int:
        """Count waiting requests that go before a new one of this rank."""
        ahead = window.ahead(rank)
        if self._rate.rate is not None:  # the other queue counts only if its window lets it go
            other = self._lookup_window if window is self._money_window else self._money_window
            ahead += max(min(other.ahead(rank), other.free_slots(now)), 0)
        return ahead

    def _free_at(self, window: SlidingWindow, rank: Priority, now: float) -> float:
        """Return the earliest time of a slot for a new request of this rank."""
        free_at = window.free_at(window.ahead(rank), now) if window.stated else now
        if self._rate.rate is not None:
            free_at = max(
                free_at,
                max(self._rate.next_send_at(), now)
                + self._ahead(window, rank, now) / self._rate.rate,
            )
        return free_at

    def _drop(self, waiter: Waiter, queue: WaiterQueue) -> bool:
        """Remove a request from its queue; False: it was not there."""
        if queue.pop(waiter, None) is None:
            return False
        self._waiting -= 1
        if not self._waiting and self._timer is not None:
            self._timer.cancel()
            self._timer = None
        return True

    def _abandon(self, window: SlidingWindow, waiter: Waiter, queue: WaiterQueue) -> None:
        """Release a slot, waited for or just granted, after a cancellation."""
        if (
            not self._drop(waiter, queue)
            and waiter.done()
            and not waiter.cancelled()
            and waiter.result()
        ):
            window.in_flight -= 1
            self._rate.undo_sent()
            self._serve()

    def _serve(self) -> None:
        """Grant slots to all requests that may be sent now."""
        loop = self._loop
        if loop is None:
            return
        now = loop.time()
        while self._waiting and now >= self._rate.next_send_at():
            head = self._turns.choose(now)
            if head is None:
                break
            window, queue = head
            waiter = next(iter(queue))
            self._drop(waiter, queue)
            if not waiter.done():
                window.in_flight += 1
                self._rate.on_sent(now)
                waiter.set_result(True)
        self._arm(loop, now)

    def _arm(self, loop: asyncio.AbstractEventLoop, now: float) -> None:
        """Set the timer for the next slot, if any request waits; an early timer is harmless."""
        opens = self._rate.next_send_at()
        windows = (self._money_window, self._lookup_window)
        at = min(
            (max(window.next_at(now), opens) for window in windows if window.has_waiters()),
            default=float("inf"),
        )
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
