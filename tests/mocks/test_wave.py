"""The verbs of Wave under aioresponses."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import aiohttp
import pytest
from aioresponses import aioresponses

from paymux import Payment, Pool, Status, Wave, WebhookRequest

from ..driving import sample

API = "https://api.wave.com/v1"
SESSION = f"{API}/checkout/sessions/cos-18qq25rgr100a"


def said(case: str, **changes: Any) -> Any:
    """Return a sample, with these changes."""
    return {**sample("wave", case), **changes}


@pytest.fixture
async def pay(session: aiohttp.ClientSession | None) -> AsyncIterator[Pool]:
    """Open a pool with an account."""
    async with Pool(Wave(api_key="wave_sn_prod_key", live=True), session=session) as pay:
        yield pay


async def collected(pay: Pool, mocked: aioresponses) -> Payment:
    """Make an order that is pending."""
    mocked.post(f"{API}/checkout/sessions", payload=said("session_open.200"))
    return await pay.collect(
        "wave",
        amount=5000,
        currency="XOF",
        reference="CMD-2024-001",
        return_url="https://shop.example/back",
    )


async def test_collect(pay: Pool, mocked: aioresponses) -> None:
    """An order has the URL of its page, and was signed."""
    payment = await collected(pay, mocked)
    assert (payment.status, payment.checkout_url) == (
        Status.PENDING,
        "https://pay.wave.com/c/cos-18qq25rgr100a",
    )
    [(call,)] = mocked.requests.values()
    assert call.kwargs["headers"]["Authorization"] == "Bearer wave_sn_prod_key"


async def test_payout(pay: Pool, mocked: aioresponses) -> None:
    """A payout has arrived when it is answered; its key is that of its reference."""
    mocked.post(f"{API}/payout", payload=said("payout_succeeded.200", mobile="+221771234567"))
    order = {"amount": 500, "currency": "XOF", "payee": "221771234567"}
    paid = await pay.payout("wave", reference="wage-7", **order)  # type: ignore[arg-type]
    assert (paid.status, paid.fee) == (Status.SUCCEEDED, Decimal(5))
    [(call,)] = mocked.requests.values()
    assert call.kwargs["headers"]["Idempotency-Key"].startswith("payout-")


async def test_refund(pay: Pool, mocked: aioresponses) -> None:
    """A refund is answered by 200 without a body."""
    payment = await collected(pay, mocked)
    mocked.post(f"{SESSION}/refund", body="")
    back = await pay.refund(payment, amount=5000, reference="back-1")
    assert (back.status, back.kind) == (Status.SUCCEEDED, "refund")


async def test_verify(pay: Pool, mocked: aioresponses) -> None:
    """A look-up reads the payment's end."""
    payment = await collected(pay, mocked)
    mocked.get(SESSION, payload=said("session_complete.200"))
    assert (await pay.verify(payment)).status is Status.SUCCEEDED


async def test_find(pay: Pool, mocked: aioresponses) -> None:
    """A payment is found by our reference, and by the payer's receipt."""
    url = f"{API}/checkout/sessions/search?client_reference=CMD-2024-001"
    mocked.get(url, payload={"result": [said("session_complete.200")]})
    found = await pay.find("wave", reference="CMD-2024-001")
    assert (found.status, found.receipt) == (Status.SUCCEEDED, "TCN4Y4ZC3FM")
    by_receipt = f"{API}/checkout/sessions?transaction_id=TCN4Y4ZC3FM"
    mocked.get(by_receipt, payload=said("session_complete.200"))
    assert (await pay.find("wave", receipt="TCN4Y4ZC3FM")).reference == "CMD-2024-001"


async def test_balance(pay: Pool, mocked: aioresponses) -> None:
    """The balance is a Decimal."""
    mocked.get(f"{API}/balance", payload=said("balance.200"))
    assert (await pay.balance("wave")).available == Decimal(1250000)


async def test_history(pay: Pool, mocked: aioresponses) -> None:
    """A day's transactions, with what the payer paid."""
    day = datetime(2024, 1, 15, tzinfo=UTC)
    told = said("transactions.200", page_info={"has_next_page": False})
    mocked.get(f"{API}/transactions", payload={**told, "items": []})
    for date in ("2024-01-14", "2024-01-15", "2024-01-16"):
        items = told["items"] if date == "2024-01-15" else []
        mocked.get(f"{API}/transactions?date={date}", payload={**told, "items": items})
    until = day.replace(hour=23)
    [past] = [one async for one in pay.history("wave", since=day, until=until)]
    assert (past.amount, past.fee) == (Decimal(1000), Decimal(10))


async def test_webhook(pay: Pool, mocked: aioresponses) -> None:
    """An event is confirmed by a look-up, which the mock answers."""
    payment = await collected(pay, mocked)
    body = json.dumps(said("event_completed")).encode()
    event = pay.webhook(WebhookRequest(body=body), account="wave")
    mocked.get(SESSION, payload=said("session_complete.200"))
    assert (await pay.confirm(event, expected=payment)).status is Status.SUCCEEDED
