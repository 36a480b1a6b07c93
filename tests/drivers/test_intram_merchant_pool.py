"""The Merchant API through a pool: one payout for each order, whatever is repeated, and when."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from paymux import (
    AuthenticationFailed,
    NotFound,
    OutcomeUnknown,
    Payment,
    Pool,
    Status,
    WatchTimeout,
)
from paymux.drivers.intram_merchant import IntramMerchant
from paymux.http import WebhookRequest
from paymux.models import Reason
from paymux.simulator import Fault, Simulator
from paymux.simulator.intram_merchant import IntramMerchant as Provider
from paymux.testing import virtual_time

NAME = "intram_merchant"
PAYOUTS = "POST /api/v1/merchant/payouts/"
REQUESTS = "POST /api/v1/merchant/payment-requests/"
DAY = 86_400.0
WAGE: Mapping[str, Any] = {
    "amount": 500,
    "currency": "XOF",
    "payee": "2290196000002",
    "reference": "wage-7",
    "operator": "mtn",
}
ORDER: Mapping[str, Any] = {"amount": 12000, "currency": "XOF", "reference": "order-7"}


class Shop:
    """A pool with one account at the simulated provider."""

    def __init__(self, journal: Path | None = None, **how: Any) -> None:
        self.sim = Simulator()
        self.provider: Provider = self.sim.intram_merchant
        self.messages: list[WebhookRequest] = []
        self.sim.on_webhook(self.messages.append)
        self._journal, self._how = journal, how
        self.pool = self.another_pool()
        self.provider.webhook_url = self.pool.webhook_url(NAME)

    def another_pool(self, journal: Path | None = None) -> Pool:
        """Make a pool, of another process or with another journal."""
        return Pool(
            self.sim.driver(NAME),
            connection=self.sim.connection,
            journal=journal or self._journal,
            webhook_base="https://shop.example/pay",
            webhook_key="0123456789abcdef-hooks",
            **self._how,
        )

    def sent(self, match: str) -> int:
        """Return how many requests were received."""
        return len(self.sim.received(NAME, match))

    @property
    def payouts(self) -> int:
        """The payouts in the ledger."""
        return len([one for one in self.sim.ledger if one.kind == "payout"])

    async def lost(self, times: int = 3, kind: Fault = Fault.DROP_AFTER) -> Payment:
        """Pay out with each answer lost."""
        self.sim.fault(NAME, PAYOUTS, kind=kind, times=times)
        with pytest.raises(OutcomeUnknown) as caught:
            await self.pool.payout(NAME, **WAGE)
        return caught.value.payment


@asynccontextmanager
async def shop(journal: Path | None = None, **how: Any) -> AsyncIterator[Shop]:
    """Open a shop in virtual time."""
    async with virtual_time():
        one = Shop(journal, **how)
        try:
            yield one
        finally:
            await one.pool.aclose()
            await one.sim.core.aclose()


@pytest.mark.parametrize("kind", [Fault.DROP_AFTER, Fault.RESET, Fault.TRUNCATE, Fault.ERROR])
@pytest.mark.parametrize("lost", [0, 1, 2])
async def test_a_repeated_payout_is_one(lost: int, kind: Fault) -> None:
    """Each attempt has the key and the bytes of the first, and Intram pays once."""
    async with shop() as one:
        if lost:
            one.sim.fault(NAME, PAYOUTS, kind=kind, times=lost)
        paid = await one.pool.payout(NAME, **WAGE)
        assert (paid.status, one.payouts, one.sent(PAYOUTS)) == (Status.PENDING, 1, lost + 1)
        received = one.sim.received(NAME, PAYOUTS)
        assert len({request.body for request in received}) == 1
        assert len({request.headers["idempotency-key"] for request in received}) == 1
        one.sim.settle("wage-7", Status.SUCCEEDED)
        assert (await one.pool.watch(paid)).status is Status.SUCCEEDED
        assert one.sim.ledger.paid_out() == 500


@pytest.mark.parametrize("processed", [True, False])
async def test_a_payout_is_unknown_after_its_last_attempt(processed: bool) -> None:
    """It is found by our reference, or never; neither is a reason to send it again."""
    async with shop() as one:
        one.sim.fault(NAME, PAYOUTS, kind=Fault.HTML, times=3, processed=processed)
        with pytest.raises(OutcomeUnknown) as caught:
            await one.pool.payout(NAME, **WAGE)
        lost = caught.value.payment
        assert (one.payouts, one.sent(PAYOUTS)) == (int(processed), 3)
        if processed:
            one.sim.settle("wage-7", Status.SUCCEEDED)
            assert (await one.pool.verify(lost)).status is Status.SUCCEEDED
        else:
            with pytest.raises(NotFound):
                await one.pool.verify(lost)
        assert one.sent(PAYOUTS) == 3


async def test_a_key_of_yesterday_would_pay_again() -> None:
    """What the rule is for: the provider forgets, and a program without a journal pays twice."""
    async with shop() as one:
        await one.pool.payout(NAME, **WAGE)
        one.provider.store.ahead = DAY - 1
        again = one.another_pool()
        await again.payout(NAME, **WAGE)
        assert one.payouts == 1
        one.provider.store.ahead = DAY
        third = one.another_pool()
        await third.payout(NAME, **WAGE)
        assert one.payouts == 2
        await again.aclose()
        await third.aclose()


@pytest.mark.parametrize("hours", [0, 1, 23, 24, 25, 240])
async def test_recovery_asks_and_sends_nothing(tmp_path: Path, hours: int) -> None:
    """A payout whose worker died is looked up, whether its key is still known or not."""
    async with shop(tmp_path / "j.db") as one:
        await one.lost()
        one.provider.store.ahead = hours * 3600.0
        one.sim.settle("wage-7", Status.SUCCEEDED)
        found = [each async for each in one.pool.recover()]
        assert [each.payment.status for each in found] == [Status.SUCCEEDED]
        assert (one.payouts, one.sent(PAYOUTS)) == (1, 3)


@pytest.mark.parametrize("after", [0.0, 2 * DAY])
async def test_the_same_order_again_sends_nothing(tmp_path: Path, after: float) -> None:
    """The journal has the order: a second call sends no money, a day later either."""
    async with shop(tmp_path / "j.db") as one:
        await one.lost()
        one.provider.store.ahead = after
        with pytest.raises(OutcomeUnknown):
            await one.pool.payout(NAME, **WAGE)
        assert (one.payouts, one.sent(PAYOUTS)) == (1, 3)


@pytest.mark.parametrize("wait", [3590, 3700, 90_000])
async def test_an_attempt_is_not_repeated_when_its_key_may_be_forgotten(wait: int) -> None:
    """A provider that asks us to wait for an hour gets no second attempt, however long we have."""
    async with shop(deadline=DAY) as one:
        one.sim.fault(NAME, PAYOUTS, kind=Fault.DROP_AFTER)
        one.sim.fault(NAME, PAYOUTS, kind=Fault.THROTTLE, retry_after=wait)
        if wait < 3600:
            assert (await one.pool.payout(NAME, **WAGE)).status is Status.PENDING
        else:
            with pytest.raises(OutcomeUnknown):
                await one.pool.payout(NAME, **WAGE)
        assert one.payouts == 1
        one.provider.store.ahead = DAY


async def test_a_machine_that_slept_for_a_day_pays_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The loop's clock stands still meanwhile; the second attempt would be another payout."""
    async with shop() as one:
        real, asleep = time.time, [0.0]

        async def sleeps() -> None:
            while not one.sent(PAYOUTS):
                await asyncio.sleep(0)
            asleep[0] = DAY + 60

        one.sim.fault(NAME, PAYOUTS, kind=Fault.DROP_AFTER)
        with monkeypatch.context() as clock:
            clock.setattr(time, "time", lambda: real() + asleep[0])
            sleeping = asyncio.create_task(sleeps())
            with pytest.raises(OutcomeUnknown, match="too long ago"):
                await one.pool.payout(NAME, **WAGE)
            await sleeping
        assert (one.payouts, one.sent(PAYOUTS)) == (1, 1)


