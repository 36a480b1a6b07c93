"""Payments that no look-up confirms: stored, reported, and never taken for an order twice."""

import asyncio
import contextlib
import hashlib
import json
import logging
import random
import sqlite3
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

import paymux.journal.memory.unconfirmed
import paymux.journal.stored.unconfirmed
import paymux.webhooks.processing
from paymux import Event, Notifier, Payment, Pool, Status, Unsupported, UsageError
from paymux.drivers.mpesa import Mpesa
from paymux.http import Response, WebhookRequest
from paymux.simulator import Fault, Simulator
from paymux.webhooks import Webhooks

from .campaigns.simulation import LoopJournal
from .driving import sample
from .toys import BASE, KEY, now, timeless

PAYER = "254708374144"  # one that never pays in the simulator: the test decides
MASKED = "2547 ***** 144"
ORDER: dict[str, Any] = {
    "amount": 500,
    "currency": "KES",
    "payer": PAYER,
    "reference": "order-1042",
}
ACCEPTED = {"ResultCode": 0, "ResultDesc": "Accepted"}


class World:
    """A shop with only M-Pesa, with or without a journal, and the events it received."""

    def __init__(
        self, file: Path | None, *, tells: bool = True, sim: Simulator | None = None
    ) -> None:
        self.sim = sim or Simulator()
        self.journal = None if file is None else LoopJournal(file, random.Random(1))
        self.pool = Pool(
            self.sim.driver("mpesa"),
            connection=self.sim.connection,
            journal=self.journal,
            webhook_base=BASE,
            webhook_key=KEY,
        )
        self.told: list[tuple[str | None, int]] = []
        self.events: list[Event] = []
        self.failing = 0
        self.paid: list[Payment] = []
        self.hooks = Webhooks(self.pool, self.on_payment, self.on_unconfirmed if tells else None)
        self.sim.on_webhook(self.hooks.answer)

    async def on_payment(self, payment: Payment) -> None:
        self.paid.append(payment)

    async def on_unconfirmed(self, event: Event) -> None:
        if self.failing:
            self.failing -= 1
            raise RuntimeError("the shop's database is away")
        self.told.append((event.claims.receipt, round(now())))
        self.events.append(event)

    async def tell(self, number: str, **more: str) -> Response:
        """Let Safaricom confirm a payment of 500."""
        body = {**sample("mpesa", "c2b_confirmation"), "TransID": number, "TransAmount": "500.00"}
        body |= {"BillRefNumber": "order-1042", "MSISDN": MASKED, **more}
        url = self.pool.webhook_url("mpesa")
        return await self.hooks.answer(WebhookRequest(path=url, body=json.dumps(body).encode()))

    async def left(self) -> list[str | None]:
        """List the receipts of the open entries."""
        return [event.claims.receipt async for event in self.pool.unconfirmed()]

    async def settled(self, status: Status, *, callback: bool = True) -> str:
        """Decide the push, and return its receipt."""
        (entry,) = self.sim.ledger.entries("order-1042")
        if not callback:
            self.sim.fault("mpesa", "order-1042", kind=Fault.WEBHOOK_LOST)
        self.sim.settle("order-1042", status)
        return str(entry.words["receipt"])


@contextlib.asynccontextmanager
async def opened(world: World) -> AsyncIterator[World]:
    """Open the pool and its webhooks."""
    async with world.pool, world.hooks:
        yield world


@pytest.fixture(params=["journal", "memory"])
def file(request: pytest.FixtureRequest, tmp_path: Path) -> Path | None:
    """Return the path of the journal; None: there is none."""
    return tmp_path / "payments.db" if request.param == "journal" else None


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """Return the path of the journal."""
    return tmp_path / "payments.db"


@pytest.fixture
def three(monkeypatch: pytest.MonkeyPatch) -> None:
    """Set the limit of open entries to three."""
    for module in (paymux.journal.memory.unconfirmed, paymux.journal.stored.unconfirmed):
        monkeypatch.setattr(module, "MAX_OPEN_ENTRIES", 3)


@timeless
async def test_money_that_came_by_itself_is_told_two_minutes_later(file: Path | None) -> None:
    """A C2B payment is stored, acknowledged, reported after two minutes, and listed."""
    async with opened(World(file)) as world:
        reply = await world.tell("RKL51ZDR4F")
        assert (reply.status, json.loads(reply.body)) == (200, ACCEPTED)
        assert await world.left() == ["RKL51ZDR4F"]
        await asyncio.sleep(119)
        assert world.told == []
        await asyncio.sleep(2)
        assert world.told == [("RKL51ZDR4F", 120)]
        assert await world.left() == ["RKL51ZDR4F"]
        (event,) = world.events
        claims = event.claims
        assert (claims.amount, claims.currency, claims.reference) == (
            Decimal(500),
            "KES",
            "order-1042",
        )
        await world.pool.dealt_with(event, because="credited to customer 7")
        await world.pool.dealt_with(event, because="twice is harmless")
        assert await world.left() == []
        assert (await world.tell("RKL51ZDR4F")).status == 200  # Safaricom may send it twice
        await asyncio.sleep(600)
    assert world.told == [("RKL51ZDR4F", 120)]
    assert world.paid == []


