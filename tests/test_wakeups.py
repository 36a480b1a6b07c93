"""Wake-ups: what one worker records, the watches of the other workers hear of."""

import asyncio
import contextlib
import gc
import json
import sqlite3
import threading
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from weakref import ref

import msgspec
import pytest

from paymux import Payment, Pool, SqliteJournal, Status, UsageError
from paymux.http import Response
from paymux.journal import Subject, Subscription, Wakeups, subjects_of
from paymux.journal.postgres.wakeups import (
    CHANNEL,
    MAX_PAYLOAD,
    MAX_WAITING,
    NAMES_PER_PAYLOAD,
    PostgresWakeups,
)
from paymux.journal.sqlite.schema import MIGRATIONS
from paymux.journal.sqlite.wakeups import MAX_FACTS, FileWakeups

from .toys import BASE, KEY, Desk, Keyless, Wire, ago, answer, now, push, timeless

WAIT = answer(id="p1", status="WAIT")
DONE = answer(id="p1", status="OK")


class Slow(Keyless, frozen=True, kw_only=True):
    """A toy that is looked up rarely, so that a test sees what news do."""

    name = "slow"
    first_look = 60.0
    watch_timeout = 3600.0


class Server:
    """Stands in for the server: it keeps the key, and hands each payload to every listener."""

    def __init__(self) -> None:
        self.key = ""
        self.listeners: list[PostgresWakeups] = []
        self.sent: list[str] = []
        self.away = False

    def execute(self, sql: str, given: Any = (), /) -> Any:
        """Run one of the statements of wake-ups."""
        if sql.startswith("INSERT"):
            self.key = self.key or given[0]
            return None
        if "pg_notify" not in sql:
            return _Rows([(self.key,)])
        if self.away:
            raise OSError("the server is away")
        payloads = json.loads(given[1])
        self.sent += payloads
        for payload in payloads:
            for listener in self.listeners:
                listener.on_notification(CHANNEL, payload)
        return _Rows([])


class _Rows(list[Any]):
    rowcount = -1

    def fetchone(self) -> Any:
        return self[0]

    def fetchall(self) -> list[Any]:
        return self


class Member(SqliteJournal):
    """A worker's journal on the one file, with the wake-ups of PostgreSQL's."""

    def __init__(self, file: Path, server: Server, *, listens: bool = True) -> None:
        super().__init__(file)
        self.told = PostgresWakeups(self._send_soon)
        self.reads: list[list[Subject]] = []
        self._server = server
        self.told.learn(server)
        if listens:
            server.listeners.append(self.told)

    @property
    def wakeups(self) -> Wakeups:
        return self.told

    async def payments_of(self, subjects: list[Subject]) -> list[Payment]:
        self.reads.append(subjects)
        return await super().payments_of(subjects)

    def _send_soon(self) -> None:
        asyncio.get_running_loop().call_soon(_sent_by, self.told, self._server)


def _sent_by(wakeups: PostgresWakeups, server: Server) -> None:
    wakeups.send(server)
    wakeups.sent()


class Machines:
    """Pools that share a journal, each with a wire of its own to one provider."""

    def __init__(self, file: Path, *replies: Response) -> None:
        self.file, self.server = file, Server()
        self.wire = Wire(Desk(collect=WAIT, payments=list(replies or (DONE,))))
        self.journals: list[Member] = []

    @asynccontextmanager
    async def pool(self, *, listens: bool = True) -> AsyncIterator[Pool]:
        journal = Member(self.file, self.server, listens=listens)
        self.journals.append(journal)
        async with self.made(journal) as pay:
            yield pay

    def made(self, journal: Member) -> Pool:
        return Pool(
            Slow(), connection=self.wire, webhook_base=BASE, webhook_key=KEY, journal=journal
        )

    @property
    def looks(self) -> int:
        return len(self.wire.paths("/payments/"))


async def _collect(pay: Pool, reference: str = "order-1") -> Payment:
    return await pay.collect("slow", amount=500, currency="XAF", reference=reference)


async def _confirm(pay: Pool, reference: str = "order-1") -> Payment:
    incoming = push(path=pay.webhook_url("slow", reference), id="p1", status="OK")
    return await pay.confirm(pay.webhook(incoming))


