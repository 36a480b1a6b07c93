"""The verbs of pawaPay's API under aioresponses."""

import json
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import aiohttp
import pytest
from aioresponses import aioresponses

from paymux import Payment, Pool, Status, WebhookRequest
from paymux.drivers.pawapay import PawaPay

from ..driving import sample

API = "https://api.sandbox.pawapay.io/v2"
ACCOUNT = PawaPay(api_token="secret", id_key="a key of sixteen characters", wallet="ZMB")
DEPOSIT = ACCOUNT.id_of("collect", "order-1")
PAYOUT = ACCOUNT.id_of("payout", "wage-1")
REFUND = ACCOUNT.id_of("refund", "back-1")


def said(case: str, name: str, id: str) -> Any:
    """Return a payment of a sample, with the id of these tests."""
    body = sample("pawapay", case)
    return {**body, "data": {**body["data"], name: id, "clientReferenceId": None}}


@pytest.fixture
async def pay(mocked: aioresponses, session: aiohttp.ClientSession | None) -> AsyncIterator[Pool]:
    """Open a pool with an account of the sandbox."""
    async with Pool(ACCOUNT, session=session) as pay:
        yield pay


async def collected(pay: Pool, mocked: aioresponses) -> Payment:
    """Make an order that is pending."""
    mocked.post(f"{API}/deposits", payload={"depositId": DEPOSIT, "status": "ACCEPTED"})
    return await pay.collect(
        "pawapay",
        amount=15,
        currency="XOF",
        payer="22951345789",
        operator="mtn",
        reference="order-1",
    )


async def test_collect(pay: Pool, mocked: aioresponses) -> None:
    """A deposit is accepted under the id of its reference, and signed with the token."""
    payment = await collected(pay, mocked)
    assert (payment.status, payment.provider_reference) == (Status.PENDING, DEPOSIT)
    (call,) = next(iter(mocked.requests.values()))
    assert call.kwargs["headers"]["Authorization"] == "Bearer secret"


async def test_payout(pay: Pool, mocked: aioresponses) -> None:
    """A payout asks who serves the number, where the operator is not named."""
    mocked.post(f"{API}/predict-provider", payload=sample("pawapay", "predict.200"))
    mocked.post(f"{API}/payouts", payload={"payoutId": PAYOUT, "status": "ACCEPTED"})
    paid = await pay.payout(
        "pawapay", amount=5, currency="XOF", payee="22951345789", reference="wage-1"
    )
    assert (paid.status, paid.provider_reference) == (Status.PENDING, PAYOUT)


async def test_verify(pay: Pool, mocked: aioresponses) -> None:
    """A look-up reads the payment inside of FOUND."""
    payment = await collected(pay, mocked)
    mocked.get(f"{API}/deposits/{DEPOSIT}", payload=said("completed.200", "depositId", DEPOSIT))
    assert (await pay.verify(payment)).status is Status.SUCCEEDED


async def test_find(pay: Pool, mocked: aioresponses) -> None:
    """A payment is found by the id that our reference has."""
    mocked.get(f"{API}/payouts/{PAYOUT}", payload=said("payout_completed.200", "payoutId", PAYOUT))
    found = await pay.find("pawapay", reference="wage-1", kind="payout")
    assert (found.status, found.reference) == (Status.SUCCEEDED, "wage-1")


async def test_refund(pay: Pool, mocked: aioresponses) -> None:
    """A part of a deposit goes back."""
    payment = await collected(pay, mocked)
    mocked.post(f"{API}/refunds", payload={"refundId": REFUND, "status": "ACCEPTED"})
    back = await pay.refund(payment, amount=5, reference="back-1")
    assert (back.status, back.provider_reference) == (Status.PENDING, REFUND)


async def test_balance(pay: Pool, mocked: aioresponses) -> None:
    """The balance is that of the account's wallet."""
    mocked.get(f"{API}/wallet-balances", payload=sample("pawapay", "wallet_balances.200"))
    balance = await pay.balance("pawapay")
    assert (balance.available, balance.currency) == (Decimal("21798.03"), "ZMW")


async def test_methods(pay: Pool, mocked: aioresponses) -> None:
    """The operators of the configuration are the ways to pay."""
    mocked.get(f"{API}/active-conf", payload=sample("pawapay", "active_conf.200"))
    (method,) = await pay.methods("pawapay")
    assert (method.type, method.display_name, method.enabled) == ("MTN_MOMO_RWA", "MTN", True)


async def test_webhook(pay: Pool, mocked: aioresponses) -> None:
    """A callback is confirmed by a look-up, which the mock answers."""
    payment = await collected(pay, mocked)
    told = {**sample("pawapay", "callback_failed"), "depositId": DEPOSIT}
    event = pay.webhook(WebhookRequest(body=json.dumps(told).encode()), account="pawapay")
    mocked.get(f"{API}/deposits/{DEPOSIT}", payload=said("failed.200", "depositId", DEPOSIT))
    assert (await pay.confirm(event, expected=payment)).status is Status.FAILED


async def test_returned(pay: Pool, mocked: aioresponses) -> None:
    """The browser that comes back from the payment page names the deposit."""
    payment = await collected(pay, mocked)
    event = pay.returned("pawapay", f"https://shop.example/back?depositId={DEPOSIT}")
    mocked.get(f"{API}/deposits/{DEPOSIT}", payload=said("completed.200", "depositId", DEPOSIT))
    assert (await pay.confirm(event, expected=payment)).status is Status.SUCCEEDED
