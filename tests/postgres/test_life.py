"""Who lives: a lock and a beat on a connection of its own, under cuts, stops and deaths."""

import asyncio
import contextlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import psycopg
import pytest

from paymux import UsageError
from paymux.journal.database import Rows
from paymux.journal.postgres.address import Address
from paymux.journal.postgres.beats import ObservedBeats
from paymux.journal.postgres.life import Life, LifeListener
from paymux.journal.postgres.life_connection import life_connection
from paymux.journal.postgres.timing import Timing
from paymux.journal.postgres.worker import PostgresWorker
from paymux.journal.postgres.worker_table import WORKERS

from ..clusters import Cluster
from .proxy import Proxy

SHORT = Timing(beat=0.1, suspend=0.8, grace=1.3, answer=0.4)
# A break of half a second is within its time on a busy machine, too.
LONGER = Timing(beat=0.1, suspend=3.0, grace=5.0, answer=0.4)


class Work:
    """A connection for work, with each statement a transaction."""

    def __init__(self, address: Address) -> None:
        options = f"-csearch_path={address.schema}"
        self.link = psycopg.connect(address.url.reveal(), autocommit=True, options=options)

    def execute(self, sql: str, given: Any = (), /) -> Rows:
        return self.link.execute(sql.replace("?", "%s"), given)


class Heard(LifeListener):
    """Remembers what a worker's life told."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def on_notification(self, channel: str, payload: str) -> None:
        self.said.append(f"{channel} {payload}")

    def on_reconnected(self) -> None:
        self.said.append("reconnected")

    def on_suspended(self) -> None:
        self.said.append("suspended")

    def on_resumed(self) -> None:
        self.said.append("resumed")


class Workers:
    """Makes workers of one journal, and ends them."""

    def __init__(self, cluster: Cluster, journal: str) -> None:
        self.cluster = cluster
        self._address = Address(journal)
        self._journal = journal
        self.left = contextlib.ExitStack()
        self.db = self.work()
        self.db.execute(f"CREATE SCHEMA {self._address.schema}")
        self.db.execute(WORKERS)

    def work(self) -> Work:
        work = Work(self._address)
        self.left.callback(work.link.close)
        return work

    def make(self, port: int | None = None, timing: Timing = SHORT) -> PostgresWorker:
        """Make a worker behind a port, which asks on a connection of its own."""
        port = port or self.cluster.port
        address = Address(self._journal.replace(f":{self.cluster.port}/", f":{port}/"))
        life = Life(partial(life_connection, address), ["paymux_news"], timing)
        worker = PostgresWorker(life)
        worker.attach(self.work())
        self.left.callback(worker.end)
        return worker

    async def begun(self, port: int | None = None, timing: Timing = SHORT) -> PostgresWorker:
        """Make a worker that lives."""
        worker = self.make(port, timing)
        await asyncio.to_thread(worker.begin)
        return worker


@pytest.fixture
def workers(postgres: Cluster, database: str) -> Iterator[Workers]:
    """Make the table of workers in a schema of its own."""
    made = Workers(postgres, database)
    with made.left:
        yield made


async def until(condition: Callable[[], object], seconds: float = 10.0) -> float:
    """Wait until a condition holds; return for how long."""
    began = time.monotonic()
    while not condition():
        assert time.monotonic() < began + seconds, "it did not become true in time"
        await asyncio.sleep(0.01)
    return time.monotonic() - began


async def test_a_worker_lives_while_its_lock_is_held(workers: Workers) -> None:
    """Each worker has an id of its own; one that ended is dead at once, for turns as well."""
    one, two = await workers.begun(), await workers.begun()
    assert one.name != two.name
    assert one.lives(one.name)
    assert one.lives(two.name)
    assert one.may_act(two.name)
    await asyncio.to_thread(two.end)
    assert not one.lives("2")
    assert not one.may_act("2")
    assert two.name == ""
    for name in ("", None, "17", "4bc8a40b4bc8a40b", "9" * 10, "1 or 1=1"):
        assert not one.lives(name)
        assert not one.may_act(name)


async def test_notifications_are_heard_on_the_same_connection(workers: Workers) -> None:
    """A listener hears what is told on the journal's channel, and each new connection."""
    worker, heard = workers.make(), Heard()
    worker.life.listeners.append(heard)
    await asyncio.to_thread(worker.begin)
    workers.db.execute("NOTIFY paymux_news, 'order-1'")
    await until(lambda: "paymux_news order-1" in heard.said)
    workers.db.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE query ~ 'beat' AND pid <> pg_backend_pid()"
    )
    await until(lambda: heard.said.count("reconnected") == 2)
    workers.db.execute("NOTIFY paymux_news, 'order-2'")
    await until(lambda: "paymux_news order-2" in heard.said)