@pytest.fixture
def machines(tmp_path: Path) -> Machines:
    """Return two machines' worth of workers; a look-up finds that the payment succeeded."""
    return Machines(tmp_path / "payments.db")


@timeless
async def test_a_confirmed_message_wakes_a_watch_of_another_worker(tmp_path: Path) -> None:
    """`async for` in another process ends at once, and asks its provider nothing."""
    machines = Machines(tmp_path / "payments.db")
    async with machines.pool() as first, machines.pool() as second:
        payment = await _collect(first)
        watch = second.watch(payment)
        assert (await anext(watch)).status is Status.PENDING
        ended = asyncio.ensure_future(anext(watch))
        await asyncio.sleep(1.0)
        await _confirm(first)
        assert (await ended).status is Status.SUCCEEDED
        assert round(now(), 3) == 1.0
        assert machines.looks == 1  # that of the message
        assert await watch == watch.payment


@timeless
async def test_without_wake_ups_a_watch_polls_as_before(tmp_path: Path) -> None:
    """A worker that hears nothing learns the end by its own look-up."""
    machines = Machines(tmp_path / "payments.db")
    async with machines.pool() as first, machines.pool(listens=False) as second:
        payment = await _collect(first)
        watch = asyncio.ensure_future(_ended(second, payment))
        await asyncio.sleep(1.0)
        await _confirm(first)
        assert (await watch).status is Status.SUCCEEDED
        assert now() > 50.0
        assert machines.looks == 2


async def _ended(pay: Pool, payment: Payment) -> Payment:
    return await pay.watch(payment)


@timeless
async def test_news_that_came_before_a_watch_are_read_when_it_begins(tmp_path: Path) -> None:
    """A watch that begins a moment after the message does not wait for its first look-up."""
    machines = Machines(tmp_path / "payments.db")
    async with machines.pool() as first, machines.pool() as second:
        payment = await _collect(first)
        await _confirm(first)
        assert (await _ended(second, payment)).status is Status.SUCCEEDED
        assert round(now(), 3) == 0.0


@timeless
async def test_after_a_break_every_watched_row_is_read_again(tmp_path: Path) -> None:
    """What came while a worker could not listen reaches its watches once it listens anew."""
    machines = Machines(tmp_path / "payments.db")
    async with machines.pool() as first, machines.pool(listens=False) as second:
        payment = await _collect(first)
        watch = asyncio.ensure_future(_ended(second, payment))
        await asyncio.sleep(1.0)
        await _confirm(first)
        await asyncio.sleep(1.0)
        assert not watch.done()
        machines.journals[1].told.on_reconnected()
        assert (await watch).status is Status.SUCCEEDED
        assert round(now(), 3) == 2.0


@timeless
async def test_an_own_announcement_is_not_read(tmp_path: Path) -> None:
    """A worker that told the others has told its own watches already."""
    machines = Machines(tmp_path / "payments.db")
    async with machines.pool() as first:
        payment = await _collect(first)
        watch = asyncio.ensure_future(_ended(first, payment))
        await asyncio.sleep(1.0)
        await _confirm(first)
        assert (await watch).status is Status.SUCCEEDED
        assert len(machines.server.sent) == 1
        assert len(machines.journals[0].reads) == 1  # when the watch began


@timeless
async def test_a_poll_without_news_is_not_announced(tmp_path: Path) -> None:
    """What changes nothing wakes no watch; what changes a status wakes the others."""
    machines = Machines(tmp_path / "payments.db", WAIT, WAIT, answer(id="p1", status="ASKED"))
    async with machines.pool() as first, machines.pool() as second:
        payment = await _collect(first)
        watch = second.watch(payment)
        await anext(watch)
        seen = asyncio.ensure_future(anext(watch))
        payment = await first.verify(payment)
        payment = await first.verify(payment)
        assert machines.server.sent == []
        payment = await first.verify(payment)
        assert payment.provider_status == "ASKED"
        assert (await seen).provider_status == "ASKED"
        assert round(now(), 3) == 0.0
        await watch.aclose()


@timeless
async def test_an_answer_that_is_pending_is_not_announced(tmp_path: Path) -> None:
    """An order that was just accepted wakes no watch: only its own worker can watch it yet."""
    machines = Machines(tmp_path / "payments.db")
    async with machines.pool() as first:
        await _collect(first)
        await asyncio.sleep(1.0)
        assert machines.server.sent == []


