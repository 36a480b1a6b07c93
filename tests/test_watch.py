"""Watching: the known state, each change, one end; and nothing is left behind after any break."""

import asyncio
import contextlib
import gc
import warnings
from collections.abc import AsyncGenerator, Callable
from decimal import Decimal
from itertools import pairwise
from typing import Any

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
from paymux.models import Kind
from paymux.watch.schedule import Schedule

from .toys import (
    BASE,
    KEY,
    Desk,
    Findable,
    Keyless,
    Said,
    Wire,
    ago,
    answer,
    now,
    push,
    run,
    timeless,
)

WAIT = answer(id="p1", status="WAIT")
ASKED = answer(id="p1", status="ASKED")
DONE = answer(id="p1", status="OK")
HELD = Payment(account="keyless", provider_reference="p1", reference="order-1")


def _wire(*replies: Response | Exception) -> Wire:
    return Wire(Desk(payments=list(replies), find=list(replies)))


async def _seen(watch: Watch) -> list[tuple[Status, str | None]]:
    return [(payment.status, payment.provider_status) async for payment in watch]


def test_a_watch_is_a_class_and_not_a_generator() -> None:
    """A Watch is awaitable and iterable, and not an async generator that a time-out ends."""

    async def main() -> None:
        async with Pool(Keyless(), connection=_wire(DONE)) as pool:
            watch = pool.watch(HELD)
            assert isinstance(watch, Watch)
            assert not isinstance(watch, AsyncGenerator)
            assert aiter(watch) is watch
            assert (await watch).status is Status.SUCCEEDED

    run(main())


@timeless
async def test_what_is_held_comes_first_then_each_change_then_one_end() -> None:
    """Iterating yields the known state at once, each change of a status, and one terminal state."""
    wire = _wire(WAIT, WAIT, ASKED, ASKED, WAIT, DONE)
    async with Pool(Keyless(), connection=wire) as pool:
        watch = pool.watch(HELD)
        began = now()
        assert (await anext(watch)) == HELD
        assert now() == began
        assert wire.seen == []
        assert await _seen(watch) == [
            (Status.PENDING, "WAIT"),
            (Status.PENDING, "ASKED"),
            (Status.PENDING, "WAIT"),
            (Status.SUCCEEDED, "OK"),
        ]
        assert await _seen(watch) == []
    assert len(wire.seen) == 6


@pytest.mark.parametrize(
    ("word", "status"),
    [("OK", "succeeded"), ("NO", "failed"), ("STOPPED", "cancelled"), ("LATE", "expired")],
)
@timeless
async def test_every_terminal_state_ends_a_watch(word: str, status: str) -> None:
    """A watch ends at its first terminal state, whichever it is."""
    async with Pool(Keyless(), connection=_wire(WAIT, answer(id="p1", status=word))) as pool:
        assert (await pool.watch(HELD)).status == status


@timeless
async def test_a_terminal_payment_is_shown_once_and_not_asked_for() -> None:
    """A watch of a terminal payment yields it once, without a look-up."""
    over = Payment(account="keyless", provider_reference="p1", status=Status.FAILED)
    wire = _wire(DONE)
    async with Pool(Keyless(), connection=wire) as pool:
        assert [payment async for payment in pool.watch(over)] == [over]
        assert await pool.watch(over) == over
    assert wire.seen == []


@timeless
async def test_a_time_out_around_one_step_leaves_the_watch_usable() -> None:
    """`wait_for` around a step, in a pause or in a look-up, loses nothing."""
    wire = _wire(WAIT, WAIT, DONE)
    async with Pool(Keyless(), connection=wire) as pool:
        watch = pool.watch(HELD)
        wire.after = 0.4
        seen = []
        for _ in range(400):
            try:
                seen.append((await asyncio.wait_for(anext(watch), 0.3)).status)
            except TimeoutError:
                wire.after = 0.0 if len(wire.seen) > 2 else wire.after
            except StopAsyncIteration:
                break
        assert seen[-1] is Status.SUCCEEDED
        assert [status.terminal for status in seen].count(True) == 1
        assert now() < 60