@pytest.mark.parametrize("first", ["confirmation", "callback"])
@pytest.mark.parametrize("seconds", [0, 1, 100])
@timeless
async def test_a_confirmation_of_a_push_is_its_orders(
    file: Path | None, first: str, seconds: float
) -> None:
    """A push also sends a C2B confirmation, before or after its callback: the order gets it."""
    async with opened(World(file)) as world:
        await world.pool.collect("mpesa", **ORDER)
        (entry,) = world.sim.ledger.entries("order-1042")
        receipt = str(entry.words["receipt"])
        if first == "confirmation":
            await world.tell(receipt)
            await asyncio.sleep(seconds)
        await world.settled(Status.SUCCEEDED)
        if first == "callback":
            await asyncio.sleep(seconds)
            await world.tell(receipt)
        await asyncio.sleep(2)
        assert await world.left() == []
        await asyncio.sleep(600)
    assert world.told == []
    assert {one.receipt for one in world.paid} <= {receipt, None if file is None else receipt}
    assert len(world.paid) == 1


@pytest.mark.parametrize("status", [Status.SUCCEEDED, Status.FAILED])
@timeless
async def test_what_fits_an_open_push_waits_for_its_end(file: Path | None, status: Status) -> None:
    """A confirmation that may be an open push's is reported only if the push ended without it."""
    async with opened(World(file)) as world:
        await world.pool.collect("mpesa", **ORDER)
        (entry,) = world.sim.ledger.entries("order-1042")
        await world.tell(str(entry.words["receipt"]))
        await asyncio.sleep(900)
        assert world.told == []
        assert await world.left() == []
        receipt = await world.settled(status)
        await asyncio.sleep(180)
        assert await world.left() == ([] if status is Status.SUCCEEDED else [receipt])
    assert [one for one, _ in world.told] == ([] if status is Status.SUCCEEDED else [receipt])


@pytest.mark.parametrize(
    "more",
    [
        {"TransAmount": "501.00"},
        {"BillRefNumber": "order-1043"},
        {"MSISDN": "2547 ***** 145"},
        {"MSISDN": "2541 ***** 144"},
        {"MSISDN": hashlib.sha256(b"254708374145").hexdigest()},
    ],
)
@timeless
async def test_what_does_not_fit_the_open_push_is_told(
    file: Path | None, more: dict[str, str]
) -> None:
    """Another amount, account or visible digit: it does not belong to the push."""
    async with opened(World(file)) as world:
        await world.pool.collect("mpesa", **ORDER)
        await world.tell("RKL51ZDR4F", **more)
        await asyncio.sleep(121)
    assert world.told == [("RKL51ZDR4F", 120)]


@pytest.mark.parametrize(
    "more",
    [
        {"TransAmount": "500"},
        {"BillRefNumber": "ORDER-1042"},
        {"BillRefNumber": ""},  # Buy Goods has none
        {"MSISDN": ""},
        {"MSISDN": PAYER},
        {"MSISDN": hashlib.sha256(PAYER.encode()).hexdigest()},
    ],
)
@timeless
async def test_what_may_be_the_pushs_waits(file: Path | None, more: dict[str, str]) -> None:
    """A confirmation with fewer details, or equal ones in another form, may be the push's."""
    async with opened(World(file)) as world:
        await world.pool.collect("mpesa", **ORDER)
        await world.tell("RKL51ZDR4F", **more)
        await asyncio.sleep(600)
    assert world.told == []


@timeless
async def test_the_account_that_the_payer_was_shown_is_compared(file: Path | None) -> None:
    """The push's account decides: its own, or the first 12 characters of our reference."""
    async with opened(World(file)) as world:
        world.sim.mpesa.locks = False
        rent: dict[str, Any] = {**ORDER, "extra": {"account_reference": "RENT"}}
        await world.pool.collect("mpesa", **rent)
        other: dict[str, Any] = {**ORDER, "reference": "order-of-a-long-name", "amount": 40}
        await world.pool.collect("mpesa", **other)
        await world.tell("RKL51ZDR4A", BillRefNumber="rent")
        await world.tell("RKL51ZDR4B", BillRefNumber="order-of-a-l", TransAmount="40", MSISDN="")
        await world.tell("RKL51ZDR4C")
        await asyncio.sleep(150)
    assert [one for one, _ in world.told] == ["RKL51ZDR4C"]