@pytest.mark.parametrize(("away", "made"), [("refuses", 0), ("processes", 1)])
async def test_nothing_is_repeated_while_intram_cannot_tell(away: Any, made: int) -> None:
    """With its store of keys away each request would pay: one leaves, and it is unknown."""
    async with shop() as one:
        one.provider.store.away = away
        with pytest.raises(OutcomeUnknown, match="store of keys"):
            await one.pool.payout(NAME, **WAGE)
        assert (one.payouts, one.sent(PAYOUTS)) == (made, 1)


async def test_another_order_under_a_known_key_is_unknown() -> None:
    """409: Intram has had this reference with other bytes; what became of that is looked up."""
    async with shop() as one:
        first = await one.pool.payout(NAME, **WAGE)
        other = one.another_pool()
        with pytest.raises(OutcomeUnknown, match="has had this reference before") as caught:
            await other.payout(NAME, **{**WAGE, "amount": 900})
        assert (one.payouts, one.sent(PAYOUTS)) == (1, 2)
        assert caught.value.payment.reference == first.reference
        await other.aclose()


@pytest.mark.parametrize("provider_error", ["paid", "unpaid"])
async def test_a_provider_error_fails_no_payout(provider_error: Any) -> None:
    """Intram says "failed", and the network may have paid: it stays pending, for a person."""
    async with shop() as one:
        one.provider.provider_error = provider_error
        paid = await one.pool.payout(NAME, **WAGE)
        one.sim.settle("wage-7", Status.SUCCEEDED)
        with pytest.raises(WatchTimeout) as caught:
            await one.pool.watch(paid, timeout=60)
        found = caught.value.payment
        assert (found.status, found.provider_status) == (Status.PENDING, "failed/provider_error")
        assert "ask Intram before you pay it again" in (found.message or "")
        assert one.sim.ledger.paid_out() == (500 if provider_error == "paid" else 0)
        message = one.pool.webhook(one.messages[-1])
        assert message.claims.status is Status.PENDING
        assert (await one.pool.confirm(message, expected=paid)).status is Status.PENDING


