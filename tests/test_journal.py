"""The journal: what it stores, when, and what is refused when it cannot be written."""

import asyncio
import contextlib
import csv
import io
import itertools
import json
import logging
import sqlite3
import subprocess
import sys
import textwrap
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from paymux import (
    CamPay,
    DuplicateReference,
    Mismatch,
    NotSent,
    OutcomeUnknown,
    Payment,
    PaymuxError,
    Pool,
    ProviderError,
    Rejected,
    Status,
    Unavailable,
    UsageError,
    WebhookRequest,
)
from paymux.http import PreparedRequest, Response, TransportError
from paymux.journal.base import State
from paymux.journal.database import Database, Operation
from paymux.journal.sqlite import SqliteJournal
from paymux.journal.sqlite.batch_runner import BatchRunner
from paymux.journal.sqlite.schema import VERSION
from paymux.journal.stored.writer import Writer
from paymux.models import Event
from paymux.simulator import Simulator
from paymux.simulator.faults import Fault
from paymux.testing import virtual_time

from .toys import BASE, KEY, Desk, Findable, Keyless, Narrow, Toy, Unsent, Wire, answer, push

ROOT = Path(__file__).parents[1]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return the path of the journal."""
    return tmp_path / "payments.db"


def rows(
    file: Path, sql: str = "SELECT * FROM payments ORDER BY created_at"
) -> list[dict[str, Any]]:
    """Read the journal with plain SQL."""
    with contextlib.closing(sqlite3.connect(file)) as db:
        db.row_factory = sqlite3.Row
        return [dict(row) for row in db.execute(sql)]


def row(file: Path, reference: str = "order-1") -> dict[str, Any]:
    """Return one payment's row."""
    (found,) = [one for one in rows(file) if one["reference"] == reference]
    return found


def facts(file: Path, reference: str = "order-1") -> list[tuple[str, str, str]]:
    """Return the facts about a payment, in order."""
    told = rows(file, "SELECT * FROM facts ORDER BY id")
    return [
        (one["source"], one["state"], one["status"])
        for one in told
        if one["reference"] == reference
    ]


@contextlib.contextmanager
def locked(file: Path) -> Iterator[None]:
    """Hold the write lock, as another process may."""
    db = sqlite3.connect(file, isolation_level=None)
    db.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        db.execute("ROLLBACK")
        db.close()


def pool(file: Path, wire: Wire | None = None, driver: Toy | None = None, **options: Any) -> Pool:
    """Open a pool with a journal."""
    wire = wire or Wire(
        Desk(collect=answer(id="id-1", status="WAIT"), payments=answer(id="id-1", status="OK"))
    )
    return Pool(
        driver or Toy(),
        connection=wire,
        journal=file,
        webhook_base=BASE,
        webhook_key=KEY,
        **options,
    )


async def collect(
    pay: Pool, reference: str = "order-1", amount: int = 500, **options: Any
) -> Payment:
    """Collect from the pool's only account."""
    (account,) = pay.drivers
    return await pay.collect(account, amount=amount, currency="XAF", reference=reference, **options)


def losing(**replies: Response | list[Response | Exception]) -> Wire:
    """Return a wire that loses the answer to a collect."""
    return Wire(Desk(collect=[TransportError("cut off")], **replies))


async def test_sending_is_durable_before_the_first_byte(file: Path) -> None:
    """When a money request is sent, its row is SENDING, with worker, amount, party and digest."""
    seen: list[dict[str, Any]] = []

    def respond(outgoing: PreparedRequest) -> Response:
        if outgoing.money:
            seen.append(row(file))
        return Desk(collect=answer(id="id-1", status="WAIT"))(outgoing)

    async with pool(file, Wire(respond)) as pay:
        await collect(pay, payer="237677777777")
    (found,) = seen
    assert (found["state"], found["status"]) == ("sending", "pending")
    assert (found["account"], found["kind"], found["reference"]) == ("toy", "collect", "order-1")
    assert (found["amount"], found["currency"], found["party"]) == ("500", "XAF", "237677777777")
    assert len(found["digest"]) == 64


async def test_facts_are_appended_with_time_and_source(file: Path) -> None:
    """Each step and each news is one fact, and facts are never changed."""
    began = datetime.now(UTC)
    async with pool(file) as pay:
        payment = await collect(pay)
        await pay.verify(payment)
        await pay.verify(payment)
    assert facts(file) == [
        ("intent", "intent", "pending"),
        ("sending", "sending", "pending"),
        ("answer", "accepted", "pending"),
        ("verify", "accepted", "succeeded"),
    ]
    times = [
        datetime.fromisoformat(one["at"]) for one in rows(file, "SELECT at FROM facts ORDER BY id")
    ]
    assert times == sorted(times)
    assert began <= times[0]
    assert times[-1] <= datetime.now(UTC)
    assert (row(file)["state"], row(file)["status"], row(file)["provider_reference"]) == (
        "accepted",
        "succeeded",
        "id-1",
    )


ENDS: dict[str, tuple[Callable[[], Wire], State, type[PaymuxError] | None, bool]] = {
    "accepted": (
        lambda: Wire(Desk(collect=answer(id="id-1", status="WAIT"))),
        State.ACCEPTED,
        None,
        False,
    ),
    "succeeded": (
        lambda: Wire(Desk(collect=answer(id="id-1", status="OK"))),
        State.ACCEPTED,
        None,
        False,
    ),
    "refused": (lambda: Wire(Desk(collect=answer(400, error="no"))), State.REFUSED, Rejected, True),
    "not sent": (lambda: Unsent(certain=True), State.NOT_SENT, NotSent, True),
    "lost": (losing, State.UNKNOWN, OutcomeUnknown, False),
    "html": (
        lambda: Wire(Desk(collect=Response(status=502, body=b"<p>"))),
        State.UNKNOWN,
        OutcomeUnknown,
        False,
    ),
}


@pytest.mark.parametrize("end", ENDS)
async def test_how_a_request_ended_is_kept(file: Path, end: str) -> None:
    """Each end has its state; only without moved money is its reference free, also later."""
    wire, state, error, free = ENDS[end]
    expectation = pytest.raises(error) if error else contextlib.nullcontext()
    async with pool(file, wire(), Keyless()) as pay:
        with expectation:
            await collect(pay)
    assert row(file)["state"] == state
    assert row(file)["worker"] is None
    again = Wire(Desk(collect=answer(id="id-2", status="WAIT")))
    doubt = pytest.raises(OutcomeUnknown) if state is State.UNKNOWN else contextlib.nullcontext()
    async with pool(file, again, Keyless()) as pay:
        with doubt as caught:
            payment = await collect(pay)
        if caught is not None:
            payment = caught.value.payment
        if not free:
            with pytest.raises(DuplicateReference):
                await collect(pay, amount=501)
    assert len(again.paths("/collect")) == (1 if free else 0)
    assert (payment.provider_reference == "id-2") is free


