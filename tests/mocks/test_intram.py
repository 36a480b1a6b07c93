"""Intram's verbs under aioresponses."""

from collections.abc import AsyncIterator

import aiohttp
import pytest
from aioresponses import aioresponses

from paymux import Intram, Payment, Pool, Status, WebhookRequest

from ..driving import sample

API = "https://webservices.intram.org:4002/api/v1"
ID = "5f2d7a96b97d9d3fea912c11"
PAID = {**sample("intram", "confirm_node.200"), "total_amount": 1000, "custom_data": {}}


@pytest.fixture
async def pay(mocked: aioresponses, session: aiohttp.ClientSession | None) -> AsyncIterator[Pool]:
    """Open a pool with an account of the sandbox."""
    account = Intram(public_key="tpk_1", private_key="tsk_2", secret="tpk_3", store="Shop")
    async with Pool(account, session=session) as pay:
        yield pay


async def collected(pay: Pool, mocked: aioresponses) -> Payment:
    """Make an order that is pending."""
    mocked.post(f"{API}/payments/request", payload=sample("intram", "page.200"))
    return await pay.collect(
        "intram",
        amount=1000,
        currency="XOF",
        reference="order-1042",
        description="Data bundle",
        return_url="https://shop.example/back",
        cancel_url="https://shop.example/left",
        webhook_url="https://shop.example/hook",
    )


async def test_collect(pay: Pool, mocked: aioresponses) -> None:
    """An order has a page, and Intram's id."""
    payment = await collected(pay, mocked)
    assert (payment.status, payment.provider_reference) == (Status.PENDING, ID)
    assert payment.checkout_url


async def test_verify(pay: Pool, mocked: aioresponses) -> None:
    """A look-up reads the payment's end."""
    payment = await collected(pay, mocked)
    mocked.get(f"{API}/transactions/confirm/{ID}", payload=PAID)
    assert (await pay.verify(payment)).status is Status.SUCCEEDED


async def test_webhook(pay: Pool, mocked: aioresponses) -> None:
    """A message is confirmed by a look-up, which the mock answers."""
    payment = await collected(pay, mocked)
    body = b'{"status": "SUCCESS", "transaction_id": "5f2d7a96b97d9d3fea912c11"}'
    event = pay.webhook(WebhookRequest(body=body), account="intram")
    mocked.get(f"{API}/transactions/confirm/{ID}", payload=PAID)
    assert (await pay.confirm(event, expected=payment)).status is Status.SUCCEEDED


async def test_returned(pay: Pool, mocked: aioresponses) -> None:
    """The URL to which the browser returned is confirmed like a message."""
    payment = await collected(pay, mocked)
    event = pay.returned("intram", f"https://shop.example/back?token={ID}")
    mocked.get(f"{API}/transactions/confirm/{ID}", payload=PAID)
    assert (await pay.confirm(event, expected=payment)).status is Status.SUCCEEDED
