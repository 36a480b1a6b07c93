"""Promises about an order: what it charges, how it ends, and what an unclear answer means."""

import asyncio
import re
from urllib.parse import unquote_to_bytes

import msgspec
import pytest

from ...errors import (
    BadWebhook,
    DuplicateReference,
    Mismatch,
    OutcomeUnknown,
    PaymuxError,
    UsageError,
    WatchTimeout,
)
from ...models import Payment, Reason, Status
from .desk import ASKED, REFERENCE
from .promises import Promises, only, tells_amount
from .running import in_virtual_time

ENDS = {
    Status.FAILED: Reason.DECLINED,
    Status.CANCELLED: Reason.CANCELLED,
    Status.EXPIRED: Reason.EXPIRED,
}


class OrderPromises(Promises):
    """Promises about an order: what it charges, how it ends, and what an unclear answer means."""

    @in_virtual_time
    async def test_a_collect_is_watched_to_its_success(self) -> None:
        """A collect is pending, then succeeded; the ledger has one charge, of one request."""
        async with self.desk() as desk:
            payment = await desk.order()
            assert (payment.status, payment.reference, payment.amount) == (
                Status.PENDING,
                REFERENCE,
                ASKED,
            )
            asyncio.get_running_loop().call_later(20, desk.settle, payment, Status.SUCCEEDED)
            seen = [found async for found in desk.pool.watch(payment)]
            assert list(dict.fromkeys(found.status for found in seen)) == [
                Status.PENDING,
                Status.SUCCEEDED,
            ]
            end = seen[-1]
            assert (end.reference, end.amount, end.currency) == (
                REFERENCE,
                ASKED,
                desk.case.order["currency"],
            )
            assert (end.account, end.provider, end.kind, end.live) == (
                desk.name,
                desk.name,
                desk.kind,
                False,
            )
            assert end.reason is None
            assert desk.moved == 1000
            assert len(desk.sent(desk.case.opens)) == 1

    @in_virtual_time
    async def test_an_amount_travels_as_documented(self) -> None:
        """1000 units are sent in the provider's own type and spelling: no float, no fraction."""
        async with self.desk() as desk:
            await desk.order()
            (body,) = desk.sent(desk.case.opens)
            body = unquote_to_bytes(body)  # a form may hold JSON
            found = re.search(re.escape(desk.case.wire) + rb"[,}]", body)
            assert found, body

    @in_virtual_time
    async def test_a_lost_answer_is_unknown_and_charges_once_at_most(self) -> None:
        """Without its answer an order is OutcomeUnknown with a payment to keep.

        It is not sent again, but where the provider has one order for all of its requests.
        """
        async with self.desk() as desk:
            payment = await desk.unknown(desk.case.opens, desk.order)
            assert (payment.status, payment.reference, payment.amount) == (
                Status.PENDING,
                REFERENCE,
                ASKED,
            )
            assert (payment.account, payment.provider, payment.kind) == (
                desk.name,
                desk.name,
                desk.kind,
            )
            sent = len(desk.sent(desk.case.opens))
            assert sent == desk.tries(desk.case.opens)
            assert len(desk.sim.ledger) == (sent if desk.case.repeats else 1)
            assert desk.moved == 0

    def test_only_what_cannot_charge_twice_is_repeated(self) -> None:
        """Only a collect that opens a new page, whose URL was lost, is sent again."""
        driver = self.driver
        if self.case.repeats:
            assert driver.lost_page
            assert "return_url" in self.case.order

    @in_virtual_time
    async def test_a_lost_answer_is_resolved_where_the_provider_allows_it(self) -> None:
        """By our reference where the provider takes it, else by the order's own message.

        Else it stays unknown.
        """
        async with self.desk() as desk:
            payment = await desk.unknown(desk.case.opens, desk.order)
            order = desk.sim.ledger.entries(provider=desk.name)[-1]
            desk.sim.settle(order.provider_reference, Status.SUCCEEDED)
            if "reference" in desk.driver.finds_by.get(desk.kind, ()):
                found = await desk.find()
                assert (await desk.pool.verify(payment)).status is Status.SUCCEEDED
            elif desk.case.names_order:
                found = await desk.pool.confirm(
                    desk.pool.webhook(await desk.told()), expected=payment
                )
            else:
                event = desk.pool.webhook(await desk.told())
                with pytest.raises(BadWebhook):
                    await desk.pool.confirm(event, expected=payment)
                return
            assert (found.status, found.reference) == (Status.SUCCEEDED, REFERENCE)
            assert found.provider_reference == order.provider_reference
            assert desk.moved == 1000

    @in_virtual_time
    async def test_a_watch_on_a_lost_answer_ends_with_the_truth(self) -> None:
        """The payment of an OutcomeUnknown is watched like any other.

        By polling, or woken by its message.
        """
        async with self.desk() as desk:
            payment = await desk.unknown(desk.case.opens, desk.order)
            order = desk.sim.ledger.entries(provider=desk.name)[-1]
            watching = asyncio.create_task(desk.end(payment))
            await asyncio.sleep(5)
            desk.sim.settle(order.provider_reference, Status.SUCCEEDED)
            if "reference" not in desk.driver.finds_by.get(desk.kind, ()) and desk.case.names_order:
                await desk.pool.confirm(desk.pool.webhook(await desk.told()))
            if "reference" in desk.driver.finds_by.get(desk.kind, ()) or desk.case.names_order:
                assert (await watching).status is Status.SUCCEEDED
            else:
                with pytest.raises(WatchTimeout) as caught:
                    await watching
                assert caught.value.payment.status is Status.PENDING
            assert desk.moved == 1000

    @pytest.mark.parametrize("status", ENDS)
    @in_virtual_time
    async def test_what_was_not_paid_ends_as_a_value(self, status: Status) -> None:
        """Declined, cancelled and expired are no exceptions.

        The payment says so, and why, in both languages.
        """
        async with self.desk() as desk:
            payment = await desk.order()
            asyncio.get_running_loop().call_later(
                20, lambda: desk.settle(payment, status, reason=ENDS[status])
            )
            end = await desk.pool.watch(payment)
            assert end.status is desk.case.told.get(status, status)
            assert end.reason is not None
            assert end.reason.text("fr") != end.reason.text("en")
            assert end.provider_status
            assert desk.moved == 0

    @in_virtual_time
    async def test_money_that_comes_late_is_real(self) -> None:
        """A payment that had failed and then succeeds is told as what it is: a success."""
        async with self.desk() as desk:
            payment = await desk.order()
            desk.settle(payment, Status.FAILED, reason=Reason.DECLINED)
            failed = await desk.pool.verify(payment)
            assert failed.status is Status.FAILED
            desk.settle(payment, Status.SUCCEEDED)
            late = await desk.pool.verify(failed)
            assert (late.status, late.reason) == (Status.SUCCEEDED, None)
            assert desk.moved == 1000

    @pytest.mark.parametrize("truth", [Status.PENDING, Status.SUCCEEDED, Status.FAILED])
    @in_virtual_time
    async def test_an_unknown_word_stays_pending(self, truth: Status) -> None:
        """A word that is on no page of the provider is neither success nor failure, and is kept."""
        async with self.desk() as desk:
            payment = await desk.order()
            desk.settle(payment, truth, code=desk.case.unknown_word)
            found = await desk.pool.verify(payment)
            assert found.status is Status.PENDING
            assert (found.provider_status or "").split("/")[0] == (desk.case.unknown_word)

    @in_virtual_time
    async def test_not_found_yet_does_not_end_a_watch(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A provider that does not know a payment yet is asked again until it does."""
        async with self.desk() as desk:
            payment = await desk.order()
            with monkeypatch.context() as hidden:
                hidden.setattr(desk.provider, "entry", lambda _: None)
                with pytest.raises((PaymuxError, asyncio.TimeoutError)) as caught:
                    await desk.pool.verify(payment)
                assert not isinstance(caught.value, UsageError | Mismatch | OutcomeUnknown)
                watching = asyncio.create_task(desk.end(payment))
                await asyncio.sleep(45)
                assert not watching.done()
            desk.settle(payment, Status.SUCCEEDED)
            assert (await watching).status is Status.SUCCEEDED
            assert desk.moved == 1000

    @only(tells_amount)
    @in_virtual_time
    async def test_another_amount_is_a_mismatch(self) -> None:
        """A payment of less than what was expected never verifies as paid."""
        async with self.desk() as desk:
            payment = await desk.order()
            desk.settle(payment, Status.SUCCEEDED)
            assert payment.amount is not None
            dearer = msgspec.structs.replace(payment, amount=payment.amount + 5)
            with pytest.raises(Mismatch) as caught:
                await desk.pool.verify(dearer)
            assert caught.value.fields == ("amount",)

    @in_virtual_time
    async def test_a_second_use_of_a_reference_is_what_the_facts_say(self) -> None:
        """Who forgot the first: the provider's own duplicate is unknown, and looked up.

        One that it joins for a time is the first again. Without either it is an order.
        """
        async with self.desk() as desk:
            first = await desk.order()
            await desk.pool.aclose()
            desk.pool = desk.another_pool()
            if desk.joins(desk.kind, desk.case.opens):
                again = await desk.order()
                assert (len(desk.sim.ledger), again.status) == (1, Status.PENDING)
                assert again.provider_reference == first.provider_reference
            elif desk.driver.facts[desk.kind].deduplicates:
                with pytest.raises(OutcomeUnknown, match="has had this reference before") as caught:
                    await desk.order()
                assert "new reference is safe" not in str(caught.value)
                assert len(desk.sim.ledger) == 1
                (reference,) = (entry.reference for entry in desk.sim.ledger)
                assert reference is not None
                assert caught.value.payment.reference == reference
                desk.sim.settle(reference, Status.SUCCEEDED)
                assert (await desk.pool.watch(caught.value.payment)).status is Status.SUCCEEDED
            else:
                await desk.order()
                assert len(desk.sim.ledger) == 2

    @in_virtual_time
    async def test_the_same_order_twice_at_once_is_one_request(self) -> None:
        """Two callers with one order in flight share its one request.

        Another order under it is refused.
        """
        async with self.desk() as desk:
            one, two, other = await asyncio.gather(
                desk.order(), desk.order(), desk.order(amount=2000), return_exceptions=True
            )
            assert one == two
            assert isinstance(other, DuplicateReference)
            assert len(desk.sent(desk.case.opens)) == 1

    @in_virtual_time
    async def test_a_payment_survives_json(self) -> None:
        """What each verb gives can be stored as JSON and read again, all of it."""
        async with self.desk() as desk:
            payment = await desk.order()
            desk.settle(payment, Status.SUCCEEDED)
            verified = await desk.pool.verify(payment)
            lost = await desk.unknown(desk.case.opens, lambda: desk.order("104208"))
            for one in (payment, verified, lost):
                assert msgspec.json.decode(msgspec.json.encode(one), type=Payment) == one
            stored = msgspec.json.decode(msgspec.json.encode(payment), type=Payment)
            assert (await desk.pool.verify(stored)).status is Status.SUCCEEDED
