"""The same order at the same time is one request; another order with its reference is refused."""

import asyncio
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from paymux import (
    DuplicateReference,
    NotSent,
    OutcomeUnknown,
    Payment,
    Pool,
    Rejected,
    SqliteJournal,
    Status,
    UsageError,
)
from paymux.http import PreparedRequest, Response, TransportError

from .toys import Desk, Keyless, Toy, Wire, answer, now, timeless

ORDER: dict[str, Any] = {
    "amount": 500,
    "currency": "XAF",
    "reference": "order-1",
    "payer": "237670000000",
}


def _slow(*replies: Response | Exception) -> Wire:
    """Return a wire that sends a request after a second and answers a second later."""
    return Wire(
        Desk(collect=list(replies), payout=list(replies), refund=list(replies)),
        before=1.0,
        after=1.0,
    )


@timeless
async def test_the_same_order_twice_at_once_is_one_request() -> None:
    """Two concurrent calls for one order share one request and its payment."""
    wire = _slow(answer(id="p1", status="WAIT"))
    async with Pool(Keyless(), connection=wire) as pool:
        one, two = await asyncio.gather(
            pool.collect("keyless", **ORDER), pool.collect("keyless", **ORDER)
        )
    assert one == two
    assert one.provider_reference == "p1"
    assert len(wire.seen) == 1


@timeless
async def test_an_amount_written_differently_is_the_same_order() -> None:
    """500, "500" and Decimal("500.00") under one reference are one order."""
    wire = _slow(answer(id="p1", status="WAIT"))
    async with Pool(Keyless(), connection=wire) as pool:
        amounts = (500, "500", Decimal("500.00"))
        await asyncio.gather(
            *(pool.collect("keyless", **{**ORDER, "amount": amount}) for amount in amounts)
        )
    assert len(wire.seen) == 1


@pytest.mark.parametrize(
    "change",
    [{"amount": 501}, {"currency": "KES"}, {"payer": "237690000000"}, {"description": "more"}],
)
@timeless
async def test_another_order_under_a_reference_in_flight_is_refused(change: dict[str, Any]) -> None:
    """A reference in flight with another order is DuplicateReference, and nothing more is sent."""
    wire = _slow(answer(id="p1", status="WAIT"))
    async with Pool(Keyless(), connection=wire) as pool:
        first = asyncio.create_task(pool.collect("keyless", **ORDER))
        await asyncio.sleep(0.5)
        with pytest.raises(DuplicateReference) as caught:
            await pool.collect("keyless", **{**ORDER, **change})
        assert (caught.value.account, caught.value.reference) == ("keyless", "order-1")
        assert (await first).status is Status.PENDING
    assert len(wire.seen) == 1


@timeless
async def test_refunds_of_two_payments_are_two_orders() -> None:
    """A refund of another payment with a reference in flight is DuplicateReference."""
    wire = _slow(answer(id="back-1", status="WAIT"))
    async with Pool(Keyless(), connection=wire) as pool:
        paid = [
            Payment(account="keyless", provider_reference=id, amount=Decimal(500), currency="XAF")
            for id in ("p1", "p2")
        ]
        first = asyncio.create_task(pool.refund(paid[0], amount=500, reference="back"))
        await asyncio.sleep(0.5)
        with pytest.raises(DuplicateReference):
            await pool.refund(paid[1], amount=500, reference="back")
        await first


@timeless
async def test_refunds_of_two_receipts_are_two_orders() -> None:
    """A payment may be known by its receipt alone; the second refund is not told as the first."""
    wire = _slow(answer(id="back-1", status="WAIT"))
    paid = Payment(account="keyless", receipt="R1", amount=Decimal(500), currency="XAF")
    async with Pool(Keyless(), connection=wire) as pool:
        await pool.refund(paid, amount=500, reference="back")
        assert (await pool.refund(paid, amount=500, reference="back")).reference == "back"
        with pytest.raises(DuplicateReference):
            await pool.refund(replace(paid, receipt="R2"), amount=500, reference="back")
    assert len(wire.seen) == 1