@timeless
async def test_breaking_off_leaves_no_task() -> None:
    """`break` leaves nothing running and nothing registered; the same object can be resumed."""
    async with Pool(Keyless(), connection=_wire(WAIT, ASKED, DONE)) as pool:
        watch = pool.watch(HELD)
        async for payment in watch:
            if payment.provider_status == "WAIT":
                break
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert await _seen(watch) == [(Status.PENDING, "ASKED"), (Status.SUCCEEDED, "OK")]


@timeless
async def test_leaving_its_context_ends_a_watch() -> None:
    """`async with` ends the watch: further iteration ends at once, without a look-up."""
    wire = _wire(WAIT)
    async with Pool(Keyless(), connection=wire) as pool:
        async with pool.watch(HELD) as watch:
            await anext(watch)
        assert await _seen(watch) == []
    assert wire.seen == []


@timeless
async def test_closing_the_pool_ends_a_waiting_watch() -> None:
    """A waiting watch gets UsageError at once when the pool closes."""
    pool = Pool(Keyless(), connection=_wire(WAIT))
    waiting = asyncio.ensure_future(_seen(pool.watch(HELD, timeout=None)))
    await asyncio.sleep(10)
    await pool.aclose()
    closed = now()
    with pytest.raises(UsageError, match="closed"):
        await waiting
    assert now() == closed


@timeless
async def test_closing_the_pool_ends_a_watch_that_is_looking() -> None:
    """A look-up that hangs does not keep a watch open after its pool is closed."""
    wire = Wire(lambda _: WAIT, after=25.0)
    pool = Pool(Keyless(), connection=wire)
    waiting = asyncio.ensure_future(_seen(pool.watch(HELD)))
    await asyncio.sleep(10)
    await pool.aclose()
    closed = now()
    with pytest.raises(UsageError):
        await waiting
    assert now() - closed < 1


@timeless
async def test_closing_the_pool_ends_a_watch_on_a_payment_without_any_reference() -> None:
    """A watch of a payment that cannot be looked up is refused, or ends with its pool."""
    pool = Pool(Keyless(), connection=_wire(WAIT))

    async def watch() -> None:
        await pool.watch(Payment(account="keyless"), timeout=3600)

    waiting = asyncio.create_task(watch())
    await asyncio.sleep(10)
    await pool.aclose()
    with pytest.raises(UsageError):
        await waiting
    assert now() < 11


@timeless
async def test_a_watch_of_a_closed_pool_is_refused() -> None:
    """A watch made before its pool closed ends with UsageError at its first use."""
    pool = Pool(Keyless(), connection=_wire(WAIT))
    watch = pool.watch(HELD)
    await pool.aclose()
    with pytest.raises(UsageError):
        await watch


def test_a_watch_that_is_never_used_warns() -> None:
    """A forgotten `await` is reported."""

    async def forget(pool: Pool) -> None:
        pool.watch(HELD)

    with pytest.warns(RuntimeWarning, match="never awaited"):
        run(forget(Pool(Keyless(), connection=_wire(DONE))))


@pytest.mark.parametrize("how", ["await", "anext", "aclose"])
def test_a_watch_that_was_used_does_not_warn(how: str) -> None:
    """A watch that was awaited, stepped or closed is dropped without a warning."""

    async def use(pool: Pool) -> None:
        watch = pool.watch(HELD)
        if how == "await":
            await watch
        elif how == "anext":
            await anext(watch)
        else:
            await watch.aclose()

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        run(use(Pool(Keyless(), connection=_wire(DONE))))
        gc.collect()


@timeless
async def test_the_time_out_is_the_drivers_unless_one_is_given() -> None:
    """The default time-out is the provider's; a given one replaces it."""
    async with Pool(Keyless(), connection=_wire(WAIT)) as pool:
        for watch, expected in ((pool.watch(HELD), 120.0), (pool.watch(HELD, timeout=30), 30.0)):
            began = now()
            with pytest.raises(WatchTimeout):
                await watch
            assert now() - began == pytest.approx(expected, abs=0.1)


