"""The functions that write many payments at once: no dead-lock, and nothing done twice."""

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import pytest
from msgspec.structs import replace

from paymux.journal import State
from paymux.journal.ids import new_id
from paymux.journal.postgres import PostgresJournal
from paymux.journal.postgres.address import Address
from paymux.journal.postgres.connection import Connection, Failed
from paymux.journal.postgres.opening import lock_of, open_connection
from paymux.journal.postgres.payment_rows import PostgresRows
from paymux.journal.tables.payment_rows import Change, NewFact, NewRow

from ..journal_conformance.orders import order
from .test_opening import sql, until

T = TypeVar("T")
AT = "2026-01-02T03:04:05.000000+00:00"
PAYMENT = '{"account":"toy"}'


def on(database: str, work: Callable[[Connection, PostgresRows], T]) -> T:
    """Run work in a session of its own."""
    loop = asyncio.new_event_loop()
    connection = open_connection(Address(database), loop)
    try:
        lock = lock_of(connection, Address(database))
        return work(connection, PostgresRows(lambda: lock))
    finally:
        connection.close()
        loop.close()


def fact(number: int, source: str = "intent", id: str = "") -> NewFact:
    """Return a fact about an order."""
    key = ("toy", "collect", f"order-{number:03}")
    return NewFact(key, id or new_id(), source, State.INTENT, "pending", PAYMENT)  # type: ignore[arg-type]  # a literal each


def row(number: int, replaces: str | None = None, id: str = "") -> NewRow:
    """Return a new order."""
    return NewRow(fact(number, id=id), "500", "XAF", "237677777777", "digest", replaces)


def change(number: int, version: str, state: State = State.ACCEPTED, id: str = "") -> Change:
    """Return a change of an order that another worker may have changed."""
    new = replace(fact(number, "verify", id), state=state)
    return Change(new, version, State.INTENT, "me", state, "pending", "id-1", PAYMENT, "me")


def test_a_call_that_is_repeated_does_nothing_twice(database: str) -> None:
    """Each returns what it returned before, and appends no fact."""

    def work(db: Connection, rows: PostgresRows) -> None:
        added = row(1, id="a")
        sending = fact(1, "sending", "b")
        for _ in range(2):
            assert rows.add([added], AT, "me", db) == {added.fact.key: "a"}
        for _ in range(2):
            assert rows.mark_sending([sending], AT, "me", db) == {added.fact.key: "b"}
        assert rows.add([added], AT, "me", db) == {added.fact.key: ""}  # it was, and has moved on
        answer = replace(change(1, "b", id="c"), was=State.SENDING)
        for _ in range(2):
            assert rows.change([answer], AT, db) == {added.fact.key: "c"}
        assert rows.mark_sending([sending], AT, "me", db) == {added.fact.key: ""}
        assert rows.find([added.fact.key], db)[added.fact.key].version == "c"

    on(database, work)
    assert sql(database, "SELECT string_agg(uid, '' ORDER BY id) FROM facts") == ["abc"]


def test_what_another_has_changed_is_left_alone(database: str) -> None:
    """Only rows that are as their caller has read them are changed; the others are told apart."""

    def work(db: Connection, rows: PostgresRows) -> None:
        keys = [row(number).fact.key for number in range(4)]
        versions = rows.add([row(number) for number in range(3)], AT, "me", db)
        assert list(versions) == keys[:3]
        assert rows.add([row(1), row(3)], AT, "other", db).keys() == {keys[3]}
        assert rows.mark_sending([fact(0, "sending"), fact(3, "sending")], AT, "me", db).keys() == {
            keys[0]
        }
        stale = change(0, versions[keys[0]])
        fresh = change(1, versions[keys[1]])
        assert rows.change([fresh, stale], AT, db).keys() == {keys[1]}
        # A row gives its place to another order only as it was read.
        assert rows.add([row(2, replaces="another")], AT, "me", db) == {}
        assert rows.add([row(2, replaces=versions[keys[2]])], AT, "me", db).keys() == {keys[2]}

    on(database, work)


