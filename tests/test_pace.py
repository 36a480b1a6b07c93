"""Each payment is looked up at its own pace: two operations of one account differ."""

import asyncio
import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal

import pytest

import paymux.core.notify.notifier
from paymux import NotFound, Notifier, Payment, Pool, Status, UsageError, WatchTimeout
from paymux.core.recovery import examine
from paymux.drivers.base import Facts, Pace
from paymux.http import PreparedRequest, Response, Send, get
from paymux.models import Event, Kind, Order
from paymux.watch.schedule import MAX_SCHEDULES, FixedAges, Schedule, Schedules

from .notify.world import Desk, Shop, file, kill, pool, rarely
from .test_webhooks import Shop as Till
from .test_webhooks import asgi, opened, toy
from .toys import Findable, Keyless, Said, Wire, ago, answer, now, push, timeless

__all__ = ["file", "rarely"]

AGES = (60.0, 300.0, 1800.0, 7200.0)
DAY = 86_400.0
ALL = [*AGES, DAY]


class Twofold(Keyless, frozen=True, kw_only=True):
    """A toy whose collects are answered at once, and whose payouts are questions by callback."""

    name = "twofold"
    finds_by: ClassVar[Mapping[Kind, frozenset[Literal["reference", "receipt"]]]] = {
        "payout": frozenset({"reference"})
    }
    facts: ClassVar[Mapping[Kind, Facts]] = {
        "collect": Facts(deduplicates=False, findable=False, not_found_final_after=60.0),
    }

    def asks(self, payment: Payment) -> Literal["verify", "find"] | None:
        return "find" if payment.kind == "payout" else super().asks(payment)

    def pace(self, payment: Payment) -> Pace:
        if payment.kind != "payout":
            return super().pace(payment)
        return Pace(first_look=60.0, watch_timeout=DAY, ages=AGES, by_callback=True)

    def facts_of(self, order: Order | Payment) -> Facts:
        other = Facts(deduplicates=True, findable=True, not_found_final_after=100_000.0)
        return other if order.kind == "payout" else super().facts_of(order)

    async def find(self, send: Send, payment: Payment) -> Payment:
        path = {"id": payment.reference or ""}
        return self.payment(await send(get("/ask/{id}", Said, at=path)), payment.kind)


def sent(kind: Kind = "payout", number: int = 1, **more: Any) -> Payment:
    """Return a payment that was sent a moment ago."""
    given: dict[str, Any] = {
        "account": "twofold",
        "created_at": ago(0),
        "provider_reference": f"id-{number}",
        **more,
    }
    return Payment(kind=kind, reference=f"order-{number}", **given)


class Street(Wire):
    """A provider that says of every payment that it is pending, and when each was asked for."""

    def __init__(self) -> None:
        super().__init__(lambda _: answer(status="WAIT"))
        self.times: list[float] = []

    async def exchange(self, outgoing: PreparedRequest) -> Response:
        """Note the time."""
        self.times.append(round(now(), 3))
        return await super().exchange(outgoing)


@timeless
async def test_a_collect_and_a_payout_of_one_account_have_each_their_pace() -> None:
    """A payout is asked for at its fixed ages alone, in the same minutes as a collect often."""
    wire = Street()
    async with Pool(Twofold(), connection=wire) as pay:
        with pytest.raises(WatchTimeout):
            await pay.watch(sent())
        assert now() == pytest.approx(DAY, abs=10)
        assert wire.times == ALL
        assert {*wire.paths()} == {"/ask/order-1"}
        began, wire.times = now(), []
        with pytest.raises(WatchTimeout):
            await pay.watch(sent("collect"))
        assert now() - began == pytest.approx(Twofold.watch_timeout, abs=10)
        assert len(wire.times) > 10
        assert len(pay._engine.watch_registry._queues) == 1


@pytest.mark.parametrize("age", [0.0, 10.0, 59.5, 61.0, 299.0, 1000.0, 7199.9, 8000.0, 90_000.0])
@timeless
async def test_a_watch_that_starts_late_waits_for_the_next_age(age: float) -> None:
    """It does not look at once, as others do: it cannot know how often was asked before it."""
    wire = Street()
    async with Pool(Twofold(), connection=wire) as pay:
        with pytest.raises(WatchTimeout):
            await pay.watch(sent(created_at=ago(age)), timeout=max(DAY - age, 60.0) + 1)
    expected = [one - age for one in ALL if one > age]
    assert wire.times == pytest.approx(expected, abs=0.5)


