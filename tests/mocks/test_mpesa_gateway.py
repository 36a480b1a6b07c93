"""The gateway's verbs under aioresponses."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import aiohttp
import pytest
from aioresponses import aioresponses

from paymux import MpesaGateway, Payment, Pool, Status, WebhookRequest

from ..driving import sample

API = "https://shop.example/api/payment"
ID = "TXN20230815123456ABC"


@pytest.fixture
async def pay(mocked: aioresponses, session: aiohttp.ClientSession | None) -> AsyncIterator[Pool]:
    """Open a pool with an account of the sandbox."""
    account = MpesaGateway(base_url="https://shop.example", access_token="t0ken")
    async with Pool(account, session=session) as pay:
        yield pay


async def collected(pay: Pool, mocked: aioresponses) -> Payment:
    """Make an order that is pending."""
    mocked.post(f"{API}/mpesa/", payload=sample("mpesa_gateway", "initiate.200"))
    return await pay.collect(
        "mpesa_gateway", amount=1000, currency="KES", payer="254712345678", reference="123"
    )


async def verified(pay: Pool, mocked: aioresponses) -> Payment:
    """Make an order that is paid."""
    payment = await collected(pay, mocked)
    mocked.post(f"{API}/verify/", payload=sample("mpesa_gateway", "verify.200"))
    return await pay.verify(payment)


async def test_collect(pay: Pool, mocked: aioresponses) -> None:
    """A payment that was initiated is pending."""
    payment = await collected(pay, mocked)
    assert (payment.status, payment.provider_reference) == (Status.PENDING, ID)


async def test_verify(pay: Pool, mocked: aioresponses) -> None:
    """A look-up reads the payment's end."""
    assert (await verified(pay, mocked)).status is Status.SUCCEEDED


async def test_refund(pay: Pool, mocked: aioresponses) -> None:
    """A refund that was accepted is pending."""
    paid = await verified(pay, mocked)
    mocked.post(f"{API}/transactions/{ID}/refund/", payload=sample("mpesa_gateway", "refund.200"))
    back = await pay.refund(paid, amount=400, reference="204207", reason="damaged")
    assert (back.status, back.kind) == (Status.PENDING, "refund")


async def test_history(pay: Pool, mocked: aioresponses) -> None:
    """The history has a payment for each row."""
    mocked.get(f"{API}/history/", payload=sample("mpesa_gateway", "history.200"))
    since = datetime(2023, 8, 15, tzinfo=UTC)
    until = datetime(2023, 8, 16, tzinfo=UTC)
    found = [past async for past in pay.history("mpesa_gateway", since=since, until=until)]
    assert [past.provider_reference for past in found] == [ID]


async def test_receipt(pay: Pool, mocked: aioresponses) -> None:
    """The receipt has its number."""
    paid = await verified(pay, mocked)
    mocked.get(f"{API}/transactions/{ID}/receipt/", payload=sample("mpesa_gateway", "receipt.200"))
    assert (await pay.receipt(paid)).number == "RCP20230815123456ABC"


async def test_methods(pay: Pool, mocked: aioresponses) -> None:
    """The ways to pay are listed."""
    mocked.get(f"{API}/methods/", payload=sample("mpesa_gateway", "methods.200"))
    assert [method.enabled for method in await pay.methods("mpesa_gateway")] == [True]


async def test_webhook(pay: Pool, mocked: aioresponses) -> None:
    """A callback is confirmed by a look-up, which the mock answers."""
    payment = await collected(pay, mocked)
    body = json.dumps(sample("mpesa_gateway", "callback")).encode()
    event = pay.webhook(WebhookRequest(body=body), account="mpesa_gateway")
    mocked.post(f"{API}/verify/", payload=sample("mpesa_gateway", "verify.200"))
    assert (await pay.confirm(event, expected=payment)).status is Status.SUCCEEDED
