"""Processes of one journal that share a stated limit, and a provider that counts what arrives.

The network takes a random time, each way, so the provider counts in another order than was sent.
What each process sends is a line of its own file, written as it leaves: what has left arrives, also
if its sender is killed. `python -m tests.campaigns.shared_limits PLAN` is one process.
"""

import asyncio
import contextlib
import os
import random
import signal
import sqlite3
import sys
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path
from typing import Any, Literal

import msgspec

from paymux import Pool
from paymux.errors import PaymuxError
from paymux.http import PreparedRequest, Response
from paymux.journal import journal_at
from paymux.journal.stored.places import StoredPlaces
from paymux.limits import Lent, Limiter, Need

from ..toys import Keyless, answer

Way = Literal["shared", "alone", "gcra"]
DEADLINE = 5.0  # seconds of a verb
RESTING = "SELECT holder, held FROM places WHERE ended IS NOT NULL"
LOOK_SECONDS = 0.25  # seconds between looks at the places of ended workers


class Phase(msgspec.Struct, frozen=True):
    """For so many seconds, the first `busy` workers send without end, the others now and then.

    `name`: "full" and "calm" are measured; in a "pause" nothing begins, and what waits is sent.
    """

    seconds: float
    busy: int
    name: str


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """One run."""

    limit: int
    window: float  # seconds
    phases: tuple[Phase, ...]
    way: Way = "shared"  # of each process on its own, or by GCRA, for comparison
    workers: int = 8
    callers: int = 30  # of a worker that sends without end
    calm: float = 1.0  # requests a second of a calm worker
    jitter: float = 0.2  # seconds that a way takes, at most
    kill_at: float | None = None  # seconds after which a worker is killed, and soon begun anew
    restart_at: float | None = None  # seconds after which another one ends and is begun anew


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """What one process does."""

    plan: Plan
    number: int
    journal: str
    file: str  # of its lines
    began: float  # of the run, by the machine's monotonic clock


class Found(msgspec.Struct, kw_only=True):
    """What the provider saw, and what it cost."""

    sent: int = 0
    fullest: int = 0  # requests in a window
    too_full: int = 0  # windows that held more than the limit
    used: float = 0.0  # share of the exact ceiling, while all send without end
    trips: float = 0.0  # trips to the journal a request, while all send without end
    calm_trips: float = 0.0
    calm_wait: float = 0.0  # milliseconds, the median where all are calm
    calm_p99: float = 0.0


class Wire:
    """A connection whose ways take a random time each."""

    def __init__(self, process: "Process") -> None:
        self._process = process

    async def exchange(self, outgoing: PreparedRequest) -> Response:
        """Carry one request."""
        outgoing.started = outgoing.sent = True
        there, back = (random.uniform(0, self._process.work.plan.jitter) for _ in range(2))
        self._process.say("r", time.monotonic() + there, self._process.waited())
        await asyncio.sleep(there + back)
        return answer(id="id-1", status="WAIT", reference="order-1")

    async def frames(self, outgoing: PreparedRequest) -> AsyncGenerator[str | bytes]:
        """Give no frames."""
        raise NotImplementedError
        yield ""

    async def aclose(self) -> None:
        """Close nothing."""


