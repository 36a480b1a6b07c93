"""Daraja's verbs under aioresponses, as a test of a shop writes them.

Daraja answers a question (a balance, the status of a payout) by a message to the ResultURL that the
request had. So the mock acknowledges, and gives the message to the shop's `Webhooks`.
"""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest
from aioresponses import CallbackResult, aioresponses

from paymux import Mpesa, Payment, Pool, Status, WebhookRequest
from paymux.errors import NoAnswer
from paymux.testing.aioresponses import paymux_aioresponses
from paymux.webhooks import Webhooks

from ..driving import sample
from ..toys import BASE, KEY, timeless

API = "https://sandbox.safaricom.co.ke"
LOGIN = f"{API}/oauth/v1/generate?grant_type=client_credentials"
B2C = f"{API}/mpesa/b2c/v3/paymentrequest"
REVERSAL = f"{API}/mpesa/reversal/v1/request"
STATUS = f"{API}/mpesa/transactionstatus/v1/query"
PULL = f"{API}/pulltransactions/v1/query"
BALANCE = f"{API}/mpesa/accountbalance/v1/query"
ID = "ws_CO_191220191020363925"
PAID = {**sample("mpesa", "query_succeeded.200"), "CheckoutRequestID": ID}
WAGE: dict[str, Any] = {
    "amount": 300,
    "currency": "KES",
    "payee": "254708374149",
    "reference": "wage-7",
}
OURS = {"OriginatorConversationID": "600310_wage-7"}
ACCOUNT = Mpesa(
    consumer_key="key",
    consumer_secret="secret",
    shortcode="600310",
    passkey="pass",
    initiator_name="api",
    security_credential="encrypted",
)


@pytest.fixture
async def pay(mocked: aioresponses, session: aiohttp.ClientSession | None) -> AsyncIterator[Pool]:
    """Open a pool with an account of the sandbox, and an API user that no answer has proved yet."""
    mocked.get(LOGIN, payload={"access_token": "t0ken", "expires_in": "3599"})
    async with Pool(ACCOUNT, session=session, webhook_base=BASE, webhook_key=KEY) as pay:
        yield pay


class Daraja:
    """Answers questions as Daraja does: an acknowledgement, and soon afterwards a message."""

    def __init__(self, mocked: aioresponses, hooks: Webhooks) -> None:
        self._mocked, self._hooks = mocked, hooks
        self._posts: list[asyncio.Task[Any]] = []

    def answers(self, url: str, ack: Any, answer: Any) -> None:
        """Acknowledge each request to a URL, and post its answer to its ResultURL."""
        result = {**answer["Result"], "ConversationID": ack["ConversationID"]}

        def acknowledge(_: Any, *, data: bytes, **__: Any) -> CallbackResult:
            path = urlsplit(json.loads(data)["ResultURL"]).path
            message = WebhookRequest(path=path, body=json.dumps({"Result": result}).encode())
            self._posts.append(asyncio.create_task(self._hooks.answer(message)))
            return CallbackResult(payload=ack)

        self._mocked.post(url, callback=acknowledge, repeat=True)

    async def posted(self) -> list[int]:
        """Return the HTTP status with which the shop took each message."""
        return [reply.status for reply in await asyncio.gather(*self._posts)]


@pytest.fixture
async def daraja(pay: Pool, mocked: aioresponses) -> AsyncIterator[Daraja]:
    """Post the answers to the shop's server; each of them is taken.

    The first request of an API user waits for a balance, whose answer proves its credential.
    """

    async def on_payment(_: Payment) -> None: ...

    hooks = Webhooks(pay, on_payment)
    daraja = Daraja(mocked, hooks)
    daraja.answers(BALANCE, sample("mpesa", "balance_ack.200"), sample("mpesa", "balance_answer"))
    yield daraja
    assert {*await daraja.posted()} == {200}


async def paid_out(pay: Pool, mocked: aioresponses) -> Payment:
    """Make a payout that is pending."""
    mocked.post(B2C, payload={**sample("mpesa", "b2c_ack.200"), **OURS})
    return await pay.payout("mpesa", **WAGE)


