"""Each end is delivered: at least once, never twice at a time, and never an older status."""

import asyncio
import logging
import re
import sqlite3
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

import paymux.journal.tables.unnotified
from paymux import Mismatch, Notifier, Payment, Pool, SqliteJournal, Status, UsageError
from paymux.journal.base import order_key
from paymux.testing import virtual_time
from paymux.webhooks import Webhooks

from ..toys import BASE, KEY, Keyless, Wire, answer, now, push, timeless
from .world import Desk, Inline, Shop, collect, dead, file, kill, order, pool, rarely, rows, run_sql

__all__ = ["file", "rarely"]

PAID = [("order-1", Status.SUCCEEDED)]


async def boom(_: Payment) -> None:
    """Fail as an application does without its database."""
    raise RuntimeError("no database")


async def by_watch(pay: Pool, payment: Payment) -> None:
    """Find the end by a watch."""
    await pay.watch(payment)


async def by_verify(pay: Pool, payment: Payment) -> None:
    """Find it by verify."""
    await pay.verify(payment)


async def by_thousands(pay: Pool, payment: Payment) -> None:
    """Find it in bulk."""
    await pay.verify_many([payment])


async def by_message(pay: Pool, payment: Payment) -> None:
    """Find it by a message, which the application's own route confirms."""
    path = pay.webhook_url("toy", payment.reference)
    await pay.confirm(pay.webhook(push(path=path, id=payment.provider_reference, status="OK")))


async def by_recover(pay: Pool, payment: Payment) -> None:
    """Find it after a restart."""
    _ = [one async for one in pay.recover()]


async def by_nobody(pay: Pool, payment: Payment) -> None:
    """Do nothing: only the notifier finds the end."""


WAYS = [by_watch, by_verify, by_thousands, by_message, by_recover, by_nobody]


@pytest.mark.parametrize("find_out", WAYS, ids=lambda way: way.__name__)
@pytest.mark.parametrize("kept", [True, False], ids=["journal", "memory"])
@timeless
async def test_an_end_is_delivered_however_it_was_found(
    file: Path, find_out: Callable[[Pool, Payment], Awaitable[None]], kept: bool
) -> None:
    """Whatever finds the end (watch, verify, bulk, message, notifier), on_payment gets it once."""
    desk, shop = Desk(), Shop()
    pay = pool(file if kept else None, desk, webhook_base=BASE, webhook_key=KEY)
    async with pay, Notifier(pay, shop):
        payment = await collect(pay)
        await asyncio.sleep(0.1)
        desk.status["order-1"] = "OK"
        if kept or find_out is not by_recover:
            await find_out(pay, payment)
        await asyncio.sleep(130)
        assert shop.told == PAID


@pytest.mark.parametrize("find_out", [by_verify, by_recover, by_message])
@timeless
async def test_what_was_found_out_without_a_notifier_is_told_by_the_next(
    file: Path, find_out: Callable[[Pool, Payment], Awaitable[None]]
) -> None:
    """An end stored by a process without a notifier is delivered when a notifier is entered."""
    desk, shop = Desk(), Shop()
    async with pool(file, desk, webhook_base=BASE, webhook_key=KEY) as pay:
        payment = await collect(pay)
        desk.status["order-1"] = "OK"
        await find_out(pay, payment)
        assert rows(file) == [("order-1", "succeeded", None, "accepted")]
        async with Notifier(pay, shop):
            await asyncio.sleep(1)
            assert shop.told == PAID
    assert rows(file) == [("order-1", "succeeded", "succeeded", "accepted")]


@timeless
async def test_each_state_is_told_in_order(file: Path) -> None:
    """A failure, the late success after it and the refund after that are delivered, each once."""
    desk, shop = Desk(), Shop()
    async with pool(file, desk) as pay, Notifier(pay, shop):
        payment = await collect(pay)
        for word in ("NO", "NO", "OK", "OK", "BACK", "BACK"):
            desk.status["order-1"] = word
            await pay.verify(payment)
            await asyncio.sleep(1)
    told = [Status.FAILED, Status.SUCCEEDED, Status.REFUNDED]
    assert shop.told == [("order-1", status) for status in told]


