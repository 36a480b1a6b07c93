"""Wake-ups over a real server: from the journal of one worker to the watches of another."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import asyncpg

from paymux import Payment, Pool, Status
from paymux.journal.postgres.address import Address
from paymux.journal.postgres.wakeups import CHANNEL

from ..campaigns.wakeups import at_rate, collected, confirm, listeners, pool
from ..clusters import Cluster
from .proxy import Proxy


async def _until(holds: Callable[[], bool], seconds: float = 20.0) -> None:
    until = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < until, "it did not become true in time"
        await asyncio.sleep(0.01)


@asynccontextmanager
async def _watching(
    url: str, payment: Payment
) -> AsyncIterator[tuple[Pool, "asyncio.Task[Payment]"]]:
    """Watch a payment in another worker, which hears by now."""
    async with pool(url) as other:
        watch = asyncio.create_task(_end(other, payment))
        await asyncio.sleep(1.0)
        yield other, watch
        watch.cancel()
        await asyncio.gather(watch, return_exceptions=True)


async def _end(pay: Pool, payment: Payment) -> Payment:
    return await pay.watch(payment, timeout=None)


async def test_a_message_of_one_process_ends_the_watches_of_others(database: str) -> None:
    """Each `async for` in other processes ends long before its first look-up."""
    async with pool(database) as pay, listeners([database] * 2) as others:
        payments = await collected(pay, "order", 20)
        await asyncio.gather(*(one.watch(payments) for one in others))
        came = await at_rate(pay, payments, 50.0)
        for ends in await asyncio.gather(*(one.ended(20.0) for one in others)):
            assert ends.keys() == came.keys()
            assert min(at - came[reference] for reference, at in ends.items()) > 0


async def test_what_came_during_a_break_ends_the_watch_after_it(
    postgres: Cluster, database: str
) -> None:
    """A worker whose connections were cut reads the rows of its watches when it is back."""
    async with Proxy(postgres.port) as proxy, pool(database) as pay:
        through = database.replace(f":{postgres.port}/", f":{proxy.port}/")
        (payment,) = await collected(pay, "order", 1)
        async with _watching(through, payment) as (_, watch):
            proxy.refuse = True
            proxy.cut()
            await confirm(pay, payment)
            await asyncio.sleep(0.3)
            assert not watch.done()
            proxy.refuse = False
            assert (await asyncio.wait_for(watch, 20.0)).status is Status.SUCCEEDED


async def test_what_a_worker_could_not_announce_is_announced_when_it_is_back(
    postgres: Cluster, database: str
) -> None:
    """A worker that is cut off when it confirms tells the others once it could record the end."""
    async with Proxy(postgres.port) as proxy, pool(database) as first:
        through = database.replace(f":{postgres.port}/", f":{proxy.port}/")
        (payment,) = await collected(first, "order", 1)
        async with _watching(database, payment) as (_, watch), pool(through) as pay:
            assert (await pay.verify(payment)).status is Status.SUCCEEDED
            assert (await asyncio.wait_for(watch, 20.0)).status is Status.SUCCEEDED
        (payment,) = await collected(first, "other", 1)
        async with _watching(database, payment) as (_, watch), pool(through) as pay:
            proxy.refuse = True
            proxy.cut()
            told = asyncio.create_task(pay.verify(payment))
            await asyncio.sleep(0.5)
            proxy.refuse = False
            assert (await told).status is Status.SUCCEEDED
            assert (await asyncio.wait_for(watch, 20.0)).status is Status.SUCCEEDED


async def test_any_role_may_listen_and_learns_no_name(database: str) -> None:
    """A payload has neither account nor reference, for any listener."""
    heard: list[str] = []
    stranger = await asyncpg.connect(Address(database).url.reveal())
    try:
        await stranger.add_listener(CHANNEL, lambda _, __, ___, payload: heard.append(str(payload)))
        async with pool(database) as pay:
            (payment,) = await collected(pay, "secret", 1)
            await confirm(pay, payment)
            await _until(lambda: bool(heard))
    finally:
        await stranger.close()
    (payload,) = heard
    assert not {"slow", "collect", "secret"} & {payload, *payload.split("-")}
    assert len(payload) < 60


async def test_two_journals_of_one_database_do_not_wake_each_other(
    postgres: Cluster, database: str
) -> None:
    """The same reference in another schema is another payment: its key is another one."""
    other = postgres.url("another_shop")
    async with pool(database) as pay, pool(other) as neighbour:
        (payment,) = await collected(pay, "order", 1)
        (same,) = await collected(neighbour, "order", 1)
        assert payment.reference == same.reference
        async with _watching(database, payment) as (worker, watch):
            reads = _reads(worker)
            await confirm(neighbour, same)
            await asyncio.sleep(0.5)
            assert not watch.done()
            assert reads == []
            await confirm(pay, payment)
            assert (await asyncio.wait_for(watch, 20.0)).status is Status.SUCCEEDED
            assert len(reads) == 1


def _reads(pay: Pool) -> list[int]:
    """Return the list to which each read of rows adds how many it asked for."""
    news, reads = pay.internals.engine.watch_registry.news, list[int]()
    assert news is not None
    rows = news._rows

    async def counted(subjects: list[tuple[tuple[str, ...], str]]) -> list[Payment]:
        reads.append(len(subjects))
        return await rows(subjects)

    news._rows = counted
    return reads
