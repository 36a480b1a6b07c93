"""Poll queue: one queue and one timer for each account, within its provider's rate limit."""

import asyncio
from collections import OrderedDict
from heapq import heapify, heappop, heappush

from ..limits import Limiter
from .schedule import LookupKey
from .ticket import NEVER, Stage, Ticket

MAX_IN_FLIGHT = 50  # look-ups of an account in flight, if its provider states no limit
MIN_REPEAT_SECONDS = 1.0  # seconds between look-ups of one payment by two watches, at least
LIMITER_POLL_SECONDS = 1.0  # seconds between looks at a limiter that other requests use, too
ENTRIES_PER_STEP = 500  # entries that one step of the event loop handles, so that no step is long
GRANTS_PER_STEP = 50  # polls started in one step of the event loop, for the same reason


class PollQueue:
    """The waiting watches of one account: which are due, which polls next, how many poll at once.

    Weighted fair queueing: virtual time advances by 1/total weight per poll. A ticket that becomes
    due at virtual time V and has G seconds between its polls gets the rank max(V, rank of its
    last poll) + G. So under load all polls are late by the same factor, young payments come first,
    and no ticket starves.
    """

    def __init__(self, limiter: Limiter, *, at_once: int = MAX_IN_FLIGHT) -> None:
        self._limiter = limiter
        self._at_once = at_once
        self.waiting = 0  # number of waiting tickets
        self._in_flight = 0  # number of tickets that poll
        self._loop: asyncio.AbstractEventLoop | None = None

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        """Start in a new event loop; waiters of an earlier loop are dropped."""
        self._loop = loop
        # Entries of tickets that left or moved are dropped when they are reached.
        self._calendar: list[tuple[float, Ticket]] = []  # tickets by due time
        self._ready: list[tuple[float, Ticket]] = []  # due tickets, by rank
        # polled now, with due tickets for the same
        self._duplicates: dict[LookupKey, list[Ticket]] = {}
        self._asked: OrderedDict[LookupKey, float] = OrderedDict()  # polled within the last second
        self.waiting = self._dated = self._due = self._in_flight = 0
        self._age = self._weight = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._rings = NEVER  # when the timer fires: uvloop's own cannot always tell
        self._soon: asyncio.Handle | None = None

    def join(
        self, subject: LookupKey, *, due: float, gap: float, last: float, rank: float
    ) -> Ticket:
        """Join the queue; a payment polled just now is polled again only later, or at `last`."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._begin(loop)
        if due < NEVER:
            due = min(
                max(due, loop.time(), self._asked.get(subject, -NEVER) + MIN_REPEAT_SECONDS), last
            )
        ticket = Ticket(subject, due, gap, last, rank)
        self.waiting += 1
        self._enter(ticket, min(due, last))
        stale = len(self._calendar) - self._dated + len(self._ready) - self._due
        if stale > self.waiting // 8 + 64:
            self._tidy()
        return ticket

    def leave(self, ticket: Ticket) -> None:
        """Leave the queue, or end a poll; tickets due for the same payment become ready again."""
        if not self._holds(ticket):
            return
        if ticket.is_waiting:
            self._out(ticket, Stage.GONE)
        elif ticket.stage is Stage.GRANTED:
            ticket.stage = Stage.GONE
            self._in_flight -= 1
            for other in self._duplicates.pop(ticket.key, ()):
                if other.stage is Stage.DUPLICATE:
                    self._ripe(other)
            self._stir()

    def reschedule(self, ticket: Ticket, due: float, gap: float) -> None:
        """Change the due time of a waiting ticket."""
        if ticket.is_waiting and self._holds(ticket):
            self._back(ticket)
            ticket.due_at, ticket.interval, ticket.stage = (
                max(due, ticket.get_loop().time()),
                gap,
                Stage.WAITING,
            )
            self._enter(ticket, min(ticket.due_at, ticket.deadline))

    def wake(self, ticket: Ticket, *, granted: bool | None = False) -> None:
        """Wake a waiter; without `granted`: because there is news."""
        if ticket.is_waiting and self._holds(ticket):
            self._out(ticket, Stage.GRANTED if granted else Stage.GONE)
            if not ticket.done():
                ticket.set_result(granted)

    def lag(self) -> float:
        """Return how long the oldest due ticket has waited, in seconds."""
        if self._loop is None or self._loop.is_closed():
            return 0.0
        now, same, ready = self._loop.time(), self._duplicates, Stage.READY
        # One pass over all due tickets in one step of the event loop, without a call for each.
        late = [
            ticket.due_at
            for rank, ticket in self._ready
            if ticket.rank == rank and ticket.stage is ready and ticket.key not in same
        ]
        return max(now - min(late, default=now), 0.0)

    def open(self) -> int:
        """Count the watches that wait or poll; callable from any thread, as `lag` is."""
        if self._loop is None or self._loop.is_closed():
            return 0
        return self.waiting + self._in_flight

    def _holds(self, ticket: Ticket) -> bool:
        """Return whether a ticket belongs to the event loop that runs now."""
        return ticket.get_loop() is self._loop and not self._loop.is_closed()

    def _out(self, ticket: Ticket, stage: Stage) -> None:
        self._unready(ticket)
        self._date(ticket, NEVER)
        ticket.stage = stage
        self.waiting -= 1
        if not self.waiting:
            self._calendar.clear()
            self._ready.clear()
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

    def _enter(self, ticket: Ticket, at: float) -> None:
        self._date(ticket, at)
        if at < NEVER:
            heappush(self._calendar, (at, ticket))
            self._arm(at)

    def _date(self, ticket: Ticket, at: float) -> None:
        """Set the valid calendar entry of a ticket, or none."""
        self._dated += (at < NEVER) - (ticket.entry_at < NEVER)
        ticket.entry_at = at

    def _ripe(self, ticket: Ticket) -> None:
        self._due += 1
        self._weight += ticket.weight
        ticket.stage, ticket.rank = Stage.READY, max(self._age, ticket.rank) + ticket.interval
        heappush(self._ready, (ticket.rank, ticket))

    def _unready(self, ticket: Ticket) -> None:
        if ticket.stage is Stage.READY:
            self._due -= 1
            # Exactly zero when no ticket is left: sums of fractions are not exact.
            self._weight = self._weight - ticket.weight if self._due else 0.0

    def _back(self, ticket: Ticket) -> None:  # it was not polled
        if ticket.stage is Stage.READY:
            self._unready(ticket)
            ticket.rank, ticket.stage = ticket.rank - ticket.interval, Stage.WAITING

    def _stir(self) -> None:
        # One call at a time, after the waiters that were woken: their slots are then taken.
        if self._soon is None and self._loop is not None:
            self._soon = self._loop.call_soon(self._serve)

    def _arm(self, when: float) -> None:
        if self._loop is None or self._soon is not None:
            return
        if self._timer is not None:
            if self._rings <= when:
                return
            self._timer.cancel()
        self._rings = when
        self._timer = self._loop.call_at(when, self._rung)

    def _rung(self) -> None:
        self._timer = None
        self._stir()

    def _serve(self) -> None:
        """Start as many polls as are possible now."""
        self._soon = None
        now = asyncio.get_running_loop().time()
        ripe = self._ripen(now)
        room = self._at_once - self._in_flight
        free = min(room, self._limiter.free_slots(min(room, self._due)), GRANTS_PER_STEP)
        given = seen = 0
        while self._ready and given < free and seen < ENTRIES_PER_STEP:
            rank, ticket = heappop(self._ready)
            given += _counts(rank, ticket) and self._grant(ticket, now)
            seen += 1
        for ticket in ripe:
            if ticket.is_waiting and ticket.deadline < NEVER:
                self._enter(
                    ticket, ticket.deadline if now < ticket.deadline else ticket.gives_up_at
                )
        later = self._calendar[0][0] if self._calendar else NEVER
        if later <= now or (self._ready and (given == GRANTS_PER_STEP or seen == ENTRIES_PER_STEP)):
            self._stir()
            return
        if self._due and self._in_flight < self._at_once:
            self._arm(min(max(self._limiter.free_at(), now + 0.001), now + LIMITER_POLL_SECONDS))
        if later < NEVER:
            self._arm(later)

    def _ripen(self, now: float) -> list[Ticket]:
        """Move tickets that have become due to the ready heap, and wake those whose time is up."""
        calendar = self._calendar
        ripe: list[Ticket] = []
        for _ in range(ENTRIES_PER_STEP):
            if not calendar or calendar[0][0] > now:
                break
            at, ticket = heappop(calendar)
            if ticket.entry_at != at:
                continue
            if ticket.gives_up_at <= now:
                self.wake(ticket, granted=None)
                continue
            self._date(ticket, NEVER)
            ripe.append(ticket)
            if now >= ticket.deadline:
                self._back(ticket)
                ticket.interval = MIN_REPEAT_SECONDS  # no later poll would be in time
            if ticket.stage is not Stage.DUPLICATE:
                self._ripe(ticket)
        return ripe

    def _grant(self, ticket: Ticket, now: float) -> bool:
        """Let a ticket poll, unless its payment is being polled already; return whether it does."""
        weight = self._weight
        if ticket.key in self._duplicates:
            self._back(ticket)
            ticket.stage = Stage.DUPLICATE
            self._duplicates[ticket.key].append(ticket)
            return False
        if ticket.done():
            return False  # its waiter was cancelled a moment ago
        self._age += 1 / weight
        self._in_flight += 1
        self._duplicates[ticket.key] = []
        self._asked.pop(ticket.key, None)
        self._asked[ticket.key] = now
        while self._asked[oldest := next(iter(self._asked))] < now - MIN_REPEAT_SECONDS:
            del self._asked[oldest]
        self.wake(ticket, granted=True)
        return True

    def _tidy(self) -> None:
        """Drop invalid entries; run rarely enough that its cost per ticket is small."""
        self._calendar = [(at, ticket) for at, ticket in self._calendar if ticket.entry_at == at]
        self._ready = [(rank, ticket) for rank, ticket in self._ready if _counts(rank, ticket)]
        heapify(self._calendar)
        heapify(self._ready)


def _counts(rank: float, ticket: Ticket) -> bool:
    return ticket.rank == rank and ticket.stage is Stage.READY
