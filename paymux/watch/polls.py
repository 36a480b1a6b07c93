"""Poll queue: one queue and one timer for each account, within its provider's rate limit."""

import asyncio
from collections import OrderedDict
from enum import IntEnum
from heapq import heapify, heappop, heappush
from typing import TypeAlias
from zlib import crc32

from ..limits import Gate
from .schedule import Schedule

AT_ONCE = 50  # look-ups of an account in flight, if its provider states no limit
AGAIN = 1.0  # seconds between look-ups of one payment by two watches, at least
FINAL_LOOK = 5.0  # seconds that the last look-up may wait or take beyond the time-out
GLANCE = 1.0  # seconds between looks at a limiter that other requests use, too
STEP = 500  # entries that one step of the event loop handles, so that no step is long
TURNS = 50  # polls started in one step of the event loop, for the same reason
NEVER = float("inf")

Subject: TypeAlias = str | tuple[str, str]  # a payment of an account, by one of its ids


class Stage(IntEnum):
    """The state of a ticket."""

    WAITING = 0
    READY = 1  # due
    SAME = 2  # due, while another watch polls the same payment
    TURN = 3  # its waiter may poll, until it leaves
    GONE = 4


class Place(asyncio.Future[bool | None]):
    """A waiter's ticket. True: poll. False: there is news. None: the time is up.

    A waiter that polls keeps its ticket until it leaves. The ticket is the awaited future itself,
    because thousands exist at once.
    """

    __slots__ = ("at", "due", "gap", "last", "rank", "stage", "subject")

    def __init__(self, subject: Subject, due: float, gap: float, last: float, rank: float) -> None:
        super().__init__()
        self.subject = subject
        self.due = due  # time of the poll; NEVER: this payment cannot be polled
        self.gap = gap  # seconds between its polls at this age; a short gap has a high weight
        self.last = last  # when its waiter's time is up, except for a last poll
        self.rank = rank  # its rank among the ready; before, the rank of its last poll
        self.at = NEVER  # the time of its valid entry in the calendar
        self.stage = Stage.WAITING

    @property
    def until(self) -> float:
        """Return when its waiter stops waiting."""
        return self.last if self.due == NEVER else self.last + FINAL_LOOK

    @property
    def waits(self) -> bool:
        """Return whether its waiter has not been woken yet."""
        return self.stage < Stage.TURN

    @property
    def weight(self) -> float:
        """Return its weight in the fair queue."""
        return 1 / self.gap

    def __lt__(self, other: "Place") -> bool:
        return False  # order does not matter between equal times