async def test_a_freed_reference_may_be_used_for_another_order(file: Path) -> None:
    """A refused order may be sent again with another amount; then the row is the new order."""
    wire = Wire(Desk(collect=[answer(400, error="no"), answer(id="id-2", status="WAIT")]))
    async with pool(file, wire, Keyless()) as pay:
        with pytest.raises(Rejected):
            await collect(pay)
        await collect(pay, amount=750)
    assert (row(file)["amount"], row(file)["state"]) == ("750", "accepted")


async def test_a_refused_order_that_turns_out_paid_is_not_free(file: Path) -> None:
    """A refusal, then a look-up that finds the payment: the reference is not free."""
    desk = Desk(
        collect=answer(400, error="no"), find=answer(id="id-1", status="OK", reference="order-1")
    )
    wire = Wire(desk)
    async with pool(file, wire, Findable()) as pay:
        with pytest.raises(Rejected):
            await collect(pay)
        assert (await pay.find("findable", reference="order-1")).status is Status.SUCCEEDED
        assert (await collect(pay)).status is Status.SUCCEEDED
    assert len(wire.paths("/collect")) == 1


async def test_a_providers_own_duplicate_is_an_unknown_that_is_looked_up(file: Path) -> None:
    """After the provider reports a duplicate, the order is open and not sent again."""
    desk = Desk(
        collect=answer(409, error="duplicate"),
        find=answer(id="id-1", status="OK", reference="order-1"),
    )
    wire = Wire(desk)
    async with virtual_time(), pool(file, wire, Findable()) as pay:
        with pytest.raises(OutcomeUnknown) as caught:
            await collect(pay)
        assert row(file)["state"] == State.UNKNOWN
        assert wire.paths("/find") == [], "no money verb looks up by itself"
        with pytest.raises(OutcomeUnknown):
            await collect(pay)
        (found,) = [one async for one in pay.recover()]
        assert (found.payment.status, found.resolved) == (Status.SUCCEEDED, True)
        assert (await pay.watch(caught.value.payment)).status is Status.SUCCEEDED
    assert len(wire.paths("/collect")) == 1


def test_another_order_under_a_reference_is_a_usage_error() -> None:
    """DuplicateReference is raised before anything is sent; it is not a provider's refusal."""
    assert issubclass(DuplicateReference, UsageError)
    assert not issubclass(DuplicateReference, ProviderError)
    bare = DuplicateReference()
    assert (bare.account, bare.provider, bare.reference) == ("", "", None)


async def test_the_same_order_gives_the_payment_that_exists(file: Path) -> None:
    """The same order after a restart returns its payment, and nothing is sent."""
    async with pool(file) as pay:
        first = await collect(pay)
        await pay.verify(first)
    wire = Wire(Desk())
    async with pool(file, wire) as pay:
        again = await collect(pay)
    assert wire.seen == []
    assert (again.provider_reference, again.status, again.amount) == (
        "id-1",
        Status.SUCCEEDED,
        Decimal(500),
    )
    assert again.created_at == first.created_at


@pytest.mark.parametrize(
    "other",
    [
        {"amount": 501},
        {"payer": "237677777777"},
        {"description": "another"},
        {"metadata": {"a": 1}},
    ],
)
async def test_another_order_under_the_reference_is_refused(
    file: Path, other: dict[str, Any]
) -> None:
    """Another amount, payer or content under a reference is DuplicateReference."""
    async with pool(file) as pay:
        await collect(pay)
    wire = Wire(Desk())
    async with pool(file, wire) as pay:
        with pytest.raises(DuplicateReference) as caught:
            await collect(pay, **other)
    assert wire.seen == []
    assert (caught.value.account, caught.value.reference) == ("toy", "order-1")


async def test_a_payout_and_a_collect_may_share_a_reference(file: Path) -> None:
    """A reference belongs to a kind: a payout with a collect's reference is another payment."""
    desk = Desk(collect=answer(id="id-1", status="WAIT"), payout=answer(id="id-2", status="OK"))
    async with pool(file, Wire(desk)) as pay:
        await collect(pay)
        await pay.payout(
            "toy", amount=500, currency="XAF", payee="237677777777", reference="order-1"
        )
    assert [(one["kind"], one["status"]) for one in rows(file)] == [
        ("collect", "pending"),
        ("payout", "succeeded"),
    ]


async def test_two_pools_at_once_send_once(file: Path) -> None:
    """Two pools on one file send the same new order at the same time: one request each."""
    wires = [Wire(Desk(collect=answer(id="id", status="WAIT"))) for _ in range(2)]
    async with pool(file, wires[0], Keyless()) as one, pool(file, wires[1], Keyless()) as two:
        for number in range(30):
            name = f"order-{number}"
            await asyncio.gather(collect(one, name), collect(two, name), collect(two, name))
            assert sum(len(wire.paths("/collect")) for wire in wires) == number + 1


async def test_one_journal_in_two_pools_sends_once(file: Path) -> None:
    """Two pools that share one journal object behave as two workers: one request."""
    book = SqliteJournal(file)
    wire = Wire(Desk(collect=answer(id="id", status="WAIT")))
    pools = [Pool(Keyless(), connection=wire, journal=book) for _ in range(2)]
    await asyncio.gather(*(collect(pay) for pay in pools))
    for pay in pools:
        await pay.aclose()
    assert len(wire.paths("/collect")) == 1


async def test_a_new_file_that_another_worker_is_just_making_is_waited_for(file: Path) -> None:
    """Two workers can open a new journal together, although SQLite refuses one at first."""
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    shop = pool(file, driver=Keyless())
    entering = asyncio.create_task(shop.__aenter__())
    await asyncio.sleep(0.2)
    assert not entering.done()
    other.execute("COMMIT")
    async with await entering:
        assert (await collect(shop)).provider_reference == "id-1"
    other.close()


SAME_MOMENT = """
    import asyncio, sys, time
    from paymux import CamPay, Pool

    async def main():
        url, file, at = sys.argv[1], sys.argv[2], float(sys.argv[3])
        driver = CamPay(username="simulator", password="simulator", base_url=url)
        async with Pool(driver, journal=file) as pay:
            time.sleep(max(0.0, at - time.time()))
            for number in range(10):
                name = f"order-{number}"
                await pay.collect(
                    "campay", amount=500, currency="XAF", payer="237677777777", reference=name
                )

    asyncio.run(main())
"""


@pytest.mark.slow
async def test_two_processes_at_the_same_moment_send_once(file: Path) -> None:
    """Two processes collect the same ten new orders at the same time: ten requests."""
    script = textwrap.dedent(SAME_MOMENT)
    async with Simulator() as sim:
        at = str(time.time() + 1.5)
        given = (f"{sim.campay.url}/api", str(file), at)
        started = [
            await asyncio.create_subprocess_exec(sys.executable, "-c", script, *given, cwd=ROOT)
            for _ in "ab"
        ]
        assert [await one.wait() for one in started] == [0, 0]
        assert len(sim.received("campay", "POST /collect/")) == 10
    assert {one["state"] for one in rows(file)} == {"accepted"}


