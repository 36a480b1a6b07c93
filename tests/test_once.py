"""Once-locks: one caller is first; an error, a cancellation or process death releases the lock."""

import asyncio
import contextlib
import sqlite3
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from paymux import Payment, Pool, Unavailable, UsageError

from .toys import Desk, Toy, Wire

ROOT = Path(__file__).parents[1]
PAID = Payment(account="toy", kind="collect", reference="order-1")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Return the path of the journal."""
    return tmp_path / "payments.db"


def pool(file: Path) -> Pool:
    """Open a pool with a journal."""
    return Pool(Toy(), connection=Wire(Desk()), journal=file)


async def take(pay: Pool, name: str = "fulfilled") -> bool:
    """Acquire the once-lock and complete it."""
    async with pay.once(PAID, name) as first:
        await asyncio.sleep(0)
        return bool(first)


async def fail(pay: Pool, *, first: bool) -> None:
    """Acquire the once-lock, and fail inside the block."""
    async with pay.once(PAID, "fulfilled") as mine:
        assert bool(mine) is first
        assert not await take(pay)
        raise ZeroDivisionError


async def test_one_caller_is_first(file: Path) -> None:
    """Of forty callers one is first; another name, kind or reference is another lock."""
    async with pool(file) as one, pool(file) as two:
        firsts = await asyncio.gather(*(take(pay) for pay in (one, two) * 20))
        assert firsts.count(True) == 1
        assert not await take(one)
        assert await take(one, "receipt sent")
        async with one.once(
            Payment(account="toy", kind="refund", reference="order-1"), "fulfilled"
        ) as first:
            assert first
    async with pool(file) as later:
        assert not await take(later)


async def test_an_error_releases_the_once_lock(file: Path) -> None:
    """After an error the next caller is first, and the error reaches its own caller."""
    async with pool(file) as pay:
        with pytest.raises(ZeroDivisionError):
            await fail(pay, first=True)
        assert await take(pay)


async def test_a_caller_that_is_not_first_releases_no_lock(file: Path) -> None:
    """A caller that is not first neither completes nor releases the lock."""
    async with pool(file) as pay, pay.once(PAID, "fulfilled") as first:
        assert first
        with pytest.raises(ZeroDivisionError):
            await fail(pay, first=False)
        assert not await take(pay)


async def test_a_cancelled_caller_releases_the_once_lock(file: Path) -> None:
    """After a cancellation inside the block the lock is free."""
    async with pool(file) as pay:
        began = asyncio.Event()

        async def work() -> None:
            async with pay.once(PAID, "fulfilled"):
                began.set()
                await asyncio.sleep(60)

        task = asyncio.create_task(work())
        await began.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await take(pay)


@pytest.mark.parametrize("held", [True, False])
async def test_cancelled_while_it_is_taken(file: Path, *, held: bool) -> None:
    """Cancelled while acquiring: only its own lock is released."""
    async with pool(file) as pay, contextlib.AsyncExitStack() as other:
        _ = [one async for one in pay.payments()]
        if held:
            assert await other.enter_async_context(pay.once(PAID, "fulfilled"))
        db = sqlite3.connect(file, isolation_level=None)
        db.execute("BEGIN IMMEDIATE")
        task = asyncio.create_task(take(pay))
        await asyncio.sleep(0.05)
        task.cancel()
        await asyncio.sleep(0.01)
        db.execute("ROLLBACK")
        db.close()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert await take(pay) is not held


KILLED = """
    import asyncio, os, signal, sys
    from paymux import Payment, Pool
    from tests.toys import Desk, Toy, Wire

    async def main():
        async with Pool(Toy(), connection=Wire(Desk()), journal=sys.argv[1]) as pay:
            order = Payment(account="toy", kind="collect", reference="order-1")
            async with pay.once(order, "fulfilled") as first:
                print(bool(first), flush=True)
                sys.stdin.read()

    asyncio.run(main())
"""


async def test_a_dead_process_releases_its_once_lock(file: Path) -> None:
    """While a process holds the lock, no other is first; after it was killed, another is."""
    command = [sys.executable, "-c", textwrap.dedent(KILLED), str(file)]
    process = subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "True\n"
        async with pool(file) as pay:
            assert not await take(pay)
            process.kill()
            process.wait()
            assert await take(pay)
            assert not await take(pay)
    finally:
        process.kill()
        process.communicate()


async def test_a_once_lock_that_cannot_be_written_is_not_granted(file: Path) -> None:
    """A journal that cannot be written is Unavailable, and the block is not entered."""
    async with pool(file) as pay:
        with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as db:
            db.execute(
                "CREATE TRIGGER r BEFORE INSERT ON turns BEGIN SELECT RAISE(ABORT, 'disk on "
                "fire'); END"
            )
        with pytest.raises(Unavailable):
            async with pay.once(PAID, "fulfilled"):
                pytest.fail("begun without a turn")


async def test_a_turn_needs_a_reference(file: Path) -> None:
    """A payment without our reference has no once-locks."""
    async with pool(file) as pay:
        with pytest.raises(UsageError, match="reference"):
            pay.once(Payment(account="toy", provider_reference="id-1"), "fulfilled")


FORKS = """
import asyncio, os, sys
from paymux import Payment, Pool
from paymux.drivers.campay import CamPay

pool = Pool(CamPay(username="u", password="p", base_url="http://127.0.0.1:1"), journal=sys.argv[1])
child = os.fork()

async def main():
    async with pool:
        order = Payment(account="campay", kind="collect", reference="order-1")
        async with pool.once(order, "fulfilled") as first:
            await asyncio.sleep(0.2)  # so that both have the journal open
        os.write(1, f"{bool(first)}\\n".encode())

asyncio.run(main())
if child:
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def test_a_pool_made_before_a_fork_serves_both(file: Path) -> None:
    """After a server loaded the application and forked, one of its processes is first."""
    ended = subprocess.run(
        [sys.executable, "-c", FORKS, str(file)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    assert sorted(ended.stdout.split()) == ["False", "True"]


async def test_each_later_caller_has_a_higher_fence(file: Path) -> None:
    """What a late caller writes can be told from what its successor wrote; no turn is fence 0."""
    async with pool(file) as one, pool(file) as two:
        fences = []
        for pay in (one, two, one):
            with contextlib.suppress(ZeroDivisionError):
                async with pay.once(PAID, "fulfilled") as turn:
                    fences.append(turn.fence)
                    raise ZeroDivisionError
        async with one.once(PAID, "fulfilled") as turn:
            assert (bool(turn), turn.fence) == (True, 4)
            async with two.once(PAID, "fulfilled") as other:
                assert (bool(other), other.fence) == (False, 0)
        async with two.once(PAID, "receipt sent") as turn:
            assert turn.fence == 1
    assert fences == [1, 2, 3]
