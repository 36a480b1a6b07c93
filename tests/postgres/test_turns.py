"""Turns on PostgreSQL: suspended, taken over, and ended in a transaction of the caller's own."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import asyncpg
import psycopg
import pytest
import sqlalchemy
from psycopg.rows import dict_row
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine

from paymux import Payment, Pool, Unavailable, Unsupported, UsageError
from paymux.journal.postgres import PostgresJournal
from paymux.journal.postgres.timing import Timing

from ..clusters import Cluster
from ..toys import Desk, Toy, Wire
from .proxy import Proxy

SHORT = Timing(beat=0.1, suspend=0.8, grace=1.3, answer=0.4)
PAID = Payment(account="toy", kind="collect", reference="order-1")


def pool(journal: str, timing: Timing = SHORT) -> Pool:
    """Make a pool of one worker."""
    return Pool(Toy(), connection=Wire(Desk()), journal=PostgresJournal(journal, timing=timing))


def behind(journal: str, cluster: Cluster, proxy: Proxy) -> str:
    """Return the URL of the same journal behind a proxy."""
    return journal.replace(f":{cluster.port}/", f":{proxy.port}/")


async def taken(pay: Pool) -> int:
    """Take the turn, and do nothing; returns its fence."""
    async with pay.once(PAID, "shipped") as turn:
        return turn.fence


async def later(pay: Pool, seconds: float = 10.0) -> tuple[int, float]:
    """Ask again and again until the turn is had; returns its fence, and how long it took."""
    began = time.monotonic()
    while True:
        if fence := await taken(pay):
            return fence, time.monotonic() - began
        assert time.monotonic() < began + seconds, "the turn was not had in time"
        await asyncio.sleep(0.05)


async def cut_off(proxy: Proxy) -> None:
    """Cut a worker off from its server, until it is suspended; go on in spite of that."""
    proxy.refuse = True
    proxy.cut()
    with contextlib.suppress(asyncio.CancelledError):
        await asyncio.sleep(60)


# Suspension.


async def test_the_body_of_a_suspended_worker_is_cancelled(
    postgres: Cluster, database: str
) -> None:
    """Before another has the turn, the body has been cancelled, and Unavailable says why."""
    begun, cancelled = asyncio.Event(), asyncio.Event()
    async with (
        Proxy(postgres.port) as proxy,
        pool(database) as other,
        pool(behind(database, postgres, proxy)) as pay,
    ):

        async def work() -> None:
            async with pay.once(PAID, "shipped") as turn:
                assert turn
                begun.set()
                proxy.refuse = True
                proxy.cut()
                try:
                    await asyncio.sleep(60)
                finally:
                    cancelled.set()

        task = asyncio.create_task(work())
        await begun.wait()
        took = asyncio.create_task(later(other))
        await cancelled.wait()
        assert not took.done()
        with pytest.raises(Unavailable, match=r"toy: shipped was cancelled.*confirmed"):
            await task
        assert task.cancelling() == 0
        assert (await took)[0] == 2
        proxy.refuse = False


async def test_a_suspended_worker_takes_no_turn(postgres: Cluster, database: str) -> None:
    """Not even a free one; when it resumes, it does."""
    async with Proxy(postgres.port) as proxy, pool(behind(database, postgres, proxy)) as pay:
        journal: Any = pay._engine.store.journal
        proxy.refuse = True
        proxy.cut()
        while not journal.suspension.suspended:
            await asyncio.sleep(0.01)
        with pytest.raises(Unavailable, match="confirmed"):
            await taken(pay)
        proxy.refuse = False
        while journal.suspension.suspended:
            await asyncio.sleep(0.01)
        assert await taken(pay) == 1


async def test_a_callers_own_cancellation_stays_one(postgres: Cluster, database: str) -> None:
    """Also if the worker is suspended at the same moment."""
    async with Proxy(postgres.port) as proxy, pool(behind(database, postgres, proxy)) as pay:
        journal: Any = pay._engine.store.journal
        began = asyncio.Event()

        async def work() -> None:
            async with pay.once(PAID, "shipped"):
                began.set()
                await asyncio.sleep(60)

        for both in (False, True):
            task = asyncio.create_task(work())
            await began.wait()
            began.clear()
            if both:
                for call in list(journal.suspension._bodies.values()):
                    call()
                asyncio.get_running_loop().call_soon(task.cancel)
                await asyncio.sleep(0)
            else:
                task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert await taken(pay) == 3


async def test_a_body_that_ends_in_time_is_done(postgres: Cluster, database: str) -> None:
    """A break that is shorter than the times changes nothing."""
    async with (
        Proxy(postgres.port) as proxy,
        pool(database) as other,
        pool(behind(database, postgres, proxy)) as pay,
    ):
        async with pay.once(PAID, "shipped") as turn:
            assert turn.fence == 1
            proxy.cut()
            await asyncio.sleep(0.4)
            assert not await taken(other)
        assert not await taken(other)


async def test_an_end_that_is_too_late_is_said(
    postgres: Cluster, database: str, caplog: pytest.LogCaptureFixture
) -> None:
    """A body that went on in spite of its cancellation learns that another had the turn."""
    async with (
        Proxy(postgres.port) as proxy,
        pool(database) as other,
        pool(behind(database, postgres, proxy)) as pay,
    ):

        async def work() -> None:
            async with pay.once(PAID, "shipped"):
                await cut_off(proxy)
                await later(other)
                proxy.refuse = False
                await asyncio.sleep(1)

        with pytest.raises(Unavailable, match=r"too late: another worker has had the turn"):
            await work()
    assert "done too late" in caplog.text


async def test_a_turn_whose_end_is_not_stored_is_unavailable_and_stored_later(
    postgres: Cluster, database: str
) -> None:
    """The caller learns that it is done but not stored; it is stored when the server is back."""
    slow = Timing(beat=0.1, suspend=20, grace=30, answer=5)
    async with (
        Proxy(postgres.port) as proxy,
        pool(database, slow) as other,
        pool(behind(database, postgres, proxy), slow) as pay,
    ):

        async def work() -> None:
            async with pay.once(PAID, "shipped"):
                proxy.refuse = True
                proxy.cut()

        with pytest.raises(Unavailable, match=r"shipped is done, which is not stored yet"):
            await work()
        assert not await taken(other)
        proxy.refuse = False
        journal = other._engine.store.require_journal()
        while not await journal.turn_done(PAID, "shipped"):
            await asyncio.sleep(0.05)


# The caller's own transaction.


@pytest.fixture
async def pay(database: str) -> AsyncIterator[Pool]:
    """Open a pool, and make a table of effects in the same database."""
    async with pool(database) as opened:
        yield opened


@pytest.fixture
def effects(postgres: Cluster, database: str) -> Callable[[], int]:
    """Make the caller's own table; returns a count of its rows."""
    with psycopg.connect(dsn(postgres), autocommit=True) as db:
        db.execute("CREATE TABLE IF NOT EXISTS shipments (reference TEXT)")
        db.execute("TRUNCATE shipments")

    def count() -> int:
        with psycopg.connect(dsn(postgres)) as db:
            found = db.execute("SELECT count(*) FROM shipments").fetchone()
            assert found is not None
            return int(found[0])

    return count