@timeless
async def test_none_waits_for_ever_and_only_when_asked() -> None:
    """`timeout=None` outlasts every default."""
    async with Pool(Keyless(), connection=_wire(*[WAIT] * 500, DONE)) as pool:
        assert (await pool.watch(HELD, timeout=None)).status is Status.SUCCEEDED
    assert now() > 3600


@pytest.mark.parametrize("timeout", [0, -1, float("nan"), True, "60"])
@timeless
async def test_a_time_out_that_is_none_is_refused(timeout: Any) -> None:
    """A time-out must be seconds above zero."""
    async with Pool(Keyless(), connection=_wire(DONE)) as pool:
        with pytest.raises(UsageError):
            pool.watch(HELD, timeout=timeout)


@timeless
async def test_the_deadline_is_preceded_by_a_final_look() -> None:
    """At the deadline there is one more look-up: a payment paid in the last second is seen."""
    paid_at = 59.9

    def respond(_: PreparedRequest) -> Response:
        return DONE if now() > paid_at else WAIT

    async with Pool(Keyless(), connection=Wire(respond)) as pool:
        assert (await pool.watch(HELD, timeout=60)).status is Status.SUCCEEDED
        assert now() <= 60.1


@timeless
async def test_a_time_out_carries_the_payment_as_last_seen() -> None:
    """WatchTimeout has the pending payment as of the last look-up; then the watch is over."""
    async with Pool(Keyless(), connection=Wire(lambda _: ASKED if now() > 29 else WAIT)) as pool:
        watch = pool.watch(HELD, timeout=30)
        with pytest.raises(WatchTimeout) as caught:
            await _seen(watch)
        assert isinstance(caught.value, TimeoutError)
        assert caught.value.payment.status is Status.PENDING
        assert caught.value.payment.provider_status == "ASKED"
        assert caught.value.payment.reference == "order-1"
        assert await _seen(watch) == []


@timeless
async def test_awaiting_a_watch_again_never_calls_a_pending_payment_its_end() -> None:
    """A watch that timed out does not return a pending payment as its end when awaited again."""
    async with Pool(Keyless(), connection=_wire(WAIT)) as pool:
        watch = pool.watch(HELD, timeout=30)
        with pytest.raises(WatchTimeout):
            await watch
        with pytest.raises((WatchTimeout, UsageError)):
            await watch


@pytest.mark.parametrize(
    "trouble",
    [
        answer(500),
        TransportError("reset"),
        answer(429, error="slow"),
        answer(400),
        Response(status=200, body=b"<html>"),
    ],
)
@timeless
async def test_a_failed_look_up_does_not_end_a_watch(trouble: Response | Exception) -> None:
    """A failed look-up changes nothing: the watch goes on to the end."""
    async with Pool(Keyless(), connection=_wire(WAIT, *[trouble] * 12, DONE)) as pool:
        assert await _seen(pool.watch(HELD, timeout=3600)) == [
            (Status.PENDING, None),
            (Status.PENDING, "WAIT"),
            (Status.SUCCEEDED, "OK"),
        ]


@timeless
async def test_a_watch_keeps_away_as_long_as_the_provider_asks() -> None:
    """A throttled look-up is not repeated before its Retry-After, also not by the schedule."""
    times: list[float] = []

    def respond(_: PreparedRequest) -> Response:
        times.append(now())
        return DONE if len(times) > 1 else answer(429, {"retry-after": "50"}, error="slow")

    async with Pool(Keyless(), connection=Wire(respond)) as pool:
        await pool.watch(HELD)
    assert times[1] - times[0] >= 50


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (answer(401, error="stale"), AuthenticationFailed),
        (answer(id="p1", reference="order-9", status="OK"), Mismatch),
        (answer(id="p9", status="OK"), Mismatch),
    ],
)
@timeless
async def test_what_cannot_get_better_ends_a_watch(reply: Response, error: type[Exception]) -> None:
    """Wrong credentials and a Mismatch are raised at once, and the watch is over."""
    wire = _wire(WAIT, reply, DONE)
    async with Pool(Keyless(), connection=wire) as pool:
        watch = pool.watch(HELD)
        with pytest.raises(error):
            await _seen(watch)
        assert await _seen(watch) == []
    assert len(wire.seen) == 2


