"""When the database goes away: nothing is lost, nothing is done twice, and no caller waits long."""

import asyncio
import contextlib
import logging
import os
import signal
import time
from typing import Any

import pytest

from paymux import NotSent, Payment, Pool, Unavailable
from paymux.http import PreparedRequest
from paymux.journal import State
from paymux.journal.postgres import PostgresJournal
from paymux.journal.postgres.address import Address
from paymux.journal.postgres.connection import connected

from ..campaigns.cuts import cuts
from ..clusters import Cluster
from ..journal_conformance.orders import order, paid, sent
from ..toys import Desk, Keyless, Wire, answer
from .proxy import Proxy
from .test_opening import sql, until

TURN = Payment(account="keyless", kind="collect", reference="order-1")


def through(network: Proxy, database: str, server: Cluster) -> str:
    """Return the URL of a journal by way of a network that can be troubled."""
    return database.replace(f":{server.port}/", f":{network.port}/")


async def charge(pay: Pool, reference: str = "order-1") -> Payment:
    """Collect 500."""
    return await pay.collect("keyless", amount=500, currency="XAF", reference=reference)


def _journal(pay: Pool) -> Any:
    return pay._engine.store.journal


def states(database: str) -> Any:
    """Return the states of all orders, by reference."""
    found = "SELECT string_agg(reference || ' ' || state, ', ' ORDER BY reference) FROM payments"
    return sql(database, found)[0]


@pytest.mark.slow
async def test_what_is_under_way_ends_while_the_database_is_away(
    postgres: Cluster, database: str
) -> None:
    """A new order is NotSent; an answer is returned soon, and kept once the database is back."""
    gate, sent_off = asyncio.Event(), asyncio.Event()
    desk = Desk(collect=answer(id="id-1", status="WAIT"))

    async def slow(outgoing: PreparedRequest) -> Any:
        sent_off.set()
        await gate.wait()
        return desk(outgoing)

    async with Proxy(postgres.port) as network:
        url = through(network, database, postgres)
        async with Pool(Keyless(), connection=Wire(slow), journal=url, deadline=30) as pay:
            running = asyncio.create_task(charge(pay))
            await sent_off.wait()
            hole = asyncio.create_task(network.swallow_for(9.0))
            await asyncio.sleep(0)
            began = time.monotonic()
            gate.set()
            assert (await running).provider_reference == "id-1"
            assert time.monotonic() - began < 3
            refused = await asyncio.gather(
                charge(pay, "order-2"),
                pay.once(TURN, "receipt").__aenter__(),
                return_exceptions=True,
            )
            assert [type(one) for one in refused] == [NotSent, Unavailable]
            assert time.monotonic() - began < 9
            await hole
            back = time.monotonic()
            await until(lambda: states(database) == "order-1 accepted")
            assert time.monotonic() - back < 5
            async with pay.once(TURN, "receipt") as turn:
                assert turn


async def test_a_lost_answer_to_a_commit_does_nothing_twice(
    postgres: Cluster, database: str
) -> None:
    """Each operation of an order whose COMMIT has no answer is done once, and goes on."""
    async with Proxy(postgres.port) as network:
        journal = PostgresJournal(through(network, database, postgres))
        await journal.open()
        for number in range(6):
            one = order(f"order-{number}")

            async def cut_off() -> None:
                await network.lose_answers(0.05)

            trouble = asyncio.create_task(cut_off())
            await asyncio.sleep(0.002 * number)
            await sent(journal, one)
            await journal.record(paid(f"order-{number}"), "verify")
            await trouble
        await journal.aclose()
    twice = "SELECT count(*) FROM (SELECT 1 FROM facts GROUP BY reference, source, state, status"
    assert sql(database, f"{twice} HAVING count(*) > 1) AS twice")[0] == 0
    assert sql(database, "SELECT count(*) FROM facts")[0] == 24


async def test_a_session_that_hung_does_nothing_more(postgres: Cluster, database: str) -> None:
    """What a caller was told is not begun is not begun later: no other worker waits for it."""
    connection = Wire(Desk(collect=answer(id="id-1", status="WAIT")))
    async with Pool(Keyless(), connection=connection, journal=database) as pay:
        await charge(pay)
        pid = _journal(pay)._writer.runner.db.pid
        os.kill(pid, signal.SIGSTOP)
        try:
            with pytest.raises(NotSent):
                await charge(pay, "order-2")
            await charge(pay, "order-3")
        finally:
            os.kill(pid, signal.SIGCONT)
        alive = "SELECT string_agg(pid::text, ' ') FROM pg_stat_activity"
        await until(lambda: str(pid) not in sql(database, alive)[0].split())
        assert states(database) == "order-1 accepted, order-3 accepted"


async def test_a_restart_of_the_server_is_waited_for(postgres: Cluster, database: str) -> None:
    """Callers of a moment without a server get their answer when it is back."""
    journal = PostgresJournal(database)
    await journal.open()
    postgres.stop()
    calls = [asyncio.ensure_future(journal.intend(order(f"order-{n}"), "d")) for n in range(10)]
    await asyncio.to_thread(postgres.start)
    assert await asyncio.gather(*calls) == [None] * 10
    await journal.aclose()


