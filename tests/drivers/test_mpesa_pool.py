"""Payouts and refunds of M-Pesa through a pool: what a lost answer leaves, what a result ends."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec
import pytest

from paymux import BadWebhook, Mismatch, OutcomeUnknown, Payment, Pool, Rejected, Status
from paymux.http import WebhookRequest
from paymux.simulator import Fault, Simulator
from paymux.testing import virtual_time
from paymux.webhooks import Webhooks

B2C = "POST /mpesa/b2c/v3/paymentrequest/"
REVERSAL = "POST /mpesa/reversal/v1/request/"
API_USER = {"initiator_name": "simulator", "security_credential": "canary-credential"}
WAGE: Mapping[str, Any] = {
    "amount": 500,
    "currency": "KES",
    "payee": "254712345678",
    "reference": "wage-7",
}


class Shop:
    """A pool with a journal and one account, and the messages that came for it."""

    def __init__(self, journal: Path, **fields: Any) -> None:
        self.sim = Simulator()
        self._messages: asyncio.Queue[WebhookRequest] = asyncio.Queue()
        self.sim.on_webhook(self._hear)
        self.pool = Pool(
            self.sim.driver("mpesa", **{**API_USER, **fields}),
            connection=self.sim.connection,
            journal=journal,
            webhook_base="https://shop.example/pay",
            webhook_key="0123456789abcdef-hooks",
        )

        self._hooks = Webhooks(self.pool, on_payment=self._tell)

    async def _hear(self, message: WebhookRequest) -> None:
        """Keep an order's message for the test; the answer of a question is for the server."""
        try:
            self.pool.webhook(message)
        except BadWebhook:
            await self._hooks.answer(message)
        else:
            self._messages.put_nowait(message)

    async def _tell(self, payment: Payment) -> None:
        raise AssertionError(payment)

    async def result(self, payment: Payment, status: Status, **how: Any) -> WebhookRequest:
        """Let an order end, and return its message."""
        assert payment.provider_reference is not None
        self.sim.settle(payment.provider_reference, status, **how)
        async with asyncio.timeout(30):
            return await self._messages.get()


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    """Open a shop whose API user lacks the role for the transaction status."""
    shop = Shop(tmp_path / "journal.db", status_role=False)
    async with shop.pool:
        yield shop


async def test_a_lost_acknowledgement_leaves_our_id(shop: Shop) -> None:
    """It is on the payment of OutcomeUnknown and in the journal, without a provider's reference."""
    shop.sim.fault("mpesa", B2C, kind=Fault.DROP_AFTER)
    with pytest.raises(OutcomeUnknown) as caught:
        await shop.pool.payout("mpesa", **WAGE)
    ours = {"OriginatorConversationID": "174379_wage-7"}
    assert (caught.value.payment.ids, caught.value.payment.provider_reference) == (ours, None)
    (kept,) = [one async for one in shop.pool.payments()]
    assert (kept.kind, kept.ids, kept.provider_reference) == ("payout", ours, None)


async def test_a_duplicate_is_an_earlier_request_and_never_a_refusal(tmp_path: Path) -> None:
    """A journal that was lost: the same payout is unknown, and the money leaves once."""
    shop = Shop(tmp_path / "one.db")
    async with shop.pool:
        await shop.pool.payout("mpesa", **WAGE)
    again = Pool(
        shop.sim.driver("mpesa", **API_USER),
        connection=shop.sim.connection,
        journal=tmp_path / "two.db",
        webhook_base="https://shop.example/pay",
        webhook_key="0123456789abcdef-hooks",
    )
    async with again:
        with pytest.raises(OutcomeUnknown, match="had this reference before"):
            async with virtual_time():  # it waits for a proof of its credential
                await again.payout("mpesa", **WAGE)
        (kept,) = [one async for one in again.payments()]
        assert kept.status is Status.PENDING
    assert len(shop.sim.ledger.entries(provider="mpesa")) == 1


async def test_a_result_on_its_path_ends_a_payout(shop: Shop) -> None:
    """Both acknowledged ids and the amount: paid, with the receipt, and so it stays."""
    paid = await shop.pool.payout("mpesa", **WAGE)
    message = await shop.result(paid, Status.SUCCEEDED)
    found = await shop.pool.confirm(shop.pool.webhook(message))
    assert (found.status, found.amount, found.kind) == (Status.SUCCEEDED, Decimal(500), "payout")
    assert found.receipt
    assert (await shop.pool.payout("mpesa", **WAGE)).status is Status.SUCCEEDED
    assert shop.sim.ledger.paid_out(provider="mpesa") == 500


