"""Ten thousand watches: one poll queue per account, its limit kept, and none starved."""

import asyncio
import contextlib
import gc
import random
import sys
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, ClassVar, Literal

import msgspec
import pytest

from paymux import (
    AuthenticationFailed,
    Mismatch,
    NotFound,
    Payment,
    Pool,
    Status,
    UsageError,
    Watch,
    WatchTimeout,
)
from paymux.http import PreparedRequest, Response, TransportError
from paymux.models import Event
from paymux.watch.keys import registry_keys
from paymux.watch.poll_queue import MAX_IN_FLIGHT, PollQueue
from paymux.watch.schedule import Schedule
from paymux.watch.ticket import Ticket

from .toys import Keyless, Loop, Wire, ago, answer, now, push, run, timeless, virtual_loop

STEP = 0.05  # seconds that no step of the loop may take


class Fifty(Keyless, frozen=True, kw_only=True):
    """A toy that accepts fifty look-ups a second."""

    name = "fifty"
    limits: ClassVar[dict[Literal["money", "look-up"], tuple[int, float]]] = {"look-up": (50, 1.0)}
    watch_timeout = 300.0


class Two(Keyless, frozen=True, kw_only=True):
    """A toy that accepts two look-ups a second."""

    name = "two"
    limits: ClassVar[dict[Literal["money", "look-up"], tuple[int, float]]] = {"look-up": (2, 1.0)}


@pytest.fixture
def steps(monkeypatch: pytest.MonkeyPatch, uncollected: None) -> list[float]:
    """Measure the cost of each step of the loop, in seconds of this thread."""
    longest = [0.0]
    plain = asyncio.Handle._run

    def timed(handle: asyncio.Handle) -> None:
        began = time.thread_time()
        plain(handle)
        longest[0] = max(longest[0], time.thread_time() - began)

    monkeypatch.setattr(asyncio.Handle, "_run", timed)
    return longest


def held(number: int, account: str = "keyless", **fields: Any) -> Payment:
    """Return a payment to watch."""
    return Payment(
        account=account, provider_reference=f"p{number}", reference=f"order-{number}", **fields
    )


def asked(outgoing: PreparedRequest) -> str:
    """Return the payment that a request is about."""
    return outgoing.url.rpartition("/")[2]


def pending(outgoing: PreparedRequest) -> Response:
    """Answer of any payment that it is pending."""
    return answer(id=asked(outgoing), status="WAIT")


class Provider(Wire):
    """A wire that records its requests and their times; with `faulty`, three in ten fail."""

    def __init__(
        self, paid_at: Callable[[str], float], *, failing: float = 0.0, seed: int = 1
    ) -> None:
        super().__init__(self._respond_to)
        self._paid_at, self._failing, self._chance = paid_at, failing, random.Random(seed)
        self.times: list[float] = []
        self.looks: Counter[str] = Counter()
        self.flying = self.most = 0

    async def exchange(self, outgoing: PreparedRequest) -> Response:
        """Carry one request, without keeping it."""
        outgoing.started = outgoing.sent = True
        self.times.append(now())
        self.looks[asked(outgoing)] += 1
        self.flying += 1
        self.most = max(self.most, self.flying)
        try:
            await asyncio.sleep(self._chance.uniform(0.02, 0.3))
            return self._respond_to(outgoing)
        finally:
            self.flying -= 1

    def _respond_to(self, outgoing: PreparedRequest) -> Response:
        id = asked(outgoing)
        if self._chance.random() < self._failing:
            if self._chance.random() < 0.3:
                raise TransportError("reset")
            return self._chance.choice([answer(500), answer(503), Response(status=200)])
        word = (
            "OK" if now() >= self._paid_at(id) else self._chance.choice(["WAIT", "WAIT", "ASKED"])
        )
        return answer(id=id, status=word)

    def busiest(self, seconds: float = 1.0) -> int:
        """Return the most requests in any window of `seconds` seconds."""
        times, first, most = sorted(self.times), 0, 0
        for last, when in enumerate(times):
            while times[first] <= when - seconds:
                first += 1
            most = max(most, last - first + 1)
        return most


