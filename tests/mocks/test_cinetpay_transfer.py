"""The verbs of CinetPay's transfers under aioresponses."""

import re
from collections.abc import AsyncIterator
from decimal import Decimal

import aiohttp
import pytest
from aioresponses import aioresponses

from paymux import CinetPayTransfer, Payment, Pool, Status, WebhookRequest

from ..driving import sample

API = "https://client.cinetpay.com/v1"
CHECK = re.compile(rf"{API}/transfer/check/money\?.*client_transaction_id=wage-7.*")


@pytest.fixture
async def pay(mocked: aioresponses, session: aiohttp.ClientSession | None) -> AsyncIterator[Pool]:
    """Open a pool with an account that logs in once."""
    login = sample("cinetpay_transfer", "login.200")
    mocked.post(re.compile(rf"{API}/auth/login.*"), payload=login)
    account = CinetPayTransfer(apikey="key", password="for transfers", live=True)
    async with Pool(account, session=session) as pay:
        yield pay


async def paid_out(pay: Pool, mocked: aioresponses) -> Payment:
    """Make a payout that is pending."""
    contact = sample("cinetpay_transfer", "contact_known.200")
    mocked.post(re.compile(rf"{API}/transfer/contact.*"), payload=contact)
    sent = sample("cinetpay_transfer", "send.200")
    mocked.post(re.compile(rf"{API}/transfer/money/send/contact.*"), payload=sent)
    return await pay.payout(
        "cinetpay_transfer",
        amount=500,
        currency="XOF",
        payee="+225 01 02 03 04 05",
        reference="wage-7",
        webhook_url="https://shop.example/hook",
    )


async def test_payout(pay: Pool, mocked: aioresponses) -> None:
    """A payout is pending, with CinetPay's id."""
    payment = await paid_out(pay, mocked)
    assert (payment.status, payment.provider_reference) == (Status.PENDING, "EA1.2.Z3")


async def test_verify(pay: Pool, mocked: aioresponses) -> None:
    """A look-up reads the payout's end."""
    payment = await paid_out(pay, mocked)
    mocked.get(CHECK, payload=sample("cinetpay_transfer", "check_val.200"))
    assert (await pay.verify(payment)).status is Status.SUCCEEDED


async def test_find(pay: Pool, mocked: aioresponses) -> None:
    """A payout is found by our reference."""
    mocked.get(CHECK, payload=sample("cinetpay_transfer", "check_val.200"))
    found = await pay.find("cinetpay_transfer", reference="wage-7", kind="payout")
    assert (found.status, found.amount) == (Status.SUCCEEDED, Decimal(500))


async def test_balance(pay: Pool, mocked: aioresponses) -> None:
    """The balance is what can be sent."""
    balance = re.compile(rf"{API}/transfer/check/balance.*")
    mocked.get(balance, payload=sample("cinetpay_transfer", "balance.200"))
    held = await pay.balance("cinetpay_transfer")
    assert (held.available, held.currency) == (Decimal(663), "XOF")


async def test_webhook(pay: Pool, mocked: aioresponses) -> None:
    """A notification is confirmed by a look-up, which the mock answers."""
    payment = await paid_out(pay, mocked)
    headers = {"content-type": "application/x-www-form-urlencoded"}
    body = b"transaction_id=EA1.2.Z3&client_transaction_id=wage-7&treatment_status=VAL"
    told = WebhookRequest(headers=headers, body=body)
    event = pay.webhook(told, account="cinetpay_transfer")
    mocked.get(CHECK, payload=sample("cinetpay_transfer", "check_val.200"))
    assert (await pay.confirm(event, expected=payment)).status is Status.SUCCEEDED
