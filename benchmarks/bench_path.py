"""How many functions of paymux one call goes through, and which, in the order of their calls.

Run: python -m benchmarks.bench_path [--tree] [--only NAME …] [--paymux FOLDER] [--json FILE]

A frame is one call of a Python function whose file is in the package `paymux`, simulator excepted:
functions, coroutines, generators, lambdas, and (before Python 3.12, which inlines them)
comprehensions. A coroutine or generator counts once, when it begins: its resumptions, what is
thrown into it and its closing do not. Frames in other threads are counted apart (the journal writes
in one). aiohttp, asyncio and msgspec are not counted, nor is anything that the simulator calls.

The providers are the simulator of the same package, over loopback sockets in the same process:
PayDunya for `webhook`, whose message comes to the order's own callback URL, and CamPay for the
rest. Each call is made twice and the second one counts, so that the token, the connection and what
is loaded on first use are there:

* `verify` finds a payment pending, which is held as `collect` gave it.
* `collect` has a payer whose number was read before.
* `collect-journal` does the same with a journal.
* `poll` is the second look of a watch, which finds nothing new; the time until then is leapt over.
* `bulk` is `verify_many` of one payment, from its beginning to its end.
* `webhook` is a message over ASGI, with a journal, from its arrival to the answer: it is read and
  kept, its payment is looked up, and the shop is told. It varies by a few frames, as the journal's
  thread is quick or slow.

`--tree` prints the functions, indented by how many functions of paymux wait for each; a task begins
at the margin. `--paymux` measures the package of another checkout with this program. The limits are
for Python 3.11; the exit code is 1 where one is missed.
"""

import argparse
import asyncio
import importlib
import itertools
import json
import platform
import sys
import tempfile
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from .tracer import Frame, Tracer

HOUR = 3600.0  # seconds
PAUSE = 0.1  # seconds in which what follows a collect is done, in the journal's thread, too


class LeapingLoop(asyncio.SelectorEventLoop):
    """An event loop over real sockets, whose clock can be set forward."""

    leapt = 0.0

    def time(self) -> float:
        """Give the seconds of the clock, as it was set."""
        return super().time() + self.leapt


@dataclass
class Shop:
    """A pool whose provider is the simulator, and what traces the calls made in it."""

    pool: Any
    account: str
    sim: Any
    loop: LeapingLoop
    tracer: Tracer
    number: int = 0

    def order(self) -> dict[str, Any]:
        """Give a new order, of one payer."""
        self.number += 1
        order = {"amount": 500, "reference": f"order-{self.number}", "description": "Data bundle"}
        if self.account == "paydunya":
            return {**order, "currency": "XOF"}
        return {**order, "currency": "XAF", "payer": "+237 670 00 00 00"}

    async def collect(self) -> Any:
        """Collect for a new order, untraced."""
        return await self.pool.collect(self.account, **self.order())


async def verify(shop: Shop) -> None:
    """Look up a payment that is held and pending."""
    held = await shop.collect()
    with shop.tracer:
        await shop.pool.verify(held)


async def collect(shop: Shop) -> None:
    """Collect for a new order."""
    order = shop.order()
    with shop.tracer:
        await shop.pool.collect(shop.account, **order)


async def poll(shop: Shop) -> None:
    """Watch a pending payment, and trace its second look."""
    held = await shop.collect()
    watching = asyncio.ensure_future(shop.pool.watch(held, timeout=HOUR))
    await quiet()
    await look(shop)
    with shop.tracer:
        await look(shop)
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)


async def look(shop: Shop) -> None:
    """Let the time pass until a payment was looked at, and what follows from the answer is done."""
    before = len(shop.sim.requests)
    while len(shop.sim.requests) == before:
        shop.loop.leapt += 0.5
        await quiet()
    await quiet()


async def quiet() -> None:
    """Let everything happen that can happen now."""
    for _ in range(100):
        await asyncio.sleep(0)


async def bulk(shop: Shop) -> None:
    """Look up many payments, of which there is one."""
    held = await shop.collect()
    with shop.tracer:
        await shop.pool.verify_many([held], at_once=1)


async def webhook(shop: Shop) -> None:
    """Hear of a payment's end, and tell the shop."""
    told: list[Any] = []
    messages: asyncio.Queue[Any] = asyncio.Queue()

    async def on_payment(payment: Any) -> None:
        told.append(payment)

    shop.sim.on_webhook(messages.put)
    webhooks = importlib.import_module("paymux.webhooks").Webhooks(shop.pool, on_payment)
    async with webhooks:
        held = await shop.collect()
        shop.sim.settle(held.provider_reference, importlib.import_module("paymux").Status.SUCCEEDED)
        scope, receive, send = over_asgi(await messages.get())
        await asyncio.sleep(PAUSE)
        with shop.tracer:
            await webhooks(scope, receive, send)
    assert [one.reference for one in told] == [held.reference]