class Forgetful(Wire):
    """A wire that records nothing."""

    async def exchange(self, outgoing: PreparedRequest) -> Response:
        """Answer at once."""
        outgoing.started = outgoing.sent = True
        return pending(outgoing)


async def ends(watch: Watch) -> tuple[int, Status | type[Exception], float]:
    """Return how many ends a watch yielded, which, and when."""
    seen: list[Status] = []
    try:
        seen += [payment.status async for payment in watch if payment.status.terminal]
    except WatchTimeout:
        return len(seen) + 1, WatchTimeout, now()
    return len(seen), seen[-1], now()


@pytest.mark.slow
def test_two_thousand_watches_keep_the_limit_and_each_ends_once(
    steps: list[float],
) -> None:
    """2,000 watches share 50 look-ups a second, 30 % failing, with changing statuses and messages.

    The limit holds in every window, each watch yields one end, equal watches poll equally often.
    """
    chance = random.Random(5)
    paid = {f"p{n}": chance.uniform(0, 500) for n in range(1000)}  # the other half never pays
    provider = Provider(lambda about: paid.get(about, 10_000.0), failing=0.3)

    async def main() -> list[tuple[int, Status | type[Exception], float]]:
        async with Pool(Fifty(), connection=provider, attempts=1) as pool:
            payments = [held(n, "fifty", created_at=ago(0)) for n in range(2000)]
            watching = [asyncio.ensure_future(ends(pool.watch(payment))) for payment in payments]
            for id in range(0, 600, 2):
                await asyncio.sleep(0.3)
                if paid[f"p{id}"] < now():
                    with contextlib.suppress(Exception):
                        await pool.confirm(
                            pool.webhook(push(id=f"p{id}"), account="fifty"), deadline=2
                        )
            assert pool.lag("fifty") > 1
            found = await asyncio.gather(*watching)
            assert pool.lag("fifty") == 0
            assert pool._engine.watch_registry._by_key == {}
            return found

    found = run(main())
    assert provider.busiest() <= 50
    assert [count for count, _, _ in found] == [1] * 2000
    assert all(end is WatchTimeout for _, end, _ in found[1000:])
    assert sum(end is Status.SUCCEEDED for _, end, _ in found[:1000]) > 500
    assert max(when for _, _, when in found) < 300 + 5 + 1
    equals = [provider.looks[f"p{n}"] for n in range(1000, 2000)]
    assert max(equals) <= 2 * min(equals)
    assert len(provider.times) > 0.8 * 50 * 300  # and none of the allowance was wasted
    assert steps[0] < STEP


@pytest.mark.parametrize("how", ["break", "cancel", "wait_for", "aclose"])
@timeless
async def test_a_watch_among_many_is_left_without_a_trace(how: str) -> None:
    """A break, a cancellation or a time-out around a step leaves no task; the watch can go on."""
    provider = Provider(lambda _: 60.0)
    async with Pool(Two(), connection=provider) as pool:
        others = [asyncio.ensure_future(ends(pool.watch(held(n, "two")))) for n in range(10)]
        watch = pool.watch(held(99, "two"))
        await anext(watch)
        for _ in range(20):
            if how == "break":
                async for _ in watch:
                    break
            elif how == "wait_for":
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(anext(watch), 0.7)
            else:
                step = asyncio.ensure_future(anext(watch))
                await asyncio.sleep(0.7)
                step.cancel()
                await asyncio.gather(step, return_exceptions=True)
        assert len(asyncio.all_tasks()) == 1 + sum(not other.done() for other in others)
        if how == "aclose":
            await watch.aclose()
            assert [payment async for payment in watch] == []
        else:
            assert (await watch).status is Status.SUCCEEDED
        assert {end for _, end, _ in await asyncio.gather(*others)} == {Status.SUCCEEDED}
    assert asyncio.all_tasks() == {asyncio.current_task()}


