"""B2B of M-Pesa through a pool: what a lost answer leaves, and how a payment ends."""

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from paymux import OutcomeUnknown, Payment, Pool, Reason, Status, UsageError
from paymux.errors import CredentialRefused
from paymux.http import WebhookRequest
from paymux.simulator import Fault, Simulator
from paymux.testing import virtual_time
from paymux.webhooks import Webhooks

B2B = "POST /mpesa/b2b/v1/paymentrequest/"
BILL: dict[str, Any] = {
    "amount": 500,
    "currency": "KES",
    "payee": "paybill:600999",
    "bill_reference": "353353",
    "reference": "invoice-7",
}


class Shop:
    """A pool with a server: each message of the simulator is posted to it, or kept back."""

    def __init__(self, journal: Path) -> None:
        self.sim, self.journal = Simulator(), journal
        self.sim.mpesa.initiators.add("api", "good")
        self.pool = self.another()
        self.kept: list[WebhookRequest] = []
        self.holds = False
        self.told: list[Payment] = []
        self.hooks = Webhooks(self.pool, on_payment=self._tell, kinds=("collect", "payout"))
        self.sim.on_webhook(self._hear)

    def another(self, credential: str = "good") -> Pool:
        """Make a pool on the same journal."""
        return Pool(
            self.sim.driver("mpesa", initiator_name="api", security_credential=credential),
            connection=self.sim.connection,
            journal=self.journal,
            webhook_base="https://shop.example/pay",
            webhook_key="0123456789abcdef-hooks",
        )

    async def _hear(self, message: WebhookRequest) -> None:
        if self.holds:
            self.kept.append(message)
        else:
            await self.hooks.answer(message)

    async def _tell(self, payment: Payment) -> None:
        self.told.append(payment)

    async def lost(self, kind: Fault = Fault.DROP_AFTER) -> Payment:
        """Pay a bill whose acknowledgement is lost."""
        self.sim.fault("mpesa", B2B, kind=kind)
        with pytest.raises(OutcomeUnknown) as caught:
            await self.pool.payout("mpesa", **BILL)
        assert "Safaricom's portal can tell" in str(caught.value)
        return caught.value.payment

    def asked(self) -> int:
        """Count the questions for a status."""
        return len(self.sim.received("mpesa", "POST /mpesa/transactionstatus/v1/query/"))

    @property
    def paid(self) -> Decimal:
        """What left."""
        return self.sim.ledger.paid_out(provider="mpesa")


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    """Open a shop whose API user may do everything."""
    async with virtual_time():
        shop = Shop(tmp_path / "journal.db")
        async with shop.pool, shop.hooks:
            yield shop


async def test_a_bill_is_paid_once_and_told_once(shop: Shop) -> None:
    """Its result causes one question, whose answer ends it, with the receipt."""
    bill = await shop.pool.payout("mpesa", **BILL)
    shop.sim.settle(bill.provider_reference or "", Status.SUCCEEDED)
    paid = await shop.pool.watch(bill)
    assert (paid.status, paid.amount, paid.payee) == (
        Status.SUCCEEDED,
        Decimal(500),
        "paybill:600999",
    )
    assert paid.receipt
    assert (await shop.pool.payout("mpesa", **BILL)).status is Status.SUCCEEDED
    assert (int(shop.paid), shop.asked()) == (500, 1)
    found = await shop.pool.find("mpesa", receipt=paid.receipt)
    assert (found.kind, found.amount, found.receipt) == ("payout", Decimal(500), paid.receipt)
    assert [one.reference for one in shop.told] == ["invoice-7"]


async def test_a_lost_acknowledgement_is_ended_by_its_own_result(shop: Shop) -> None:
    """The result on the payout's own path names the assigned id, by which its status is asked."""
    lost = await shop.lost()
    assert (lost.provider_reference, lost.ids) == (None, {})
    [entry] = shop.sim.ledger
    shop.sim.settle(entry.provider_reference, Status.SUCCEEDED)
    paid = await shop.pool.watch(lost, timeout=60)
    assert (paid.status, paid.receipt) == (Status.SUCCEEDED, entry.words["receipt"])
    assert (int(shop.paid), len(shop.sim.received("mpesa", B2B))) == (500, 1)


@pytest.mark.parametrize("kind", [Fault.DROP_AFTER, Fault.STALL, Fault.DROP_BEFORE])
async def test_a_lost_acknowledgement_is_never_sent_again(shop: Shop, kind: Fault) -> None:
    """Not by the same call, not by recovery; it cannot be asked for, and a person is told."""
    shop.holds = True
    lost = await shop.lost(kind)
    with pytest.raises(UsageError):
        await shop.pool.verify(lost)
    with pytest.raises(OutcomeUnknown):
        await shop.pool.payout("mpesa", **BILL)
    async with shop.another() as later:
        left = [one async for one in later.recover()]
    for one in left:
        assert (one.resolved, one.payment.status) == (False, Status.PENDING)
        assert "never send it again" in one.advice
    assert len(left) == 1
    processed = kind is not Fault.DROP_BEFORE
    assert (len(shop.sim.received("mpesa", B2B)), shop.asked()) == (int(processed), 0)


async def test_a_failed_bill_says_why(shop: Shop) -> None:
    """The working account is empty: no money moved, and the shop may try again under a new name."""
    shop.sim.mpesa.accounts.working = Decimal(499)
    bill = await shop.pool.payout("mpesa", **BILL)
    # The status of a payment that was declined has no cause; its result has.
    end = await shop.pool.watch(bill)
    assert (end.status, end.reason) == (Status.FAILED, Reason.INSUFFICIENT_FUNDS)
    assert shop.paid == 0


async def test_a_refused_credential_stops_bills_as_well(shop: Shop) -> None:
    """One wrong credential never locks the user: at most three requests leave."""
    async with shop.another("wrong") as pool:
        shop.holds = False
        hooks = Webhooks(pool, on_payment=shop._tell)
        shop.sim.on_webhook(hooks.answer)
        bills = [pool.payout("mpesa", **{**BILL, "reference": f"invoice-{n}"}) for n in range(20)]
        ends = await asyncio.gather(*bills, return_exceptions=True)
    assert all(isinstance(one, CredentialRefused) for one in ends)
    assert not shop.sim.mpesa.initiators.locked("api")
    assert shop.paid == 0