@pytest.mark.parametrize(
    ("sets", "reason"),
    [
        (lambda one: one.wallet.update(MTN_BENIN_229=Decimal(499)), Reason.INSUFFICIENT_FUNDS),
        (lambda one: one.wallet.pop("MTN_BENIN_229"), Reason.OTHER),
    ],
    ids=["no money", "no handler"],
)
async def test_what_the_worker_refused_has_failed(
    sets: Callable[[Provider], object], reason: Reason
) -> None:
    """A payout that Intram's worker never sent to the network is FAILED, with its reason."""
    async with shop() as one:
        sets(one.provider)
        paid = await one.pool.watch(await one.pool.payout(NAME, **WAGE))
        assert (paid.status, paid.reason) == (Status.FAILED, reason)
        assert one.sim.ledger.paid_out() == 0


async def test_a_second_try_of_the_worker_fails_nothing() -> None:
    """A rejection after a try that is not told proves nothing of that try."""
    async with shop() as one:
        one.provider.attempts = 2
        paid = await one.pool.payout(NAME, **WAGE)
        await asyncio.sleep(1)
        one.sim.settle("wage-7", Status.FAILED)
        assert (await one.pool.verify(paid)).status is Status.PENDING


async def test_the_wallet_is_debited_first_and_credited_after_a_rejection() -> None:
    """What can be paid out is less as soon as a payout is open, and more if it was rejected."""
    async with shop() as one:
        assert (await one.pool.balance(NAME)).available == 3_000_000
        paid = await one.pool.payout(NAME, **WAGE)
        await asyncio.sleep(1)
        assert (await one.pool.balance(NAME)).by_operator["MTN Bénin"] == 999_500
        one.sim.settle("wage-7", Status.FAILED)
        assert (await one.pool.verify(paid)).status is Status.FAILED
        assert (await one.pool.balance(NAME)).available == 3_000_000