def completed() -> Any:
    """Return the sample of a transaction's status, of the payout of this file."""
    answer = sample("mpesa", "status_completed")
    own = {**OURS, "ConversationID": sample("mpesa", "b2c_ack.200")["ConversationID"]}
    rows = answer["Result"]["ResultParameters"]["ResultParameter"]
    for row in rows:
        row["Value"] = own.get(row["Key"], row.get("Value"))
    return answer


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


async def test_payout(pay: Pool, mocked: aioresponses, daraja: Daraja) -> None:
    """A payout that was accepted is pending; it left after its credential was proved."""
    paid = await paid_out(pay, mocked)
    assert (paid.status, paid.kind) == (Status.PENDING, "payout")
    assert await daraja.posted() == [200]


@pytest.mark.usefixtures("daraja")
async def test_refund(pay: Pool, mocked: aioresponses) -> None:
    """A reversal that was accepted is pending."""
    bought = Payment(
        account="mpesa",
        kind="collect",
        status=Status.SUCCEEDED,
        reference="order-1042",
        receipt="NLJ7RT61SV",
        amount=Decimal(1),
        currency="KES",
    )
    mocked.post(REVERSAL, payload=sample("mpesa", "reversal_ack.200"))
    back = await pay.refund(bought, amount=1, reference="back-1042")
    assert (back.status, back.kind) == (Status.PENDING, "refund")


async def test_verify_a_payout(pay: Pool, mocked: aioresponses, daraja: Daraja) -> None:
    """The answer of the transaction status ends it; the message on its own path is only a hint."""
    paid = await paid_out(pay, mocked)
    daraja.answers(STATUS, sample("mpesa", "status_ack.200"), completed())
    found = await pay.verify(paid)
    assert (found.status, found.receipt) == (Status.SUCCEEDED, "MBN31H462N")


async def test_find(pay: Pool, daraja: Daraja) -> None:
    """A payout whose acknowledgement was lost is found by our reference."""
    daraja.answers(STATUS, sample("mpesa", "status_ack.200"), completed())
    found = await pay.find("mpesa", reference="wage-7", kind="payout")
    assert (found.status, found.amount) == (Status.SUCCEEDED, Decimal(300))


@pytest.mark.usefixtures("daraja")
async def test_balance(pay: Pool) -> None:
    """What can be paid out is on the utility account."""
    balance = await pay.balance("mpesa")
    assert (balance.available, balance.currency) == (Decimal("228037.00"), "KES")


@timeless
async def test_balance_without_its_answer() -> None:
    """A question that Daraja acknowledged and did not answer is NoAnswer at its deadline."""
    with paymux_aioresponses() as mocked:
        mocked.get(LOGIN, payload={"access_token": "t0ken", "expires_in": "3599"})
        mocked.post(BALANCE, payload=sample("mpesa", "balance_ack.200"), repeat=True)
        async with Pool(ACCOUNT, webhook_base=BASE, webhook_key=KEY) as pay:
            with pytest.raises(NoAnswer):
                await pay.balance("mpesa", deadline=30)


async def test_history(pay: Pool, mocked: aioresponses) -> None:
    """The list has what customers paid, by receipt; a page without rows ends it."""
    rows, now = sample("mpesa", "pull_rows.200"), datetime.now(UTC)
    rows["Response"][0][0]["trxDate"] = f"{now:%Y-%m-%dT%H:%M:%S}+00:00"
    mocked.post(PULL, payload=rows)
    mocked.post(PULL, payload={"ResponseCode": "1001", "Response": [[]]})
    past = pay.history("mpesa", since=now - timedelta(hours=2), until=now)
    (found,) = [one async for one in past]
    assert (found.status, found.amount, found.receipt) == (
        Status.SUCCEEDED,
        Decimal(168),
        "yzlyrEsRG1",
    )


async def test_webhook(pay: Pool, mocked: aioresponses) -> None:
    """A callback is confirmed by a query, which the mock answers."""
    payment = await collected(pay, mocked)
    body = json.dumps(sample("mpesa", "callback_succeeded")).encode()
    event = pay.webhook(WebhookRequest(body=body), account="mpesa")
    mocked.post(f"{API}/mpesa/stkpushquery/v1/query", payload=PAID)
    assert (await pay.confirm(event, expected=payment)).status is Status.SUCCEEDED
