"""Promises about money that leaves: payouts and refunds, each sent once, whatever comes back."""

from decimal import Decimal

import pytest

from ...errors import BadWebhook, Mismatch, OutcomeUnknown, PaymuxError, Unsupported, UsageError
from ...models import Payment, Reason, Status
from ...simulator import Fault
from .desk import ASKED, Desk
from .promises import (
    Promises,
    hears,
    may_lack_funds,
    only,
    pays_out,
    refunds_freely,
    refunds_once,
)
from .refusals import ODD
from .running import in_virtual_time


async def _lost(desk: Desk, payee: str, request: str) -> Payment:
    """Lose the answer to a payout, let it be paid, and return the payment of OutcomeUnknown."""
    desk.fault(request, Fault.DROP_AFTER, times=desk.tries(request))
    with pytest.raises(OutcomeUnknown) as caught:
        await desk.payout(payee)
    (entry,) = desk.sim.ledger.entries(provider=desk.name)
    if entry.status is Status.PENDING:
        desk.sim.settle(entry.provider_reference, Status.SUCCEEDED)
    return caught.value.payment


async def _repeated(desk: Desk, payee: str) -> Payment:
    """Pay out as a program that forgot the first payout, and return what is said of that one."""
    try:
        return await desk.payout(payee)
    except OutcomeUnknown as unknown:
        if "has had this reference before" not in str(unknown):
            raise
        return unknown.payment


