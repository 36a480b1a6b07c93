"""Measure the simulator as a tool: memory and speed while many pay and the page is open.

Run: python -m benchmarks.bench_control [--payments 10000] [--at-once 50] [--json FILE]

The simulator runs in a process of its own, as `paymux simulator` does: the newest 1,000 requests
and webhooks are kept, and a payer pays at once. Each payment is a collection over HTTP with its
webhook. A stream of events is open and read all the time, as the page does, and the three lists
are loaded ten times a second.

* memory: the resident set of the server, before the payments and at its peak.
* events: how many came, of which in batches; one that is missing ends the program with 1.
* lists: how long one of 200 rows takes, the 99th percentile.

The exit code is 1 if the peak is 150 MB or more, or if an event is missing.
"""

import argparse
import asyncio
import contextlib
import json
import statistics
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

MOST_MB = 150.0

_SERVER = """
import asyncio
from aiohttp import web
from paymux.simulator import Simulator

async def serve():
    async def receive(request):
        return web.Response()

    runner = web.ServerRunner(web.Server(receive))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    async with Simulator(payers="approve", after=0, keep=1000) as sim:
        sim.campay.webhook_url = f"http://127.0.0.1:{runner.addresses[0][1]}/told"
        print(sim.url, flush=True)
        await asyncio.get_running_loop().create_future()

asyncio.run(serve())
"""


class Page:
    """What the page does: it reads the stream, and loads the lists."""

    def __init__(self, session: aiohttp.ClientSession, url: str, payments: int) -> None:
        self._payments = payments
        self.begun, self.complete = asyncio.Event(), asyncio.Event()
        self._session = session
        self._url = f"{url}/_paymux"
        self.ids: list[int] = []
        self.batches = 0
        self.requests = 0
        self.deliveries = 0
        self.gaps = 0
        self.seconds: list[float] = []

    async def read(self) -> None:
        """Read the stream until it ends; after a cut, go on where it was."""
        while True:
            headers = {"last-event-id": str(self.ids[-1])} if self.ids else {}
            async with self._session.get(f"{self._url}/events", headers=headers) as stream:
                buffer = b""
                async for part in stream.content.iter_any():
                    buffer += part
                    *frames, buffer = buffer.split(b"\n\n")
                    for frame in frames:
                        self._take(frame)

    def _take(self, frame: bytes) -> None:
        fields = dict(line.split(b": ", 1) for line in frame.split(b"\n") if b": " in line)
        if b"data" not in fields:
            return
        told = json.loads(fields[b"data"])
        self.ids.append(int(fields[b"id"]))
        self.batches += told["type"] == "batch"
        self.gaps += told["type"] == "gap"
        for one in told.get("events", [told]):
            self.requests += one["type"] == "request"
            self.deliveries += one["type"] == "delivery"
        self.begun.set()
        if self.deliveries >= self._payments and self.requests >= self._payments:
            self.complete.set()

    async def load(self) -> None:
        """Load the lists ten times a second."""
        while True:
            for path in ("payments", "requests", "deliveries"):
                began = time.perf_counter()
                async with self._session.get(f"{self._url}/{path}?limit=200") as reply:
                    await reply.read()
                self.seconds.append(time.perf_counter() - began)
            await asyncio.sleep(0.1)


@asynccontextmanager
async def server() -> AsyncIterator[tuple[str, int]]:
    """Run the simulator in a process of its own; yield its URL and its process id."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _SERVER, stdout=asyncio.subprocess.PIPE
    )
    try:
        assert process.stdout is not None
        yield (await process.stdout.readline()).decode().strip(), process.pid
    finally:
        process.kill()
        await process.wait()


def resident(pid: int, word: str = "VmRSS") -> float:
    """Return the resident set of a process in MB; `VmHWM`: its peak."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines():
        if line.startswith(f"{word}:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise AssertionError(word)


async def _pay(session: aiohttp.ClientSession, url: str, numbers: AsyncIterator[int]) -> None:
    async for number in numbers:
        body = {
            "amount": "500",
            "currency": "XAF",
            "from": "237670000000",
            "description": "Data bundle",
            "external_reference": f"order-{number}",
        }
        headers = {"authorization": "Token simulator"}
        async with session.post(f"{url}/campay/api/collect/", json=body, headers=headers) as reply:
            assert reply.status == 200


async def measure(payments: int, at_once: int) -> dict[str, Any]:
    """Make the payments, and return what was measured."""
    connector = aiohttp.TCPConnector(limit=at_once + 10)
    async with server() as (url, pid), aiohttp.ClientSession(connector=connector) as session:
        page = Page(session, url, payments)
        work = [asyncio.create_task(page.read()), asyncio.create_task(page.load())]
        await page.begun.wait()
        before, began = resident(pid), time.perf_counter()
        count = iter(range(payments))

        async def numbers() -> AsyncIterator[int]:
            for number in count:
                yield number

        await asyncio.gather(*(_pay(session, url, numbers()) for _ in range(at_once)))
        took = time.perf_counter() - began
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(page.complete.wait(), 30)
        async with session.get(f"{url}/_paymux/ledger") as reply:
            ledger = await reply.json()
        for task in work:
            task.cancel()
        await asyncio.gather(*work, return_exceptions=True)
        return {
            "payments": payments,
            "seconds": round(took, 2),
            "before_mb": round(before, 1),
            "peak_mb": round(resident(pid, "VmHWM"), 1),
            "requests": page.requests,
            "deliveries": page.deliveries,
            "batches": page.batches,
            "gaps": page.gaps,
            "charged": ledger["totals"][0]["orders"],
            "list_ms_p99": round(statistics.quantiles(page.seconds, n=100)[98] * 1000, 1),
        }


def missing(found: dict[str, Any]) -> int:
    """Return how many events did not come."""
    return int(2 * found["payments"] - found["requests"] - found["deliveries"])


def main() -> int:
    """Run the benchmark."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--payments", type=int, default=10_000)
    parser.add_argument("--at-once", type=int, default=50)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    found = asyncio.run(measure(given.payments, given.at_once))
    for name, value in found.items():
        print(f"{name:14} {value}")
    if given.json is not None:
        given.json.write_text(json.dumps(found), encoding="utf-8")
    return int(found["peak_mb"] >= MOST_MB or missing(found) != 0 or found["gaps"] != 0)


if __name__ == "__main__":
    sys.exit(main())
