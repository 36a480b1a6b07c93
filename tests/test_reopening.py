"""A closed pool is entered again, in the same loop or another, with its orders and its ends."""

import asyncio
import contextlib
import logging
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Coroutine
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient

import paymux.watch.schedule
from paymux import (
    CamPay,
    Notifier,
    NotSent,
    Payment,
    Pool,
    SqliteJournal,
    Status,
    Unavailable,
    UsageError,
)
from paymux.simulator import Simulator
from paymux.webhooks import Webhooks

from .notify.world import Desk, Shop, collect, file, pool, rarely, rows
from .toys import BASE, KEY, Keyless, Narrow, Wire, answer, run, timeless

__all__ = ["file", "rarely"]


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Look CamPay's payments up within a blink, where real sockets or threads take part."""
    monkeypatch.setattr(CamPay, "first_look", 0.2)
    monkeypatch.setattr(CamPay, "watch_timeout", 6.0)
    monkeypatch.setattr(paymux.watch.schedule, "PROMPT", (0.2, 1.2, 2.4, 3.6, 4.8, 6.0))


ORDER: dict[str, Any] = {"amount": 500, "currency": "XAF", "payer": "237677777777"}


ENDING = """
import atexit, contextlib, sys
from anyio.from_thread import start_blocking_portal
from paymux import CamPay, Pool

pool = Pool(CamPay(username="someone", password="secret"), journal=sys.argv[1])
ends = contextlib.ExitStack()
atexit.register(print, "closed")
atexit.register(ends.close)
portal = ends.enter_context(start_blocking_portal())
ends.enter_context(portal.wrap_async_context_manager(pool))
"""


def wire(pay: Pool) -> Wire:
    """Give the wire of a toy's pool."""
    found = pay._engine.transport.connection
    assert isinstance(found, Wire)
    return found


@pytest.mark.parametrize("journal", [True, False])
@timeless
async def test_a_closed_pool_is_entered_again(file: Path, *, journal: bool) -> None:
    """It collects as before, and sends no order of before its closing again."""
    pay = pool(file if journal else None)
    for number in range(3):
        async with pay:
            payment = await collect(pay, f"order-{number}")
            again = await collect(pay, f"order-{number}")
            assert again.provider_reference == payment.provider_reference
            assert (await collect(pay, "order-0")).reference == "order-0"
        with pytest.raises(UsageError, match="enter it again"):
            await collect(pay, "order-9")
    assert len(wire(pay).seen) == 3