@timeless
async def test_an_order_that_was_found_paid_has_one_confirmation(file: Path | None) -> None:
    """If a push was paid without a receipt, one confirmation belongs to it, a second does not."""
    async with opened(World(file)) as world:
        held = await world.pool.collect("mpesa", **ORDER)
        receipt = await world.settled(Status.SUCCEEDED, callback=False)
        assert (await world.pool.verify(held)).receipt is None
        await world.tell(receipt)
        assert await world.left() == []
        await asyncio.sleep(300)
        assert world.told == []
        await world.tell("RKL51ZDR4F")
        await asyncio.sleep(300)
        assert await world.left() == ["RKL51ZDR4F"]
    assert [one for one, _ in world.told] == ["RKL51ZDR4F"]


@timeless
async def test_a_confirmation_is_told_after_all_when_its_order_gets_another_receipt(
    file: Path | None,
) -> None:
    """If the payer paid twice, the first match is reported once the push's own receipt is known."""
    async with opened(World(file)) as world:
        held = await world.pool.collect("mpesa", **ORDER)
        await world.settled(Status.SUCCEEDED, callback=False)
        await world.pool.verify(held)
        await world.tell("RKL51ZDR4F")
        await asyncio.sleep(300)
        assert world.told == []
        (entry,) = world.sim.ledger.entries("order-1042")
        message = world.sim.mpesa.message(entry)
        assert message is not None
        await world.hooks.answer(WebhookRequest(path=message.url, body=message.body))
        await asyncio.sleep(300)
    # Without a journal the late message cannot be matched to its order: the receipt stays unknown.
    assert [one for one, _ in world.told] == ([] if file is None else ["RKL51ZDR4F"])


@timeless
async def test_what_on_unconfirmed_raises_is_told_again(file: Path | None) -> None:
    """At least once: a call that failed is repeated, and one that returned is not."""
    async with opened(World(file)) as world:
        world.failing = 3
        await world.tell("RKL51ZDR4F")
        await asyncio.sleep(600)
    assert [one for one, _ in world.told] == ["RKL51ZDR4F"]
    assert 121 < world.told[0][1] < 140


@timeless
async def test_each_is_one_error_without_a_callback(
    file: Path | None, caplog: pytest.LogCaptureFixture
) -> None:
    """Without on_unconfirmed each entry is one ERROR with receipt and amount, and stays listed."""
    caplog.set_level(logging.ERROR)
    async with opened(World(file, tells=False)) as world:
        await world.tell("RKL51ZDR4F")
        await asyncio.sleep(119)
        assert caplog.records == []
        await asyncio.sleep(900)
        assert await world.left() == ["RKL51ZDR4F"]
    (record,) = caplog.records
    assert "RKL51ZDR4F" in record.getMessage()
    assert "500.00 KES" in record.getMessage()


@timeless
async def test_a_later_on_unconfirmed_hears_of_what_was_only_logged(kept: Path) -> None:
    """After entries were only logged, the next start with on_unconfirmed reports them."""
    async with opened(World(kept, tells=False)) as world:
        await world.tell("RKL51ZDR4F")
        await asyncio.sleep(300)
    async with opened(World(kept)) as world:
        await asyncio.sleep(121)
    assert [one for one, _ in world.told] == ["RKL51ZDR4F"]


@timeless
async def test_a_worker_that_dies_before_it_told_is_replaced(kept: Path) -> None:
    """An entry that a worker was reporting when it died is reported by a live worker."""
    dying = LoopJournal(kept, random.Random(2))
    async with opened(World(kept)) as world:
        await world.tell("RKL51ZDR4F")
        (entry,) = await dying.unconfirmed.left(0)
        assert await dying.unconfirmed.claim(entry)
        await asyncio.sleep(400)
        assert world.told == []
        dying.die()
        await asyncio.sleep(31)
        assert [one for one, _ in world.told] == ["RKL51ZDR4F"]


@timeless
async def test_of_two_workers_one_tells(kept: Path) -> None:
    """Two live workers report an entry once, whichever of them received it."""
    async with opened(World(kept)) as one, opened(World(kept)) as two:
        for number in range(20):
            await (one, two)[number % 2].tell(f"RKL51ZDR{number:02}")
        await asyncio.sleep(300)
        told = [receipt for receipt, _ in one.told + two.told]
        assert sorted(map(str, told)) == [f"RKL51ZDR{number:02}" for number in range(20)]


