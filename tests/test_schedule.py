"""When payments are looked at: early for few looks, never in a rush, and never given up."""

import math
from collections.abc import Callable, Iterator
from itertools import pairwise, product
from statistics import NormalDist, fmean
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paymux.watch.schedule import MAX_GAP_SECONDS, MIN_GAP_SECONDS, PAGE, PROMPT, Schedule

HORIZON = 300.0
DAY = 86_400.0

Next = Callable[[float, int], float]


class Payer(NamedTuple):
    """A log-normal answer to a prompt that expires, or to a page; some never answer."""

    median: float
    spread: float
    never: float
    expiry: float = math.inf
    first_look: float = 2.0
    horizon: float = HORIZON

    def ends(self) -> Iterator[float]:
        """Give the ages at which a hundred payments would be answered, if nothing expired."""
        law = NormalDist(math.log(self.median), self.spread)
        return (math.exp(law.inv_cdf((number + 0.5) / 100)) for number in range(100))


# The family of benchmarks/bench_schedule.py.
PROMPTS = [
    Payer(median, spread, never, expiry, first_look)
    for first_look, median, spread, expiry, never in product(
        (2.0, 15.0), (10, 15, 22, 30, 45), (0.5, 0.8), (60, 120, 180), (0.05, 0.3)
    )
]
PAGES = [
    Payer(median, spread, never, first_look=10.0, horizon=900.0)
    for median, spread, never in product((60, 120, 240), (0.6, 0.9), (0.1, 0.4))
]


def looks(following: Next, payer: Payer) -> list[float]:
    """Give the ages of a payment at its looks, of which the last ends its watch."""
    found = [max(following(0.0, 0), payer.first_look)]
    while found[-1] < payer.horizon:
        found.append(min(max(following(found[-1], len(found)), payer.first_look), payer.horizon))
    return found


def measured(following: Next, payer: Payer) -> tuple[float, float]:
    """Give the mean delay of finding an answer, and the mean looks of all payments."""
    ages, over = looks(following, payer), min(payer.expiry, payer.horizon)
    answers = [end for end in payer.ends() if end <= over]
    delays = [next(age for age in ages if age >= end) - end for end in answers]
    answered = (1 - payer.never) * len(answers) / 100
    spent = fmean(1 + sum(age < end for age in ages) for end in answers)
    unanswered = min(1 + sum(age < payer.expiry + 2.5 for age in ages), len(ages))
    return fmean(delays), answered * spent + (1 - answered) * unanswered


def means(payers: list[Payer], plan: Callable[[Payer], Next]) -> tuple[float, float]:
    """Give the delay and the looks in the mean over payers."""
    delays, spent = zip(*(measured(plan(payer), payer) for payer in payers), strict=True)
    return fmean(delays), fmean(spent)


def ours(payer: Payer) -> Next:
    """Give the schedule that a driver for such payers has."""
    return Schedule(payer.first_look, payer.horizon).next


def every(gap: float) -> Callable[[Payer], Next]:
    """Give a loop that looks every so many seconds."""
    return lambda _: lambda age, _: age + gap


def moved(number: int, share: float) -> Callable[[Payer], Next]:
    """Give our list with one of its ages moved by a share of the gap that follows it."""

    def plan(payer: Payer) -> Next:
        ages = looks(ours(payer), payer)
        ages[number] += share * (ages[number + 1] - ages[number])
        return lambda _, looked: ages[looked]

    return plan


def test_a_payment_costs_eight_looks_and_is_found_within_four_seconds() -> None:
    """Over all kinds of payers, each of which counts the same: 8 looks, and less than 4 s late."""
    delay, polls = means(PROMPTS + PAGES, ours)
    assert delay < 4.0
    assert polls == pytest.approx(8, rel=0.05)
    # Asking as often at even gaps finds a quarter later.
    even, as_many = means(PROMPTS + PAGES, every(9.5))
    assert as_many == pytest.approx(8, rel=0.05)
    assert even > 1.25 * delay


