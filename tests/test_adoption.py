"""Payments that came by themselves: proved, adopted as payments of their own, and told once."""

import asyncio
import contextlib
import json
import logging
import random
import sqlite3
from collections import Counter
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, Literal

import pytest
from msgspec.structs import replace

import paymux.core.notify.notifier
import paymux.core.notify.unconfirmed
from paymux import Notifier, OutcomeUnknown, Payment, Pool, Status, UsageError
from paymux.http import Response, WebhookRequest
from paymux.primitives.clock import wall_time
from paymux.simulator import Fault, Simulator
from paymux.simulator.ledger import Entry

from .adopting import EAT, SHORTCODE, Books, Shop
from .campaigns.simulation import LoopJournal
from .driving import sample
from .toys import timeless

PAYER, OTHER = "254708374144", "254712345678"
MASKED = "2547 ***** 678"
ORDER: dict[str, Any] = {
    "amount": 500,
    "currency": "KES",
    "payer": PAYER,
    "reference": "order-1042",
}
Hear = Literal["confirmation", "bare"]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return the path of the journal."""
    return tmp_path / "payments.db"


@pytest.fixture
def sim() -> Simulator:
    """Return a simulator that sends no confirmation of a push."""
    made = Simulator()
    made.mpesa.c2b.twins = "no"
    return made


@pytest.fixture
def rarely(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a notifier look every ten minutes, where a test lets days pass."""
    monkeypatch.setattr(paymux.core.notify.notifier, "SCAN_SECONDS", 600.0)
    monkeypatch.setattr(paymux.core.notify.unconfirmed, "SCAN_SECONDS", 600.0)


