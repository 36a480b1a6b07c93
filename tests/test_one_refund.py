"""Where a provider makes one refund of a payment, no other is told to be that one."""

import asyncio
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from paymux import NotSent, Payment, Pool, Rejected, Status, Unavailable, UsageError
from paymux.journal.first_refunds import LocalFirstRefunds, Refunded
from paymux.journal.sqlite import SqliteJournal
from paymux.simulator import Simulator

from .test_refund_repeats import Shop
from .toys import timeless

kept = pytest.mark.parametrize("kept", [True, False], ids=["journal", "memory"])


@pytest.fixture
def shop(tmp_path: Path, kept: bool) -> Shop:
    """Give a shop, with or without a journal."""
    return Shop(tmp_path / "payments.db" if kept else None)


async def back(pay: Pool, paid: Payment, reference: str) -> Payment:
    """Give a payment back."""
    return await pay.refund(paid, amount=1000, reference=reference)


@kept
@pytest.mark.parametrize("kind", ["refund", "reversal"])
@timeless
async def test_a_second_refund_is_refused_before_anything_is_sent(shop: Shop, kind: str) -> None:
    """It names the first, which the same reference still returns."""
    async with shop.pool() as pay:
        paid = await shop.paid(pay, kind)
        first = await back(pay, paid, "back-1")
        sent = len(shop.sim.requests)
        with pytest.raises(UsageError, match="'back-1' is that one") as caught:
            await back(pay, paid, "back-2")
        assert caught.value.name == "payment"
        again = await back(pay, paid, "back-1")
        assert (again.status, again.ids) == (first.status, first.ids) != (Status.PENDING, {})
        assert len(shop.sim.requests) == sent
    assert shop.sim.ledger.refunded() == 1000


@kept
@timeless
async def test_an_unknown_refund_is_the_only_one(shop: Shop) -> None:
    """Its answer is lost: under another reference it would be told as made twice."""
    async with shop.pool() as pay:
        await shop.lose(pay, "refund")
        paid = await shop.paid(pay, "reversal")
        await back(pay, paid, "back-2")  # another payment
        sold = Payment(
            account="wave",
            kind="collect",
            provider_reference=shop.sim.wave.entries()[0].provider_reference,
            amount=Decimal(1000),
            currency="XOF",
        )
        with pytest.raises(UsageError, match="'back-1' is that one"):
            await back(pay, sold, "back-3")
    assert shop.sent("refund") == 3


@kept
@timeless
async def test_of_two_at_once_one_is_refused(shop: Shop) -> None:
    """Neither waits for the other's answer: the first to be noted is sent."""
    async with shop.pool() as pay:
        paid = await shop.paid(pay, "refund")
        names = [f"back-{number}" for number in range(5)]
        ends = await asyncio.gather(
            *(back(pay, paid, name) for name in names), return_exceptions=True
        )
    assert sorted(type(end).__name__ for end in ends) == ["Payment"] + ["UsageError"] * 4
    assert shop.sent("refund") == 1


