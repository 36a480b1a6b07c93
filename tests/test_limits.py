"""Rate limits: exact at the receiver, fair, learned from refusals, and never a hang."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Coroutine, Mapping
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paymux import NotSent, OutcomeUnknown, Payment, Pool, RateLimited
from paymux.bulk import Bulk
from paymux.http import PreparedRequest, Response
from paymux.limits.adaptive import AdaptiveRate
from paymux.limits.limiter import Limiter
from paymux.limits.places import RequestKind
from paymux.limits.sliding_window import MAX_IN_FLIGHT
from paymux.limits.state import Limits
from paymux.limits.turns import Priority

from .campaigns.limits import CALM, REFUSED, USED, Strict, storm
from .toys import START, Desk, Keyless, Narrow, Wire, answer, now, run, timeless, virtual_loop

EVER = float("inf")
ONE: Mapping[RequestKind, tuple[int, float]] = {"look-up": (1, 1.0)}
RANKS = [rank for rank in Priority if rank is not Priority.MONEY]


class Limit:
    """A limiter with one stated window, and requests of one priority."""

    def __init__(self, account: str, count: int, seconds: float) -> None:
        self._gate = Limiter(account, {"look-up": (count, seconds)})

    async def enter(self, deadline: float) -> None:
        await self._gate.acquire(money=False, priority=Priority.NOW, deadline=deadline)

    def leave(self) -> None:
        self._gate.release(money=False)


async def _arrivals(
    limit: Limit, count: int, seed: int, latency: float, over: float
) -> list[float]:
    """Send `count` requests at random times, and return when the receiver saw them."""
    chance = random.Random(seed)
    seen: list[float] = []

    async def send() -> None:
        await asyncio.sleep(chance.uniform(0, over))
        await limit.enter(float("inf"))
        await asyncio.sleep(chance.uniform(0, latency))
        seen.append(asyncio.get_running_loop().time())
        await asyncio.sleep(chance.choice([0.0, chance.uniform(0, latency)]))
        limit.leave()

    await asyncio.gather(*(send() for _ in range(count)))
    return sorted(seen)


def _tightest(seen: list[float], count: int) -> float:
    """Return the shortest time that ever held one request more than the limit."""
    return min((seen[i + count] - seen[i] for i in range(len(seen) - count)), default=float("inf"))


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    count=st.integers(1, 7),
    seconds=st.sampled_from([0.5, 1.0, 60.0]),
    latency=st.sampled_from([0.0, 0.3, 5.0]),
    over=st.sampled_from([0.0, 1.0, 90.0]),
    seed=st.integers(0, 10**6),
)
def test_no_window_holds_more_than_the_limit(
    count: int, seconds: float, latency: float, over: float, seed: int
) -> None:
    """With any latencies, no window at the provider's end holds more requests than it allows."""
    seen = run(_arrivals(Limit("toy", count, seconds), 60, seed, latency, over))
    assert len(seen) == 60
    assert _tightest(seen, count) >= seconds - 1e-6


@pytest.mark.slow
def test_ten_thousand_arrivals_keep_the_limit() -> None:
    """10,000 requests with random latencies: no window too full, and no slot wasted."""
    seen = run(_arrivals(Limit("toy", 100, 1.0), 10_000, 7, 0.05, 0.0))
    assert _tightest(seen, 100) >= 1.0 - 1e-6
    assert seen[-1] - START < 100 * 1.1 + 1


@timeless
async def test_first_come_is_first_served() -> None:
    """Requests are sent in order of arrival."""
    limit, order = Limit("toy", 2, 1.0), []

    async def send(number: int) -> None:
        await limit.enter(float("inf"))
        order.append(number)
        limit.leave()

    await asyncio.gather(*(send(number) for number in range(20)))
    assert order == list(range(20))


@timeless
async def test_a_place_within_the_deadline_is_waited_for() -> None:
    """A request waits for its slot exactly as long as necessary."""
    limit = Limit("toy", 1, 10.0)
    await limit.enter(START + 1)
    limit.leave()
    await limit.enter(START + 11)
    assert now() == pytest.approx(10.0, abs=1e-6)


@timeless
async def test_no_place_before_the_deadline_is_refused_at_once() -> None:
    """If no slot can come in time, RateLimited comes now, with the seconds to wait."""
    limit = Limit("toy", 1, 10.0)
    await limit.enter(START + 1)
    limit.leave()
    await asyncio.sleep(1)
    with pytest.raises(RateLimited) as caught:
        await limit.enter(START + 5)
    assert now() == pytest.approx(1.0, abs=1e-6)
    assert caught.value.retry_after == pytest.approx(9.0, abs=1e-6)
    assert "nothing was sent" in str(caught.value)


@timeless
async def test_places_that_are_all_in_flight_cannot_come_sooner_than_a_window() -> None:
    """While all slots are in flight, a deadline within a window is refused now."""
    limit = Limit("toy", 1, 60.0)
    await limit.enter(START + 30)
    began = now()
    with pytest.raises(RateLimited):
        async with asyncio.timeout(30):
            await limit.enter(START + 30)
    assert now() == began