@timeless
async def test_a_notifier_tells_what_another_process_heard(kept: Path) -> None:
    """A job without HTTP reports what the web process stored, and only its own accounts."""
    web, job = World(kept, tells=False), World(kept)
    async with opened(web), job.pool, Notifier(job.pool, job.on_payment, job.on_unconfirmed):
        await web.tell("RKL51ZDR4F")
        await asyncio.sleep(160)
        assert [one for one, _ in job.told] == ["RKL51ZDR4F"]


@pytest.mark.parametrize("given", [5, "tell", Payment(account="mpesa")])
def test_on_unconfirmed_is_a_function(given: Any) -> None:
    """An object that cannot be called is UsageError where it is passed in."""
    world = World(None)
    with pytest.raises(UsageError, match="on_unconfirmed: "):
        Webhooks(world.pool, world.on_payment, given)
    with pytest.raises(UsageError, match="on_unconfirmed: "):
        Notifier(world.pool, world.on_payment, given)


@timeless
async def test_when_full_what_was_told_leaves_first(
    file: Path | None, three: None, caplog: pytest.LogCaptureFixture
) -> None:
    """The oldest reported entries are dropped, with an ERROR; if none was reported, it is 503."""
    async with opened(World(file)) as world:
        for number in range(3):
            assert (await world.tell(f"RKL51ZDR0{number}")).status == 200
        assert (await world.tell("RKL51ZDR03")).status == 503
        assert "cannot be kept" in caplog.text
        assert await world.left() == ["RKL51ZDR00", "RKL51ZDR01", "RKL51ZDR02"]
        await asyncio.sleep(121)
        caplog.clear()
        assert (await world.tell("RKL51ZDR03")).status == 200
        (record,) = [one for one in caplog.records if one.levelno == logging.ERROR]
        assert "RKL51ZDR00" in record.getMessage()
        assert "500.00 KES" in record.getMessage()
        assert await world.left() == ["RKL51ZDR01", "RKL51ZDR02", "RKL51ZDR03"]
        for number in range(4, 6):
            assert (await world.tell(f"RKL51ZDR0{number}")).status == 200
        assert (await world.tell("RKL51ZDR06")).status == 503  # none of the three was reported yet
        assert (await world.tell("RKL51ZDR04")).status == 200  # it is stored already


@timeless
async def test_the_same_message_is_kept_once(file: Path | None) -> None:
    """A repeated message is one entry, reported once."""
    async with opened(World(file)) as world:
        for _ in range(5):
            await world.tell("RKL51ZDR4F")
            await asyncio.sleep(50)
        assert await world.left() == ["RKL51ZDR4F"]
    assert [one for one, _ in world.told] == ["RKL51ZDR4F"]


@timeless
async def test_entries_are_small_and_lie_under_the_accounts_path(kept: Path) -> None:
    """A message that no provider sends, or on a path that is not ours, is not stored."""
    async with opened(World(kept)) as world:
        assert (await world.tell("RKL51ZDR4F", BillRefNumber="x" * 30_000)).status == 400
        body = json.dumps(sample("mpesa", "c2b_confirmation")).encode()
        reply = await world.hooks.answer(WebhookRequest(path=f"{BASE}/{'0' * 32}", body=body))
        assert reply.status == 404
        assert await world.left() == []
        await world.tell("RKL51ZDR4F", FirstName="N" * 30_000)
        assert await world.left() == ["RKL51ZDR4F"]
    with contextlib.closing(sqlite3.connect(kept)) as db:
        assert db.execute("SELECT max(length(event)) < 600 FROM unconfirmed").fetchall() == [(1,)]