def in_another_loop(main: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine in a loop of its own."""
    with asyncio.Runner() as runner:
        runner.run(main)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize("journal", [True, False])
async def test_it_is_entered_again_in_another_loop(tmp_path: Path, *, journal: bool) -> None:
    """With a journal's thread and sockets of its own each time, and its watches with them."""
    kept = tmp_path / "payments.db" if journal else None

    async def main(pay: Pool, number: int) -> None:
        async with pay:
            payment = await pay.collect("campay", reference=f"order-{number}", **ORDER)
            await pay.collect("campay", reference="order-0", **ORDER)
            assert (await pay.watch(payment, timeout=30)).status is Status.SUCCEEDED

    async with Simulator(payer_delay=0.0) as sim:
        pay = Pool(sim.driver("campay"), journal=kept)
        for number in range(3):
            await asyncio.to_thread(in_another_loop, main(pay, number))
        assert len(sim.received("campay", "POST /api/collect/")) == 3
    if kept is not None:
        assert [status for _, status, _, _ in rows(kept)] == [Status.SUCCEEDED] * 3


@timeless
async def test_a_watch_of_before_stays_ended_and_a_new_one_is_answered(file: Path) -> None:
    """The closing ends each watch, and entering brings none of them back."""
    desk = Desk()
    pay = pool(file, desk)
    async with pay:
        payment = await collect(pay)
        before = asyncio.ensure_future(pay.watch(payment))
        unused = pay.watch(payment)
        await asyncio.sleep(1)
    async with pay:
        desk.status["order-1"] = "OK"
        for ended in (before, unused):
            with pytest.raises(UsageError, match="closed"):
                await ended
        assert (await pay.watch(payment)).status is Status.SUCCEEDED


@timeless
async def test_a_verb_of_before_sends_nothing_in_the_pool_that_was_entered_again() -> None:
    """It was between two attempts when its pool closed: it ends, though the pool is open."""
    line = Wire(lambda _: answer(503, {"retry-after": "5"}))
    pay = Pool(Keyless(), connection=line)
    async with pay:
        asking = asyncio.create_task(pay.verify("keyless", "p1"))
        await asyncio.sleep(1)
    async with pay:
        with pytest.raises((UsageError, Unavailable)):
            await asking
        assert len(line.seen) == 1


@timeless
async def test_the_same_order_of_before_is_joined_and_not_sent_again() -> None:
    """An order on the wire while its pool closes is still in flight when it is entered again."""
    line = Wire(lambda _: answer(id="id-1", status="WAIT"), after=10.0)
    pay = Pool(Keyless(), connection=line)
    order: dict[str, Any] = {"amount": 500, "currency": "XAF", "reference": "order-1"}
    async with pay:
        first = asyncio.create_task(pay.collect("keyless", **order))
        await asyncio.sleep(1)
    async with pay:
        assert await pay.collect("keyless", **order) == await first
    assert len(line.seen) == 1


@timeless
async def test_an_order_of_before_that_was_not_sent_yet_is_another_workers(file: Path) -> None:
    """A closed journal ends its worker: what was only intended is not sent under the next one."""
    pay = pool(file)
    async with pay:
        await collect(pay)
        book = pay._engine.store.journal
        assert isinstance(book, SqliteJournal)
        first = book._worker.name
    async with pay:
        await collect(pay, "order-2")
        assert book._worker.name not in ("", first)
        assert book._worker.lives(first) is False


@timeless
async def test_a_once_lock_outlives_the_closing(file: Path) -> None:
    """What was completed is never granted again; what was interrupted is."""
    pay = pool(file)
    async with pay:
        payment = await collect(pay)
        async with pay.once(payment, "fulfilled") as turn:
            assert turn
        with contextlib.suppress(ZeroDivisionError):
            async with pay.once(payment, "e-mail"):
                raise ZeroDivisionError
    async with pay:
        async with pay.once(payment, "fulfilled") as turn:
            assert not turn
        async with pay.once(payment, "e-mail") as turn:
            assert turn


@timeless
async def test_a_notifier_is_entered_again_with_its_pool(file: Path) -> None:
    """It watches what was left open, and tells each end once."""
    desk, shop = Desk(), Shop()
    pay = pool(file, desk)
    notifier = Notifier(pay, shop)
    for number in range(3):
        async with pay, notifier:
            await collect(pay, f"order-{number}")
            if number:
                desk.status[f"order-{number - 1}"] = "OK"
                await asyncio.sleep(300)
    assert shop.told == [("order-0", Status.SUCCEEDED), ("order-1", Status.SUCCEEDED)]


@timeless
async def test_a_callback_that_failed_is_called_at_the_next_entry(file: Path) -> None:
    """The pause after a failure was a timer of the loop before: it holds up nothing in the next."""

    async def fail(_: Payment) -> None:
        raise ZeroDivisionError

    desk, shop = Desk(), Shop(fail)
    pay = pool(file, desk)
    notifier = Notifier(pay, shop)
    desk.status["order-1"] = "OK"
    async with pay, notifier:
        await pay.verify(await collect(pay))
        await asyncio.sleep(0.1)
    assert (shop.calls, shop.told) == (1, [])
    async with pay, notifier:
        await asyncio.sleep(0.1)
    assert shop.told == [("order-1", Status.SUCCEEDED)]


@timeless
async def test_a_pool_whose_notifier_was_not_left_is_refused(file: Path) -> None:
    """Such a notifier would watch nothing: the error says so, and leaving it is the way on."""
    pay = pool(file)
    notifier = Notifier(pay, Shop())
    async with pay:
        await notifier.__aenter__()
    with pytest.raises(UsageError, match="Notifier or Webhooks is still entered"):
        await pay.__aenter__()
    await notifier.aclose()
    async with pay, notifier:
        await collect(pay)


@timeless
async def test_a_pool_that_is_being_closed_is_refused() -> None:
    """The closing would take away what was opened: it is awaited first."""

    class Slow(Wire):
        async def aclose(self) -> None:
            await asyncio.sleep(1)

    pay = Pool(Keyless(account="toy"), connection=Slow(Desk()))
    async with pay:
        await collect(pay)
        closing = asyncio.create_task(pay.aclose())
        await asyncio.sleep(0)
        with pytest.raises(UsageError, match="being closed"):
            await pay.__aenter__()
        await closing
    async with pay:
        await collect(pay, "order-2")


async def test_a_closing_that_was_cancelled_is_finished_by_the_next_entry(tmp_path: Path) -> None:
    """The journal's thread ends before another one opens the file."""
    kept = tmp_path / "payments.db"
    pay = pool(kept)
    for number in range(5):
        await pay.__aenter__()
        await collect(pay, f"order-{number}")
        closing = asyncio.create_task(pay.aclose())
        for _ in range(3):
            await asyncio.sleep(0)
        closing.cancel()
        await asyncio.gather(closing, return_exceptions=True)
    await pay.aclose()
    assert len(rows(kept)) == 5


def test_a_pool_can_be_closed_while_the_interpreter_ends(tmp_path: Path) -> None:
    """A loop that a thread runs is often closed by `atexit`, when no other thread begins."""
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", ENDING, str(tmp_path / "payments.db")],
        cwd=Path(__file__).parent.parent,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "closed\n", "")


