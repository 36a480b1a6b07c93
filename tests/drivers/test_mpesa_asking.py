"""M-Pesa's questions through a pool and its server: status, balance, and a refused credential."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from paymux import NotSent, OutcomeUnknown, Payment, Pool, Reason, Status, Unavailable, UsageError
from paymux.errors import CredentialRefused
from paymux.simulator import Fault, Simulator
from paymux.webhooks import Webhooks

B2C = "POST /mpesa/b2c/v3/paymentrequest/"
WAGE: Mapping[str, Any] = {
    "amount": 500,
    "currency": "KES",
    "payee": "254712345678",
    "reference": "wage-7",
}


class Shop:
    """A pool with a server: each message of the simulator is posted to it."""

    def __init__(self, journal: Path) -> None:
        self.sim = Simulator()
        self.sim.mpesa.initiators.add("api", "good")
        self.journal = journal
        self.pool = self.another("good")
        self.paid: list[Payment] = []
        self.hooks = Webhooks(self.pool, on_payment=self._tell)
        self.sim.on_webhook(self.hooks.answer)

    def another(self, credential: str) -> Pool:
        """Make a pool with this credential."""
        return Pool(
            self.sim.driver("mpesa", initiator_name="api", security_credential=credential),
            connection=self.sim.connection,
            journal=self.journal,
            webhook_base="https://shop.example/pay",
            webhook_key="0123456789abcdef-hooks",
        )

    async def _tell(self, payment: Payment) -> None:
        self.paid.append(payment)


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    """Open a shop whose API user may do everything."""
    shop = Shop(tmp_path / "journal.db")
    async with shop.pool, shop.hooks:
        yield shop


async def test_a_payout_ends_by_the_answer_to_a_question(shop: Shop) -> None:
    """The transaction status decides, with receipt and fee."""
    paid = await shop.pool.payout("mpesa", **WAGE)
    assert (await shop.pool.verify(paid)).status is Status.PENDING
    shop.sim.settle(paid.provider_reference or "", Status.SUCCEEDED)
    found = await shop.pool.verify(paid)
    assert (found.status, found.amount, found.kind) == (Status.SUCCEEDED, Decimal(500), "payout")
    assert found.receipt


async def test_a_lost_acknowledgement_is_found_by_our_reference(shop: Shop) -> None:
    """By `find`, by `recover`, and by its receipt."""
    shop.sim.fault("mpesa", B2C, kind=Fault.DROP_AFTER)
    with pytest.raises(OutcomeUnknown):
        await shop.pool.payout("mpesa", **WAGE)
    shop.sim.settle("174379_wage-7", Status.SUCCEEDED)
    found = await shop.pool.find("mpesa", reference="wage-7", kind="payout")
    assert (found.status, found.provider_reference) == (Status.SUCCEEDED, "174379_wage-7")
    again = await shop.pool.find("mpesa", receipt=found.receipt)
    assert (again.kind, again.amount, again.receipt) == ("payout", Decimal(500), found.receipt)
    assert len(shop.sim.ledger.entries(provider="mpesa")) == 1


async def test_the_balance_comes_as_a_message(shop: Shop) -> None:
    """What is on the utility account."""
    found = await shop.pool.balance("mpesa")
    assert (found.currency, found.available) == ("KES", Decimal("1000000.00"))


async def test_a_refund_ends_by_the_answer_to_a_question(shop: Shop) -> None:
    """By the id that the acknowledgement gave; the page has a sample of it."""
    bought = await shop.pool.collect(
        "mpesa", amount=500, currency="KES", payer="254712345678", reference="order-7"
    )
    shop.sim.settle(bought.provider_reference or "", Status.SUCCEEDED)
    async with asyncio.timeout(30):
        while not shop.paid:
            await asyncio.sleep(0)
    back = await shop.pool.refund(shop.paid[0], amount=500, reference="back-7")
    assert back.status is Status.PENDING
    shop.sim.settle(back.provider_reference or "", Status.SUCCEEDED)
    found = await shop.pool.verify(back)
    assert (found.status, found.kind, found.amount) == (Status.SUCCEEDED, "refund", Decimal(500))


async def test_one_wrong_credential_sends_three_requests_at_most(shop: Shop) -> None:
    """The user of the API is not locked by a thousand payouts."""
    async with shop.another("wrong") as wrong:
        orders = [
            wrong.payout("mpesa", **{**WAGE, "reference": f"wage-{number}"})
            for number in range(100)
        ]
        ended = await asyncio.gather(*orders, return_exceptions=True)
    assert {type(one) for one in ended} <= {CredentialRefused, NotSent, Payment}
    sent = [one for one in shop.sim.requests if "b2c" in one.path or "balance" in one.path]
    assert len(sent) <= 3


async def test_a_refund_without_an_answer_ends_by_a_time_out_that_names_it(shop: Shop) -> None:
    """Its time-out is the only message with its id: that is asked for, and not believed."""
    receipt = shop.sim.mpesa.pays(bill="x", amount=500, msisdn="254712345678").words["receipt"]
    bought = Payment(
        account="mpesa", kind="collect", receipt=receipt, amount=Decimal(500), currency="KES"
    )
    await shop.pool.balance("mpesa")  # the credential is good
    shop.sim.fault("mpesa", "POST /mpesa/reversal/v1/request/", kind=Fault.DROP_AFTER)
    with pytest.raises(OutcomeUnknown) as lost:
        await shop.pool.refund(bought, amount=500, reference="back-8")
    (back,) = [one for one in shop.sim.ledger if one.kind == "refund"]
    shop.sim.mpesa.results.to_timeout_url = 1.0
    shop.sim.settle(back.provider_reference or "", Status.SUCCEEDED)
    shop.sim.mpesa.results.to_timeout_url = 0.0
    assert lost.value.payment.provider_reference is None
    async with asyncio.timeout(30):
        while not [one async for one in shop.pool.payments(status=Status.SUCCEEDED)]:
            await asyncio.sleep(0.01)


async def test_a_failed_payout_has_the_cause_that_its_result_names(shop: Shop) -> None:
    """The status answer says only "Declined": the result on the order's path says why."""
    await shop.pool.balance("mpesa")
    paid = await shop.pool.payout("mpesa", **{**WAGE, "reference": "wage-9"})
    shop.sim.settle(paid.provider_reference or "", Status.FAILED, reason=Reason.INSUFFICIENT_FUNDS)
    async with asyncio.timeout(30):
        while not (ends := [one async for one in shop.pool.payments(status=Status.FAILED)]):
            await asyncio.sleep(0.01)
    assert [(one.reference, one.reason) for one in ends] == [("wage-9", Reason.INSUFFICIENT_FUNDS)]


@pytest.mark.parametrize("receipt", ["ABC-1", "x" * 41, "STD 959"])
async def test_what_cannot_be_a_receipt_is_not_asked_for(shop: Shop, receipt: str) -> None:
    """It is UsageError; a receipt in small letters is asked for as M-Pesa writes it."""
    with pytest.raises(UsageError, match="receipt"):
        await shop.pool.find("mpesa", receipt=receipt)
    with pytest.raises(Unavailable, match="no such payment"):
        await shop.pool.find("mpesa", receipt=" std959rkke ")
    (asked,) = [one for one in shop.sim.requests if "transactionstatus" in one.path]
    assert b'"STD959RKKE"' in asked.body