@timeless
async def test_not_found_is_final_only_after_the_drivers_figure() -> None:
    """A payment that the provider does not know yet is polled for as long as the driver states."""
    young = Payment(account="keyless", provider_reference="p1", created_at=ago(0))
    async with Pool(Keyless(), connection=_wire(answer(404))) as pool:
        with pytest.raises(NotFound):
            await pool.watch(young)
        assert 60 < now() < 90


@timeless
async def test_not_found_may_be_followed_by_found() -> None:
    """Not found at first, and found later, is found."""
    young = Payment(account="keyless", provider_reference="p1", created_at=ago(0))
    async with Pool(Keyless(), connection=_wire(answer(404), answer(404), DONE)) as pool:
        assert (await pool.watch(young)).status is Status.SUCCEEDED


@pytest.mark.parametrize("changes", [{"kind": "payout"}, {"created_at": None}])
@timeless
async def test_not_found_is_never_final_without_a_figure(changes: dict[str, Any]) -> None:
    """If the driver states no time, or the payment's age is unknown, not found is not final."""
    fields = {
        "account": "keyless",
        "provider_reference": "p1",
        "created_at": ago(10_000),
        **changes,
    }
    async with Pool(Keyless(), connection=_wire(answer(404))) as pool:
        with pytest.raises(WatchTimeout):
            await pool.watch(Payment(**fields))


@timeless
async def test_a_confirmed_event_wakes_a_watch_at_once() -> None:
    """A confirmed webhook is seen by the watch at once, without another look-up."""
    done = False
    wire = Wire(lambda _: DONE if done else WAIT)
    async with Pool(Keyless(), connection=wire) as pool:
        watching = asyncio.ensure_future(pool.watch(HELD, timeout=3600))
        await asyncio.sleep(100)
        looks, done = len(wire.seen), True
        await pool.confirm(
            pool.webhook(push(id="p1", status="OK"), account="keyless"), expected=HELD
        )
        told = now()
        assert (await watching).status is Status.SUCCEEDED
        assert now() == told
        assert len(wire.seen) == looks + 1


@timeless
async def test_a_confirmed_event_is_seen_during_a_look_up_that_hangs() -> None:
    """News is yielded at once, even during the watch's own slow look-up."""
    hanging = False

    async def respond(_: PreparedRequest) -> Response:
        if hanging:
            await asyncio.sleep(25)
            return WAIT
        return DONE

    wire = Wire(respond)
    async with Pool(Keyless(), connection=wire) as pool:
        hanging = True
        watching = asyncio.ensure_future(pool.watch(HELD))
        await asyncio.sleep(5)
        assert len(wire.seen) == 1
        hanging = False
        await pool.confirm(pool.webhook(push(id="p1"), account="keyless"), expected=HELD)
        told = now()
        assert (await watching).status is Status.SUCCEEDED
        assert now() - told < 1


@timeless
async def test_an_event_before_the_first_step_is_not_lost() -> None:
    """News from before the first step is yielded after the known state."""
    async with Pool(Keyless(), connection=_wire(DONE)) as pool:
        watch = pool.watch(HELD)
        await pool.confirm(pool.webhook(push(id="p1"), account="keyless"), expected=HELD)
        assert await _seen(watch) == [(Status.PENDING, None), (Status.SUCCEEDED, "OK")]


@timeless
async def test_each_watch_on_a_payment_is_woken_once() -> None:
    """Several watches of one payment each yield the end exactly once."""
    done = False
    async with Pool(Keyless(), connection=Wire(lambda _: DONE if done else WAIT)) as pool:
        watching = [asyncio.ensure_future(_seen(pool.watch(HELD, timeout=3600))) for _ in range(20)]
        other = asyncio.ensure_future(
            _seen(pool.watch(Payment(account="keyless", provider_reference="p2"), timeout=5))
        )
        await asyncio.sleep(50)
        assert isinstance(other.exception(), Mismatch)
        done = True
        await pool.confirm(pool.webhook(push(id="p1"), account="keyless"), expected=HELD)
        told = now()
        for seen in await asyncio.gather(*watching):
            assert [status for status, _ in seen].count(Status.SUCCEEDED) == 1
        assert now() == told