async def test_a_journal_that_cannot_be_opened_leaves_the_pool_closed(tmp_path: Path) -> None:
    """Its place was taken meanwhile: UsageError at the entry, and nothing is sent."""
    kept = tmp_path / "payments.db"
    pay = pool(kept)
    async with pay:
        await collect(pay)
    kept.unlink()
    with contextlib.closing(sqlite3.connect(kept)) as db:
        db.execute("CREATE TABLE something (other)")
    with pytest.raises(UsageError, match="something else"):
        await pay.__aenter__()
    with pytest.raises((UsageError, NotSent)):
        await collect(pay, "order-2")
    assert len(wire(pay).seen) == 1


# The FastAPI TestClient: each `with` is a server's life, in a thread and a loop of its own.


def create_app(pay: Pool, told: list[tuple[str | None, Status]]) -> FastAPI:
    """Make a shop around a pool, as tests of shops want it."""

    async def on_payment(payment: Payment) -> None:
        told.append((payment.reference, payment.status))

    hooks = Webhooks(pay, on_payment)

    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        async with pay, hooks:
            yield

    app = FastAPI(lifespan=lifespan)
    app.mount("/pay", hooks)

    @app.post("/orders/{reference}")
    async def order(reference: str) -> str:
        return (await pay.collect("campay", reference=reference, **ORDER)).status

    @app.get("/orders/{reference}")
    async def wait(reference: str) -> str:
        payment = Payment(account="campay", kind="collect", reference=reference)
        async for one in pay.payments():
            payment = one if one.reference == reference else payment
        return (await pay.watch(payment, timeout=20)).status

    return app


