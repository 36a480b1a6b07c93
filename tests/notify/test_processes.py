"""Real processes: a worker killed between the end's fact and its delivery is replaced."""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from paymux import Notifier, Pool, Status

from ..toys import Keyless, Wire
from .world import Desk, Shop, rows, run_sql

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
WORKER = """
    import asyncio, os, signal, sys
    from paymux import Notifier, Pool
    from tests.notify.world import Desk, collect
    from tests.toys import Keyless, Wire

    async def on_payment(payment):
        if sys.argv[2] == "telling":
            os.kill(os.getpid(), signal.SIGKILL)

    async def main():
        desk = Desk()
        async with Pool(Keyless(account="toy"), connection=Wire(desk), journal=sys.argv[1]) as pay:
            notifier = Notifier(pay, on_payment)
            async with notifier:
                if sys.argv[2] == "written":
                    # As if the process died in the moment after the end was written.
                    pay._engine.store.on_fact = lambda payment, *_: (
                        os.kill(os.getpid(), signal.SIGKILL) if payment.status.terminal else None
                    )
                payment = await collect(pay)
                if sys.argv[2] == "stopped":
                    await asyncio.sleep(0.5)
                    print("sent", flush=True)
                    os.kill(os.getpid(), signal.SIGSTOP)
                desk.status["order-1"] = "OK"
                await pay.verify(payment)
                await asyncio.sleep(60)

    asyncio.run(main())
"""


def worker(file: Path, point: str) -> subprocess.Popen[bytes]:
    """Start a worker that dies, or stops, at a point."""
    code = [sys.executable, "-c", textwrap.dedent(WORKER), str(file), point]
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    return subprocess.Popen(code, cwd=ROOT, env=environment, stdout=subprocess.PIPE)


@pytest.mark.parametrize("point", ["written", "telling"])
async def test_a_kill_between_the_outbox_and_the_telling_loses_nothing(
    tmp_path: Path, point: str
) -> None:
    """Killed after the end was stored, or during delivery: another worker delivers in 30 s."""
    file, shop, desk = tmp_path / "payments.db", Shop(), Desk()
    async with Pool(Keyless(account="toy"), connection=Wire(desk), journal=file) as pay:
        process = worker(file, point)
        code = await asyncio.get_running_loop().run_in_executor(None, process.wait)
        assert code == -signal.SIGKILL
        assert rows(file) == [("order-1", "succeeded", None, "accepted")]
        killed = time.monotonic()
        async with Notifier(pay, shop), asyncio.timeout(30):
            while not shop.told:
                await asyncio.sleep(0.05)
        assert time.monotonic() - killed < 30
    assert shop.told == [("order-1", Status.SUCCEEDED)]
    if process.stdout is not None:
        process.stdout.close()


async def test_a_worker_in_the_same_journal_takes_over(tmp_path: Path) -> None:
    """Two workers: the one killed in a delivery is replaced at the other's next scan."""
    file, shop, desk = tmp_path / "payments.db", Shop(), Desk()
    async with (
        Pool(Keyless(account="toy"), connection=Wire(desk), journal=file) as pay,
        Notifier(pay, shop),
    ):
        process = worker(file, "telling")
        code = await asyncio.get_running_loop().run_in_executor(None, process.wait)
        assert code == -signal.SIGKILL
        async with asyncio.timeout(30):
            while not shop.told:
                await asyncio.sleep(0.05)
    assert shop.told == [("order-1", Status.SUCCEEDED)]
    if process.stdout is not None:
        process.stdout.close()


async def test_a_worker_that_is_stopped_keeps_nothing_to_itself(tmp_path: Path) -> None:
    """A frozen process is alive but has no heartbeat: another has its order after 60 s."""
    file, shop, desk = tmp_path / "payments.db", Shop(), Desk()
    process = worker(file, "stopped")
    try:
        assert process.stdout is not None
        await asyncio.get_running_loop().run_in_executor(None, process.stdout.readline)
        desk.status["order-1"] = "OK"
        pay = Pool(Keyless(account="toy"), connection=Wire(desk), journal=file)
        async with pay, Notifier(pay, shop) as notifier, asyncio.timeout(30):
            await asyncio.sleep(6)
            assert notifier._order_watcher._orders() == []
            run_sql(
                file, "UPDATE notifiers SET beat = beat - 60 WHERE beat < ?", time.monotonic() - 5.5
            )
            while not shop.told:
                await asyncio.sleep(0.05)
        assert shop.told == [("order-1", Status.SUCCEEDED)]
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()