def dsn(postgres: Cluster, database: str = "postgres", scheme: str = "postgresql") -> str:
    """Return the URL of a database, as a client library wants it."""
    return f"{scheme}://paymux@127.0.0.1:{postgres.port}/{database}"


SHIP = "INSERT INTO shipments VALUES ('order-1')"


async def by_asyncpg(postgres: Cluster, pay: Pool) -> None:
    """Ship with a connection of asyncpg."""
    async with contextlib.AsyncExitStack() as stack:
        link = await asyncpg.connect(dsn(postgres))
        stack.push_async_callback(link.close)
        async with pay.once(PAID, "shipped") as turn:
            if turn:
                async with link.transaction():
                    await link.execute(SHIP)
                    await turn.done(link)


async def by_asyncpg_pool(postgres: Cluster, pay: Pool) -> None:
    """Ship with a connection of asyncpg's pool."""
    async with (
        asyncpg.create_pool(dsn(postgres), min_size=1) as links,
        links.acquire() as link,
        pay.once(PAID, "shipped") as turn,
    ):
        if turn:
            async with link.transaction(isolation="serializable"):
                await link.execute(SHIP)
                await turn.done(link)


async def by_psycopg(postgres: Cluster, pay: Pool) -> None:
    """Ship with a connection of psycopg, which begins the transaction itself."""
    link = await psycopg.AsyncConnection.connect(dsn(postgres), row_factory=dict_row)
    async with link, pay.once(PAID, "shipped") as turn:
        if turn:
            await link.execute(SHIP)
            await turn.done(link)
            await link.commit()


