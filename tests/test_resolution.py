"""A person's decision ends what no API ends, after a look-up, and never against a known end."""

import contextlib
import random
import sqlite3
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from paymux import (
    AuthenticationFailed,
    DuplicateReference,
    Mismatch,
    Mpesa,
    OutcomeUnknown,
    Payment,
    Pool,
    RateLimited,
    Reason,
    Rejected,
    Status,
    Unavailable,
    UsageError,
)
from paymux.http import Response, TransportError
from paymux.journal.base import State
from paymux.journal.sqlite import SqliteJournal
from paymux.models import Event
from paymux.simulator import Simulator

from .campaigns.simulation import LoopJournal
from .toys import BASE, KEY, Desk, Findable, Keyless, Toy, Wire, answer, push, timeless

ENDS = [Status.SUCCEEDED, Status.FAILED, Status.CANCELLED, Status.EXPIRED]
ORDER: dict[str, Any] = {"amount": 500, "currency": "XAF", "reference": "order-1"}
LOST = TransportError("reset")
WHY = "the statement of 30 November lists it"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return the path of the journal."""
    return tmp_path / "payments.db"


def _pool(file: Path, wire: Wire, driver: Toy | None = None) -> Pool:
    journal = LoopJournal(file, random.Random(1))
    return Pool(
        driver or Keyless(), connection=wire, journal=journal, webhook_base=BASE, webhook_key=KEY
    )


def _read(file: Path, sql: str) -> list[tuple[Any, ...]]:
    with contextlib.closing(sqlite3.connect(file)) as db:
        return db.execute(sql).fetchall()


async def _lost(pay: Pool) -> Payment:
    (account,) = pay.drivers
    with pytest.raises(OutcomeUnknown) as caught:
        await pay.collect(account, **ORDER)
    return caught.value.payment


def _age(file: Path, seconds: float) -> None:
    """Make the only order `seconds` seconds old."""
    began = (datetime.now(UTC) - timedelta(seconds=seconds)).isoformat().replace("+00:00", "Z")
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as db:
        db.execute("UPDATE payments SET payment = json_set(payment, '$.created_at', ?)", (began,))


@pytest.mark.parametrize("status", ENDS)
@timeless
async def test_an_unknown_without_a_look_up_is_ended(file: Path, status: Status) -> None:
    """Each of the four ends is stored as a fact of source `person`, with reason and name."""
    wire = Wire(Desk(collect=[LOST]))
    async with _pool(file, wire) as pay:
        lost = await _lost(pay)
        done = await pay.resolve(lost, status, because=WHY, receipt="SKE52PAWR9", by="Amina")
        assert (done.status, done.receipt, done.reference) == (status, "SKE52PAWR9", "order-1")
        assert (done.amount, done.currency) == (Decimal(500), "XAF")
        assert (done.reason is None) is (status is Status.SUCCEEDED)
        assert [one.status async for one in pay.payments()] == [status]
        assert [one async for one in pay.recover()] == []
    told = _read(file, "SELECT source, state, status, because, person FROM facts ORDER BY id")
    assert told[-1] == ("person", "accepted", status, WHY, "Amina")
    assert all(line[3] is line[4] is None for line in told[:-1])


@pytest.mark.parametrize("status", ENDS)
@timeless
async def test_a_persons_word_never_frees_the_reference(file: Path, status: Status) -> None:
    """Then the same order returns that payment, another one is refused, and nothing is sent."""
    wire = Wire(Desk(collect=[LOST]))
    async with _pool(file, wire) as pay:
        await pay.resolve(await _lost(pay), status, because=WHY)
    async with _pool(file, wire) as pay:
        assert (await pay.collect("keyless", **ORDER)).status is status
        with pytest.raises(DuplicateReference):
            await pay.collect("keyless", **{**ORDER, "amount": 501})
    assert len(wire.paths("/collect")) == 1


@timeless
async def test_a_young_pending_payment_is_left_to_its_payer(file: Path) -> None:
    """A pending payment is a person's only beyond the time-out, after a look-up."""
    wire = Wire(
        Desk(collect=answer(id="id-1", status="WAIT"), payments=answer(id="id-1", status="WAIT"))
    )
    async with _pool(file, wire) as pay:
        held = await pay.collect("keyless", **ORDER)
        with pytest.raises(UsageError, match="may still end by itself"):
            await pay.resolve(held, Status.FAILED, because=WHY)
        assert wire.paths("/payments") == []
        _age(file, Keyless.watch_timeout + 1)
        old = replace(held, created_at=None)
        assert (await pay.resolve(old, Status.FAILED, because=WHY)).status is Status.FAILED
        assert len(wire.paths("/payments")) == 1
        assert (await pay.verify(held)).status is Status.PENDING