async def test_a_forged_result_ends_nothing(shop: Shop) -> None:
    """Another order's path, another id, another amount: each is refused, or changes nothing."""
    paid = await shop.pool.payout("mpesa", **WAGE)
    other = await shop.pool.payout("mpesa", **{**WAGE, "reference": "wage-8", "amount": 10})
    true = await shop.result(other, Status.SUCCEEDED)
    path = urlsplit(shop.pool.webhook_url("mpesa", "wage-7", use="payout")).path

    def forged(**changes: object) -> WebhookRequest:
        body = json.loads(true.body)
        body["Result"].update(
            {"OriginatorConversationID": paid.provider_reference, **paid.ids, **changes}
        )
        return msgspec.structs.replace(true, path=path, body=json.dumps(body).encode())

    for message in (
        msgspec.structs.replace(true, path=path),
        forged(ConversationID="AG_1"),
        forged(OriginatorConversationID="174379_wage-8"),
        forged(),  # the amount is another one
    ):
        with pytest.raises(Mismatch):
            await shop.pool.confirm(shop.pool.webhook(message))
    (kept,) = [one async for one in shop.pool.payments() if one.reference == "wage-7"]
    assert kept.status is Status.PENDING


async def test_a_collect_a_payout_and_a_refund_of_one_reference_stay_apart(shop: Shop) -> None:
    """Each result comes to its own path, and ends its own order only."""
    bought = await shop.pool.collect(
        "mpesa", amount=500, currency="KES", payer="254712345678", reference="wage-7"
    )
    paid = await shop.pool.payout("mpesa", **WAGE)
    message = await shop.result(bought, Status.SUCCEEDED)
    bought = await shop.pool.confirm(shop.pool.webhook(message))
    back = await shop.pool.refund(bought, amount=500, reference="wage-7")
    for order, kind in ((paid, "payout"), (back, "refund")):
        message = await shop.result(order, Status.SUCCEEDED)
        found = await shop.pool.confirm(shop.pool.webhook(message))
        assert (found.status, found.kind) == (Status.SUCCEEDED, kind)
    assert shop.sim.ledger.paid_out(provider="mpesa") == 500


@pytest.mark.parametrize("kind", [Fault.DROP_AFTER, Fault.STALL])
async def test_a_lost_answer_to_a_refund_says_who_can_tell(shop: Shop, kind: Fault) -> None:
    """It cannot be asked for: only its result can tell, or the portal. The error says so."""
    bought = await shop.pool.collect(
        "mpesa", amount=500, currency="KES", payer="254712345678", reference="order-7"
    )
    message = await shop.result(bought, Status.SUCCEEDED)
    bought = await shop.pool.confirm(shop.pool.webhook(message))
    shop.sim.fault("mpesa", REVERSAL, kind=kind)
    with pytest.raises(OutcomeUnknown, match="callback path, and Safaricom's portal"):
        async with virtual_time():
            await shop.pool.refund(bought, amount=500, reference="back-7")
    assert len(shop.sim.ledger.entries(provider="mpesa")) == 2


async def test_a_payout_that_was_refused_is_free_again(shop: Shop) -> None:
    """A field that the gateway refuses: no money moved, so the reference may be paid again."""
    shop.sim.mpesa.refuses_words = True
    with pytest.raises(Rejected):
        await shop.pool.payout("mpesa", webhook_url="https://shop.example/mpesa", **WAGE)
    assert len(shop.sim.ledger) == 0
    assert (await shop.pool.payout("mpesa", **WAGE)).provider_reference == "174379_wage-7"
    assert len(shop.sim.ledger) == 1


async def test_the_credential_is_in_no_log_and_no_journal(
    shop: Shop, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Not even if a message echoes it."""
    caplog.set_level("DEBUG")
    paid = await shop.pool.payout("mpesa", **WAGE)
    true = await shop.result(paid, Status.FAILED, code="2001")
    body = json.loads(true.body)
    body["Result"]["ResultDesc"] = "wrong credential canary-credential"
    echoed = msgspec.structs.replace(true, body=json.dumps(body).encode())
    found = await shop.pool.confirm(shop.pool.webhook(echoed))
    assert found.status is Status.FAILED
    await shop.pool.aclose()
    written = b"".join(one.read_bytes() for one in tmp_path.iterdir())
    assert b"canary-credential" not in written
    assert "canary-credential" not in caplog.text + repr(found) + str(found.message)
