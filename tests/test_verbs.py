"""All callers of one moment share the statements of a verb, and none learns of the others."""

import asyncio
import contextlib
import sqlite3
from collections.abc import Iterator, Sequence
from decimal import Decimal
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import msgspec
import pytest

import paymux.journal.sqlite.journal
from paymux import DuplicateReference, Payment, SqliteJournal, Status
from paymux.journal import State
from paymux.journal.database import Database
from paymux.journal.ids import new_id
from paymux.journal.pending_facts import Fact
from paymux.journal.sqlite.batch import run_batch
from paymux.journal.sqlite.batch_runner import BatchRunner
from paymux.journal.stored.gathering import COMMIT_DELAY_SECONDS, MAX_BATCH, gather
from paymux.journal.stored.verbs import Bulk, in_groups
from paymux.journal.stored.writer import Writer
from paymux.journal.work import Work, settle

DIGEST = "d" * 64


class Moment(Writer[BatchRunner]):
    """A journal's thread that takes all operations of one turn of the loop as a batch."""

    statements: list[str]

    def queued(self, work: Work) -> "asyncio.Future[Any]":
        if self.runner.db is None:
            self.runner.db = self.runner._open()
            self.works: list[Work] = []
            self.statements = []
            self.runner.db.set_trace_callback(self.statements.append)
        loop = asyncio.get_running_loop()
        work.done = done = loop.create_future()
        if not self.works:
            # Tasks of one moment queue in one turn, or in the next one.
            loop.call_soon(loop.call_soon, self._run)
        self.works.append(work)
        return done

    def _run(self) -> None:
        works, self.works = self.works, []
        assert self.runner.db is not None
        settle(self.runner.told(run_batch(self.runner.db, works)))

    async def aclose(self) -> None:
        self.runner.shut()
        self.runner._end()


@pytest.fixture
def journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SqliteJournal]:
    """Return a journal whose operations of one moment are one batch."""
    monkeypatch.setattr(paymux.journal.sqlite.journal, "Writer", Moment)
    made = SqliteJournal(tmp_path / "payments.db")
    yield made
    asyncio.run(made.aclose())


def order(reference: str = "order-1", **fields: Any) -> Payment:
    """Return a pending payment."""
    return Payment(
        account="toy", kind="collect", reference=reference, amount=Decimal(500), **fields
    )


def answered(payment: Payment, **fields: Any) -> Payment:
    """Return what an answer says of a payment."""
    fields = {"provider_reference": f"id-{payment.reference}", **fields}
    return msgspec.structs.replace(payment, **fields)


def db_of(journal: SqliteJournal) -> sqlite3.Connection:
    """Return the database of a journal."""
    db = journal._writer.runner.db
    assert isinstance(db, sqlite3.Connection)
    return db


def statements(journal: SqliteJournal) -> list[str]:
    """Return the statements that a journal has run."""
    writer = journal._writer
    assert isinstance(writer, Moment)
    return writer.statements


def facts(journal: SqliteJournal, reference: str = "order-1") -> list[str]:
    """Return the sources of the facts about an order, in order."""
    sql = "SELECT source FROM facts WHERE reference = ? ORDER BY id"
    return [source for (source,) in db_of(journal).execute(sql, (reference,))]


def row(journal: SqliteJournal, reference: str = "order-1") -> tuple[str, str | None]:
    """Return the state and the provider's reference of an order."""
    sql = "SELECT state, provider_reference FROM payments WHERE reference = ?"
    found: tuple[str, str | None] = db_of(journal).execute(sql, (reference,)).fetchone()
    return found


async def sent(journal: SqliteJournal, *references: str) -> list[Payment]:
    """Record orders, and mark them as being sent."""
    orders = [order(reference) for reference in references]
    assert await asyncio.gather(*(journal.intend(one, DIGEST) for one in orders)) == [None] * len(
        orders
    )
    await asyncio.gather(*(journal.mark_sending(one) for one in orders))
    return orders