def over_asgi(
    message: Any,
) -> tuple[dict[str, Any], Callable[[], Awaitable[Any]], Callable[[Any], Awaitable[None]]]:
    """Give a message as an ASGI server hands it over: the scope, and what receives and sends."""
    headers = {**message.headers, "host": "shop.example", "content-length": len(message.body)}
    scope = {
        "type": "http",
        "method": message.method,
        "path": message.path,
        "query_string": message.query.encode(),
        "headers": [(name.encode(), str(value).encode()) for name, value in headers.items()],
        "client": ("127.0.0.1", 1),
    }

    async def receive() -> Any:
        return {"type": "http.request", "body": message.body, "more_body": False}

    async def send(sent: Any) -> None:
        assert sent.get("status", 200) == 200, sent

    return scope, receive, send


class Measured(NamedTuple):
    """One kind of call: what makes it, the provider, with a journal or not, the limit of frames."""

    made: Callable[[Shop], Awaitable[None]]
    account: str = "campay"
    journal: bool = False
    limit: int | None = None


PATHS: Mapping[str, Measured] = {
    "verify": Measured(verify, limit=60),
    "collect": Measured(collect, limit=90),
    "collect-journal": Measured(collect, journal=True, limit=120),
    "poll": Measured(poll),
    "bulk": Measured(bulk, limit=120),
    "webhook": Measured(webhook, account="paydunya", journal=True, limit=200),
}


async def traced(name: str) -> Tracer:
    """Make one kind of call twice in a pool of its own."""
    paymux: Any = importlib.import_module("paymux")
    loop = asyncio.get_running_loop()
    assert isinstance(loop, LeapingLoop)
    tracer = Tracer(Path(paymux.__file__).parent, without="simulator")
    made, account, journal, _ = PATHS[name]
    async with importlib.import_module("paymux.simulator").Simulator() as sim:
        with tempfile.TemporaryDirectory() as folder, tracer.in_threads():
            pool = paymux.Pool(
                sim.driver(account),
                webhook_base="https://shop.example/pay",
                webhook_key="sixteen characters or more",
                journal=f"{folder}/payments.db" if journal else None,
            )
            async with pool:
                shop = Shop(pool, account, sim, loop, tracer)
                for _ in range(2):
                    await made(shop)
    return tracer


def trace(name: str) -> Tracer:
    """Make one kind of call twice, in a loop of its own; the tracer has the second one."""
    with asyncio.Runner(loop_factory=LeapingLoop) as runner:
        return runner.run(traced(name))


def distinct(frames: Sequence[Frame]) -> int:
    """Give the number of different functions."""
    return len({(frame.file, frame.function) for frame in frames})


def missed(name: str, tracer: Tracer) -> bool:
    """Tell whether a call has more frames than its limit."""
    limit = PATHS[name].limit
    return limit is not None and len(tracer.frames) > limit


def shown(name: str, tracer: Tracer) -> str:
    """Give a row of the table."""
    limit = PATHS[name].limit
    verdict = "MISSED" if missed(name, tracer) else "met"
    held = "" if limit is None else f"  at most {limit:3}: {verdict}"
    functions, elsewhere = distinct(tracer.frames), len(tracer.elsewhere)
    return f"{name:16}{len(tracer.frames):8}{functions:11}{elsewhere:18}{held}"


def tree(frames: Sequence[Frame]) -> str:
    """Give the calls in their order, one a line; repetitions are counted on their line."""
    lines = []
    for frame, again in itertools.groupby(frames):
        times = len(list(again))
        line = f"{'  ' * frame.depth}{frame.file}:{frame.function}"
        lines.append(line if times == 1 else f"{line}  {times} times")
    return "\n".join(lines)


def figures(name: str, tracer: Tracer) -> dict[str, Any]:
    """Give what is written of one kind of call."""
    return {
        "frames": len(tracer.frames),
        "functions": distinct(tracer.frames),
        "frames_in_other_threads": len(tracer.elsewhere),
        "limit": PATHS[name].limit,
        "path": [frame._asdict() for frame in tracer.frames],
        "path_in_other_threads": [frame._asdict() for frame in tracer.elsewhere],
    }


def main(arguments: argparse.Namespace) -> int:
    """Trace, print, and hold the figures to their limits."""
    if arguments.paymux:
        sys.path.insert(0, str(arguments.paymux.resolve()))
    found = {}
    print(f"Python {platform.python_version()}")
    print(f"{'':16}{'frames':>8}{'functions':>11}{'in other threads':>18}")
    for name in arguments.only or PATHS:
        found[name] = trace(name)
        print(shown(name, found[name]), flush=True)
    if arguments.tree:
        for name, tracer in found.items():
            print(f"\n{name}\n{tree(tracer.frames)}")
    if arguments.json:
        machine = {"python": platform.python_version()}
        paths = {name: figures(name, tracer) for name, tracer in found.items()}
        arguments.json.write_text(json.dumps({"machine": machine, "paths": paths}, indent=1) + "\n")
    return 1 if any(missed(name, tracer) for name, tracer in found.items()) else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tree", action="store_true", help="print the functions, too")
    parser.add_argument("--only", nargs="+", choices=list(PATHS), metavar="NAME")
    parser.add_argument("--paymux", type=Path, metavar="FOLDER", help="another checkout")
    parser.add_argument("--json", type=Path, metavar="FILE")
    sys.exit(main(parser.parse_args()))