@timeless
@pytest.mark.parametrize("live", [True, False])
async def test_a_refund_keeps_to_the_mode_of_its_payment(live: bool) -> None:
    """A sandbox's payment is not refunded with live money, nor a live one in the sandbox."""
    wire = _slow(answer(id="back-1", status="WAIT"))
    paid = Payment(
        account="keyless",
        provider_reference="p1",
        amount=Decimal(500),
        currency="XAF",
        live=not live,
    )
    async with Pool(Keyless(live=live), connection=wire) as pool:
        with pytest.raises(UsageError, match=r"payment\.live"):
            await pool.refund(paid, amount=500, reference="back")
    assert wire.seen == []


@timeless
async def test_kinds_and_accounts_have_references_of_their_own() -> None:
    """A collect, a payout and another account's collect may share a reference."""
    wire = _slow(answer(id="p1", status="WAIT"))
    async with Pool(Keyless(account="a"), Keyless(account="b"), connection=wire) as pool:
        payout = {"payee" if name == "payer" else name: value for name, value in ORDER.items()}
        await asyncio.gather(
            pool.collect("a", **ORDER), pool.collect("b", **ORDER), pool.payout("a", **payout)
        )
    assert len(wire.seen) == 3


@timeless
async def test_a_leader_cancelled_before_sending_is_succeeded_by_its_joiner() -> None:
    """If the first caller is cancelled before sending, one of the others sends."""
    wire = _slow(answer(id="p1", status="WAIT"))
    async with Pool(Keyless(), connection=wire) as pool:
        leader = asyncio.create_task(pool.collect("keyless", **ORDER))
        joiners = [asyncio.create_task(pool.collect("keyless", **ORDER)) for _ in range(3)]
        await asyncio.sleep(0.5)
        leader.cancel()
        payments = await asyncio.gather(*joiners)
    assert leader.cancelled()
    assert {payment.provider_reference for payment in payments} == {"p1"}
    assert len(wire.seen) == 1


@timeless
async def test_a_leader_cancelled_after_sending_leaves_its_joiner_in_doubt() -> None:
    """If the first caller is cancelled after sending, the others get OutcomeUnknown."""
    wire = _slow(answer(id="p1", status="WAIT"))
    async with Pool(Keyless(), connection=wire) as pool:
        leader = asyncio.create_task(pool.collect("keyless", **ORDER))
        joiner = asyncio.create_task(pool.collect("keyless", **ORDER))
        await asyncio.sleep(1.5)
        leader.cancel()
        with pytest.raises(OutcomeUnknown) as caught:
            await joiner
    assert leader.cancelled()
    assert caught.value.payment.reference == "order-1"
    assert caught.value.payment.status is Status.PENDING
    assert len(wire.seen) == 1


@timeless
async def test_a_cancelled_joiner_cancels_nobody() -> None:
    """Cancelling a caller that joined leaves the request and the others alone."""
    wire = _slow(answer(id="p1", status="WAIT"))
    async with Pool(Keyless(), connection=wire) as pool:
        leader, joiner, other = (
            asyncio.create_task(pool.collect("keyless", **ORDER)) for _ in range(3)
        )
        await asyncio.sleep(0.5)
        joiner.cancel()
        assert (await leader) == (await other)
    assert joiner.cancelled()


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        (answer(400, error="no"), Rejected),
        (answer(500), OutcomeUnknown),
        (TransportError("reset"), OutcomeUnknown),
        (answer(409, error="duplicate"), OutcomeUnknown),
    ],
)
@timeless
async def test_an_error_is_shared(reply: Response | Exception, error: type[Exception]) -> None:
    """Each caller gets the same kind of error, and does not send the order again."""
    wire = _slow(reply)
    async with Pool(Keyless(), connection=wire) as pool:
        found = await asyncio.gather(
            *(pool.collect("keyless", **ORDER) for _ in range(3)), return_exceptions=True
        )
    assert [type(one) for one in found] == [error] * 3
    assert len({id(one) for one in found}) == 3, "a shared one would collect everybody's traceback"
    assert len(wire.seen) == 1


