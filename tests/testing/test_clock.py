"""Virtual time, in the loops and beside the tools that users have."""

import asyncio
import contextlib
import socket
import sqlite3
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import freezegun
import pytest
import time_machine
import uvloop

import paymux.primitives.clock
from paymux import Notifier, NotSent, Payment, Pool, Status, UsageError
from paymux.journal import Writer
from paymux.journal.sqlite import batch_runner
from paymux.journal.work import Answer, Work
from paymux.primitives.clock import wall_time
from paymux.simulator import Simulator
from paymux.testing import VirtualClock, charged_once, virtual_time

from ..toys import eagerly

SLOW_PAYER: dict[str, Any] = {
    "amount": 500,
    "currency": "XAF",
    "payer": "237677777777",
    "reference": "order-1",
}


async def pay(journal: Path | None, *, sockets: bool = False) -> tuple[Payment, float]:
    """Collect from a payer who takes 131 s; give the end, and the virtual seconds."""
    async with contextlib.AsyncExitStack() as stack:
        clock = await stack.enter_async_context(virtual_time())
        sim = Simulator(payer_delay=131.0)
        if sockets:
            await stack.enter_async_context(sim)
        options: dict[str, Any] = {} if sockets else {"connection": sim.connection}
        pool = Pool(sim.driver("campay"), journal=journal, **options)
        await stack.enter_async_context(pool)
        payment = await pool.watch(await pool.collect("campay", **SLOW_PAYER), timeout=300)
        charged_once(sim, "order-1", 500)
        return payment, clock.elapsed


def is_right(payment: Payment, elapsed: float) -> bool:
    """Tell whether the payment ended in its time, by the loop's clock and by its own dates."""
    assert payment.created_at is not None
    assert payment.updated_at is not None
    took = (payment.updated_at - payment.created_at).total_seconds()
    return payment.status is Status.SUCCEEDED and 131 <= took <= elapsed + 1e-5 < 150


@pytest.mark.parametrize("sockets", [False, True])
def test_a_payment_of_two_minutes_ends_right_each_time(sockets: bool, tmp_path: Path) -> None:
    """Twenty of twenty, with a journal: in process, and over loopback sockets."""
    for number in range(20):
        assert is_right(*asyncio.run(pay(tmp_path / f"{number}.db", sockets=sockets)))


@pytest.fixture
def slow_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let each commit of the journal take 10 ms."""
    plain: Callable[..., list[Answer]] = vars(batch_runner)["run_batch"]

    def slowly(db: sqlite3.Connection, works: list[Work]) -> list[Answer]:
        time.sleep(0.01)
        return plain(db, works)

    monkeypatch.setattr(batch_runner, "run_batch", slowly)


def test_a_slow_disk_takes_no_virtual_time(tmp_path: Path, slow_disk: None) -> None:
    """The clock stands still while the journal's thread works."""
    assert is_right(*asyncio.run(pay(tmp_path / "1.db")))


