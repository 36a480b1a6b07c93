"""The verbs of Intram's Merchant API under aioresponses."""

import json
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import aiohttp
import pytest
from aioresponses import aioresponses

from paymux import IntramMerchant, Payment, Pool, Status, WebhookRequest

from ..driving import sample

API = "https://api.intram.org/v1"
NAME = "intram_merchant"
PAID = "operation_payout.200"


def said(case: str) -> Any:
    """Return a sample."""
    return sample(NAME, case)


def made(mocked: aioresponses, path: str) -> Any:
    """Return the only request of a path."""
    found = [calls for (_, url), calls in mocked.requests.items() if url.path.endswith(path)]
    ((call,),) = found
    return call.kwargs


@pytest.fixture
async def pay(session: aiohttp.ClientSession | None) -> AsyncIterator[Pool]:
    """Open a pool with an account."""
    account = IntramMerchant(public_key="public", secret_key="secret", live=True)
    async with Pool(account, session=session) as pay:
        yield pay


async def paid_out(pay: Pool, mocked: aioresponses) -> Payment:
    """Make a payout that is pending."""
    mocked.post(f"{API}/payouts", status=202, payload=said("payout.202"))
    return await pay.payout(
        NAME, amount=25000, currency="XOF", payee="2290161234567", reference="PO-2026-0001",
        operator="mtn",
    )  # fmt: skip


async def test_collect(pay: Pool, mocked: aioresponses) -> None:
    """An order has the address of its page, as soon as Intram has made it."""
    mocked.post(f"{API}/payment-requests", status=202, payload=said("payment_request.202"))
    mocked.get(f"{API}/operations/op_4d2a", payload=said("operation_payment_request.200"))
    open_ = {"data": {**said("transaction.200")["data"], "status": "PENDING", "refunds": []}}
    mocked.get(f"{API}/transactions/AB12CD34EF", payload={**said("transaction.200"), **open_})
    payment = await pay.collect(
        NAME, amount=12000, currency="XOF", payer="2290161234567", reference="order-4521"
    )
    assert (payment.status, payment.reference) == (Status.PENDING, "order-4521")
    assert payment.checkout_url == "https://gateway.intram.org/AB12CD34EF"
    asked = made(mocked, "/payment-requests")["headers"]
    assert asked["X-Api-Key"] == "public"
    assert asked["Idempotency-Key"].startswith("collect-")


async def test_payout(pay: Pool, mocked: aioresponses) -> None:
    """An accepted payout is pending; its body names the network."""
    payment = await paid_out(pay, mocked)
    assert (payment.status, payment.provider_reference) == (Status.PENDING, "op_2f4a8b1c")
    body = json.loads(made(mocked, "/payouts")["data"])
    assert body["destination"]["provider_code"] == "MTN_BENIN_229"


async def test_refund(pay: Pool, mocked: aioresponses) -> None:
    """An accepted refund is pending; it names the transaction that it gives back."""
    mocked.post(f"{API}/refunds", status=202, payload=said("refund.202"))
    paid = Payment(account=NAME, kind="collect", receipt="AB12CD34EF", amount=Decimal(12000))
    back = await pay.refund(paid, amount=12000, reference="refund-9001")
    assert (back.status, back.kind) == (Status.PENDING, "refund")
    assert json.loads(made(mocked, "/refunds")["data"])["transaction_reference"] == "AB12CD34EF"


async def test_verify(pay: Pool, mocked: aioresponses) -> None:
    """A look-up by Intram's id reads the payout's end."""
    payment = await paid_out(pay, mocked)
    mocked.get(f"{API}/operations/op_2f4a8b1c", payload=said(PAID))
    assert (await pay.verify(payment)).status is Status.SUCCEEDED


async def test_find(pay: Pool, mocked: aioresponses) -> None:
    """A payout is found in the list of operations by our reference."""
    row = {**said(PAID)["data"], "payload": {"reference": "PO-2026-0001", "amount": 25000}}
    listed = {"error": False, "data": [row], "paging": {"limit": 100}}
    mocked.get(re.compile(rf"{API}/operations\?.*type=payout.*"), payload=listed)
    found = await pay.find(NAME, reference="PO-2026-0001", kind="payout")
    assert (found.status, found.provider_reference) == (Status.SUCCEEDED, "op_2f4a8b1c")


async def test_balance(pay: Pool, mocked: aioresponses) -> None:
    """The balance is the sum of the ways to pay."""
    mocked.get(f"{API}/balance", payload=said("balance.200"))
    balance = await pay.balance(NAME)
    assert (balance.available, balance.currency) == (Decimal(1_240_000), "XOF")


async def test_history(pay: Pool, mocked: aioresponses) -> None:
    """The list of transactions is read page by page."""
    last = {**said("transactions.200"), "paging": {"limit": 100}}
    mocked.get(re.compile(rf"{API}/transactions\?.*"), payload=last)
    since, until = datetime(2026, 5, 20, tzinfo=UTC), datetime(2026, 5, 21, tzinfo=UTC)
    found = [one async for one in pay.history(NAME, since=since, until=until)]
    assert [(one.receipt, one.status) for one in found] == [("AB12CD34EF", Status.SUCCEEDED)]


async def test_webhook(pay: Pool, mocked: aioresponses) -> None:
    """A message is confirmed by a look-up, which the mock answers."""
    payment = await paid_out(pay, mocked)
    told = json.dumps({**said("webhook_payout_completed"), "operation_id": "op_2f4a8b1c"})
    event = pay.webhook(WebhookRequest(body=told.encode()), account=NAME)
    mocked.get(f"{API}/operations/op_2f4a8b1c", payload=said(PAID))
    assert (await pay.confirm(event, expected=payment)).status is Status.SUCCEEDED