@timeless
async def test_watches_of_one_payment_cost_one_poll() -> None:
    """A hundred watches of one payment poll as often as one, and all see the end."""
    alone = Provider(lambda _: 40.0)
    async with Pool(Keyless(), connection=alone) as pool:
        await pool.watch(held(1))
    provider = Provider(lambda _: 40.0 + now_at_start)
    async with Pool(Keyless(), connection=provider) as pool:
        now_at_start = now()
        watching = [asyncio.ensure_future(ends(pool.watch(held(1)))) for _ in range(50)]
        await asyncio.sleep(5)
        watching += [asyncio.ensure_future(ends(pool.watch(held(1)))) for _ in range(50)]
        found = await asyncio.gather(*watching)
    assert {(count, end) for count, end, _ in found} == {(1, Status.SUCCEEDED)}
    assert max(when for _, _, when in found) - min(when for _, _, when in found) < 0.01
    assert len(provider.times) <= len(alone.times) + 3


@timeless
async def test_watches_that_begin_one_by_one_cost_a_poll_a_second() -> None:
    """A new watch of a payment that was polled just now does not poll again at once."""
    provider = Provider(lambda _: 1000.0)
    async with Pool(Keyless(), connection=provider) as pool:
        watching = []
        for _ in range(300):
            watching.append(asyncio.ensure_future(ends(pool.watch(held(1), timeout=4))))
            await asyncio.sleep(0.01)
        assert len(provider.times) <= 4
        await asyncio.gather(*watching)


@pytest.mark.parametrize(
    ("reply", "error"),
    [(answer(401, error="stale"), AuthenticationFailed), (answer(id="p9", status="OK"), Mismatch)],
)
@timeless
async def test_an_error_that_ends_one_ends_all_each_with_its_own(
    reply: Response, error: type[Exception]
) -> None:
    """A final error ends every watch of that payment after one look-up; each gets its own copy."""
    wire = Wire(lambda _: reply)
    async with Pool(Keyless(), connection=wire) as pool:
        found = await asyncio.gather(
            *(pool.watch(held(1)) for _ in range(10)), return_exceptions=True
        )
    assert {type(one) for one in found} == {error}
    assert len({id(one) for one in found}) == 10
    assert len(wire.seen) == 1


@timeless
async def test_not_found_ends_each_watch_by_its_own_payments_age() -> None:
    """A shared "not found" ends the watch of an old payment, and not one of unknown age."""
    wire = Wire(lambda _: answer(404))
    async with Pool(Keyless(), connection=wire) as pool:
        old, unknown = await asyncio.gather(
            pool.watch(held(1, created_at=ago(1000)), timeout=30),
            pool.watch(held(1), timeout=30),
            return_exceptions=True,
        )
    assert isinstance(old, NotFound)
    assert isinstance(unknown, WatchTimeout)


@timeless
async def test_what_contradicts_one_watch_does_not_end_another() -> None:
    """Two watches expect different amounts of one payment: one gets Mismatch, the other goes on."""
    wire = Wire(
        lambda _: answer(
            id="p1", amount="500", currency="XAF", status="OK" if now() > 20 else "WAIT"
        )
    )
    async with Pool(Keyless(), connection=wire) as pool:
        for first, second in ((500, 5), (5, 500)):
            expected = [
                held(1, amount=Decimal(amount), currency="XAF") for amount in (first, second)
            ]
            found = await asyncio.gather(*map(pool.watch, expected), return_exceptions=True)
            right, wrong = found if first == 500 else found[::-1]
            assert isinstance(right, Payment)
            assert isinstance(wrong, Mismatch)


@timeless
async def test_a_watch_that_expects_less_shares_what_another_is_told() -> None:
    """A Mismatch of one watch's amount does not reach a watch without an amount."""
    wire = Wire(lambda _: answer(id="p1", amount="5", currency="XAF", status="OK"))
    async with Pool(Keyless(), connection=wire) as pool:
        expected = [held(1, amount=Decimal(500), currency="XAF"), held(1)]
        wrong, right = await asyncio.gather(*map(pool.watch, expected), return_exceptions=True)
    assert isinstance(wrong, Mismatch)
    assert isinstance(right, Payment)
    assert right.amount == 5
    assert len(wire.seen) == 1