class Mistaken(SqliteJournal):
    """A custom journal whose `record` raises an error that no journal may raise."""

    mistake: BaseException

    async def open(self) -> None:
        """Open nothing."""

    async def intend(self, *_: object) -> None:
        """Allow the order, a second later."""
        await asyncio.sleep(1)

    async def mark_sending(self, *_: object) -> None:
        """Allow the request."""

    async def record(self, *_: object) -> None:
        """Raise the error."""
        raise self.mistake


async def _mistaken(folder: Path, mistake: BaseException) -> tuple[list[Any], Wire]:
    """Make two concurrent calls with such a journal."""
    journal = Mistaken(folder / "payments.db")
    journal.mistake = mistake
    wire = Wire(Desk(collect=[answer(id="p1", status="WAIT")]))
    async with Pool(Keyless(), connection=wire, journal=journal) as pool:
        asked = (pool.collect("keyless", **ORDER) for _ in range(2))
        return await asyncio.gather(*asked, return_exceptions=True), wire


@timeless
async def test_no_mistake_of_a_journal_hides_how_money_ended(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """All callers get the provider's answer, and an ERROR says that it was not stored."""
    (leader, joiner), wire = await _mistaken(tmp_path, ValueError("a mistake"))
    assert leader == joiner
    assert leader.provider_reference == "p1"
    assert "order-1 could not be recorded: a mistake" in caplog.text
    assert len(wire.seen) == 1


@timeless
async def test_a_leader_that_breaks_after_sending_leaves_its_joiner_in_doubt(
    tmp_path: Path,
) -> None:
    """After any error of the first caller once it has sent, no other caller sends."""

    class Killed(BaseException):
        pass

    (leader, joiner), wire = await _mistaken(tmp_path, Killed())
    assert isinstance(leader, Killed)
    assert isinstance(joiner, OutcomeUnknown)
    assert joiner.payment.reference == "order-1"
    assert len(wire.seen) == 1


@timeless
async def test_a_joiner_has_a_deadline_of_its_own() -> None:
    """A caller that joined waits until its own deadline at most, then OutcomeUnknown."""
    wire = Wire(lambda _: answer(id="p1", status="WAIT"), after=20.0)
    async with Pool(Keyless(), connection=wire) as pool:
        leader = asyncio.create_task(pool.collect("keyless", **ORDER))
        await asyncio.sleep(1)
        with pytest.raises((OutcomeUnknown, NotSent)) as caught:
            await pool.collect("keyless", **ORDER, deadline=5)
        assert now() == pytest.approx(6, abs=0.01)
        assert isinstance(caught.value, OutcomeUnknown)
        await leader


@timeless
async def test_a_joiner_that_takes_over_keeps_its_own_deadline() -> None:
    """A caller that takes a request over gets no new deadline."""
    hanging: asyncio.Future[Response] = asyncio.get_running_loop().create_future()

    async def respond(_: PreparedRequest) -> Response:
        return await hanging

    wire = Wire(respond, before=3.0)
    async with Pool(Keyless(), connection=wire) as pool:
        leader = asyncio.create_task(pool.collect("keyless", **ORDER, deadline=60))
        joiner = asyncio.create_task(pool.collect("keyless", **ORDER, deadline=10))
        await asyncio.sleep(2)
        leader.cancel()
        with pytest.raises(OutcomeUnknown):
            await joiner
        assert now() == pytest.approx(10, abs=0.01)


@timeless
async def test_a_stale_token_does_not_let_a_joiner_send_twice() -> None:
    """An order repeated after a renewed token is still one order for all callers."""
    wire = _slow(answer(401, error="stale"), answer(id="p1", status="WAIT"))
    async with Pool(Toy(), connection=wire) as pool:
        found = await asyncio.gather(*(pool.collect("toy", **ORDER) for _ in range(5)))
    assert {payment.provider_reference for payment in found} == {"p1"}
    assert len(wire.paths("/collect")) == 2