async def test_a_hundred_payments_share_their_statements(journal: SqliteJournal) -> None:
    """The rows of a hundred orders of one moment are looked for at once, and read no more."""
    orders = await sent(journal, *(f"order-{number}" for number in range(100)))
    await asyncio.gather(
        *(journal.record(answered(one), "answer", State.ACCEPTED) for one in orders)
    )
    assert sum(one.startswith("SELECT p.account") for one in statements(journal)) == 2
    assert row(journal, "order-99") == ("accepted", "id-order-99")
    assert facts(journal, "order-99") == ["intent", "sending", "answer"]


async def test_a_row_that_this_worker_wrote_last_is_not_read(journal: SqliteJournal) -> None:
    """The answer to an order is written without a look at its row, which its sender knows."""
    (one,) = await sent(journal, "order-1")
    statements(journal).clear()
    await journal.record(answered(one), "answer", State.ACCEPTED)
    assert not [sql for sql in statements(journal) if sql.startswith("SELECT p.account")]


async def test_steps_of_one_order_in_one_batch_stay_in_order(journal: SqliteJournal) -> None:
    """An order that is begun, sent and answered in one batch is as if it were in three."""
    one, other = order(), order("order-2")
    await asyncio.gather(
        journal.intend(one, DIGEST),
        journal.intend(other, DIGEST),
        journal.mark_sending(one),
        journal.record(answered(one), "answer", State.ACCEPTED),
        journal.mark_sending(other),
    )
    assert row(journal) == ("accepted", "id-order-1")
    assert facts(journal) == ["intent", "sending", "answer"]
    assert row(journal, "order-2") == ("sending", None)


async def test_a_reference_is_one_order_within_a_batch(journal: SqliteJournal) -> None:
    """Of two orders under one reference in one batch, one is sent; another order is refused."""
    first, same, another, free = await asyncio.gather(
        journal.intend(order(), DIGEST),
        journal.intend(order(), DIGEST),
        journal.intend(order(), "e" * 64),
        journal.intend(order("order-2"), DIGEST),
        return_exceptions=True,
    )
    assert first is free is None
    assert same is not None
    assert not isinstance(same, BaseException)
    assert (same.state, same.in_flight) == (State.INTENT, True)
    assert isinstance(another, DuplicateReference)
    assert facts(journal) == ["intent"]


async def test_a_freed_reference_is_taken_again_once_within_a_batch(journal: SqliteJournal) -> None:
    """After a refusal two callers of one batch take the reference, and one of them has it."""
    (one,) = await sent(journal, "order-1")
    await journal.record(one, "answer", State.REFUSED)
    first, second = await asyncio.gather(
        journal.intend(order(), "e" * 64), journal.intend(order(), "e" * 64)
    )
    assert first is None
    assert second is not None
    assert second.in_flight
    assert row(journal) == ("intent", None)


async def test_a_request_leaves_once_within_a_batch(journal: SqliteJournal) -> None:
    """Of two that mark one order as being sent, one may send it."""
    await journal.intend(order(), DIGEST)
    done = await asyncio.gather(
        journal.mark_sending(order()), journal.mark_sending(order()), return_exceptions=True
    )
    assert done[0] is None
    assert isinstance(done[1], OSError)
    assert facts(journal) == ["intent", "sending"]


async def test_facts_of_one_order_in_one_batch_build_on_each_other(journal: SqliteJournal) -> None:
    """Two facts of one order in one batch are applied one after the other, and none is lost."""
    (one,) = await sent(journal, "order-1")
    paid = answered(one, status=Status.SUCCEEDED, receipt="R1")
    await asyncio.gather(
        journal.record(answered(one, prompt="dial *126#"), "answer", State.ACCEPTED),
        journal.record(paid, "webhook"),
        journal.record(answered(one), "verify"),
    )
    found = await journal.find("toy", "collect", reference="order-1")
    assert found is not None
    assert (found.payment.status, found.payment.receipt) == (Status.SUCCEEDED, "R1")
    assert found.payment.prompt == "dial *126#"
    assert facts(journal)[:4] == ["intent", "sending", "answer", "webhook"]


