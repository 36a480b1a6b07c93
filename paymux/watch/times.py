"""When one watch looks up: what it knows of its look-ups so far, and the time of the next one."""

import time
from collections.abc import Callable
from datetime import datetime

import msgspec

from .poll_queue import MIN_REPEAT_SECONDS
from .registry import PollState
from .schedule import CLOCK_SECONDS, LookupKey, Schedule
from .ticket import NEVER

LONG_AGO = -NEVER  # one shared float object


class LookTimes(msgspec.Struct, gc=False):
    """The times of one watch, in the event loop's time; a struct, for ten thousand may exist."""

    deadline: float  # seconds until its time-out before the start, then when that is
    due: float = NEVER  # time of its next look-up
    rank: float = LONG_AGO  # rank of its last poll in the queue
    born: float = 0.0  # when the order began
    asked: float = LONG_AGO  # time of its last look-up
    looked: int = 0
    not_before: float = LONG_AGO  # from a Retry-After

    def start(self, created: datetime | None, schedule: Schedule, now: float) -> None:
        """Begin to watch a payment that was created at a time, if that is known."""
        self.deadline += now
        age = max(time.time() - created.timestamp(), 0.0) if created else schedule.unknown_age
        self.born = now - age
        # An old payment is looked up at once; a young one when its payer may have answered.
        self.due = self.born + schedule.next(age, 0) if created else self.soon(schedule, now)

    def soon(self, schedule: Schedule, now: float) -> float:
        """Return when to look up first a payment that can be looked up from now on."""
        return self.born + schedule.next(now - self.born, 0) if schedule.fixed else now

    def when(self, schedule: Callable[[], Schedule]) -> float:
        """Return when to look up next: at the time-out at the latest, unless the ages are fixed."""
        if self.due <= self.deadline or not schedule().fixed:
            return min(self.due, self.deadline)
        # A rounding error must not take the look-up of a time-out that is just at its age.
        return self.due if self.due <= self.deadline + CLOCK_SECONDS else NEVER

    def gap(self, schedule: Callable[[], Schedule]) -> int:
        """Return the seconds between look-ups at this age; a small int costs no memory."""
        age = self.due - self.born
        known = self.asked > LONG_AGO
        gap = self.due - self.asked if known else schedule().next(age, 1) - age
        return max(round(gap), 1)

    def hurry(self, now: float) -> bool:
        """Make the next look-up earlier, because of a hint; return whether that changed it."""
        due = max(min(self.due, self.asked + MIN_REPEAT_SECONDS), self.not_before, now)
        earlier = bool(self.asked) and due < self.due
        if earlier:
            self.due = due
        return earlier

    def hold(self, until: float) -> None:
        """Look up no more before a time that the provider named."""
        self.not_before = until
        self.due = max(self.due, until)

    def look(self, key: LookupKey, rank: float, now: float, schedule: Schedule) -> None:
        """Count a look-up that begins now."""
        self.rank, self.asked = rank, now
        self.looked += 1
        self.due = schedule.next_at(key, now, self.born, self.looked)

    def state(self) -> PollState:
        """Return what the other watches of this payment are to know."""
        return PollState(self.asked, self.looked, self.due, self.not_before, self.rank)

    def take(self, state: PollState) -> None:
        """Take over the look-up of another watch of this payment."""
        self.asked, self.due, self.not_before = state.asked, state.due, state.not_before
        self.looked, self.rank = max(self.looked, state.looked), state.rank
