"""When payments are looked at: as soon as the number of looks allows, never in a rush, and never given up."""

import math
import random
from collections.abc import Sequence
from itertools import accumulate, pairwise
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paymux.watch import schedule
from paymux.watch.schedule import MAX_GAP, MIN_GAP, Schedule

HORIZON = 300.0
DAY = 86_400.0


class Payer(NamedTuple):
    """A log-normal answer to a prompt that expires (or to a page, which never does), and a share without one."""

    median: float
    spread: float
    never: float
    expiry: float = math.inf
    first_look: float = 2.0
    horizon: float = HORIZON

    def payment(self, chance: random.Random) -> tuple[float, bool]:
        """Draw when a payment ends, and whether because nobody answered in time."""
        answer = chance.lognormvariate(math.log(self.median), self.spread)
        end = answer if chance.random() >= self.never else math.inf
        return (self.expiry + 5 * chance.random(), True) if end > self.expiry else (end, False)

    def answered(self, age: float) -> float:
        """Give the share of payments that are answered by an age."""
        if age <= 0:
            return 0.0
        scaled = (math.log(min(age, self.expiry)) - math.log(self.median)) / self.spread
        return (1 - self.never) / 2 * (1 + math.erf(scaled / math.sqrt(2)))

    def ended(self, age: float) -> float:
        """Give the share of payments that are answered or expired by an age."""
        late = 0.0 if self.expiry == math.inf else min(1.0, max(0.0, (age - self.expiry) / 5))
        return self.answered(age) + late * (1 - self.answered(self.expiry if late else 0.0))


# Corners of the family of benchmarks/bench_schedule.py, and its middle.
PAYERS = [
    Payer(10, 0.5, 0.3, 180),
    Payer(10, 0.8, 0.05, 60),
    Payer(22, 0.8, 0.3, 120),
    Payer(45, 0.5, 0.05, 180),
    Payer(45, 0.8, 0.3, 60),
    Payer(15, 0.5, 0.3, 120, first_look=15.0),
    Payer(240, 0.9, 0.4, first_look=10.0, horizon=900.0),
]


def watch(plan: Schedule, payer: Payer, chance: random.Random, *, learn: bool = True) -> tuple[float | None, int]:
    """Look at one payment as planned, with jitter; give the delay of finding an answer, and the looks."""
    end, expired = payer.payment(chance)
    age, looked = 0.0, 0
    while True:
        gap = plan.next(age, looked) - age
        look = min(max(age + gap * chance.uniform(0.9, 1.1), payer.first_look), payer.horizon)
        looked += 1
        if end <= look or look >= payer.horizon:
            if learn:
                plan.answered(age, look if end <= look else math.inf, expired=expired)
            return (look - end if end <= look and not expired else None), looked
        age = look


def taught(payer: Payer, payments: int, seed: int = 0, polls: float = 8.0) -> Schedule:
    """Give a schedule that has seen so many payments."""
    plan, chance = Schedule(payer.first_look, payer.horizon, polls), random.Random(seed)
    for _ in range(payments):
        watch(plan, payer, chance)
    return plan


def measured(plan: Schedule, payer: Payer, payments: int) -> tuple[float, float]:
    """Give the mean delay of finding an answer, and the mean looks of all payments, answered or not."""
    chance = random.Random("measured")
    found = [watch(plan, payer, chance, learn=False) for _ in range(payments)]
    delays = [delay for delay, _ in found if delay is not None]
    return sum(delays) / len(delays), sum(looks for _, looks in found) / payments


def best(payer: Payer, polls: float) -> float:
    """Bound from below what any plan that takes so many looks can do: every plan on a grid, tried backwards.

    For any price of a look, no plan has less than the cheapest one's delay and looks together. The grid's delay is
    that of continuous looks but for less than 1 %.
    """
    step = payer.horizon / 400
    ages = [step * index for index in range(401)]
    share, ended = [payer.answered(age) for age in ages], [payer.ended(age) for age in ages]
    area = list(accumulate(((one + other) / 2 * step for one, other in pairwise(share)), initial=0.0))
    bound = 0.0
    for price in (payer.median / 240 * 1.6**power for power in range(8)):
        height = area.copy()
        for now in range(399, -1, -1):
            begin = now + 1 if now else math.ceil(payer.first_look / step)
            lines = (
                height[later] - (ages[later] - ages[now]) * share[now]
                for later in range(begin, min(401, 2 * now + 200))
            )
            height[now] = price * (1 - ended[now]) + min(lines)
        bound = max(bound, height[0] - price * polls)
    return bound / share[-1]


