"""Wake-ups over a real server: a worker confirms messages, and the watches of others end.

Each listener is a process with a pool of its own on the shared journal; run as a program, this
module is one. The provider is in memory, and a look-up of a watch is a minute away, so that a watch
ends in time by a wake-up only.
"""

import asyncio
import contextlib
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, ClassVar, Self

import msgspec

from paymux import Payment, Pool
from paymux.drivers.base import Driver
from paymux.http import PreparedRequest, Response
from paymux.journal.postgres import PostgresJournal

from ..toys import BASE, KEY, Keyless, Wire, answer, push

ROOT = Path(__file__).parents[2]


class Slow(Keyless, frozen=True, kw_only=True):
    """A provider whose payments are looked up after a minute for the first time."""

    name = "slow"
    first_look = 60.0
    watch_timeout = 3600.0
    limits: ClassVar[dict[Any, Any]] = {}


def _provider(outgoing: PreparedRequest) -> Response:
    if outgoing.method == "POST":
        reference = json.loads(outgoing.body or b"{}")["reference"]
        return answer(id=f"id-{reference}", status="WAIT", reference=reference)
    return answer(id=outgoing.url.rsplit("/", 1)[1], status="OK")


def pool(url: str) -> Pool:
    """Return a pool on a journal, with the provider in memory."""
    driver: Driver = Slow()
    journal = PostgresJournal(url)
    return Pool(
        driver, connection=Wire(_provider), webhook_base=BASE, webhook_key=KEY, journal=journal
    )


async def collected(pay: Pool, prefix: str, count: int) -> list[Payment]:
    """Make orders, a hundred at once."""
    payments: list[Payment] = []
    for start in range(0, count, 100):
        payments += await asyncio.gather(
            *(
                pay.collect("slow", amount=500, currency="XAF", reference=f"{prefix}-{number}")
                for number in range(start, min(start + 100, count))
            )
        )
    return payments


async def confirm(pay: Pool, payment: Payment) -> Payment:
    """Confirm the provider's message about a payment, as a web server does."""
    where = pay.webhook_url("slow", payment.reference)
    event = pay.webhook(push(path=where, id=payment.provider_reference, status="OK"))
    return await pay.confirm(event, expected=payment)


async def at_rate(pay: Pool, payments: Sequence[Payment], rate: float) -> dict[str, float]:
    """Confirm a message about each payment at a steady rate; return when each one came."""
    began, came, tasks = time.monotonic(), dict[str, float](), list[asyncio.Task[Payment]]()
    for number, payment in enumerate(payments):
        await asyncio.sleep(max(0.0, began + number / rate - time.monotonic()))
        came[payment.reference or ""] = time.monotonic()
        tasks.append(asyncio.create_task(confirm(pay, payment)))
    await asyncio.gather(*tasks)
    return came


class Listener:
    """A process that watches payments, and tells when each of them ended there."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", __name__, self._url,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)}, limit=2**24,
        )  # fmt: skip
        assert await self._line() == "open"
        return self

    async def __aexit__(self, *_: object) -> None:
        process = self._process
        assert process is not None
        assert process.stdin is not None
        process.stdin.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(10):
                await process.wait()
        if process.returncode is None:
            process.kill()
            await process.wait()

    async def watch(self, payments: Sequence[Payment]) -> None:
        """Watch payments there; returns when each watch waits."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(msgspec.json.encode(payments) + b"\n")
        await self._process.stdin.drain()
        assert await self._line() == "watching"

    async def ended(self, seconds: float) -> dict[str, float]:
        """Return when each of the payments ended there, by the machine's monotonic clock."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(f"{seconds}\n".encode())
        found: dict[str, float] = await self._line()
        return found

    async def _line(self) -> Any:
        assert self._process is not None
        assert self._process.stdout is not None
        return json.loads(await self._process.stdout.readline())


@contextlib.asynccontextmanager
async def listeners(urls: Sequence[str]) -> AsyncIterator[list[Listener]]:
    """Run a listener for each of these URLs of the journal."""
    async with contextlib.AsyncExitStack() as stack:
        opened = [stack.enter_async_context(Listener(url)) for url in urls]
        yield list(await asyncio.gather(*opened))


async def _ended(pay: Pool, payment: Payment, ends: dict[str, float]) -> None:
    async for found in pay.watch(payment, timeout=None):
        if found.status.terminal:
            ends[found.reference or ""] = time.monotonic()


async def _serve(url: str) -> None:
    """Be a listener: a line of payments to watch, a line with the seconds to wait, and so on."""
    loop = asyncio.get_running_loop()
    async with pool(url) as pay:
        print('"open"', flush=True)
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            ends: dict[str, float] = {}
            payments = msgspec.json.decode(line, type=list[Payment])
            watches = [asyncio.create_task(_ended(pay, payment, ends)) for payment in payments]
            await asyncio.sleep(1.0)  # their rows are read
            print('"watching"', flush=True)
            seconds = float(await loop.run_in_executor(None, sys.stdin.readline) or 0)
            await asyncio.wait(watches, timeout=seconds)
            for watch in watches:
                watch.cancel()
            await asyncio.gather(*watches, return_exceptions=True)
            print(json.dumps(ends), flush=True)


if __name__ == "__main__":
    asyncio.run(_serve(sys.argv[1]))