@timeless
async def test_the_queue_ahead_counts() -> None:
    """A request behind others is refused at once if their slots leave none for it in time."""
    limit = Limit("toy", 2, 10.0)
    for _ in range(2):
        await limit.enter(START + 1)
        limit.leave()
    ahead = [asyncio.create_task(limit.enter(START + 15)) for _ in range(2)]
    await asyncio.sleep(0)
    with pytest.raises(RateLimited):
        await limit.enter(START + 15)
    await asyncio.gather(*ahead)


@timeless
async def test_a_refusal_says_whose_limit_it_is() -> None:
    """RateLimited names the account, as every provider's error does."""
    limit = Limit("kenya", 1, 10.0)
    await limit.enter(START + 1)
    limit.leave()
    with pytest.raises(RateLimited) as caught:
        await limit.enter(START + 1)
    assert caught.value.account == "kenya"


@timeless
async def test_a_cancelled_waiter_releases_its_own_slot_only() -> None:
    """Cancelled waiters move the others up; no slot is lost, and none is added."""
    limit, served = Limit("toy", 1, 1.0), []

    async def send(number: int) -> None:
        await limit.enter(float("inf"))
        served.append((number, round(now(), 3)))
        limit.leave()

    tasks = [asyncio.create_task(send(number)) for number in range(10)]
    await asyncio.sleep(0.5)
    for task in tasks[1:8]:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert served == [(0, 0.0), (8, 1.0), (9, 2.0)]


@timeless
async def test_a_waiter_cancelled_as_it_is_served_passes_its_place_on() -> None:
    """A slot granted to a request that was cancelled in the same step goes to the next one."""
    limit = Limit("toy", 1, 1.0)
    await limit.enter(float("inf"))
    limit.leave()
    first = asyncio.create_task(limit.enter(float("inf")))
    second = asyncio.create_task(limit.enter(float("inf")))
    await asyncio.sleep(0)
    loop = asyncio.get_running_loop()
    # This timer was set after the limiter's own, for the same time: the slot is granted, then not
    # used.
    loop.call_at(START + 1.0 + 1e-9, first.cancel)
    await asyncio.wait([first, second], timeout=5)
    assert first.cancelled()
    assert second.done()
    assert not second.cancelled()
    assert now() < 6


@timeless
async def test_a_waiter_cancelled_just_before_it_is_served_is_cancelled() -> None:
    """A cancellation in the step in which a slot becomes free is only a cancellation."""
    limit = Limit("toy", 1, 1.0)
    loop = asyncio.get_running_loop()
    waiting: list[asyncio.Task[None]] = []

    def cancel_first() -> None:
        waiting[0].cancel()

    # This timer was set before the limiter's own, for the same time.
    loop.call_at(START + 1.0, cancel_first)
    await limit.enter(float("inf"))
    limit.leave()
    waiting += [asyncio.create_task(limit.enter(float("inf"))) for _ in range(2)]
    await asyncio.wait(waiting, timeout=5)
    assert waiting[0].done()
    assert waiting[0].cancelled()
    assert waiting[1].result() is None
    assert now() < 2


@timeless
async def test_a_deadline_at_the_moment_of_service_is_no_foreign_error() -> None:
    """A call whose deadline is the time of its slot ends served or NotSent."""
    wire = Wire(Desk(collect=answer(status="WAIT")))
    async with Pool(Narrow(), connection=wire) as pool:
        for number in range(2):
            await pool.collect("narrow", amount=5, currency="XAF", reference=f"r{number}")
        began = now()
        held = [
            asyncio.create_task(
                pool.collect(
                    "narrow",
                    amount=5,
                    currency="XAF",
                    reference=f"late{number}",
                    deadline=10.0 - began,
                )
            )
            for number in range(2)
        ]
        for outcome in await asyncio.gather(*held, return_exceptions=True):
            assert not isinstance(outcome, ValueError)
            assert isinstance(outcome, NotSent | RateLimited) or not isinstance(
                outcome, BaseException
            )


@settings(max_examples=60, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10**6), count=st.integers(1, 3))
def test_cancellation_at_any_moment_loses_no_place(seed: int, count: int) -> None:
    """Bursts and cancellations in the same steps: all others are served in time."""

    async def main() -> None:
        chance, limit, seen = random.Random(seed), Limit("toy", count, 1.0), list[float]()
        unwanted: set[asyncio.Task[None]] = set()

        async def send(at: int) -> None:
            await asyncio.sleep(at / 4)
            await limit.enter(float("inf"))
            try:
                seen.append(asyncio.get_running_loop().time())
                await asyncio.sleep(chance.choice([0.0, 0.25]))
            finally:
                limit.leave()

        tasks = [asyncio.create_task(send(chance.randrange(8))) for _ in range(20)]
        for task in chance.sample(tasks, 12):
            unwanted.add(task)
            asyncio.get_running_loop().call_at(START + chance.randrange(40) / 4, task.cancel)
        outcomes = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 60)
        for task, outcome in zip(tasks, outcomes, strict=True):
            assert outcome is None or (
                task in unwanted and isinstance(outcome, asyncio.CancelledError)
            )
        assert _tightest(seen, count) >= 1.0 - 1e-6

    run(main())


