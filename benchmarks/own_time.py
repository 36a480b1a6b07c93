"""In which modules the CPU of a call is used: of ours beside another client's, by sampling.

`benchmarks/clients.py` says what a sample is. The cost of a module is its share of the samples,
of the CPU that a call costs while it is sampled.
"""

import contextlib
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

from .loopback import Loopback
from .peers import OURS, Worker

SECONDS = 10.0  # of CPU that are sampled, for each client and verb
CALLS = 1000  # of a client, before it is the other one's turn
LEAST = 0.5  # microseconds; modules with less are shown together
AT_ONCE = 50
ONE_BY_ONE = ("paymux", "aiohttp", "asyncio")  # packages of which each module has a row


class OwnTime(NamedTuple):
    """What a call of one client costs: microseconds of CPU, of each module and of all."""

    modules: dict[str, float]
    whole: float
    samples: int


async def profiled(names: list[str], folder: Path) -> dict[str, dict[str, Any]]:
    """Print in which modules the CPU of ours and of these clients is used, and give it as data."""
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
    """Sample our client and another one in turn, until both have used enough CPU."""
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
    """A client, and what was found of it."""

    def __init__(self, worker: Worker, verb: str) -> None:
        self._worker = worker
        self._verb = verb
        self._calls = 0
        self._samples: Counter[str] = Counter()
        self.used = 0.0  # seconds of CPU

    async def go_on(self) -> None:
        """Make some more calls, unless there were enough."""
        if self.used >= SECONDS:
            return
        cpu, modules = await self._worker.sample(self._verb, count=CALLS, at_once=AT_ONCE)
        if self._worker.error:
            raise SystemExit(f"{self._worker.name}: {self._worker.error}")
        self.used += cpu
        self._calls += CALLS
        self._samples += modules

    def own_time(self) -> OwnTime:
        """Give what a call costs."""
        return shared(self._samples, self.used / self._calls * 1e6)


def shared(samples: Counter[str], whole: float) -> OwnTime:
    """Share what a call costs among the modules, by their samples."""
    shares: Counter[str] = Counter()
    for module, count in samples.items():
        shares[row_of(module)] += count
    costs = {name: whole * count / samples.total() for name, count in shares.most_common()}
    return OwnTime(costs, whole, samples.total())


def row_of(module: str) -> str:
    """Give the row in which a module is counted: its own, or its package's."""
    package = module.partition(".")[0]
    if module == "__main__":
        return "the caller"
    return module if package in ONE_BY_ONE else package


def table(ours: OwnTime, theirs: OwnTime) -> str:
    """Give the rows of a verb, the largest of ours first."""
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
    """Give one row."""
    return f"{name:32}{ours:8.1f}{theirs:8.1f}"
