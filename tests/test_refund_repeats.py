"""A refund that its provider knows by its path is sent again until it is answered, and no other."""

import asyncio
import contextlib
import logging
import sqlite3
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from paymux import Notifier, OutcomeUnknown, Payment, Pool, Rejected, Status, UsageError
from paymux.core.recovery import Recovered
from paymux.core.repeating import repeating
from paymux.drivers.wave import Wave
from paymux.http import Response
from paymux.journal.base import State
from paymux.journal.sqlite import SqliteJournal
from paymux.models import Reason
from paymux.simulator import Fault, Simulator

from .driving import Script, drive
from .toys import BASE, KEY, timeless

ATTEMPTS = 3
WAGE: Mapping[str, Any] = {"amount": 1000, "currency": "XOF", "payee": "221771234567"}
ORDER: Mapping[str, Any] = {
    "amount": 1000,
    "currency": "XOF",
    "return_url": "https://shop.example/back",
}
REFUND, REVERSE = "POST /v1/checkout/sessions/cos-", "POST /v1/payout/pt-"


class Shop:
    """A shop at Wave, with a paid order and a paid wage; `told` is what `on_payment` heard."""

    def __init__(self, journal: Path | None) -> None:
        self.sim = Simulator()
        self.journal = journal
        self.told: list[tuple[str | None, Status]] = []

    def pool(self) -> Pool:
        """Open a pool on the journal."""
        return Pool(
            self.sim.driver("wave"),
            connection=self.sim.connection,
            attempts=ATTEMPTS,
            journal=self.journal,
            webhook_base=BASE,
            webhook_key=KEY,
        )

    async def __call__(self, payment: Payment) -> None:
        """Hear of an end."""
        self.told.append((payment.reference, payment.status))

    async def paid(self, pay: Pool, kind: str) -> Payment:
        """Return what is to be refunded."""
        if kind == "reversal":
            return await pay.payout("wave", reference="wage-1", **WAGE)
        payment = await pay.collect("wave", reference="order-1", **ORDER)
        self.sim.settle(payment.provider_reference or "", Status.SUCCEEDED)
        return await pay.verify(payment)

    async def lose(self, pay: Pool, kind: str, fault: Fault = Fault.DROP_AFTER) -> Payment:
        """Ask for a refund whose answers are lost, and return its payment."""
        paid = await self.paid(pay, kind)
        self.fault(kind, fault)
        with pytest.raises(OutcomeUnknown, match="until it is answered") as caught:
            await pay.refund(paid, amount=1000, reference="back-1")
        return caught.value.payment

    def fault(self, kind: str, fault: Fault, times: int = ATTEMPTS, **how: Any) -> None:
        """Plan trouble for the requests of a refund."""
        match = REVERSE if kind == "reversal" else REFUND
        self.sim.fault("wave", match, kind=fault, times=times, **how)

    def sent(self, kind: str) -> int:
        """Return how often a refund was sent."""
        end = "/reverse" if kind == "reversal" else "/refund"
        return len([one for one in self.sim.requests if one.path.endswith(end)])


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    """Give a shop with a journal."""
    return Shop(tmp_path / "payments.db")


both = pytest.mark.parametrize("kind", ["refund", "reversal"])


async def recovered(pay: Pool) -> list[Recovered]:
    """Run recover to its end."""
    return [one async for one in pay.recover()]


def row(shop: Shop) -> tuple[str, str]:
    """Read the state and the status of the refund in the journal."""
    assert shop.journal is not None
    with contextlib.closing(sqlite3.connect(shop.journal)) as db:
        sql = "SELECT state, status FROM payments WHERE kind = 'refund'"
        found: tuple[str, str] = db.execute(sql).fetchone()
        return found