async def by_psycopg_autocommit(postgres: Cluster, pay: Pool) -> None:
    """Ship in a block of psycopg's."""
    link = await psycopg.AsyncConnection.connect(dsn(postgres), autocommit=True)
    async with link, pay.once(PAID, "shipped") as turn:
        if turn:
            async with link.transaction():
                await turn.done(link)
                await link.execute(SHIP)


async def by_sqlalchemy(postgres: Cluster, pay: Pool) -> None:
    """Ship with a connection of SQLAlchemy."""
    engine = create_async_engine(dsn(postgres, scheme="postgresql+asyncpg"))
    async with pay.once(PAID, "shipped") as turn:
        if turn:
            async with engine.begin() as link:
                await link.execute(sqlalchemy.text(SHIP))
                await turn.done(link)
    await engine.dispose()


async def by_sqlalchemy_session(postgres: Cluster, pay: Pool) -> None:
    """Ship with a session of SQLAlchemy, over psycopg."""
    engine = create_async_engine(dsn(postgres, scheme="postgresql+psycopg"))
    async with AsyncSession(engine) as session, pay.once(PAID, "shipped") as turn:
        if turn:
            await session.execute(sqlalchemy.text(SHIP))
            await turn.done(session)
            await session.commit()
    await engine.dispose()


WAYS = (
    by_asyncpg,
    by_asyncpg_pool,
    by_psycopg,
    by_psycopg_autocommit,
    by_sqlalchemy,
    by_sqlalchemy_session,
)


@pytest.mark.parametrize("way", WAYS)
async def test_turn_and_effect_are_one_transaction(
    postgres: Cluster, pay: Pool, effects: Callable[[], int], way: Any
) -> None:
    """With each client library, the effect is made once, and the turn is done."""
    for _ in range(2):
        await way(postgres, pay)
    assert effects() == 1
    assert await pay._engine.store.require_journal().turn_done(PAID, "shipped")


async def test_a_transaction_that_is_rolled_back_gives_the_turn_back(
    postgres: Cluster, pay: Pool, effects: Callable[[], int]
) -> None:
    """Neither the effect nor the end of the turn remains, with an error or without."""
    link = await asyncpg.connect(dsn(postgres))
    for swallowed in (True, False):
        outer = contextlib.suppress(ZeroDivisionError)
        with outer:
            async with pay.once(PAID, "shipped") as turn:
                inner = contextlib.suppress(ZeroDivisionError) if swallowed else outer
                with inner:
                    async with link.transaction():
                        await link.execute(SHIP)
                        await turn.done(link)
                        raise ZeroDivisionError
        assert effects() == 0
    await by_asyncpg(postgres, pay)
    assert effects() == 1
    assert not await taken(pay)
    await link.close()


@pytest.mark.parametrize("committed", [True, False])
async def test_a_transaction_that_ends_after_the_turn_decides(
    postgres: Cluster, pay: Pool, database: str, committed: bool
) -> None:
    """No caller waits for it: until it ends, no other has the turn; then it is done or free."""
    link = await asyncpg.connect(dsn(postgres))
    async with pool(database) as other:
        transaction = link.transaction()
        await transaction.start()
        async with pay.once(PAID, "shipped") as turn:
            await turn.done(link)
        assert not await taken(other)
        if committed:
            await transaction.commit()
            await asyncio.sleep(1.5)
            assert not await taken(other)
        else:
            await transaction.rollback()
            assert (await later(other))[0] == 2
    await link.close()


async def test_another_worker_takes_no_turn_that_a_transaction_may_be_ending(
    postgres: Cluster, database: str, effects: Callable[[], int]
) -> None:
    """The dead worker's transaction is still open: whether it is done is known at its end."""
    async with (
        Proxy(postgres.port) as proxy,
        pool(database) as other,
        pool(behind(database, postgres, proxy)) as pay,
    ):
        link = await asyncpg.connect(dsn(postgres))
        with contextlib.suppress(Unavailable):
            async with pay.once(PAID, "shipped") as turn, link.transaction():
                await link.execute(SHIP)
                await turn.done(link)
                await cut_off(proxy)
                for _ in range(20):  # beyond the grace
                    assert not await taken(other)
                    await asyncio.sleep(0.1)
        assert not await taken(other)
        assert effects() == 1
        proxy.refuse = False
        await link.close()