def test_loops_in_turn_keep_the_window_and_not_the_queue() -> None:
    """A limiter used from a second loop starts with an empty queue, and keeps its window."""
    limit = Limit("toy", 1, 3600.0)

    async def spend() -> None:
        await limit.enter(float("inf"))
        limit.leave()
        hanging = asyncio.create_task(limit.enter(float("inf")))
        await asyncio.sleep(0)
        hanging.cancel()

    async def refused() -> None:
        with pytest.raises(RateLimited):
            await limit.enter(asyncio.get_running_loop().time() + 1)

    asyncio.run(spend())
    asyncio.run(refused())


@timeless
async def test_a_pool_keeps_the_limits_of_each_account_and_class_apart() -> None:
    """Money and look-ups are counted separately, and so are accounts."""
    wire = Wire(Desk(collect=answer(status="WAIT"), payments=answer(status="WAIT")))
    async with Pool(Narrow(account="a"), Narrow(account="b"), connection=wire) as pool:
        for account in ("a", "b"):
            for number in range(2):
                await pool.collect(account, amount=5, currency="XAF", reference=f"r{number}")
            with pytest.raises(RateLimited) as caught:
                await pool.collect(account, amount=5, currency="XAF", reference="r2", deadline=5)
            assert caught.value.account == account
            for _ in range(3):
                await pool.verify(account, "p")
            with pytest.raises(RateLimited):
                await pool.verify(account, "p", deadline=5)
    assert len(wire.paths("/collect")) == 4
    assert len(wire.paths("/payments")) == 6


@timeless
async def test_a_pool_that_waits_for_places_is_exact() -> None:
    """Thirty look-ups at once, with retries, are sent at three per ten seconds."""
    seen: list[float] = []

    def respond(_: PreparedRequest) -> Response:
        seen.append(asyncio.get_running_loop().time())
        return answer(500) if len(seen) % 4 == 0 else answer(status="WAIT")

    wire = Wire(respond, before=0.2, after=0.3)
    async with Pool(Narrow(), connection=wire, deadline=600) as pool:
        await asyncio.gather(*(pool.verify("narrow", "p") for _ in range(30)))
    assert len(seen) > 30
    assert min(after - before for before, after in pairwise(seen[::3])) >= 10 - 1e-6
    assert _tightest(sorted(seen), 3) >= 10 - 1e-6


async def _enter(
    gate: Limiter, rank: Priority = Priority.NOW, deadline: float = EVER, *, money: bool = False
) -> None:
    await gate.acquire(money=money, priority=Priority.MONEY if money else rank, deadline=deadline)


def _learned(gate: Limiter, retry_after: float | None = None) -> Limits:
    gate.on_throttled(retry_after)
    return gate.state()


def _timers() -> int:
    """Count the timers that the running loop still has."""
    loop = asyncio.get_running_loop()
    held: list[asyncio.TimerHandle] = vars(loop)["_scheduled"]
    return sum(not timer.cancelled() for timer in held)


@timeless
async def test_the_most_urgent_goes_first_and_within_a_priority_the_first() -> None:
    """Requests are sent by priority, and by arrival within a priority."""
    gate, order = Limiter("toy", ONE), list[tuple[Priority, int]]()

    async def send(rank: Priority, number: int) -> None:
        await _enter(gate, rank)
        order.append((rank, number))
        gate.release(money=False)

    await _enter(gate)
    gate.release(money=False)
    await asyncio.gather(*(send(rank, number) for rank in reversed(RANKS) for number in range(2)))
    assert order == [(rank, number) for rank in RANKS for number in range(2)]


@timeless
async def test_stated_windows_are_apart_and_what_is_learned_is_not() -> None:
    """A full window of look-ups does not delay money; a learned rate delays both, money first."""
    gate, order = Limiter("toy", {"money": (9, 1.0), "look-up": (1, 60.0)}), list[str]()

    async def send(name: str, *, money: bool) -> None:
        await _enter(gate, money=money)
        order.append(name)
        gate.release(money=money)

    await send("look-up", money=False)
    for _ in range(3):
        await send("money", money=True)
    assert now() == 0
    gate.on_throttled(None)
    waiting = [asyncio.create_task(send("later", money=False))]
    await asyncio.sleep(61)  # the window is free again, and the rate needs no wait
    assert order.pop() == "later"
    waiting += [
        asyncio.create_task(send(name, money=name == "money"))
        for name in ("a look-up", "money", "money")
    ]
    await asyncio.gather(*waiting)
    assert order[-3:] == ["money", "money", "a look-up"]


@timeless
async def test_the_nearest_place_is_woken_for() -> None:
    """A request for money's window is served when it is free, though look-ups wait longer."""
    gate = Limiter("toy", {"money": (1, 1.0), "look-up": (1, 60.0)})
    for money in (True, False):
        await _enter(gate, money=money)
        gate.release(money=money)
    look_up = asyncio.create_task(_enter(gate))
    await asyncio.sleep(0)
    await _enter(gate, money=True)
    assert now() == pytest.approx(1)
    await look_up
    assert now() == pytest.approx(60)