@timeless
async def test_an_event_that_contradicts_ends_a_watch() -> None:
    """News about another payment is Mismatch, not a change."""
    wire = _wire(answer(id="p1", amount="5", currency="XAF", status="OK"))
    async with Pool(Keyless(), connection=wire) as pool:
        held = Payment(
            account="keyless", provider_reference="p1", amount=Decimal(5000), currency="XAF"
        )
        watching = asyncio.ensure_future(_seen(pool.watch(held, timeout=3600)))
        await asyncio.sleep(0.1)
        with contextlib.suppress(Mismatch):
            await pool.confirm(pool.webhook(push(id="p1"), account="keyless"))
        with pytest.raises(Mismatch):
            await watching


@timeless
async def test_a_payment_without_a_provider_reference_waits_for_a_webhook() -> None:
    """If no look-up is possible, the watch sends none; the order's own callback reaches it."""
    held = Payment(account="keyless", reference="order-1", amount=Decimal(500), currency="XAF")
    wire = _wire(WAIT, DONE)
    async with Pool(Keyless(), connection=wire, webhook_base=BASE, webhook_key=KEY) as pool:
        pool._engine.store.memory.note_sending(held, None)  # as after a collect with a lost answer
        watching = asyncio.ensure_future(_seen(pool.watch(held, timeout=3600)))
        await asyncio.sleep(1000)
        assert wire.seen == []
        event = pool.webhook(push(path=pool.webhook_url("keyless", "order-1"), id="p1"))
        await pool.confirm(event)
        assert await watching == [
            (Status.PENDING, None),
            (Status.PENDING, "WAIT"),
            (Status.SUCCEEDED, "OK"),
        ]
    assert len(wire.seen) == 2


@timeless
async def test_a_payment_that_nothing_can_ask_for_times_out() -> None:
    """Without a webhook such a watch ends at its time-out, still pending."""
    async with Pool(Keyless(), connection=_wire(DONE)) as pool:
        with pytest.raises(WatchTimeout):
            await pool.watch(Payment(account="keyless", reference="order-1"))
    assert now() == pytest.approx(120, abs=0.1)


@timeless
async def test_a_payment_is_found_by_our_reference_where_the_provider_can_be_asked_so() -> None:
    """After a lost answer the look-up uses our reference, and then the provider's."""
    wire = _wire(WAIT, DONE)
    async with Pool(Findable(password="x"), connection=wire) as pool:
        wire_desk = Desk(find=WAIT, payments=DONE)
        wire._respond = wire_desk
        assert (
            await pool.watch(Payment(account="findable", reference="order-1"))
        ).status is Status.SUCCEEDED
    assert wire.paths("/find")
    assert wire.paths("/payments") == ["/payments/p1"]


@timeless
async def test_two_consumers_are_refused_and_the_first_goes_on() -> None:
    """A second task that iterates one Watch gets UsageError, and disturbs nothing."""
    async with Pool(Keyless(), connection=_wire(WAIT, DONE)) as pool:
        watch = pool.watch(HELD)
        first = asyncio.ensure_future(_seen(watch))
        await asyncio.sleep(0.5)
        with pytest.raises(UsageError):
            await anext(watch)
        assert (await first)[-1][0] is Status.SUCCEEDED


@timeless
async def test_a_resumed_payment_is_looked_at_at_once() -> None:
    """An old payment is looked up at once; a young one when its payer may have answered."""
    planned = Schedule(Keyless.first_look, Keyless.watch_timeout)
    for age in (86_400.0, 0.0, 0.5):
        times: list[float] = []

        def respond(_: PreparedRequest, times: list[float] = times) -> Response:
            times.append(now())
            return DONE

        async with Pool(Keyless(), connection=Wire(respond)) as pool:
            began = now()
            held = Payment(account="keyless", provider_reference="p1", created_at=ago(age))
            await pool.watch(held)
            assert times[0] - began == pytest.approx(planned.next(age, 0) - age, abs=0.01)
            assert times[0] - began >= Keyless.first_look - age - 0.01