@timeless
async def test_a_journal_that_is_locked_delays_and_loses_nothing(
    kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A message that cannot be written yet is acknowledged, as Safaricom sends it once."""

    async def locked(*_: object) -> None:
        raise OSError("locked")

    async with opened(World(kept)) as world:
        with monkeypatch.context() as patched:
            patched.setattr(paymux.journal.stored.unconfirmed.StoredUnconfirmed, "keep", locked)
            assert (await world.tell("RKL51ZDR4F")).status == 200
            assert await world.left() == []
        await asyncio.sleep(10)
        assert await world.left() == ["RKL51ZDR4F"]


@timeless
async def test_there_is_always_a_place_for_what_is_sent_once(
    kept: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With many other messages in progress, a confirmation is stored, and not refused by 503."""
    monkeypatch.setattr(paymux.webhooks.processing, "MAX_PENDING_EVENTS", 0)
    async with opened(World(kept)) as world:
        assert (await world.tell("RKL51ZDR4F")).status == 200
        assert await world.left() == ["RKL51ZDR4F"]


@pytest.mark.parametrize("row", ["unconfirmed SET event", "payments SET payment"])
@timeless
async def test_a_row_that_cannot_be_read_stops_nothing(kept: Path, row: str) -> None:
    """An entry or an order that cannot be read is left alone, and the others are reported."""
    async with opened(World(kept)) as world:
        await world.pool.collect("mpesa", **ORDER)
        await world.tell("RKL51ZDR4A", BillRefNumber="rent")
        with contextlib.closing(sqlite3.connect(kept, isolation_level=None)) as db:
            db.execute(f"UPDATE {row} = '{{'")
        await world.tell("RKL51ZDR4B", BillRefNumber="rent")
        await asyncio.sleep(200)
        told = [one for one, _ in world.told]
        assert told == (["RKL51ZDR4B"] if "event" in row else ["RKL51ZDR4A", "RKL51ZDR4B"])
        assert await world.left() == told


@timeless
async def test_what_no_look_up_confirms_is_not_confirmed(file: Path | None) -> None:
    """`confirm` sends no look-up for a C2B payment, even with a reference of ours."""
    async with opened(World(file)) as world:
        await world.pool.collect("mpesa", **ORDER)
        body = {**sample("mpesa", "c2b_confirmation"), "BillRefNumber": "order-1042"}
        event = world.pool.webhook(
            WebhookRequest(path=world.pool.webhook_url("mpesa"), body=json.dumps(body).encode())
        )
        asked = len(world.sim.requests)
        with pytest.raises(Unsupported):
            await world.pool.confirm(event)
        assert len(world.sim.requests) == asked


@pytest.mark.parametrize(
    ("event", "because", "field"),
    [
        (None, "x", "event"),
        ("RKL51ZDR4F", "x", "event"),
        (Event(claims=Payment(account="mpesa")), "x", "event"),
        (..., "", "because"),
        (..., None, "because"),
        (..., "a\nb", "because"),
    ],
)
@timeless
async def test_only_what_is_kept_is_dealt_with(
    file: Path | None, event: Any, because: Any, field: str
) -> None:
    """Another event, or no reason, is UsageError, and the entry stays."""
    async with opened(World(file)) as world:
        await world.tell("RKL51ZDR4F")
        (entry,) = [one async for one in world.pool.unconfirmed()]
        with pytest.raises(UsageError, match=f"^{field}:"):
            await world.pool.dealt_with(entry if event is ... else event, because=because)
        assert await world.left() == ["RKL51ZDR4F"]


@timeless
async def test_a_claimed_receipt_takes_no_money_that_does_not_fit(kept: Path) -> None:
    """A receipt that an unproved message claimed for an order matches only what fits it."""
    order = Payment(
        account="mpesa", kind="collect", reference="order-1042", amount=Decimal(500), currency="KES"
    )
    paid = replace(
        order, status=Status.SUCCEEDED, ids={"claimed_receipt": "RKL51ZDR4F"}, payer=PAYER
    )
    world = World(kept)
    assert world.journal is not None
    async with opened(world):
        await world.journal.intend(order, "digest")
        await world.journal.record(paid, "webhook")
        await world.tell("RKL51ZDR4F", MSISDN="2547 ***** 145")
        await asyncio.sleep(121)
        assert [one for one, _ in world.told] == ["RKL51ZDR4F"]
        await world.tell("RKL51ZDR4F", TransTime="20231121121326")
        await asyncio.sleep(121)
    assert len(world.told) == 1


@pytest.mark.parametrize(
    ("said", "fits"),
    [
        ("2547 ***** 126", True),
        ("2547*****126", True),
        ("254****6", True),
        ("254708374126", True),
        ("+254 708 374 126", True),
        ("2547 ***** 127", False),
        ("254708374127", False),
        ("*****126", True),
        ("****", True),
        (hashlib.sha256(b"0708374126").hexdigest().upper(), True),
        (hashlib.sha256(b"x").hexdigest(), False),
        (None, True),
    ],
)
def test_the_digits_that_are_shown_are_compared(said: str | None, fits: bool) -> None:
    """A masked number, its hash, or none: visible digits must be the payer's."""
    mpesa = Mpesa(consumer_key="k", consumer_secret="s", shortcode="174379", passkey="p")
    order = Payment(account="mpesa", reference="order-1", payer="254708374126")
    claims = Payment(account="mpesa", ids={} if said is None else {"MSISDN": said})
    assert mpesa.may_tell_of(Event(account="mpesa", claims=claims), order) is fits
