"""The functions that keep messages and claim ends at once: nothing is told or kept twice."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from msgspec.structs import replace

from paymux.journal import Ended, State
from paymux.journal.base import FollowUp
from paymux.journal.postgres import PostgresJournal
from paymux.journal.postgres.connection import Connection, ServerGone
from paymux.journal.postgres.end_claims import PostgresEnds
from paymux.journal.postgres.message_rows import PostgresMessages
from paymux.journal.postgres.payment_rows import PostgresRows
from paymux.journal.tables.adopted_ends import Twin
from paymux.journal.tables.end_claims import FoundEnd, NewEnd
from paymux.journal.tables.message_rows import NewMessage
from paymux.models import ADOPTED, Status

from ..journal_conformance.orders import order, paid, sent
from ..journal_conformance.test_outbox import entered, untold
from .test_opening import sql
from .test_payment_rows import AT, change, on, row

KEY: Any = ("toy", "collect", "order-001")
END = NewEnd(KEY, "fact", Status.SUCCEEDED, asked=True)


def ended(rows: PostgresRows, db: Connection) -> None:
    """Write an order that has succeeded."""
    (version,) = rows.add([row(1)], AT, "me", db).values()
    end = replace(change(1, version), was=State.INTENT, status="succeeded")
    assert rows.change([end], AT, db)


def a_message(number: int, *, open: bool = True) -> NewMessage:
    """Return a message about one order."""
    text = f'{{"n":{number}}}'
    return NewMessage("toy", "collect", KEY[2], "id-1", text, proved=False, places=3, open=open)


def test_an_end_is_claimed_once_for_a_fact(database: str) -> None:
    """A call that is repeated has its claim; no other fact and no other worker has it."""

    def work(db: Connection, rows: PostgresRows) -> None:
        ends = PostgresEnds(rows._lock)
        ended(rows, db)
        assert ends.claim([replace(END, asked=False)], "me", db)["fact"] == FoundEnd(None, False)
        for _ in range(2):
            assert ends.claim([END], "me", db)["fact"] == FoundEnd(None, True)
        assert not ends.claim([replace(END, id="other")], "me", db)["other"].claimed
        assert not ends.claim([END], "another", db)["fact"].claimed
        sql(database, "UPDATE payments SET told = status, teller = NULL")
        assert ends.claim([END], "me", db)["fact"] == FoundEnd("succeeded", False)

    on(database, work)


def test_an_end_with_a_teller_is_left_to_the_scan(database: str) -> None:
    """As is one whose once-lock release 0.1 has, and one that is in another status by now."""

    def work(db: Connection, rows: PostgresRows) -> None:
        ends = PostgresEnds(rows._lock)
        ended(rows, db)
        assert not ends.claim([replace(END, status=Status.FAILED)], "me", db)["fact"].claimed
        turn = "('toy', 'collect', 'order-001', 'on_payment succeeded', '', 'old', 'old')"
        sql(database, f"INSERT INTO turns VALUES {turn}")  # noqa: S608 - our own
        assert not ends.claim([END], "me", db)["fact"].claimed
        sql(database, "DELETE FROM turns")
        sql(database, "UPDATE payments SET teller = 'dead'")
        assert not ends.claim([END], "me", db)["fact"].claimed
        sql(database, "UPDATE payments SET teller = NULL")
        assert ends.claim([END], "me", db)["fact"].claimed

    on(database, work)
    assert sql(database, "SELECT teller || '|' || claim FROM payments") == ["me|fact"]


def test_a_twin_is_looked_for_once(database: str) -> None:
    """A change that is repeated, as its answer was lost, makes nothing untold that was told."""

    def work(db: Connection, rows: PostgresRows) -> None:
        (version,) = rows.add([row(1)], AT, "me", db).values()
        first = replace(change(1, version), status="succeeded")
        versions = rows.change([first], AT, db)
        adopted = replace(row(2).fact, key=("toy", "collect", f"{ADOPTED}R1"))
        rows.add([replace(row(2), fact=adopted)], AT, "me", db)
        matched = "(account, receipt, at, event, reference)"
        matched += " VALUES ('toy', 'R1', '', '{}', 'order-001')"
        sql(database, f"INSERT INTO unconfirmed {matched}")
        sql(database, "UPDATE payments SET told = status WHERE reference = 'order-001'")
        second = replace(
            change(1, versions[KEY], id="second"),
            was=State.ACCEPTED,
            status="succeeded",
            twin=Twin(f"{ADOPTED}R2", matched=True),
        )
        assert rows.change([second], AT, db)
        told = "SELECT told FROM payments WHERE reference = 'order-001'"
        assert sql(database, told) == [None]
        sql(database, "UPDATE payments SET told = status WHERE reference = 'order-001'")
        assert rows.change([second], AT, db) == {KEY: "second"}
        assert sql(database, told) == ["succeeded"]

    on(database, work)


def test_messages_of_one_call_share_the_places_of_their_order(database: str) -> None:
    """Three are kept, each once; a call that is repeated keeps no other."""

    def work(db: Connection, rows: PostgresRows) -> None:
        messages = PostgresMessages(rows._lock)
        rows.add([row(1)], AT, "me", db)
        five = [a_message(number) for number in (5, 4, 4, 3, 2)]
        for _ in range(2):
            assert messages.keep(five, AT, "me", db) == [False, True, True, True, True]
        unnamed = replace(five[0], reference=None)
        assert messages.keep([unnamed, unnamed], AT, "me", db) == [True, True]
        # Kept already: it is the last receiver's, if that processes it.
        assert messages.keep([a_message(4, open=False), a_message(3)], AT, "two", db)

    on(database, work)
    found = sql(database, "SELECT string_agg(event || worker, ' ' ORDER BY event) FROM hints")
    assert found == ['{"n":2}me {"n":3}two {"n":4}me {"n":5}me']


@pytest.mark.parametrize("verb", [(PostgresRows, "change"), (PostgresEnds, "claim")])
async def test_an_end_whose_answer_was_lost_is_told_once(
    database: str, monkeypatch: pytest.MonkeyPatch, verb: Any
) -> None:
    """The statement is repeated over another connection, and its caller has the claim."""
    of, name = verb
    done = getattr(of, name)

    def lost(self: Any, items: Any, *given: Any) -> Any:
        result = done(self, items, *given)
        if any(getattr(one, "status", "") == "succeeded" for one in items) and not cut:
            cut.append(given[-1])
            given[-1].terminate()
            raise ServerGone("no answer")
        return result

    cut: list[Connection] = []
    monkeypatch.setattr(of, name, lost)
    one, two, found = PostgresJournal(database), PostgresJournal(database), list[Any]()
    try:
        for journal in (one, two):
            await entered(journal)
        await sent(one, order())
        await one.record(paid(), "verify", None, FollowUp(True, None, found.append))
        assert cut
        assert found[0].claimed is not None
        assert await untold(one) == await untold(two) == []
        await one.outbox.mark_notified(paid())
        await one.record(
            replace(paid(), fee=1), "webhook", None, FollowUp(True, None, found.append)
        )
        assert found[1] == Ended(told=True)
        assert await untold(one) == await untold(two) == []
    finally:
        await one.aclose()
        await two.aclose()
    facts = "SELECT string_agg(source, ' ' ORDER BY id) FROM facts"
    assert sql(database, facts) == ["intent sending answer verify webhook"]


@pytest.mark.slow
def test_workers_that_keep_messages_at_once_share_the_places(database: str) -> None:
    """Four workers, twenty messages each about ten orders, in any order: three for each order."""
    on(database, lambda db, rows: rows.add([row(n) for n in range(10)], AT, "me", db))

    def keep(worker: int) -> None:
        def work(db: Connection, rows: PostgresRows) -> None:
            for turn in range(20):
                one = a_message(100 * turn + worker)
                orders = [f"order-{number:03}" for number in range(10)][:: 1 if worker % 2 else -1]
                PostgresMessages(rows._lock).keep(
                    [replace(one, reference=of, text=f'"{of}{one.text}"') for of in orders],
                    AT, str(worker), db,
                )  # fmt: skip

        on(database, work)

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(keep, range(4)))
    counted = "(SELECT count(*) AS number FROM hints GROUP BY reference) c"
    of_each = sql(database, f"SELECT string_agg(number::text, '') FROM {counted}")  # noqa: S608 - our own
    assert of_each == ["3" * 10]