async def test_an_order_that_another_worker_took_over_is_not_sent(file: Path) -> None:
    """A worker whose intent was claimed by another worker sends nothing and frees nothing."""

    def respond(outgoing: PreparedRequest) -> Response:
        with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as db:
            db.execute("UPDATE payments SET state = 'sending', worker = 'another'")
        return answer(token="t1")

    wire = Wire(respond)
    async with pool(file, wire) as pay:
        with pytest.raises(NotSent):
            await collect(pay)
    assert wire.paths("/collect") == []
    assert (row(file)["state"], row(file)["worker"]) == ("sending", "another")


def book(file: Path, payment: Payment, state: State = State.SENDING) -> None:
    """Store a payment in the journal."""

    async def write() -> None:
        journal = SqliteJournal(file)
        await journal.intend(payment, "digest")
        if state is not State.INTENT:
            await journal.mark_sending(payment)
        if state not in (State.INTENT, State.SENDING):
            await journal.record(payment, "answer", state)
        await journal.aclose()

    asyncio.run(write())


KEPT = {
    (Status.SUCCEEDED, Status.REFUNDED): Status.REFUNDED,
    (Status.REFUNDED, Status.SUCCEEDED): Status.REFUNDED,
}


@pytest.mark.parametrize("source", ["answer", "verify", "webhook", "recover"])
@pytest.mark.parametrize(("old", "new"), list(itertools.product(Status, Status)))
def test_no_fact_turns_the_record_back(
    tmp_path: Path, old: Status, new: Status, source: str
) -> None:
    """R15: only a refund replaces a success, and only a late success replaces another end."""
    file = tmp_path / "payments.db"
    payment = Payment(account="toy", kind="collect", reference="order-1", provider_reference="id-1")
    book(file, msgspec.structs.replace(payment, status=old), State.ACCEPTED)

    async def write() -> None:
        journal = SqliteJournal(file)
        await journal.record(msgspec.structs.replace(payment, status=new), source)
        await journal.aclose()

    asyncio.run(write())
    if old in (Status.SUCCEEDED, Status.REFUNDED):
        wanted = KEPT.get((old, new), old)
    else:
        wanted = old if new is Status.PENDING else new
    assert (row(file)["status"], row(file)["state"]) == (wanted, "accepted")
    assert json.loads(row(file)["payment"]).get("status", "pending") == wanted
    # What was not applied is stored as a fact all the same.
    assert facts(file)[-1][2] == (old if source == "verify" and new is old else new)