@both
@pytest.mark.parametrize("fault", [Fault.DROP_AFTER, Fault.ERROR, Fault.HTML])
@timeless
async def test_recover_sends_it_again_until_it_is_answered(
    shop: Shop, kind: str, fault: Fault
) -> None:
    """Whether or not it was taken, it is refunded once, and what was sent again is counted."""
    async with shop.pool() as pay:
        await shop.lose(pay, kind, fault)
        shop.fault(kind, fault)
        [still] = await recovered(pay)
        assert (still.repeated, still.resolved, still.was) == (True, False, State.UNKNOWN)
        assert "not answered" in still.advice
        assert row(shop) == ("unknown", "pending")
        [found] = await recovered(pay)
        assert found.repeated
        if kind == "reversal":  # taken; what became of it, its payout says
            assert row(shop) == ("accepted", "pending")
            [looked] = await recovered(pay)
            assert (looked.repeated, looked.payment.status) == (False, Status.SUCCEEDED)
        else:
            assert (found.resolved, found.payment.status) == (True, Status.SUCCEEDED)
        assert row(shop) == ("accepted", "succeeded")
        assert await recovered(pay) == []
    assert shop.sim.ledger.refunded() == 1000
    assert shop.sent(kind) == 2 * ATTEMPTS + 1


@both
@timeless
async def test_a_worker_that_died_before_the_request_left_leaves_its_path(
    shop: Shop, kind: str
) -> None:
    """What it gives back is durable before it leaves: another worker sends it, and it is one."""
    assert shop.journal is not None
    async with shop.pool() as pay:
        paid = await shop.paid(pay, kind)
    name = "payout" if kind == "reversal" else "session"
    dead = msgspec.structs.replace(
        paid,
        kind="refund",
        reference="back-1",
        provider_reference=None,
        status=Status.PENDING,
        receipt=None,
        payee=None,
        ids={},
    )
    book = SqliteJournal(shop.journal)
    await book.intend(dead, "digest")
    known = msgspec.structs.replace(dead, ids={name: paid.provider_reference or ""})
    await book.mark_sending(dead)
    await book.record(known, "sending", State.SENDING)
    await book.aclose()
    async with shop.pool() as pay:
        [found] = await recovered(pay)
        assert (found.was, found.repeated) == (State.SENDING, True)
    assert shop.sim.ledger.refunded() == 1000


@both
@pytest.mark.parametrize("kept", [True, False], ids=["journal", "memory"])
@timeless
async def test_a_notifier_sends_it_again_until_it_is_answered(
    shop: Shop, kind: str, kept: bool, caplog: pytest.LogCaptureFixture
) -> None:
    """Through ten minutes in which the provider answers nothing; the end is told once."""
    if not kept:
        shop.journal = None
    caplog.set_level(logging.INFO, "paymux")
    async with shop.pool() as pay, Notifier(pay, shop, kinds=("refund",)):
        await shop.lose(pay, kind)
        shop.fault(kind, Fault.DROP_AFTER, times=100_000)
        await asyncio.sleep(600)
        assert shop.told == []
        assert 10 < shop.sent(kind) < 200
        shop.sim.core.faults.clear()
        await asyncio.sleep(900)
        assert shop.told == [("back-1", Status.SUCCEEDED)]
        sent = shop.sent(kind)
        await asyncio.sleep(1800)
        assert shop.sent(kind) == sent
    assert shop.sim.ledger.refunded() == 1000
    said = [one.getMessage() for one in caplog.records if "sent again" in one.getMessage()]
    assert len(said) == 1


@both
@timeless
async def test_workers_that_repeat_at_once_make_one_refund(shop: Shop, kind: str) -> None:
    """Two notifiers and a recovery share a journal: one refund, told once in all."""
    async with shop.pool() as one, shop.pool() as two, shop.pool() as three:
        await shop.lose(one, kind)
        async with (
            Notifier(two, shop, kinds=("refund",)),
            Notifier(three, shop, kinds=("refund",)),
        ):
            await asyncio.gather(recovered(one), recovered(two), recovered(three))
            await asyncio.sleep(600)
    assert shop.told == [("back-1", Status.SUCCEEDED)]
    assert shop.sim.ledger.refunded() == 1000