async def test_an_outage_is_told_once(
    postgres: Cluster, database: str, caplog: pytest.LogCaptureFixture
) -> None:
    """One record says that the server is away, one that it is back; the error says what is."""
    caplog.set_level(logging.WARNING)
    async with Pool(Keyless(), connection=Wire(Desk()), journal=database) as pay:
        await asyncio.to_thread(postgres.stop)
        with pytest.raises(NotSent, match="journal's database cannot be used now: ") as refused:
            await charge(pay)
        await asyncio.to_thread(postgres.start)
        assert str(refused.value).endswith("; nothing was sent")
        await until(lambda: "connected to the journal again" in caplog.text)
    told = [one.getMessage() for one in caplog.records if "to the journal" in one.getMessage()]
    assert [one.partition(":")[0] for one in told] == [
        "this worker's connection to the journal broke",
        "this worker is connected to the journal again",
    ]


async def test_a_crash_of_the_server_loses_nothing(postgres: Cluster, database: str) -> None:
    """What was confirmed is there after it."""
    journal = PostgresJournal(database)
    await journal.open()
    for number in range(20):
        await sent(journal, order(f"order-{number}"))
    postgres.stop(signal.SIGQUIT)
    await asyncio.to_thread(postgres.start)
    for number in range(20):
        row = await journal.find("toy", "collect", reference=f"order-{number}")
        assert row is not None
        assert row.state is State.ACCEPTED
    await journal.aclose()


async def test_a_client_that_sleeps_in_a_transaction_blocks_nobody_for_long(
    database: str,
) -> None:
    """It holds the lock of the journal, and is ended by the server."""
    journal = PostgresJournal(database)
    await journal.open()
    loop = asyncio.new_event_loop()

    def held() -> Any:
        connection = connected(Address(database), loop)
        oid = "SELECT oid::bigint FROM pg_namespace WHERE nspname = current_schema()"
        connection.begin((0x70617901 << 32) | connection.value(oid))
        return connection

    sleeping = await asyncio.to_thread(held)
    began = time.monotonic()
    assert await journal.intend(order(), "digest") is None
    assert 0.5 < time.monotonic() - began < 5
    await asyncio.to_thread(sleeping.close)
    loop.close()
    await journal.aclose()


async def test_an_order_that_waits_for_the_lock_is_withdrawn_after_its_caller(
    database: str,
) -> None:
    """It is recorded later than its caller was cancelled, and withdrawn after that."""
    journal = PostgresJournal(database)
    await journal.open()
    loop = asyncio.new_event_loop()

    def held() -> None:
        connection = connected(Address(database), loop)
        oid = "SELECT oid::bigint FROM pg_namespace WHERE nspname = current_schema()"
        key = (0x70617901 << 32) | connection.value(oid)
        connection.command("SET statement_timeout = 0; SET lock_timeout = 0")
        lock = f"SELECT pg_advisory_lock({key}), pg_sleep(4)"  # longer than others wait for it
        connection.run(lambda: connection._link.execute(lock), 10)
        connection.close()

    # The locks of a journal: those of a worker are of two numbers.
    granted = (
        "SELECT string_agg(granted::text, ' ' ORDER BY granted DESC) FROM pg_locks"
        " WHERE locktype = 'advisory' AND objsubid = 1"
    )

    holder = asyncio.create_task(asyncio.to_thread(held))
    await until(lambda: sql(database, granted) == ["true"])
    call = asyncio.create_task(journal.intend(order(), "digest"))
    await until(lambda: sql(database, granted) == ["true false"])
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await holder
    loop.close()
    await until(lambda: states(database) == "order-1 not_sent")
    await journal.aclose()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
async def test_a_forked_child_is_another_worker(database: str) -> None:
    """It writes on a session of its own, and the parent's goes on."""
    journal = PostgresJournal(database)
    await journal.open()
    assert await journal.intend(order("order-1"), "digest") is None
    child = os.fork()
    if child == 0:  # pragma: no cover - another process
        code = 1
        with contextlib.suppress(BaseException):
            code = _in_child(journal)
        os._exit(code)
    _, status = await asyncio.to_thread(os.waitpid, child, 0)
    assert os.waitstatus_to_exitcode(status) == 0
    await journal.mark_sending(order("order-1"))
    row = await journal.find("toy", "collect", reference="order-2")
    assert row is not None
    assert row.state is State.ACCEPTED
    await journal.aclose()


def _in_child(journal: PostgresJournal) -> int:
    async def work() -> int:
        row = await journal.intend(order("order-1"), "digest")
        assert row is not None
        assert row.in_flight
        await sent(journal, order("order-2"))
        await journal.aclose()
        return 0

    asyncio.events._set_running_loop(None)
    loop = asyncio.new_event_loop()
    return loop.run_until_complete(work())


@pytest.mark.slow
@pytest.mark.timeout(240)
async def test_no_trouble_makes_a_wrong_row(postgres: Cluster, database: str) -> None:
    """200 payments under cuts, black holes, lost answers and restarts of the server."""
    report = await cuts(postgres, database.rpartition("=")[2], 200, 1, restarts=True)
    assert not report.wrong
    assert not report.doubled
    assert report.latest < 5
    assert report.outcomes["returned"] > 100