async def test_a_fault_of_a_listener_ends_no_worker(
    workers: Workers, caplog: pytest.LogCaptureFixture
) -> None:
    """What a listener raises is logged, and the others are called."""

    class Faulty(LifeListener):
        def on_notification(self, channel: str, payload: str) -> None:
            raise ZeroDivisionError

    worker, heard = workers.make(), Heard()
    worker.life.listeners += [Faulty(), heard]
    await asyncio.to_thread(worker.begin)
    workers.db.execute("NOTIFY paymux_news, 'order-1'")
    await until(lambda: "paymux_news order-1" in heard.said)
    assert "ZeroDivisionError" in caplog.text


@pytest.mark.parametrize("how", ["cut", "swallow"])
async def test_a_short_break_changes_nothing(workers: Workers, how: str) -> None:
    """A worker that is back within its time has the same id, and was never suspended."""
    async with Proxy(workers.cluster.port) as proxy:
        worker, other = await workers.begun(proxy.port, LONGER), await workers.begun()
        name, epoch = worker.name, worker.life.epoch
        if how == "cut":
            proxy.cut()
        else:
            proxy.swallow = True
        await asyncio.sleep(0.5)
        proxy.swallow = False
        await asyncio.sleep(0.6)
        await until(lambda: other.lives(name))
        assert (worker.name, worker.life.epoch, worker.life.suspended) == (name, epoch, False)
        await asyncio.to_thread(worker.end)


async def test_a_worker_in_a_black_hole_suspends_itself_before_another_may_act(
    workers: Workers,
) -> None:
    """While no packet passes, the worker stops by itself; it takes nothing, and resumes."""
    async with Proxy(workers.cluster.port) as proxy:
        worker, heard, calls = await workers.begun(proxy.port), Heard(), []
        worker.life.listeners.append(heard)
        stop = worker.life.on_suspended(lambda: calls.append(threading.current_thread().name))
        began, proxy.swallow = time.monotonic(), True
        await until(lambda: worker.life.suspended)
        assert SHORT.suspend - SHORT.beat - 0.2 < time.monotonic() - began
        await until(lambda: heard.said == ["suspended"])
        assert calls == ["paymux-life"]
        assert worker.suspended
        assert worker.lives("17")  # it cannot tell: each worker that is asked about lives
        proxy.swallow = False
        await until(lambda: not worker.life.suspended)
        assert worker.life.epoch == 1
        assert worker.name == "1"
        assert set(heard.said) == {"suspended", "resumed", "reconnected"}
        stop()
        await asyncio.to_thread(worker.end)
        assert calls == ["paymux-life"]


async def test_turns_are_taken_over_after_the_grace_alone(workers: Workers) -> None:
    """Rows may be claimed once the lock is free, turns a grace later; then the id is fenced."""
    async with Proxy(workers.cluster.port) as proxy:
        worker, other = await workers.begun(proxy.port), await workers.begun()
        proxy.refuse = True
        proxy.cut()
        await until(lambda: not other.lives("1"))
        took = await until(lambda: not other.may_act("1"))
        assert SHORT.grace - 0.4 < took < SHORT.grace + 2
        assert worker.life.suspended
        proxy.refuse = False
        await until(lambda: not worker.life.suspended)
        assert worker.name == "3"
        assert not other.lives("1")
        assert other.may_act("3")
        await asyncio.to_thread(worker.end)


async def test_who_asks_first_waits_the_whole_grace(workers: Workers) -> None:
    """What was seen on a connection that broke proves nothing: the observation begins anew."""
    async with Proxy(workers.cluster.port) as proxy:
        await workers.begun(proxy.port)
        other = await workers.begun()
        proxy.refuse = True
        proxy.cut()
        await asyncio.sleep(SHORT.grace * 0.7)
        other.attach(other._db)
        took = await until(lambda: not other.may_act("1"))
        assert took > SHORT.grace * 0.9