@pytest.mark.parametrize("kept", [True, False], ids=["journal", "memory"])
@timeless
async def test_a_state_that_was_overtaken_is_never_told(file: Path, kept: bool) -> None:
    """If SUCCEEDED comes while on_payment fails for FAILED, only the success is delivered."""
    desk, shop = Desk(), Shop(boom, boom)
    async with pool(file if kept else None, desk) as pay, Notifier(pay, shop):
        payment = await collect(pay)
        desk.status["order-1"] = "NO"
        await pay.verify(payment)
        await asyncio.sleep(2)
        assert (shop.calls, shop.told) == (2, [])
        desk.status["order-1"] = "OK"
        await pay.verify(payment)
        await asyncio.sleep(1000)
    assert shop.told == PAID


@timeless
async def test_a_state_that_comes_during_a_telling_is_told_after_it(file: Path) -> None:
    """A status that comes during on_payment is delivered next, and never in parallel."""
    desk = Desk()

    async def slow(_: Payment) -> None:
        desk.status["order-1"] = "OK"
        await pay.verify(payment)
        await asyncio.sleep(20)

    shop = Shop(slow)
    async with pool(file, desk) as pay, Notifier(pay, shop):
        payment = await collect(pay)
        desk.status["order-1"] = "NO"
        await pay.verify(payment)
        await asyncio.sleep(30)
    assert shop.told == [("order-1", Status.FAILED), ("order-1", Status.SUCCEEDED)]


@timeless
async def test_a_failed_delivery_is_repeated_ever_more_rarely(file: Path) -> None:
    """A failing callback is called again after 1, 2, 4 … seconds, up to five minutes."""
    desk, shop = Desk(), Shop(*[boom] * 12)
    async with pool(file, desk) as pay, Notifier(pay, shop):
        payment = await collect(pay)
        desk.status["order-1"] = "OK"
        await pay.verify(payment)
        await asyncio.sleep(300)
        assert 7 <= shop.calls <= 10
        await asyncio.sleep(3000)
    assert shop.told == PAID


@timeless
async def test_a_shop_that_fails_in_one_process_is_told_in_another(file: Path) -> None:
    """If callbacks fail in one worker, another worker delivers within seconds, and once."""
    broken, good, desk = Shop(*[boom] * 1000), Shop(), Desk()
    async with (
        pool(file, desk) as one,
        pool(file, desk) as two,
        Notifier(one, broken),
        Notifier(two, good),
    ):
        payment = await collect(one)
        desk.status["order-1"] = "OK"
        await one.verify(payment)
        await asyncio.sleep(15)
        assert (broken.told, good.told) == ([], PAID)
        calls = broken.calls
        await asyncio.sleep(1000)
        assert (broken.calls, good.calls) == (calls, 1)


@pytest.mark.slow
@timeless
async def test_many_that_fail_hold_up_no_other(file: Path) -> None:
    """A hundred and fifty failing deliveries do not delay the next one."""
    desk, told = Desk(), list[str]()

    async def on_payment(payment: Payment) -> None:
        assert payment.reference is not None
        if payment.reference.startswith("bad"):
            raise RuntimeError(payment.reference)
        told.append(payment.reference)

    book = [order(f"bad-{number}") for number in range(150)]
    await dead(file, *book)
    async with pool(file, desk) as pay, Notifier(pay, on_payment):
        for payment in book:
            desk.status[payment.reference or ""] = "OK"
        await asyncio.sleep(60)
        payment = await collect(pay, "good")
        desk.status["good"] = "OK"
        await pay.verify(payment)
        await asyncio.sleep(0.5)
        assert told == ["good"]


async def hang(_: Payment) -> None:
    """Never return."""
    await asyncio.sleep(10_000)


