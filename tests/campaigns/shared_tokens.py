"""Processes that share a journal, at a provider that honours only its newest token.

Workers in processes of their own send orders to M-Pesa's simulator, in this process. Tokens end
after some seconds, all are revoked now and then, and a worker is paused or killed in its login. The
journal is named by its URL, so that each engine can be tried.
"""

import argparse
import asyncio
import contextlib
import json
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Literal

import msgspec

from paymux import Mpesa, PaymuxError, Pool
from paymux.drivers.base import Token
from paymux.http import Send
from paymux.journal import Store
from paymux.simulator import Simulator

ROOT = Path(__file__).parents[2]
KEY = "sixteen characters or more, of a campaign"
PAYER = "254708374144"  # never answers its prompt
STEP_SECONDS = 0.1  # a login stays so long before its request, and after its answer
# No token is revoked so soon after a login: a new one that is refused at once is refused for good.
QUIET_SECONDS = 1.0
COUNTED_AFTER = 1.0  # seconds: failures are counted from here on
MORE_SECONDS = 20.0  # that a run lasts longer, if not all that is planned has happened
LAST_SECONDS = 15.0  # that the workers have at the end for what they have begun

Point = Literal["before", "after"]  # of a login's request


class Event(msgspec.Struct):
    """What is done to the tokens, or to the worker that logs in next."""

    at: float  # seconds
    what: Literal["revoke", "pause", "kill"]
    point: Point = "before"
    seconds: float = 0.0  # of a pause


class Plan(msgspec.Struct, kw_only=True):
    """What is done, and for how long."""

    workers: int = 8
    seconds: float = 60.0
    rate: float = 20.0  # orders a second, of all workers
    life: int = 20  # seconds of a token
    deadline: float = 30.0  # seconds; after a third of it, at most 10, a right to log in lapses
    events: list[Event] = []
    shared: bool = True  # False: each worker logs in on its own, as without a key


class Found(msgspec.Struct, kw_only=True):
    """The result of a run."""

    orders: int = 0
    failed: int = 0  # after the first second
    not_taken: int = 0  # after it, orders that the journal did not take in time: nothing was sent
    refused: int = 0  # requests with a dead token
    logins: int = 0
    generations: int = 0  # logins that were permitted
    killed: int = 0  # workers, in a login that never left
    backwards: int = 0  # times that the journal had an older token than before, or another one
    slowest: float = 0.0  # seconds of an order
    first: float = 0.0  # of one that began in the first second
    readable: int = 0  # tokens that can be read in the journal's files
    errors: dict[str, int] = {}

    @property
    def kept(self) -> bool:
        """Return whether nothing failed, and each generation was one login."""
        wrong = (self.failed, self.backwards, self.readable)
        return not any(wrong) and self.logins + self.killed == self.generations


# A worker.


def say(**said: object) -> None:
    """Write a line of JSON for the parent process."""
    os.write(1, (json.dumps(said) + "\n").encode())


class Slow(Mpesa, frozen=True, kw_only=True):
    """M-Pesa, whose login tells where it is."""

    async def token(self, send: Send) -> Token:
        say(login="before")
        await asyncio.sleep(STEP_SECONDS)
        token = await super().token(send)
        say(login="after")
        await asyncio.sleep(STEP_SECONDS)
        return token


async def work(given: argparse.Namespace) -> None:
    """Send orders at a pace, until the input ends."""
    driver = Slow(
        consumer_key="simulator",
        consumer_secret="simulator",
        shortcode="174379",
        passkey="simulator",
        base_url=given.provider,
    )
    hooks: dict[str, Any] = {"webhook_base": "https://shop.example/pay", "webhook_key": KEY}
    # Without a key there are no callback URLs either, which each push needs.
    extra = {} if given.shared else {"webhook_url": "https://shop.example/pay"}
    loop = asyncio.get_running_loop()
    ended = loop.run_in_executor(None, sys.stdin.read)
    made = Pool(
        driver,
        journal=given.journal,
        deadline=given.deadline,
        **(hooks if given.shared else {}),
    )
    async with made as pool:
        say(ready=True)
        orders = set()
        number, next_at = 0, loop.time()
        while not ended.done():
            orders.add(task := loop.create_task(order(pool, f"{given.name}-{number}", extra)))
            task.add_done_callback(orders.discard)
            number += 1
            # After a pause, the orders that were missed are not sent at once.
            next_at = max(next_at + given.every, loop.time())
            await asyncio.wait({ended}, timeout=next_at - loop.time())
        await asyncio.gather(*orders)
    say(done=True)


async def order(pool: Pool, reference: str, extra: dict[str, Any]) -> None:
    """Send one order, and say how it went."""
    began, error = time.monotonic(), ""
    try:
        await pool.collect(
            "mpesa", amount=5, currency="KES", payer=PAYER, reference=reference, **extra
        )
    except PaymuxError as failed:
        error = f"{type(failed).__name__}: {failed}"
    say(began=began, seconds=time.monotonic() - began, error=error)


# The parent.


