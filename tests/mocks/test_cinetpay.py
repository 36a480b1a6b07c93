"""CinetPay's verbs under aioresponses."""

from collections.abc import AsyncIterator

import aiohttp
import pytest
from aioresponses import aioresponses

from paymux import CinetPay, Payment, Pool, Status, WebhookRequest

from ..driving import sample

API = "https://api-checkout.cinetpay.com/v2/payment"
PAID = sample("cinetpay", "check_accepted.200")


@pytest.fixture
async def pay(mocked: aioresponses, session: aiohttp.ClientSession | None) -> AsyncIterator[Pool]:
    """Open a pool with an account."""
    account = CinetPay(apikey="key", site_id="votre-site-id", live=True)
    async with Pool(account, session=session) as pay:
        yield pay


async def collected(pay: Pool, mocked: aioresponses) -> Payment:
    """Make an order that is pending."""
    mocked.post(API, status=201, payload=sample("cinetpay", "checkout.201"))
    return await pay.collect(
        "cinetpay",
        amount=100,
        currency="XOF",
        reference="order-1042",
        description="Data bundle",
        return_url="https://shop.example/back",
        webhook_url="https://shop.example/hook",
    )


async def test_collect(pay: Pool, mocked: aioresponses) -> None:
    """An order has the URL of its page."""
    payment = await collected(pay, mocked)
    assert (payment.status, payment.checkout_url) == (
        Status.PENDING,
        "https://checkout.cinetpay.com/payment/5f0a3b9c7e1d4286",
    )


async def test_verify(pay: Pool, mocked: aioresponses) -> None:
    """A look-up reads the payment's end."""
    payment = await collected(pay, mocked)
    mocked.post(f"{API}/check", payload=PAID)
    assert (await pay.verify(payment)).status is Status.SUCCEEDED


async def test_find(pay: Pool, mocked: aioresponses) -> None:
    """A payment is found by our reference."""
    mocked.post(f"{API}/check", payload=PAID)
    found = await pay.find("cinetpay", reference="order-1042")
    assert found.status is Status.SUCCEEDED
    assert found.amount == 100


async def test_webhook(pay: Pool, mocked: aioresponses) -> None:
    """A notification is confirmed by a look-up, which the mock answers."""
    payment = await collected(pay, mocked)
    headers = {"content-type": "application/x-www-form-urlencoded"}
    body = b"cpm_site_id=votre-site-id&cpm_trans_id=order-1042"
    event = pay.webhook(WebhookRequest(headers=headers, body=body), account="cinetpay")
    mocked.post(f"{API}/check", payload=PAID)
    assert (await pay.confirm(event, expected=payment)).status is Status.SUCCEEDED


async def test_returned(pay: Pool, mocked: aioresponses) -> None:
    """The URL to which the browser returned is confirmed like a notification."""
    payment = await collected(pay, mocked)
    event = pay.returned("cinetpay", "https://shop.example/back?transaction_id=order-1042")
    mocked.post(f"{API}/check", payload=PAID)
    assert (await pay.confirm(event, expected=payment)).status is Status.SUCCEEDED