@both
@timeless
async def test_nothing_else_sends_it_again(shop: Shop, kind: str) -> None:
    """A look-up, and the same call with the same reference, send nothing; nor does `run`."""
    async with shop.pool() as pay:
        lost = await shop.lose(pay, kind)
        sent = shop.sent(kind)
        with pytest.raises(UsageError):
            await pay.verify(lost)
        paid = await pay.payment("wave", "order-1") or await pay.payment(
            "wave", "wage-1", kind="payout"
        )
        assert paid is not None
        with pytest.raises(OutcomeUnknown):
            await pay.refund(paid, amount=1000, reference="back-1")
        with pytest.raises(UsageError, match="moves no money"):
            await pay.run("wave", Wave.repeat, lost)
        assert shop.sent(kind) == sent


@timeless
async def test_no_other_order_is_sent_again(shop: Shop) -> None:
    """A lost collect and a lost payout are asked for, though a payout has a key."""
    async with shop.pool() as pay, Notifier(pay, shop, kinds=("payout", "collect", "refund")):
        shop.sim.fault(
            "wave", "POST /v1/payout/", kind=Fault.ERROR, times=ATTEMPTS, processed=False
        )
        with pytest.raises(OutcomeUnknown):
            await pay.payout("wave", reference="wage-1", **WAGE)
        before = len([one for one in shop.sim.requests if one.method == "POST"])
        [found] = await recovered(pay)
        assert not found.repeated
        await asyncio.sleep(1800)
        assert len([one for one in shop.sim.requests if one.method == "POST"]) == before


@timeless
async def test_a_refused_repeat_of_a_refund_is_left_to_a_person(
    shop: Shop, caplog: pytest.LogCaptureFixture
) -> None:
    """No page says that a refund that was made is not refused: it stays unknown, asked no more."""
    async with shop.pool() as pay, Notifier(pay, shop, kinds=("refund",)):
        shop.sim.wave.balance = Decimal(0)
        paid = await shop.paid(pay, "refund")
        shop.sim.wave.balance = Decimal(0)
        shop.fault("refund", Fault.DROP_AFTER)
        with pytest.raises(OutcomeUnknown):
            await pay.refund(paid, amount=1000, reference="back-1")
        await asyncio.sleep(600)
        assert (row(shop), shop.told) == (("unknown", "pending"), [])
        sent = shop.sent("refund")
        await asyncio.sleep(1800)
        assert shop.sent("refund") == sent == ATTEMPTS + 1
    [error] = [one.getMessage() for one in caplog.records if one.levelno == logging.ERROR]
    assert "left to a person" in error
    assert "could not be refunded" in error


@pytest.mark.parametrize(
    ("spent", "status", "reason"),
    [(True, Status.FAILED, Reason.INSUFFICIENT_FUNDS), (False, Status.SUCCEEDED, None)],
)
@timeless
async def test_a_refused_repeat_of_a_reversal_is_what_its_payout_says(
    shop: Shop, spent: bool, status: Status, reason: Reason | None
) -> None:
    """Its page: a payout that was reversed is never refused. So what is refused was not taken."""
    async with shop.pool() as pay:
        paid = await shop.paid(pay, "reversal")
        entry = shop.sim.wave.entry(paid.provider_reference)
        entry.words["spent"] = spent
        shop.fault("reversal", Fault.DROP_AFTER)
        with pytest.raises(OutcomeUnknown):
            await pay.refund(paid, amount=1000, reference="back-1")
        [found] = await recovered(pay)
        if not spent:
            found = msgspec.structs.replace(found, payment=await pay.verify(found.payment))
        assert (found.payment.status, found.payment.reason) == (status, reason)
        assert row(shop) == ("accepted", status)
    assert shop.sim.ledger.refunded() == (0 if spent else 1000)