@timeless
async def test_looks_become_rarer_and_are_never_a_flood() -> None:
    """During an hour polls become rarer, but come every five minutes or so even at the end."""
    times: list[float] = []

    def respond(_: PreparedRequest) -> Response:
        times.append(now())
        return WAIT

    async with Pool(Keyless(), connection=Wire(respond)) as pool:
        with pytest.raises(WatchTimeout):
            await pool.watch(HELD, timeout=3600)
    gaps = [later - earlier for earlier, later in pairwise(times)]
    assert 20 < len(times) < 80
    assert min(gaps[:-1]) >= 1
    assert sum(gaps[:5]) < 30
    assert max(gaps) <= 330


@pytest.mark.slow
@timeless
async def test_a_thousand_watches_do_not_poll_in_step() -> None:
    """Watches begun together spread out: no second holds most of their polls."""
    times: list[int] = []

    def respond(outgoing: PreparedRequest) -> Response:
        times.append(int(now()))
        return answer(id=outgoing.url.rpartition("/")[2], status="WAIT")

    async with Pool(Keyless(), connection=Wire(respond)) as pool:
        payments = [Payment(account="keyless", provider_reference=f"p{n}") for n in range(1000)]
        watching = [pool.watch(payment, timeout=115) for payment in payments]
        await asyncio.gather(*watching, return_exceptions=True)
    late = [second for second in times if 60 <= second < 110]
    assert len(late) > 1000
    assert max(late.count(second) for second in set(late)) < 250


@timeless
async def test_watches_leave_nothing_in_the_pool() -> None:
    """Watches that ended, were interrupted or dropped are forgotten by their pool."""
    async with Pool(Keyless(), connection=_wire(DONE)) as pool:
        await asyncio.gather(*(pool.watch(HELD) for _ in range(50)))
        broken = pool.watch(HELD)
        await anext(broken)
        del broken
        gc.collect()
        await asyncio.sleep(0)
        assert pool._engine.watch_registry._by_key == {}


@timeless
async def test_a_watch_whose_payments_ids_change_is_forgotten_too() -> None:
    """An id that changes its value leaves nothing behind in the pool."""

    class Renaming(Keyless, frozen=True, kw_only=True):
        def payment(self, said: Said, kind: Kind | None = "collect") -> Payment:
            found = super().payment(said, kind)
            return msgspec.structs.replace(found, ids={"attempt": found.provider_status or ""})

    async with Pool(Renaming(), connection=_wire(WAIT, ASKED, DONE)) as pool:
        assert (await pool.watch(HELD)).ids == {"attempt": "OK"}
        gc.collect()
        assert pool._engine.watch_registry._by_key == {}


@timeless
async def test_a_watch_cancelled_is_cancelled() -> None:
    """A cancelled await of a watch ends in a pause and in a look-up alike, and leaves no task."""
    for seconds in (0.5, 2.5):
        wire = _wire(WAIT)
        wire.after = 1.0
        async with Pool(Keyless(), connection=wire) as pool:
            watching = asyncio.ensure_future(pool.watch(HELD))
            await asyncio.sleep(seconds)
            watching.cancel()
            with pytest.raises(asyncio.CancelledError):
                await watching
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.mark.parametrize("late", [lambda pool: pool.watch(HELD), lambda pool: pool.verify(HELD)])
@timeless
async def test_a_success_that_turns_is_a_mismatch(late: Callable[[Pool], Any]) -> None:
    """A succeeded payment never changes silently, by a watch or by a look-up."""
    async with Pool(Keyless(), connection=_wire(answer(id="p1", status="NO"))) as pool:
        paid = Payment(account="keyless", provider_reference="p1", status=Status.SUCCEEDED)
        assert (await late(pool)).status is Status.FAILED
        with pytest.raises(Mismatch):
            await pool.verify(paid)