@timeless
async def test_two_pieces_of_news_in_one_step_are_both_seen() -> None:
    """A look-up may be interrupted twice at once: no caller that does so gets an error."""
    async with Pool(Keyless(), connection=Wire(pending, after=20.0)) as pool:
        watching = asyncio.ensure_future(ends(pool.watch(held(1))))
        await asyncio.sleep(1)
        for word in ("ASKED", "OK"):
            status = Status.SUCCEEDED if word == "OK" else Status.PENDING
            pool._engine.watch_registry.deliver(held(1, status=status, provider_status=word))
            await asyncio.sleep(0)
        assert (await watching)[:2] == (1, Status.SUCCEEDED)
        assert now() < 1.1


@timeless
async def test_closing_a_watch_ends_the_step_that_another_task_awaits() -> None:
    """`aclose` from another task ends a waiting watch at once, in a pause or in a look-up."""
    for after in (0.0, 30.0):
        async with Pool(Keyless(), connection=Wire(pending, after=after)) as pool:
            watch = pool.watch(held(1))
            waiting = asyncio.ensure_future(_all(watch))
            await asyncio.sleep(1)
            began = now()
            await watch.aclose()
            assert [payment.provider_status for payment in await waiting] == [None] + ["WAIT"] * (
                not after
            )
            assert now() - began < 0.1


async def _all(watch: Watch) -> list[Payment]:
    return [payment async for payment in watch]


@timeless
async def test_another_takes_over_at_once_from_who_is_cancelled_while_asking() -> None:
    """If the watch that polls for all is cancelled, another one polls at the same moment."""
    wire = Wire(pending, after=10.0)
    async with Pool(Keyless(), connection=wire) as pool:
        watching = [asyncio.ensure_future(ends(pool.watch(held(1)))) for _ in range(5)]
        await asyncio.sleep(1)
        for cancelled in range(3):
            asking = [task for task in watching if "exchange" in _where(task)]
            assert len(asking) == 1
            assert len(wire.seen) == 1 + cancelled
            asking[0].cancel()
            watching.remove(asking[0])
            await asyncio.sleep(0.01)
        assert len(wire.seen) == 4
        for task in watching:
            task.cancel()
        await asyncio.gather(*watching, return_exceptions=True)


@timeless
async def test_a_watch_that_takes_over_does_not_wait() -> None:
    """A watch that would poll later polls now, if the one that polled for both was interrupted."""
    wire = Wire(pending, after=10.0)
    async with Pool(Keyless(), connection=wire) as pool:
        young = asyncio.ensure_future(ends(pool.watch(held(1, created_at=ago(0)))))
        resumed = asyncio.ensure_future(ends(pool.watch(held(1))))
        await asyncio.sleep(1)
        assert len(wire.seen) == 1
        resumed.cancel()
        await asyncio.sleep(0.01)
        assert len(wire.seen) == 2
        young.cancel()
        await asyncio.gather(young, resumed, return_exceptions=True)


def _where(task: "asyncio.Task[Any]") -> list[str]:
    """List the names of the coroutines that a task is inside of."""
    return [frame.f_code.co_name for frame in _frames(task)]


@timeless
async def test_a_poll_granted_to_a_cancelled_watch_goes_to_the_next() -> None:
    """A poll granted in the step of a cancellation is not lost, for this or other payments."""
    provider = Provider(lambda _: 1000.0)
    async with Pool(Two(), connection=provider) as pool:
        line = pool._engine.watch_registry.queue(pool._engine.driver("two"))
        watching = [
            asyncio.ensure_future(ends(pool.watch(held(n % 7, "two"), timeout=60)))
            for n in range(21)
        ]
        give = PollQueue._grant
        lost: list[asyncio.Task[Any]] = []

        def cancelling(self: PollQueue, place: Ticket, when: float) -> bool:
            given = give(self, place, when)
            if given and len(lost) < 10:
                task = next(one for one in watching if not one.done() and _waits_for(one) is place)
                task.cancel()
                lost.append(task)
            return given

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(PollQueue, "_grant", cancelling)
            found = await asyncio.gather(*watching, return_exceptions=True)
        assert sum(isinstance(one, asyncio.CancelledError) for one in found) == len(lost) == 10
        assert line._in_flight == line.waiting == line._due == 0
        assert line._duplicates == {}
        assert len(provider.times) > 2 * 40