async def test_a_fact_that_is_not_applied_is_logged_with_its_order(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A person must find the payment that the provider told two stories of."""
    payment = Payment(account="toy", kind="payout", reference="wage-7", provider_reference="id-1")
    journal = SqliteJournal(file)
    await journal.intend(payment, "digest")
    for status in (Status.SUCCEEDED, Status.FAILED):
        await journal.record(msgspec.structs.replace(payment, status=status), "verify")
    await journal.aclose()
    (said,) = [one.getMessage() for one in caplog.records if one.levelname == "WARNING"]
    assert said.startswith("toy: payout 'wage-7': kept as a fact, not applied: ")


AFTER = {
    # state before: state after INTENT, SENDING, ACCEPTED, REFUSED, NOT_SENT, UNKNOWN
    State.ACCEPTED: [State.ACCEPTED] * 6,
    State.UNKNOWN: [State.UNKNOWN] * 2 + [State.ACCEPTED] + [State.UNKNOWN] * 3,
    State.SENDING: [
        State.INTENT,
        State.SENDING,
        State.ACCEPTED,
        State.REFUSED,
        State.NOT_SENT,
        State.UNKNOWN,
    ],
}


@pytest.mark.parametrize("was", AFTER)
def test_no_state_leads_back_to_free(was: State) -> None:
    """After ACCEPTED or UNKNOWN no refusal frees the reference."""
    nothing = Payment(account="toy")
    found = Payment(account="toy", provider_reference="id-1")
    assert [was.after(state, nothing) for state in State] == AFTER[was]
    assert was.after(None, nothing) is was
    assert was.after(None, found) is State.ACCEPTED


def test_retention_forgets_what_is_over(tmp_path: Path) -> None:
    """`keep_days` deletes ended and refused payments with all their rows, and nothing open."""
    file = tmp_path / "payments.db"
    plain = Payment(account="toy", kind="collect", provider_reference="id")
    done = msgspec.structs.replace(plain, status=Status.SUCCEEDED)
    kinds = {
        "paid": (done, State.ACCEPTED),
        "refused": (plain, State.REFUSED),
        "unsent": (plain, State.NOT_SENT),
        "open": (plain, State.ACCEPTED),
        "unknown": (plain, State.UNKNOWN),
        "sending": (plain, State.SENDING),
    }
    for name, (payment, state) in kinds.items():
        book(file, msgspec.structs.replace(payment, reference=name), state)
    old = (datetime.now(UTC) - timedelta(days=40)).isoformat()
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as db:
        for table, column in (("payments", "updated_at"), ("facts", "at")):
            db.execute(f"UPDATE {table} SET {column} = ?", (old,))  # noqa: S608 - names of this test
    book(file, msgspec.structs.replace(done, reference="young"), State.ACCEPTED)

    async def reopen(days: float | None) -> None:
        journal = SqliteJournal(file, keep_days=days)
        await journal.find("toy", "collect", reference="paid")
        await journal.aclose()

    asyncio.run(reopen(None))
    assert len(rows(file)) == 7
    asyncio.run(reopen(41))
    assert len(rows(file)) == 7
    asyncio.run(reopen(30))
    assert {one["reference"] for one in rows(file)} == {"open", "unknown", "sending", "young"}
    assert {one["reference"] for one in rows(file, "SELECT * FROM facts")} == {
        "open",
        "unknown",
        "sending",
        "young",
    }


ENDED = Payment(
    account="toy",
    kind="collect",
    reference="order-1",
    provider_reference="id",
    status=Status.SUCCEEDED,
)


def aged(file: Path, days: float, where: str = "1") -> None:
    """Make everything in the journal `days` days older."""
    old = (datetime.now(UTC) - timedelta(days=days)).isoformat()
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as db:
        for table, column in (("payments", "updated_at"), ("facts", "at"), ("turns", "at")):
            db.execute(f"UPDATE {table} SET {column} = ? WHERE {where}", (old,))  # noqa: S608


def purged(file: Path, days: float = 30) -> set[str]:
    """Open the journal with a retention, and return the references that are left."""

    async def reopen() -> None:
        journal = SqliteJournal(file, keep_days=days)
        await journal.find("toy", "collect", reference="order-1")
        await journal.aclose()

    asyncio.run(reopen())
    return {one["reference"] for one in rows(file)}


@pytest.mark.parametrize("word", ["OK", "NO", "STOPPED", "LATE"])
def test_a_reference_is_never_forgotten(tmp_path: Path, word: str) -> None:
    """After a purge the same order returns its end, and another order is refused."""
    file = tmp_path / "payments.db"

    async def shop(wire: Wire, keep_days: float | None) -> Payment:
        async with Pool(
            Keyless(), connection=wire, journal=SqliteJournal(file, keep_days=keep_days)
        ) as pay:
            payment = await collect(pay, payer="237677777777", metadata={"chat": "7"})
            if keep_days is not None:
                with pytest.raises(DuplicateReference):
                    await collect(pay, payer="237677777777")
            return payment

    first = asyncio.run(shop(Wire(Desk(collect=answer(id="id-1", status=word))), None))
    aged(file, 40)
    book(file, msgspec.structs.replace(ENDED, reference="young"), State.ACCEPTED)
    wire = Wire(Desk())
    again = asyncio.run(shop(wire, 30))
    assert wire.seen == []
    assert [one["reference"] for one in rows(file)] == ["young"]
    known = ("account", "kind", "reference", "status", "amount", "currency", "payer", "metadata")
    assert [getattr(again, name) for name in known] == [getattr(first, name) for name in known]
    assert (again.provider_reference, again.created_at) == (None, None)
    (left,) = rows(file, "SELECT * FROM forgotten")
    assert set(left) == {"account", "kind", "reference", "digest", "status", "at"}
    assert asyncio.run(shop(wire, 30)).status is first.status


def test_what_was_not_told_is_not_forgotten(tmp_path: Path) -> None:
    """Once a notifier has run for a kind, its undelivered payments are not purged."""
    file = tmp_path / "payments.db"
    for kind in ("collect", "payout"):
        book(file, msgspec.structs.replace(ENDED, kind=kind, reference=kind), State.ACCEPTED)
    aged(file, 40)
    book(file, msgspec.structs.replace(ENDED, reference="young"), State.ACCEPTED)
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as db:
        db.execute("INSERT INTO notes VALUES ('entered collect', '')")
    assert purged(file) == {"collect", "young"}
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as db:
        db.execute("UPDATE payments SET told = status")
    assert purged(file) == {"young"}


def test_a_turn_that_is_done_is_done_for_ever(tmp_path: Path) -> None:
    """After a purge a completed once-lock stays completed; one that a dead worker held is free."""
    file = tmp_path / "payments.db"
    book(file, ENDED, State.ACCEPTED)

    async def turns() -> tuple[bool, bool]:
        journal = SqliteJournal(file, keep_days=30)
        done = bool(await journal.take_turn(ENDED, "fulfilled", "a"))
        begun = bool(await journal.take_turn(ENDED, "mailed", "a"))
        await journal.end_turn(ENDED, "fulfilled", "a", done=True)
        await journal.aclose()
        return done, begun

    assert asyncio.run(turns()) == (True, True)
    aged(file, 40)
    book(file, msgspec.structs.replace(ENDED, reference="young"), State.ACCEPTED)
    assert purged(file) == {"young"}
    assert [one["name"] for one in rows(file, "SELECT * FROM turns")] == ["fulfilled"]
    assert asyncio.run(turns()) == (False, True)


def test_a_clock_that_jumps_forward_forgets_nothing_young(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a clock ten years ahead, a payment younger than `keep_days` stays."""
    file = tmp_path / "payments.db"
    book(file, ENDED, State.ACCEPTED)
    aged(file, 20)
    book(file, msgspec.structs.replace(ENDED, reference="young"), State.ACCEPTED)

    class Ahead(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return datetime.now(tz) + timedelta(days=3650)

    monkeypatch.setattr("paymux.journal.tables.keep_days.datetime", Ahead)
    assert purged(file) == {"order-1", "young"}
    assert purged(file, 10) == {"young"}


def test_a_clock_that_was_wrong_once_forgets_nothing_young(tmp_path: Path) -> None:
    """Times written by a clock of 1970 or 2099 neither expire early nor delete newer payments."""
    file = tmp_path / "payments.db"
    book(file, ENDED, State.ACCEPTED)
    aged(file, 20)
    for name, days in (("ahead", -30_000), ("behind", 20_000)):
        book(file, msgspec.structs.replace(ENDED, reference=name), State.ACCEPTED)
        aged(file, days, f"reference = '{name}'")
    everything = {"order-1", "ahead", "behind"}
    assert purged(file) == everything
    book(file, msgspec.structs.replace(ENDED, reference="young"), State.ACCEPTED)
    assert purged(file) == everything | {"young"}
    assert purged(file, 10) == {"ahead", "young"}


@pytest.mark.parametrize("days", [0, -1, float("nan")])
def test_a_retention_of_nothing_is_refused(tmp_path: Path, days: float) -> None:
    """`keep_days` is days above 0."""
    with pytest.raises(UsageError, match="keep_days"):
        SqliteJournal(tmp_path / "payments.db", keep_days=days)


async def test_a_later_release_s_journal_is_left_alone(file: Path) -> None:
    """A newer schema version is refused first, with the reason; the file is unchanged."""
    async with pool(file) as pay:
        await collect(pay)
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as db:
        db.execute(f"PRAGMA user_version = {VERSION + 1}")
    wire = Wire(Desk())
    with pytest.raises(UsageError, match="later release"):
        async with pool(file, wire, Keyless()):
            pytest.fail("entered")
    pay = pool(file, wire, Keyless())
    with pytest.raises(UsageError, match="later release"):
        await collect(pay, "order-2")
    await pay.aclose()
    assert wire.seen == []
    assert len(rows(file)) == 1
    assert not list(file.parent.glob("*-worker-*"))


async def test_payments_come_in_pages_oldest_first(file: Path) -> None:
    """1,203 payments are listed once each, in order, by account, status and creation time."""
    journal = SqliteJournal(file)
    for number in range(1203):
        account = "toy" if number % 3 else "other"
        payment = Payment(account=account, kind="collect", reference=f"order-{number}")
        await journal.intend(payment, "digest")
    middle = datetime.fromisoformat(rows(file)[600]["created_at"])
    listed = [payment.reference async for payment in journal.payments()]
    assert listed == [f"order-{number}" for number in range(1203)]
    assert len([1 async for _ in journal.payments(account="other")]) == 401
    assert len([1 async for _ in journal.payments(since=middle)]) == 603
    assert [1 async for _ in journal.payments(status=Status.SUCCEEDED)] == []
    await journal.aclose()


@pytest.mark.parametrize("status", [None, Status.PENDING])
async def test_an_order_that_never_began_is_no_payment(file: Path, status: Status | None) -> None:
    """A refused or unsent order raised its error, and is not listed as one that waits.

    One whose outcome is unknown is listed.
    """
    async with pool(file, Unsent(), Keyless(), attempts=1) as pay:
        with pytest.raises(NotSent):
            await collect(pay, "unsent")
    replies: list[Response | Exception] = [answer(400, error="no"), TransportError("cut off")]
    wire = Wire(Desk(collect=[*replies, answer(id="id-2", status="WAIT")]))
    async with pool(file, wire, Keyless()) as pay:
        for reference in ("refused", "unknown"):
            with pytest.raises(PaymuxError):
                await collect(pay, reference)
        await collect(pay, "accepted")
        listed = [one.reference async for one in pay.payments(status=status)]
    assert [one["state"] for one in rows(file)] == ["not_sent", "refused", "unknown", "accepted"]
    assert listed == ["unknown", "accepted"]


async def test_an_order_is_read_by_its_reference(file: Path) -> None:
    """What the page of an order shows: the journal's payment, without a look-up; None: no order.

    Like `payments` it leaves out what was refused, and needs a journal.
    """
    replies: list[Response | Exception] = [answer(400, error="no"), TransportError("cut off")]
    wire = Wire(Desk(collect=[*replies, answer(id="id-2", status="WAIT")]))
    async with pool(file, wire, Keyless()) as pay:
        for reference in ("refused", "unknown"):
            with pytest.raises(PaymuxError):
                await collect(pay, reference)
        accepted = await collect(pay, "accepted")
        known = await pay.payment("keyless", "accepted")
        assert known is not None
        assert known.public() == accepted.public()
        unknown = await pay.payment("keyless", "unknown")
        assert unknown is not None
        assert unknown.status is Status.PENDING
        assert await pay.payment("keyless", "refused") is None
        assert await pay.payment("keyless", "never-heard-of") is None
        assert await pay.payment("keyless", "accepted", kind="payout") is None
        with pytest.raises(UsageError, match="reference"):
            await pay.payment("keyless", "no reference")
        with pytest.raises(UsageError, match="another"):
            await pay.payment("another", "accepted")
    assert {one.method for one in wire.seen} == {"POST"}
    async with Pool(Keyless(), connection=wire) as bare:
        with pytest.raises(UsageError, match="journal"):
            await bare.payment("keyless", "accepted")


DAMAGE = {
    "cut": "UPDATE payments SET payment = substr(payment, 1, 40)",
    "no text": "UPDATE payments SET payment = 5",
    "not UTF-8": "UPDATE payments SET payment = CAST(x'7bff7d' AS TEXT)",
    "another status": "UPDATE payments SET payment = replace(payment, 'pending', 'perhaps')",
    "deep": "UPDATE payments SET payment = replace(hex(zeroblob(50000)), '00', '[')",
}


def damage(file: Path, sql: str, reference: str = "order-1") -> None:
    """Damage one row of the journal."""
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as db:
        db.execute(f"{sql} WHERE reference = '{reference}'")


@pytest.mark.parametrize("how", DAMAGE)
async def test_a_row_that_cannot_be_read_is_named_and_left_out(
    file: Path, caplog: pytest.LogCaptureFixture, how: str
) -> None:
    """A damaged row is named in one ERROR; other rows are listed, recovered and sent."""
    async with pool(file, losing(), Keyless()) as pay:
        for name in ("order-0", "order-1", "order-2"):
            with pytest.raises(OutcomeUnknown):
                await collect(
                    pay, name, metadata={"status": "pending"} if how == "another status" else {}
                )
    sql = DAMAGE[how]
    if how == "another status":
        sql = """UPDATE payments
            SET payment = replace(payment, '"currency"', '"status":"perhaps","currency"')"""
    damage(file, sql)
    wire = Wire(Desk(collect=answer(id="id-1", status="WAIT")))
    async with pool(file, wire, Keyless()) as pay, asyncio.timeout(10):
        caplog.clear()
        assert [one.reference async for one in pay.payments()] == ["order-0", "order-2"]
        (said,) = [one for one in caplog.records if one.levelname == "ERROR"]
        assert "keyless" in said.getMessage()
        assert "collect 'order-1'" in said.getMessage()
        caplog.clear()
        assert [one.payment.reference async for one in pay.recover()] == ["order-0", "order-2"]
        assert len([one for one in caplog.records if one.levelname == "ERROR"]) == 1
        assert (await collect(pay, "order-3")).provider_reference == "id-1"


@pytest.mark.slow
@pytest.mark.parametrize("command", [["list"], ["export"], ["export", "--as", "jsonl"]])
async def test_the_command_line_says_what_it_cannot_read(file: Path, command: list[str]) -> None:
    """A damaged row is reported on standard error, others are written, and the exit code is 1."""
    async with pool(file, driver=Keyless()) as pay:
        for name in ("order-1", "order-2"):
            await collect(pay, name)
    damage(file, DAMAGE["cut"])
    name, *more = command
    ran = _command(name, str(file), *more)
    assert ran.returncode == 1
    assert (
        ran.stderr.count(
            "paymux: keyless: the journal's row of the collect 'order-1' cannot be read"
        )
        == 1
    )
    assert "order-2" in ran.stdout
    assert "order-1" not in ran.stdout


@pytest.mark.parametrize("how", ["cut", "not UTF-8", "no text"])
async def test_an_order_under_a_damaged_row_is_in_doubt(file: Path, how: str) -> None:
    """The outcome of a damaged order is unknown: OutcomeUnknown, and nothing is sent."""
    async with pool(file, driver=Keyless()) as pay:
        await collect(pay)
    damage(file, DAMAGE[how])
    wire = Wire(Desk())
    async with pool(file, wire, Keyless()) as pay:
        with pytest.raises(OutcomeUnknown) as caught:
            await collect(pay)
        assert (caught.value.payment.reference, caught.value.payment.amount) == (
            "order-1",
            Decimal(500),
        )
        with pytest.raises(DuplicateReference):
            await collect(pay, amount=501)
        with pytest.raises(Unavailable, match="order-1"):
            await pay.confirm(
                Event(
                    account="keyless", claims=Payment(account="keyless", provider_reference="id-1")
                )
            )
    assert wire.seen == []


async def test_a_damaged_message_is_named_and_left_out(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A dead worker's unreadable message is logged once; its other messages are claimed."""
    one = SqliteJournal(file)
    events = [
        Event(account="toy", claims=Payment(account="toy", provider_reference=id)) for id in "123"
    ]
    for event in events:
        await one.keep_event(event, open=True)
    await one.aclose()
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as db:
        db.execute("UPDATE hints SET event = '{' WHERE provider_reference = '2'")
    two = SqliteJournal(file)
    assert await two.claim_events(9) == [events[0], events[2]]
    assert await two.claim_events(9) == []
    await two.aclose()
    (said,) = [one for one in caplog.records if one.levelname == "ERROR"]
    assert "toy: the journal's message 2 cannot be read" in said.getMessage()


async def test_half_done_work_is_undone_with_all_that_shares_its_commit(file: Path) -> None:
    """A failure without a change fails alone; a partial change rolls back its batch only."""

    def put(db: Database, number: int, error: Exception | None = None) -> int:
        db.execute("INSERT INTO numbers VALUES (?)", (number,))
        if error is not None:
            raise error
        return number

    def refuse(db: Database) -> int:
        raise UsageError("not this one")

    async def batch(*works: Operation[int]) -> list[int | type[BaseException]]:
        held, free = threading.Event(), threading.Event()

        def hold(_: Database) -> None:
            held.set()
            free.wait(10)

        writer.later(hold)
        await asyncio.to_thread(held.wait)  # the thread is busy: all of these reach it together
        ending = asyncio.gather(*map(writer.do, works), return_exceptions=True)
        await asyncio.sleep(0)
        free.set()
        ended = await ending
        return [one if isinstance(one, int) else type(one) for one in ended]

    def connect() -> sqlite3.Connection:
        return sqlite3.connect(file, isolation_level=None, check_same_thread=False)

    writer = Writer(lambda: BatchRunner(connect, lambda: None, None))
    await writer.do(lambda db: db.execute("CREATE TABLE numbers (number)"))
    assert await batch(lambda db: put(db, 1), refuse, lambda db: put(db, 2)) == [1, UsageError, 2]
    failing = [UsageError("late"), LookupError("odd"), sqlite3.OperationalError("disk I/O error")]
    for error in failing:
        half = partial(put, number=4, error=error)
        assert await batch(lambda db: put(db, 3), half, lambda db: put(db, 5)) == [OSError] * 3
    assert await batch(lambda db: put(db, 6)) == [6]
    await writer.aclose()
    assert [found["number"] for found in rows(file, "SELECT * FROM numbers")] == [1, 2, 6]


async def test_a_journal_that_could_not_be_opened_is_tried_again(tmp_path: Path) -> None:
    """An error while opening the journal may pass: the next order opens it."""
    file = tmp_path / "later" / "payments.db"
    pay = pool(file, driver=Keyless())
    with pytest.raises(UsageError, match="folder"):
        await collect(pay)
    file.parent.mkdir()
    await collect(pay)
    await pay.aclose()
    assert row(file)["state"] == "accepted"


async def test_a_locked_journal_keeps_the_deadline(file: Path) -> None:
    """While another process holds the lock: NotSent at our deadline, and the reference is free."""
    wire = Wire(Desk(collect=answer(id="id-1", status="WAIT")))
    async with pool(file, wire, Keyless()) as pay:
        await collect(pay, "order-0")
        with locked(file):
            began = time.perf_counter()
            with pytest.raises(NotSent):
                await collect(pay, deadline=0.2)
            assert time.perf_counter() - began < 2.0
        assert len(wire.seen) == 1
        await collect(pay)
    assert len(wire.seen) == 2
    assert row(file)["state"] == "accepted"


async def test_an_answer_is_returned_though_the_journal_is_locked(file: Path) -> None:
    """A result is returned soon, and stored as soon as the lock is released."""
    held = contextlib.ExitStack()

    def respond(outgoing: PreparedRequest) -> Response:
        held.enter_context(locked(file))
        return answer(id="id-1", status="OK")

    async with pool(file, Wire(respond), Keyless()) as pay:
        began = time.perf_counter()
        payment = await collect(pay, deadline=1.0)
        assert time.perf_counter() - began < 5.0
        held.close()
    assert payment.status is Status.SUCCEEDED
    assert (row(file)["state"], row(file)["status"]) == ("accepted", "succeeded")


REFUSING = """CREATE TRIGGER refuse BEFORE INSERT ON facts WHEN NEW.source = '{}'
              BEGIN SELECT RAISE(ABORT, 'disk on fire'); END"""


def refuse(file: Path, source: str) -> None:
    """Let the database refuse facts of this source."""
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as db:
        db.execute(REFUSING.format(source))


@pytest.mark.parametrize("source", ["intent", "sending"])
async def test_what_cannot_be_kept_is_not_sent(file: Path, source: str) -> None:
    """If INTENT or SENDING cannot be stored: NotSent, and no money request is sent."""
    wire = Wire(Desk(collect=answer(id="id-1", status="WAIT")))
    async with pool(file, wire, Keyless()) as pay:
        await collect(pay, "order-0")
        refuse(file, source)
        with pytest.raises(NotSent, match="disk on fire"):
            await collect(pay)
    assert len(wire.seen) == 1


async def test_what_was_paid_is_told_though_it_cannot_be_kept(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """If the disk fails after the answer, the payment is returned, and the row stays SENDING."""
    async with pool(file, driver=Keyless()) as pay:
        await collect(pay, "order-0")
        refuse(file, "answer")
        assert (await collect(pay)).provider_reference == "id-1"
    assert row(file)["state"] == "sending"
    assert [one.getMessage() for one in caplog.records if one.levelno == logging.ERROR]


async def test_a_failing_journal_holds_no_place_in_the_limit(file: Path) -> None:
    """Orders that the journal kept from being sent release their slots of the rate limit."""
    wire = Wire(Desk(collect=answer(id="id-1", status="WAIT")))
    async with pool(file, wire, Narrow()) as pay:
        with contextlib.suppress(PaymuxError):
            await pay.verify("narrow", "warm")
        _ = [one async for one in pay.payments()]
        refuse(file, "sending")
        for number in range(2):
            with pytest.raises(NotSent):
                await collect(pay, f"order-{number}")
        gate = pay._engine.limiter("narrow")
        assert gate._money_window.in_flight == 0


async def steps(task: "asyncio.Task[Any]", count: int) -> None:
    """Run a task for `count` steps of the loop; the journal's thread finishes after each."""
    for _ in range(count):
        time.sleep(0.001)
        await asyncio.sleep(0)
        if task.done():
            return


async def test_cancelling_at_every_step_leaves_a_true_row(file: Path) -> None:
    """Cancelled after any number of steps, a sent order is unknown, and an unsent one is free."""
    states = set()

    async def slowly(_: PreparedRequest) -> Response:
        for __ in range(8):
            await asyncio.sleep(0)
        return answer(id="id-1", status="WAIT")

    for count in range(60):
        wire = Wire(slowly)
        name = f"order-{count}"
        async with pool(file, wire, Keyless()) as pay:
            await pay._engine.store.messages.payment_of(
                Event(account="x", claims=Payment(account="x", provider_reference="x"))
            )
            task = asyncio.create_task(collect(pay, name))
            await steps(task, count)
            finished = task.done()
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            left = len(wire.seen)
            try:
                again = await collect(pay, name)
            except OutcomeUnknown as unknown:
                again = unknown.payment
            assert len(wire.seen) == 1, (
                f"cancelled after {count} steps: sent {len(wire.seen)} times"
            )
            found = row(file, name)
            assert again.reference == name
            assert found["state"] in (("accepted", "unknown") if left else ("accepted",))
            assert found["worker"] is None
            states.add((left, found["state"]))
        if finished:
            break
    assert {(0, "accepted"), (1, "unknown"), (1, "accepted")} <= states


@pytest.mark.parametrize("when", ["intent", "sending", "answer"])
async def test_cancelling_while_the_journal_is_slow(file: Path, when: str) -> None:
    """Cancelled while waiting for the disk, the order is withdrawn or unknown, never lost."""
    held = contextlib.ExitStack()

    def respond(outgoing: PreparedRequest) -> Response:
        if outgoing.url.endswith("/login"):
            if when == "sending":
                held.enter_context(locked(file))
            return answer(token="t")
        if when == "answer":
            held.enter_context(locked(file))
        return answer(id="id-1", status="WAIT")

    wire = Wire(respond)
    async with pool(file, wire) as pay:
        _ = [one async for one in pay.payments()]
        if when == "intent":
            held.enter_context(locked(file))
        task = asyncio.create_task(collect(pay))
        await asyncio.sleep(0.2)
        task.cancel()
        await asyncio.sleep(0.05)
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        held.close()
        _ = [one async for one in pay.payments()]
        assert row(file)["state"] == ("accepted" if when == "answer" else "not_sent")
        assert row(file)["worker"] is None
        when = "never"
        await collect(pay)
    assert len(wire.paths("/collect")) == 1
    assert row(file)["state"] == "accepted"


async def test_closing_while_a_payment_is_under_way_ends(file: Path) -> None:
    """A pool can be closed during a collect; its row is stored, or left to recover()."""
    wire = Wire(Desk(collect=answer(id="id-1", status="WAIT")), after=0.05)
    pay = pool(file, wire, Keyless())
    tasks = [asyncio.create_task(collect(pay, f"order-{number}")) for number in range(20)]
    await asyncio.sleep(0.04)
    async with asyncio.timeout(5):
        await pay.aclose()
        await asyncio.gather(*tasks, return_exceptions=True)
        await pay.aclose()
    assert not list(file.parent.glob("*-worker-*"))
    assert {one["state"] for one in rows(file)} <= {"sending", "accepted", "not_sent", "intent"}


async def test_a_closed_pool_reads_no_journal(file: Path) -> None:
    """After closing, every use of the journal is UsageError."""
    pay = pool(file, driver=Keyless())
    payment = await collect(pay)
    await pay.aclose()
    with pytest.raises(UsageError):
        _ = [one async for one in pay.payments()]
    with pytest.raises(UsageError):
        _ = [one async for one in pay.recover()]
    with pytest.raises(PaymuxError):
        async with pay.once(payment, "fulfilled"):
            pass


def test_a_pool_with_a_journal_lives_in_loops_in_turn(tmp_path: Path) -> None:
    """Three calls of `asyncio.run` can use one pool and one journal, one after another."""
    pay = pool(tmp_path / "payments.db", driver=Keyless())
    for number in range(3):
        asyncio.run(collect(pay, f"order-{number}"))
    asyncio.run(pay.aclose())
    assert len(rows(tmp_path / "payments.db")) == 3


async def test_a_hint_is_kept_before_the_provider_is_asked(file: Path) -> None:
    """A message is stored, once, before the provider is asked about it."""
    seen: list[int] = []

    def respond(outgoing: PreparedRequest) -> Response:
        if outgoing.method == "GET":
            seen.append(len(rows(file, "SELECT * FROM hints")))
        return Desk(payments=answer(id="id-1", status="OK"))(outgoing)

    async with pool(file, Wire(respond)) as pay:
        for _ in range(2):
            event = pay.webhook(push(path=pay.webhook_url("toy"), id="id-1", status="OK"))
            await pay.confirm(event)
    assert seen == [1, 1]


async def test_an_open_hint_is_one_worker_s(file: Path) -> None:
    """A worker owns an open message until it ends it, releases it or dies."""
    one, two = SqliteJournal(file), SqliteJournal(file)
    first, second = (
        Event(account="toy", claims=Payment(account="toy", provider_reference=id)) for id in "12"
    )
    await one.keep_event(first, open=True)
    await one.keep_event(second, open=True)
    assert await two.claim_events(9) == await one.claim_events(9) == []
    await two.keep_event(first)
    assert await two.claim_events(9) == []
    await one.end_event(first, done=False)
    assert await two.claim_events(9) == [first]
    await one.end_event(first, done=True)  # another worker owns it now
    await one.aclose()
    three = SqliteJournal(file)
    assert await three.claim_events(9) == [second]
    await two.aclose()
    assert await three.claim_events(9) == [first]
    for event in (first, second):
        await three.end_event(event, done=True)
    await three.aclose()
    assert rows(file, "SELECT * FROM hints") == []


async def test_a_hint_that_cannot_be_kept_is_not_acknowledged(file: Path) -> None:
    """If the journal cannot store a message: Unavailable, so that the provider sends it again."""
    async with pool(file) as pay:
        with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as db:
            db.execute(
                "CREATE TRIGGER r BEFORE INSERT ON hints BEGIN SELECT RAISE(ABORT, 'disk on "
                "fire'); END"
            )
        event = pay.webhook(push(path=pay.webhook_url("toy"), id="id-1", status="OK"))
        with pytest.raises(Unavailable):
            await pay.confirm(event)


@pytest.mark.parametrize("path", ["order-1", None])
async def test_a_fresh_process_confirms_what_it_did_not_send(file: Path, path: str | None) -> None:
    """`confirm(event)` needs no `expected`: a payment smaller than the order is Mismatch."""
    async with pool(file) as pay:
        await collect(pay)
    for amount, fits in ((100, False), (500, True)):
        said = answer(id="id-1", status="OK", amount=amount, currency="XAF")
        async with pool(file, Wire(Desk(payments=said))) as pay:
            event = pay.webhook(push(path=pay.webhook_url("toy", path), id="id-1", status="OK"))
            if fits:
                payment = await pay.confirm(event)
                assert (payment.status, payment.reference) == (Status.SUCCEEDED, "order-1")
            else:
                with pytest.raises(Mismatch):
                    await pay.confirm(event)
                assert row(file)["status"] == "pending"


async def test_a_lost_answer_is_found_by_the_reference_in_the_message(file: Path) -> None:
    """After a lost answer a message with our reference counts only if the provider confirms it."""
    async with pool(file, losing()) as pay:
        with pytest.raises(OutcomeUnknown):
            await collect(pay)
    for said, fits in (
        (answer(id="id-1", status="OK", reference="order-1", amount=100, currency="XAF"), False),
        (answer(id="id-1", status="OK", reference="order-2", amount=500, currency="XAF"), False),
        (answer(id="id-1", status="OK", amount=500, currency="XAF"), False),
        (answer(id="id-1", status="OK", reference="order-1", amount=500, currency="XAF"), True),
    ):
        async with pool(file, Wire(Desk(payments=said))) as pay:
            event = pay.webhook(
                push(path=pay.webhook_url("toy"), id="id-1", status="OK", reference="order-1")
            )
            if fits:
                assert (await pay.confirm(event)).status is Status.SUCCEEDED
            else:
                with pytest.raises(Mismatch):
                    await pay.confirm(event)
        assert row(file)["status"] == ("succeeded" if fits else "pending")


async def test_mpesa_s_lost_answer_is_resolved_by_its_own_path(file: Path) -> None:
    """After a lost answer, a new pool confirms the order by its path, and by no cheaper payment."""
    async with Simulator() as sim:
        messages: list[WebhookRequest] = []
        sim.on_webhook(messages.append)

        def shop() -> Pool:
            return Pool(
                sim.driver("mpesa"),
                connection=sim.connection,
                journal=file,
                webhook_base=BASE,
                webhook_key=KEY,
            )

        async with shop() as pay:
            cheap = await pay.collect(
                "mpesa", amount=1, currency="KES", payer="254708374149", reference="cheap"
            )
            sim.fault("mpesa", "/stkpush", kind=Fault.DROP_AFTER)
            with pytest.raises(OutcomeUnknown):
                await pay.collect(
                    "mpesa", amount=900, currency="KES", payer="254708374149", reference="dear"
                )
        for name in ("cheap", "dear"):
            entry = next(one for one in sim.ledger if one.amount == (1 if name == "cheap" else 900))
            if not entry.status.terminal:
                sim.settle(entry.provider_reference, Status.SUCCEEDED)
        async with asyncio.timeout(5):
            while len(messages) < 2:
                await asyncio.sleep(0.01)
        (about_cheap,) = [
            one for one in messages if (cheap.provider_reference or "").encode() in one.body
        ]
        (about_dear,) = [one for one in messages if one is not about_cheap]
        async with shop() as pay:
            forged = msgspec.structs.replace(about_cheap, path=about_dear.path)
            with pytest.raises(Mismatch):
                await pay.confirm(pay.webhook(forged))
            assert row(file, "dear")["status"] == "pending"
            payment = await pay.confirm(pay.webhook(about_dear))
        assert (payment.reference, payment.status, payment.amount) == (
            "dear",
            Status.SUCCEEDED,
            Decimal(900),
        )
        assert row(file, "dear")["status"] == "succeeded"


async def test_a_path_proves_nothing_of_an_order_that_was_not_sent(file: Path) -> None:
    """An order that was refused or not sent is not confirmed by a foreign payment."""
    async with pool(file, Unsent(certain=True), Keyless()) as pay:
        with pytest.raises(NotSent):
            await collect(pay)
    async with pool(file, Wire(Desk(payments=answer(status="OK"))), Keyless()) as pay:
        event = pay.webhook(
            push(path=pay.webhook_url("keyless", "order-1"), id="id-9", status="OK")
        )
        with pytest.raises(Mismatch):
            await pay.confirm(event)
    assert row(file)["status"] == "pending"


def _command(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", "-m", "paymux", "journal", *arguments]
    return subprocess.run(
        command, capture_output=True, text=True, timeout=60, check=False, cwd=ROOT
    )


@pytest.mark.slow
async def test_the_command_line_reads_the_journal(file: Path) -> None:
    """`list` masks numbers, `show` prints JSON, `export` writes CSV and JSON lines."""
    desk = Desk(collect=[answer(id="id-1", status="OK"), answer(id="id-2", status="WAIT")])
    async with pool(file, Wire(desk)) as pay:
        for name in ("order-1", "order-2"):
            await collect(pay, name, payer="237677777777")
    listed = _command("list", str(file))
    assert (listed.returncode, listed.stderr) == (0, "")
    assert "237677777777" not in listed.stdout
    shown = _command("show", str(file), "order-1")
    assert msgspec.json.decode(shown.stdout, type=Payment).provider_reference == "id-1"
    assert _command("show", str(file), "order-9").returncode == 3
    lines = list(csv.DictReader(io.StringIO(_command("export", str(file)).stdout)))
    assert [(one["reference"], one["status"], one["amount"]) for one in lines] == [
        ("order-1", "succeeded", "500"),
        ("order-2", "pending", "500"),
    ]
    exported = _command(
        "export", str(file), "--as", "jsonl", "--status", "succeeded"
    ).stdout.splitlines()
    assert [msgspec.json.decode(line, type=Payment).reference for line in exported] == ["order-1"]
    assert _command("export", str(file), "--as", "jsonl", "--account", "other").stdout == ""
    assert _command("export", str(file), "--as", "jsonl", "--since", "2199-01-01").stdout == ""


def test_the_command_line_names_what_is_no_journal(tmp_path: Path) -> None:
    """A file that is no journal is one line on standard error, and stays unchanged."""
    other = tmp_path / "notes.txt"
    other.write_text("hello " * 1000)
    ended = _command("list", str(other))
    assert ended.returncode == 2
    assert ended.stderr.startswith("paymux: ")
    assert "Traceback" not in ended.stderr
    assert other.read_text() == "hello " * 1000


@pytest.mark.slow
async def test_no_secret_reaches_the_journal_a_log_an_error_or_an_export(
    file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """R12: credentials, tokens and signatures appear in no file, log, error or export."""
    caplog.set_level(logging.DEBUG)
    token = "canary-issued-token"
    told: list[str] = []

    def respond(outgoing: PreparedRequest) -> Response:
        if outgoing.url.endswith("/token/"):
            return answer(token=token, expires_in=3600)
        if b"refused" in (outgoing.body or b""):
            return answer(400, message=f"ER101 {token} canary-password", error_code="ER101")
        if b"lost" in (outgoing.body or b""):
            raise TransportError("cut off")
        said = {"reference": "uuid-1", "status": "SUCCESSFUL", "amount": "500", "currency": "XAF"}
        if outgoing.method == "POST":
            said["status"] = "PENDING"
        return answer(200, None, **said, token=token, signature="canary-signature")

    driver = CamPay(
        username="canary-user", password="canary-password", webhook_key="canary-hook-key"
    )
    one = {"amount": 500, "currency": "XAF", "payer": "237677777777"}
    async with Pool(
        driver,
        connection=Wire(respond),
        journal=file,
        webhook_base=BASE,
        webhook_key="canary-pool-key-1234",
    ) as pay:
        payment = await pay.collect("campay", reference="order-1", **one)  # type: ignore[arg-type]  # a table
        for name in ("refused", "lost"):
            with pytest.raises(PaymuxError) as caught:
                await pay.collect("campay", reference=name, **one)  # type: ignore[arg-type]  # a table
            told += [repr(caught.value), "".join(traceback.format_exception(caught.value))]
        claims = Payment(account="campay", provider_reference="uuid-1")
        await pay.confirm(Event(account="campay", claims=claims), expected=payment)
        files = b"".join(path.read_bytes() for path in file.parent.iterdir())
        assert b"order-1" in files, "the -wal is among them"
    files += b"".join(path.read_bytes() for path in file.parent.iterdir())
    told += [
        _command("export", str(file), "--as", "jsonl").stdout,
        _command("show", str(file), "lost").stdout,
    ]
    logs = "\n".join(record.getMessage() for record in caplog.records)
    assert b"canary" not in files
    assert "canary" not in "".join(told)
    assert "canary" not in logs.replace("canary-user", "")
    assert "237677777777" not in logs


async def test_an_order_that_another_worker_is_about_to_send_is_waited_for(tmp_path: Path) -> None:
    """While a worker logs in for an order, another worker gets no payment: there is none yet."""
    sim = Simulator(latency=0.3)
    path = tmp_path / "payments.db"
    order: dict[str, Any] = {
        "amount": 5,
        "currency": "XAF",
        "payer": "237677777777",
        "reference": "r",
    }
    async with (
        Pool(sim.driver("campay"), connection=sim.connection, journal=path) as one,
        Pool(sim.driver("campay"), connection=sim.connection, journal=path) as other,
    ):
        first = asyncio.create_task(one.collect("campay", **order))
        await asyncio.sleep(0.1)  # it has recorded the order, and waits for its login
        assert not sim.received("campay", "POST /api/collect/")
        payment = await other.collect("campay", **order)
        assert payment.status is Status.PENDING
        assert (await first).reference == "r"
        assert len(sim.received("campay", "POST /api/collect/")) == 1
    assert len(sim.ledger) == 1