@pytest.mark.parametrize("found", ["OK", "NO"])
@timeless
async def test_what_the_provider_says_when_asked_is_what_counts(file: Path, found: str) -> None:
    """An end found by the look-up is kept; an equal decision returns it, any other is Mismatch."""
    wire = Wire(Desk(collect=[LOST], find=answer(id="id-1", status=found, reference="order-1")))
    end = Status.SUCCEEDED if found == "OK" else Status.FAILED
    async with _pool(file, wire, Findable()) as pay:
        lost = await _lost(pay)
        with pytest.raises(Mismatch, match="asked just now") as caught:
            await pay.resolve(lost, Status.CANCELLED, because=WHY)
        assert caught.value.payment is not None
        assert (caught.value.payment.status, caught.value.fields) == (end, ("status",))
        assert (await pay.resolve(lost, end, because=WHY)).status is end
        other = Status.FAILED if end is Status.SUCCEEDED else Status.SUCCEEDED
        with pytest.raises(UsageError, match=f"{end} already"):
            await pay.resolve(lost, other, because=WHY)
    assert [one for (one,) in _read(file, "SELECT source FROM facts")].count("person") == 0


@timeless
async def test_a_lookup_that_agrees_needs_no_word(file: Path) -> None:
    """If the provider reports the same end, no fact of a person is stored."""
    wire = Wire(Desk(collect=[LOST], find=answer(id="id-1", status="OK", reference="order-1")))
    async with _pool(file, wire, Findable()) as pay:
        done = await pay.resolve(await _lost(pay), Status.SUCCEEDED, because=WHY)
    assert (done.status, done.provider_reference) == (Status.SUCCEEDED, "id-1")
    assert [one for (one,) in _read(file, "SELECT source FROM facts")].count("person") == 0


@pytest.mark.parametrize("reply", [answer(503), answer(401), answer(429)])
@timeless
async def test_who_cannot_be_reached_now_is_asked_later(file: Path, reply: Response) -> None:
    """A failed look-up ends nothing: its error is raised, and the row stays open."""
    wire = Wire(Desk(collect=[LOST], find=reply))
    async with _pool(file, wire, Findable()) as pay:
        lost = await _lost(pay)
        with pytest.raises((Unavailable, AuthenticationFailed, RateLimited)):
            await pay.resolve(lost, Status.FAILED, because=WHY)
    assert _read(file, "SELECT state, status FROM payments") == [("unknown", "pending")]


@timeless
async def test_a_provider_that_knows_nothing_was_asked(file: Path) -> None:
    """If the provider knows no such payment, a person may decide."""
    wire = Wire(Desk(collect=[LOST], find=answer(404)))
    async with _pool(file, wire, Findable()) as pay:
        done = await pay.resolve(await _lost(pay), Status.FAILED, because=WHY)
    assert done.status is Status.FAILED
    assert wire.paths("/find") != []


@pytest.mark.parametrize(("found", "said"), [("OK", Status.SUCCEEDED), ("NO", Status.FAILED)])
@timeless
async def test_an_answer_that_contradicts_the_order_is_a_persons_to_judge(
    file: Path, found: str, said: Status
) -> None:
    """An answer of another amount allows a decision, but after a success only a success."""
    wire = Wire(Desk(collect=[LOST], find=answer(id="id-1", status=found, amount=7)))
    async with _pool(file, wire, Findable()) as pay:
        lost = await _lost(pay)
        if found == "OK":
            with pytest.raises(Mismatch):
                await pay.resolve(lost, Status.FAILED, because=WHY)
        assert (await pay.resolve(lost, said, because=WHY)).status is said


@timeless
async def test_a_message_that_came_is_asked_about_first(file: Path) -> None:
    """A lost order that a message names is looked up by that message's id first."""
    paid = answer(id="id-1", status="OK", amount=500, currency="XAF")
    wire = Wire(Desk(collect=[LOST], payments=[answer(503), answer(503), answer(503), paid]))
    async with _pool(file, wire) as pay:
        lost = await _lost(pay)
        event = pay.webhook(
            push(path=pay.webhook_url("keyless", "order-1"), id="id-1", status="OK")
        )
        with pytest.raises(Unavailable):
            await pay.confirm(event)
        with pytest.raises(Mismatch, match="succeeded"):
            await pay.resolve(lost, Status.FAILED, because=WHY)
    assert _read(file, "SELECT status FROM payments") == [("succeeded",)]