@timeless
async def test_a_watch_is_found_by_each_name_that_its_payment_has_and_by_no_other() -> None:
    """A new id finds the watch from then on, as do the old ones; a replaced id does not."""
    async with Pool(Keyless(), connection=Provider(lambda _: 1000.0)) as pool:
        watches, known, named = pool._engine.watch_registry, held(1), held(1, ids={"code": "C1"})
        watch = pool.watch(known)
        assert len(registry_keys(named)) == 3
        for before, after in ((known, named), (named, known)):
            watch.payment = after
            watches.update_keys(watch, before)
            for key in registry_keys(named):
                assert watches._under([key]) == [watch] * (key in registry_keys(after))
        await watch.aclose()
        assert not watches._under(registry_keys(named))
        assert watches._by_key == {}


def _waits_for(task: "asyncio.Task[Any]") -> object:
    return next(
        (
            frame.f_locals["self"]._ticket
            for frame in _frames(task)
            if frame.f_code.co_name == "_go"
        ),
        None,
    )


def _frames(task: "asyncio.Task[Any]") -> Iterator[Any]:
    """Return the frames that a task is inside of, down to what it waits for."""
    inner: Any = task.get_coro()
    while inner is not None:
        if hasattr(inner, "cr_frame"):
            yield inner.cr_frame
            inner = inner.cr_await
        else:  # the iterator of an `await watch` shows nothing of its own, but what it refers to
            inner = next((one for one in gc.get_referents(inner) if hasattr(one, "cr_frame")), None)


@timeless
async def test_where_nothing_is_stated_fifty_ask_at_once_and_no_more() -> None:
    """An account without a stated limit has at most fifty look-ups in flight, and uses them."""
    provider = Provider(lambda _: 10.0)
    async with Pool(Keyless(), connection=provider) as pool:
        await asyncio.gather(*(pool.watch(held(n), timeout=600) for n in range(300)))
    assert provider.most == MAX_IN_FLIGHT


@timeless
async def test_the_young_go_first_and_the_old_are_not_starved() -> None:
    """Under load, new payments are polled on time, and old ones are polled all the same."""
    asked_at: dict[str, list[float]] = {}

    def respond(outgoing: PreparedRequest) -> Response:
        asked_at.setdefault(asked(outgoing), []).append(now())
        return pending(outgoing)

    async with Pool(Two(), connection=Wire(respond)) as pool:
        watching = [
            asyncio.ensure_future(
                ends(pool.watch(held(n, "two", created_at=ago(100_000)), timeout=600))
            )
            for n in range(200)
        ]
        await asyncio.sleep(10)
        assert pool.lag("two") == pytest.approx(10, abs=1)
        waited: list[float] = []
        for n in range(1000, 1020):
            began = now()
            young = asyncio.ensure_future(
                ends(pool.watch(held(n, "two", created_at=ago(0)), timeout=40))
            )
            await asyncio.sleep(20)
            await young
            waited.append(asked_at[f"p{n}"][0] - began)
        await asyncio.gather(*watching)
    assert max(waited) < 30
    assert min(len(asked_at[f"p{n}"]) for n in range(200)) >= 3


