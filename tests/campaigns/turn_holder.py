"""A process that has a turn, and says each moment in which it acts; and what is done to it.

As a program: URL, kind of journal, scale of the times.
"""

import asyncio
import contextlib
import signal
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

from paymux import Payment, Pool

from ..toys import Desk, Toy, Wire
from .turn_worker import journal_of, scaled

ROOT = Path(__file__).parents[2]
ORDER = Payment(account="toy", kind="collect", reference="order-1")


def pool(url: str, kind: str, scale: float) -> Pool:
    """Make a pool of one worker."""
    return Pool(Toy(), connection=Wire(Desk()), journal=journal_of(kind, url, scaled(scale)))


@contextlib.asynccontextmanager
async def holder(url: str, kind: str, scale: float) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run a process that has the turn."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.campaigns.turn_holder", url, kind, str(scale)),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        assert process.stdout is not None
        assert await process.stdout.readline() == b"1\n"
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.communicate()


async def taken(pay: Pool) -> int:
    """Ask for the turn once; return its fence."""
    async with pay.once(ORDER, "shipped") as turn:
        return turn.fence


async def taken_over(pay: Pool) -> float:
    """Ask for the turn until it is had; return when."""
    while not await taken(pay):
        await asyncio.sleep(0.05)
    return time.monotonic()


async def acts_after(process: asyncio.subprocess.Process, took: float) -> int:
    """Count the moments in which a process acted after another had its turn, until it ends."""
    assert process.stdout is not None
    said = (await process.stdout.read()).split()
    return sum(float(line) > took for line in said)


class Stopped(NamedTuple):
    """What was seen of a process that was stopped."""

    takes: int  # how often another had its turn meanwhile
    acts: int  # how often it acted after another had its turn
    code: int  # how it ended: 1 is Unavailable


async def stopped(url: str, scale: float, seconds: float) -> Stopped:
    """Stop a process that has the turn for so long, and let it go on."""
    async with pool(url, "ours", scale) as pay, holder(url, "ours", scale) as process:
        process.send_signal(signal.SIGSTOP)
        takes, until = 0, time.monotonic() + seconds
        while time.monotonic() < until:
            takes += await taken(pay)
            await asyncio.sleep(0.1)
        process.send_signal(signal.SIGCONT)
        acts = await acts_after(process, await taken_over(pay))
        return Stopped(takes, acts, await process.wait())


async def killed(url: str, scale: float) -> float:
    """Kill a process that has the turn; return the seconds until another has it."""
    async with pool(url, "ours", scale) as pay, holder(url, "ours", scale) as process:
        assert not await taken(pay)
        began = time.monotonic()
        process.kill()
        return await taken_over(pay) - began


async def main(url: str, kind: str, scale: str) -> None:
    """Have the turn, and act, until that ends."""
    async with pool(url, kind, float(scale)) as pay, pay.once(ORDER, "shipped") as turn:
        print(turn.fence, flush=True)
        while True:
            time.sleep(0.02)  # it works, and is stopped in the midst of that
            print(time.monotonic(), flush=True)
            await asyncio.sleep(0)


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
