"""Whose turn it is to ask: one line and one timer for each account, within what its provider allows."""

import asyncio
from collections import OrderedDict
from enum import IntEnum
from heapq import heapify, heappop, heappush
from typing import TypeAlias
from zlib import crc32

from ..limits import Gate
from .schedule import Schedule

AT_ONCE = 50  # look-ups of an account in flight, where its provider states no limit
AGAIN = 1.0  # seconds from one look-up of a payment to the next that somebody else wants
FINAL_LOOK = 5.0  # seconds that the last look-up may take, or wait for its turn, beyond the time-out
GLANCE = 1.0  # seconds between looks at a gate that others fill and empty too
STEP = 500  # entries that one step of the loop looks at, so that none is long
TURNS = 50  # turns given in one step of the loop, likewise
NEVER = float("inf")

Subject: TypeAlias = str | tuple[str, str]  # what one look-up is about: an account's payment, by one of its ids


class Stage(IntEnum):
    """How far a place has come."""

    WAITING = 0
    READY = 1  # it is due
    SAME = 2  # it is due, but its payment is being asked about already
    TURN = 3  # its waiter may ask, until it leaves
    GONE = 4


class Place(asyncio.Future[bool | None]):
    """One waiter's place in its account's line. True: ask. False: something was told. None: the time is up.

    Who is to ask holds the place on until he leaves. It is what is waited for itself: thousands are held at once.
    """

    __slots__ = ("at", "due", "gap", "last", "rank", "stage", "subject")

    def __init__(self, subject: Subject, due: float, gap: float, last: float, rank: float) -> None:
        super().__init__()
        self.subject = subject
        self.due = due  # when to ask; never, where nobody can be asked
        self.gap = gap  # seconds between its look-ups at that age: the shorter, the more is gained by asking now
        self.last = last  # when its waiter's time is up, but for a last look-up
        self.rank = rank  # its place among the ready; before, that of its last turn
        self.at = NEVER  # which of its entries in the calendar counts
        self.stage = Stage.WAITING

    @property
    def until(self) -> float:
        """Tell when its waiter gives up."""
        return self.last if self.due == NEVER else self.last + FINAL_LOOK

    @property
    def waits(self) -> bool:
        """Tell whether its waiter has not been woken."""
        return self.stage < Stage.TURN

    @property
    def weight(self) -> float:
        """Give its share of the turns."""
        return 1 / self.gap

    def __lt__(self, other: "Place") -> bool:
        return False  # which of two of the same moment goes first matters to nobody


class Line:
    """The watches of one account that wait: who is due, who goes first, and how many may ask at once.

    Where not all that are due can ask, each gets turns in proportion to how often it would have asked: all are
    late by one factor, the young go first, and nobody starves.
    That is weighted fair queueing: the line has an age of its own, to which each turn adds 1 over the weight of
    all who are due. Who is due at age A, and would ask every G seconds, has the rank A + G, or that of its last
    turn + G.
    """

    def __init__(self, gate: Gate, schedule: Schedule, *, at_once: int = AT_ONCE) -> None:
        self.schedule = schedule
        self._gate = gate
        self._at_once = at_once
        self.waiting = 0  # how many do
        self._loop: asyncio.AbstractEventLoop | None = None

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        """Begin anew in a loop; whoever waited in an earlier one waits no more."""
        self._loop = loop
        # Entries of places that went or moved are dropped when they come up.
        self._calendar: list[tuple[float, Place]] = []  # what will be due
        self._ready: list[tuple[float, Place]] = []  # what is due, by rank
        self._same: dict[Subject, list[Place]] = {}  # what is asked now, and who is due to ask the same
        self._asked: OrderedDict[Subject, float] = OrderedDict()  # what was asked within the last second
        self.waiting = self._dated = self._due = self._flying = 0
        self._age = self._weight = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._rings = NEVER  # when it does: uvloop's own cannot always say
        self._soon: asyncio.Handle | None = None

    def after(self, subject: Subject, now: float, born: float, looked: int) -> float:
        """Give the time of the next look-up of an order begun at `born`, after so many."""
        # Each payment has its own clock, up to a tenth fast or slow: those begun together do not go on together,
        # and the pauses of one stay even.
        pace = 0.9 + 0.2 * (crc32(repr(subject).encode()) / 0xFFFFFFFF)
        return max(born + self.schedule.next((now - born) / pace, looked) * pace, now + AGAIN)

    def join(self, subject: Subject, *, due: float, gap: float, last: float, rank: float) -> Place:
        """Wait in line; what was asked just now is not asked again at once, except at the `last` moment."""
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
        """Wait no more, or have had one's turn; whoever was due to ask the same is due again."""
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
        """Let a waiting place be due at another time."""
        if place.waits and self._holds(place):
            self._back(place)
            place.due, place.gap, place.stage = max(due, place.get_loop().time()), gap, Stage.WAITING
            self._enter(place, min(place.due, place.last))

    def wake(self, place: Place, *, turn: bool | None = False) -> None:
        """Wake a waiter; without more, because something was told to it."""
        if place.waits and self._holds(place):
            self._out(place, Stage.TURN if turn else Stage.GONE)
            if not place.done():
                place.set_result(turn)

    def lag(self) -> float:
        """Tell how long the oldest look-up that is due has been waiting for its turn, in seconds."""
        if self._loop is None or self._loop.is_closed():
            return 0.0
        now, same, ready = self._loop.time(), self._same, Stage.READY
        # A pass over all who are due, in one step of the loop: without a call for each.
        late = [
            place.due
            for rank, place in self._ready
            if place.rank == rank and place.stage is ready and place.subject not in same
        ]
        return max(now - min(late, default=now), 0.0)

    def _holds(self, place: Place) -> bool:
        """Tell whether a place is of the loop that runs now, and of none before it."""
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
        """Let another entry in the calendar count, or none."""
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
            # Exactly nothing where nobody is left, for fractions never add up.
            self._weight = self._weight - place.weight if self._due else 0.0

    def _back(self, place: Place) -> None:  # without its turn
        if place.stage is Stage.READY:
            self._unready(place)
            place.rank, place.stage = place.rank - place.gap, Stage.WAITING

    def _stir(self) -> None:
        # One at a time, and behind those to whom turns were given: what the gate has left is then known.
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
        """Give turns to those who are due, as many as may leave now."""
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
        """Move those who have become due from the calendar to the ready, and wake those whose time is up."""
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
                place.gap = AGAIN  # there is no later look-up that would do
            if place.stage is not Stage.SAME:
                self._ripe(place)
        return ripe

    def _give(self, place: Place, now: float) -> bool:
        """Give a place its turn, unless its payment is being asked about already."""
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
        """Drop the entries that no longer count; so many were added since the last time that this is cheap."""
        self._calendar = [(at, place) for at, place in self._calendar if place.at == at]
        self._ready = [(rank, place) for rank, place in self._ready if _counts(rank, place)]
        heapify(self._calendar)
        heapify(self._ready)


def _counts(rank: float, place: Place) -> bool:
    return place.rank == rank and place.stage is Stage.READY