@timeless
async def test_a_persons_decision_wakes_the_watches(tmp_path: Path) -> None:
    """`resolve` in one worker ends the watches of all others."""
    machines = Machines(tmp_path / "payments.db", WAIT)
    async with machines.pool() as first, machines.pool() as second:
        payment = await _collect(first)
        await asyncio.sleep(7200.0)
        watch = asyncio.ensure_future(_ended(second, payment))
        await asyncio.sleep(1.0)
        await first.resolve(payment, Status.FAILED, because="the payer called")
        assert (await watch).status is Status.FAILED
        assert round(now(), 3) == 7201.0


@timeless
async def test_a_watch_by_the_providers_reference_alone_is_woken(tmp_path: Path) -> None:
    """A payment that a watch knows by the provider's reference is found by it."""
    machines = Machines(tmp_path / "payments.db")
    async with machines.pool() as first, machines.pool() as second:
        await _collect(first)
        stored = Payment(account="slow", provider_reference="p1", created_at=ago(0.0))
        watch = asyncio.ensure_future(_ended(second, stored))
        await asyncio.sleep(1.0)
        await _confirm(first)
        assert (await watch).reference == "order-1"
        assert round(now(), 3) == 1.0


@timeless
async def test_all_news_of_a_moment_are_one_read(tmp_path: Path) -> None:
    """A hundred ends at once are one payload and one read of each other worker."""
    machines = Machines(tmp_path / "payments.db")
    async with machines.pool() as first, machines.pool() as second:
        journal, told = machines.journals[1], machines.journals[0].told
        payments = [await _collect(first, f"order-{number}") for number in range(100)]
        watches = [second.watch(payment) for payment in payments]
        waiting = [asyncio.ensure_future(_step(watch)) for watch in watches]
        await asyncio.sleep(1.0)
        began = len(journal.reads)
        for payment in payments:
            told.announce(payment)
        await asyncio.sleep(1.0)
        assert len(machines.server.sent) == 1
        assert [len(read) for read in journal.reads[began:]] == [100]
        assert not any(one.done() for one in waiting)  # their rows say nothing new
        for one in waiting:
            one.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


async def _step(watch: Any) -> Payment:
    await anext(watch)
    found: Payment = await anext(watch)
    return found


@timeless
async def test_rows_that_cannot_be_read_are_read_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the journal is away, what was heard is not forgotten."""
    machines = Machines(tmp_path / "payments.db")
    async with machines.pool() as first, machines.pool() as second:
        payment = await _collect(first)
        watch = asyncio.ensure_future(_ended(second, payment))
        await asyncio.sleep(1.0)

        async def away(_: list[Subject]) -> list[Payment]:
            raise OSError("away")

        news = second.internals.engine.watch_registry.news
        assert news is not None
        rows = news._rows
        monkeypatch.setattr(news, "_rows", away)
        await _confirm(first)
        await asyncio.sleep(3.0)
        monkeypatch.setattr(news, "_rows", rows)
        assert (await watch).status is Status.SUCCEEDED
        assert 4.0 < now() <= 5.0


async def test_what_can_be_no_journal_leaves_a_watch_to_its_polls(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A pool that was not entered, on a file that is no journal, warns once; its watch goes on."""
    (tmp_path / "payments.db").write_text("no journal " * 100)
    pay = Pool(Slow(), connection=Wire(Desk(payments=DONE)), journal=tmp_path / "payments.db")
    payment = Payment(account="slow", reference="order-1", provider_reference="p1")
    ended = asyncio.ensure_future(_ended(pay, msgspec.structs.replace(payment, created_at=ago(0))))
    async with asyncio.timeout(20):
        while not caplog.messages:
            await asyncio.sleep(0.01)
    await asyncio.sleep(0.05)
    assert not ended.done()
    ended.cancel()
    await asyncio.gather(ended, return_exceptions=True)
    assert [one for one in caplog.messages if "cannot be read: " in one] == caplog.messages
    await pay.aclose()