async def test_a_collect_has_its_page() -> None:
    """The page is ready a moment after the order; a payer pays there."""
    async with shop() as one:
        payment = await one.pool.collect(NAME, **ORDER)
        assert payment.checkout_url
        assert payment.checkout_url.startswith(one.sim.url)
        one.sim.settle("order-7", Status.SUCCEEDED)
        end = await one.pool.watch(payment)
        assert (end.status, end.checkout_url) == (Status.SUCCEEDED, payment.checkout_url)
        found = await one.pool.find(NAME, receipt=end.receipt)
        assert (found.status, found.amount) == (Status.SUCCEEDED, Decimal(12000))


@pytest.mark.parametrize(("deadline", "most"), [(30.0, 10.5), (4.0, 4.0)])
async def test_a_page_that_is_late_comes_with_a_look_up(deadline: float, most: float) -> None:
    """The order is accepted, so no wait makes it unknown; the page is told when it is there."""
    async with shop(deadline=deadline) as one:
        one.provider.work_delay = 60.0
        began = asyncio.get_running_loop().time()
        payment = await one.pool.collect(NAME, **ORDER)
        assert asyncio.get_running_loop().time() - began <= most
        assert (payment.status, payment.checkout_url) == (Status.PENDING, None)
        await asyncio.sleep(60)
        assert (await one.pool.verify(payment)).checkout_url


@pytest.mark.parametrize("kind", [Fault.HTML, Fault.STALE_TOKEN, Fault.DROP_AFTER, Fault.STALL])
async def test_trouble_after_an_accepted_order_is_none_of_the_order(kind: Fault) -> None:
    """A look-up for the page that fails leaves the order accepted, and asked for once."""
    async with shop(deadline=20.0) as one:
        one.sim.fault(NAME, "GET", kind=kind, times=9)
        if kind is Fault.STALL:
            with pytest.raises(OutcomeUnknown) as caught:
                await one.pool.collect(NAME, **ORDER)
            payment = caught.value.payment
        else:
            payment = await one.pool.collect(NAME, **ORDER)
            assert payment.provider_reference
        assert (payment.status, one.sent(REQUESTS)) == (Status.PENDING, 1)
        one.sim.core.faults.clear()
        found = await one.pool.find(NAME, reference="order-7")
        assert found.checkout_url


async def test_a_refund_of_a_part_leaves_the_payment_paid() -> None:
    """Intram marks the whole payment REFUNDED; how much went back is not told, and not guessed."""
    async with shop() as one:
        payment = await one.pool.collect(NAME, **ORDER)
        one.sim.settle("order-7", Status.SUCCEEDED)
        paid = await one.pool.verify(payment)
        back = await one.pool.refund(paid, amount=5000, reference="back-7", reason="damaged")
        one.sim.settle("back-7", Status.SUCCEEDED)
        done = await one.pool.watch(back)
        assert (done.status, done.kind, done.amount) == (Status.SUCCEEDED, "refund", Decimal(5000))
        again = await one.pool.verify(paid)
        assert (again.status, again.provider_status) == (Status.SUCCEEDED, "REFUNDED")
        assert again.refunded_amount is None
        assert one.sim.ledger.refunded() == 5000
        twice = await one.pool.refund(paid, amount=5000, reference="back-8")
        assert (await one.pool.watch(twice)).status is Status.FAILED