async def test_a_damaged_row_fails_alone(journal: SqliteJournal) -> None:
    """What is said of a row that cannot be read fails, and of the others of the batch does not."""
    orders = await sent(journal, "order-1", "order-2", "order-3")
    await asyncio.gather(
        *(journal.record(answered(one), "answer", State.ACCEPTED) for one in orders)
    )
    db_of(journal).execute("UPDATE payments SET payment = '{' WHERE reference = 'order-2'")
    done = await asyncio.gather(
        *(journal.record(answered(one, message="news"), "verify") for one in orders),
        return_exceptions=True,
    )
    assert [type(one) for one in done] == [type(None), OSError, type(None)]
    assert "order-2" in str(done[1])


async def test_a_cancelled_caller_of_a_batch_is_withdrawn_alone(journal: SqliteJournal) -> None:
    """A caller that leaves before its order is recorded sends nothing; the others go on."""
    leaving = asyncio.create_task(journal.intend(order(), DIGEST))
    staying = asyncio.create_task(journal.intend(order("order-2"), DIGEST))
    await asyncio.sleep(0)
    leaving.cancel()
    assert await staying is None
    with contextlib.suppress(asyncio.CancelledError):
        await leaving
    await journal.mark_sending(order("order-2"))
    await journal.find("toy", "collect", reference="order-2")  # the withdrawal was queued before
    assert row(journal)[0] == "not_sent"
    assert row(journal, "order-2")[0] == "sending"


async def test_a_fact_that_is_written_again_adds_none(journal: SqliteJournal) -> None:
    """A write whose outcome was unknown is repeated: its fact is there once."""
    (one,) = await sent(journal, "order-1")
    fact = Fact(answered(one), "answer", State.ACCEPTED)
    journal._payments.apply_all([fact], db_of(journal))
    journal._payments.apply_all([fact], db_of(journal))
    assert facts(journal) == ["intent", "sending", "answer"]
    assert row(journal) == ("accepted", "id-order-1")


async def test_each_fact_has_an_id_of_its_own(journal: SqliteJournal) -> None:
    """No fact is without an id, and no two have one."""
    orders = await sent(journal, "order-1", "order-2")
    await journal.record(answered(orders[0]), "answer", State.ACCEPTED)
    ids = [uid for (uid,) in db_of(journal).execute("SELECT uid FROM facts")]
    assert len({*ids}) == len(ids) == 5
    assert None not in ids


async def test_a_row_that_another_changed_is_read_again(journal: SqliteJournal) -> None:
    """An answer is applied to the row as it is, not as its sender left it."""
    one, other = await sent(journal, "order-1", "order-2")
    known = msgspec.json.encode(answered(one, receipt="R1")).decode()
    db_of(journal).execute(
        "UPDATE payments SET payment = ?, version = 'another' WHERE reference = 'order-1'", (known,)
    )
    await asyncio.gather(
        journal.record(one, "answer", State.ACCEPTED),
        journal.record(answered(other), "answer", State.ACCEPTED),
    )
    found = await journal.find("toy", "collect", reference="order-1")
    assert found is not None
    assert (found.state, found.payment.receipt) == (State.ACCEPTED, "R1")
    assert facts(journal) == ["intent", "sending", "answer"]
    assert row(journal, "order-2") == ("accepted", "id-order-2")


async def test_an_order_forgotten_by_then_is_no_error(journal: SqliteJournal) -> None:
    """A fact about an order that is not in the journal any more is left out."""
    one, other = await sent(journal, "order-1", "order-2")
    db_of(journal).execute("DELETE FROM payments WHERE reference = 'order-1'")
    await asyncio.gather(
        journal.record(answered(one), "answer", State.ACCEPTED),
        journal.record(answered(other), "answer", State.ACCEPTED),
    )
    assert facts(journal) == ["intent", "sending"]
    assert facts(journal, "order-2") == ["intent", "sending", "answer"]


async def test_a_row_whose_payer_is_forgotten_is_another_version(journal: SqliteJournal) -> None:
    """A worker that has read a payment before its payer is forgotten does not write it back."""
    ended = order(payer="237677777777", status=Status.FAILED)
    await journal.intend(ended, DIGEST)
    await journal.mark_sending(ended)
    await journal.record(ended, "answer", State.ACCEPTED)
    await journal.outbox.mark_notified(ended)
    sql = "SELECT version FROM payments"
    before = db_of(journal).execute(sql).fetchone()
    await journal.forget_payer("237677777777")
    assert db_of(journal).execute(sql).fetchone() != before