async def test_a_restart_of_the_server_kills_no_worker(
    workers: Workers, caplog: pytest.LogCaptureFixture
) -> None:
    """All locks are free for a moment, and no turn is: each worker goes on by its own id."""
    one, two = await workers.begun(), await workers.begun()
    await asyncio.to_thread(workers.cluster.stop)
    await asyncio.to_thread(workers.cluster.start)
    one.attach(workers.work())
    assert one.may_act("2")
    await until(lambda: one.lives("2") and not (one.suspended or two.suspended))
    assert (one.name, two.name) == ("1", "2")


async def test_a_lapse_that_nobody_noticed_counts(workers: Workers) -> None:
    """A process that was stopped is suspended by its clock, before any of its threads ran."""
    worker = await workers.begun()
    worker.life._confirmed -= SHORT.suspend
    assert worker.life.suspended
    await until(lambda: not worker.life.suspended)
    assert worker.life.epoch == 1


async def test_a_server_that_is_away_is_an_error_of_the_opening(workers: Workers) -> None:
    """It is OSError at once; when the server is back, the worker lives at its next use."""
    async with Proxy(workers.cluster.port) as proxy:
        proxy.refuse = True
        worker = workers.make(proxy.port)
        with pytest.raises(OSError, match=r"connection|server|reset"):
            await asyncio.to_thread(worker.begin)
        assert worker.suspended
        proxy.refuse = False
        await asyncio.to_thread(worker.begin)
        assert (worker.name, worker.suspended) == ("1", False)
        await asyncio.to_thread(worker.end)


async def test_a_server_that_can_never_be_used_is_a_usage_error() -> None:
    """What the connection refuses by name reaches the caller, each time."""

    async def refused() -> Any:
        raise UsageError("journal: a pooler")

    worker = PostgresWorker(Life(refused, (), SHORT))
    for _ in range(2):
        with pytest.raises(UsageError, match="pooler"):
            await asyncio.to_thread(worker.begin)
    worker.end()


async def test_a_worker_can_live_again_after_its_end(workers: Workers) -> None:
    """It is another worker then."""
    worker = await workers.begun()
    await asyncio.to_thread(worker.end)
    worker.attach(workers.work())
    await asyncio.to_thread(worker.begin)
    assert worker.name == "2"


async def test_what_a_body_still_does_is_not_free_at_the_end(workers: Workers) -> None:
    """A worker that ends while a turn is under way leaves its turns for the grace."""
    worker, other = await workers.begun(), await workers.begun()
    calls: list[None] = []
    worker.life.on_suspended(lambda: calls.append(None))
    await asyncio.to_thread(worker.end)
    assert calls == [None]
    await until(lambda: not other.lives("1"))
    assert other.may_act("1")
    await until(lambda: not other.may_act("1"))


async def test_a_forked_child_holds_no_lock_of_its_parent(workers: Workers) -> None:
    """The child is another worker; the parent's lock ends with the parent alone."""
    worker, other = await workers.begun(), await workers.begun()
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException):
            worker.forget()
            worker.begin()
            os.write(write, worker.name.encode())
            time.sleep(20)
        os._exit(0)
    try:
        assert os.read(read, 9) == b"3"
        assert worker.name == "1"
        assert other.lives("3")
        await asyncio.to_thread(worker.end)
        assert not other.lives("1")
        os.kill(child, 9)
        await until(lambda: not other.lives("3"))
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, 9)
        os.waitpid(child, 0)
        os.close(read)
        os.close(write)


def test_a_beat_is_unmoved_since_it_was_first_seen() -> None:
    """Only this process's clock counts, from the first sight of the present beat."""
    now = 100.0
    beats = ObservedBeats(lambda: now)
    assert beats.unmoved(1, 7) == 0
    now = 110.0
    beats.see([(1, 7), (2, 1)])
    assert beats.unmoved(1, 7) == 10
    assert beats.unmoved(2, 1) == 0
    assert beats.unmoved(1, 8) == 0
    now = 120.0
    assert beats.unmoved(1, 8) == 10
    beats.forget()
    assert beats.unmoved(1, 8) == 0