@timeless
async def test_a_row_that_contradicts_a_watch_is_no_news(tmp_path: Path) -> None:
    """A watch of another amount is left to what its own look-up says."""
    machines = Machines(tmp_path / "payments.db")
    async with machines.pool() as first, machines.pool() as second:
        payment = await _collect(first)
        other = msgspec.structs.replace(payment, amount=payment.amount and payment.amount * 2)
        watch = asyncio.ensure_future(_ended(second, other))
        await asyncio.sleep(1.0)
        await _confirm(first)
        await asyncio.sleep(1.0)
        assert not watch.done()
        watch.cancel()
        await asyncio.gather(watch, return_exceptions=True)


@timeless
async def test_a_closed_pool_hears_nothing_more(tmp_path: Path) -> None:
    """After `aclose` news start no task, and the subscription is gone with the pool."""
    machines = Machines(tmp_path / "payments.db")
    async with machines.pool() as first:
        async with machines.pool() as second:
            payment = await _collect(first)
            watch = asyncio.ensure_future(_ended(second, payment))
            await asyncio.sleep(1.0)
        with pytest.raises(UsageError, match="closed"):
            await watch
        await _confirm(first)
        await asyncio.sleep(1.0)
        assert [len(journal.reads) for journal in machines.journals] == [0, 1]


def test_one_pool_in_many_loops_keeps_nothing_of_a_dead_loop(machines: Machines) -> None:
    """Each new loop reads what came between the loops, and the old ones are collected."""
    journal = Member(machines.file, machines.server)
    pay = machines.made(journal)
    payment = asyncio.run(_collect(pay))
    watch = pay.watch(payment)

    loops: list[ref[asyncio.AbstractEventLoop]] = []

    async def step() -> None:
        loops.append(ref(asyncio.get_running_loop()))
        await asyncio.wait({asyncio.ensure_future(watch.__anext__())}, timeout=0.01)

    async def news() -> None:
        loops.append(ref(asyncio.get_running_loop()))
        pay.internals.engine.lifetime.use()
        await asyncio.sleep(0.01)

    for _ in range(50):
        asyncio.run(step())
        journal.told.on_reconnected()  # heard in no loop
        asyncio.run(news())
    gc.collect()
    assert sum(one() is not None for one in loops) <= 5
    asyncio.run(pay.aclose())


@timeless
async def test_news_come_from_any_thread(tmp_path: Path) -> None:
    """The connection that listens has a loop of its own: what it hears enters the pool's loop."""
    machines = Machines(tmp_path / "payments.db")
    async with machines.pool() as first, machines.pool(listens=False) as second:
        payment = await _collect(first)
        watch = asyncio.ensure_future(_ended(second, payment))
        await asyncio.sleep(1.0)
        await _confirm(first)
        (payload,) = machines.server.sent
        thread = threading.Thread(
            target=machines.journals[1].told.on_notification, args=(CHANNEL, payload)
        )
        thread.start()
        thread.join()
        assert (await watch).status is Status.SUCCEEDED


ODD = b64encode(b"s" * 8 + b"n" * 13).decode()  # one byte more than a sender and a name


async def test_processes_that_share_a_file_hear_of_each_other(tmp_path: Path) -> None:
    """With SQLite, the facts of the file are the news, and nothing has to be sent."""
    file, wire = tmp_path / "payments.db", Wire(Desk(collect=WAIT, payments=DONE))
    options: dict[str, Any] = {"connection": wire, "webhook_base": BASE, "webhook_key": KEY}
    async with (
        asyncio.timeout(20),
        Pool(Slow(), journal=file, **options) as first,
        Pool(Slow(), journal=file, **options) as second,
    ):
        payment = await _collect(first)
        watch = asyncio.ensure_future(_ended(second, payment))
        await asyncio.sleep(0.2)
        await _confirm(first)
        assert (await watch).status is Status.SUCCEEDED
        assert len(wire.paths("/payments/")) == 1