@pytest.mark.parametrize("timeout", [7.0, 50.0, 3000.0])
@timeless
async def test_a_watch_begun_again_and_again_asks_no_oftener(timeout: float) -> None:
    """Its time-out is no reason for a last look-up: at most five in a day, none in 60 s."""
    wire, payment = Street(), sent()
    async with Pool(Twofold(), connection=wire) as pay:
        while now() < DAY + 60:
            with pytest.raises(WatchTimeout):
                await pay.watch(payment, timeout=timeout)
    assert wire.times == pytest.approx(ALL, abs=1.1)


@timeless
async def test_a_payment_without_a_time_is_young() -> None:
    """Where its age is unknown, none of its look-ups is too early."""
    wire = Street()
    async with Pool(Twofold(), connection=wire) as pay:
        with pytest.raises(WatchTimeout):
            await pay.watch(sent(created_at=None), timeout=500.0)
    assert wire.times == [60.0, 300.0]


@timeless
async def test_a_thousand_at_once_are_asked_for_five_times_each() -> None:
    """The poll queue spreads them out; a look-up that comes late is none more."""
    wire = Street()
    wire.after = 20.0  # the answer of each: the queue is hours behind its first ages
    async with Pool(Twofold(), connection=wire) as pay:
        await asyncio.gather(*(_end(pay.watch(sent(number=number))) for number in range(1000)))
    counted = {path: wire.paths().count(path) for path in set(wire.paths())}
    assert len(counted) == 1000
    assert max(counted.values()) <= 5
    assert min(wire.times) >= 60


async def _end(watch: Any) -> None:
    with contextlib.suppress(WatchTimeout):
        await watch


@timeless
async def test_a_hint_hurries_no_payment_that_is_answered_by_message() -> None:
    """An update about a payout causes no look-up; one about a collect does."""
    wire = Street()
    async with Pool(Twofold(), connection=wire) as pay:
        tasks = []
        kinds: tuple[Kind, ...] = ("collect", "payout")
        for number, kind in enumerate(kinds):
            watch = pay.watch(sent(kind, number), timeout=500.0)
            tasks.append(asyncio.ensure_future(_end(watch)))
        await asyncio.sleep(30)
        wire.seen.clear()
        hint = Event(account="twofold", claims=Payment(account="twofold"))
        for _ in range(20):
            pay._engine.watch_registry.on_push(hint)
            await asyncio.sleep(1)
        assert len(wire.paths("/payments")) >= 19
        assert wire.paths("/ask") == []
        await asyncio.gather(*tasks)


