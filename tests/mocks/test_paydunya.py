"""PayDunya's verbs under aioresponses."""

import hashlib
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from aioresponses import aioresponses

from paymux import PayDunya, Payment, Pool, Status, WebhookRequest

from ..driving import sample

API = "https://app.paydunya.com/sandbox-api/v1"
TOKEN = "test_RHICF0HboN"
KEY = "master-key-test"
HASH = hashlib.sha512(KEY.encode()).hexdigest()
PAID: dict[str, Any] = {
    "response_code": "00",
    "response_text": "Transaction Found",
    "hash": HASH,
    "invoice": {"token": TOKEN, "total_amount": 1000},
    "custom_data": {"paymux_reference": "order-1042"},
    "mode": "test",
    "status": "completed",
}


@pytest.fixture
async def pay(mocked: aioresponses, session: aiohttp.ClientSession | None) -> AsyncIterator[Pool]:
    """Open a pool with an account of the sandbox."""
    account = PayDunya(
        master_key=KEY, private_key="test_private_key", access_token="t0ken", store_name="Shop"
    )
    async with Pool(account, session=session) as pay:
        yield pay


async def collected(pay: Pool, mocked: aioresponses) -> Payment:
    """Make an order that is pending."""
    mocked.post(f"{API}/checkout-invoice/create", payload=sample("paydunya", "created_sandbox.200"))
    return await pay.collect(
        "paydunya",
        amount=1000,
        currency="XOF",
        reference="order-1042",
        description="Data bundle",
        return_url="https://shop.example/back",
        cancel_url="https://shop.example/left",
    )


async def test_collect(pay: Pool, mocked: aioresponses) -> None:
    """An order has the URL of its page."""
    payment = await collected(pay, mocked)
    assert (payment.status, payment.provider_reference) == (Status.PENDING, TOKEN)
    assert payment.checkout_url == f"https://app.paydunya.com/sandbox-checkout/invoice/{TOKEN}"


async def test_payout(pay: Pool, mocked: aioresponses) -> None:
    """A transfer of which PayDunya repeats the amount is paid."""
    mocked.post(f"{API}/direct-pay/credit-account", payload=sample("paydunya", "credited.200"))
    paid = await pay.payout(
        "paydunya", amount=4500, currency="XOF", payee="seller@example.com", reference="wage-7"
    )
    assert (paid.status, paid.kind) == (Status.SUCCEEDED, "payout")


async def test_verify(pay: Pool, mocked: aioresponses) -> None:
    """A look-up reads the payment's end."""
    payment = await collected(pay, mocked)
    mocked.get(f"{API}/checkout-invoice/confirm/{TOKEN}", payload=PAID)
    assert (await pay.verify(payment)).status is Status.SUCCEEDED


async def test_webhook(pay: Pool, mocked: aioresponses) -> None:
    """A message is confirmed by a look-up, which the mock answers."""
    payment = await collected(pay, mocked)
    body = json.dumps({"data": PAID}).encode()
    event = pay.webhook(WebhookRequest(body=body), account="paydunya")
    mocked.get(f"{API}/checkout-invoice/confirm/{TOKEN}", payload=PAID)
    assert (await pay.confirm(event, expected=payment)).status is Status.SUCCEEDED


async def test_returned(pay: Pool, mocked: aioresponses) -> None:
    """The URL to which the browser returned is confirmed like a message."""
    payment = await collected(pay, mocked)
    event = pay.returned("paydunya", f"https://shop.example/back?token={TOKEN}")
    mocked.get(f"{API}/checkout-invoice/confirm/{TOKEN}", payload=PAID)
    assert (await pay.confirm(event, expected=payment)).status is Status.SUCCEEDED