@timeless
async def test_a_retry_after_keeps_the_whole_account_waiting() -> None:
    """One throttled look-up pauses every watch of its account, and none of another account."""
    refused: list[float] = []
    times: dict[str, list[float]] = {"keyless": [], "two": []}

    def respond(outgoing: PreparedRequest) -> Response:
        account = "two" if asked(outgoing) > "p5" else "keyless"
        times[account].append(now())
        if account == "keyless" and now() > 20 and not refused:
            refused.append(now())
            return answer(429, {"retry-after": "40"}, error="slow")
        return pending(outgoing)

    async with Pool(Keyless(), Two(), connection=Wire(respond), attempts=1) as pool:
        watching = [
            pool.watch(held(n, "keyless" if n < 5 else "two"), timeout=100)
            for n in (1, 2, 3, 4, 6, 7)
        ]
        await asyncio.gather(*watching, return_exceptions=True)
    quiet = [when for when in times["keyless"] if refused[0] < when]
    assert min(quiet) >= refused[0] + 40
    assert any(refused[0] < when < refused[0] + 40 for when in times["two"])
    assert len(quiet) >= 4


@timeless
async def test_a_last_look_that_finds_no_turn_ends_all_the_same() -> None:
    """A thousand watches that time out together end at most five seconds late."""
    async with Pool(Two(), connection=Wire(pending)) as pool:
        found = await asyncio.gather(
            *(ends(pool.watch(held(n, "two"), timeout=30)) for n in range(1000))
        )
    assert {(count, end) for count, end, _ in found} == {(1, WatchTimeout)}
    assert max(when for _, _, when in found) <= 30 + 5 + 0.1
    assert min(when for _, _, when in found) >= 30


@timeless
async def test_an_account_has_one_timer_however_many_watch() -> None:
    """A thousand waiting watches have one timer of the loop, and none once they are gone."""
    async with Pool(Keyless(), connection=Wire(pending)) as pool:
        watching = [
            asyncio.ensure_future(ends(pool.watch(held(n), timeout=600))) for n in range(1000)
        ]
        await asyncio.sleep(1.5)
        assert len([timer for timer in _timers() if not timer.cancelled()]) == 1
        for task in watching:
            task.cancel()
        await asyncio.gather(*watching, return_exceptions=True)
        assert [timer for timer in _timers() if not timer.cancelled()] == []
        assert pool.lag("keyless") == 0


def _timers() -> list[asyncio.TimerHandle]:
    loop = asyncio.get_running_loop()
    assert isinstance(loop, Loop)
    timers: list[asyncio.TimerHandle] = vars(loop)["_scheduled"]
    return timers


@timeless
async def test_what_is_over_is_dropped_from_the_line() -> None:
    """Ten thousand updates, cancellations and new starts leave no growing heap."""
    async with Pool(Keyless(), connection=Wire(pending)) as pool:
        line = pool._engine.watch_registry.queue(pool._engine.driver("keyless"))
        watches = [pool.watch(held(n), timeout=86_400) for n in range(20)]
        waiting = asyncio.ensure_future(ends(pool.watch(held(99), timeout=86_400)))
        for watch in watches:
            await anext(watch)
        for _ in range(500):
            steps = (asyncio.wait_for(anext(watch), 0.01) for watch in watches)
            await asyncio.gather(*steps, return_exceptions=True)
            assert len(line._calendar) + len(line._ready) < 400
        for watch in watches:
            await watch.aclose()
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)


