"""The verbs of MTN MoMo under aioresponses."""

import json
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import aiohttp
import pytest
from aioresponses import aioresponses

from paymux import Payment, Pool, Status, WebhookRequest
from paymux.drivers._ids import derived_uuid
from paymux.drivers.mtn_momo import MtnMomo
from paymux.models import Kind

from ..driving import sample

API = "https://sandbox.momodeveloper.mtn.com"
KEY = "0123456789abcdef-orders"
PHONE = "46733123499"


def said(case: str, **more: Any) -> Any:
    """Return a sample, about the order of these tests."""
    return {**sample("mtn_momo", case), "externalId": "order-1", **more}


def named(kind: Kind) -> str:
    """Return the X-Reference-Id of an order of these tests."""
    return derived_uuid(KEY, kind, "order-1")


@pytest.fixture
async def pay(mocked: aioresponses, session: aiohttp.ClientSession | None) -> AsyncIterator[Pool]:
    """Open a pool with an account of the sandbox."""
    for product in ("collection", "disbursement"):
        mocked.post(f"{API}/{product}/token/", payload=sample("mtn_momo", "token.200"))
    fields: dict[str, Any] = {
        f"{product}_{part}": "simulator"
        for product in ("collection", "disbursement")
        for part in ("key", "user", "api_key")
    }
    async with Pool(MtnMomo(id_key=KEY, **fields), session=session) as pay:
        yield pay


async def collected(pay: Pool, mocked: aioresponses) -> Payment:
    """Make an order that is pending."""
    mocked.post(f"{API}/collection/v1_0/requesttopay", status=202)
    order: dict[str, Any] = {"amount": 50000, "currency": "EUR", "reference": "order-1"}
    return await pay.collect("mtn_momo", payer=PHONE, **order)


async def test_collect(pay: Pool, mocked: aioresponses) -> None:
    """An order is pending under its own id, and was signed."""
    payment = await collected(pay, mocked)
    assert (payment.status, payment.provider_reference) == (Status.PENDING, named("collect"))
    (call,) = next(made for (_, url), made in mocked.requests.items() if "requesttopay" in str(url))
    assert call.kwargs["headers"]["Authorization"] == "Bearer PLACEHOLDER.JWT"
    assert call.kwargs["headers"]["X-Reference-Id"] == named("collect")


async def test_payout(pay: Pool, mocked: aioresponses) -> None:
    """A transfer is pending until it is asked for."""
    mocked.post(f"{API}/disbursement/v1_0/transfer", status=202)
    order: dict[str, Any] = {"amount": 500, "currency": "EUR", "reference": "order-1"}
    payment = await pay.payout("mtn_momo", payee="46733123453", **order)
    url = f"{API}/disbursement/v1_0/transfer/{named('payout')}"
    payee = {"partyIdType": "MSISDN", "partyId": "46733123453"}
    mocked.get(url, payload=said("transfer_successful.200", payee=payee))
    assert (await pay.verify(payment)).status is Status.SUCCEEDED


async def test_verify(pay: Pool, mocked: aioresponses) -> None:
    """A look-up reads the payment's end, with its receipt."""
    payment = await collected(pay, mocked)
    url = f"{API}/collection/v1_0/requesttopay/{named('collect')}"
    mocked.get(url, payload=said("requesttopay_successful.200"))
    found = await pay.verify(payment)
    assert (found.status, found.receipt) == (Status.SUCCEEDED, "1195582132")


async def test_find(pay: Pool, mocked: aioresponses) -> None:
    """A payment is found by our reference."""
    url = f"{API}/collection/v1_0/requesttopay/{named('collect')}"
    mocked.get(url, payload=said("requesttopay_successful.200"))
    found = await pay.find("mtn_momo", reference="order-1")
    assert (found.status, found.provider_reference) == (Status.SUCCEEDED, named("collect"))


async def test_refund(pay: Pool, mocked: aioresponses) -> None:
    """A part is given back, under an id of its own."""
    payment = await collected(pay, mocked)
    mocked.post(f"{API}/disbursement/v1_0/refund", status=202)
    back = await pay.refund(payment, amount=200, reference="order-1")
    url = f"{API}/disbursement/v1_0/refund/{named('refund')}"
    mocked.get(url, payload=said("refund_successful.200"))
    found = await pay.verify(back)
    assert (found.status, found.kind) == (Status.SUCCEEDED, "refund")
    assert found.amount == 200


async def test_balance(pay: Pool, mocked: aioresponses) -> None:
    """The balance is a Decimal: what can be paid out."""
    url = f"{API}/disbursement/v1_0/account/balance"
    mocked.get(url, payload=sample("mtn_momo", "balance.200"))
    balance = await pay.balance("mtn_momo")
    assert (balance.available, balance.currency) == (Decimal(1000), "EUR")


async def test_webhook(pay: Pool, mocked: aioresponses) -> None:
    """A callback is confirmed by a look-up, which the mock answers."""
    payment = await collected(pay, mocked)
    told = said("callback_successful", amount="50000", currency="EUR")
    incoming = WebhookRequest(method="PUT", body=json.dumps(told).encode())
    event = pay.webhook(incoming, account="mtn_momo")
    url = f"{API}/collection/v1_0/requesttopay/{named('collect')}"
    mocked.get(url, payload=said("requesttopay_successful.200"))
    assert (await pay.confirm(event, expected=payment)).status is Status.SUCCEEDED