@pytest.mark.parametrize("payer", PAYERS, ids=str)
def test_the_delay_is_within_15_percent_of_the_best_possible(payer: Payer) -> None:
    """After 1,000 payments, at 8 looks a payment, no plan that knew the payers finds their answers much sooner."""
    delay, polls = measured(taught(payer, 1000), payer, 4000)
    assert delay <= 1.15 * best(payer, polls)
    # Half the looks cost twice the delay: looks above 8 are charged for.
    assert delay * max(1.0, polls / 8) <= 1.15 * best(payer, 8.0)
    assert polls == pytest.approx(8, rel=0.1)


def test_it_learns_quickly() -> None:
    """The guess finds quick payers late; after 100 of them they are found soon, for the stated looks."""
    payer = Payer(10, 0.5, 0.05, 60)
    guessed, _ = measured(Schedule(2.0), payer, 2000)
    delay, polls = measured(taught(payer, 100), payer, 2000)
    assert guessed > 4 * delay
    assert polls == pytest.approx(8, rel=0.15)


def test_payers_who_change_are_learned_anew() -> None:
    """What was learned is forgotten: once payers have become slower, no looks go to their first seconds."""
    plan, chance = taught(Payer(10, 0.5, 0.05, 120), 1000), random.Random(1)
    slow = Payer(60, 0.5, 0.05, 180)
    assert measured(plan, slow, 2000)[1] > 15
    for _ in range(2000):
        watch(plan, slow, chance)
    delay, polls = measured(plan, slow, 2000)
    assert polls == pytest.approx(8, rel=0.15)
    assert delay < 1.25 * best(slow, polls)


@pytest.mark.parametrize("polls", [3.0, 6.0, 12.0])
def test_it_costs_the_stated_number_of_looks(polls: float) -> None:
    """The budget is kept over all payments, those that nobody answers included."""
    payer = Payer(30, 0.8, 0.3, 120)
    assert measured(taught(payer, 500, polls=polls), payer, 4000)[1] == pytest.approx(polls, rel=0.1)


def test_who_never_answers_costs_few_looks() -> None:
    """A payment that stays pending costs at most two and a half times the mean within its watch."""
    payer = Payer(20, 0.8, 0.3)
    plan = taught(payer, 500)
    looks = [watch(plan, payer._replace(never=1.0), random.Random(seed), learn=False)[1] for seed in range(50)]
    assert max(looks) <= 20


def lessons() -> st.SearchStrategy[list[tuple[float, float, bool]]]:
    """Give ends of payments, however odd."""
    age = st.floats(-10, 10 * DAY)
    return st.lists(st.tuples(age, age | st.just(math.inf), st.booleans()), max_size=40)


@settings(max_examples=60, deadline=None)
@given(lessons(), st.sampled_from([2.0, 15.0]), st.sampled_from([115.0, 300.0, 1800.0]), st.floats(2, 20))
def test_whatever_was_learned_the_looks_keep_their_distance(
    learned: list[tuple[float, float, bool]], first_look: float, horizon: float, polls: float
) -> None:
    """No look before the first useful one, none within a second of the last, and no age is left behind."""
    plan = Schedule(first_look, horizon, polls)
    for earliest, latest, expired in learned:
        plan.answered(earliest, latest, expired=expired)
    for looked in (1, 5, 30):
        ages = [0.1 * 1.07**step for step in range(200)]
        following = [plan.next(age, looked) for age in ages]
        assert all(look >= age + MIN_GAP for age, look in zip(ages, following, strict=True))
        assert all(look >= first_look for look in following)
        assert all(before <= after for before, after in pairwise(following))
        assert all(
            look <= 2.06 * age + 2 * MIN_GAP
            for age, look in zip(ages, following, strict=True)
            if age >= first_look
        )
    assert first_look <= plan.next(0.0, 0) <= horizon
    assert plan.next(0.0, 0) == plan.next(1.0, 0)


def test_a_young_payment_is_not_asked_for_before_it_is_useful() -> None:
    """Daraja is not asked in the first 15 s, whatever the payers are like."""
    for payments in (0, 300):
        plan = taught(Payer(10, 0.5, 0.05, 60, first_look=15.0), payments)
        assert plan.next(0.0, 0) >= 15.0
        assert plan.next(3.0, 0) >= 15.0
        assert plan.next(3.0, 1) >= 15.0  # a hint may have made somebody look early