@pytest.mark.slow
@timeless
async def test_a_hint_about_nothing_in_particular_reaches_thousands(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A message that names no payment makes only its account's watches poll."""
    monkeypatch.setattr(Schedule, "next", lambda self, age, looked: age + 200.0)
    provider = Provider(lambda _: 1000.0)
    async with Pool(Fifty(), Keyless(), connection=provider) as pool:
        payments = [
            held(n, "fifty" if n < 2500 else "keyless", created_at=ago(0)) for n in range(2510)
        ]
        watching = [
            asyncio.ensure_future(ends(pool.watch(payment, timeout=150))) for payment in payments
        ]
        await asyncio.sleep(1)
        pool._engine.watch_registry.on_push(Event(account="fifty", claims=Payment(account="fifty")))
        await asyncio.sleep(60)
        assert set(provider.looks) == {f"p{n}" for n in range(2500)}
        assert set(provider.looks.values()) == {1}
        assert provider.busiest() <= 50
        for task in watching:
            task.cancel()
        await asyncio.gather(*watching, return_exceptions=True)


def test_telling_nudging_and_closing_thousands_takes_no_long_step(
    steps: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hint to 10,000 watches, an end for 9,000, a closed pool: each step is short."""
    monkeypatch.setattr(Schedule, "next", lambda self, age, looked: age + 1000.0)

    async def main() -> None:
        pool = Pool(Keyless(), connection=Wire(pending))
        watches, loop = pool._engine.watch_registry, asyncio.get_running_loop()
        payments = [held(n, created_at=ago(0), ids={"code": f"c{n}"}) for n in range(1, 1001)]
        one = held(0, created_at=ago(0))
        watching = [
            asyncio.ensure_future(ends(pool.watch(payment, timeout=None))) for payment in payments
        ]
        watching += [
            asyncio.ensure_future(ends(pool.watch(one, timeout=None))) for _ in range(9000)
        ]
        await asyncio.sleep(1)
        steps[0] = 0.0
        watches.on_push(Event(account="keyless", claims=Payment(account="keyless")))
        await asyncio.sleep(1)
        loop.call_soon(watches.deliver, msgspec.structs.replace(one, status=Status.SUCCEEDED))
        await asyncio.sleep(1)
        assert sum(task.done() for task in watching) == 9000
        loop.call_soon(watches.close)
        await asyncio.sleep(1)
        found = await asyncio.gather(*watching, return_exceptions=True)
        assert sum(isinstance(end, UsageError) for end in found) == 1000
        await pool.aclose()

    run(main())
    assert steps[0] < STEP


def test_watches_go_on_in_the_next_loop() -> None:
    """A watch interrupted in one loop goes on in the next."""
    provider = Provider(lambda _: 5.0)
    pool = Pool(Keyless(), connection=provider)
    watch = pool.watch(held(1))

    async def begin() -> None:
        await anext(watch)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(anext(watch), 1)

    async def end() -> Payment:
        async with pool:
            return await watch

    run(begin())
    left = pool.watch(held(2))
    with virtual_loop() as loop:
        task = loop.create_task(ends(left))
        loop.run_until_complete(_a_while())
    assert run(end()).status is Status.SUCCEEDED
    del task, left
    gc.collect()
    assert pool._engine.watch_registry._by_key == {}


async def _a_while() -> None:
    await asyncio.sleep(1)


@pytest.mark.slow
def test_a_watch_that_waits_costs_three_kibibytes() -> None:
    """A watch with payment and consumer task costs at most 3 KiB, without its last raw answer."""

    async def main() -> float:
        async with Pool(Keyless(), connection=Forgetful(pending)) as pool:
            fields: dict[str, Any] = {
                "kind": "collect",
                "live": False,
                "currency": "XAF",
                "operator": "MTN",
                "prompt": "*126#",
            }

            async def consumer(n: int) -> Payment:
                when = datetime.now(UTC)
                payment = held(
                    10**6 + n, amount=Decimal(500), payer=f"237{n:09d}", created_at=when, **fields
                )
                return await pool.watch(payment, timeout=3600)

            watching = [asyncio.ensure_future(consumer(n)) for n in range(10)]
            await asyncio.sleep(30)
            for n in range(10, 510):  # kept for each payment, watched or not
                pool._engine.store.memory.apply(held(10**6 + n))
            gc.collect()
            tracemalloc.start()
            before = tracemalloc.get_traced_memory()[0]
            added = [asyncio.ensure_future(consumer(n)) for n in range(10, 510)]
            await asyncio.sleep(30)
            gc.collect()
            taken = tracemalloc.get_traced_memory()[0] - before
            tracemalloc.stop()
            raw = sum(
                sys.getsizeof(watch.payment.raw)
                for watch in gc.get_objects()
                if type(watch) is Watch
            )
            watching += added
            for task in watching:
                task.cancel()
            await asyncio.gather(*watching, return_exceptions=True)
            return (taken - raw * len(added) / len(watching)) / len(added)

    assert run(main()) < 3072