def test_facts_of_other_connections_are_news_once_and_only_while_wanted(tmp_path: Path) -> None:
    """What was written before a payment is watched is no news; what own commits wrote may be."""
    file, wakeups = str(tmp_path / "facts.db"), FileWakeups()
    with (
        contextlib.closing(sqlite3.connect(file, isolation_level=None)) as own,
        contextlib.closing(sqlite3.connect(file, isolation_level=None)) as other,
    ):
        for step in MIGRATIONS:
            other.executescript(step)
        woken: list[None] = []
        subscription = wakeups.subscribe(lambda: woken.append(None))
        _add_fact(other, "order-1")
        wakeups.look(own)
        assert not wakeups.wanted
        subscription.add((("slow", "collect"), "order-1"))
        assert wakeups.wanted
        wakeups.look(own)
        assert subscription.take() == []
        for _ in range(MAX_FACTS):
            _add_fact(other, "order-2")
        _add_fact(other, "order-1")
        wakeups.look(own)
        wakeups.look(own)
        assert subscription.take() == [(("slow", "collect"), "order-1")]
        assert len(woken) == 1
        wakeups.opened()
        wakeups.look(own)
        assert subscription.take() == []
        wakeups.forget()
        assert not wakeups.wanted


def _add_fact(db: sqlite3.Connection, reference: str) -> None:
    db.execute(
        "INSERT INTO facts (account, kind, reference, at, source, state, status, payment)"
        " VALUES ('slow', 'collect', ?, '', 'verify', 'accepted', 'pending', '{}')",
        (reference,),
    )


HOSTILE = ["", "x", "é", "AAAA", "A" * MAX_PAYLOAD, ODD, "\0", "=" * 8]


@pytest.mark.parametrize("payload", HOSTILE)
def test_what_anyone_sends_on_the_channel_does_no_harm(payload: str) -> None:
    """A payload is only compared with the names of watched payments; nothing else is read of it."""
    woken: list[None] = []
    wakeups = PostgresWakeups(lambda: None)
    wakeups.learn(Server())
    subscription = wakeups.subscribe(lambda: woken.append(None))
    subscription.add((("slow", "collect"), "order-1"))
    wakeups.on_notification(CHANNEL, payload)
    assert subscription.take() == []
    assert woken == []


def test_a_payload_shows_no_name_and_is_not_too_long() -> None:
    """A payload holds hashes under a key that only the journal has, and fits into a NOTIFY."""
    server, other = Server(), Server()
    wakeups, stranger = PostgresWakeups(lambda: None), PostgresWakeups(lambda: None)
    wakeups.learn(server)
    stranger.learn(other)
    for number in range(NAMES_PER_PAYLOAD + 1):
        payment = Payment(account="slow", reference=f"order-{number}")
        wakeups.announce(payment)
        stranger.announce(payment)
    _sent_by(wakeups, server)
    _sent_by(stranger, other)
    assert max(map(len, server.sent)) <= MAX_PAYLOAD
    assert len(server.sent) == len(other.sent) == 2
    assert not {payload[16:] for payload in server.sent} & {one[16:] for one in other.sent}
    assert not any("slow" in text or "order" in text for text in server.sent)


