"""Daraja's verbs under aioresponses."""

import json
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aioresponses import aioresponses

from paymux import Mpesa, Payment, Pool, Status, WebhookRequest

from ..driving import sample

API = "https://sandbox.safaricom.co.ke"
LOGIN = f"{API}/oauth/v1/generate?grant_type=client_credentials"
ID = "ws_CO_191220191020363925"
PAID = {**sample("mpesa", "query_succeeded.200"), "CheckoutRequestID": ID}


@pytest.fixture
async def pay(mocked: aioresponses, session: aiohttp.ClientSession | None) -> AsyncIterator[Pool]:
    """Open a pool with an account of the sandbox."""
    mocked.get(LOGIN, payload={"access_token": "t0ken", "expires_in": "3599"})
    account = Mpesa(
        consumer_key="key", consumer_secret="secret", shortcode="174379", passkey="pass"
    )
    async with Pool(account, session=session) as pay:
        yield pay


async def collected(pay: Pool, mocked: aioresponses) -> Payment:
    """Make an order that is pending."""
    mocked.post(f"{API}/mpesa/stkpush/v1/processrequest", payload=sample("mpesa", "push.200"))
    return await pay.collect(
        "mpesa",
        amount=1,
        currency="KES",
        payer="254708374149",
        reference="order-1042",
        webhook_url="https://shop.example/hook",
    )


async def test_collect(pay: Pool, mocked: aioresponses) -> None:
    """A push that was accepted is pending."""
    payment = await collected(pay, mocked)
    assert (payment.status, payment.provider_reference) == (Status.PENDING, ID)


async def test_verify(pay: Pool, mocked: aioresponses) -> None:
    """A query reads the payment's end."""
    payment = await collected(pay, mocked)
    mocked.post(f"{API}/mpesa/stkpushquery/v1/query", payload=PAID)
    assert (await pay.verify(payment)).status is Status.SUCCEEDED


async def test_webhook(pay: Pool, mocked: aioresponses) -> None:
    """A callback is confirmed by a query, which the mock answers."""
    payment = await collected(pay, mocked)
    body = json.dumps(sample("mpesa", "callback_succeeded")).encode()
    event = pay.webhook(WebhookRequest(body=body), account="mpesa")
    mocked.post(f"{API}/mpesa/stkpushquery/v1/query", payload=PAID)
    assert (await pay.confirm(event, expected=payment)).status is Status.SUCCEEDED
