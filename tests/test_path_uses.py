"""What each callback path causes: for payouts and refunds, time-outs, C2B, answers and pings."""

from pathlib import Path
from typing import Any, ClassVar

import pytest
from msgspec.structs import replace

from paymux import (
    Mpesa,
    OutcomeUnknown,
    PayDunya,
    Payment,
    Pool,
    Status,
    UsageError,
    WebhookRequest,
)
from paymux.core.callback_urls import CallbackUrls
from paymux.drivers.base import Option
from paymux.http import Response, TransportError
from paymux.journal.base import order_digest
from paymux.models import Order
from paymux.primitives.redaction import Secret
from paymux.webhooks import Webhooks

from .toys import BASE, KEY, Desk, Keyless, Wire, answer, push, timeless

HOOKS: dict[str, Any] = {"webhook_base": BASE, "webhook_key": KEY}
URLS = CallbackUrls(BASE, Secret(KEY))
ORDER: dict[str, Any] = {"amount": 500, "currency": "XAF", "reference": "x-1"}
PAYMENT = Payment(account="keyless", reference="o-1", provider_reference="p1", currency="XAF")
OWN = "https://other.example/told"


class Bare(Keyless, frozen=True, kw_only=True):
    """A toy that takes a callback URL in a collect alone."""

    name = "bare"
    payout_takes: ClassVar[frozenset[Option]] = frozenset()


class Whole(Keyless, frozen=True, kw_only=True):
    """A toy that takes a callback URL in orders of each kind, and keeps the orders."""

    name = "whole"
    refund_takes: ClassVar[frozenset[Option]] = frozenset({"webhook_url"})


class Short(Whole, frozen=True, kw_only=True):
    """A toy whose provider has too little room for the URL of an order."""

    name = "short"
    short_callbacks = True


async def _sent(monkeypatch: pytest.MonkeyPatch, driver: type[Keyless], **more: Any) -> list[Order]:
    """Make an order of each kind; return them as the driver got them."""
    sent: list[Order] = []

    async def made(self: Keyless, send: object, order: Order, *_: Payment) -> Payment:
        sent.append(order)
        return self.pending(order)

    for verb in ("collect", "payout", "refund"):
        monkeypatch.setattr(driver, verb, made)
    async with Pool(driver(account="keyless"), connection=Wire(Desk()), **more) as pay:
        given: dict[str, Any] = {"webhook_url": OWN} if not more else {}
        await pay.collect("keyless", **ORDER, **given)
        await pay.payout("keyless", payee="237677777777", **ORDER, **given)
        await pay.refund(PAYMENT, amount=500, reference="x-1", **given)
    return sent


