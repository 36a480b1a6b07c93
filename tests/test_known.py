"""An order of two steps: what the first told is kept before the second leaves."""

import asyncio
import contextlib
import json
import sqlite3
from pathlib import Path
from typing import Any, Literal

import msgspec
import pytest

from paymux import (
    DuplicateReference,
    NotSent,
    OutcomeUnknown,
    Payment,
    Pool,
    Status,
    UsageError,
    get,
    post,
)
from paymux.http import PreparedRequest, Response, Send, TransportError
from paymux.journal.sqlite import SqliteJournal
from paymux.models import Order

from .toys import Desk, Keyless, Said, Wire, answer, timeless

TOKEN = {"provider_reference": "t-1", "invoice": "i-1"}
WAGE: dict[str, Any] = {
    "amount": 500,
    "currency": "XAF",
    "payee": "237670000000",
    "reference": "wage-7",
}


class Steps(Keyless, frozen=True, kw_only=True):
    """A toy whose payout has two steps: the first gives a token, the second pays it out."""

    name = "steps"
    first: Literal["money", "look-up"] = "look-up"

    async def payout(self, send: Send, order: Order) -> Payment:
        """Pay out in two steps."""
        await send(post("/invoice", Said, {}, money=self.first == "money"))
        said = await send(post("/submit", Said, {"token": "t-1"}, known=TOKEN))
        paid = self.payment(said, "payout")
        return msgspec.structs.replace(paid, provider_reference="t-1")


FIRSTS = pytest.mark.parametrize("first", ["money", "look-up"])


def _lost() -> Wire:
    """Return a connection that loses the answer to the second step."""
    return Wire(
        Desk(
            invoice=answer(id="t-1"),
            submit=[TransportError("cut off")],
            payments=answer(id="t-1", status="OK", kind="payout", reference="wage-7"),
        )
    )


def _rows(file: Path, sql: str) -> list[dict[str, Any]]:
    with contextlib.closing(sqlite3.connect(file)) as db:
        db.row_factory = sqlite3.Row
        return [dict(one) for one in db.execute(sql)]


@FIRSTS
@timeless
async def test_a_lost_second_answer_leaves_the_ids_of_the_first(
    first: Literal["money", "look-up"],
) -> None:
    """OutcomeUnknown has the token and the ids, and so has the memory of the pool."""
    async with Pool(Steps(first=first), connection=_lost()) as pool:
        with pytest.raises(OutcomeUnknown) as caught:
            await pool.payout("steps", **WAGE)
        lost = caught.value.payment
        assert (lost.provider_reference, lost.ids, lost.status) == (
            "t-1",
            {"invoice": "i-1"},
            Status.PENDING,
        )
        with pytest.raises(OutcomeUnknown, match="sent before") as again:
            await pool.payout("steps", **WAGE)
        assert (again.value.payment.provider_reference, again.value.payment.ids) == (
            "t-1",
            {"invoice": "i-1"},
        )
        with pytest.raises(DuplicateReference):
            await pool.payout("steps", **{**WAGE, "amount": 600})
        assert (await pool.watch(lost)).status is Status.SUCCEEDED


@timeless
async def test_a_first_step_that_fails_proves_that_no_money_left() -> None:
    """It is NotSent, as a program that pays out expects, and the payout may be asked for again."""
    lost: list[Response | Exception] = [TransportError("cut off")] * 9
    wire = Wire(Desk(invoice=lost, submit=answer(id="t-1", status="WAIT")))
    async with Pool(Steps(), connection=wire) as pool:
        with pytest.raises(NotSent):
            await pool.payout("steps", **WAGE)
    assert not any(one.url.endswith("/submit") for one in wire.seen)


@FIRSTS
async def test_the_journal_has_the_ids_before_the_second_step_leaves(
    tmp_path: Path, first: Literal["money", "look-up"]
) -> None:
    """When the second request is on the wire, the row has the ids, in one write more."""
    file, seen = tmp_path / "pay.db", []

    def respond(outgoing: PreparedRequest) -> Response:
        if outgoing.url.endswith("/submit"):
            (row,) = _rows(file, "SELECT * FROM payments")
            seen.append((row["state"], row["provider_reference"]))
            assert json.loads(row["payment"])["ids"] == {"invoice": "i-1"}
        return answer(id="t-1", status="WAIT")

    async with Pool(Steps(first=first), connection=Wire(respond), journal=file) as pool:
        paid = await pool.payout("steps", **WAGE)
    assert seen == [("sending", "t-1")]
    assert (paid.provider_reference, paid.ids) == ("t-1", {"invoice": "i-1"})
    sources = [one["source"] for one in _rows(file, "SELECT * FROM facts ORDER BY id")]
    assert sources == ["intent", "sending", "sending", "answer"]


@pytest.mark.parametrize("known", [None, {}])
async def test_an_order_of_one_step_writes_no_more_than_before(
    tmp_path: Path, known: dict[str, str] | None
) -> None:
    """Without `known`, the journal has the three facts of an order."""

    class One(Keyless, frozen=True, kw_only=True):
        """A toy of one step."""

        name = "one"

        async def payout(self, send: Send, order: Order) -> Payment:
            """Pay out in one step."""
            return self.payment(await send(post("/submit", Said, {}, known=known)), "payout")

    file = tmp_path / "pay.db"
    async with Pool(One(), connection=Wire(Desk(submit=answer(id="p"))), journal=file) as pool:
        await pool.payout("one", **WAGE)
    assert [one["source"] for one in _rows(file, "SELECT * FROM facts ORDER BY id")] == [
        "intent",
        "sending",
        "answer",
    ]