class Process:
    """One worker."""

    def __init__(self, work: Work) -> None:
        self.work = work
        self._file = os.open(work.file, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        self._waits: dict[object, float] = {}
        self._looks: set[asyncio.Future[Any]] = set()
        self._stop = asyncio.Event()

    def say(self, kind: str, at: float, value: float = 0.0) -> None:
        """Write a line at once."""
        os.write(self._file, f"{kind} {at:.6f} {value:.6f}\n".encode())

    def waited(self) -> float:
        """Return how many seconds this request waited for a slot."""
        return self._waits.pop(asyncio.current_task(), 0.0)

    async def run(self) -> None:
        """Work until the plan ends, or until this process is asked to end."""
        work, plan = self.work, self.work.plan
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self._stop.set)
        stated: Any = {} if plan.way == "gcra" else {"look-up": (plan.limit, plan.window)}
        driver: Any = type("Limited", (Keyless,), {"name": "limited", "limits": stated})
        self._measure()
        journal = work.journal if plan.way == "shared" else None
        pay = Pool(driver(account="toy"), connection=Wire(self), journal=journal, deadline=DEADLINE)
        async with pay:
            await asyncio.sleep(max(work.began - time.monotonic(), 0))
            ending = work.began
            for phase in plan.phases:
                ending += phase.seconds
                busy = work.number < phase.busy
                await self._phase(pay, ending, busy=busy, calm=phase.name != "pause")
            await asyncio.gather(*self._looks, return_exceptions=True)

    async def _phase(self, pay: Pool, ending: float, *, busy: bool, calm: bool) -> None:
        left = ending - time.monotonic()
        if left <= 0 or self._stop.is_set():
            return
        plan, tasks = self.work.plan, set[asyncio.Task[None]]()
        if busy:
            tasks = {asyncio.create_task(self._caller(pay, ending)) for _ in range(plan.callers)}
        elif calm:
            tasks = {asyncio.create_task(self._calm(pay, ending))}
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._stop.wait(), left)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _caller(self, pay: Pool, ending: float) -> None:
        while time.monotonic() < ending:
            await self._look(pay)

    async def _calm(self, pay: Pool, ending: float) -> None:
        async with asyncio.TaskGroup() as group:
            while time.monotonic() < ending:
                await asyncio.sleep(random.expovariate(self.work.plan.calm))
                group.create_task(self._look(pay))

    async def _look(self, pay: Pool) -> None:
        if self.work.plan.way == "gcra":
            await self._gcra()
        # One that is in flight when the phase ends goes on: a slot is free after its answer.
        look = asyncio.ensure_future(pay.verify("toy", "id-1", deadline=600.0))
        self._looks.add(look)
        look.add_done_callback(self._looks.discard)
        try:
            await asyncio.shield(look)
        except PaymuxError:
            await asyncio.sleep(0.1)

    async def _gcra(self) -> None:
        """Wait for a turn, one each limit-th of a window, kept in a database for all."""
        plan = self.work.plan
        with contextlib.closing(sqlite3.connect(self.work.journal, timeout=30)) as db:
            db.isolation_level = None
            db.execute("BEGIN IMMEDIATE")
            db.execute("CREATE TABLE IF NOT EXISTS gcra (at REAL)")
            row = db.execute("SELECT at FROM gcra").fetchone()
            at = max(time.monotonic(), row[0] if row else 0.0)
            db.execute("DELETE FROM gcra")
            db.execute("INSERT INTO gcra VALUES (?)", (at + plan.window / plan.limit,))
            db.execute("COMMIT")
        await asyncio.sleep(max(at - time.monotonic(), 0))

    def _measure(self) -> None:
        """Count trips and waits, around the code of the library."""
        ask, acquire = StoredPlaces.ask, Limiter.acquire

        async def counted(places: StoredPlaces, need: Need) -> Lent | None:
            self.say("t", time.monotonic())
            return await ask(places, need)

        async def timed(limiter: Limiter, **given: Any) -> None:
            began = time.perf_counter()
            await acquire(limiter, **given)
            self._waits[asyncio.current_task()] = time.perf_counter() - began

        StoredPlaces.ask = counted  # type: ignore[method-assign, assignment]
        Limiter.acquire = timed  # type: ignore[method-assign, assignment]


