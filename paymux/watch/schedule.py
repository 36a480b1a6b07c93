"""When to look at a pending payment: the looks that find its end soonest, for a stated number of them.

Pure arithmetic on seconds since the order. `benchmarks/bench_schedule.py` measures it beside other schedules.
"""

import math
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from itertools import accumulate, pairwise

MIN_GAP = 1.0  # seconds between two looks at one payment
MAX_GAP = 300.0  # seconds between two looks at a payment that has been pending for long
_STEP, _FINE = 0.5, 0.025  # looks are planned to half a second, or to 2.5 % of the age where that is more
_EXPIRED = 0.05  # what a second's delay in finding an unanswered prompt matters, beside one in finding an answer
_BELIEF = 2.0  # payments that the first guess, made before any was seen, is worth
_MEMORY = 500.0  # payments after which older ones begin to be forgotten


class Schedule:
    """Plans the looks at the payments of one account, and learns how long its payers take.

    `first_look` is the age of a payment at the first useful look, `horizon` the age up to which one is watched;
    both in seconds. `polls` is how many looks a payment costs, the mean over all, never answered or not.
    """

    def __init__(self, first_look: float, horizon: float = 300.0, polls: float = 8.0) -> None:
        self._horizon = max(horizon, first_look + MIN_GAP)
        self._polls = polls
        ages, age = [0.0], max(first_look, MIN_GAP)
        while age < self._horizon:
            ages.append(age)
            age += max(_STEP, age * _FINE)
        self._ages = [*ages, self._horizon]
        self._following: list[int] = []  # to each of these ages, the index of the age to look at next
        self._first = self._horizon / 12
        self._seen = self._due = 0
        # A guess: a driver lets watch for twelve times the median payer, and a prompt is over before the watch.
        self._answers = _Delays(0.85 * _BELIEF, self._horizon / 12, 1.0)
        self._expiries = _Delays(0.1 * _BELIEF, self._horizon * 0.4, 0.3)
        self._later = 0.05 * _BELIEF

    def next(self, age: float, looked: int) -> float:
        """Give the seconds from the order at which to look next, from its age now and how many looks it had.

        That is MIN_GAP away at least, and never more than as long again as the payment is old. Only the first look
        at a payment that is old enough is now: `age` itself.
        """
        if self._seen >= self._due:
            self._plan()
        if not looked:
            return max(age, self._first)
        if age >= self._horizon:
            # When its end comes, if ever, nobody knows. Whoever takes it up again gets a few looks soon.
            return age + min(MAX_GAP, max(MIN_GAP, age / 4), 10 * 1.5 ** min(looked, 10))
        after = bisect_left(self._ages, age)
        nearest = after - 1 if after > 1 and age - self._ages[after - 1] < self._ages[after] - age else after
        return max(self._ages[self._following[nearest]], age + MIN_GAP)

    def answered(self, earliest: float, latest: float, *, expired: bool = False) -> None:
        """Learn from a payment that ended after `earliest`, its age when last found pending, and by `latest`.

        `expired` says that nobody answered the prompt. `latest` is infinite where the watch ended first.
        """
        latest = max(latest, MIN_GAP)
        if earliest >= self._horizon or latest == math.inf:
            self._later += 1
        elif latest <= 3 * max(earliest, self._first):
            (self._expiries if expired else self._answers).add(math.sqrt(max(earliest, latest / 2) * latest))
        else:
            return  # no gap of ours is so wide: it was taken up again later, which tells nothing of the payer
        self._seen += 1

    def _plan(self) -> None:
        """Plan anew from what was learned: milliseconds, once in so many payments that a tenth of them is new."""
        self._due = self._seen + 1 + self._seen // 10
        total = self._answers.weight + self._expiries.weight + self._later
        answered, expired = self._answers.by(self._ages), self._expiries.by(self._ages)
        pending = [1 - (one + other) / total for one, other in zip(answered, expired, strict=True)]
        ended = [(one + _EXPIRED * other) / total for one, other in zip(answered, expired, strict=True)]
        low, high = self._horizon * 1e-6, self._horizon
        for _ in range(12):  # to a third of a per cent, which changes no plan
            price = math.sqrt(low * high)
            self._following = _cheapest(self._ages, pending, ended, price)
            if _spent(self._following, pending) > self._polls:
                low = price
            else:
                high = price
        self._following = _cheapest(self._ages, pending, ended, high)
        self._first = self._ages[self._following[0]]
        if total > _MEMORY:
            self._answers.fade(_MEMORY / total)
            self._expiries.fade(_MEMORY / total)
            self._later *= _MEMORY / total