def test_a_deleted_order_is_not_added_again(database: str) -> None:
    """Its reference is never free."""
    on(database, lambda *_: None)
    forgotten = "('toy', 'collect', 'order-001', 'digest', 'succeeded', '2026')"
    sql(database, f"INSERT INTO forgotten VALUES {forgotten}")  # noqa: S608 - our own

    def work(db: Connection, rows: PostgresRows) -> None:
        added = [row(1), row(2)]
        assert rows.add(added, AT, "me", db).keys() == {added[1].fact.key}
        found = rows.forgotten([one.fact.key for one in added], db)
        assert found == {added[0].fact.key: ("digest", "succeeded", "2026")}
        assert rows.find([], db) == {}

    on(database, work)


@pytest.mark.slow
def test_batches_that_overlap_never_dead_lock(database: str) -> None:
    """A thousand batches of four workers, each of twenty rows of forty in any order."""
    on(database, lambda db, rows: rows.add([row(n) for n in range(40)], AT, "me", db))

    def batches(seed: int) -> Counter[str]:
        chance, ended = random.Random(seed), Counter[str]()

        def work(db: Connection, rows: PostgresRows) -> None:
            for _ in range(250):
                numbers = chance.sample(range(40), 20)
                known = rows.find([fact(number).key for number in numbers], db)
                changes = [
                    change(number, known[fact(number).key].version, State.INTENT)
                    for number in numbers
                ]
                try:
                    ended["changed"] += len(rows.change(changes, AT, db))
                    rows.add([row(chance.randrange(40, 400)) for _ in range(1)], AT, "me", db)
                except Failed as error:
                    ended[error.sqlstate] += 1
                    db.failed = None

        on(database, work)
        return ended

    with ThreadPoolExecutor(4) as threads:
        total = sum(threads.map(batches, range(4)), Counter[str]())
    assert total.keys() == {"changed"}
    assert total["changed"] > 1000


@pytest.mark.slow
async def test_a_payment_takes_few_statements(database: str) -> None:
    """A hundred at once: at most 0.05 statements for each."""
    journal = PostgresJournal(database)
    await journal.open()
    count = {"statements": 0}
    runner: Any = journal._writer.runner
    await journal.find("toy", "collect", reference="order")
    run = runner.db.run

    def counted(call: Any, *more: Any) -> Any:
        count["statements"] += 1
        return run(call, *more)

    runner.db.run = counted

    async def pay(number: int) -> None:
        one = order(f"order-{number}")
        await journal.intend(one, "digest")
        await journal.mark_sending(one)
        await journal.record(one, "answer", State.ACCEPTED)

    await asyncio.gather(*(pay(number) for number in range(100)))
    count["statements"] = 0
    await asyncio.gather(*(pay(number) for number in range(100, 200)))
    assert count["statements"] <= 5
    await journal.aclose()


async def test_an_update_of_the_state_touches_no_index(database: str) -> None:
    """It stays in its page (HOT), so that a busy journal does not grow."""
    journal = PostgresJournal(database)
    await journal.open()
    for number in range(20):
        await journal.intend(order(f"order-{number}"), "digest")
        await journal.mark_sending(order(f"order-{number}"))
        await journal.record(order(f"order-{number}"), "answer", State.ACCEPTED)
    await journal.aclose()
    counted = """SELECT coalesce(sum(n_tup_upd - n_tup_hot_upd), 0)::bigint || ' of '
        || coalesce(sum(n_tup_upd), 0)::bigint FROM pg_stat_user_tables
        WHERE schemaname = current_schema() AND relname = 'payments'"""
    await until(lambda: str(sql(database, counted)[0]).endswith(" of 40"))
    assert sql(database, counted) == ["0 of 40"]