class OutgoingPromises(Promises):
    """Promises about money that leaves: payouts and refunds, each sent once."""

    @only(pays_out)
    @in_virtual_time
    async def test_a_payout_is_made_once(self) -> None:
        """A payout arrives once; what the provider says of it later is told."""
        for payee, request in self.case.payouts:
            async with self.desk() as desk:
                paid = await desk.payout(payee)
                assert (paid.kind, paid.reference, paid.payer) == ("payout", "wage-7", None)
                if paid.status is Status.PENDING:
                    paid = await desk.paid(paid)
                assert (paid.status, paid.kind) == (Status.SUCCEEDED, "payout")
                assert desk.sim.ledger.paid_out(provider=desk.name) == 500
                assert len(desk.sent(request)) == 1
                assert desk.charged == 0

    @only(pays_out)
    @pytest.mark.parametrize(
        ("kind", "status"), [*ODD, pytest.param(Fault.DROP_AFTER, None, id="lost")]
    )
    @in_virtual_time
    async def test_a_payout_without_its_answer_is_unknown_at_once(
        self, kind: Fault, status: int | None
    ) -> None:
        """A payout is paid once, whatever came instead of its answer.

        It is not sent again, but where the provider has one order for all of its requests.
        """
        for payee, request in self.case.payouts:
            async with self.desk() as desk:
                desk.fault(request, kind, status=status, times=desk.tries(request))
                with pytest.raises(OutcomeUnknown) as caught:
                    await desk.payout(payee)
                lost = caught.value.payment
                assert (lost.kind, lost.reference) == ("payout", "wage-7")
                assert len(desk.sent(request)) == desk.tries(request)
                assert len(desk.sim.ledger) == 1

    @only(pays_out)
    @in_virtual_time
    async def test_a_second_payout_of_a_reference_is_what_the_facts_say(self) -> None:
        """Who forgot the first: the provider's own duplicate is unknown; else it is another one.

        A provider that joins repeats may give the answer of the first again.
        """
        for number, (payee, request) in enumerate(self.case.payouts):
            async with self.desk() as desk:
                order = desk.orders("payout")[number]
                first = await desk.payout(payee)
                await desk.pool.aclose()
                desk.pool = desk.another_pool()
                facts = desk.driver.facts_of(order)
                if facts.deduplicates or desk.joins("payout", request):
                    again = await _repeated(desk, payee)
                    assert again.provider_reference in (None, first.provider_reference)
                    assert len(desk.sim.ledger) == 1
                else:
                    await desk.payout(payee)
                    assert len(desk.sim.ledger) == 2
                assert len(desk.sent(request)) == 2

    @only(pays_out)
    @in_virtual_time
    async def test_a_lost_payout_is_found_as_finds_by_says(self) -> None:
        """By our reference if the facts about its payee say so; else it is refused, unsent."""
        for number, (payee, request) in enumerate(self.case.payouts):
            async with self.desk() as desk:
                order = desk.orders("payout")[number]
                lost = await _lost(desk, payee, request)
                sent = len(desk.sim.requests)
                if desk.driver.facts_of(order).findable:
                    found = await desk.pool.find(desk.name, reference="wage-7", kind="payout")
                    assert (found.status, found.kind) == (Status.SUCCEEDED, "payout")
                    assert (await desk.pool.verify(lost)).status is Status.SUCCEEDED
                    assert len(desk.sent(request)) == desk.tries(request)
                    continue
                if "reference" not in desk.driver.finds_by.get("payout", ()):
                    with pytest.raises(Unsupported):
                        await desk.pool.find(desk.name, reference="wage-7", kind="payout")
                if desk.driver.asks(lost) is None:
                    with pytest.raises(UsageError):
                        await desk.pool.verify(lost)
                    assert len(desk.sim.requests) == sent
                else:  # by an id that an earlier step of the same payout told
                    assert (await desk.pool.verify(lost)).status is Status.SUCCEEDED
                    assert len(desk.sent(request)) == desk.tries(request)

    @in_virtual_time
    async def test_a_receipt_is_found_as_finds_by_says(self) -> None:
        """What was paid is found by its receipt alone, if `finds_by` has it for its kind.

        A receipt's kind comes from the answer. If no kind can be asked so, `find` is refused.
        """
        async with self.desk() as desk:
            finds_by = desk.driver.finds_by
            if not any("receipt" in by for by in finds_by.values()):
                with pytest.raises(Unsupported):
                    await desk.pool.find(desk.name, receipt="R104207")
                assert desk.sim.requests == []
                return
            held: list[Payment] = []
            if "receipt" in finds_by.get("collect", ()):
                held.append(await desk.paid(await desk.order()))
            if "receipt" in finds_by.get("payout", ()):
                held.append(await desk.paid(await desk.payout()))
            for paid in held:
                assert paid.receipt
                found = await desk.pool.find(desk.name, receipt=paid.receipt)
                assert (found.status, found.kind) == (Status.SUCCEEDED, paid.kind)
                assert (found.receipt, found.amount) == (paid.receipt, paid.amount)

    @only(pays_out)
    @pytest.mark.parametrize("truth", [Status.SUCCEEDED, Status.FAILED])
    @in_virtual_time
    async def test_an_unlisted_code_ends_no_payout(self, truth: Status) -> None:
        """A word or code of no page neither pays nor fails a payout, wherever it stands."""
        async with self.desk() as desk:
            payment = await desk.payout()
            if payment.status.terminal:
                return
            desk.settle(payment, truth, code=desk.case.unknown_word)
            said = [await desk.pool.verify(payment)]
            if desk.driver.can("webhook") and _addressed(desk):
                said.append(desk.pool.webhook(await desk.told()).claims)
            for one in said:
                unlisted = desk.case.unknown_word in (one.provider_status or "")
                assert not (unlisted and one.status.terminal), one

    @only(lambda contract: hears(contract) and pays_out(contract))
    @in_virtual_time
    async def test_a_message_of_a_payout_is_a_hint(self) -> None:
        """A false success is BadWebhook where the provider signs, and else the truth is found."""
        for payee, _ in self.case.payouts:
            async with self.desk() as desk:
                payment = await desk.payout(payee)
                if payment.status.terminal or not _addressed(desk):
                    return
                desk.fault("", Fault.WEBHOOK_FORGED)
                desk.settle(payment, Status.FAILED, reason=Reason.DECLINED)
                await desk.told()
                forged, true = desk.messages[-2:]
                try:
                    event = desk.pool.webhook(forged)
                except BadWebhook:
                    assert desk.case.signs
                else:
                    if desk.case.seals:
                        with pytest.raises(Mismatch):
                            await desk.pool.confirm(event, expected=payment)
                    else:
                        found = await desk.pool.confirm(event, expected=payment)
                        assert found.status is Status.FAILED
                found = await desk.pool.confirm(desk.pool.webhook(true), expected=payment)
                assert (found.status, found.kind) == (Status.FAILED, "payout")

    @only(may_lack_funds)
    @in_virtual_time
    async def test_a_payout_beyond_the_balance_is_refused_for_certain(self) -> None:
        """Not enough money is the provider's own no, with our reason, and nothing is paid out."""
        async with self.desk() as desk:
            for attribute, value in self.case.no_funds.items():
                setattr(desk.provider, attribute, value)
            with pytest.raises(PaymuxError) as caught:
                await desk.payout()
            assert getattr(caught.value, "reason", None) is Reason.INSUFFICIENT_FUNDS
            assert len(desk.sim.ledger) == 0

    @only(refunds_freely)
    @in_virtual_time
    async def test_a_refund_is_pending_and_asked_for_once(self) -> None:
        """A refund that was accepted is PENDING.

        One whose answer was lost is unknown, and not asked for again.
        """
        async with self.desk() as desk:
            payment = await desk.order()
            paid = await desk.paid(payment)
            part, rest = (ASKED, ASKED) if desk.case.by_message else (Decimal(400), Decimal(300))
            back = await desk.pool.refund(paid, amount=part, reference="204207", reason="damaged")
            assert (back.status, back.kind, back.amount) == (Status.PENDING, "refund", part)
            if desk.case.refunds_one_by_one:
                back = await desk.paid(back)
                assert (back.status, back.kind) == (Status.SUCCEEDED, "refund")
            tries = desk.tries(desk.case.refund)
            desk.fault(desk.case.refund, Fault.DROP_AFTER, times=tries)
            with pytest.raises(OutcomeUnknown) as caught:
                await desk.pool.refund(paid, amount=rest, reference="204208")
            lost = caught.value.payment
            assert (lost.kind, lost.amount) == ("refund", rest)
            assert len([entry for entry in desk.sim.ledger if entry.kind == "refund"]) == 2
            with pytest.raises(UsageError, match="amount"):
                await desk.pool.refund(paid, amount=1001, reference="204209")

    @only(refunds_once)
    @in_virtual_time
    async def test_a_whole_refund_is_made_once(self) -> None:
        """A part is refused, unsent, and so is a second refund, though the first is unknown."""
        async with self.desk() as desk:
            paid = await desk.paid(await desk.collect())
            before = len(desk.sim.requests)
            with pytest.raises(UsageError, match="amount"):
                await desk.pool.refund(paid, amount=400, reference="204207")
            assert len(desk.sim.requests) == before
            tries = desk.tries(desk.case.refund)
            desk.fault(desk.case.refund, Fault.DROP_AFTER, times=tries)
            with pytest.raises(OutcomeUnknown) as caught:
                await desk.pool.refund(paid, amount=ASKED, reference="204208")
            assert (caught.value.payment.kind, caught.value.payment.amount) == ("refund", ASKED)
            assert len(desk.sim.requests) == before + tries
            sent = len(desk.sim.requests)
            with pytest.raises(UsageError, match="'204208'"):
                await desk.pool.refund(paid, amount=ASKED, reference="204209")
            assert len(desk.sim.requests) == sent
            assert desk.sim.ledger.refunded(provider=desk.name) == ASKED
        async with self.desk() as desk:
            paid = await desk.paid(await desk.collect())
            back = await desk.pool.refund(paid, amount=ASKED, reference="204209", reason="damaged")
            assert (back.status, back.kind, back.amount) == (Status.SUCCEEDED, "refund", ASKED)


def _addressed(desk: Desk) -> bool:
    """Return whether the provider knows where to tell of a payout."""
    return desk.case.dashboard or any(order.webhook_url for order in desk.orders("payout"))
