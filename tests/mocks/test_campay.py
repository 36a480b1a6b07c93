"""CamPay's verbs under aioresponses."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal

import aiohttp
import pytest
from aioresponses import aioresponses

from paymux import CamPay, Payment, Pool, Status, WebhookRequest

from ..driving import sample

API = "https://demo.campay.net/api"
ID = "bcedde9b-62a7-4421-96ac-2e6179552a1a"
PAID = sample("campay", "successful.200")


@pytest.fixture
async def pay(mocked: aioresponses, session: aiohttp.ClientSession | None) -> AsyncIterator[Pool]:
    """Open a pool with an account of the sandbox."""
    mocked.post(f"{API}/token/", payload={"token": "t0ken", "expires_in": 3600})
    async with Pool(CamPay(username="shop", password="secret"), session=session) as pay:
        yield pay


async def collected(pay: Pool, mocked: aioresponses) -> Payment:
    """Make an order that is pending."""
    mocked.post(f"{API}/collect/", payload={"reference": ID, "ussd_code": "*126#"})
    return await pay.collect(
        "campay", amount=5, currency="XAF", payer="237670000000", reference="12345678"
    )


async def test_collect(pay: Pool, mocked: aioresponses) -> None:
    """An order is pending, was sent once, and the mock has its body as bytes."""
    payment = await collected(pay, mocked)
    assert (payment.status, payment.provider_reference) == (Status.PENDING, ID)
    (call,) = next(calls for (_, url), calls in mocked.requests.items() if "collect" in str(url))
    assert isinstance(call.kwargs["data"], bytes)
    assert b'"amount":"5"' in call.kwargs["data"]
    assert call.kwargs["headers"]["Authorization"] == "Token t0ken"


async def test_payout(pay: Pool, mocked: aioresponses) -> None:
    """A payout that was accepted is pending."""
    mocked.post(f"{API}/withdraw/", payload={"reference": ID, "status": "PENDING"})
    paid = await pay.payout(
        "campay", amount=5, currency="XAF", payee="237670000000", reference="wage-7"
    )
    assert (paid.status, paid.kind) == (Status.PENDING, "payout")


async def test_verify(pay: Pool, mocked: aioresponses) -> None:
    """A look-up reads the payment's end."""
    payment = await collected(pay, mocked)
    mocked.get(f"{API}/transaction/{ID}/", payload=PAID)
    assert (await pay.verify(payment)).status is Status.SUCCEEDED


async def test_balance(pay: Pool, mocked: aioresponses) -> None:
    """The balance is a Decimal in XAF."""
    mocked.get(f"{API}/balance/", payload=sample("campay", "balance.200"))
    balance = await pay.balance("campay")
    assert (balance.available, balance.currency) == (Decimal("1500.5"), "XAF")


async def test_history(pay: Pool, mocked: aioresponses) -> None:
    """The history has a payment for each row."""
    mocked.post(f"{API}/history/", payload=sample("campay", "history.200"))
    since = datetime(2021, 1, 25, tzinfo=UTC)
    until = datetime(2021, 1, 30, tzinfo=UTC)
    found = [past async for past in pay.history("campay", since=since, until=until)]
    assert [past.status for past in found] == [Status.SUCCEEDED, Status.FAILED]


async def test_webhook(pay: Pool, mocked: aioresponses) -> None:
    """A message is confirmed by a look-up, which the mock answers."""
    payment = await collected(pay, mocked)
    told = {"status": "SUCCESSFUL", "reference": ID, "external_reference": "12345678"}
    query = "&".join(f"{name}={value}" for name, value in told.items())
    event = pay.webhook(WebhookRequest(method="GET", query=query), account="campay")
    mocked.get(f"{API}/transaction/{ID}/", payload=PAID)
    assert (await pay.confirm(event, expected=payment)).status is Status.SUCCEEDED


async def test_returned(pay: Pool, mocked: aioresponses) -> None:
    """The URL of a payment link is confirmed by the payment that is expected."""
    payment = await collected(pay, mocked)
    event = pay.returned("campay", "https://shop.example/?external_reference=12345678")
    mocked.get(f"{API}/transaction/{ID}/", payload=PAID)
    assert (await pay.confirm(event, expected=payment)).status is Status.SUCCEEDED