async def test_too_late_is_refused_in_the_callers_transaction(
    postgres: Cluster, database: str, effects: Callable[[], int]
) -> None:
    """After another worker has had the turn, the effect is rolled back."""
    async with (
        Proxy(postgres.port) as proxy,
        pool(database) as other,
        pool(behind(database, postgres, proxy)) as pay,
    ):
        link = await asyncpg.connect(dsn(postgres))

        async def work() -> None:
            async with pay.once(PAID, "shipped") as turn:
                await cut_off(proxy)
                await later(other)
                async with link.transaction():
                    await link.execute(SHIP)
                    await turn.done(link)

        with pytest.raises(Unavailable, match="too late"):
            await work()
        assert effects() == 0
        proxy.refuse = False
        await link.close()


async def refusal(pay: Pool, connection: object) -> str:
    """Return why a turn cannot be ended in a connection; the turn is given back."""
    with pytest.raises(UsageError) as refused:
        async with pay.once(PAID, "shipped") as turn:
            await turn.done(connection)
    assert refused.value.name in ("connection", None)
    return str(refused.value)


async def test_what_is_no_transaction_is_refused(postgres: Cluster, pay: Pool) -> None:
    """Each is refused by name, before anything is written, and the turn is free again."""
    link = await asyncpg.connect(dsn(postgres))
    assert "no open transaction" in await refusal(pay, link)
    async with link.transaction(readonly=True):
        assert "read-only" in await refusal(pay, link)
    engine = create_async_engine(
        dsn(postgres, scheme="postgresql+asyncpg"), isolation_level="AUTOCOMMIT"
    )
    async with engine.connect() as automatic:
        assert "no open transaction" in await refusal(pay, automatic)
    assert "AsyncEngine" in await refusal(pay, engine)
    await engine.dispose()
    async with await psycopg.AsyncConnection.connect(dsn(postgres), autocommit=True) as other:
        assert "no open transaction" in await refusal(pay, other)
    with psycopg.connect(dsn(postgres)) as synchronous:
        assert "'Connection' is refused" in await refusal(pay, synchronous)
    for wrong in (None, "postgresql://", object(), AsyncSession()):
        assert "accepted: an asyncpg.Connection" in await refusal(pay, wrong)
    await link.close()
    assert "no open transaction" in await refusal(pay, link)
    assert await taken(pay) == 12


async def test_another_database_or_schema_is_refused(postgres: Cluster, pay: Pool) -> None:
    """The effect would not stand and fall with the turn."""
    journal: Any = pay._engine.store.journal
    place = journal._place
    link = await asyncpg.connect(dsn(postgres, "template1"))
    async with link.transaction():
        assert "another database" in await refusal(pay, link)
    await link.close()
    link = await asyncpg.connect(dsn(postgres))
    for field, value in (("server", "1"), ("table", "1")):
        wrong = place.identity._replace(**{field: value})
        journal._place = place._replace(identity=wrong)
        async with link.transaction():
            assert "another" in await refusal(pay, link)
    await link.close()


async def test_a_turn_of_another_caller_cannot_be_done(postgres: Cluster, pay: Pool) -> None:
    """Only the caller that has the turn ends it."""
    async with pay.once(PAID, "shipped"):
        assert "another caller's" in await refusal(pay, None)


async def test_a_file_takes_part_in_no_transaction(tmp_path: Any) -> None:
    """With SQLite it is Unsupported, and says what can."""
    async with Pool(Toy(), connection=Wire(Desk()), journal=tmp_path / "payments.db") as pay:
        with pytest.raises(Unsupported, match="postgresql://"):
            async with pay.once(PAID, "shipped") as turn:
                await turn.done(object())
        assert await taken(pay) == 2


async def test_a_role_needs_few_privileges_to_end_a_turn(
    postgres: Cluster, pay: Pool, database: str
) -> None:
    """USAGE on the schema, and SELECT and UPDATE on the turns."""
    schema = database.rpartition("=")[2]
    owner = await asyncpg.connect(dsn(postgres))
    await owner.execute(
        f"CREATE ROLE shipper LOGIN; GRANT USAGE ON SCHEMA {schema} TO shipper;"
        f" GRANT SELECT, UPDATE ON {schema}.turns TO shipper"
    )
    link = await asyncpg.connect(dsn(postgres).replace("paymux@", "shipper@"))
    async with pay.once(PAID, "shipped") as turn, link.transaction():
        await turn.done(link)
    assert not await taken(pay)
    await link.close()
    await owner.execute("DROP OWNED BY shipper; DROP ROLE shipper")
    await owner.close()
