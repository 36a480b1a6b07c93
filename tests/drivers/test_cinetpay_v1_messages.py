"""Notifications of CinetPay's API of 2026: whose they are, and what is kept of their token."""

import asyncio
import hashlib
import json
import logging
from pathlib import Path
from typing import Any

import msgspec
import pytest

from paymux import Pool
from paymux.errors import Mismatch, OutcomeUnknown
from paymux.http import WebhookRequest
from paymux.models import Event, Payment, Reason, Status, Trust
from paymux.simulator import Fault, Simulator
from paymux.values.parsing import Unreadable
from paymux.webhooks import Webhooks
from tests.driving import sample
from tests.toys import timeless

from .test_cinetpay_v1 import CASE, PAYEE, driver


def _told(**fields: Any) -> Event:
    said = {**sample("cinetpay_v1", "notice"), **fields}
    body = json.dumps({name: value for name, value in said.items() if value is not None}).encode()
    return driver().webhook(WebhookRequest(body=body))


def test_a_notification_names_its_order_and_no_status() -> None:
    """Its ids are a claim; a word of success in it is not read."""
    event = _told(code=100, status="SUCCESS", amount="5", merchant_transaction_id="ORDER1")
    claims = event.claims
    assert (claims.status, claims.amount, event.trust) == (Status.PENDING, None, Trust.NOTHING)
    assert (claims.kind, claims.reference) == ("collect", "ORDER1")
    assert claims.provider_reference == "50901a80c84b4edcb4f50ae864bfa7c5"
    token = sample("cinetpay_v1", "notice")["notify_token"]
    assert claims.ids == {
        "merchant_transaction_id": "ORDER1",
        "notify_token_sha256": hashlib.sha256(token.encode()).hexdigest(),
    }
    event = _told(merchant_transaction_id="PPORDER1")
    assert (event.claims.kind, event.claims.reference) == ("payout", "ORDER1")


@pytest.mark.parametrize("name", ["notify_token", "merchant_transaction_id", "transaction_id"])
def test_a_notification_without_its_ids_is_unreadable(name: str) -> None:
    """Each of the three is in every documented notification."""
    with pytest.raises(Unreadable):
        _told(**{name: None})