def test_what_cannot_be_sent_waits_and_is_bounded() -> None:
    """While the server is away, the newest announcements wait; they are sent when it is back."""
    server, wakeups = Server(), PostgresWakeups(lambda: None)
    wakeups.learn(server)
    server.away = True
    for number in range(MAX_WAITING + 10):
        wakeups.announce(Payment(account="slow", reference=f"order-{number}"))
    with pytest.raises(OSError, match="away"):
        wakeups.send(server)
    server.away = False
    heard = PostgresWakeups(lambda: None)
    heard.learn(server)
    server.listeners.append(heard)
    subscription = heard.subscribe(lambda: None)
    for number in (0, MAX_WAITING + 9):
        subscription.add((("slow", "collect"), f"order-{number}"))
    _sent_by(wakeups, server)
    assert subscription.take() == [(("slow", "collect"), f"order-{MAX_WAITING + 9}")]
    _sent_by(wakeups, server)
    assert len(server.sent) == -(-MAX_WAITING // NAMES_PER_PAYLOAD)


def test_what_may_not_have_been_sent_is_sent_again() -> None:
    """A transaction whose end had no answer may have reached no one."""
    server, wakeups = Server(), PostgresWakeups(lambda: None)
    wakeups.learn(server)
    wakeups.announce(Payment(account="slow", reference="order-1"))
    wakeups.send(server)
    wakeups.send(server)
    assert len(server.sent) == 2
    wakeups.sent()
    wakeups.send(server)
    assert len(server.sent) == 2


def test_what_a_closed_journal_was_told_is_dropped() -> None:
    """After a closing the next announcement is sent as the first one was."""
    stirred: list[None] = []

    def stir() -> None:
        stirred.append(None)
        if len(stirred) == 1:
            raise OSError("the journal is closed")

    server, wakeups = Server(), PostgresWakeups(stir)
    wakeups.learn(server)
    wakeups.announce(Payment(account="slow", reference="order-1"))
    wakeups.send(server)
    assert server.sent == []
    wakeups.announce(Payment(account="slow", reference="order-1"))
    wakeups.send(server)
    assert (len(stirred), len(server.sent)) == (2, 1)


def test_the_journals_thread_is_stirred_once_until_it_has_sent() -> None:
    """Announcing costs no round trip of its own: all of one moment are sent together."""
    stirred: list[None] = []
    server, wakeups = Server(), PostgresWakeups(lambda: stirred.append(None))
    wakeups.learn(server)
    for number in range(3):
        wakeups.announce(Payment(account="slow", reference=f"order-{number}"))
    assert len(stirred) == 1
    _sent_by(wakeups, server)
    wakeups.announce(Payment(account="slow", reference="order-1"))
    assert len(stirred) == 2


def test_a_subscription_waits_for_the_key() -> None:
    """What is watched before the journal could be opened is heard of after it was."""
    woken: list[None] = []
    server, wakeups, other = Server(), PostgresWakeups(lambda: None), PostgresWakeups(lambda: None)
    other.learn(server)
    server.listeners.append(wakeups)
    subscription = wakeups.subscribe(lambda: woken.append(None))
    payment = Payment(account="slow", reference="order-1")
    (subject,) = subjects_of(payment)
    subscription.add(subject)
    other.announce(payment)
    _sent_by(other, server)
    assert subscription.take() == []
    subscription.missed()
    assert subscription.take() == [subject]
    wakeups.learn(server)
    other.announce(payment)
    _sent_by(other, server)
    assert subscription.take() == [subject]
    assert len(woken) == 2
    subscription.discard(subject)
    other.announce(payment)
    _sent_by(other, server)
    assert subscription.take() == []


def test_a_subscription_is_woken_once_until_it_is_read() -> None:
    """However much is heard, its loop is woken once; a break before is not forgotten."""
    woken: list[None] = []
    subscription = Subscription(lambda: woken.append(None))
    subscription.begin(lambda subject: subject[1].encode())
    one, two = (("slow", "collect"), "1"), (("slow", "collect"), "2")
    subscription.add(one)
    subscription.add(two)
    subscription.heard([b"1", b"3"])
    subscription.heard([b"1"])
    assert subscription.take() == [one]
    subscription.heard([b"2"])
    subscription.missed()
    subscription.heard([b"2"])
    assert sorted(subscription.take()) == [one, two]
    assert subscription.take() == []
    assert len(woken) == 2


def test_a_payment_is_announced_by_its_references_only() -> None:
    """Our reference, with the kind, and the provider's are what other workers may know it by."""
    payment = Payment(
        account="slow", reference="order-1", provider_reference="p1", ids={"receipt": "r"}
    )
    assert subjects_of(payment) == [(("slow", "collect"), "order-1"), (("slow",), "p1")]
    assert subjects_of(Payment(account="slow", ids={"receipt": "r"})) == []


def test_a_forked_child_is_another_sender(machines: Machines) -> None:
    """What the parent announces reaches the child, and the child has none of its subscriptions."""
    server, wakeups = machines.server, PostgresWakeups(lambda: None)
    wakeups.learn(server)
    kept = wakeups.subscribe(lambda: None)
    kept.add((("slow", "collect"), "order-1"))
    payload = _sent(server, wakeups)
    wakeups.after_fork_in_child()
    wakeups.on_notification(CHANNEL, payload)
    assert kept.take() == []
    child = wakeups.subscribe(lambda: None)
    child.add((("slow", "collect"), "order-1"))
    wakeups.on_notification(CHANNEL, payload)
    assert child.take() == [(("slow", "collect"), "order-1")]


def _sent(server: Server, wakeups: PostgresWakeups) -> str:
    wakeups.announce(Payment(account="slow", reference="order-1"))
    _sent_by(wakeups, server)
    return server.sent[-1]