@FIRSTS
async def test_recover_asks_by_the_ids_of_the_first_step(
    tmp_path: Path, first: Literal["money", "look-up"]
) -> None:
    """After a lost second answer, another process ends the payout by its token."""
    file = tmp_path / "pay.db"
    async with Pool(Steps(first=first), connection=_lost(), journal=file) as pool:
        with pytest.raises(OutcomeUnknown):
            await pool.payout("steps", **WAGE)
    async with Pool(Steps(first=first), connection=(wire := _lost()), journal=file) as pool:
        (found,) = [one async for one in pool.recover()]
        assert (found.resolved, found.payment.status) == (True, Status.SUCCEEDED)
        assert found.payment.provider_reference == "t-1"
    assert [one.url.rsplit("/", 1)[1] for one in wire.seen] == ["t-1"]


async def test_a_crash_between_the_steps_leaves_the_ids(tmp_path: Path) -> None:
    """A process that dies while the second request is on its way is recovered by its token."""
    file, never = tmp_path / "pay.db", asyncio.Event()

    async def respond(outgoing: PreparedRequest) -> Response:
        if outgoing.url.endswith("/submit"):
            never.set()
            await asyncio.sleep(3600)
        return answer(id="t-1")

    journal = SqliteJournal(file)
    pool = Pool(Steps(), connection=Wire(respond), journal=journal)
    await pool.__aenter__()
    paying = asyncio.create_task(pool.payout("steps", **WAGE))
    await never.wait()
    copy = tmp_path / "copy.db"  # the file as it is at that moment, with no live worker
    with (
        contextlib.closing(sqlite3.connect(file)) as mine,
        contextlib.closing(sqlite3.connect(copy)) as theirs,
    ):
        mine.backup(theirs)
    async with Pool(Steps(), connection=_lost(), journal=copy) as other:
        (found,) = [one async for one in other.recover()]
        assert (found.was, found.payment.provider_reference) == ("sending", "t-1")
        assert found.payment.status is Status.SUCCEEDED
    paying.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await paying
    await pool.aclose()


async def test_ids_that_cannot_be_kept_stop_the_second_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the disk refuses them, the second request is not sent, and the reference is free."""
    file = tmp_path / "pay.db"
    journal = SqliteJournal(file)
    record = journal.record

    async def full(payment: Payment, source: str, *more: Any) -> None:
        if source == "sending":
            raise OSError("the disk is full")
        await record(payment, source, *more)

    monkeypatch.setattr(journal, "record", full)
    wire = Wire(Desk(invoice=answer(id="t-1"), submit=answer(id="t-1")))
    async with Pool(Steps(), connection=wire, journal=journal) as pool:
        with pytest.raises(NotSent, match="disk is full"):
            await pool.payout("steps", **WAGE)
        assert [one.url.rsplit("/", 1)[1] for one in wire.seen] == ["invoice"]
        monkeypatch.setattr(journal, "record", record)
        assert (await pool.payout("steps", **WAGE)).provider_reference == "t-1"


async def test_money_that_left_before_is_unknown_if_the_ids_cannot_be_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first step may have moved money: then it is not NotSent, and not sent again."""
    journal = SqliteJournal(tmp_path / "pay.db")
    record = journal.record

    async def full(payment: Payment, source: str, *more: Any) -> None:
        if source == "sending":
            raise OSError("the disk is full")
        await record(payment, source, *more)

    monkeypatch.setattr(journal, "record", full)
    wire = Wire(Desk(invoice=answer(id="t-1"), submit=answer(id="t-1")))
    async with Pool(Steps(first="money"), connection=wire, journal=journal) as pool:
        with pytest.raises(OutcomeUnknown) as caught:
            await pool.payout("steps", **WAGE)
        assert caught.value.payment.provider_reference == "t-1"
    assert [one.url.rsplit("/", 1)[1] for one in wire.seen] == ["invoice"]


@pytest.mark.parametrize(
    ("known", "name"),
    [
        ({"amount": "500"}, "known"),
        ({"account": "another"}, "known"),
        ({"status": "succeeded"}, "known"),
        ({"reference": "another"}, "known"),
        ({"provider_reference": ""}, "known.provider_reference"),
        ({"provider_reference": 5}, "known"),
        ("t-1", "known"),
    ],
)
def test_known_takes_ids_only(known: Any, name: str) -> None:
    """A mistake in `known` names it, before anything is sent."""
    with pytest.raises(UsageError) as caught:
        post("/submit", Said, {}, known=known)
    assert caught.value.name == name


def test_a_look_up_knows_nothing() -> None:
    """`known` is of a request that moves money: anything else is UsageError."""
    with pytest.raises(UsageError, match="moves no money"):
        post("/submit", Said, {}, money=False, known=TOKEN)
    assert get("/payments/1", Said).known is None


@timeless
async def test_a_request_of_the_callers_own_keeps_nothing() -> None:
    """`send` has no order, so `known` is of no use there, and does no harm."""
    wire = Wire(Desk(submit=answer(id="t-1")))
    async with Pool(Keyless(), connection=wire) as pool:
        assert (await pool.send("keyless", post("/submit", Said, {}, known=TOKEN))).id == "t-1"