@kept
@timeless
async def test_one_that_waits_to_be_sent_is_the_only_one(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waits for the account's limit; another one does not take its place."""
    async with shop.pool() as pay:
        paid = await shop.paid(pay, "refund")
        limiter, free = pay._engine.limiter("wave"), asyncio.Event()

        async def acquired(**_: Any) -> None:
            await free.wait()

        with monkeypatch.context() as patched:
            patched.setattr(limiter, "try_acquire", lambda **_: False)
            patched.setattr(limiter, "acquire", acquired)
            first = asyncio.create_task(back(pay, paid, "back-1"))
            await asyncio.sleep(0.1)
            with pytest.raises(UsageError, match="'back-1' is that one"):
                await back(pay, paid, "back-2")
            free.set()
            assert (await first).status is Status.SUCCEEDED
    assert shop.sent("refund") == 1


@kept
@timeless
async def test_one_that_failed_later_is_in_no_ones_way(shop: Shop) -> None:
    """A reversal that was accepted, and of which a look-up says that it failed."""
    async with shop.pool() as pay:
        paid = await shop.paid(pay, "reversal")
        first = await back(pay, paid, "back-1")
        with pytest.raises(UsageError, match="'back-1' is that one"):
            await back(pay, paid, "back-2")
        failed = msgspec.structs.replace(first, status=Status.FAILED)
        await pay._engine.store.keep(failed, "verify")
        assert (await back(pay, paid, "back-2")).reference == "back-2"


@kept
@timeless
async def test_a_refund_that_gave_nothing_back_is_in_no_ones_way(shop: Shop) -> None:
    """After one that was refused, the next is sent, and is then the only one."""
    async with shop.pool() as pay:
        paid = await shop.paid(pay, "refund")
        shop.sim.wave.balance = Decimal(0)
        with pytest.raises(Rejected):
            await back(pay, paid, "back-1")
        shop.sim.wave.balance = Decimal(10**6)
        assert (await back(pay, paid, "back-3")).status is Status.SUCCEEDED
        for name in ("back-1", "back-2"):
            with pytest.raises(UsageError, match="'back-3' is that one"):
                await back(pay, paid, name)


@kept
@timeless
async def test_after_a_failed_reversal_another_may_be_made(shop: Shop) -> None:
    """The receiver had spent the money, and has some again."""
    async with shop.pool() as pay:
        paid = await shop.paid(pay, "reversal")
        entry = shop.sim.wave.entry(paid.provider_reference)
        entry.words["spent"] = True
        with pytest.raises(Rejected):
            await back(pay, paid, "back-1")
        entry.words["spent"] = False
        made = await pay.verify(await back(pay, paid, "back-2"))
        assert made.status is Status.SUCCEEDED


@timeless
async def test_workers_of_a_journal_know_each_others_refunds(tmp_path: Path) -> None:
    """Also once the journal has deleted the payment of the first."""
    shop = Shop(tmp_path / "payments.db")
    async with shop.pool() as one, shop.pool() as two:
        paid = await shop.paid(one, "refund")
        await back(one, paid, "back-1")
        with pytest.raises(UsageError, match="'back-1' is that one"):
            await back(two, paid, "back-2")
    book = SqliteJournal(tmp_path / "payments.db")
    await book._writer.do(lambda db: db.execute("DELETE FROM payments WHERE kind = 'refund'"))
    await book.aclose()
    async with shop.pool() as three:
        with pytest.raises(UsageError, match="'back-1' is that one"):
            await back(three, paid, "back-3")


class Failing:
    """Raises an error, or never answers."""

    def __init__(self, error: Exception | None) -> None:
        self.error = error

    async def take(self, *_: Any, **__: Any) -> str:
        """Raise it."""
        if self.error is not None:
            raise self.error
        await asyncio.sleep(10**6)
        return ""


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError("the disk is away"), "the disk is away"),
        (Unavailable("the server is away"), "the server is away"),
        (None, "the deadline passed"),
    ],
)
@timeless
async def test_a_journal_that_cannot_note_it_sends_nothing(
    tmp_path: Path, error: Exception | None, said: str
) -> None:
    """NotSent: the caller repeats it later."""

    class Away(SqliteJournal):
        @property
        def first_refunds(self) -> Any:
            return Failing(error)

    sim = Simulator()
    book = Away(str(tmp_path / "payments.db"))
    async with Pool(sim.driver("wave"), connection=sim.connection, journal=book) as pay:
        paid = Payment(
            account="wave",
            kind="collect",
            provider_reference="cos-1",
            amount=Decimal(1000),
            currency="XOF",
        )
        with pytest.raises(NotSent, match=f"{said}; nothing was sent"):
            await back(pay, paid, "back-1")
    assert sim.requests == []


async def test_a_pool_without_a_journal_remembers_the_newest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its memory is bounded; what it remembers is right."""
    monkeypatch.setattr("paymux.journal.first_refunds.MAX_REFUNDS", 2)
    notes = LocalFirstRefunds()
    a, b, c = (Refunded("wave", True, name) for name in "abc")
    assert await notes.take(a, "1") == "1"
    assert await notes.take(a, "2") == "1"
    assert await notes.take(a, "3", instead_of="2") == "1"
    assert await notes.take(a, "2", instead_of="1") == "2"
    assert await notes.take(b, "1") == "1"
    assert await notes.take(a, "3") == "2"
    assert await notes.take(c, "1") == "1"
    assert await notes.take(a, "9") == "9"
    assert await notes.take(a._replace(live=False), "1") == "1"
