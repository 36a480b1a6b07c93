"""Row 5: two processes pay out of one journal, and are killed at any moment."""

import asyncio
import contextlib
import json
import os
import random
import sqlite3
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import aiohttp
import msgspec
import pytest

from paymux.http import Response, WebhookRequest
from paymux.simulator import Simulator

from .programs import free_ports
from .programs.payer import Setting

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
COUNT, KILLS = 60, 16
B2C, STATUS = "/b2c/v3/paymentrequest", "/transactionstatus/v1/query"


class Office:
    """A provider, and two workers on one journal, each of which is replaced when it is killed."""

    def __init__(self, sim: Simulator, folder: Path, http: aiohttp.ClientSession) -> None:
        self._sim, self._folder, self._http = sim, folder, http
        self._chance = random.Random(5)
        self._ports = free_ports(2)
        self._workers: dict[int, asyncio.subprocess.Process] = {}
        (folder / "log").touch()
        sim.on_webhook(self._arrives)

    async def _arrives(self, incoming: WebhookRequest) -> Response:
        """Hand a message to one of the workers, which may be dead or die."""
        url = f"http://127.0.0.1:{self._chance.choice(self._ports)}{incoming.path}"
        try:
            async with self._http.post(
                url, data=incoming.body, headers=dict(incoming.headers)
            ) as response:
                return Response(status=response.status, body=await response.read())
        except (aiohttp.ClientError, TimeoutError):
            return Response(status=502)

    async def start(self, port: int) -> None:
        """Start a worker."""
        sim = self._sim
        account = {
            **sim.mpesa.credentials,
            "base_url": sim.driver("mpesa").base_url,
            "initiator_name": "simulator",
            "security_credential": "simulator",
        }
        setting = Setting(
            journal=str(self._folder / "payments.db"),
            log=str(self._folder / "log"),
            account=account,
            port=port,
            base=f"http://127.0.0.1:{self._ports[0]}/pay",
            references=[f"wage-{number}" for number in range(COUNT)],
        )
        with (self._folder / "errors").open("ab") as errors:
            self._workers[port] = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", "tests.programs.payer"),
                msgspec.json.encode(setting).decode(),
                cwd=ROOT,
                env={**os.environ, "PYTHONWARNINGS": "ignore"},
                stderr=errors,
            )

    async def kill(self, port: int) -> None:
        """Kill a worker that works, and start another in its place."""
        worker = self._workers[port]
        await self.until(lambda: [str(worker.pid), "ready"] in [one[:2] for one in self.log()])
        await asyncio.sleep(self._chance.expovariate(4))
        worker.kill()
        await worker.wait()
        await self.start(port)

    async def run(self) -> None:
        """Let both work, kill them in turn, and wait until all ends were told."""
        for port in self._ports:
            await self.start(port)
        try:
            for number in range(KILLS):
                await self.kill(self._ports[number % 2])
            done = [[str(one.pid), "done"] for one in self._workers.values()]
            await self.until(lambda: all(one in self.log() for one in done))
            await self.until(lambda: self.told().keys() >= self.paid().keys())
        finally:
            for worker in self._workers.values():
                with contextlib.suppress(ProcessLookupError):
                    worker.kill()
                await worker.wait()

    async def until(self, seen: Callable[[], object], seconds: float = 120.0) -> None:
        """Wait until something is seen."""
        end = time.monotonic() + seconds
        while not seen():
            assert time.monotonic() < end, (self._folder / "errors").read_text()
            await asyncio.sleep(0.05)

    def log(self) -> list[list[str]]:
        """Return what the workers said: who, what, and of which payout."""
        text = (self._folder / "log").read_text(encoding="utf-8")
        return [[str(word) for word in json.loads(line)] for line in text.splitlines()]

    def told(self) -> Counter[str]:
        """Count how often each success was told."""
        return Counter(one[2] for one in self.log() if one[1:2] + one[3:] == ["told", "succeeded"])

    def paid(self) -> Counter[str]:
        """Count how often each payout was really paid."""
        moved = [one for one in self._sim.ledger if one.kind == "payout" and one.moved]
        return Counter(str(one.reference).partition("_")[2] for one in moved)

    def requested(self, path: str) -> Counter[str]:
        """Count the requests to a path, by the id of the payout that they name."""
        bodies = [
            json.loads(one.body)
            for one in self._sim.requests
            if one.path.rstrip("/").endswith(path)
        ]
        names = ("OriginatorConversationID", "OriginalConversationID")
        return Counter(next(body[name] for name in names if name in body) for body in bodies)

    def states(self) -> dict[str, tuple[str, str]]:
        """Return state and status of each row of the journal."""
        with contextlib.closing(sqlite3.connect(self._folder / "payments.db")) as db:
            rows = db.execute("SELECT reference, state, status FROM payments").fetchall()
        return {reference: (state, status) for reference, state, status in rows}


@pytest.mark.timeout(400)  # for a busy machine
async def test_payouts_of_workers_that_are_killed_are_paid_and_told_once(tmp_path: Path) -> None:
    """Each payout is requested once at most, paid once, and told; none is called what it is not."""
    async with (
        Simulator(payer_delay=0.2, seed=5) as sim,
        aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(10)) as http,
    ):
        sim.mpesa.accounts.utility += 1_000_000
        sim.mpesa.results.twice = 0.1
        office = Office(sim, tmp_path, http)
        await office.run()
        paid, told, states = office.paid(), office.told(), office.states()
        requested, asked = office.requested(B2C), office.requested(STATUS)
    assert set(requested.values()) == set(paid.values()) == {1}
    assert {name.partition("_")[2] for name in requested} == set(paid) == set(told)
    assert sum(told.values()) - len(told) <= KILLS  # told again only where a teller died
    # The others died between the note that they leave and the first byte: they stay open.
    left = {name: states[name] for name in states.keys() - paid.keys()}
    assert set(left.values()) <= {("sending", "pending"), ("unknown", "pending")}
    assert len(paid) + len(left) == COUNT
    assert len(paid) > COUNT / 2
    # Each start of a worker may ask once, and a busy machine takes longer: there is no loop.
    assert max(asked.values(), default=0) <= KILLS