@timeless
async def test_a_token_is_kept_as_a_digest_and_shown_nowhere(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The token that proves messages is in no payment, record or journal; its digest is."""
    sim = Simulator(providers=["cinetpay_v1"])
    heard: list[WebhookRequest] = []
    sim.on_webhook(_hears(heard))
    store = tmp_path / "pay.db"
    with caplog.at_level(logging.DEBUG, logger="paymux"):
        async with _pool(sim, journal=store) as pool:
            payments = [await _collect(pool), await _payout(pool)]
            tokens = [entry.words["notify_token"] for entry in sim.ledger]
            for payment in payments:
                assert payment.provider_reference
                sim.settle(payment.provider_reference, Status.SUCCEEDED)
            await asyncio.sleep(2)
            payments += [await pool.confirm(pool.webhook(one)) for one in heard]
        await sim.core.aclose()
    assert [one.status for one in payments[2:]] == [Status.SUCCEEDED] * 2
    kept = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    shown = "".join(f"{one!r}{one.raw}{one.ids}{msgspec.json.encode(one)!r}" for one in payments)
    shown += "".join(record.getMessage() for record in caplog.records)
    public = "".join(f"{one!r}{msgspec.json.encode(one.public())!r}" for one in payments)
    assert "Doe" not in public  # the payer's name, and the payee's
    assert "@" not in public
    for token in tokens:
        assert token not in shown
        assert token.encode() not in kept
        assert hashlib.sha256(token.encode()).hexdigest().encode() in kept


@pytest.mark.parametrize("reference", ["ORDER1", "order-1"], ids=["as it is", "as a digest"])
@timeless
async def test_the_message_of_a_lost_answer_is_a_hint_that_finds_its_order(
    tmp_path: Path, reference: str
) -> None:
    """Its token is not known, so the look-up decides; the order's end is told once."""
    sim = Simulator(providers=["cinetpay_v1"])
    heard: list[WebhookRequest] = []
    sim.on_webhook(_hears(heard))
    told: list[Payment] = []

    async def on_payment(payment: Payment) -> None:
        told.append(payment)

    async with _pool(sim, journal=tmp_path / "pay.db") as pool, Webhooks(pool, on_payment) as hooks:
        sim.fault("cinetpay_v1", "POST /v1/payment", kind=Fault.DROP_AFTER)
        with pytest.raises(OutcomeUnknown):
            await _collect(pool, reference)
        sim.settle(sim.ledger.newest.provider_reference, Status.SUCCEEDED)
        await asyncio.sleep(1)
        (message,) = heard
        for _ in range(2):
            assert (await hooks.answer(message)).status == 200
        await asyncio.sleep(60)
    (payment,) = told
    assert (payment.reference, payment.status) == (reference, Status.SUCCEEDED)
    assert payment.amount == sim.ledger.charged() == 1000
    await sim.core.aclose()


@timeless
async def test_a_collect_and_a_payout_of_one_reference_have_their_own_messages(
    tmp_path: Path,
) -> None:
    """Both go to the account's one address; the ids say which of the two each is about."""
    sim = Simulator(providers=["cinetpay_v1"])
    heard: list[WebhookRequest] = []
    sim.on_webhook(_hears(heard))
    async with _pool(sim, journal=tmp_path / "pay.db") as pool:
        one, two = await _collect(pool, "X1"), await _payout(pool, "X1")
        assert one.provider_reference
        assert two.provider_reference
        sim.settle(one.provider_reference, Status.SUCCEEDED)
        sim.settle(two.provider_reference, Status.FAILED, reason=Reason.DECLINED)
        await asyncio.sleep(2)
        events = [pool.webhook(one) for one in heard]
        found = [await pool.confirm(event) for event in events]
        assert {one.kind: (one.status, one.reference) for one in found} == {
            "collect": (Status.SUCCEEDED, "X1"),
            "payout": (Status.FAILED, "X1"),
        }
        with pytest.raises(Mismatch):
            await pool.confirm(events[0], expected=two)
    await sim.core.aclose()


@pytest.mark.slow
@timeless
async def test_ten_thousand_forgeries_ask_nothing(tmp_path: Path) -> None:
    """A message without the order's own token is refused before the provider is asked."""
    sim = Simulator(providers=["cinetpay_v1"])
    async with _pool(sim, journal=tmp_path / "pay.db") as pool:
        payment = await _collect(pool)
        before = len(sim.requests)
        told = {
            "merchant_transaction_id": payment.ids["merchant_transaction_id"],
            "transaction_id": payment.provider_reference,
        }
        path = pool.webhook_url("cinetpay_v1").removeprefix("https://shop.example")
        for number in range(10_000):
            body = json.dumps({**told, "notify_token": f"{number:039x}"}).encode()
            with pytest.raises(Mismatch):
                await pool.confirm(pool.webhook(WebhookRequest(path=path, body=body)))
        assert len(sim.requests) == before
    await sim.core.aclose()


def _hears(heard: list[WebhookRequest]) -> Any:
    async def hear(message: WebhookRequest) -> None:
        heard.append(message)

    return hear


def _pool(sim: Simulator, **more: Any) -> Pool:
    hooks: dict[str, Any] = {
        "webhook_base": "https://shop.example/pay",
        "webhook_key": "0123456789abcdef-hooks",
    }
    return Pool(sim.driver("cinetpay_v1"), connection=sim.connection, **hooks, **more)


async def _collect(pool: Pool, reference: str = "order-1") -> Payment:
    return await pool.collect("cinetpay_v1", amount=1000, reference=reference, **CASE.order)


async def _payout(pool: Pool, reference: str = "wage-1") -> Payment:
    return await pool.payout(
        "cinetpay_v1",
        amount=500,
        currency="XOF",
        payee=PAYEE,
        reference=reference,
        operator="mtn",
    )