@pytest.mark.parametrize(
    ("word", "status"),
    [("succeeded", Status.FAILED), ("reversed", Status.SUCCEEDED), ("processing", None)],
)
def test_a_refusal_and_the_payouts_own_word_end_a_reversal(
    word: str, status: Status | None
) -> None:
    """Refused, while the payout is `reversed`: it was; with any other word it stays unknown."""
    driver: Any = Simulator().driver("wave")
    lost = Payment(
        account="wave",
        kind="refund",
        reference="back-1",
        amount=Decimal(500),
        currency="XOF",
        ids={"payout": "pt-185b5e4b8100c"},
    )
    refusal = Response(status=422, body=b'{"code":"insufficient-funds","message":"spent"}')
    told = {"id": "pt-185b5e4b8100c", "status": word, "receive_amount": "500", "currency": "XOF"}
    script = Script(driver, refusal, Response(status=200, body=msgspec.json.encode(told)))
    if status is None:
        with pytest.raises(Rejected):
            drive(driver.repeat(script, lost))
        return
    failed = status is Status.FAILED
    assert drive(driver.repeat(script, lost)) == msgspec.structs.replace(
        lost,
        provider_reference="pt-185b5e4b8100c",
        status=status,
        reason=Reason.INSUFFICIENT_FUNDS if failed else None,
        provider_status="insufficient-funds" if failed else "reversed",
        message="spent" if failed else None,
    )
    silent = Response(status=200, body=b'{"status": "succeeded"}')
    with pytest.raises(OutcomeUnknown):
        drive(driver.repeat(Script(driver, refusal, silent), lost))


def test_the_table_says_which_refund_is_repeated() -> None:
    """Named and unanswered: one that was taken, or has no id of its path, is not."""
    driver: Any = Simulator().driver("wave")
    lost = Payment(account="wave", kind="refund", reference="back-1", ids={"session": "cos-1"})
    assert driver.repeats(lost)
    assert not driver.repeats(msgspec.structs.replace(lost, ids={}))
    assert not driver.repeats(msgspec.structs.replace(lost, provider_reference="cos-1"))
    assert not driver.repeats(msgspec.structs.replace(lost, status=Status.SUCCEEDED))


class Willing(Wave, frozen=True, kw_only=True):
    """Says of each payment that it can be sent again."""

    def repeats(self, refund: Payment) -> bool:
        """Say yes."""
        return True


def test_only_an_open_refund_is_asked_whether_it_is_repeated() -> None:
    """Whatever its driver says: no other kind, no refund that ended, and no driver without it."""
    driver = Willing(api_key="k", live=True)
    lost = Payment(account="wave", kind="refund", reference="back-1")
    assert repeating(driver, lost) is driver
    for other in ({"kind": "collect"}, {"kind": "payout"}, {"status": Status.FAILED}):
        assert repeating(driver, msgspec.structs.replace(lost, **other)) is None
    assert repeating(Simulator().driver("campay"), lost) is None


@timeless
async def test_a_repeat_is_seen_as_one(shop: Shop, caplog: pytest.LogCaptureFixture) -> None:
    """Its exchange, its fact and its payment say that it was sent again, and when."""
    caplog.set_level(logging.DEBUG, "paymux.exchange")
    async with shop.pool() as pay:
        lost = await shop.lose(pay, "refund")
        [found] = await recovered(pay)
        assert found.payment.updated_at is not None
        assert found.payment.created_at == lost.created_at
    assert shop.journal is not None
    with contextlib.closing(sqlite3.connect(shop.journal)) as db:
        sql = "SELECT source FROM facts WHERE kind = 'refund' ORDER BY id DESC LIMIT 1"
        assert db.execute(sql).fetchone() == ("repeat",)
    assert [one for one in caplog.messages if one.startswith("wave repeat POST ")]
