"""Turns of living workers under cuts, black holes, stops and restarts: two never act at once."""

import asyncio
import random
import signal
import sys
import tempfile
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

from ..clusters import Cluster
from ..postgres.proxy import Proxy

ROOT = Path(__file__).parents[2]
WORKERS, CALLERS = 4, 3  # processes, and callers in each
KEEPALIVE_SECONDS = 30.0  # seconds after which a server misses a client in a black hole


class Found(NamedTuple):
    """What a run did, and how often two bodies of one turn acted at once."""

    bodies: int
    overlaps: int
    twice: int  # orders that were done more than once
    events: int
    orders: int  # done


class Process(NamedTuple):
    """A worker in a process of its own, behind a proxy of its own."""

    process: asyncio.subprocess.Process
    proxy: Proxy


def read(file: Path) -> tuple[int, int, int, int]:
    """Count bodies, those that acted after a later one of their turn began, and doubled ends."""
    first: dict[str, dict[int, float]] = defaultdict(dict)
    last: dict[str, dict[int, float]] = defaultdict(dict)
    done: dict[str, int] = defaultdict(int)
    for line in file.read_text().splitlines():
        reference, fence, at, what = line.split()
        first[reference].setdefault(int(fence), float(at))
        last[reference][int(fence)] = float(at)
        done[reference] += what == "done"
    overlaps = sum(
        any(begin < last[reference][fence] for other, begin in begun.items() if other > fence)
        for reference, begun in first.items()
        for fence in begun
    )
    bodies = sum(map(len, first.values()))
    return bodies, overlaps, sum(count > 1 for count in done.values()), len(done)


class Street:
    """Workers of one journal, and what is done to them."""

    def __init__(self, cluster: Cluster, kind: str, scale: float, seed: int) -> None:
        self._cluster = cluster
        self._kind = kind
        self._scale = scale
        self._random = random.Random(seed)
        self.events = 0

    async def run(self, orders: int, file: Path, schema: str) -> Found:
        """Let workers do all orders, and trouble them until they have."""
        workers = [await self._begun(orders, file, schema) for _ in range(WORKERS)]
        trouble = asyncio.create_task(self._trouble(workers))
        try:
            for one in workers:
                await one.process.wait()
            assert [one.process.returncode for one in workers] == [0] * WORKERS
        finally:
            trouble.cancel()
            await asyncio.gather(trouble, return_exceptions=True)
            for one in workers:
                if one.process.returncode is None:
                    one.process.kill()
                    await one.process.wait()
                await one.proxy.__aexit__()
        bodies, overlaps, twice, done = read(file)
        return Found(bodies, overlaps, twice, self.events, done)

    async def _begun(self, orders: int, file: Path, schema: str) -> Process:
        proxy = await Proxy(self._cluster.port).__aenter__()
        url = self._cluster.url(schema).replace(f":{self._cluster.port}/", f":{proxy.port}/")
        words = (url, self._kind, str(self._scale), str(file), str(orders), str(CALLERS))
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "tests.campaigns.turn_worker", *words),
            cwd=ROOT,
            stderr=asyncio.subprocess.DEVNULL,
        )
        return Process(process, proxy)

    async def _trouble(self, workers: list[Process]) -> None:
        """Do one thing after another to the workers, until the first has no order left."""
        await asyncio.sleep(20 * self._scale)
        while all(one.process.returncode is None for one in workers):
            one = self._random.choice(workers)
            await self._random.choice(
                (self._cut, self._swallow, self._swallow, self._stop, self._stop, self._restart)
            )(one)
            self.events += 1
            await asyncio.sleep(self._random.uniform(2, 10) * self._scale)

    async def _cut(self, one: Process) -> None:
        one.proxy.cut()

    async def _swallow(self, one: Process) -> None:
        """No packet passes; the server misses the worker after a time."""
        one.proxy.swallow = True
        seconds = self._random.uniform(10, 90) * self._scale
        missed = KEEPALIVE_SECONDS * self._scale
        await asyncio.sleep(min(seconds, missed))
        if seconds > missed:
            one.proxy.miss()
            await asyncio.sleep(seconds - missed)
        one.proxy.swallow = False

    async def _stop(self, one: Process) -> None:
        one.process.send_signal(signal.SIGSTOP)
        await asyncio.sleep(self._random.uniform(30, 70) * self._scale)
        one.process.send_signal(signal.SIGCONT)

    async def _restart(self, _: Process) -> None:
        how = self._random.choice((signal.SIGINT, signal.SIGQUIT))
        await asyncio.to_thread(self._cluster.stop, how)
        await asyncio.to_thread(self._cluster.start)


async def overlapped(
    cluster: Cluster, kind: str, *, orders: int, scale: float, seed: int = 1
) -> Found:
    """Run the campaign; `kind`: "ours", "lock" or "lease"; `scale`: of all times."""
    with tempfile.TemporaryDirectory() as folder:
        street = Street(cluster, kind, scale, seed)
        return await street.run(orders, Path(folder) / "acts", f"turns_{kind}_{seed}")