class Line:
    """The waiting watches of one account: which are due, which polls next, how many poll at once.

    Weighted fair queueing: virtual time advances by 1/total weight per poll. A ticket that becomes
    due at virtual time V and has G seconds between its polls gets the rank max(V, rank of its
    last poll) + G. So under load all polls are late by the same factor, young payments come first,
    and no ticket starves.
    """

    def __init__(self, gate: Gate, schedule: Schedule, *, at_once: int = AT_ONCE) -> None:
        self.schedule = schedule
        self._gate = gate
        self._at_once = at_once
        self.waiting = 0  # number of waiting tickets
        self._loop: asyncio.AbstractEventLoop | None = None

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        """Start in a new event loop; waiters of an earlier loop are dropped."""
        self._loop = loop
        # Entries of tickets that left or moved are dropped when they are reached.
        self._calendar: list[tuple[float, Place]] = []  # tickets by due time
        self._ready: list[tuple[float, Place]] = []  # due tickets, by rank
        self._same: dict[Subject, list[Place]] = {}  # polled now, with due tickets for the same
        self._asked: OrderedDict[Subject, float] = OrderedDict()  # polled within the last second
        self.waiting = self._dated = self._due = self._flying = 0
        self._age = self._weight = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._rings = NEVER  # when the timer fires: uvloop's own cannot always tell
        self._soon: asyncio.Handle | None = None

    def after(self, subject: Subject, now: float, born: float, looked: int) -> float:
        """Return when to look up next an order created at `born`, after `looked` look-ups."""
        # Each payment's clock runs up to 10 % fast or slow, constantly: payments that begin
        # together are spread out, and the gaps of each one stay even.
        pace = 0.9 + 0.2 * (crc32(repr(subject).encode()) / 0xFFFFFFFF)
        return max(born + self.schedule.next((now - born) / pace, looked) * pace, now + AGAIN)

    def join(self, subject: Subject, *, due: float, gap: float, last: float, rank: float) -> Place:
        """Join the queue; a payment polled just now is polled again only later, or at `last`."""
        loop = asyncio.get_running_loop()
        if self._loop is not loop:
            self._begin(loop)
        if due < NEVER:
            due = min(max(due, loop.time(), self._asked.get(subject, -NEVER) + AGAIN), last)
        place = Place(subject, due, gap, last, rank)
        self.waiting += 1
        self._enter(place, min(due, last))
        stale = len(self._calendar) - self._dated + len(self._ready) - self._due
        if stale > self.waiting // 8 + 64:
            self._tidy()
        return place

    def leave(self, place: Place) -> None:
        """Leave the queue, or end a poll; tickets due for the same payment become ready again."""
        if not self._holds(place):
            return
        if place.waits:
            self._out(place, Stage.GONE)
        elif place.stage is Stage.TURN:
            place.stage = Stage.GONE
            self._flying -= 1
            for other in self._same.pop(place.subject, ()):
                if other.stage is Stage.SAME:
                    self._ripe(other)
            self._stir()

    def move(self, place: Place, due: float, gap: float) -> None:
        """Change the due time of a waiting ticket."""
        if place.waits and self._holds(place):
            self._back(place)
            place.due, place.gap, place.stage = max(due, place.get_loop().time()), gap, Stage.WAITING
            self._enter(place, min(place.due, place.last))

    def wake(self, place: Place, *, turn: bool | None = False) -> None:
        """Wake a waiter; without `turn`: because there is news."""
        if place.waits and self._holds(place):
            self._out(place, Stage.TURN if turn else Stage.GONE)
            if not place.done():
                place.set_result(turn)

    def lag(self) -> float:
        """Return how long the oldest due ticket has waited, in seconds."""
        if self._loop is None or self._loop.is_closed():
            return 0.0
        now, same, ready = self._loop.time(), self._same, Stage.READY
        # One pass over all due tickets in one step of the event loop, without a call for each.
        late = [
            place.due
            for rank, place in self._ready
            if place.rank == rank and place.stage is ready and place.subject not in same
        ]
        return max(now - min(late, default=now), 0.0)

    def _holds(self, place: Place) -> bool:
        """Return whether a ticket belongs to the event loop that runs now."""
        return place.get_loop() is self._loop and not self._loop.is_closed()

    def _out(self, place: Place, stage: Stage) -> None:
        self._unready(place)
        self._date(place, NEVER)
        place.stage = stage
        self.waiting -= 1
        if not self.waiting:
            self._calendar.clear()
            self._ready.clear()
            if self._timer is not None:
                self._timer.cancel()
                self._timer = None

    def _enter(self, place: Place, at: float) -> None:
        self._date(place, at)
        if at < NEVER:
            heappush(self._calendar, (at, place))
            self._arm(at)

    def _date(self, place: Place, at: float) -> None:
        """Set the valid calendar entry of a ticket, or none."""
        self._dated += (at < NEVER) - (place.at < NEVER)
        place.at = at

    def _ripe(self, place: Place) -> None:
        self._due += 1
        self._weight += place.weight
        place.stage, place.rank = Stage.READY, max(self._age, place.rank) + place.gap
        heappush(self._ready, (place.rank, place))

    def _unready(self, place: Place) -> None:
        if place.stage is Stage.READY:
            self._due -= 1
            # Exactly zero when no ticket is left: sums of fractions are not exact.
            self._weight = self._weight - place.weight if self._due else 0.0

    def _back(self, place: Place) -> None:  # it was not polled
        if place.stage is Stage.READY:
            self._unready(place)
            place.rank, place.stage = place.rank - place.gap, Stage.WAITING

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
        free = min(self._at_once - self._flying, self._gate.room(), TURNS)
        given = seen = 0
        while self._ready and given < free and seen < STEP:
            rank, place = heappop(self._ready)
            given += _counts(rank, place) and self._give(place, now)
            seen += 1
        for place in ripe:
            if place.waits and place.last < NEVER:
                self._enter(place, place.last if now < place.last else place.until)
        later = self._calendar[0][0] if self._calendar else NEVER
        if later <= now or (self._ready and (given == TURNS or seen == STEP)):
            self._stir()
            return
        if self._due and self._flying < self._at_once:
            self._arm(min(max(self._gate.free_at(), now + 0.001), now + GLANCE))
        if later < NEVER:
            self._arm(later)

    def _ripen(self, now: float) -> list[Place]:
        """Move tickets that have become due to the ready heap, and wake those whose time is up."""
        calendar = self._calendar
        ripe: list[Place] = []
        for _ in range(STEP):
            if not calendar or calendar[0][0] > now:
                break
            at, place = heappop(calendar)
            if place.at != at:
                continue
            if place.until <= now:
                self.wake(place, turn=None)
                continue
            self._date(place, NEVER)
            ripe.append(place)
            if now >= place.last:
                self._back(place)
                place.gap = AGAIN  # no later poll would be in time
            if place.stage is not Stage.SAME:
                self._ripe(place)
        return ripe

    def _give(self, place: Place, now: float) -> bool:
        """Let a ticket poll, unless its payment is being polled already; return whether it does."""
        weight = self._weight
        if place.subject in self._same:
            self._back(place)
            place.stage = Stage.SAME
            self._same[place.subject].append(place)
            return False
        if place.done():
            return False  # its waiter was cancelled a moment ago
        self._age += 1 / weight
        self._flying += 1
        self._same[place.subject] = []
        self._asked.pop(place.subject, None)
        self._asked[place.subject] = now
        while self._asked[oldest := next(iter(self._asked))] < now - AGAIN:
            del self._asked[oldest]
        self.wake(place, turn=True)
        return True

    def _tidy(self) -> None:
        """Drop invalid entries; run rarely enough that its cost per ticket is small."""
        self._calendar = [(at, place) for at, place in self._calendar if place.at == at]
        self._ready = [(rank, place) for rank, place in self._ready if _counts(rank, place)]
        heapify(self._calendar)
        heapify(self._ready)


def _counts(rank: float, place: Place) -> bool:
    return place.rank == rank and place.stage is Stage.READY