class _Delays:
    """How many payments end after how long: a log-normal law, fitted by its moments."""

    def __init__(self, weight: float, median: float, spread: float) -> None:
        self.weight = weight
        self._sum = weight * math.log(median)
        self._squares = weight * (math.log(median) ** 2 + spread**2)

    def add(self, delay: float) -> None:
        log = math.log(delay)
        self.weight += 1
        self._sum += log
        self._squares += log * log

    def fade(self, factor: float) -> None:
        self.weight *= factor
        self._sum *= factor
        self._squares *= factor

    def by(self, ages: Sequence[float]) -> list[float]:
        """Give how many have ended by each of these ages; the first of them is 0."""
        mean = self._sum / self.weight
        width = math.sqrt(2 * max(self._squares / self.weight - mean * mean, 0.05**2))
        return [0.0, *(self.weight / 2 * (1 + math.erf((math.log(age) - mean) / width)) for age in ages[1:])]


def _cheapest(ages: Sequence[float], pending: Sequence[float], ended: Sequence[float], price: float) -> list[int]:
    """Give, for each age, the index of the age to look at next, where a look costs `price` seconds of delay.

    Dynamic programming from the last age backwards. What looking next at u costs after a look at t is
    price * pending(t) + waited(u) - waited(t) - (u - t) * ended(t) + cost(u), where `waited` is the integral of
    `ended`: a line in ended(t) for each u. The lowest line is found by a hull of lines, as both only ever grow.
    """
    steps = ((one + other) / 2 for one, other in pairwise(ended))
    areas = (step * (age - before) for step, (before, age) in zip(steps, pairwise(ages), strict=True))
    waited = list(accumulate(areas, initial=0.0))
    last = len(ages) - 1
    following, heights = [last] * len(ages), [0.0] * len(ages)
    hull, head, new = [last], 0, last - 1
    heights[last] = waited[last]
    for now in range(last - 1, -1, -1):
        age, share = ages[now], ended[now]
        while new > now and ages[new] >= age + MIN_GAP:
            while len(hull) - head > 1 and _hidden(ages, heights, hull[-2], hull[-1], new):
                hull.pop()
            hull.append(new)
            new -= 1
        while len(hull) - head > 1 and (
            heights[hull[head + 1]] - ages[hull[head + 1]] * share
            <= heights[hull[head]] - ages[hull[head]] * share
        ):
            head += 1
        # Whatever was learned, no payment is found later than when it is twice as old.
        best = min(hull[head], max(bisect_right(ages, 2 * age) - 1, now + 1)) if now else hull[head]
        following[now] = best
        heights[now] = price * pending[now] + heights[best] - (ages[best] - age) * share
    return following


def _hidden(ages: Sequence[float], heights: Sequence[float], older: int, middle: int, new: int) -> bool:
    """Tell whether the lines on both sides leave the middle one nowhere the lowest."""
    return (heights[older] - heights[new]) * (ages[older] - ages[middle]) >= (heights[older] - heights[middle]) * (
        ages[older] - ages[new]
    )


def _spent(following: Sequence[int], pending: Sequence[float]) -> float:
    """Give the looks that a payment costs in the mean."""
    now, looks = 0, 0.0
    while now < len(following) - 1:
        looks += pending[now]
        now = following[now]
    return looks
