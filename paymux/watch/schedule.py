"""When to look up a pending payment: the fixed ages that find the end of payments soonest.

`benchmarks/bench_schedule.py` finds these ages, and compares them with other schedules.
"""

from bisect import bisect_right
from typing import TypeAlias
from zlib import crc32

from ..drivers.base import Pace

MIN_GAP_SECONDS = 1.0  # seconds between two look-ups of one payment
MAX_GAP_SECONDS = 300.0  # the same of a payment that has been pending for long
CLOCK_SECONDS = 0.01  # seconds by which the ages of a payment differ between two watches
MAX_SCHEDULES = 100  # schedules that are kept, one for each pace

LookupKey: TypeAlias = str | tuple[str, str]  # a payment of an account, by one of its ids

# Ages in seconds. For a prompt on a phone, answered at a median of 10 to 45 s:
PROMPT: tuple[int, ...] = (
    *(9, 14, 19, 23, 28, 33, 38, 43, 49, 55, 62, 70, 79, 89, 100, 114, 130, 151, 179, 206, 250),
    300,
)
# For a checkout page, paid at a median of 60 to 240 s:
PAGE: tuple[int, ...] = (
    *(27, 39, 50, 61, 72, 83, 94, 105, 116, 128, 140, 152, 165, 178, 191, 205, 219, 234, 249),
    *(265, 281, 298, 316, 334, 353, 373, 394, 416, 439, 464, 490, 518, 548, 580, 614, 651, 691),
    *(735, 783, 836, 900),
)


class Schedule:
    """The ages at which to look up the payments of one pace.

    `first_look` is the age of a payment at the first useful look-up, `watch_timeout` the age up to
    which its driver watches; both in seconds. A payment that is watched for longer than the list
    PROMPT lasts is paid on a page.
    """

    fixed = False  # whether these are the only ages at which to look up

    def __init__(self, first_look: float, watch_timeout: float = PROMPT[-1]) -> None:
        looks = PAGE if watch_timeout > PROMPT[-1] else PROMPT
        self.unknown_age = first_look  # of a payment without a time
        first = max(first_look, looks[0])
        self._ages = [0.0, first, *(look for look in looks if look >= first + MIN_GAP_SECONDS)]

    def next(self, age: float, looked: int) -> float:
        """Return the age in seconds for the next look-up, from the age now and the look-ups so far.

        The first look-up of a payment that is old enough is now, at `age` itself; any later one is
        at least MIN_GAP_SECONDS away. After a look-up between two ages of the list, the next one is
        at the same fraction between the following two, so a delayed payment keeps its gaps.
        """
        ages = self._ages
        if not looked:
            return max(age, ages[1])
        index = max(bisect_right(ages, age), 1)
        if index == len(ages):
            # When its end comes, if ever, is unknown; a watch that starts late gets a few look-ups
            # soon.
            return age + min(
                MAX_GAP_SECONDS, max(MIN_GAP_SECONDS, age / 4), 20 * 1.5 ** min(looked, 10)
            )
        before, after = ages[index - 1], ages[index]
        following = ages[min(index + 1, len(ages) - 1)]
        share = (age - before) / (after - before)
        return max(after + share * (following - after), age + MIN_GAP_SECONDS)

    def next_at(self, subject: LookupKey, now: float, born: float, looked: int) -> float:
        """Return when to look up next an order created at `born`, after `looked` look-ups."""
        # Each payment's clock runs up to 10 % fast or slow, constantly: payments that begin
        # together are spread out, and the gaps of each one stay even.
        pace = 0.9 + 0.2 * (crc32(repr(subject).encode()) / 0xFFFFFFFF)
        return max(born + self.next((now - born) / pace, looked) * pace, now + MIN_GAP_SECONDS)


class FixedAges(Schedule):
    """Ages at which to look up and between which never, however late or often a watch starts.

    After the last of them, `watch_timeout`, a payment is looked up once in each further such time.
    """

    fixed = True

    def __init__(self, ages: tuple[float, ...], watch_timeout: float) -> None:
        self.unknown_age = 0.0
        self._ages = [*sorted(age for age in ages if age < watch_timeout), watch_timeout]

    def next(self, age: float, looked: int) -> float:
        """Return the next of the ages.

        A look-up is made at its age, but clocks differ: one that came up to a second before it
        counts as made at it.
        """
        age += MIN_GAP_SECONDS if looked else CLOCK_SECONDS
        ages = self._ages
        if age < ages[-1]:
            return ages[bisect_right(ages, age)]
        return (age // ages[-1] + 1) * ages[-1]

    def next_at(self, subject: LookupKey, now: float, born: float, looked: int) -> float:
        """Return when to look up next: exactly at an age, for the poll queue spreads them out."""
        return born + self.next(now - born, looked)


class Schedules(dict[Pace, Schedule]):
    """The schedule of each pace, made at its first use."""

    def __missing__(self, pace: Pace) -> Schedule:
        """Make the schedule of a pace."""
        if len(self) >= MAX_SCHEDULES:  # a driver may compute the pace of each payment
            self.clear()
        made = self[pace] = (
            Schedule(pace.first_look, pace.watch_timeout)
            if pace.ages is None
            else FixedAges(pace.ages, pace.watch_timeout)
        )
        return made