@timeless
async def test_notifiers_that_die_ask_no_oftener(
    file: Path, rarely: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A notifier that is killed every ten minutes or so: an order is asked for five times."""
    monkeypatch.setattr(paymux.core.notify.notifier, "FRESH_SECONDS", DAY)
    desk, shop = Desk(), Shop()
    desk.replies["*"] = answer(status="WAIT")
    reference: dict[str, Any] = {"amount": 500, "currency": "XAF", "reference": "order-1"}
    async with pool(file, desk, Twofold(account="toy")) as pay:
        await pay.payout("toy", payee="237670000000", **reference)
    while now() < DAY + 60:
        pay = pool(file, desk, Twofold(account="toy"))
        await pay.__aenter__()
        notifier = Notifier(pay, shop)
        await notifier.__aenter__()
        await asyncio.sleep(700)
        kill(pay, notifier)
    times = [when - 1000.0 for when, _ in desk.looks]
    assert len(times) == 5
    assert times == pytest.approx(ALL, abs=2)


@timeless
async def test_a_message_asks_once_where_the_answer_is_another_message() -> None:
    """A message that claims an end causes one look-up, and none that follows it up."""
    looks = {}
    for kind in ("collect", "payout"):
        wire = Street()
        hooks = toy(Till(), driver=Twofold(account="toy"), wire=wire)
        async with opened(hooks) as pay:
            watch = pay.watch(sent(kind, account="toy"), timeout=50.0)
            path = pay.webhook_url("toy")
            first = await anext(watch)
            assert first.status is Status.PENDING
            status, _, _ = await asgi(hooks, push(path=path, id="id-1", status="OK", kind=kind))
            assert status == 200
            await asyncio.sleep(50)
            looks[kind] = len(wire.seen)
    assert looks["payout"] == 1
    assert looks["collect"] > 3


@timeless
async def test_when_not_found_is_final_depends_on_the_operation() -> None:
    """A collect that is not found after 60 s never was; a payout of that account goes on."""
    wire = Wire(lambda _: answer(404))
    async with Pool(Twofold(), connection=wire) as pay:
        with pytest.raises(NotFound):
            await pay.watch(sent("collect", created_at=ago(61)))
        with pytest.raises(WatchTimeout):
            await pay.watch(sent("payout", created_at=ago(61)), timeout=5000.0)


@timeless
async def test_a_person_decides_when_the_payments_own_watch_is_over(file: Path) -> None:
    """A payout may end by itself for a day, though a collect of the account may not."""
    desk = Desk()
    desk.replies["*"] = answer(status="WAIT")
    order: dict[str, Any] = {"amount": 500, "currency": "XAF", "reference": "order-1"}
    async with pool(file, desk, Twofold(account="toy")) as pay:
        collected = await pay.collect("toy", **order)
        paid = await pay.payout("toy", payee="237670000000", **order)
        await asyncio.sleep(Twofold.watch_timeout + 1)
        done = await pay.resolve(collected, Status.FAILED, because="it was never paid")
        assert done.status is Status.FAILED
        with pytest.raises(UsageError, match="may still end by itself"):
            await pay.resolve(paid, Status.FAILED, because="it was never paid")
        await asyncio.sleep(DAY)
        done = await pay.resolve(paid, Status.FAILED, because="it was never paid")
        assert done.status is Status.FAILED


@timeless
async def test_recovery_asks_once_however_many_messages_are_kept() -> None:
    """Where each message would be a question, one look-up of the order stands for all."""
    asks: dict[str, Any] = {}
    for kind in ("collect", "payout"):
        wire, payment = Street(), sent(kind)
        claims = Payment(account="twofold", kind=kind, provider_reference="id-1")
        events = [Event(account="twofold", claims=claims) for _ in range(3)]
        async with Pool(Twofold(), connection=wire) as pay:
            await examine(pay._engine, payment, events)
        asks[kind] = len(wire.seen)
    assert asks == {"collect": 4, "payout": 1}


def test_an_account_is_asked_as_its_driver_says() -> None:
    """`asks` decides alone whether and how a payment can be looked up; so do the defaults."""
    pay = Pool(Twofold(), Keyless(), Findable(), connection=Street())
    kinds: tuple[Kind, ...] = ("collect", "payout")
    verbs = [pay._engine.lookup_verb(sent(kind)) for kind in kinds]
    assert verbs == ["verify", "find"]
    unnamed: dict[str, Any] = {"provider_reference": None}
    found = [pay._engine.lookup_verb(sent(account=name, **unnamed)) for name in pay.drivers]
    assert found == ["find", None, "find"]
    assert Keyless().facts_of(sent("refund")).not_found_final_after is None


def test_a_schedule_is_made_once_for_each_pace() -> None:
    """Two equal paces share one; a driver that computes its paces does not fill the memory."""
    made = Schedules()
    fixed = Pace(first_look=60.0, watch_timeout=DAY, ages=AGES)
    assert made[fixed] is made[Pace(first_look=60.0, watch_timeout=DAY, ages=AGES)]
    assert type(made[fixed]) is FixedAges
    assert type(made[Pace(first_look=2.0, watch_timeout=120.0)]) is Schedule
    for number in range(3 * MAX_SCHEDULES):
        _ = made[Pace(first_look=1.0, watch_timeout=10.0 + number)]
    assert len(made) <= MAX_SCHEDULES


def test_after_its_day_a_payment_is_asked_for_once_a_day() -> None:
    """A watch that lasts longer goes on with one look-up in each further day."""
    plan = FixedAges(AGES, DAY)
    assert [plan.next(age, 1) for age in (DAY, 1.5 * DAY, 2 * DAY)] == [2 * DAY, 2 * DAY, 3 * DAY]