@timeless
async def test_one_place_in_ten_goes_to_who_has_waited_longest() -> None:
    """During an endless stream of urgent requests, others get a tenth of the slots, and no more."""
    gate, order = Limiter("toy", {"look-up": (1, 0.1)}), list[Priority]()

    async def send(rank: Priority) -> None:
        await _enter(gate, rank)
        order.append(rank)
        gate.release(money=False)

    await _enter(gate)
    gate.release(money=False)
    patient = [asyncio.create_task(send(rank)) for rank in (Priority.HINT,) * 30 + (Priority.BULK,)]
    stream = [asyncio.create_task(send(Priority.NOW)) for _ in range(20)]
    while len(order) < 200:
        before = len(order)
        await asyncio.sleep(0.1)
        stream += [asyncio.create_task(send(Priority.NOW)) for _ in range(len(order) - before)]
    assert order[:9] == [Priority.NOW] * 9
    assert order[:200].count(Priority.HINT) == 20
    for task in [*patient, *stream]:
        task.cancel()
    await asyncio.gather(*patient, *stream, return_exceptions=True)
    assert gate.state().waiting == _timers() == 0


@settings(max_examples=60, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 10**6), count=st.integers(1, 4), latency=st.sampled_from([0.0, 0.3, 2.0])
)
def test_no_refusal_at_once_is_a_false_one(seed: int, count: int, latency: float) -> None:
    """A request refused for its deadline would not have had a slot, whatever came after it."""

    async def main() -> None:
        chance, gate, seen = (
            random.Random(seed),
            Limiter("toy", {"look-up": (count, 1.0)}),
            list[float](),
        )
        loop = asyncio.get_running_loop()
        served: dict[Priority, list[int]] = {rank: [] for rank in RANKS}
        came: dict[Priority, list[int]] = {rank: [] for rank in RANKS}
        told = 0

        async def send(number: int) -> None:
            nonlocal told
            await asyncio.sleep(chance.uniform(0, 6))
            rank, earliest = chance.choice(RANKS), loop.time()
            came[rank].append(number)
            try:
                await _enter(gate, rank, earliest)
            except RateLimited as error:
                told += 1
                earliest += error.retry_after or 0.0
                await _enter(gate, rank)
            served[rank].append(number)
            assert loop.time() >= earliest - 1e-6
            await asyncio.sleep(chance.uniform(0, latency))
            seen.append(loop.time())
            gate.release(money=False)

        await asyncio.gather(*(send(number) for number in range(40)))
        assert told
        assert served == came
        assert _tightest(sorted(seen), count) >= 1 - 1e-6

    run(main())


@timeless
async def test_those_ahead_count_and_those_behind_do_not() -> None:
    """The estimate of a slot respects priority: queued bulk does not delay a payer."""
    gate = Limiter("toy", {"look-up": (1, 10.0)})
    await _enter(gate)
    gate.release(money=False)
    queue = [asyncio.create_task(_enter(gate, Priority.BULK)) for _ in range(5)]
    await asyncio.sleep(0)
    with pytest.raises(RateLimited) as caught:
        await _enter(gate, Priority.HINT, START + 30)
    assert caught.value.retry_after == pytest.approx(60)
    await _enter(gate, Priority.NOW, START + 10.1)
    assert now() == pytest.approx(10)
    for task in queue:
        task.cancel()
    await asyncio.gather(*queue, return_exceptions=True)


@timeless
async def test_money_ahead_counts_where_a_pace_is_shared() -> None:
    """The estimate of a look-up counts only the money that can really go ahead of it."""
    gate = Limiter("toy", {"money": (4, 600.0)})
    assert gate.try_acquire(money=True)
    assert _learned(gate).pace == pytest.approx(0.7)
    queue = [asyncio.create_task(_enter(gate, money=True)) for _ in range(10)]
    await asyncio.sleep(0)
    for rank in (Priority.NOW, Priority.HINT):
        with pytest.raises(RateLimited) as caught:
            await _enter(gate, rank, START + 1)
        assert caught.value.retry_after == pytest.approx(4 / 0.7)
    assert gate.free_at() == pytest.approx(START + 4 / 0.7)
    for task in queue:
        task.cancel()
    await asyncio.gather(*queue, return_exceptions=True)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10**6), learned=st.booleans())
def test_a_cancelled_request_leaks_nothing(seed: int, learned: bool) -> None:
    """Cancelled before, at and after the grant: no slot and no timer is left."""

    async def main() -> None:
        chance, gate = random.Random(seed), Limiter("toy", {"money": (2, 1.0), "look-up": (2, 1.0)})

        async def send() -> None:
            await asyncio.sleep(chance.randrange(8) / 4)
            rank = chance.choice(list(Priority))
            money = rank is Priority.MONEY
            await _enter(gate, rank, money=money)
            try:
                await asyncio.sleep(chance.choice([0.0, 0.25]))
            finally:
                gate.release(money=money)

        if learned:
            assert _learned(gate, chance.choice([None, 1.0])).pace == 0.5
        tasks = [asyncio.create_task(send()) for _ in range(30)]
        for task in chance.sample(tasks, 20):
            asyncio.get_running_loop().call_at(START + chance.randrange(24) / 4, task.cancel)
        await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 120)
        await asyncio.sleep(6)  # all that would have been cancelled is done
        assert gate.state().waiting == _timers() == 0
        assert [gate.try_acquire(money=False) for _ in range(3)] == [True, not learned, False]

    run(main())