@timeless
async def test_a_worker_that_died_in_a_telling_is_replaced(file: Path) -> None:
    """A worker killed in on_payment, or before it, is replaced by another within 30 s."""
    desk, shop = Desk(), Shop()
    one = pool(file, desk)
    dying = Notifier(one, hang)
    await dying.__aenter__()
    payment = await collect(one)
    desk.status["order-1"] = "OK"
    await one.verify(payment)
    await asyncio.sleep(1)
    async with pool(file, desk) as two, Notifier(two, shop):
        await asyncio.sleep(20)
        assert shop.told == []  # its worker is alive
        kill(one, dying)
        killed = now()
        while not shop.told:
            await asyncio.sleep(0.1)
        assert now() - killed < 30
    assert shop.told == PAID


@timeless
async def test_a_loop_that_is_slow_is_not_told_over(file: Path) -> None:
    """A worker whose loop is blocked for minutes is alive: no other delivers in parallel."""
    desk, shop = Desk(), Shop()
    one, two = pool(file, desk), pool(file, desk)
    slow = Notifier(one, hang)
    async with one, two, slow:
        payment = await collect(one)
        desk.status["order-1"] = "OK"
        await one.verify(payment)
        await asyncio.sleep(1)
        run_sql(file, "UPDATE notifiers SET beat = beat - 3600")
        slow._next = float("inf")
        async with Notifier(two, shop):
            await asyncio.sleep(50)
            assert shop.calls == 0


