"""Count the functions of paymux that run during one call, and list them in order.

Run: python -m benchmarks.bench_path [--tree] [--only NAME …] [--paymux FOLDER] [--json FILE]

A frame is one call of a Python function in the package `paymux`, without the simulator: functions,
coroutines, generators, lambdas, and comprehensions (before Python 3.12, which inlines them). A
coroutine or generator counts once, when it starts; resuming it, throwing into it and closing it do
not count. Frames in other threads, such as the journal's, are counted separately. aiohttp, asyncio,
msgspec and everything that the simulator calls are not counted.

The provider is the simulator of the same package, over loopback sockets in the same process. It is
PayDunya for `webhook`, because PayDunya sends the message to the order's own callback URL, and
CamPay for the other calls. Each call is made twice, and only the second one counts: by then the
token, the connection and all modules are loaded.

* `verify` looks up a payment, as `collect` returned it, that is still pending.
* `collect` has a payer whose number was parsed before.
* `collect-journal` is the same with a journal.
* `poll` is the second poll of a watch, which finds no change; the time until then is skipped.
* `bulk` is `verify_many` of one payment, from beginning to end.
* `webhook` is a message over ASGI, with a journal, from its arrival to the answer: it is parsed and
  stored, its payment is looked up, and `on_payment` is called. The count varies by a few frames,
  depending on the speed of the journal's thread.

`--tree` prints the functions, indented by the number of functions of paymux that wait for each; a
task starts at the left margin. `--paymux` measures the package of another checkout with this
program. The limits are for Python 3.11. The exit code is 1 if one is exceeded.
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
PAUSE = 0.1  # seconds, in which the journal's thread finishes its work after a collect


class LeapingLoop(asyncio.SelectorEventLoop):
    """An event loop over real sockets, whose clock can be moved forward."""

    leapt = 0.0

    def time(self) -> float:
        """Return the loop's time in seconds, with all the moves."""
        return super().time() + self.leapt


@dataclass
class Shop:
    """A pool whose provider is the simulator, and the tracer of its calls."""

    pool: Any
    account: str
    sim: Any
    loop: LeapingLoop
    tracer: Tracer
    number: int = 0

    def order(self) -> dict[str, Any]:
        """Return a new order; the payer is always the same."""
        self.number += 1
        order = {"amount": 500, "reference": f"order-{self.number}", "description": "Data bundle"}
        if self.account == "paydunya":
            return {**order, "currency": "XOF"}
        return {**order, "currency": "XAF", "payer": "+237 670 00 00 00"}

    async def collect(self) -> Any:
        """Collect for a new order, without tracing."""
        return await self.pool.collect(self.account, **self.order())


async def verify(shop: Shop) -> None:
    """Trace the look-up of a payment that is pending."""
    held = await shop.collect()
    with shop.tracer:
        await shop.pool.verify(held)


async def collect(shop: Shop) -> None:
    """Trace the collect of a new order."""
    order = shop.order()
    with shop.tracer:
        await shop.pool.collect(shop.account, **order)


async def poll(shop: Shop) -> None:
    """Watch a pending payment, and trace its second poll."""
    held = await shop.collect()
    watching = asyncio.ensure_future(shop.pool.watch(held, timeout=HOUR))
    await quiet()
    await look(shop)
    with shop.tracer:
        await look(shop)
    watching.cancel()
    await asyncio.gather(watching, return_exceptions=True)


async def look(shop: Shop) -> None:
    """Move the clock until the payment has been polled, and its answer has been processed."""
    before = len(shop.sim.requests)
    while len(shop.sim.requests) == before:
        shop.loop.leapt += 0.5
        await quiet()
    await quiet()


async def quiet() -> None:
    """Run all callbacks that are ready."""
    for _ in range(100):
        await asyncio.sleep(0)


async def bulk(shop: Shop) -> None:
    """Trace `verify_many` of one payment."""
    held = await shop.collect()
    with shop.tracer:
        await shop.pool.verify_many([held], at_once=1)


async def webhook(shop: Shop) -> None:
    """Trace a webhook about a payment's end, which calls `on_payment`."""
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
    """Return the ASGI scope of a message, and the `receive` and `send` of its server."""
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
    """One kind of call: its function, the account, whether it has a journal, and its limit."""

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
    """Make one kind of call twice, in a new pool."""
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
    """Make one kind of call twice, in a new event loop; return the trace of the second one."""
    with asyncio.Runner(loop_factory=LeapingLoop) as runner:
        return runner.run(traced(name))


def distinct(frames: Sequence[Frame]) -> int:
    """Return the number of distinct functions."""
    return len({(frame.file, frame.function) for frame in frames})


def missed(name: str, tracer: Tracer) -> bool:
    """Return whether a call needs more frames than its limit."""
    limit = PATHS[name].limit
    return limit is not None and len(tracer.frames) > limit


def shown(name: str, tracer: Tracer) -> str:
    """Return one row of the table."""
    limit = PATHS[name].limit
    verdict = "MISSED" if missed(name, tracer) else "met"
    held = "" if limit is None else f"  at most {limit:3}: {verdict}"
    functions, elsewhere = distinct(tracer.frames), len(tracer.elsewhere)
    return f"{name:16}{len(tracer.frames):8}{functions:11}{elsewhere:18}{held}"


def tree(frames: Sequence[Frame]) -> str:
    """Return the calls in order, one a line; repeated calls share a line with their number."""
    lines = []
    for frame, again in itertools.groupby(frames):
        times = len(list(again))
        line = f"{'  ' * frame.depth}{frame.file}:{frame.function}"
        lines.append(line if times == 1 else f"{line}  {times} times")
    return "\n".join(lines)


def figures(name: str, tracer: Tracer) -> dict[str, Any]:
    """Return the figures of one kind of call, for JSON."""
    return {
        "frames": len(tracer.frames),
        "functions": distinct(tracer.frames),
        "frames_in_other_threads": len(tracer.elsewhere),
        "limit": PATHS[name].limit,
        "path": [frame._asdict() for frame in tracer.frames],
        "path_in_other_threads": [frame._asdict() for frame in tracer.elsewhere],
    }


def main(arguments: argparse.Namespace) -> int:
    """Trace and print; return 1 if a limit is exceeded."""
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