def test_without_counting_the_journals_thread_it_fails(
    tmp_path: Path, slow_disk: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The control: a clock that does not wait for the thread lets the deadlines pass at once."""
    monkeypatch.setattr(VirtualClock, "count", lambda _, future: future)
    for number in range(5):
        with pytest.raises(NotSent, match="the deadline passed"):
            asyncio.run(pay(tmp_path / f"{number}.db"))


def test_two_runs_take_the_same_virtual_time(tmp_path: Path) -> None:
    """How long the disk takes is no part of it."""
    first, second = (asyncio.run(pay(tmp_path / name))[1] for name in ("1.db", "2.db"))
    assert first == pytest.approx(second, abs=1e-3)


async def test_each_clock_moves() -> None:
    """The loop's clock, the wall clock and the dates of payments go together."""
    real = time.monotonic()
    async with virtual_time() as clock:
        loop = asyncio.get_running_loop()
        began, wall, dated = loop.time(), time.time(), wall_time()
        await asyncio.sleep(86_400)
        assert clock.elapsed == pytest.approx(86_400, abs=0.001)
        assert loop.time() - began == pytest.approx(86_400, abs=0.001)
        assert time.time() - wall == pytest.approx(86_400, abs=0.001)
        assert (wall_time() - dated).total_seconds() == pytest.approx(86_400, abs=0.001)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(3600):
                await loop.create_future()
    assert time.monotonic() - real < 3600


async def test_timers_ring_in_their_order() -> None:
    """What was started before the block, and what is due at one moment, rings as it would have."""
    rung: list[int] = []
    loop = asyncio.get_running_loop()
    loop.call_later(30, rung.append, 1)
    async with virtual_time():
        loop.call_later(40, rung.append, 3)
        loop.call_later(35, rung.append, 2)
        await asyncio.sleep(50)
    assert rung == [1, 2, 3]


async def test_afterwards_everything_is_restored() -> None:
    """Also after an error; the loop's clock goes on from where it is, and never back."""
    loop: Any = asyncio.get_running_loop()

    def found() -> list[object]:
        select, run = loop._selector.select, loop.run_in_executor
        return [time.time, Writer.queued, paymux.primitives.clock.monotonic, select, run]

    async def failing() -> None:
        async with virtual_time():
            await asyncio.sleep(1000)
            raise ZeroDivisionError

    before, seen = found(), loop.time()
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            await failing()
        assert found() == before
        assert loop.time() >= seen + 1000
        seen = loop.time()
    async with asyncio.timeout(5):
        await asyncio.sleep(0.001)  # real again
    assert 0 < loop.time() - seen < 5


async def test_a_second_block_goes_on_from_the_first() -> None:
    """However long the first one was: the loop's clock never goes back."""
    loop, seen = asyncio.get_running_loop(), 0.0
    for seconds in (100.0, 0.0, 50.0):
        async with virtual_time():
            assert loop.time() >= seen
            await asyncio.sleep(seconds)
            seen = loop.time()


async def test_an_executor_and_a_marked_thread_take_their_real_time() -> None:
    """The clock stands still while they work, so that no deadline passes meanwhile."""
    loop, done = asyncio.get_running_loop(), asyncio.Event()
    async with virtual_time() as clock:
        async with asyncio.timeout(0.001):
            await asyncio.to_thread(time.sleep, 0.02)
        assert clock.elapsed == 0

        def own() -> None:
            time.sleep(0.02)
            loop.call_soon_threadsafe(done.set)

        with clock.busy():
            threading.Thread(target=own).start()
            async with asyncio.timeout(0.001):
                await done.wait()
        assert clock.elapsed == 0


async def test_a_thread_may_end_its_own_work() -> None:
    """`busy` left in another thread wakes the loop."""
    async with virtual_time() as clock:
        entered = threading.Event()

        def work() -> None:
            with clock.busy():
                entered.set()
                time.sleep(0.02)

        thread = threading.Thread(target=work)
        thread.start()
        entered.wait()
        await asyncio.sleep(1000)
        assert clock.elapsed == pytest.approx(1000, abs=0.001)
        thread.join()


async def test_a_thread_that_waits_for_the_loop_is_no_deadlock(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Work that waits for a timer gets it, at the real pace, once the clock stood still a while."""
    monkeypatch.setattr("paymux.testing.clock.STILL_SECONDS", 0.01)
    loop = asyncio.get_running_loop()

    async def slept() -> int:
        await asyncio.sleep(0.02)
        return 7

    async with virtual_time() as clock:
        asked = asyncio.run_coroutine_threadsafe
        assert await asyncio.to_thread(lambda: asked(slept(), loop).result()) == 7
        assert clock.elapsed == pytest.approx(0.02, abs=0.001)


async def test_a_socket_to_a_thread_needs_busy() -> None:
    """What another thread answers is waited for under `busy`."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)

    def answer() -> None:
        time.sleep(0.02)
        theirs.send(b"x")

    async with virtual_time() as clock:
        threading.Thread(target=answer).start()
        with clock.busy():
            async with asyncio.timeout(0.001):
                assert await asyncio.get_running_loop().sock_recv(ours, 1) == b"x"
    ours.close()
    theirs.close()


async def test_what_can_never_come_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test that waits for nothing ends with a word about it, and does not hang."""
    monkeypatch.setattr("paymux.testing.clock.STUCK_SECONDS", 0.01)
    with pytest.raises(AssertionError, match=r"nothing is left to happen.*clock\.busy"):
        async with virtual_time():
            await asyncio.Event().wait()
    task = asyncio.current_task()
    assert task is not None
    assert not task.cancelling()
    await asyncio.sleep(0)


async def test_a_stuck_block_that_raises_another_error_leaves_no_cancellation(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The error of the test is raised, and its task is not cancelled for what comes after."""
    monkeypatch.setattr("paymux.testing.clock.STUCK_SECONDS", 0.01)

    async def stuck() -> None:
        async with virtual_time():
            try:
                await asyncio.Event().wait()
            finally:
                raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await stuck()
    task = asyncio.current_task()
    assert task is not None
    assert not task.cancelling()


def test_a_block_whose_loop_was_closed_is_undone_by_the_next() -> None:
    """Its patches go, so that the next test has a clock of its own and then the real one."""
    before = [time.time, Writer.queued, paymux.primitives.clock.monotonic]
    loop, left = asyncio.new_event_loop(), virtual_time()
    loop.run_until_complete(left.__aenter__())
    loop.close()

    async def next_test() -> float:
        async with virtual_time() as clock:
            await asyncio.sleep(100)
            return clock.elapsed

    assert asyncio.run(next_test()) == pytest.approx(100, abs=0.001)
    assert [time.time, Writer.queued, paymux.primitives.clock.monotonic] == before
    asyncio.run(left.__aexit__(None, None, None))  # as the collector of garbage leaves it
    assert [time.time, Writer.queued, paymux.primitives.clock.monotonic] == before


def test_it_is_an_error_for_a_block_that_a_finished_task_opened(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As in an asynchronous fixture: the loop's run itself ends."""
    monkeypatch.setattr("paymux.testing.clock.STUCK_SECONDS", 0.01)
    loop, block = asyncio.new_event_loop(), virtual_time()
    loop.run_until_complete(block.__aenter__())
    with pytest.raises(AssertionError, match="nothing is left to happen"):
        loop.run_until_complete(asyncio.Event().wait())
    loop.run_until_complete(block.__aexit__(None, None, None))
    for task in asyncio.all_tasks(loop):
        task.cancel()
    loop.run_until_complete(asyncio.sleep(0))
    loop.close()


async def test_a_cancelled_block_is_cancelled() -> None:
    """A time-out around a block is a time-out, and closes it."""
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(10), virtual_time():
            await asyncio.sleep(20)
    async with virtual_time():
        pass


async def test_blocks_are_entered_one_at_a_time() -> None:
    """Nested, twice at once, or in another thread: UsageError, and the open block goes on."""
    block = virtual_time()
    async with block as clock:
        for other in (virtual_time(), block):
            with pytest.raises(UsageError, match="a block is open already"):
                await other.__aenter__()

        async def elsewhere() -> None:
            with pytest.raises(UsageError, match="a block is open already"):
                async with virtual_time():
                    pass

        await asyncio.to_thread(asyncio.run, elsewhere())
        await asyncio.sleep(10)
        assert clock.elapsed == pytest.approx(10, abs=0.001)
    with pytest.raises(UsageError, match="this block is not open"):
        await block.__aexit__(None, None, None)
    async with block as clock:  # one after another is fine
        assert clock.elapsed == 0


async def _enter() -> None:
    async with virtual_time():
        pass


def test_a_loop_whose_clock_cannot_be_moved_is_refused() -> None:
    """Uvloop keeps its time in C; no loop at all, as under trio, is refused, too."""
    with (
        asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner,
        pytest.raises(UsageError, match=r"the clock of uvloop\.Loop cannot be moved; use asyncio"),
    ):
        runner.run(_enter())
    with pytest.raises(UsageError, match="no asyncio loop is running"):
        _enter().send(None)


def _frozen() -> contextlib.AbstractContextManager[Any]:
    return freezegun.freeze_time("2026-03-01 12:00:00")


def _travelled() -> contextlib.AbstractContextManager[Any]:
    return time_machine.travel(datetime(2026, 3, 1, 12, tzinfo=UTC), tick=False)


@pytest.mark.parametrize("stopped", [_frozen, _travelled])
@pytest.mark.parametrize("sockets", [False, True])
def test_it_begins_at_the_time_that_a_test_set(
    stopped: Callable[[], contextlib.AbstractContextManager[Any]], sockets: bool, tmp_path: Path
) -> None:
    """Beside freezegun and time-machine: their moment is the beginning, and virtual time goes on
    from it; what is stored has plain dates.
    """
    with stopped():
        payment, elapsed = asyncio.run(pay(tmp_path / "1.db", sockets=sockets))
    assert is_right(payment, elapsed)
    assert payment.created_at is not None
    assert type(payment.created_at) is type(datetime.fromtimestamp(0, UTC))
    assert abs(payment.created_at - datetime(2026, 3, 1, 12, tzinfo=UTC)).total_seconds() < 1


@pytest.mark.parametrize("stopped", [_frozen, _travelled])
async def test_a_stopped_wall_clock_alone_harms_no_payment(
    stopped: Callable[[], contextlib.AbstractContextManager[Any]], tmp_path: Path
) -> None:
    """Without virtual time, too: a payment is collected, stored and read back."""
    sim = Simulator()
    pool = Pool(sim.driver("campay"), connection=sim.connection, journal=tmp_path / "1.db")
    await pool.collect("campay", **{**SLOW_PAYER, "reference": "first"})
    with stopped():
        await pool.collect("campay", **SLOW_PAYER)
    found = {one.reference: one.created_at async for one in pool.payments()}
    await pool.aclose()
    when = found["order-1"]
    assert when is not None
    assert abs(when - datetime(2026, 3, 1, 12, tzinfo=UTC)).total_seconds() < 1


def test_tasks_that_begin_at_once_change_nothing(tmp_path: Path) -> None:
    """With eager tasks, where Python has them."""

    async def main() -> tuple[Payment, float]:
        eagerly()
        return await pay(tmp_path / "1.db", sockets=True)

    assert is_right(*asyncio.run(main()))


async def test_a_notifier_delivers_in_virtual_time(tmp_path: Path) -> None:
    """A whole shop: the end of a payment without a watch is delivered."""
    told: list[Payment] = []

    async def on_payment(payment: Payment) -> None:
        told.append(payment)

    async with virtual_time() as clock:
        sim = Simulator(payer_delay=300.0)
        pool = Pool(sim.driver("campay"), connection=sim.connection, journal=tmp_path / "1.db")
        async with pool, Notifier(pool, on_payment):
            await pool.collect("campay", **SLOW_PAYER)
            await asyncio.sleep(600)
        assert [one.status for one in told] == [Status.SUCCEEDED]
        assert clock.elapsed > 600


async def test_a_child_process_is_waited_for_under_busy() -> None:
    """What a test starts takes its real time."""
    async with virtual_time() as clock:
        with clock.busy():
            child = await asyncio.create_subprocess_exec(
                "sleep", "0.05", stdout=asyncio.subprocess.DEVNULL
            )
            async with asyncio.timeout(0.01):
                assert await child.wait() == 0