@timeless
async def test_who_gives_up_leaves_nothing_behind() -> None:
    """The timer ends with the last waiter; deadlines of removed waiters are forgotten."""
    gate = Limiter("toy", ONE)
    await _enter(gate)
    gate.release(money=False)
    for number in range(1000):
        task = asyncio.create_task(_enter(gate, deadline=START + 1000 + number))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        assert gate.state().waiting == _timers() == 0
    assert len(vars(gate)["_deadlines"]._heap) < 100


@timeless
async def test_a_turn_that_is_not_taken_is_the_next_one_s() -> None:
    """A request cancelled in the step of its grant costs the next one nothing."""
    gate = Limiter("toy", {})
    assert gate.try_acquire(money=False)
    assert _learned(gate).pace == pytest.approx(0.7)
    tasks = [asyncio.create_task(_enter(gate)) for _ in range(2)]
    await asyncio.sleep(0)
    asyncio.get_running_loop().call_at(START + 1 / 0.7 + 1e-9, tasks[0].cancel)
    await asyncio.wait(tasks)
    assert tasks[0].cancelled()
    assert now() == pytest.approx(1 / 0.7)


@pytest.mark.parametrize("learned", [False, True])
@timeless
async def test_no_request_passes_the_queue_as_a_slot_becomes_free(learned: bool) -> None:
    """A request that arrives as a slot becomes free waits behind those that wait for it."""
    gate, slipped = Limiter("toy", {} if learned else ONE), list[bool]()
    loop, free = asyncio.get_running_loop(), 1 / 0.7 if learned else 1.0
    # Half a nanosecond before the limiter's timer: a clock that is a nanosecond late fires both in
    # one step.
    loop.call_at(START + free - 5e-10, lambda: slipped.append(gate.try_acquire(money=False)))
    await _enter(gate)
    gate.release(money=False)
    if learned:
        gate.on_throttled(None)
    await _enter(gate, Priority.BULK)
    assert now() == pytest.approx(free)
    assert slipped == [False]


@pytest.mark.usefixtures("uncollected")
def test_ten_thousand_who_leave_the_queue_cost_what_they_are() -> None:
    """Cancelling nearly all waiters takes time in proportion to their number."""

    def seconds(count: int) -> float:
        async def main() -> float:
            gate = Limiter("toy", ONE)
            await _enter(gate)
            gate.release(money=False)
            tasks = [asyncio.create_task(_enter(gate, deadline=START + 1e6)) for _ in range(count)]
            await asyncio.sleep(0)
            began = time.thread_time()
            for task in tasks[:-1]:
                task.cancel()
            await asyncio.wait(tasks)
            assert now() == pytest.approx(1)
            return time.thread_time() - began

        return run(main())

    least = [min(seconds(count) for _ in range(3)) for count in (1250, 10_000)]
    assert least[1] / least[0] < 8 * 3  # in proportion it is 8, by the square 64


@timeless
async def test_nothing_is_kept_where_nothing_limits() -> None:
    """With no stated limit and no refusal, requests pass, and leave no trace in memory."""
    gate = Limiter("toy", {})
    for _ in range(1000):
        assert gate.try_acquire(money=True)
        gate.release(money=True)
        gate.on_answer()
    assert gate.state() == Limits(stated={})
    assert (gate.free_slots(), gate.free_at()) == (MAX_IN_FLIGHT, asyncio.get_running_loop().time())
    windows = [vars(gate)[name] for name in ("_money_window", "_lookup_window")]
    assert [(window.in_flight, len(window.answered_at)) for window in windows] == [(0, 0), (0, 0)]


class Slow(Wire):
    """A provider that takes seconds; it counts requests in flight, by method."""

    def __init__(self, seconds: float) -> None:
        super().__init__(self._answer)
        self._seconds = seconds
        self._flying: Counter[str] = Counter()
        self.most: Counter[str] = Counter()

    async def exchange(self, outgoing: PreparedRequest) -> Response:
        outgoing.started = outgoing.sent = True
        self._flying[outgoing.method] += 1
        self.most[outgoing.method] = max(self.most[outgoing.method], self._flying[outgoing.method])
        try:
            await asyncio.sleep(self._seconds)
            return await super().exchange(outgoing)
        finally:
            self._flying[outgoing.method] -= 1

    def _answer(self, outgoing: PreparedRequest) -> Response:
        name = outgoing.url.rpartition("/")[2]
        return answer(
            id=name if outgoing.method == "GET" else f"{name}-{len(self.seen)}", status="WAIT"
        )


def _orders(pool: Pool, count: int, **more: Any) -> list[Coroutine[Any, Any, Payment]]:
    order: dict[str, Any] = {"amount": 500, "currency": "XAF", "payer": "237670000000", **more}
    return [
        pool.collect("keyless", reference=f"order-{number}", **order) for number in range(count)
    ]


@timeless
async def test_thousands_wait_for_a_hundred_slots() -> None:
    """Thousands of calls use at most 100 sockets for money and 100 for look-ups."""
    wire = Slow(1.0)
    async with Pool(Keyless(), connection=wire) as pool:
        looks = [pool.verify("keyless", f"p{number}") for number in range(250)]
        await asyncio.gather(*_orders(pool, 250), *looks)
        assert pool.limits("keyless") == Limits(stated={})
    assert wire.most == {"POST": MAX_IN_FLIGHT, "GET": MAX_IN_FLIGHT}
    assert now() == pytest.approx(3.0, abs=1e-6)


