"""Show in which modules the CPU time of a call is used, for paymux and another client.

The CPU time is sampled: see `Sampler` in `benchmarks/clients.py`. The cost of a module is its share
of the samples, times the CPU time of a call while it is sampled.
"""

import contextlib
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

from .loopback import Loopback
from .peers import OURS, Worker

SECONDS = 10.0  # of sampled CPU, for each client and verb
CALLS = 1000  # of a client, before the other client's turn
LEAST = 0.5  # microseconds; modules with less are one row
AT_ONCE = 50
ONE_BY_ONE = ("paymux", "aiohttp", "asyncio")  # packages whose modules have a row each


class OwnTime(NamedTuple):
    """The microseconds of CPU of a client's call, by module and in total."""

    modules: dict[str, float]
    whole: float
    samples: int


async def profiled(names: list[str], folder: Path) -> dict[str, dict[str, Any]]:
    """Print and return the CPU time of each module, for paymux and each of these clients."""
    told: dict[str, dict[str, Any]] = {}
    async with Loopback() as server:
        for name in names:
            for verb in ("verify", "collect"):
                ours, theirs = await own_times(server, name, verb, folder)
                print(f"{f'{verb}, {AT_ONCE} at once':32}{'ours':>8}  {name}")
                print(f"{table(ours, theirs)}\n", flush=True)
                told[f"{verb} {name}"] = {"ours": ours._asdict(), "theirs": theirs._asdict()}
    return told


async def own_times(
    server: Loopback, name: str, verb: str, folder: Path
) -> tuple[OwnTime, OwnTime]:
    """Sample paymux and another client in turn, until both have used enough CPU."""
    async with contextlib.AsyncExitStack() as stack:
        ours, theirs = [
            Sampled(await stack.enter_async_context(Worker(each, server.url, folder=folder)), verb)
            for each in (OURS[name], name)
        ]
        while min(ours.used, theirs.used) < SECONDS:
            await ours.go_on()
            await theirs.go_on()
    return ours.own_time(), theirs.own_time()


class Sampled:
    """A client with its samples."""

    def __init__(self, worker: Worker, verb: str) -> None:
        self._worker = worker
        self._verb = verb
        self._calls = 0
        self._samples: Counter[str] = Counter()
        self.used = 0.0  # seconds of CPU

    async def go_on(self) -> None:
        """Make more calls, unless there are enough samples."""
        if self.used >= SECONDS:
            return
        cpu, modules = await self._worker.sample(self._verb, count=CALLS, at_once=AT_ONCE)
        if self._worker.error:
            raise SystemExit(f"{self._worker.name}: {self._worker.error}")
        self.used += cpu
        self._calls += CALLS
        self._samples += modules

    def own_time(self) -> OwnTime:
        """Return the cost of a call, by module."""
        return shared(self._samples, self.used / self._calls * 1e6)


def shared(samples: Counter[str], whole: float) -> OwnTime:
    """Divide the cost of a call among the modules, by their samples."""
    shares: Counter[str] = Counter()
    for module, count in samples.items():
        shares[row_of(module)] += count
    costs = {name: whole * count / samples.total() for name, count in shares.most_common()}
    return OwnTime(costs, whole, samples.total())


def row_of(module: str) -> str:
    """Return the name of a module's row: the module's name, or its package's."""
    package = module.partition(".")[0]
    if module == "__main__":
        return "the caller"
    return module if package in ONE_BY_ONE else package


def table(ours: OwnTime, theirs: OwnTime) -> str:
    """Return the rows of a verb, the largest of paymux first."""
    names = dict.fromkeys([*ours.modules, *theirs.modules])
    costs = {name: (ours.modules.get(name, 0.0), theirs.modules.get(name, 0.0)) for name in names}
    large = {name: both for name, both in costs.items() if max(both) >= LEAST}
    small = [both for name, both in costs.items() if name not in large]
    paymux = sum(cost for name, cost in ours.modules.items() if name.startswith("paymux"))
    return "\n".join(
        [
            *(row(name, *both) for name, both in large.items()),
            row(f"less than {LEAST:g} each", sum(a for a, _ in small), sum(b for _, b in small)),
            row("paymux, all modules", paymux, 0.0),
            row("all", ours.whole, theirs.whole),
        ]
    )


def row(name: str, ours: float, theirs: float) -> str:
    """Return one row."""
    return f"{name:32}{ours:8.1f}{theirs:8.1f}"