@pytest.mark.parametrize("age", [60.0, 3600.0, 7 * DAY])
def test_a_payment_taken_up_again_is_looked_at_at_once(age: float) -> None:
    """The first look at an old payment is now, and the next ones come at growing gaps."""
    plan = Schedule(2.0)
    assert plan.next(age, 0) == age
    looks = [age]
    for looked in range(1, 30):
        looks.append(plan.next(looks[-1], looked))
    gaps = [after - before for before, after in pairwise(looks)]
    assert all(gap >= MIN_GAP for gap in gaps)
    assert gaps[0] <= 30
    if age > HORIZON:
        assert all(before <= after for before, after in pairwise(gaps))


def test_a_watch_without_end_never_stops_and_never_rushes() -> None:
    """A payment that nobody ever ends is asked for over a week: at gaps of minutes, but for the first of them."""
    plan = Schedule(2.0)
    looks = [plan.next(0.0, 0)]
    while looks[-1] < 7 * DAY:
        looks.append(plan.next(looks[-1], len(looks)))
    gaps = [after - before for before, after in pairwise(looks)]
    assert max(gaps) == MAX_GAP
    assert sum(look <= HORIZON for look in looks) < 30
    assert sum(look <= 3600 for look in looks) < 45
    assert gaps[-1] == MAX_GAP


def test_what_was_taken_up_again_later_teaches_nothing() -> None:
    """That a payment ended between its order and an hour later says nothing of how long payers take."""
    plan = taught(Payer(20, 0.5, 0.05, 120), 100)
    before = [plan.next(age, 1) for age in range(1, 300, 7)]
    for _ in range(200):
        plan.answered(5.0, 250.0)
        plan.answered(0.0, 3600.0)
    assert [plan.next(age, 1) for age in range(1, 300, 7)] == before


def test_planning_anew_is_rare() -> None:
    """Planning takes milliseconds: 1,000 payments cause it some 60 times, and each look only reads the plan."""
    plan = Schedule(2.0)
    planned = 0
    cheapest = schedule._cheapest

    def counted(
        ages: Sequence[float], pending: Sequence[float], ended: Sequence[float], price: float
    ) -> list[int]:
        nonlocal planned
        planned += 1
        return cheapest(ages, pending, ended, price)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(schedule, "_cheapest", counted)
        for _ in range(1000):
            plan.answered(18.0, 21.0)
            plan.next(25.0, 3)
            plan.next(35.0, 4)
    assert planned / 17 < 70  # a plan tries 16 prices, and takes the last


@settings(max_examples=80, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=3, max_size=14), st.lists(st.floats(0.4, 30), min_size=14), st.data())
def test_the_plan_is_the_cheapest_of_all(weights: list[float], gaps: list[float], data: st.DataObject) -> None:
    """The hull of lines finds what trying every next look finds."""
    ages = [0.0]
    for gap in gaps[: len(weights)]:
        ages.append(ages[-1] + gap)
    total = sum(weights) + data.draw(st.floats(0.1, 2))
    ended = [0.0]
    for weight in weights:
        ended.append(ended[-1] + weight / total)
    pending = [1 - share for share in ended]
    price = data.draw(st.floats(0.001, 30))
    following = schedule._cheapest(ages, pending, ended, price)

    def cost(now: int, later: int) -> float:
        waited = sum(
            (ended[k] + ended[k - 1]) / 2 * (ages[k] - ages[k - 1]) - ended[now] * (ages[k] - ages[k - 1])
            for k in range(now + 1, later + 1)
        )
        return price * pending[now] + waited

    last = len(ages) - 1
    plan, least = [0.0] * len(ages), [0.0] * len(ages)
    for now in range(last - 1, -1, -1):
        plan[now] = cost(now, following[now]) + plan[following[now]]
        choices = [
            later for later in range(now + 1, last + 1) if later == last or ages[later] >= ages[now] + MIN_GAP
        ]
        least[now] = min(cost(now, later) + plan[later] for later in choices)
        capped = now and ages[following[now] + 1 if following[now] < last else last] > 2 * ages[now]
        assert capped or plan[now] == pytest.approx(least[now], rel=1e-6, abs=1e-6)