@timeless
async def test_the_end_of_a_telling_is_written_as_soon_as_it_can_be(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the file is locked when on_payment returns, the call is not repeated."""
    desk = Desk()

    async def locked(_: Payment) -> None:
        monkeypatch.setattr(Inline, "broken", True)

    shop = Shop(locked)
    async with pool(file, desk) as pay, Notifier(pay, shop):
        payment = await collect(pay)
        desk.status["order-1"] = "OK"
        await pay.verify(payment)
        await asyncio.sleep(100)
        assert rows(file)[0][2] is None
        monkeypatch.setattr(Inline, "broken", False)
        await asyncio.sleep(100)
        assert rows(file)[0][2] == "succeeded"
    assert shop.calls == 1


@timeless
async def test_payouts_and_refunds_are_told_only_by_name(file: Path) -> None:
    """Payouts and refunds are delivered only to an application that named these kinds."""
    desk, collects, all_kinds = Desk(), Shop(), Shop()
    async with pool(file, desk) as pay:
        async with Notifier(pay, collects):
            payment = await collect(pay)
            paid = await pay.payout(
                "toy", amount=5, currency="XAF", payee="237677777777", reference="order-1"
            )
            desk.status["order-1"] = "NO"
            await pay.verify(msgspec.structs.replace(paid, status=Status.PENDING))
            await asyncio.sleep(10)
            assert set(collects.kinds) <= {"collect"}
            desk.status["order-1"] = "OK"
            await pay.verify(payment)
            await asyncio.sleep(10)
        assert collects.told[-1:] == PAID
        assert set(collects.kinds) == {"collect"}
        async with Notifier(pay, all_kinds, kinds=("collect", "payout", "refund")):
            await asyncio.sleep(10)
            assert all_kinds.kinds == ["payout"]
            assert all_kinds.told == [("order-1", Status.FAILED)]


@pytest.mark.parametrize(
    "kinds",
    [
        5,
        None,
        {"collect": 1},
        [[]],
        "collect",
        (),
        ("collects",),
        ("collect", None),
        ("money",),
        (1,),
    ],
)
async def test_a_wrong_kind_is_named(kinds: object) -> None:
    """An unknown kind of payment is refused where the notifier is made."""
    made = Pool(Keyless(), webhook_base=BASE, webhook_key=KEY)
    for make in (Notifier, Webhooks):
        with pytest.raises(UsageError, match="kinds"):
            make(made, Shop(), kinds=kinds)  # type: ignore[arg-type]  # that is the test


@pytest.mark.parametrize("days", [0, -1, True, None, "3", float("nan"), float("inf"), 10**400])
async def test_what_cannot_be_meant_is_refused(days: object) -> None:
    """A wrong number of days, no pool, or no callable is UsageError where the notifier is made."""
    made = Pool(Keyless(), webhook_base=BASE, webhook_key=KEY)
    for make in (Notifier, Webhooks):
        with pytest.raises(UsageError, match="watch_days"):
            make(made, Shop(), watch_days=days)  # type: ignore[arg-type]  # that is the test
        with pytest.raises(UsageError, match="on_payment"):
            make(made, days)  # type: ignore[arg-type]  # that is the test
        with pytest.raises(UsageError, match="pool"):
            make(days, Shop())  # type: ignore[arg-type]  # that is the test


@timeless
async def test_a_second_one_on_a_pool_is_refused(file: Path) -> None:
    """Two notifiers of a pool, or webhooks next to one, would deliver twice and are refused."""
    async with pool(file, webhook_base=BASE, webhook_key=KEY) as pay:
        for second in (Notifier(pay, Shop()), Webhooks(pay, Shop())):
            async with Notifier(pay, Shop()):
                with pytest.raises(UsageError, match="already"):
                    await second.__aenter__()
            async with second:
                with pytest.raises(UsageError, match="already"):
                    await Notifier(pay, Shop()).__aenter__()


@timeless
async def test_a_message_waits_for_the_telling_and_no_longer(file: Path) -> None:
    """A message is acknowledged after its end was delivered; a failure is left to the outbox."""
    desk, shop = Desk(), Shop(boom)
    async with pool(file, desk, webhook_base=BASE, webhook_key=KEY) as pay:
        hooks = Webhooks(pay, shop)
        async with hooks:
            await collect(pay)
            desk.status["order-1"] = "OK"
            message = push(path=pay.webhook_url("toy", "order-1"), id="id-order-1", status="OK")
            assert (await hooks.answer(message)).status == 200
            assert shop.calls == 1
            assert hooks._processor._pending == {}
            await asyncio.sleep(10)
            assert shop.told == PAID
            assert (await hooks.answer(message)).status == 200
            assert shop.calls == 2


@pytest.mark.usefixtures("rarely")
@timeless
async def test_a_persons_word_is_told_like_any_other(file: Path) -> None:
    """A person's decision is delivered at once, and the notifier stops its look-ups."""
    desk, shop = Desk(), Shop()
    await dead(file, order(created_at=datetime.now(UTC) - timedelta(days=1)))
    async with pool(file, desk) as pay, Notifier(pay, shop):
        await asyncio.sleep(5)
        (payment,) = [one async for one in pay.payments()]
        await pay.resolve(payment, Status.FAILED, because="the statement has no such payment")
        await asyncio.sleep(1)
        assert shop.told == [("order-1", Status.FAILED)]
        asked = len(desk.looks)
        await asyncio.sleep(100_000)
        assert len(desk.looks) == asked


# Old journals, and retention.


def aged(file: Path, days: float) -> None:
    """Make the journal's content `days` days old."""
    when = (datetime.now(UTC) - timedelta(days=days)).isoformat(timespec="microseconds")
    run_sql(file, "UPDATE payments SET updated_at = ?", when)
    run_sql(file, "UPDATE facts SET at = ?", when)


@pytest.mark.parametrize(("days", "told"), [(2.9, PAID), (3.1, [])])
@timeless
async def test_the_first_notifier_begins_three_days_back(
    file: Path, days: float, told: object
) -> None:
    """If no notifier ever ran, payments that ended more than three days ago count as delivered."""
    desk, shop = Desk(), Shop()
    async with pool(file, desk) as pay:
        payment = await collect(pay)
        desk.status["order-1"] = "OK"
        await pay.verify(payment)
        aged(file, days)
        async with Notifier(pay, shop):
            await asyncio.sleep(10)
    assert shop.told == told


@timeless
async def test_once_one_was_entered_what_is_untold_stays(file: Path) -> None:
    """Ends from a time without a notifier are delivered by the next one; `keep_days` keeps them."""
    desk, shop = Desk(), Shop()
    async with pool(file, desk) as pay:
        async with Notifier(pay, Shop()):
            payment = await collect(pay)
        desk.status["order-1"] = "OK"
        await pay.verify(payment)
    aged(file, 400)
    async with pool(file, desk) as pay:
        await collect(pay, "young")  # something new: without it the file's last time is old, too
    kept = Pool(
        Keyless(account="toy"), connection=Wire(desk), journal=SqliteJournal(file, keep_days=1)
    )
    async with kept as pay, Notifier(pay, shop):
        await asyncio.sleep(10)
        assert shop.told == PAID
    async with Pool(Keyless(), journal=SqliteJournal(file, keep_days=1)) as pay:
        _ = [one async for one in pay.payments()]
    assert [reference for reference, *_ in rows(file)] == ["young"]


@timeless
async def test_untold_ends_are_named_once_a_day(
    file: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Without a live notifier, a worker logs once a day how many ends wait, and for how long."""
    desk = Desk()
    async with pool(file, desk) as pay:
        async with Notifier(pay, Shop()):
            payment = await collect(pay)
        desk.status["order-1"] = "OK"
        await pay.verify(payment)
    aged(file, 2.5)
    for number in range(3):
        async with pool(file, desk) as other:
            await collect(other, f"other-{number}")
    named = [record for record in caplog.records if "has not heard" in record.message]
    assert [record.levelno for record in named] == [logging.ERROR]
    assert "1 payments (collect)" in named[0].message
    assert "60.0 h" in named[0].message


@timeless
async def test_a_turn_of_the_release_before_counts(file: Path) -> None:
    """Ends that a worker of release 0.1 delivered, or is delivering, are not repeated."""
    desk, shop = Desk(), Shop()
    old = SqliteJournal(file)
    async with pool(file, desk) as pay:
        for reference, done in (("done", True), ("doing", False)):
            payment = await collect(pay, reference)
            desk.status[reference] = "OK"
            await pay.verify(payment)
            assert await old.take_turn(payment, "on_payment succeeded", "caller")
            if done:
                await old.end_turn(payment, "on_payment succeeded", "caller", done=True)
        async with Notifier(pay, shop):
            await asyncio.sleep(10)
            assert shop.told == []
            await old.aclose()
            await asyncio.sleep(10)
            assert shop.told == [("doing", Status.SUCCEEDED)]


def test_what_ended_before_the_upgrade_counts_as_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """In a file of release 0.1 ended rows count as delivered, with one INFO; open rows join."""
    caplog.set_level(logging.INFO, "paymux")
    path = tmp_path / "payments.db"
    db = sqlite3.connect(path, isolation_level=None)
    for statement in re.sub("--.*", "", paymux.journal.sqlite.schema.MIGRATIONS[0]).split(";"):
        db.execute(statement)
    for number, status in enumerate(["succeeded", "failed", "pending"]):
        payment = order(f"order-{number}", status=Status(status))
        key, text = order_key(payment), msgspec.json.encode(payment).decode()
        db.execute(
            "INSERT INTO payments (account, kind, reference, state, status, digest, payment,"
            " created_at, updated_at)"
            " VALUES (?, ?, ?, 'accepted', ?, '', ?, '2026-01-01', '2026-01-01')",
            (*key, status, text),
        )
    db.execute("PRAGMA user_version = 1")
    db.close()
    shop, desk = Shop(), Desk()
    desk.status["order-2"] = "OK"

    async def use() -> None:
        async with virtual_time(), pool(path, desk) as pay, Notifier(pay, shop):
            while not shop.told:
                await asyncio.sleep(0.5)

    asyncio.run(use())
    assert shop.told == [("order-2", Status.SUCCEEDED)]
    assert caplog.text.count("2 payments that had ended count as told") == 1


async def test_a_process_whose_loop_ended_owns_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A loop that ended during a delivery, in a process that goes on, is replaced."""
    monkeypatch.setattr(paymux.journal.sqlite.batch_runner, "PULSE_SECONDS", 0.05)
    path, desk, shop = tmp_path / "payments.db", Desk(), Shop()
    desk.status["order-1"] = "OK"
    loop, stuck, one_pool = asyncio.new_event_loop(), asyncio.Event(), list[Pool]()

    async def hang(_: Payment) -> None:
        stuck.set()
        await asyncio.sleep(3600)

    async def begin() -> None:
        one = pool(path, desk)
        one_pool.append(one)
        await Notifier(one, hang).__aenter__()
        await one.verify(await collect(one))
        await stuck.wait()

    await asyncio.get_running_loop().run_in_executor(None, loop.run_until_complete, begin())
    monkeypatch.setattr(paymux.core.notify.notifier, "SCAN_SECONDS", 0.05)
    async with pool(path, desk) as two, Notifier(two, shop), asyncio.timeout(20):
        while not shop.told:
            await asyncio.sleep(0.02)
    assert shop.told == PAID

    async def end() -> None:
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        await one_pool[0].aclose()

    await asyncio.get_running_loop().run_in_executor(None, loop.run_until_complete, end())
    loop.close()


@timeless
async def test_a_row_that_cannot_be_read_holds_up_no_other(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """An unreadable row is named once, and later ends are delivered."""
    desk, shop = Desk(), Shop()
    async with pool(file, desk) as pay:
        for reference in ("bad", "order-1"):
            payment = await collect(pay, reference)
            desk.status[reference] = "OK"
            await pay.verify(payment)
        run_sql(file, "UPDATE payments SET payment = '{' WHERE reference = 'bad'")
        async with Notifier(pay, shop):
            await asyncio.sleep(60)
    assert shop.told == PAID
    assert caplog.text.count("cannot be told") == 1


@timeless
async def test_a_mismatch_tells_nobody(file: Path) -> None:
    """A failure reported after a success is a Mismatch for the caller, and is not delivered."""
    desk, shop = Desk(), Shop()
    async with pool(file, desk) as pay, Notifier(pay, shop):
        payment = await collect(pay)
        desk.status["order-1"] = "OK"
        paid = await pay.verify(payment)
        await asyncio.sleep(1)
        desk.replies["order-1"] = answer(id="id-order-1", status="NO")
        with pytest.raises(Mismatch):
            await pay.verify(paid)
        await asyncio.sleep(100)
    assert shop.told == PAID


@timeless
async def test_a_bug_ends_no_notifier(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After any error in a round, which is logged, the next round goes on."""
    desk, shop, troubles = Desk(), Shop(), [ZeroDivisionError(), RecursionError()]
    untold = paymux.journal.tables.unnotified.Unnotified.claim_some

    def claim(*given: Any) -> list[Payment]:
        if troubles:
            raise troubles.pop()
        return untold(*given)

    async with pool(file, desk) as pay, Notifier(pay, shop):
        monkeypatch.setattr(paymux.journal.tables.unnotified.Unnotified, "claim_some", claim)
        await collect(pay)
        desk.status["order-1"] = "OK"
        await asyncio.sleep(60)
    assert (shop.told, troubles) == (PAID, [])


def test_one_pool_in_several_loops_tells_in_each(tmp_path: Path) -> None:
    """A pool that is used from several loops in turn may have its notifier in each."""
    desk, shop = Desk(), Shop()
    pay = pool(tmp_path / "payments.db", desk)

    async def sell(reference: str) -> None:
        async with Notifier(pay, shop):
            payment = await collect(pay, reference)
            desk.status[reference] = "OK"
            await pay.verify(payment)
            while shop.told[-1:] != [(reference, Status.SUCCEEDED)]:
                await asyncio.sleep(0.01)

    for number in range(3):
        asyncio.run(sell(f"order-{number}"))
    asyncio.run(pay.aclose())
    assert len(shop.told) == 3
