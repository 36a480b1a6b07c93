"""Forged messages about a known order: few are stored, small, and the real one is kept."""

import asyncio
import contextlib
import random
import sqlite3
from collections import Counter
from pathlib import Path
from typing import Any

import msgspec
import pytest

from paymux import CamPay, Payment, Pool, Status, WebhookRequest
from paymux.http import Response
from paymux.journal.stored_events import is_repeat_event, repeat_event, trimmed
from paymux.journal.tables.inbox import MAX_EVENTS_PER_ORDER
from paymux.models import Event, Trust
from paymux.simulator import Simulator
from paymux.webhooks import Webhooks

from .campaigns.simulation import LoopJournal
from .toys import BASE, KEY, Desk, Keyless, Wire, answer, now, push, timeless

ORDER: dict[str, Any] = {
    "amount": 500,
    "currency": "XAF",
    "payer": "237677777774",
    "reference": "1009",
}


def inline(file: Path) -> LoopJournal:
    """Return a journal for virtual time."""
    return LoopJournal(file, random.Random(1))


def kept(file: Path) -> list[tuple[str | None, int, str]]:
    """Return what is stored of messages: order, proof, and text."""
    with contextlib.closing(sqlite3.connect(file)) as db:
        return db.execute("SELECT reference, proved, event FROM hints ORDER BY id").fetchall()


class Shop:
    """Records the times of callbacks."""

    def __init__(self) -> None:
        self.told: list[tuple[float, str | None, Status]] = []

    async def __call__(self, payment: Payment) -> None:
        self.told.append((now(), payment.reference, payment.status))


class Street:
    """CamPay without a webhook key, a shop with a journal, and a sender of forged messages."""

    def __init__(self, file: Path) -> None:
        self.sim = Simulator()
        self.shop = Shop()
        # Made anew, without a key: the lowest msgspec replaces fields without `__post_init__`.
        url = self.sim.driver("campay").base_url
        campay = CamPay(username="simulator", password="simulator", base_url=url)
        self.pool = Pool(
            campay,
            connection=self.sim.connection,
            webhook_base=BASE,
            webhook_key=KEY,
            journal=inline(file),
        )
        self.hooks = Webhooks(self.pool, self.shop)
        self.sim.campay.webhook_url = self.pool.webhook_url("campay")
        self.sim.on_webhook(self.hooks.answer)

    def forged(self, payment: Payment, number: int) -> WebhookRequest:
        """Return a message that names the order, and lies about the rest."""
        return push(
            path=self.pool.webhook_url("campay"),
            reference=payment.provider_reference,
            external_reference="1009",
            status="SUCCESSFUL",
            operator_reference=f"forged-{number}",
            amount="500",
            currency="XAF",
        )

    async def delay(self, forgeries: int) -> float:
        """Return the delay of an order's end in seconds, after `forgeries` forged messages."""
        async with self.pool, self.hooks:
            payment = await self.pool.collect("campay", **ORDER)
            await asyncio.sleep(30)
            messages = [self.forged(payment, number) for number in range(forgeries)]
            await asyncio.gather(*(self.hooks.answer(one) for one in messages))
            assert self.shop.told == []
            ended = now()
            self.sim.settle("1009", Status.SUCCEEDED)
            await asyncio.sleep(60)
        ((told, *what),) = self.shop.told
        assert what == ["1009", Status.SUCCEEDED]
        return told - ended