@timeless
async def test_a_success_that_comes_later_is_late_money(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """After a person said "failed", the provider's success is applied and logged."""
    paid = answer(id="id-1", status="OK", amount=500, currency="XAF")
    async with _pool(file, Wire(Desk(collect=[LOST], payments=paid))) as pay:
        await pay.resolve(await _lost(pay), Status.FAILED, because=WHY)
        event = pay.webhook(
            push(path=pay.webhook_url("keyless", "order-1"), id="id-1", status="OK")
        )
        late = await pay.confirm(event)
    assert (late.status, late.reason) == (Status.SUCCEEDED, None)
    assert "succeeded late" in caplog.text
    assert _read(file, "SELECT status FROM payments") == [("succeeded",)]


@timeless
async def test_a_failure_that_comes_after_a_success_is_a_mismatch(file: Path) -> None:
    """After a person said "succeeded", the provider's failure is a Mismatch."""
    async with _pool(
        file, Wire(Desk(collect=[LOST], payments=answer(id="id-1", status="NO")))
    ) as pay:
        await pay.resolve(await _lost(pay), Status.SUCCEEDED, because=WHY)
        event = pay.webhook(
            push(path=pay.webhook_url("keyless", "order-1"), id="id-1", status="NO")
        )
        with pytest.raises(Mismatch):
            await pay.confirm(event)
    assert _read(file, "SELECT status FROM payments") == [("succeeded",)]


@timeless
async def test_what_moved_no_money_is_not_ended(file: Path) -> None:
    """A refused order's reference is free, and stays free."""
    wire = Wire(Desk(collect=[answer(400, error="no"), answer(id="id-2", status="WAIT")]))
    async with _pool(file, wire) as pay:
        with pytest.raises(Rejected):
            await pay.collect("keyless", **ORDER)
        held = Payment(account="keyless", reference="order-1")
        with pytest.raises(UsageError, match="moved no money"):
            await pay.resolve(held, Status.SUCCEEDED, because=WHY)
        assert (await pay.collect("keyless", **ORDER)).provider_reference == "id-2"


async def _at(file: Path, state: State) -> SqliteJournal:
    """Leave an order of a live worker in this state, and return its journal."""
    book = LoopJournal(file, random.Random(1))
    held = Payment(
        account="keyless", kind="collect", reference="order-1", created_at=datetime.now(UTC)
    )
    await book.intend(held, "digest")
    if state is State.SENDING:
        await book.mark_sending(held)
    return book


@timeless
async def test_what_a_living_worker_sends_is_its_own(file: Path) -> None:
    """A row that was being sent may be ended once its worker died; an unsent one never."""
    held = Payment(account="keyless", reference="order-1")
    book = await _at(file, State.INTENT)
    async with _pool(file, Wire(Desk())) as pay:
        with pytest.raises(UsageError, match="was not sent yet"):
            await pay.resolve(held, Status.FAILED, because=WHY)
        await book.mark_sending(replace(held, kind="collect"))
        with pytest.raises(UsageError, match="being sent"):
            await pay.resolve(held, Status.FAILED, because=WHY)
        await book.aclose()
        assert (await pay.resolve(held, Status.FAILED, because=WHY)).status is Status.FAILED


@timeless
async def test_an_end_that_comes_meanwhile_is_not_overwritten(file: Path) -> None:
    """If the payment ends during the look-up, the write itself refuses the decision."""
    other = LoopJournal(file, random.Random(2))
    held = Payment(account="findable", kind="collect", reference="order-1", status=Status.SUCCEEDED)

    async def slow(_: object) -> Response:
        await other.record(held, "webhook")
        return answer(404)

    desk = Desk(collect=[LOST])
    wire = Wire(lambda outgoing: slow(outgoing) if "/find" in outgoing.url else desk(outgoing))
    async with _pool(file, wire, Findable()) as pay:
        lost = await _lost(pay)
        with pytest.raises(UsageError, match="succeeded already"):
            await pay.resolve(lost, Status.FAILED, because=WHY)
    await other.aclose()
    assert _read(file, "SELECT status FROM payments") == [("succeeded",)]


@timeless
async def test_an_open_watch_hears_a_persons_word(file: Path) -> None:
    """An open watch of the payment yields the decision's end."""
    async with _pool(file, Wire(Desk(collect=[LOST]))) as pay:
        lost = await _lost(pay)
        async with pay.watch(lost, timeout=60) as watch:
            seen = [(await anext(watch)).status]
            await pay.resolve(lost, Status.EXPIRED, because=WHY)
            seen += [one.status async for one in watch]
    assert seen == [Status.PENDING, Status.EXPIRED]


@pytest.mark.parametrize(
    ("field", "change"),
    [
        ("status", {"status": Status.PENDING}),
        ("status", {"status": Status.REFUNDED}),
        ("status", {"status": "paid"}),
        ("status", {"status": None}),
        ("status", {"status": {}}),
        ("because", {"because": ""}),
        ("because", {"because": "  "}),
        ("because", {"because": "a\nb"}),
        ("because", {"because": None}),
        ("because", {"because": "x" * 501}),
        ("because", {"because": "\ud800"}),
        ("receipt", {"receipt": 5}),
        ("receipt", {"receipt": ""}),
        ("by", {"by": b"me"}),
        ("payment", {"payment": None}),
        ("payment", {"payment": "order-1"}),
        ("reference", {"payment": Payment(account="keyless")}),
        ("payment.reference", {"payment": Payment(account="keyless", reference=5)}),  # type: ignore[arg-type]
        ("payment.kind", {"payment": Payment(account="keyless", reference="order-1", kind=[])}),  # type: ignore[arg-type]
        ("payment", {"payment": Payment(account="keyless", reference="order-2")}),
        ("payment", {"payment": Payment(account="keyless", reference="order-1", kind="payout")}),
        ("account", {"payment": Payment(account="elsewhere", reference="order-1")}),
    ],
)
@timeless
async def test_a_word_that_cannot_be_kept_is_refused(
    file: Path, field: str, change: dict[str, Any]
) -> None:
    """Only the four ends, with a reason, for an order of this journal; errors name the field."""
    async with _pool(file, Wire(Desk(collect=[LOST]))) as pay:
        given = {"payment": await _lost(pay), "status": Status.FAILED, "because": WHY, **change}
        with pytest.raises(UsageError, match=f"^{field}:"):
            await pay.resolve(given.pop("payment"), given.pop("status"), **given)
    assert _read(file, "SELECT status FROM payments") == [("pending",)]


@timeless
async def test_without_a_journal_there_is_nothing_to_write_in() -> None:
    """A pool without a journal has no decisions."""
    async with Pool(Toy(), connection=Wire(Desk())) as pay:
        with pytest.raises(UsageError, match="journal"):
            await pay.resolve(
                Payment(account="toy", reference="order-1"), Status.FAILED, because=WHY
            )


@pytest.mark.parametrize("code", ["1025", "17", "26", "9999"])
@timeless
async def test_mpesas_endless_codes_are_ended_by_a_person(file: Path, code: str) -> None:
    """M-Pesa's endless, unproved answer keeps its code and gets an end."""
    sim = Simulator()
    journal = LoopJournal(file, random.Random(1))
    hooks: dict[str, Any] = {"webhook_base": BASE, "webhook_key": KEY}
    async with Pool(
        sim.driver("mpesa"), connection=sim.connection, journal=journal, **hooks
    ) as pay:
        held = await pay.collect(
            "mpesa", amount=5, currency="KES", payer="254708374149", reference="order-1"
        )
        sim.settle("order-1", Status.FAILED, code=code)
        assert (await pay.verify(held)).status is Status.PENDING
        _age(file, Mpesa.watch_timeout + 1)
        done = await pay.resolve(replace(held, created_at=None), Status.FAILED, because=WHY)
    assert (done.status, done.provider_status, done.reason) == (Status.FAILED, code, Reason.OTHER)


def test_a_message_has_a_kind() -> None:
    """A callback path means a collect; otherwise the message's kind, or a collect."""
    claims = Payment(account="toy", kind="payout")
    assert Event(claims=claims).kind == "payout"
    assert Event(claims=claims, path_reference="order-1").kind == "collect"
    assert Event(claims=replace(claims, kind=None)).kind == "collect"