class Campaign:
    """Runs a plan, with a journal in a file or in a database, and counts as the provider does."""

    def __init__(
        self,
        plan: Plan,
        journal: str,
        folder: Path,
        restart: Callable[[], Awaitable[object]] | None = None,
    ) -> None:
        self.plan, self._journal, self._folder = plan, journal, folder
        self._restart = restart  # of the database
        self._processes: dict[int, asyncio.subprocess.Process] = {}
        # when so many place-seconds were lost to places of ended workers, which count as used
        self._resting: list[tuple[float, float]] = []
        self._files = 0

    async def run(self) -> Found:
        """Run the plan."""
        self._began = time.monotonic() + 3.0 + self.plan.workers / 4  # once all are imported
        for number in range(self.plan.workers):
            await self._start(number)
        tasks = [asyncio.create_task(one) for one in (self._kill(), self._end(), self._look())]
        try:
            for process in list(self._processes.values()):
                await process.wait()
            seconds = sum(phase.seconds for phase in self.plan.phases)
            await asyncio.sleep(max(self._began + seconds - time.monotonic(), 0))
            for process in list(self._processes.values()):
                await process.wait()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            for process in self._processes.values():
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
        return self._found()

    async def _start(self, number: int) -> None:
        self._files += 1
        file = str(self._folder / f"worker-{self._files}.log")
        work = Work(
            plan=self.plan, number=number, journal=self._journal, file=file, began=self._began
        )
        said = msgspec.json.encode(work).decode()
        self._processes[number] = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "tests.campaigns.shared_limits", said
        )

    async def _at(self, seconds: float | None) -> bool:
        if seconds is not None:
            await asyncio.sleep(self._began + seconds - time.monotonic())
        return seconds is not None

    async def _kill(self) -> None:
        if await self._at(self.plan.kill_at):
            self._processes[0].kill()
            await self._processes[0].wait()
            await self._start(0)

    async def _end(self) -> None:
        if await self._at(self.plan.restart_at):
            self._processes[1].terminate()
            if self._restart is not None:
                await self._restart()
            await self._processes[1].wait()
            await self._start(1)

    async def _look(self) -> None:
        """Add up how long places of ended workers count as used, beyond the window of their use."""
        if self.plan.way != "shared":
            return
        window = self.plan.window
        journal, last = journal_at(self._journal), time.monotonic()
        since: dict[str, float] = {}  # when each was first seen
        try:
            while True:
                await asyncio.sleep(LOOK_SECONDS)
                with contextlib.suppress(OSError):
                    rows = await journal._writer.read(lambda db: db.execute(RESTING).fetchall())
                    now = time.monotonic()
                    old = {who for who, _ in rows if since.setdefault(who, now) + window <= now}
                    count = sum(held for who, held in rows if who in old)
                    self._resting.append((now - self._began, count * (now - last)))
                last = time.monotonic()
        finally:
            await journal.aclose()

    # What it was like.

    def _found(self) -> Found:
        lines: dict[str, list[tuple[float, float]]] = {"r": [], "t": []}
        for file in self._folder.glob("worker-*.log"):
            for line in file.read_text().splitlines():
                kind, at, value = line.split()
                lines[kind].append((float(at) - self._began, float(value)))
        plan, found = self.plan, Found(sent=len(lines["r"]))
        times = sorted(at for at, _ in lines["r"])
        first = 0
        for last, when in enumerate(times):
            while times[first] <= when - plan.window:
                first += 1
            found.fullest = max(found.fullest, last - first + 1)
            found.too_full += last - first + 1 > plan.limit
        begins = 0.0
        for phase in plan.phases:
            ends = begins + phase.seconds
            sent = [wait for at, wait in lines["r"] if begins <= at < ends]
            trips = sum(begins <= at < ends for at, _ in lines["t"])
            if phase.name == "full" and sent:
                # Without the first window, which also has what was unused before.
                cycle = plan.window + plan.jitter
                since = begins + cycle
                lost = sum(count for at, count in self._resting if since <= at < ends)
                most = (plan.limit * (ends - since) - lost) / cycle
                found.used = sum(since <= at < ends for at, _ in lines["r"]) / most
                found.trips = trips / len(sent)
            if phase.name == "calm" and sent:
                waits = sorted(sent)
                found.calm_wait = 1000 * waits[len(waits) // 2]
                found.calm_p99 = 1000 * waits[len(waits) * 99 // 100]
                found.calm_trips = trips / len(sent)
            begins = ends
        return found


if __name__ == "__main__":
    asyncio.run(Process(msgspec.json.decode(sys.argv[1], type=Work)).run())