@timeless
async def test_payouts_and_refunds_get_their_own_paths(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the driver takes one, each order has the URL of its kind, and that of its time-out."""
    sent = await _sent(monkeypatch, Whole, **HOOKS)
    url = URLS.url
    assert [(order.webhook_url, order.timeout_url) for order in sent] == [
        (url("keyless", "x-1"), None),
        (url("keyless", "x-1", "payout"), url("keyless", "x-1", "payout_timeout")),
        (url("keyless", "x-1", "refund"), url("keyless", "x-1", "refund_timeout")),
    ]


@timeless
async def test_an_order_has_no_path_that_its_driver_does_not_take(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A driver that takes a callback URL in a collect alone gets none in a payout or a refund."""
    sent = await _sent(monkeypatch, Bare, **HOOKS)
    assert [(order.webhook_url, order.timeout_url) for order in sent] == [
        (URLS.url("keyless", "x-1"), None),
        (None, None),
        (None, None),
    ]


@timeless
async def test_an_order_has_the_accounts_path_where_its_own_does_not_fit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A provider with a short field gets the account's URL, in each order and without a time-out's.

    A URL that the caller gives is sent all the same.
    """
    url = URLS.url("keyless")
    sent = await _sent(monkeypatch, Short, **HOOKS)
    assert [(order.webhook_url, order.timeout_url) for order in sent] == [(url, None)] * 3
    assert [order.webhook_url for order in await _sent(monkeypatch, Short)] == [OWN] * 3


@timeless
async def test_a_callers_own_url_is_for_the_time_out_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """A callback URL that the caller gives is sent as it is, and hears of time-outs."""
    sent = await _sent(monkeypatch, Whole)
    assert [(order.webhook_url, order.timeout_url) for order in sent] == [
        (OWN, None),
        (OWN, OWN),
        (OWN, OWN),
    ]
    bare = Pool(Bare(account="keyless"), connection=Wire(Desk()))
    with pytest.raises(UsageError, match="webhook_url"):
        await bare.payout("keyless", payee="237677777777", webhook_url=OWN, **ORDER)
    with pytest.raises(UsageError, match="webhook_url"):
        await bare.refund(PAYMENT, amount=500, reference="x-1", webhook_url=OWN)


@timeless
async def test_the_urls_are_no_part_of_an_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """An order is the same with and without its URLs: an earlier release sent it without them."""
    for order in await _sent(monkeypatch, Whole, **HOOKS):
        bare = replace(order, webhook_url=None, timeout_url=None)
        assert order_digest(order) == order_digest(bare)


def _asked(wire: Wire) -> int:
    return len(wire.paths("/payments"))


@pytest.mark.parametrize("body", [b"", b"\xff{", b'{"id": "id-9", "status": "FAILED"}'])
@timeless
async def test_a_time_out_causes_one_look_up_of_its_order(tmp_path: Path, body: bytes) -> None:
    """Whatever a time-out says, its order stays open, and the provider is asked once."""
    told: list[Payment] = []

    async def on_payment(payment: Payment) -> None:
        told.append(payment)

    desk = Desk(payout=answer(id="id-1", status="WAIT"), payments=answer(id="id-1", status="WAIT"))
    wire = Wire(desk)
    pool = Pool(Keyless(), connection=wire, journal=tmp_path / "payments.db", **HOOKS)
    hooks = Webhooks(pool, on_payment, kinds=("payout",))
    async with pool:
        await pool.payout("keyless", payee="237677777777", **ORDER)
        path = URLS.url("keyless", "x-1", "payout_timeout").removeprefix("https://shop.example")
        reply = await hooks.answer(WebhookRequest(path=path, body=body))
        assert (reply.status, _asked(wire)) == (200, 1)
        [listed] = [payment async for payment in pool.payments()]
        assert (listed.kind, listed.status, told) == ("payout", Status.PENDING, [])
    stored = (tmp_path / "payments.db").read_bytes()
    assert not body or body not in stored


@timeless
async def test_a_result_on_the_path_of_a_lost_payout_ends_it(tmp_path: Path) -> None:
    """A payout whose answer was lost is ended by the message on its own path, not the collect."""
    lost = TransportError("reset")
    desk = Desk(collect=[lost], payout=[lost], payments=answer(id="id-1", status="OK", amount=500))
    pool = Pool(Keyless(), connection=Wire(desk), journal=tmp_path / "payments.db", **HOOKS)
    async with pool as pay:
        for order in (
            pay.collect("keyless", **ORDER),
            pay.payout("keyless", payee="237677777777", **ORDER),
        ):
            with pytest.raises(OutcomeUnknown):
                await order
        path = pay.webhook_url("keyless", "x-1", use="payout")
        payment = await pay.confirm(pay.webhook(push(path=path, id="id-1", kind="payout")))
        assert (payment.kind, payment.status) == ("payout", Status.SUCCEEDED)
        listed = {payment.kind: payment.status async for payment in pay.payments()}
    assert listed == {"collect": Status.PENDING, "payout": Status.SUCCEEDED}


async def _answered(driver: Any, path: str, **more: Any) -> Response:
    pool = Pool(driver, connection=Wire(Desk()), **HOOKS)

    async def on_payment(payment: Payment) -> None:
        raise AssertionError

    async with pool:
        return await Webhooks(pool, on_payment).answer(WebhookRequest(path=path, **more))


@timeless
async def test_an_answer_that_nobody_waits_for_is_refused() -> None:
    """A message on the path of an answer is 400 if no question of this pool is open."""
    for url in URLS.answer_urls("keyless", bytes(16), 2**32 - 1):
        assert (await _answered(Keyless(), url, body=b"{}")).status == 400


PAYDUNYA: dict[str, Any] = {
    "master_key": "m" * 16,
    "private_key": "p" * 16,
    "access_token": "t" * 16,
    "store_name": "Shop",
}


@pytest.mark.parametrize("method", ["POST", "GET", "HEAD"])
@pytest.mark.parametrize("reference", ["x-1", None])
@timeless
async def test_an_empty_message_is_a_probe_where_the_page_says_so(
    method: str, reference: str | None
) -> None:
    """PayDunya tests a callback URL with an empty body: 2xx. At another provider it is 400."""
    driver = PayDunya(**PAYDUNYA)
    url = URLS.url("paydunya", reference)
    assert (await _answered(driver, url, method=method)).status == 200
    keys: dict[str, Any] = {
        "consumer_key": "k",
        "consumer_secret": "s",
        "shortcode": "174379",
        "passkey": "p",
    }
    mpesa = Mpesa(**keys)
    assert (await _answered(mpesa, URLS.url("mpesa", reference), method=method)).status == 400


@timeless
async def test_a_probe_proves_nothing() -> None:
    """A probe is a ping that cannot be confirmed, and a message with content is no probe."""
    driver = PayDunya(**PAYDUNYA)
    pay = Pool(driver, connection=Wire(Desk()), **HOOKS)
    url = URLS.url("paydunya", "x-1")
    assert pay.webhook(WebhookRequest(path=url)).ping
    assert (await _answered(driver, url, body=b"{}")).status == 400
    assert (await _answered(driver, url, method="GET", query="a=1")).status == 400