class Worker:
    """A worker's process, and what it said."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.ready = asyncio.Event()
        self.orders: list[dict[str, Any]] = []

    def signal(self, number: int) -> None:
        """Send it a signal, if it lives."""
        with contextlib.suppress(ProcessLookupError):
            self.process.send_signal(number)


class Campaign:
    """One run of a plan."""

    def __init__(self, plan: Plan, journal: str) -> None:
        self._plan = plan
        self._journal = journal
        self._found = Found()
        self._workers: list[Worker] = []
        self._due: list[Event] = []  # what is done to the next login
        self._tasks: set[asyncio.Task[None]] = set()
        self._issued: list[str] = []
        self._login_at = 0.0  # when a worker last said where its login is

    async def run(self) -> Found:
        """Run it, and return what was found."""
        plan = self._plan
        async with self._provider() as sim, self._rows() as rows:
            try:
                for number in range(plan.workers):
                    self._workers.append(await self._start(sim, number))
                for worker in self._workers:
                    await worker.ready.wait()
                began = time.monotonic()
                await self._events(sim, began, rows)
                await self._stop()
            finally:
                for worker in self._workers:
                    worker.signal(signal.SIGKILL)
                    await worker.process.wait()
            await asyncio.gather(*self._tasks)
            await rows()
            self._count(sim, began)
        return self._found

    @contextlib.asynccontextmanager
    async def _provider(self) -> AsyncIterator[Simulator]:
        async with Simulator(providers=["mpesa"], latency=0.02) as sim:
            tokens, issue = sim.mpesa.tokens, sim.mpesa.tokens.issue
            tokens.life, tokens.newest_only = self._plan.life, True
            sim.mpesa.locks = False

            def issued(token: str) -> str:
                self._issued.append(token)
                given: str = issue(token)
                return given

            tokens.issue = issued
            yield sim

    @contextlib.asynccontextmanager
    async def _rows(self) -> AsyncIterator[Any]:
        """Give a function that looks at the journal's row, and checks that it never goes back."""
        journal: Any = Store(self._journal).journal
        await journal.open()
        seen: dict[int, str] = {}

        async def look() -> None:
            for generation, sealed, given in await journal._writer.do(_row):
                newest = max(seen, default=0)
                changed = sealed and seen.get(generation, sealed) != sealed
                self._found.backwards += bool(generation < newest or changed)
                self._found.generations = given
                if sealed:
                    seen[generation] = sealed

        try:
            yield look
        finally:
            await journal.aclose()

    async def _start(self, sim: Simulator, number: int) -> Worker:
        plan = self._plan
        command = [
            *(sys.executable, "-m", __name__, "--journal", self._journal, "--name", f"w{number}"),
            *("--provider", f"{sim.url}/mpesa", "--every", str(plan.workers / plan.rate)),
            *("--deadline", str(plan.deadline)),
            *(["--shared"] if plan.shared else []),
        ]
        process = await asyncio.create_subprocess_exec(
            *command, cwd=ROOT, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        worker = Worker(process)
        self._tasks.add(asyncio.create_task(self._listen(worker)))
        return worker

    async def _listen(self, worker: Worker) -> None:
        assert worker.process.stdout is not None
        while line := await worker.process.stdout.readline():
            said = json.loads(line)
            if "ready" in said:
                worker.ready.set()
            elif "login" in said:
                self._login(worker, said["login"])
            elif "began" in said:
                worker.orders.append(said)

    def _login(self, worker: Worker, point: Point) -> None:
        """Do to a worker in its login what is due."""
        self._login_at = time.monotonic()
        for event in [one for one in self._due if one.point == point][:1]:
            self._due.remove(event)
            if event.what == "kill":
                worker.signal(signal.SIGKILL)
                self._found.killed += 1
            else:
                worker.signal(signal.SIGSTOP)
                later = asyncio.get_running_loop().call_later
                later(event.seconds, worker.signal, signal.SIGCONT)

    async def _events(self, sim: Simulator, began: float, rows: Any) -> None:
        events = sorted(self._plan.events, key=lambda one: one.at)
        last = self._plan.seconds
        while (at := time.monotonic() - began) < last or (
            # On a busy machine, what is planned happens later.
            (events or self._due) and at < last + MORE_SECONDS
        ):
            quiet = time.monotonic() > self._login_at + QUIET_SECONDS
            while events and events[0].at <= at and quiet:
                event = events.pop(0)
                if event.what != "revoke":
                    self._due.append(event)
                sim.mpesa.tokens.revoke()  # so that a worker logs in
            await rows()
            await asyncio.sleep(0.05)

    async def _stop(self) -> None:
        for worker in self._workers:
            worker.signal(signal.SIGCONT)
            assert worker.process.stdin is not None
            worker.process.stdin.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAST_SECONDS + 15):
                await asyncio.gather(*(worker.process.wait() for worker in self._workers))

    def _count(self, sim: Simulator, began: float) -> None:
        found, errors = self._found, Counter[str]()
        for said in [said for worker in self._workers for said in worker.orders]:
            found.orders += 1
            if said["began"] < began + COUNTED_AFTER:
                found.first = max(found.first, said["seconds"])
                continue
            found.slowest = max(found.slowest, said["seconds"])
            if said["error"]:
                not_taken = said["error"].startswith("NotSent") and "the journal" in said["error"]
                found.not_taken += not_taken
                found.failed += not not_taken
                errors[said["error"][:150]] += 1
        found.errors = dict(errors.most_common(10))
        found.logins = len(self._issued)
        signed = [one.headers.get("authorization", "") for one in sim.requests]
        found.refused = sum(one.startswith("Bearer ") for one in signed) - len(sim.ledger.entries())
        found.readable = sum(_is_in(token, self._journal) for token in self._issued)


def _row(db: Any) -> list[Any]:
    rows: list[Any] = db.execute("SELECT generation, sealed, given FROM tokens").fetchall()
    return rows


def _is_in(token: str, journal: str) -> bool:
    """Return whether a token is in the files of a journal, in any usual form."""
    if "://" in journal:
        return False  # an engine's own test dumps it
    folder = Path(journal).parent
    held = b"".join(one.read_bytes() for one in folder.iterdir() if one.is_file())
    return any(form in held for form in (token.encode(), token.encode().hex().encode()))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    for name in ("journal", "name", "provider"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--every", type=float, required=True)
    parser.add_argument("--deadline", type=float, required=True)
    parser.add_argument("--shared", action="store_true")
    asyncio.run(work(parser.parse_args()))
