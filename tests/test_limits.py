"""Rate limits: exact at the receiving end, fair, and never a reason to hang."""

import asyncio
import random
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from paymux import NotSent, Pool, RateLimited
from paymux.limits import Limit
from paymux.wire import Outgoing, Reply

from .virtual import START, Desk, Narrow, Wire, answer, now, run, timeless


async def _arrivals(limit: Limit, count: int, seed: int, latency: float, over: float) -> list[float]:
    """Send so many requests at random moments, and give the times at which the far end saw them."""
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
    """Give the shortest time that ever held one request more than the limit."""
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
    """Whatever the latencies, no window at the provider's end holds more requests than it allows."""
    seen = run(_arrivals(Limit("toy", count, seconds), 60, seed, latency, over))
    assert len(seen) == 60
    assert _tightest(seen, count) >= seconds - 1e-6


def test_ten_thousand_arrivals_keep_the_limit() -> None:
    """10,000 requests with random latencies: no window too full, and none of the allowance wasted."""
    seen = run(_arrivals(Limit("toy", 100, 1.0), 10_000, 7, 0.05, 0.0))
    assert _tightest(seen, 100) >= 1.0 - 1e-6
    assert seen[-1] - START < 100 * 1.1 + 1


@timeless
async def test_first_come_is_first_served() -> None:
    """Requests leave in the order in which they came."""
    limit, order = Limit("toy", 2, 1.0), []

    async def send(number: int) -> None:
        await limit.enter(float("inf"))
        order.append(number)
        limit.leave()

    await asyncio.gather(*(send(number) for number in range(20)))
    assert order == list(range(20))


@timeless
async def test_a_place_within_the_deadline_is_waited_for() -> None:
    """A request waits for its place exactly as long as it must."""
    limit = Limit("toy", 1, 10.0)
    await limit.enter(START + 1)
    limit.leave()
    await limit.enter(START + 11)
    assert now() == pytest.approx(10.0, abs=1e-6)


@timeless
async def test_no_place_before_the_deadline_is_refused_at_once() -> None:
    """Where no place can come in time, RateLimited comes now, with the seconds to wait."""
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
    """While every place is in flight, none is free before a whole window: a shorter deadline is refused now."""
    limit = Limit("toy", 1, 60.0)
    await limit.enter(START + 30)
    began = now()
    with pytest.raises(RateLimited):
        async with asyncio.timeout(30):
            await limit.enter(START + 30)
    assert now() == began


@timeless
async def test_the_queue_ahead_counts() -> None:
    """A request behind others is refused at once if their places leave none for it in time."""
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
async def test_a_cancelled_waiter_gives_up_its_place_and_nobody_elses() -> None:
    """Cancelling waiters moves the others up; no place is lost and none is made."""
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
    """A place granted to somebody who was cancelled in the same step goes to the next."""
    limit = Limit("toy", 1, 1.0)
    await limit.enter(float("inf"))
    limit.leave()
    first = asyncio.create_task(limit.enter(float("inf")))
    second = asyncio.create_task(limit.enter(float("inf")))
    await asyncio.sleep(0)
    loop = asyncio.get_running_loop()
    # This timer was set after the limit's own, for the same moment: the place is granted, and then not wanted.
    loop.call_at(START + 1.0 + 1e-9, first.cancel)
    await asyncio.wait([first, second], timeout=5)
    assert first.cancelled()
    assert second.done()
    assert not second.cancelled()
    assert now() < 6


@timeless
async def test_a_waiter_cancelled_just_before_it_is_served_is_cancelled() -> None:
    """A cancellation in the very step in which a place comes free is still a cancellation, and nothing else."""
    limit = Limit("toy", 1, 1.0)
    loop = asyncio.get_running_loop()
    waiting: list[asyncio.Task[None]] = []

    def cancel_first() -> None:
        waiting[0].cancel()

    # This timer was set before the limit's own, for the same moment.
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
    """A verb whose deadline is the very moment of its place ends served or NotSent, never as a ValueError."""
    wire = Wire(Desk(collect=answer(status="WAIT")))
    async with Pool(Narrow(), connection=wire) as pool:
        for number in range(2):
            await pool.collect("narrow", amount=5, currency="XAF", reference=f"r{number}")
        began = now()
        held = [
            asyncio.create_task(
                pool.collect("narrow", amount=5, currency="XAF", reference=f"late{number}", deadline=10.0 - began)
            )
            for number in range(2)
        ]
        for outcome in await asyncio.gather(*held, return_exceptions=True):
            assert not isinstance(outcome, ValueError)
            assert isinstance(outcome, NotSent | RateLimited) or not isinstance(outcome, BaseException)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(seed=st.integers(0, 10**6), count=st.integers(1, 3))
def test_cancellation_at_any_moment_loses_no_place(seed: int, count: int) -> None:
    """Bursts and cancellations on the same ticks: everybody left is served in time, the limit holds throughout."""

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
            assert outcome is None or (task in unwanted and isinstance(outcome, asyncio.CancelledError))
        assert _tightest(seen, count) >= 1.0 - 1e-6

    run(main())


def test_loops_in_turn_keep_the_window_and_not_the_queue() -> None:
    """A limit used from a second loop starts with an empty queue, and still refuses a window too full."""
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
    """Money and look-ups are counted apart, and so are accounts; what does not fit was never sent."""
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
    """Thirty look-ups at once leave three per ten seconds, as the provider sees it, retries included."""
    seen: list[float] = []

    def respond(_: Outgoing) -> Reply:
        seen.append(asyncio.get_running_loop().time())
        return answer(500) if len(seen) % 4 == 0 else answer(status="WAIT")

    wire = Wire(respond, before=0.2, after=0.3)
    async with Pool(Narrow(), connection=wire, deadline=600) as pool:
        await asyncio.gather(*(pool.verify("narrow", "p") for _ in range(30)))
    assert len(seen) > 30
    assert min(after - before for before, after in pairwise(seen[::3])) >= 10 - 1e-6
    assert _tightest(sorted(seen), 3) >= 10 - 1e-6