@timeless
async def test_who_waits_for_an_answer_takes_the_next_place_of_a_bulk() -> None:
    """While bulk has all slots, a verify waits for one slot, and not for the whole bulk."""
    async with Pool(Keyless(), connection=Slow(1.0)) as pool:
        many = pool.verify_many([("keyless", f"p{number}") for number in range(500)], at_once=500)
        bulk = asyncio.ensure_future(_all(many))
        await asyncio.sleep(0.5)
        await pool.verify("keyless", "urgent")
        assert now() == pytest.approx(2.0, abs=1e-6)
        assert await bulk == 500
        assert now() == pytest.approx(6.0, abs=1e-6)


async def _all(many: Bulk[Any]) -> int:
    return len([item async for item in many if item.payment])


@timeless
async def test_a_deadline_that_passes_in_the_crowd_sent_nothing() -> None:
    """Without a slot in time a collect is NotSent; with a slot and no answer it is unknown."""
    wire = Slow(10.0)
    async with Pool(Keyless(), connection=wire) as pool:
        found = await asyncio.gather(*_orders(pool, 150, deadline=5), return_exceptions=True)
    assert Counter(map(type, found)) == {OutcomeUnknown: MAX_IN_FLIGHT, NotSent: 50}
    assert now() == pytest.approx(5.0, abs=1e-6)


def test_what_a_dead_loop_had_in_flight_counts() -> None:
    """A loop that ended leaves its requests counted as sent; their late end changes nothing."""
    gate = Limiter("toy", {"look-up": (2, 60.0)})
    with virtual_loop() as loop:
        for _ in range(2):
            loop.run_until_complete(_enter(gate))

    async def main() -> None:
        with pytest.raises(RateLimited):
            await _enter(gate, deadline=START + 30)
        gate.release(money=False)
        assert gate.free_slots() == 0
        await asyncio.sleep(60.1)
        assert gate.free_slots() == 2

    run(main())


@timeless
async def test_a_refusal_slows_down_at_once() -> None:
    """After a refusal 0.7 of the measured rate is left, and requests are sent evenly."""
    gate, left = Limiter("toy", {}), list[float]()
    for _ in range(200):
        assert gate.try_acquire(money=False)
        gate.release(money=False)
        await asyncio.sleep(0.1)
    state = _learned(gate)
    assert state.pace == pytest.approx(7)
    assert state.closed_for == 0
    for _ in range(20):
        await _enter(gate)
        left.append(now())
        gate.release(money=False)
    assert [after - before for before, after in pairwise(left)] == pytest.approx([1 / 7] * 19)


@timeless
async def test_what_was_on_its_way_is_one_refusal() -> None:
    """A hundred refusals within a second reduce the rate once; a later one reduces it again."""
    gate = Limiter("toy", {})
    for _ in range(100):
        assert gate.try_acquire(money=False)
    for _ in range(100):
        gate.release(money=False)
        assert _learned(gate).pace == pytest.approx(70)
        await asyncio.sleep(0.005)
    await asyncio.sleep(1)
    assert _learned(gate).pace == 0.5


@timeless
async def test_a_slow_provider_s_refusals_are_counted_once_too() -> None:
    """With slow answers, refusals of requests sent before the reduction do not count again."""
    gate = Limiter("toy", {})
    for _ in range(100):
        assert gate.try_acquire(money=False)
        await asyncio.sleep(0.05)
    paces = set()
    for _ in range(100):
        paces.add(_learned(gate).pace)
        gate.release(money=False)
        await asyncio.sleep(0.04)
    assert len(paces) == 1


@pytest.mark.parametrize(
    ("asked", "closed"),
    [
        (None, 0),
        (0, 0),
        (-5, 0),
        (float("nan"), 0),
        (7, 7),
        (120, 120),
        (121, 120),
        (1e9, 120),
        (EVER, 120),
    ],
)
@timeless
async def test_retry_after_closes_the_account_within_bounds(
    asked: float | None, closed: float
) -> None:
    """Nothing is sent before a Retry-After, money included, for at most 120 s."""
    gate = Limiter("toy", {})
    assert gate.try_acquire(money=True)
    gate.release(money=True)
    assert _learned(gate, asked).closed_for == pytest.approx(closed)
    await asyncio.gather(_enter(gate), _enter(gate, money=True))
    pause = 1 / 0.7
    assert now() == pytest.approx(closed + pause if closed else 2 * pause, abs=0.06)


@timeless
async def test_a_later_retry_after_of_the_same_refusal_counts() -> None:
    """The account stays closed for the longest Retry-After; a shorter one does not open it."""
    gate = Limiter("toy", {})
    for asked, closed in ((3.0, 3.0), (5.0, 5.0), (1.0, 5.0), (None, 5.0)):
        assert _learned(gate, asked).closed_for == pytest.approx(closed)
    assert gate.free_slots() == 0
    assert gate.free_at() == pytest.approx(START + 5)
    with pytest.raises(RateLimited) as caught:
        await _enter(gate, deadline=START + 4)
    assert caught.value.retry_after == pytest.approx(5)
    await _enter(gate, deadline=START + 5.1)
    assert now() == pytest.approx(5)