@pytest.mark.slow
@timeless
async def test_ten_thousand_forgeries_delay_no_real_message(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """10,000 forgeries that name the order, then the real message: delivered as usual."""
    usual = await Street(tmp_path / "quiet.db").delay(0)
    caplog.clear()
    street = Street(tmp_path / "flooded.db")
    assert await street.delay(10_000) <= usual + 1.5
    assert len(kept(tmp_path / "flooded.db")) <= MAX_EVENTS_PER_ORDER
    assert len([one for one in caplog.records if one.levelname in ("ERROR", "WARNING")]) <= 10


def toy(file: Path, shop: Shop, *, said: Response, driver: Keyless | None = None) -> Webhooks:
    """Return the webhooks of a shop at a toy provider."""
    desk = Desk(collect=answer(id="id-1", status="WAIT"), payments=said)
    pool = Pool(
        driver or Keyless(),
        connection=Wire(desk),
        webhook_base=BASE,
        webhook_key=KEY,
        journal=inline(file),
    )
    return Webhooks(pool, shop)


TOY: dict[str, Any] = {"amount": 500, "currency": "XAF", "reference": "order-1"}


@pytest.mark.slow
@pytest.mark.parametrize("path", [None, "order-1"])
@timeless
async def test_few_are_kept_about_one_order(path: str | None, tmp_path: Path) -> None:
    """Of 500 messages about an order four are stored, each at most 4 kB."""
    hooks = toy(tmp_path / "j.db", Shop(), said=answer(id="id-1", status="WAIT"))
    async with hooks._pool as pool, hooks:
        await pool.collect("keyless", **TOY)
        for number in range(500):
            message = push(
                path=pool.webhook_url("keyless", path),
                id="id-1",
                status="OK",
                reference="order-1",
                receipt=f"{number}",
                currency="X" * 30_000,
            )
            await asyncio.gather(hooks.answer(message))
    found = kept(tmp_path / "j.db")
    places = Counter((reference, proved) for reference, proved, _ in found)
    # The question that stands for the rest has a place among those that prove nothing.
    assert places == (
        {("order-1", 1): MAX_EVENTS_PER_ORDER, ("order-1", 0): 1}
        if path
        else {("order-1", 0): MAX_EVENTS_PER_ORDER}
    )
    assert max(len(text) for *_, text in found) < 4096


@timeless
async def test_the_proved_have_places_of_their_own(tmp_path: Path) -> None:
    """A flood of unproved messages leaves the slots of signed ones, and of the order's path."""
    journal = inline(tmp_path / "j.db")
    claims = Payment(account="keyless", kind="collect", reference="order-1")
    for number in range(20):
        one = msgspec.structs.replace(claims, receipt=str(number))
        await journal.keep_event(Event(account="keyless", claims=one))
    proved = [
        Event(account="keyless", claims=claims, trust=Trust.BODY),
        Event(account="keyless", claims=claims, path_reference="order-1"),
    ]
    assert [await journal.keep_event(one) for one in proved] == [True, True]
    assert await journal.keep_event(repeat_event(proved[0], claims)) is True, (
        "the place of `again` is kept free"
    )
    assert len(kept(tmp_path / "j.db")) == MAX_EVENTS_PER_ORDER + 2
    await journal.aclose()


@pytest.mark.slow
@timeless
async def test_what_contradicts_the_order_is_not_kept_and_said_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """2,000 messages with an order and another payment: none is stored; one ERROR is logged."""
    hooks = toy(tmp_path / "j.db", Shop(), said=answer(404))
    async with hooks._pool as pool, hooks:
        await pool.collect("keyless", **TOY)
        for number in range(2000):
            forged = push(
                path=pool.webhook_url("keyless"), id=f"x-{number}", reference="order-1", status="OK"
            )
            assert (await hooks.answer(forged)).status == 200
        assert kept(tmp_path / "j.db") == []
    assert len([one for one in caplog.records if one.levelname == "ERROR"]) == 1


@timeless
async def test_a_dead_workers_question_is_asked_by_the_next(tmp_path: Path) -> None:
    """A message that stands for many is in the journal: the next worker looks up again."""
    file, shop = tmp_path / "j.db", Shop()
    dead = toy(file, Shop(), said=answer(id="id-1", status="WAIT"))
    async with dead._pool as pool, dead:
        await pool.collect("keyless", **TOY)
        for number in range(20):
            forged = push(
                path=pool.webhook_url("keyless"),
                id="id-1",
                status="OK",
                reference="order-1",
                receipt=f"{number}",
            )
            await dead.answer(forged)
    texts = [msgspec.json.decode(text, type=Event) for *_, text in kept(file)]
    assert len([one for one in texts if is_repeat_event(one)]) == 1
    async with (alive := toy(file, shop, said=answer(id="id-1", status="OK")))._pool, alive:
        await asyncio.sleep(5)
    assert [one[1:] for one in shop.told] == [("order-1", Status.SUCCEEDED)]


def test_what_is_kept_confirms_as_the_message_did() -> None:
    """Ids, amount, receipt and trust stay; an id that is too long is left out."""
    claims = Payment(
        account="toy",
        reference="order-1",
        provider_reference="p" * 257,
        ids={"token": "t", "long": "x" * 300, **{str(number): "y" for number in range(20)}},
        receipt="R1",
        message="m" * 10_000,
        metadata={"deep": ["x"] * 1000},
        raw="{}",
        status=Status.SUCCEEDED,
    )
    event = Event(
        account="toy", provider="toy", trust=Trust.BODY, claims=claims, path_reference="order-1"
    )
    found = trimmed(event)
    assert trimmed(found) == found
    assert (found.trust, found.path_reference, found.claims.receipt) == (
        Trust.BODY,
        "order-1",
        "R1",
    )
    assert (found.claims.provider_reference, found.claims.ids["token"]) == (None, "t")
    assert len(msgspec.json.encode(found)) < 4096