def _verb(name: str, done: list[tuple[str, list[Any]]]) -> Any:
    def run(items: Sequence[Any], _: Database) -> list[Any]:
        done.append((name, list(items)))
        return list(items)

    return run


def test_a_group_waits_for_what_its_orders_wait_for() -> None:
    """Items of a verb run at once; an order's own steps, and what has no key, stay in place."""
    begin, send, look = (_verb(name, []) for name in ("begin", "send", "look"))

    def plain(_: Database) -> None: ...

    def groups(*works: Any) -> list[list[Any]]:
        return [
            [work.do.item if isinstance(work.do, Bulk) else work.do for work in group]
            for group in in_groups([Work(one) for one in works])
        ]

    assert groups(
        Bulk(begin, "b1", 1), Bulk(send, "s2", 2), Bulk(begin, "b3", 3), Bulk(send, "s4", 4)
    ) == [["b1", "b3"], ["s2", "s4"]]
    assert groups(
        Bulk(begin, "b1", 1), Bulk(begin, "b2", 2), Bulk(send, "s1", 1), Bulk(begin, "b3", 3)
    ) == [["b1", "b2"], ["s1"], ["b3"]]
    assert groups(Bulk(begin, "b1", 1), plain, Bulk(begin, "b2", 2)) == [["b1"], [plain], ["b2"]]
    assert groups(Bulk(look, "l1"), Bulk(look, "l2"), Bulk(begin, "b1", 1), Bulk(look, "l3")) == [
        ["l1", "l2"],
        ["b1"],
        ["l3"],
    ]


def test_an_operation_is_taken_once_from_a_long_queue() -> None:
    """A thread that takes a part of a long queue leaves the rest there, in order."""
    works = [Work(lambda _: None) for _ in range(MAX_BATCH + 3)]
    waiting: SimpleQueue[Work | None] = SimpleQueue()
    for work in (*works, None):
        waiting.put(work)
    taken: list[Work] = []
    assert not gather(waiting, taken, None, lambda: 0)
    assert len(taken) == MAX_BATCH
    assert gather(waiting, taken, None, lambda: 0)
    assert [id(work) for work in taken] == [id(work) for work in works]


def test_a_commit_waits_for_answers_of_other_orders(monkeypatch: pytest.MonkeyPatch) -> None:
    """An answer waits a moment for those of five others in flight, and for no fewer."""
    waiting: SimpleQueue[Work | None] = SimpleQueue()
    slept: list[float] = []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        waiting.put(Work(lambda _: None))

    monkeypatch.setattr("paymux.journal.stored.gathering.time.sleep", sleep)
    for others, expected in ((5, 2), (4, 1)):
        waiting.put(Work(lambda _: None))
        taken: list[Work] = []
        assert not gather(waiting, taken, None, partial(int, others + 1))
        assert len(taken) == expected
    assert slept == [COMMIT_DELAY_SECONDS]


def test_a_verb_that_fails_for_all_is_tried_for_each(tmp_path: Path) -> None:
    """A verb that cannot run for some of its items runs for the others."""

    def run(items: Sequence[Any], _: Database) -> list[Any]:
        if "bad" in items:
            raise ValueError("bad")
        return list(items)

    with contextlib.closing(sqlite3.connect(tmp_path / "any.db", isolation_level=None)) as db:
        works = [Work(Bulk(run, item, item)) for item in ("one", "bad", "two")]
        answers = run_batch(db, works)
    assert [(answer.result, answer.error and str(answer.error)) for answer in answers] == [
        ("one", None),
        (None, "the journal: bad"),
        ("two", None),
    ]


def test_a_forked_child_makes_other_ids() -> None:
    """A child makes no id that its parent makes."""
    before = new_id()
    new_id.after_fork_in_child()
    assert new_id()[:12] != before[:12]
    assert new_id() != new_id()