@timeless
async def test_who_cannot_wait_that_long_is_told_when_the_account_closes() -> None:
    """A waiting request gets RateLimited as soon as a Retry-After exceeds its deadline."""
    gate, told = Limiter("toy", {"look-up": (1, 20.0)}), dict[float, float]()
    errors: list[RateLimited] = []
    await _enter(gate)
    gate.release(money=False)

    async def wait(deadline: float) -> None:
        try:
            await _enter(gate, deadline=START + deadline)
        except RateLimited as error:
            told[deadline] = now()
            errors.append(error)

    tasks = [asyncio.create_task(wait(deadline)) for deadline in (25, 50, 500, EVER)]
    await asyncio.sleep(10)
    assert told == {}
    gate.on_throttled(60)
    await asyncio.sleep(0)
    assert told == {25: pytest.approx(10), 50: pytest.approx(10)}
    assert [error.account for error in errors] == ["toy", "toy"]
    assert [error.retry_after for error in errors] == pytest.approx([60, 60])
    assert "nothing was sent" in str(errors[0])
    await asyncio.sleep(59)
    assert not tasks[2].done()
    await asyncio.sleep(5)
    assert tasks[2].done()
    gate.release(money=False)
    await asyncio.gather(*tasks)
    assert len(told) == 2


@timeless
async def test_an_account_recovers_slowly_and_forgets() -> None:
    """Without refusals the rate grows slowly, and is dropped in the end."""
    gate, paces = Limiter("toy", {}), list[float]()
    for _ in range(100):
        assert gate.try_acquire(money=False)
    for _ in range(100):
        gate.release(money=False)
    pace = _learned(gate).pace
    while pace is not None:
        paces.append(pace)
        await _enter(gate, deadline=EVER)
        await asyncio.sleep(0.1)
        gate.release(money=False)
        gate.on_answer()
        pace = gate.state().pace
        assert now() < 300
    assert 60 < now() < 120
    assert paces[0] == pytest.approx(70)
    assert 195 < paces[-1] < 200
    steps = [after - before for before, after in pairwise(paces)]
    assert 0 <= min(steps) <= max(steps) < 5 * 0.2
    assert all(gate.try_acquire(money=False) for _ in range(MAX_IN_FLIGHT))


async def _busy(gate: Limiter) -> None:
    """Send a hundred in a second, sixty of which are answered, and one refused."""
    for _ in range(100):
        assert gate.try_acquire(money=False)
    for _ in range(100):
        gate.release(money=False)
    for _ in range(60):
        gate.on_answer()
    assert _learned(gate).pace == pytest.approx(70)


@timeless
async def test_closed_time_tells_nothing_of_the_pace() -> None:
    """An account refused right after it opened slows down from its own rate."""
    gate = Limiter("toy", {})
    await _busy(gate)
    for pace in (42, 29.4):
        gate.on_throttled(30)
        await _enter(gate)
        gate.release(money=False)
        assert _learned(gate).pace == pytest.approx(pace)


@timeless
async def test_answers_while_closed_are_no_recovery() -> None:
    """Requests in flight when the account was closed do not speed it up."""
    gate = Limiter("toy", {})
    await _busy(gate)
    gate.on_throttled(60)
    await asyncio.sleep(30)
    gate.on_answer()
    assert gate.state().pace == pytest.approx(70)
    await asyncio.sleep(1000)
    gate.on_answer()
    assert gate.state().pace == pytest.approx(70 + 10 * 0.05 * 100)


@timeless
async def test_an_account_that_was_shut_comes_back_to_its_pace() -> None:
    """While everything was refused, nothing was learned: recovery uses the earlier rate."""
    gate = Limiter("toy", {})
    await _busy(gate)
    for _ in range(10):
        await asyncio.sleep(2)
        assert gate.try_acquire(money=False)
        gate.release(money=False)
        gate.on_throttled(None)
    assert gate.state().pace == 0.5
    for _ in range(10):
        await asyncio.sleep(1)
        gate.on_answer()
    assert 10 < (gate.state().pace or 0) < 42


def test_a_loop_that_is_a_little_late_makes_up_for_it() -> None:
    """Timers 30 ms late do not reduce the rate, and a burst has at most 50 ms worth of requests."""
    pace = AdaptiveRate()
    for _ in range(100):
        pace.on_sent(START)
    pace.on_refused(START, None, 0)
    began = pace.next_send_at()
    for _ in range(70):
        pace.on_sent(pace.next_send_at() + 0.03)
    assert pace.next_send_at() - began == pytest.approx(1, abs=0.05)
    assert pace.free_slots(START + 100) == 1 + int(0.05 * 70)


@timeless
async def test_a_learned_rate_is_kept_while_requests_wait_for_it() -> None:
    """A provider that recovers sees a growing rate, and never all waiting requests at once."""
    gate, seen = Limiter("toy", {}), list[int]()
    gate.on_throttled(None)

    async def send() -> None:
        await _enter(gate)
        seen.append(int(now()))
        await asyncio.sleep(0.1)
        gate.release(money=False)
        gate.on_answer()

    await asyncio.gather(*(send() for _ in range(2000)))
    a_second = [seen.count(second) for second in range(seen[-1] + 1)]
    assert max(after - before for before, after in pairwise(a_second)) < 25
    assert seen[-1] < 300


