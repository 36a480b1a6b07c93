"""Every open order is watched by exactly one notifier, from its sending until its end."""

import asyncio
import itertools
import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from paymux import Notifier, OutcomeUnknown, Payment, Pool, Status
from paymux.http import PreparedRequest, Response, Send, TransportError
from paymux.journal import State
from paymux.models import Event

from ..toys import START, Findable, Keyless, Wire, answer, now, timeless
from .world import Desk, Shop, collect, dead, file, kill, order, pool, rarely, rows, run_sql

__all__ = ["file", "rarely"]

DAY = 86_400.0


@timeless
async def test_an_order_of_a_process_without_a_notifier_is_watched(file: Path) -> None:
    """The orders of a process that only sends are watched by another process within seconds."""
    desk, shop = Desk(), Shop()
    async with pool(file, desk) as job, pool(file, desk) as web, Notifier(web, shop):
        await collect(job)
        await asyncio.sleep(30)
        assert desk.looks
        desk.status["order-1"] = "OK"
        await asyncio.sleep(100)
        assert shop.told == [("order-1", Status.SUCCEEDED)]


@timeless
async def test_an_order_is_watched_from_the_moment_it_was_sent(file: Path) -> None:
    """New orders join the poll queue at once, and are polled when it is most useful."""
    desk = Desk()
    async with pool(file, desk) as pay, Notifier(pay, Shop()) as notifier:
        await asyncio.sleep(1)
        await collect(pay)
        await asyncio.sleep(0.01)
        assert [one.key[2] for one in notifier._order_watcher._orders()] == ["order-1"]


@pytest.mark.parametrize("count", [2, 4])
@timeless
async def test_two_notifiers_never_watch_one_order(file: Path, count: int) -> None:
    """Of several notifiers on one journal, one watches an order: no more polls than one needs."""
    desk, alone = Desk(), Desk()
    async with pool(file.with_name("alone.db"), alone) as pay, Notifier(pay, Shop()):
        await collect(pay)
        await asyncio.sleep(600)
    pools = [pool(file, desk) for _ in range(count)]
    notifiers = [Notifier(pay, Shop()) for pay in pools]
    for pay, notifier in zip(pools, notifiers, strict=True):
        await pay.__aenter__()
        await notifier.__aenter__()
    await collect(pools[0])
    await asyncio.sleep(600)
    held = [len(notifier._order_watcher._orders()) for notifier in notifiers]
    assert sorted(held) == [0] * (count - 1) + [1]
    assert abs(len(desk.looks) - len(alone.looks)) <= 1
    for pay, notifier in zip(pools, notifiers, strict=True):
        await notifier.aclose()
        await pay.aclose()


@timeless
async def test_the_orders_of_a_worker_that_died_are_watched_on(file: Path) -> None:
    """A killed notifier's orders are taken over within 30 s, looked up once each, and delivered."""
    desk, shop = Desk(), Shop()
    one = pool(file, desk)
    dying = Notifier(one, Shop())
    await dying.__aenter__()
    for number in range(20):
        await collect(one, f"order-{number}")
    await asyncio.sleep(1)
    async with pool(file, desk) as two, Notifier(two, shop) as living:
        await asyncio.sleep(1)
        assert living._order_watcher._orders() == []
        kill(one, dying)
        for number in range(20):
            desk.status[f"order-{number}"] = "OK"
        await asyncio.sleep(29)
        assert len(shop.told) == 20


@timeless
async def test_a_loop_that_did_not_beat_has_lost_its_orders(file: Path) -> None:
    """Another notifier takes over from a blocked loop, which drops them at its next heartbeat."""
    desk = Desk()
    one, two = pool(file, desk), pool(file, desk)
    async with one, two, Notifier(one, Shop()) as blocked, Notifier(two, Shop()) as other:
        await collect(one)
        await asyncio.sleep(1)
        blocked._next = now() + START + 100
        await asyncio.sleep(50)
        assert (len(blocked._order_watcher._orders()), len(other._order_watcher._orders())) == (
            1,
            0,
        )
        await asyncio.sleep(20)
        assert len(other._order_watcher._orders()) == 1
        await asyncio.sleep(60)
        assert (len(blocked._order_watcher._orders()), len(other._order_watcher._orders())) == (
            0,
            1,
        )


@pytest.mark.parametrize("days", [0.01, 1, 2.9, 30])
@timeless
async def test_at_each_start_every_open_order_is_asked_once(file: Path, days: float) -> None:
    """At the start every open order is looked up: a payment made meanwhile is delivered."""
    desk, shop = Desk(), Shop()
    created = datetime.now(UTC) - timedelta(days=days)
    await dead(file, *(order(f"order-{number}", created_at=created) for number in range(10)))
    desk.status["order-7"] = "OK"
    async with pool(file, desk) as pay, Notifier(pay, shop):
        await asyncio.sleep(5)
    assert sorted(reference for _, reference in desk.looks) == sorted(
        f"order-{n}" for n in range(10)
    )
    assert shop.told == [("order-7", Status.SUCCEEDED)]


