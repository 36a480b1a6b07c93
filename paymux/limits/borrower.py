"""Borrows places of a shared limit for one account's window, before its requests need them."""

import asyncio
import uuid
import weakref
from collections.abc import Callable

from ..models import log
from .places import Lent, Need, RequestKind, SharedPlaces, abandoned
from .sliding_window import SlidingWindow

FEW = 4  # spare places of a holder that sends now and then
IDLE_SECONDS = 5.0  # seconds between looks at the places of others, at least, of a calm holder
MAX_IDLE_SECONDS = 15.0  # seconds: the same for long windows
USES_PER_LOOK = 6  # requests since the last look that are worth another one
READY_SECONDS = 1.0  # seconds that the opening of a pool waits for the first places
UNMET_SECONDS = 2.0  # seconds for which polls without a place count; their queue looks each second
RETRY_SECONDS = 1.0  # seconds until a journal that failed is asked again


class Borrower:
    """What one window holds of a shared limit; it follows the demand, without making it wait.

    Only places that are clean, which no request has used for a whole window, are given back: the
    next holder may use them at once, and no clock of another machine counts. What is held is
    stored as a whole number, not as a change, so that a lost answer does no harm: others then
    take this holder to have more than it has. While the journal is away, the places that are
    held go on.
    """

    def __init__(
        self,
        account: str,
        kind: RequestKind,
        window: SlidingWindow,
        places: SharedPlaces,
        rest: float,
        gained: Callable[[], None],
    ) -> None:
        self._account, self._kind, self._window = account, kind, window
        self._places = places
        self._rest = rest + window.seconds
        self._gained = gained  # called when there are more places
        # seconds: the shortest and the longest time between looks while places are moving
        self._soonest = min(max(window.seconds / 32, 0.25), 2.0)
        self._often = min(max(window.seconds / 8, 1.0), 10.0)
        self._rarely = min(max(window.seconds / 4, IDLE_SECONDS), MAX_IDLE_SECONDS)
        self.loop: asyncio.AbstractEventLoop | None = None  # that uses the window
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._failing = False
        self._suspended = False
        self._finalizer: weakref.finalize[..., Borrower] | None = None
        # polls that are due and have no place, which wait in a queue of their own, and when
        self._unmet, self._unmet_at = 0, float("-inf")
        self._renew()

    def forget(self) -> None:
        """Hold nothing, in a forked child: all of it is the parent's."""
        self.loop = self._timer = self._task = None
        self._renew()

    def _renew(self) -> None:
        """Hold nothing, as another holder."""
        if self._finalizer is not None:
            self._finalizer.detach()
        self._holder = uuid.uuid4().hex
        self._finalizer = weakref.finalize(self, abandoned.add, self._holder)
        self._finalizer.atexit = False
        self._number = self._held = self._peak = 0
        # until it has asked, it may come to have all
        self._lent = Lent(0, 0, could=self._window.stated, others_lack=False)
        self._lacks = False  # it got less than its requests need
        self._more = True  # it got all it asked for, so there may be more
        self._pause = self._soonest
        self._asked_at = float("-inf")
        self._apply()

    # In the loop that uses the window.

    def begin(self, loop: asyncio.AbstractEventLoop) -> None:
        """Go on in another loop: what the earlier one asked is lost."""
        if self.loop is loop:
            return
        self._stop()
        self.loop, self._task, self._unmet = loop, None, 0
        self.wake()

    def wake(self) -> None:
        """Look at once: others want places, or have given some back. Call it in the loop."""
        loop = self.loop
        if loop is None or self._task is not None or self._suspended or loop.is_closed():
            return
        self._stop()
        self._task = loop.create_task(self._look(loop))
        if self._task.done():  # by an eager task factory
            self._task = None

    def need(self) -> None:
        """Note that there are few free places, or none: more are asked for, unless just refused."""
        if self._lacks or self._failing or self._held >= self._window.stated:
            return
        self.wake()

    def poll(self, unmet: int, now: float) -> None:
        """Note how many polls are due that have no place; their queue looks again by itself."""
        self._unmet, self._unmet_at = max(unmet, 0), now
        if unmet > 0:
            self.need()

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def ready(self) -> None:
        """Wait until the first places were asked for."""
        self.begin(asyncio.get_running_loop())
        self.wake()
        if self._task is not None:
            await asyncio.wait((self._task,), timeout=READY_SECONDS)

    async def end(self, now: float) -> None:
        """Give everything back; what was used within a window counts for one window more."""
        self._stop()
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))
        if self._number:
            dirty = min(self._window.used(now), self._held)
            need = self._needs(0, 0)._replace(held=dirty, rest=self._window.seconds)
            self._renew()
            await self._places.end(need)

    def suspend(self) -> None:
        """Use no places from now on: others may take this worker for dead. From any thread."""
        self._suspended = True
        self._apply()

    def resume(self) -> None:
        """Use the places again that are still this worker's."""
        self._suspended = False
        self.wake()

    # One look.

    async def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        holder, now = self._holder, loop.time()
        try:
            need = self._prepared(now)
            self._asked_at = now
            lent = await self._places.ask(need)
        except Exception as error:  # noqa: BLE001 - after any error, it asks again
            lent = None
            if not self._failing:
                log.warning("%s: the places of its limit do not move: %s", self._account, error)
            self._failing = True
        else:
            self._failing = False
        finally:
            if self.loop is loop:
                self._task = None
        if self.loop is loop and holder == self._holder:
            self._answered(need, lent, loop)

    def _prepared(self, now: float) -> Need:
        """Give up the clean places that are not needed, and return what is."""
        window = self._window
        used = window.used(now)
        self._held = max(window.count, min(used, self._held))
        waiting = window.ahead(len(window.queues))
        if now - self._unmet_at < UNMET_SECONDS:
            waiting += self._unmet
        needed = used + waiting
        recent = min(needed + 2, window.stated) if needed else 0
        self._peak = max(recent, self._peak // 2)
        # Asked for one by one, places would cost a trip each.
        wanted = needed + waiting // 8 + 1 if waiting else needed
        spare = max(FEW, self._peak // 2) + self._peak - needed if self._peak else 1
        return self._needs(min(wanted, window.stated), max(spare, 0))

    def _needs(self, wanted: int, spare: int) -> Need:
        self._number += 1
        return Need(
            self._account,
            self._kind,
            self._holder,
            self._number,
            self._window.stated,
            self._held,
            wanted,
            spare,
            self._rest,
        )

    def _answered(self, need: Need, lent: Lent | None, loop: asyncio.AbstractEventLoop) -> None:
        """Use what was lent, and choose when to look again."""
        before = self._window.count
        if lent is None:
            pause = RETRY_SECONDS
        else:
            self._held, self._lent = lent.held, lent
            self._lacks = lent.held < min(need.wanted, need.limit)
            self._more = lent.held >= min(need.wanted + need.spare, need.limit - 1)
            gained = lent.held > need.held
            self._pause = self._soonest if gained else min(2 * self._pause, self._often)
            self._apply()
            pause = self._next_look(lent, loop.time())
        self._stop()
        self._timer = loop.call_later(pause, self._rung)
        if self._window.count > before:
            self._gained()
        # They came while it was asking.
        if self._window.has_waiters() and self._window.used(loop.time()) >= self._window.count:
            self.need()

    def _next_look(self, lent: Lent, now: float) -> float:
        """Return in how many seconds a look may find places that have moved."""
        window, done = self._window, self._window.answered_at
        excess = lent.held - window.count
        if excess <= 0:
            more = lent.held < lent.goal
            return self._pause if more else min(self._often, lent.free_in or self._often)
        used = min(window.used(now), lent.held)
        if used <= window.count and lent.others_lack:
            return 0.0  # they are clean
        if used <= window.count or not done:
            return self._often
        # Half of what others lack, as soon as it is clean.
        clean_at = done[min((used - window.count - 1) // 2, len(done) - 1)] + window.seconds
        return max(clean_at - now, self._soonest)

    def _apply(self) -> None:
        """Let the window use what is held, less what others need more."""
        window, lent = self._window, self._lent
        excess = lent.others_lack or self._held > 2 * lent.goal
        window.count = min(lent.goal, self._held) if excess else self._held
        if self._suspended:  # read last: another thread may have set it meanwhile
            window.count = 0
        window.expected = max(window.count, lent.could)
        window.free_in = lent.free_in or window.seconds
        window.low = max(min(FEW, lent.goal) // 2, 1) if self._more else 0

    def _rung(self) -> None:
        """Look, if that is worth a trip: after some requests, or after a while."""
        self._timer, loop = None, self.loop
        if loop is None:
            return
        now, asked_at, done = loop.time(), self._asked_at, self._window.answered_at
        sent = len(done) >= USES_PER_LOOK and done[-USES_PER_LOOK] > asked_at
        used = self._window.used(now)
        clean = self._held - used > max(2 * FEW, used)
        moving = self._held < self._lent.goal or self._held > self._window.count
        free = self._lacks and 0 < self._lent.free_in <= now - asked_at
        if sent or clean or moving or free or now - asked_at >= self._rarely:
            self.wake()
        else:
            self._timer = loop.call_later(self._often, self._rung)

    @property
    def asking(self) -> bool:
        """Return whether more places may come within milliseconds."""
        return self._task is not None