async def test_each_kind_of_one_reference_is_its_own() -> None:
    """A collect, a payout and a refund of one reference: each has its key, its message, its end."""
    async with shop() as one:
        payment = await one.pool.collect(NAME, **{**ORDER, "reference": "x-1"})
        one.sim.settle(payment.provider_reference or "", Status.SUCCEEDED)
        paid = await one.pool.verify(payment)
        await one.pool.payout(NAME, **{**WAGE, "reference": "x-1"})
        await one.pool.refund(paid, amount=12000, reference="x-1")
        assert [entry.kind for entry in one.sim.ledger] == ["collect", "payout", "refund"]
        for kind in ("payout", "refund"):
            entry = next(entry for entry in one.sim.ledger if entry.kind == kind)
            one.sim.settle(entry.provider_reference, Status.SUCCEEDED)
            await asyncio.sleep(1)
            event = one.pool.webhook(one.messages[-1])
            found = await one.pool.confirm(event)
            assert (found.kind, found.reference, found.status) == (kind, "x-1", Status.SUCCEEDED)
            asked = await one.pool.find(NAME, reference="x-1", kind=kind)
            assert asked.provider_reference == entry.provider_reference


async def test_a_subscription_is_heard_with_its_own_secret() -> None:
    """The secret of `subscribe` is that of the messages; another one hears none."""
    async with shop() as one:
        url = one.pool.webhook_url(NAME)
        secret = await one.pool.run(NAME, IntramMerchant.subscribe, url=url)
        await one.pool.replace(one.sim.driver(NAME, webhook_secret=secret))
        paid = await one.pool.payout(NAME, **WAGE)
        await asyncio.sleep(1)
        one.sim.settle("wage-7", Status.SUCCEEDED)
        await asyncio.sleep(1)
        event = one.pool.webhook(one.messages[-1])
        assert (await one.pool.confirm(event, expected=paid)).status is Status.SUCCEEDED


@pytest.mark.parametrize("setting", ["ip_allowed", "active"])
async def test_an_account_that_may_not_pay_is_authentication_failed(setting: str) -> None:
    """A missing address or an inactive merchant is refused before anything moves."""
    async with shop() as one:
        one.provider.env = "live"
        setattr(one.provider, setting, False)
        with pytest.raises(AuthenticationFailed):
            await one.pool.payout(NAME, **WAGE)
        assert (one.payouts, one.sent(PAYOUTS)) == (0, 1)


async def test_a_clock_that_is_off_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A signature of another time is refused, and the error names the clock."""
    async with shop() as one:
        driver = one.pool.drivers[NAME]
        monkeypatch.setattr(
            "paymux.drivers.intram_merchant.signing._stamp", lambda _: "2020-01-01T00:00:00.000Z"
        )
        assert driver.name == NAME
        with pytest.raises(AuthenticationFailed, match="clock"):
            await one.pool.balance(NAME)


async def test_a_wire_is_one_and_waits_for_a_person() -> None:
    """One wire leaves, whatever is repeated; its message and its look-up leave it pending."""
    async with shop() as one:
        wire: dict[str, Any] = {**WAGE, "payee": "bank: BJ06 1234", "operator": None}
        wire["extra"] = {"swift": "ECOCBJBJ"}
        one.sim.fault(NAME, PAYOUTS, kind=Fault.DROP_AFTER)
        paid = await one.pool.payout(NAME, **wire)
        assert (paid.payee, one.payouts, one.sent(PAYOUTS)) == ("bank:BJ06 1234", 1, 2)
        await asyncio.sleep(60)
        found = await one.pool.verify(paid)
        assert found.provider_status == "succeeded/queued_for_settlement"
        assert (found.status, found.payee) == (Status.PENDING, paid.payee)
        [message] = one.messages
        event = one.pool.webhook(message)
        assert event.claims.status is Status.PENDING
        assert b"payout.queued" in message.body
        listed = await one.pool.find(NAME, reference="wage-7", kind="payout")
        assert listed.provider_reference == paid.provider_reference
        assert sum(one.provider.wallet.values()) == 3_000_000 - 500