@pytest.mark.parametrize("payers", [PROMPTS[:60], PAGES], ids=["prompts", "pages"])
def test_no_look_is_better_elsewhere(payers: list[Payer]) -> None:
    """Moving one look of a list gains less than half a per cent in delay and looks together."""
    price = 0.4  # seconds of delay that a look must save: with it, both lists take 8 in the mean

    def cost(plan: Callable[[Payer], Next]) -> float:
        delay, spent = means(payers, plan)
        return delay + price * spent

    best = cost(ours)
    for number in range(0, len(looks(ours(payers[0]), payers[0])) - 1, 2):
        assert cost(moved(number, -0.4)) > 0.995 * best
        assert cost(moved(number, 0.4)) > 0.995 * best


def test_what_waited_for_its_turn_keeps_the_gaps_of_its_age() -> None:
    """After a late look between two ages of the list, the next is as far between the next two."""
    plan = Schedule(2.0)
    for before, after, following in zip(PROMPT, PROMPT[1:], PROMPT[2:], strict=False):
        assert plan.next(before, 3) == after
        assert plan.next((before + after) / 2, 3) == pytest.approx((after + following) / 2)


def test_a_page_is_asked_for_as_a_page() -> None:
    """A watch that is longer than the list of prompts has the list of pages, then growing gaps."""
    assert looks(Schedule(10.0, 900.0).next, PAGES[0]) == list(PAGE)
    assert Schedule(10.0, 1800.0).next(900.0, 41) == 900 + 225


@settings(max_examples=60, deadline=None)
@given(st.sampled_from([0.5, 2.0, 15.0, 60.0, 400.0]), st.sampled_from([6.0, 115.0, 300.0, 1800.0]))
def test_the_looks_keep_their_distance(first_look: float, horizon: float) -> None:
    """No look before the first useful one, none within a second of the last, no age left behind."""
    plan = Schedule(first_look, horizon)
    for looked in (1, 5, 30):
        ages = [0.1 * 1.07**step for step in range(200)]
        following = [plan.next(age, looked) for age in ages]
        assert all(look >= age + MIN_GAP_SECONDS for age, look in zip(ages, following, strict=True))
        assert all(look >= first_look for look in following)
        assert all(before <= after for before, after in pairwise(following))
        assert all(
            look <= 2.06 * age + 2 * MIN_GAP_SECONDS
            for age, look in zip(ages, following, strict=True)
            if age >= plan.next(0.0, 0)
        )
    assert first_look <= plan.next(0.0, 0) <= max(first_look, PAGE[0])
    assert plan.next(0.0, 0) == plan.next(1.0, 0) or first_look < 1


def test_a_young_payment_is_not_asked_for_before_it_is_useful() -> None:
    """Daraja is not asked in the first 15 s, whatever the payers are like."""
    plan = Schedule(15.0, 180.0)
    assert plan.next(0.0, 0) >= 15.0
    assert plan.next(3.0, 0) >= 15.0
    assert plan.next(3.0, 1) >= 15.0  # a hint may have caused an early look


@pytest.mark.parametrize("age", [60.0, 3600.0, 7 * DAY])
def test_a_payment_taken_up_again_is_looked_at_at_once(age: float) -> None:
    """The first look at an old payment is now, and the next ones come at growing gaps."""
    plan = Schedule(2.0)
    assert plan.next(age, 0) == age
    looks = [age]
    for looked in range(1, 30):
        looks.append(plan.next(looks[-1], looked))
    gaps = [after - before for before, after in pairwise(looks)]
    assert all(gap >= MIN_GAP_SECONDS for gap in gaps)
    assert gaps[0] <= 30
    if age > HORIZON:
        assert all(before <= after for before, after in pairwise(gaps))


def test_a_watch_without_end_never_stops_and_never_rushes() -> None:
    """A payment without an end is asked for over a week: at gaps of minutes, after the first."""
    plan = Schedule(2.0)
    looks = [plan.next(0.0, 0)]
    while looks[-1] < 7 * DAY:
        looks.append(plan.next(looks[-1], len(looks)))
    gaps = [after - before for before, after in pairwise(looks)]
    assert max(gaps) == MAX_GAP_SECONDS
    assert sum(look <= HORIZON for look in looks) < 30
    assert sum(look <= 3600 for look in looks) < 45
    assert gaps[-1] == MAX_GAP_SECONDS
