"""The verbs of CinetPay's API of 2026 under aioresponses."""

import json
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import aiohttp
import pytest
from aioresponses import aioresponses

from paymux import CinetPayV1, Customer, Payment, Pool, Status, WebhookRequest

from ..driving import sample

API = "https://api.cinetpay.net/v1"


def said(case: str, id: str = "ORDER123") -> Any:
    """Return a sample, about the order of these tests."""
    return {**sample("cinetpay_v1", case), "merchant_transaction_id": id}


@pytest.fixture
async def pay(mocked: aioresponses, session: aiohttp.ClientSession | None) -> AsyncIterator[Pool]:
    """Open a pool with an account of the sandbox."""
    mocked.post(f"{API}/oauth/login", payload=sample("cinetpay_v1", "login.200"))
    account = CinetPayV1(api_key="sk_test_key", api_password="secret", country="CI")
    async with Pool(account, session=session) as pay:
        yield pay


async def collected(pay: Pool, mocked: aioresponses) -> Payment:
    """Make an order that is pending."""
    mocked.post(f"{API}/payment", payload=said("opened.200"))
    return await pay.collect(
        "cinetpay_v1",
        amount=1000,
        currency="XOF",
        reference="ORDER123",
        customer=Customer(name="Jane", surname="Doe", email="test@example.com"),
        return_url="https://shop.example/back",
        webhook_url="https://shop.example/hook",
    )


async def test_collect(pay: Pool, mocked: aioresponses) -> None:
    """An order has the URL of its page, and was signed."""
    payment = await collected(pay, mocked)
    assert (payment.status, payment.checkout_url) == (
        Status.PENDING,
        "https://secure.cinetpay.net/payment/payment-token",
    )
    (call,) = next(made for (_, url), made in mocked.requests.items() if "payment" in str(url))
    assert call.kwargs["headers"]["Authorization"] == "Bearer token-123"


async def test_payout(pay: Pool, mocked: aioresponses) -> None:
    """A transfer that CinetPay calls a success has arrived."""
    mocked.post(f"{API}/transfer", payload=said("transferred.200", "PPWAGE7"))
    paid = await pay.payout(
        "cinetpay_v1",
        amount=100,
        currency="XOF",
        payee="2250707000001",
        reference="WAGE7",
        operator="orange",
        webhook_url="https://shop.example/hook",
    )
    assert (paid.status, paid.kind, paid.fee) == (Status.SUCCEEDED, "payout", Decimal(2))


async def test_verify(pay: Pool, mocked: aioresponses) -> None:
    """A look-up reads the payment's end; the amount is the order's."""
    payment = await collected(pay, mocked)
    mocked.get(f"{API}/payment/transaction-123", payload=said("paid.200"))
    found = await pay.verify(payment)
    assert (found.status, found.amount) == (Status.SUCCEEDED, Decimal(1000))


async def test_find(pay: Pool, mocked: aioresponses) -> None:
    """A payment is found by our reference."""
    mocked.get(f"{API}/payment/ORDER123", payload=said("paid.200"))
    found = await pay.find("cinetpay_v1", reference="ORDER123")
    assert (found.status, found.provider_reference) == (Status.SUCCEEDED, "transaction-123")


async def test_balance(pay: Pool, mocked: aioresponses) -> None:
    """The balance is a Decimal in the account's currency."""
    mocked.get(f"{API}/balances", payload=sample("cinetpay_v1", "balances.200"))
    balance = await pay.balance("cinetpay_v1")
    assert (balance.available, balance.currency) == (Decimal("249711.74"), "XOF")


async def test_webhook(pay: Pool, mocked: aioresponses) -> None:
    """A notification is confirmed by a look-up, which the mock answers."""
    payment = await collected(pay, mocked)
    told = said("notice") | {"notify_token": "notify-token", "transaction_id": "transaction-123"}
    event = pay.webhook(WebhookRequest(body=json.dumps(told).encode()), account="cinetpay_v1")
    mocked.get(f"{API}/payment/transaction-123", payload=said("paid.200"))
    assert (await pay.confirm(event, expected=payment)).status is Status.SUCCEEDED