@pytest.fixture(params=["sure", "unsure"])
def times(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the list's times have a zone, or none, so that a row has no time."""
    monkeypatch.setattr(Shop, "dated", request.param == "sure")


def receipt_of(entry: Entry) -> str:
    """Return the receipt of a payment."""
    return str(entry.words["receipt"])


async def confirm(shop: Shop, number: str, *, use: Hear = "confirmation", **more: str) -> Response:
    """Post a confirmation of 500, as any sender may."""
    body = {**sample("mpesa", "c2b_confirmation"), "TransID": number, "TransAmount": "500.00"}
    body |= {"BillRefNumber": "rent", "MSISDN": MASKED, "BusinessShortCode": SHORTCODE}
    body |= {"TransTime": f"{wall_time() + EAT:%Y%m%d%H%M%S}", **more}
    url = shop.pool.webhook_url("mpesa", use=None if use == "bare" else "confirmation")
    return await shop.hooks.answer(WebhookRequest(path=url, body=json.dumps(body).encode()))


@pytest.mark.parametrize("bare", [False, True])
@timeless
async def test_a_proved_payment_is_adopted_and_told_once(
    file: Path, sim: Simulator, bare: bool
) -> None:
    """Two minutes after its confirmation, on_payment is told of it as a payment of its own."""
    async with Shop(file, sim) as shop:
        shop.register(bare=bare)
        receipt = receipt_of(sim.mpesa.pays(bill="rent 7", amount=500, msisdn=OTHER))
        await asyncio.sleep(110)
        assert shop.books.paid == []
        await asyncio.sleep(40)
        (paid,) = shop.books.paid
        assert (paid.reference, paid.kind, paid.status, paid.amount, paid.currency) == (
            f"c2b.{receipt}",
            "collect",
            Status.SUCCEEDED,
            Decimal(500),
            "KES",
        )
        assert (paid.receipt, paid.provider_reference) == (receipt, receipt)
        assert (paid.bill_reference, paid.payer) == ("rent 7", OTHER)
        assert paid.paid_at is not None
        await asyncio.sleep(7200)
        assert [one async for one in shop.pool.unconfirmed()] == []
    assert (shop.books.told(), shop.books.unconfirmed) == ({f"c2b.{receipt}": 1}, [])
    with contextlib.closing(sqlite3.connect(file)) as db:
        assert db.execute("SELECT source, state FROM facts").fetchall() == [("found", "accepted")]


@timeless
async def test_a_payment_that_is_about_to_be_adopted_is_not_for_a_person(
    file: Path, sim: Simulator
) -> None:
    """`unconfirmed` does not list it while it waits and is proved; one without a proof it does."""
    async with Shop(file, sim) as shop:
        shop.register()
        sim.mpesa.pays(bill="rent", amount=500)
        await confirm(shop, "RKL51ZDR4F")
        for _ in range(16):
            await asyncio.sleep(10)
            assert [one async for one in shop.pool.unconfirmed()] == []
        assert len(shop.books.paid) == 1
        await asyncio.sleep(30)
        (left,) = [one async for one in shop.pool.unconfirmed()]
        assert left.claims.receipt == "RKL51ZDR4F"


@timeless
async def test_an_adopted_payment_works_with_the_pools_verbs(file: Path, sim: Simulator) -> None:
    """It has a row: once, payments, verify and watch work; another order cannot have its name."""
    async with Shop(file, sim) as shop:
        shop.register()
        receipt = receipt_of(sim.mpesa.pays(bill="rent", amount=500))
        await asyncio.sleep(150)
        (paid,) = shop.books.paid
        async with shop.pool.once(paid, "credited") as turn:
            assert turn
        async with shop.pool.once(paid, "credited") as again:
            assert not again
        assert (await shop.pool.verify(paid)).status is Status.SUCCEEDED
        assert (await shop.pool.watch(paid)).status is Status.SUCCEEDED
        assert [*await shop.rows()] == [f"c2b.{receipt}"]
        assert [one async for one in shop.pool.recover()] == []


@pytest.mark.parametrize("verb", ["collect", "payout", "refund"])
@timeless
async def test_no_order_has_the_name_of_an_adopted_payment(
    file: Path, sim: Simulator, verb: str
) -> None:
    """A reference that begins with c2b. is refused for every account, before anything is sent."""
    async with Shop(file, sim, adopt_c2b=False) as shop:
        paid = Payment(account="mpesa", receipt="RKL51ZDR4F", amount=Decimal(500), currency="KES")
        named: dict[str, Any] = {"amount": 500, "reference": "c2b.RKL51ZDR4F"}
        calls = {
            "collect": partial(shop.pool.collect, "mpesa", payer=PAYER, currency="KES", **named),
            "payout": partial(shop.pool.payout, "mpesa", payee=PAYER, currency="KES", **named),
            "refund": partial(shop.pool.refund, paid, **named),
        }
        with pytest.raises(UsageError, match="reference") as refused:
            await calls[verb]()
    assert refused.value.name == "reference"
    assert "c2b." in (refused.value.accepted or "")
    assert sim.requests == []


@timeless
async def test_nothing_is_adopted_unless_it_is_switched_on(file: Path, sim: Simulator) -> None:
    """Without the switch, a confirmation is reported to on_unconfirmed, and nothing is asked."""
    async with Shop(file, sim, adopt_c2b=False) as shop:
        shop.register()
        sim.mpesa.pays(bill="rent", amount=500)
        await asyncio.sleep(7200)
    assert shop.books.paid == []
    assert [one.claims.reference for one in shop.books.unconfirmed] == ["rent"]
    assert sim.requests == []


def test_adopting_needs_a_journal(sim: Simulator) -> None:
    """In memory a restart would tell a payment again: without a journal it is refused."""
    with pytest.raises(UsageError, match="journal"):
        Shop(None, sim)


@timeless
async def test_what_cannot_be_proved_yet_is_reported_and_adopted_later(
    file: Path, sim: Simulator
) -> None:
    """A receipt that the list does not have yet is no lie: it is asked for again."""
    sim.mpesa.pull.lag = 1800.0
    async with Shop(file, sim) as shop:
        shop.register()
        receipt = receipt_of(sim.mpesa.pays(bill="rent", amount=500))
        await asyncio.sleep(600)
        assert (len(shop.books.unconfirmed), shop.books.paid) == (1, [])
        await asyncio.sleep(3600)
        assert [one async for one in shop.pool.unconfirmed()] == []
    assert shop.books.told() == {f"c2b.{receipt}": 1}
    assert len(shop.books.unconfirmed) == 1


@timeless
async def test_what_a_person_dealt_with_is_never_told_again(file: Path, sim: Simulator) -> None:
    """Neither a later proof, nor the sweep, nor the same confirmation tells it again."""
    sim.mpesa.pull.lag = 900.0
    async with Shop(file, sim) as shop:
        shop.register()
        receipt = receipt_of(sim.mpesa.pays(bill="rent", amount=500))
        await asyncio.sleep(300)
        (event,) = shop.books.unconfirmed
        await shop.pool.dealt_with(event, because="credited by hand")
        await asyncio.sleep(3600)
        await confirm(shop, receipt)
        await confirm(shop, receipt, TransAmount="499.00")
        await asyncio.sleep(7200)
    async with Shop(file, sim, shop.books) as again:
        await asyncio.sleep(7200)
    assert again.books.paid == []
    assert len(again.books.unconfirmed) == 1


@timeless
async def test_what_came_before_it_was_switched_on_stays_a_persons(
    file: Path, sim: Simulator, times: None
) -> None:
    """What was reported or lost before the journal first adopted is not told afterwards."""
    async with Shop(file, sim, adopt_c2b=False) as shop:
        sim.mpesa.pays(bill="lost", amount=300)
        await asyncio.sleep(1)
        shop.register()
        sim.mpesa.pays(bill="rent", amount=500)
        await asyncio.sleep(600)
        assert len(shop.books.unconfirmed) == 1
    async with Shop(file, sim, shop.books) as on:
        await asyncio.sleep(7200)
        receipt = receipt_of(sim.mpesa.pays(bill="new", amount=40))
        await asyncio.sleep(600)
    assert on.books.told() == {f"c2b.{receipt}": 1}
    assert len(on.books.unconfirmed) == 1


@pytest.mark.parametrize("use", ["confirmation", "bare"])
@timeless
async def test_only_the_confirmations_own_address_is_a_proof(
    file: Path, sim: Simulator, use: Hear
) -> None:
    """trust_confirmations believes what came to the secret address, never to the account's hook."""
    async with Shop(file, sim, trust_confirmations=True) as shop:
        sim.mpesa.pull.registered.clear()
        await confirm(shop, "RKL51ZDR4F", use=use)
        await asyncio.sleep(600)
    adopted = {"c2b.RKL51ZDR4F": 1} if use == "confirmation" else {}
    assert shop.books.told() == adopted
    assert len(shop.books.unconfirmed) == (0 if adopted else 1)


@pytest.mark.parametrize("use", ["confirmation", "bare"])
@timeless
async def test_a_forged_confirmation_is_never_adopted(
    file: Path, sim: Simulator, use: Hear, rarely: None
) -> None:
    """What the list does not have is asked for rarely, for two days, and never believed."""
    async with Shop(file, sim) as shop:
        await confirm(shop, "FORGED0001", use=use)
        await asyncio.sleep(90 * 3600)
        asked = sum("pulltransactions" in one.path for one in sim.requests)
        sweeps = 90 * 6 + 1
        assert asked - sweeps < 30  # each question reads the list in two zones
    assert shop.books.paid == []
    assert len(shop.books.unconfirmed) == 1


@timeless
async def test_the_providers_amount_counts_not_the_messages(file: Path, sim: Simulator) -> None:
    """A message about a real receipt with another amount and account: the list's are adopted."""
    async with Shop(file, sim) as shop:
        receipt = receipt_of(sim.mpesa.pays(bill="rent", amount=1, msisdn=OTHER))
        await confirm(shop, receipt, TransAmount="50000.00", BillRefNumber="order-8")
        await asyncio.sleep(1800)
    (paid,) = shop.books.paid
    assert (paid.amount, paid.bill_reference) == (Decimal(1), "rent")
    assert shop.books.told() == {f"c2b.{receipt}": 1}


# One receipt, told by a push and by its confirmation, in every order.


@pytest.mark.parametrize("twins", ["before", "after"])
@pytest.mark.parametrize("seconds", [0, 1, 100, 400])
@timeless
async def test_a_push_and_its_confirmation_are_one_payment(
    file: Path, sim: Simulator, twins: Literal["before", "after"], seconds: float
) -> None:
    """The twin before or after the callback, and twice: the order alone is told, once."""
    sim.mpesa.c2b.twins, sim.mpesa.c2b.twice = twins, 1.0
    async with Shop(file, sim) as shop:
        shop.register()
        await shop.pool.collect("mpesa", **ORDER)
        await asyncio.sleep(seconds)
        sim.settle("order-1042", Status.SUCCEEDED)
        await asyncio.sleep(7200)
        assert [one async for one in shop.pool.unconfirmed()] == []
    assert (shop.books.told(), shop.books.unconfirmed) == ({"order-1042": 1}, [])


@pytest.mark.parametrize("lost", ["twin", "callback", "both"])
@timeless
async def test_a_lost_message_of_a_push_tells_nothing_twice(
    file: Path, sim: Simulator, lost: str, times: None
) -> None:
    """The query ends the order without a receipt: neither its twin nor the list adds a payment."""
    sim.mpesa.c2b.twins = "no" if lost in ("twin", "both") else "after"
    async with Shop(file, sim) as shop:
        shop.register()
        await shop.pool.collect("mpesa", **ORDER)
        (entry,) = sim.ledger.entries("order-1042")
        if lost in ("callback", "both"):
            sim.fault("mpesa", "order-1042", kind=Fault.WEBHOOK_LOST)
        sim.settle("order-1042", Status.SUCCEEDED)
        if lost == "callback":
            await confirm(
                shop, receipt_of(entry), BillRefNumber="order-1042", MSISDN="2547 ***** 144"
            )
        await asyncio.sleep(4 * 3600)
        assert [one async for one in shop.pool.unconfirmed()] == []
    assert (shop.books.told(), shop.books.unconfirmed) == ({"order-1042": 1}, [])


@timeless
async def test_a_confirmation_waits_for_an_open_push(file: Path, sim: Simulator) -> None:
    """The twin comes first, and the order's end an hour later: only the order is told."""
    async with Shop(file, sim) as shop:
        await shop.pool.collect("mpesa", **ORDER)
        (entry,) = sim.ledger.entries("order-1042")
        await confirm(shop, receipt_of(entry), BillRefNumber="order-1042", MSISDN="2547 ***** 144")
        await asyncio.sleep(3600)
        assert shop.books.paid == []
        sim.settle("order-1042", Status.SUCCEEDED)
        await asyncio.sleep(7200)
    assert (shop.books.told(), shop.books.unconfirmed) == ({"order-1042": 1}, [])


@timeless
async def test_a_failed_push_whose_money_came_is_told_as_adopted(
    file: Path, sim: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    """An order that failed and succeeds late has a receipt that was adopted: told once."""
    async with Shop(file, sim) as shop:
        await shop.pool.collect("mpesa", **ORDER)
        (entry,) = sim.ledger.entries("order-1042")
        sim.settle("order-1042", Status.FAILED)
        await asyncio.sleep(60)
        sim.fault("mpesa", "order-1042", kind=Fault.WEBHOOK_LOST)
        sim.settle("order-1042", Status.SUCCEEDED)
        await asyncio.sleep(1800)
        receipt = receipt_of(entry)
        assert shop.books.told() == {f"c2b.{receipt}": 1}
        message = sim.mpesa.message(entry)
        assert message is not None
        with caplog.at_level(logging.ERROR, "paymux"):
            await shop.hooks.answer(WebhookRequest(path=message.url, body=message.body))
            await asyncio.sleep(600)
        assert (await shop.rows())["order-1042"].status is Status.SUCCEEDED
    assert shop.books.told() == {f"c2b.{receipt}": 1}
    assert "told as c2b." in caplog.text


@pytest.mark.parametrize("payer", [PAYER, OTHER])
@pytest.mark.parametrize("amount", [1, 500])
@timeless
async def test_what_a_payer_types_settles_no_order(
    file: Path, sim: Simulator, payer: str, amount: int
) -> None:
    """An order's reference typed by hand, with any amount: the order is what its push says."""
    async with Shop(file, sim) as shop:
        shop.register()
        await shop.pool.collect("mpesa", **ORDER)
        typed = receipt_of(sim.mpesa.pays(bill="order-1042", amount=amount, msisdn=payer))
        await asyncio.sleep(3600)
        fits = payer == PAYER and amount == 500
        # The same payer and amount may be the push's: it is held back until the push has ended.
        assert shop.books.told() == ({} if fits else {f"c2b.{typed}": 1})
        assert (await shop.rows())["order-1042"].status is Status.PENDING
        sim.settle("order-1042", Status.FAILED)
        await asyncio.sleep(1800)
        assert (await shop.rows())["order-1042"].status is Status.FAILED
    assert shop.books.told() == {f"c2b.{typed}": 1}
    (paid,) = (one for one in shop.books.paid if one.status is Status.SUCCEEDED)
    assert (paid.bill_reference, paid.amount) == ("order-1042", Decimal(amount))


# Crashes, and several workers.


@timeless
async def test_a_crash_between_adopting_and_telling_loses_nothing(
    file: Path, sim: Simulator
) -> None:
    """A payment that was adopted by a worker that died is told by the next one."""
    dying = LoopJournal(file, random.Random(2))
    async with Shop(file, sim) as shop:
        shop.register()
        receipt = receipt_of(sim.mpesa.pays(bill="rent", amount=500))
        await asyncio.sleep(60)
        (entry,) = await dying.unconfirmed.left(0)
        named = {"provider_reference": receipt, "receipt": receipt, "reference": f"c2b.{receipt}"}
        paid = replace(entry.event.claims, kind="collect", status=Status.SUCCEEDED, **named)
        adopt = partial(dying.adoptions.adopt, entry, entry.event, paid)
        assert not await adopt(lambda _: False, lambda _: False)
        assert [*await shop.rows()] == []
        assert await adopt(lambda _: True, lambda _: False)
        assert not await adopt(lambda _: True, lambda _: False)
        dying.die()
        assert [*await shop.rows()] == [f"c2b.{receipt}"]
        await asyncio.sleep(3600)
    assert shop.books.told() == {f"c2b.{receipt}": 1}


@timeless
async def test_two_workers_adopt_each_payment_once(file: Path, sim: Simulator) -> None:
    """Both see the same entries at the same time, and the sweep finds them as well."""
    books = Books()
    sim.mpesa.c2b.twice = 0.5
    async with Shop(file, sim, books) as one, Shop(file, sim, books, seed=2) as two:
        one.register()
        hooks = [one.hooks, two.hooks]

        async def answer(incoming: WebhookRequest) -> Response:
            hooks.reverse()
            return await hooks[0].answer(incoming)

        sim.on_webhook(answer)
        paid = [sim.mpesa.pays(bill=f"rent {n}", amount=100 + n) for n in range(40)]
        await asyncio.sleep(3600)
    assert books.told() == {f"c2b.{receipt_of(entry)}": 1 for entry in paid}
    assert books.unconfirmed == []


# The sweep.


@timeless
async def test_a_lost_confirmation_is_found_by_one_sweep(
    file: Path, sim: Simulator, times: None
) -> None:
    """What no message told is in the provider's list, at most ten minutes later."""
    sim.mpesa.c2b.lost = 1.0
    async with Shop(file, sim) as shop:
        shop.register()
        await asyncio.sleep(60)
        paid = [sim.mpesa.pays(bill=f"rent {n}", amount=100 + n) for n in range(5)]
        await asyncio.sleep(600 + 30 + 120 + 30)
        assert shop.books.told() == {f"c2b.{receipt_of(entry)}": 1 for entry in paid}
        await asyncio.sleep(7200)
    assert set(shop.books.told().values()) == {1}


@timeless
async def test_the_first_sweep_of_a_start_finds_what_came_in_between(
    file: Path, sim: Simulator, times: None
) -> None:
    """What came while every worker was down is told two minutes after the next start."""
    async with Shop(file, sim) as shop:
        shop.register()
        await asyncio.sleep(60)
    sim.mpesa.c2b.lost = 1.0
    await asyncio.sleep(5 * 3600)
    receipt = receipt_of(sim.mpesa.pays(bill="rent", amount=500))
    await asyncio.sleep(5 * 3600)
    async with Shop(file, sim, shop.books):
        await asyncio.sleep(180)
    assert shop.books.told() == {f"c2b.{receipt}": 1}


@timeless
async def test_the_sweep_takes_no_order_for_an_unasked_payment(
    file: Path, sim: Simulator, times: None
) -> None:
    """Pushes are in the list, too: open, ended with a receipt, and ended without one."""
    sim.mpesa.locks = False
    async with Shop(file, sim) as shop:
        for number, status in enumerate(("open", "told", "bare")):
            reference = f"order-{number}"
            await shop.pool.collect("mpesa", **{**ORDER, "reference": reference})
            if status == "bare":
                sim.fault("mpesa", reference, kind=Fault.WEBHOOK_LOST)
            if status != "open":
                sim.settle(reference, Status.SUCCEEDED)
        await asyncio.sleep(3600)
        sim.settle("order-0", Status.SUCCEEDED)
        await asyncio.sleep(3600)
        assert [one async for one in shop.pool.unconfirmed()] == []
    assert shop.books.told() == {"order-0": 1, "order-1": 1, "order-2": 1}


@timeless
async def test_a_push_that_ended_days_ago_has_its_row(
    file: Path, sim: Simulator, times: None, rarely: None
) -> None:
    """Every worker was down for a day: a push without a receipt is still known in the list."""
    async with Shop(file, sim) as shop:
        shop.register()
        await asyncio.sleep(700)
        await shop.pool.collect("mpesa", **ORDER)
        sim.fault("mpesa", "order-1042", kind=Fault.WEBHOOK_LOST)
        sim.settle("order-1042", Status.SUCCEEDED)
        sim.mpesa.pull.lag = 80_000.0
        await asyncio.sleep(600)
        assert shop.books.told() == {"order-1042": 1}
    await asyncio.sleep(30 * 3600)
    async with Shop(file, sim, shop.books) as again:
        await asyncio.sleep(7200)
        assert [one async for one in again.pool.unconfirmed()] == []
    assert (again.books.told(), again.books.unconfirmed) == ({"order-1042": 1}, [])


@timeless
async def test_a_list_without_times_is_not_read_back_before_the_first_adoption(
    file: Path, sim: Simulator
) -> None:
    """Pull is registered hours later: what may be older is not told, what is newer is."""
    sim.mpesa.pays(bill="before", amount=500)
    await asyncio.sleep(60)
    sim.mpesa.c2b.lost = 1.0
    async with Shop(file, sim) as shop:
        shop.register()
        sim.mpesa.pull.registered.clear()
        await asyncio.sleep(5 * 3600)
        receipt = receipt_of(sim.mpesa.pays(bill="after", amount=400))
        sim.mpesa.pull.registered.add("174379")
        await asyncio.sleep(6 * 3600)
    assert shop.books.told() == {f"c2b.{receipt}": 1}


@timeless
async def test_one_worker_at_a_time_sweeps(file: Path, sim: Simulator) -> None:
    """Ten workers ask as often as one, apart from their starts; a dead one's turn is taken."""
    books = Books()
    shops = [Shop(file, sim, books, seed=n) for n in range(10)]
    for shop in shops:
        await shop.__aenter__()
    await asyncio.sleep(60)
    before = len(_pulls(sim))
    await asyncio.sleep(3600)
    assert 5 <= (len(_pulls(sim)) - before) / 1 <= 8
    shops[0].journal.die()  # type: ignore[union-attr]  # it has one
    await asyncio.sleep(3600)
    assert 10 <= len(_pulls(sim)) - before <= 16
    for shop in shops[1:]:
        await shop.__aexit__()


@timeless
async def test_a_list_that_fails_is_asked_again_and_logged_once(
    file: Path, sim: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    """A sweep that fails ends nothing: it is one ERROR, and is repeated until it works."""
    sim.mpesa.c2b.lost = 1.0
    async with Shop(file, sim) as shop:
        shop.register()
        sim.mpesa.pull.registered.clear()
        await asyncio.sleep(5 * 3600)
        paid = sim.mpesa.pays(bill="rent", amount=500)
        await asyncio.sleep(3600)
        assert sum("lost payments" in one.message for one in caplog.records) == 1
        await shop.pool.collect("mpesa", **ORDER)  # all else goes on
        sim.settle("order-1042", Status.SUCCEEDED)
        await asyncio.sleep(60)
        assert shop.books.told() == {"order-1042": 1}
        sim.mpesa.pull.registered.add("174379")
        await asyncio.sleep(1800)
    assert shop.books.told() == {"order-1042": 1, f"c2b.{receipt_of(paid)}": 1}


@timeless
async def test_no_listed_payment_is_older_than_the_first_adoption(
    file: Path, sim: Simulator, times: None
) -> None:
    """The list goes back two days, and the sweep not before this journal first adopted."""
    sim.mpesa.pays(bill="before", amount=500)
    await asyncio.sleep(60)
    async with Shop(file, sim) as shop:
        await asyncio.sleep(3600)
    assert (shop.books.paid, shop.books.unconfirmed) == ([], [])


def _pulls(sim: Simulator) -> list[str]:
    # Each pass also reads the empty page that ends the list.
    return [one.path for one in sim.requests if "pulltransactions" in one.path]


@pytest.mark.parametrize("count", [100, pytest.param(1000, marks=pytest.mark.slow)])
@timeless
async def test_a_thousand_confirmations_are_told_as_the_ledger_has_them(
    file: Path, sim: Simulator, count: int, times: None
) -> None:
    """A third are twins of pushes, 40 % are lost, and payers type other people's orders."""
    pushes = count * 3 // 10
    sim.mpesa.locks = False
    sim.mpesa.c2b.twins, sim.mpesa.c2b.lost, sim.mpesa.c2b.twice = "after", 0.4, 0.1
    async with Shop(file, sim) as shop:
        shop.register()
        await asyncio.sleep(60)
        pushed = []
        for number in range(pushes):
            reference = f"order-{number}"
            payer = f"2547{number:08d}"
            await shop.pool.collect(
                "mpesa", **{**ORDER, "reference": reference, "payer": payer, "amount": 10 + number}
            )
            pushed.append(reference)
        unasked = []
        for number in range(count - pushes):
            bill = f"order-{number % pushes}"  # of another payer, and often with the right amount
            amount = 10 + number % pushes if number % 2 else 1 + number
            payer = f"2541{number:08d}"
            unasked.append(sim.mpesa.pays(bill=bill, amount=amount, msisdn=payer))
            if number % 3 == 0:
                _settle(sim, pushed[number // 3], number)
            await asyncio.sleep(0.5)
        for number in range((count - pushes + 2) // 3, pushes):
            _settle(sim, pushed[number], number)
        await asyncio.sleep(600 + 30 + 120 + 60)
        expected = Counter(pushed) + Counter(f"c2b.{receipt_of(one)}" for one in unasked)
        assert shop.books.told() == expected
        assert shop.books.total() == sim.ledger.charged(provider="mpesa")
        await asyncio.sleep(7200)
        assert [one async for one in shop.pool.unconfirmed()] == []
    assert (shop.books.told(), shop.books.unconfirmed) == (expected, [])


def _settle(sim: Simulator, reference: str, number: int) -> None:
    """Let a payer pay a push; the callbacks of some are lost."""
    (entry,) = (one for one in sim.ledger.entries(reference) if "MerchantRequestID" in one.words)
    if number % 5 == 0:
        sim.fault("mpesa", entry.provider_reference, kind=Fault.WEBHOOK_LOST)
    sim.settle(entry.provider_reference, Status.SUCCEEDED)


@timeless
async def test_a_forged_confirmation_takes_no_orders_place(file: Path, sim: Simulator) -> None:
    """An order without a receipt is not given one that nothing proves: its row is told once."""
    async with Shop(file, sim) as shop:
        shop.register()
        await asyncio.sleep(60)
        await shop.pool.collect("mpesa", **ORDER)
        sim.fault("mpesa", "order-1042", kind=Fault.WEBHOOK_LOST)
        sim.settle("order-1042", Status.SUCCEEDED)
        typed = {"BillRefNumber": "order-1042", "MSISDN": "2547 ***** 144"}
        await confirm(shop, "FORGED0001", use="bare", **typed)
        await asyncio.sleep(4 * 3600)
    assert shop.books.told() == {"order-1042": 1}
    assert shop.books.total() == sim.ledger.charged(provider="mpesa")


@timeless
async def test_an_order_left_to_a_person_holds_no_later_payment_back(
    file: Path, sim: Simulator, rarely: None
) -> None:
    """A push whose answer was lost never ends; next month's payment of its payer is told."""
    async with Shop(file, sim) as shop:
        shop.register()
        sim.fault("mpesa", "POST /mpesa/stkpush", kind=Fault.DROP_AFTER)
        with pytest.raises(OutcomeUnknown):
            await shop.pool.collect("mpesa", **ORDER)
        await asyncio.sleep(10 * 86_400)
        receipt = receipt_of(sim.mpesa.pays(bill="order-1042", amount=500, msisdn=PAYER))
        await asyncio.sleep(3600)
    assert shop.books.told() == {f"c2b.{receipt}": 1}


@timeless
async def test_the_messages_of_one_receipt_are_given_to_one_order(
    file: Path, sim: Simulator
) -> None:
    """Two equal pushes without a receipt, one confirmation, and both in the list: told twice."""
    sim.mpesa.locks = False
    async with Shop(file, sim) as shop:
        shop.register()
        await asyncio.sleep(590)
        pushed = []
        for number in range(2):
            reference, extra = f"order-{number}", {"account_reference": "rent"}
            one = await shop.pool.collect("mpesa", **{**ORDER, "reference": reference}, extra=extra)
            pushed.append(one.provider_reference or "")
            sim.fault("mpesa", pushed[-1], kind=Fault.WEBHOOK_LOST)
            sim.settle(pushed[-1], Status.SUCCEEDED)
        (first, *_) = (one for one in sim.ledger.entries() if one.provider_reference == pushed[0])
        await confirm(shop, receipt_of(first), MSISDN="2547 ***** 144")
        await asyncio.sleep(4 * 3600)
        assert [one async for one in shop.pool.unconfirmed()] == []
    assert shop.books.told() == {"order-0": 1, "order-1": 1}


@timeless
async def test_a_confirmation_of_a_payment_that_was_deleted_is_not_reported(
    file: Path, sim: Simulator
) -> None:
    """`keep_days` deletes the row; what was told once is neither told nor reported again."""
    async with Shop(file, sim) as shop:
        shop.register()
        receipt = receipt_of(sim.mpesa.pays(bill="rent", amount=500))
        await asyncio.sleep(600)
        with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as db:
            db.execute(
                "INSERT INTO forgotten SELECT account, kind, reference, digest, status,"
                " updated_at FROM payments"
            )
            db.execute("DELETE FROM payments")
            db.execute("DELETE FROM facts")
            db.execute("DELETE FROM unconfirmed")
        await confirm(shop, receipt)
        await asyncio.sleep(3600)
        assert [one async for one in shop.pool.unconfirmed()] == []
    assert (shop.books.told(), shop.books.unconfirmed) == ({f"c2b.{receipt}": 1}, [])


@pytest.mark.parametrize("till", ["", "600111"])
def test_an_adopting_account_collects_at_a_place_of_its_own(
    file: Path, sim: Simulator, till: str
) -> None:
    """Two accounts of one shortcode would tell each other's payments; a till is another place."""
    first = replace(sim.driver("mpesa"), adopt_c2b=True)
    second = replace(sim.driver("mpesa"), account="second", till=till)
    journal = LoopJournal(file, random.Random(1))
    pool = Pool(first, second, connection=sim.connection, journal=journal)
    if till:
        Notifier(pool, Books().on_payment)
    else:
        with pytest.raises(UsageError, match="second"):
            Notifier(pool, Books().on_payment)


@pytest.mark.parametrize("wrong", [{"amount": "168,00"}, {"transactionId": None}, "none"])
@pytest.mark.parametrize("rows", [1, 100])
@timeless
async def test_a_row_that_cannot_be_read_hides_no_other(
    file: Path, sim: Simulator, wrong: object, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One odd row in the list: the lost payments before and after it are told all the same."""
    sim.mpesa.c2b.lost, sim.mpesa.pull.rows = 1.0, rows
    async with Shop(file, sim) as shop:
        shop.register()
        await asyncio.sleep(700)
        paid = [sim.mpesa.pays(bill=f"rent {n}", amount=100 + n) for n in range(3)]
        made = sim.mpesa.pull._row

        def odd(entry: Entry) -> object:
            if entry is not paid[1]:
                return made(entry)
            return {**made(entry), **wrong} if isinstance(wrong, dict) else wrong

        monkeypatch.setattr(sim.mpesa.pull, "_row", odd)
        await asyncio.sleep(3600)
        assert shop.books.told() == {f"c2b.{receipt_of(paid[n])}": 1 for n in (0, 2)}
        monkeypatch.undo()
        await asyncio.sleep(3600)
    assert shop.books.told() == {f"c2b.{receipt_of(one)}": 1 for one in paid}


async def _failed_then_paid(shop: Shop, sim: Simulator, reference: str) -> tuple[Payment, Entry]:
    """Let an order fail by the query; then its payer pays it, and only its twin comes."""
    pushed = await shop.pool.collect("mpesa", **{**ORDER, "reference": reference})
    (entry,) = sim.ledger.entries(reference)
    sim.fault("mpesa", reference, kind=Fault.WEBHOOK_LOST)
    sim.settle(reference, Status.FAILED)
    await asyncio.sleep(300)
    assert (await shop.rows())[reference].status is Status.FAILED
    sim.fault("mpesa", reference, kind=Fault.WEBHOOK_LOST)
    sim.settle(reference, Status.SUCCEEDED)
    await confirm(shop, receipt_of(entry), BillRefNumber=reference, MSISDN="2547 ***** 144")
    await asyncio.sleep(1200)
    return pushed, entry


@timeless
async def test_a_failed_push_that_succeeds_late_without_a_receipt_is_told_once(
    file: Path, sim: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    """Its twin was adopted; a `verify` finds it paid, and on_payment is not told of it again."""
    async with Shop(file, sim) as shop:
        shop.register()
        pushed, entry = await _failed_then_paid(shop, sim, "order-1042")
        with caplog.at_level(logging.ERROR, "paymux"):
            assert (await shop.pool.verify(pushed)).status is Status.SUCCEEDED
            assert (await shop.pool.verify(pushed)).status is Status.SUCCEEDED
            await asyncio.sleep(4 * 3600)
        assert sum("told as c2b." in one.message for one in caplog.records) == 1
        assert (await shop.rows())["order-1042"].status is Status.SUCCEEDED
        assert [one async for one in shop.pool.unconfirmed()] == []
    paid = [one.reference for one in shop.books.paid if one.status is Status.SUCCEEDED]
    assert paid == [f"c2b.{receipt_of(entry)}"]
    assert shop.books.unconfirmed == []


@pytest.mark.parametrize("other", [{"amount": 501}, {"payer": OTHER}, {"reference": "order-7"}])
@timeless
async def test_an_adopted_payment_that_does_not_fit_hides_no_late_success(
    file: Path, sim: Simulator, other: dict[str, Any]
) -> None:
    """Of another amount, payer or account it is another payment: both are told."""
    async with Shop(file, sim) as shop:
        shop.register()
        pushed = await shop.pool.collect("mpesa", **{**ORDER, **other})
        reference = pushed.reference or ""
        (entry,) = sim.ledger.entries(reference)
        sim.fault("mpesa", reference, kind=Fault.WEBHOOK_LOST)
        sim.settle(reference, Status.FAILED)
        await asyncio.sleep(300)
        typed = sim.mpesa.pays(bill="order-1042", amount=500, msisdn=PAYER)
        await asyncio.sleep(1200)
        sim.fault("mpesa", entry.provider_reference, kind=Fault.WEBHOOK_LOST)
        sim.settle(entry.provider_reference, Status.SUCCEEDED)
        await shop.pool.verify(pushed)
        await asyncio.sleep(4 * 3600)
    paid = Counter(one.reference for one in shop.books.paid if one.status is Status.SUCCEEDED)
    assert paid == {f"c2b.{receipt_of(typed)}": 1, reference: 1}
    assert shop.books.total() == sim.ledger.charged(provider="mpesa")


@timeless
async def test_a_late_success_with_a_receipt_of_its_own_is_told_after_all(
    file: Path, sim: Simulator
) -> None:
    """Its payer also paid by hand: the push counts as told until its own receipt comes."""
    async with Shop(file, sim) as shop:
        shop.register()
        pushed = await shop.pool.collect("mpesa", **ORDER)
        (entry,) = sim.ledger.entries("order-1042")
        sim.fault("mpesa", "order-1042", kind=Fault.WEBHOOK_LOST)
        sim.settle("order-1042", Status.FAILED)
        await asyncio.sleep(300)
        typed = sim.mpesa.pays(bill="order-1042", amount=500, msisdn=PAYER)
        await asyncio.sleep(1200)
        sim.mpesa.pull.registered.clear()
        sim.fault("mpesa", entry.provider_reference, kind=Fault.WEBHOOK_LOST)
        sim.settle(entry.provider_reference, Status.SUCCEEDED)
        await shop.pool.verify(pushed)
        await asyncio.sleep(60)
        assert shop.books.total() == 500
        message = sim.mpesa.message(entry)
        assert message is not None
        await shop.hooks.answer(WebhookRequest(path=message.url, body=message.body))
        await asyncio.sleep(4 * 3600)
        assert [one async for one in shop.pool.unconfirmed()] == []
    paid = Counter(one.reference for one in shop.books.paid if one.status is Status.SUCCEEDED)
    assert paid == {f"c2b.{receipt_of(typed)}": 1, "order-1042": 1}
    assert shop.books.unconfirmed == []