@pytest.mark.usefixtures("quick")
def test_one_global_pool_serves_each_test_client(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """`with TestClient(app)` twice: orders, webhooks and ends in both, and nothing in the log."""
    caplog.set_level(logging.WARNING)
    sim, told = Simulator(payer_delay=0.05), list[tuple[str | None, Status]]()
    pay = Pool(
        sim.driver("campay"),
        connection=sim.connection,
        journal=tmp_path / "payments.db",
        webhook_base=BASE,
        webhook_key=KEY,
    )
    app = create_app(pay, told)
    for number in range(3):
        with TestClient(app) as client:
            assert client.post(f"/orders/order-{number}").json() == Status.PENDING
            assert client.post("/orders/order-0").json() in (Status.PENDING, Status.SUCCEEDED)
            assert client.get(f"/orders/order-{number}").json() == Status.SUCCEEDED
            assert client.post("/pay/campay/nothing", json={}).status_code == 404
    assert sorted(told) == [(f"order-{number}", Status.SUCCEEDED) for number in range(3)]
    assert sim.ledger.charged() == 1500
    assert caplog.records == []


def test_webhooks_alone_serve_each_test_client() -> None:
    """Without another application around it, its own lifespan opens and closes the pool again."""
    sim = Simulator()
    pay = Pool(sim.driver("campay"), connection=sim.connection, webhook_base=BASE, webhook_key=KEY)
    hooks = Webhooks(pay, Shop())
    for _ in range(3):
        with TestClient(hooks) as client:
            assert client.post("/campay/nothing", json={}).status_code == 404


@timeless
async def test_an_order_that_waits_while_the_pool_is_closed_is_not_sent() -> None:
    """What waits for the rate limit sends nothing after the closing, nor if it is entered again."""
    line = Wire(lambda _: answer(id="p1", status="WAIT"))
    pay = Pool(Narrow(), connection=line)
    for again in (False, True):
        async with pay:
            for number in range(2):
                await pay.collect("narrow", **ORDER, reference=f"order-{again}-{number}")
            waits = asyncio.create_task(pay.collect("narrow", **ORDER, reference=f"late-{again}"))
            await asyncio.sleep(0.2)
        sent = len(line.seen)
        if again:
            await pay.__aenter__()
        with pytest.raises(UsageError, match="the pool was closed"):
            await waits
        assert len(line.seen) == sent
        await pay.aclose()
        await asyncio.sleep(20)


@pytest.mark.parametrize("steps", range(1, 12))
async def test_a_pool_that_is_closed_while_it_is_entered_is_closed(file: Path, steps: int) -> None:
    """The entry says so, and no pool is open over a closed journal."""
    pay = pool(file)
    entry = asyncio.create_task(pay.__aenter__())
    for _ in range(steps):
        await asyncio.sleep(0)
    await pay.aclose()
    with contextlib.suppress(UsageError):
        await entry
    with pytest.raises(UsageError, match="it is closed"):
        await collect(pay)
    async with pay:
        await collect(pay)


def test_a_notifier_of_an_ended_loop_is_closed_beside_its_successor() -> None:
    """Closing it late takes no end away from the notifier that was entered since."""
    state = {"status": "WAIT"}
    heard: list[str] = []
    pay = Pool(Keyless(), connection=Wire(lambda _: answer(id="p1", status=state["status"])))

    async def on_old(payment: Payment) -> None:
        heard.append(f"old {payment.status}")

    async def on_new(payment: Payment) -> None:
        heard.append(f"new {payment.status}")

    old, new = Notifier(pay, on_old), Notifier(pay, on_new)

    async def one() -> None:
        async with pay:
            await old.__aenter__()

    async def two() -> None:
        async with pay, new:
            await old.aclose()
            await pay.collect("keyless", **ORDER, reference="order-1")
            state["status"] = "OK"
            await asyncio.sleep(1000)

    in_another_loop(one())
    run(two())
    assert heard == ["new succeeded"]


async def test_a_pool_in_use_by_another_running_loop_is_not_closed_here() -> None:
    """Its connections and tasks belong to that loop, and only there they can be ended."""
    pay = Pool(Keyless(), connection=Wire(lambda _: answer(id="p1", status="WAIT")))
    async with pay:

        async def close() -> None:
            with pytest.raises(UsageError, match="another running loop"):
                await pay.aclose()

        await asyncio.to_thread(asyncio.run, close())
        await pay.collect("keyless", **ORDER, reference="order-1")