@timeless
async def test_room_tells_how_many_watches_may_look() -> None:
    """`room` and `free_at` agree with what `try_enter` then does, for stated and learned rates."""
    gate = Limiter("toy", {"look-up": (3, 10.0)})
    assert (gate.free_slots(), gate.free_at()) == (3, START)
    await _enter(gate)
    assert gate.free_slots() == 2
    gate.release(money=False)
    assert [gate.try_acquire(money=False) for _ in range(3)] == [True, True, False]
    assert gate.free_slots() == 0
    assert gate.free_at() == pytest.approx(START + 10)
    await asyncio.sleep(10)
    assert (gate.free_slots(), gate.try_acquire(money=False), gate.free_slots()) == (1, True, 0)
    for _ in range(3):
        gate.release(money=False)
    gate.on_throttled(15)
    assert gate.free_slots() == 0
    assert gate.free_at() == pytest.approx(START + 25)
    await asyncio.sleep(15)
    assert (gate.free_slots(), gate.try_acquire(money=False), gate.free_slots()) == (1, True, 0)
    assert START + 25.5 < gate.free_at() < START + 28


@timeless
async def test_bulk_that_takes_every_place_leaves_room_for_watches() -> None:
    """If only bulk waits, one second's worth of watches may enter, and goes ahead of it."""
    gate, order = Limiter("toy", {"look-up": (20, 10.0)}), list[Priority]()

    async def send(rank: Priority) -> None:
        await _enter(gate, rank)
        order.append(rank)
        gate.release(money=False)

    bulk = [asyncio.create_task(send(Priority.BULK)) for _ in range(50)]
    await asyncio.sleep(1)
    assert gate.free_slots() == 2
    watches = [asyncio.create_task(send(Priority.WATCH)) for _ in range(2)]
    await asyncio.sleep(0)
    assert gate.free_slots() == 0
    gate.on_throttled(2)
    for task in watches:
        task.cancel()
    await asyncio.wait(watches)
    assert gate.free_slots() == 0  # closed
    await asyncio.sleep(2)
    watches = [asyncio.create_task(send(Priority.WATCH)) for _ in range(2)]
    await asyncio.gather(*bulk, *watches)
    assert order[20:22] == [Priority.WATCH] * 2


def _jain(shares: list[int]) -> float:
    return sum(shares) ** 2 / (len(shares) * sum(share**2 for share in shares))


@timeless
async def test_equals_share_alike_and_tenants_not_at_all() -> None:
    """Equal callers of an account get equal shares; another account is unaffected."""
    gates, shares = {name: Limiter(name, ONE) for name in ("a", "b")}, dict[tuple[str, int], int]()

    async def client(name: str, number: int) -> None:
        gate = gates[name]
        while now() < 300:
            await _enter(gate)
            await asyncio.sleep(0.1)
            gate.release(money=False)
            shares[name, number] = shares.get((name, number), 0) + 1

    gates["a"].on_throttled(60)
    await asyncio.gather(*(client("a", number) for number in range(10)), client("b", 0))
    crowd = [shares["a", number] for number in range(10)]
    assert _jain(crowd) >= 0.95
    assert shares["b", 0] == 274  # one each 1.1 s, and the last one before the end
    assert sum(crowd) == 240 * 0.5 + 10  # a rate of 0.5 is left, and the last request of each
    assert gates["b"].state().pace is None


@pytest.mark.slow
@pytest.mark.parametrize("retry_after", [None, 1.0])
@pytest.mark.parametrize(
    ("rate", "way"),
    [(5, "sliding"), (50, "sliding"), (50, "fixed"), (50, "bucket"), (200, "sliding")],
)
def test_a_storm_of_refusals_ends(rate: int, way: str, retry_after: float | None) -> None:
    """500 callers without end: after 20 s under 2 % are refused, and 80 % is used."""
    provider = Strict(rate, way)
    run(storm(provider, retry_after=retry_after, seconds=60))
    refused, used = provider.share(CALM, 60)
    assert refused < REFUSED
    assert used >= USED


class Unlimited(Keyless, frozen=True, kw_only=True):
    """A toy whose provider states no limit."""

    name = "unlimited"


@timeless
async def test_a_pool_meets_a_storm_and_goes_on() -> None:
    """A provider that allows 20 look-ups per second answers 600 at once in 30 s or so."""
    strict = Strict(20)
    wire = Wire(
        lambda _: (
            answer(status="WAIT")
            if strict.allows(asyncio.get_running_loop().time())
            else answer(429, {"retry-after": "1"}, error="slow")
        ),
        before=0.05,
        after=0.05,
    )
    async with Pool(Unlimited(), connection=wire, deadline=120) as pool:
        outcomes = await asyncio.gather(
            *(pool.verify("unlimited", f"p{number}") for number in range(600)),
            return_exceptions=True,
        )
    assert not [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    assert now() < 600 / 20 / 0.8
    assert strict.share(10, now())[0] < 0.02


@timeless
async def test_a_refused_request_waits_once() -> None:
    """A Retry-After is waited for by the transport or by the limiter, not by both in turn."""
    wire = Wire(
        Desk(payments=[answer(429, {"retry-after": "7"}, error="slow"), answer(status="WAIT")])
    )
    async with Pool(Unlimited(), connection=wire) as pool:
        await pool.verify("unlimited", "p")
    assert now() == pytest.approx(7, abs=0.01)