@pytest.mark.slow
@pytest.mark.usefixtures("rarely")
@timeless
async def test_an_order_without_an_end_is_left_to_a_person(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Beyond the time-out looks are ever rarer.

    After three days one ERROR leaves it, at no restart again.
    """
    desk, shop = Desk(), Shop()
    async with pool(file, desk) as pay, Notifier(pay, shop):
        await collect(pay)
        began = now() + START
        await asyncio.sleep(2.99 * DAY)
        assert "left to a person" not in caplog.text
        await asyncio.sleep(DAY)
        assert caplog.text.count("left to a person") == 1
    ages = [when - began for when, _ in desk.looks]
    late = [age for age in ages if age > 120]
    gaps = [later - sooner for sooner, later in itertools.pairwise(late)]
    assert 10 <= len(late) <= 30
    assert gaps[:-1] == sorted(gaps[:-1])
    assert min(gaps[:-1]) >= 55
    assert max(gaps) <= DAY + 1
    looks = len(desk.looks)
    run_sql(
        file,
        (
            'UPDATE payments SET payment = replace(payment, \'"created_at":"20\', '
            '\'"created_at":"10\')'
        ),
    )
    async with pool(file, desk) as pay, Notifier(pay, shop):
        await asyncio.sleep(10 * DAY)
    assert len(desk.looks) == looks + 1
    assert caplog.text.count("left to a person") == 1
    desk.status["order-1"] = "OK"
    async with pool(file, desk) as pay, Notifier(pay, shop):
        await asyncio.sleep(5)
    assert shop.told == [("order-1", Status.SUCCEEDED)]


@timeless
async def test_refused_credentials_pause_an_account(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """One ERROR, then one trial every 15 minutes for the account; all go on after an answer."""
    desk, shop = Desk(), Shop()
    desk.replies["*"] = answer(401, error="stale")
    await dead(file, *(order(f"order-{number}") for number in range(200)))
    async with pool(file, desk) as pay, Notifier(pay, shop):
        await asyncio.sleep(60)
        first = len(desk.looks)
        assert first <= 60
        await asyncio.sleep(3590)
        assert len(desk.looks) == first + 4
        del desk.replies["*"]
        for number in range(200):
            desk.status[f"order-{number}"] = "OK"
        await asyncio.sleep(1000)
        assert len(shop.told) == 200
    assert [record.levelno for record in caplog.records].count(logging.ERROR) == 1
    assert "credentials" in caplog.text


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.usefixtures("rarely")
@timeless
async def test_a_firewall_ends_no_watch(
    file: Path, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    """A page that is not the provider's is one ERROR after ten look-ups; polling goes on."""
    desk, shop = Desk(), Shop()
    desk.replies["order-1"] = Response(status=status, body=b"<html>Access denied</html>")
    async with pool(file, desk) as pay, Notifier(pay, shop):
        await collect(pay)
        desk.status["order-1"] = "OK"
        await asyncio.sleep(7200)
        assert shop.told == []
        del desk.replies["order-1"]
        await asyncio.sleep(7200)
        assert shop.told == [("order-1", Status.SUCCEEDED)]
    errors = [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]
    assert len(errors) == 1
    assert f"10 look-ups in a row were answered HTTP {status}" in errors[0]


@timeless
async def test_a_mismatch_stops_one_order(file: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A contradiction is one ERROR, and the order is not looked up any more; the others go on."""
    desk, shop = Desk(), Shop()
    desk.replies["order-1"] = answer(id="id-order-1", status="OK", amount=5, currency="XAF")
    async with pool(file, desk) as pay, Notifier(pay, shop):
        for number in (1, 2):
            await collect(pay, f"order-{number}")
        await asyncio.sleep(60)
        assert desk.count("order-1") == 1
        desk.status["order-2"] = "OK"
        await asyncio.sleep(3600)
        assert (desk.count("order-1"), shop.told) == (1, [("order-2", Status.SUCCEEDED)])
    errors = [record.message for record in caplog.records if record.levelno == logging.ERROR]
    assert len(errors) == 1
    assert "found amount '5' for '500'" in errors[0]


@pytest.mark.parametrize(
    "reply", [answer(404), answer(500), answer(400, error="no"), Response(status=302)]
)
@pytest.mark.usefixtures("rarely")
@timeless
async def test_a_failed_look_ends_no_watch(file: Path, reply: Response) -> None:
    """After not found (even final), a refusal or an outage, look-ups go on until the end."""
    desk, shop = Desk(), Shop()
    desk.replies["order-1"] = reply
    async with pool(file, desk) as pay, Notifier(pay, shop):
        await collect(pay)
        await asyncio.sleep(7200)
        del desk.replies["order-1"]
        desk.status["order-1"] = "OK"
        await asyncio.sleep(7200)
    assert shop.told == [("order-1", Status.SUCCEEDED)]


@timeless
async def test_what_a_dead_worker_was_sending_is_found(file: Path) -> None:
    """A dead worker's SENDING becomes unknown and is looked up; its INTENT was never sent."""
    shop = Shop()

    def said(outgoing: PreparedRequest) -> Response:
        if outgoing.url.endswith("/login"):
            return answer(token="t")
        return answer(id="id-1", status="OK", reference=outgoing.url.rsplit("/", 1)[1])

    lost = [order(name, account="findable", provider_reference=None) for name in ("intent", "sent")]
    await dead(file, lost[0], reached=State.INTENT)
    await dead(file, lost[1], reached=State.SENDING)
    async with Pool(Findable(), connection=Wire(said), journal=file) as pay, Notifier(pay, shop):
        await asyncio.sleep(10)
    assert shop.told == [("sent", Status.SUCCEEDED)]
    assert [row[3] for row in rows(file)] == ["not_sent", "accepted"]


@timeless
async def test_a_message_that_was_kept_ends_an_order(file: Path) -> None:
    """An order that only a message can end is ended by one stored earlier."""
    desk, shop = Desk(), Shop()
    desk.status["order-1"] = "OK"
    await dead(file, order(provider_reference=None), reached=State.SENDING)
    async with pool(file, desk) as pay:
        book = pay._engine.store.require_journal()
        claims = order(provider_reference="id-order-1", status=Status.SUCCEEDED)
        await book.keep_event(
            Event(account="toy", provider="keyless", claims=claims, path_reference="order-1")
        )
        async with Notifier(pay, shop):
            await asyncio.sleep(10)
    assert shop.told == [("order-1", Status.SUCCEEDED)]


@pytest.mark.usefixtures("rarely")
@timeless
async def test_what_nobody_can_ask_about_waits_for_days(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """An order whose answer was lost, and that cannot be asked for, is left to a person after three
    days.
    """
    desk = Desk()

    async def cut(outgoing: PreparedRequest) -> Response:
        if outgoing.method == "POST":
            raise TransportError("cut off")
        return await desk(outgoing)

    async with (
        Pool(Keyless(account="toy"), connection=Wire(cut), journal=file) as pay,
        Notifier(pay, Shop()),
    ):
        with pytest.raises(OutcomeUnknown):
            await collect(pay)
        await asyncio.sleep(2.9 * DAY)
        assert "left to a person" not in caplog.text
        await asyncio.sleep(DAY)
        assert caplog.text.count("left to a person") == 1
    assert desk.looks == []


@timeless
async def test_orders_of_an_account_that_no_notifier_has_are_named(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Orders of unknown accounts are neither looked up nor ended; one ERROR a day counts them."""
    desk = Desk()
    await dead(
        file, order("order-1", account="gone"), order("order-2", account="gone"), order("order-3")
    )
    async with (
        pool(file, desk) as one,
        pool(file, desk) as two,
        Notifier(one, Shop()),
        Notifier(two, Shop()),
    ):
        await asyncio.sleep(600)
    named = [record for record in caplog.records if "no living notifier has" in record.message]
    assert [record.levelno for record in named] == [logging.ERROR]
    assert "gone (2)" in named[0].message
    assert {reference for _, reference in desk.looks} == {"order-3"}


@timeless
async def test_a_look_is_shared_with_a_watch_of_the_caller(file: Path) -> None:
    """A caller that watches the same payment causes no second look-up."""
    desk, alone = Desk(), Desk()
    async with pool(file.with_name("alone.db"), alone) as pay, Notifier(pay, Shop()):
        await collect(pay)
        await asyncio.sleep(100)
    async with pool(file, desk) as pay, Notifier(pay, Shop()):
        watching = asyncio.ensure_future(_watched(pay))
        await asyncio.sleep(100)
        assert abs(len(desk.looks) - len(alone.looks)) <= 1
        desk.status["order-1"] = "OK"
        assert (await watching) is Status.SUCCEEDED


async def _watched(pay: Pool) -> Status:
    return (await pay.watch(await collect(pay), timeout=None)).status


@timeless
async def test_a_drivers_bug_ends_no_watch(file: Path) -> None:
    """A driver's unexpected exception is logged, and look-ups go on."""

    class Buggy(Keyless, frozen=True, kw_only=True):
        async def verify(self, send: Send, payment: Payment) -> Payment:
            if len(calls) < 3:
                calls.append(1)
                raise ZeroDivisionError
            return await super().verify(send, payment)

    calls: list[int] = []
    desk, shop = Desk(), Shop()
    desk.status["order-1"] = "OK"
    async with pool(file, desk, Buggy(account="toy")) as pay, Notifier(pay, shop):
        await collect(pay)
        await asyncio.sleep(200)
    assert shop.told == [("order-1", Status.SUCCEEDED)]


@timeless
async def test_it_ends_with_nothing_left_behind(file: Path) -> None:
    """On exit a notifier releases its orders, and leaves no task, watch or row."""
    desk = Desk()
    async with pool(file, desk) as pay:
        async with Notifier(pay, Shop()) as notifier:
            for number in range(5):
                await collect(pay, f"order-{number}")
            await asyncio.sleep(3)
        assert notifier._order_watcher._orders() == []
        assert pay._engine.watch_registry._by_key == {}
        asked = len(desk.looks)
        await asyncio.sleep(1000)
        assert len(desk.looks) == asked
        async with Notifier(pay, Shop()) as notifier:
            await asyncio.sleep(1)
            assert len(notifier._order_watcher._orders()) == 5
