"""The state shared by all simulated providers: ledger, random numbers, time and webhooks."""

import asyncio
import contextlib
import json
import random
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import msgspec

from ..errors import UsageError
from ..http import Response, WebhookRequest
from ..models import Status
from ..primitives import coerce
from .faults import Faults
from .ledger import Entry, Ledger, Outcome

Latency: TypeAlias = float | Callable[[random.Random], float]
PayerDelay: TypeAlias = float | Callable[[random.Random, Entry], float]
Receiver: TypeAlias = Callable[[WebhookRequest], Response | Awaitable[Response | None] | None]

_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_ANSWER_WITHIN = 8.0  # seconds that Safaricom gives a validation URL; other providers state none


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """A webhook to be sent; `url` contains the query of a GET, and must not be empty."""

    url: str
    method: str = "POST"
    headers: Mapping[str, str] = {}
    body: bytes = b""

    def __post_init__(self) -> None:
        if not coerce.text(self.url):
            raise UsageError.field(
                "url",
                self.url,
                "the address that the order, or a setting of the provider, gave (a simulator "
                "returns None from `message` where there is none; a driver needs `webhook_url` in "
                "`takes` to give one)",
            )

    @classmethod
    def json(cls, url: str, body: Any) -> "Message":
        """Make a POST with a JSON body."""
        return cls(
            url=url, headers={"content-type": "application/json"}, body=json.dumps(body).encode()
        )


class Delivery(msgspec.Struct, kw_only=True):
    """A webhook that was sent, with the receiver's HTTP status, or the error."""

    provider: str
    message: Message
    status: int | None = None
    error: str | None = None


class SimulatorCore:
    """The shared state of the simulated providers; owns all tasks and timers until `aclose`."""

    def __init__(
        self,
        *,
        seed: int,
        latency: Latency,
        payer_delay: PayerDelay,
        default: Status | None,
        faults: Faults,
        url: str,
    ) -> None:
        self.ledger = Ledger()
        self.faults = faults
        self.url = url
        self.random = random.Random(seed)  # noqa: S311 - repeats a run; not used for secrets
        self.latency = latency
        self.payer_delay = payer_delay
        self.default = default
        self.receiver: Receiver | None = None
        self.deliveries: list[Delivery] = []
        self._listeners: dict[str, set[asyncio.Queue[str]]] = {}
        self._unsent: list[Callable[[], Coroutine[Any, Any, None]]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._timers: set[asyncio.TimerHandle] = set()
        self._pauses: set[asyncio.Future[None]] = set()

    def answer_delay(self) -> float:
        """Draw the seconds that an answer takes."""
        return self.latency(self.random) if callable(self.latency) else self.latency

    def decision_delay(self, entry: Entry) -> float:
        """Draw the seconds that the payer takes to decide."""
        return (
            self.payer_delay(self.random, entry) if callable(self.payer_delay) else self.payer_delay
        )

    def usual(self) -> Outcome | None:
        """Return what a payer does by default; None: nothing, until `settle` is called."""
        return None if self.default is None else Outcome(self.default)

    def after(self, seconds: float, callback: Callable[[], object]) -> None:
        """Call back after so many seconds of the running loop."""

        def ring() -> None:
            self._timers.discard(timer)
            callback()

        timer = asyncio.get_running_loop().call_later(seconds, ring)
        self._timers.add(timer)

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a task; it ends with the simulator at the latest."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def pause(self, seconds: float | None) -> None:
        """Wait for so many seconds; None: for ever. The simulator's end ends every wait."""
        woken = asyncio.get_running_loop().create_future()
        self._pauses.add(woken)
        try:
            await asyncio.wait({woken}, timeout=seconds)
        finally:
            self._pauses.discard(woken)

    @contextlib.contextmanager
    def listener(self, provider: str) -> Iterator[asyncio.Queue[str]]:
        """Receive the frames that a provider pushes, inside the context."""
        frames: asyncio.Queue[str] = asyncio.Queue()
        listeners = self._listeners.setdefault(provider, set())
        listeners.add(frames)
        try:
            yield frames
        finally:
            listeners.discard(frames)

    def push(self, provider: str, frame: str) -> None:
        """Send a text frame to every WebSocket of a provider."""
        for frames in self._listeners.get(provider, ()):
            frames.put_nowait(frame)

    def send(self, provider: str, *messages: Message, after: float = 0.0) -> None:
        """Send webhooks one after another in the background.

        Without a loop they wait for `catch_up`.
        """

        async def work() -> None:
            await asyncio.sleep(after)
            for message in messages:
                await self.carry(provider, message)

        self._unsent.append(work)
        with contextlib.suppress(RuntimeError):
            self.catch_up()

    def catch_up(self) -> None:
        """Start sending what was settled without a running loop."""
        asyncio.get_running_loop()
        while self._unsent:
            self.start(self._unsent.pop(0)())

    async def carry(self, provider: str, message: Message) -> Response | None:
        """Deliver a webhook to the receiver or to a loopback address; None: no answer came."""
        delivery = Delivery(provider=provider, message=message)
        self.deliveries.append(delivery)
        try:
            async with asyncio.timeout(_ANSWER_WITHIN):
                reply = await (
                    _hand_over(self.receiver, message)
                    if self.receiver
                    else _send_to_socket(message)
                )
        except Exception as error:  # noqa: BLE001 - any error of the receiver is kept for the test
            delivery.error = f"{type(error).__name__}: {error}"
            return None
        delivery.status = reply.status
        return reply

    async def aclose(self) -> None:
        """End all timers, waits and webhooks."""
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        for woken in self._pauses:
            if not woken.done():
                woken.set_result(None)
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _hand_over(receiver: Receiver, message: Message) -> Response:
    url = urlsplit(message.url)
    incoming = WebhookRequest(
        method=message.method,
        path=url.path,
        query=url.query,
        headers={"host": url.netloc, **message.headers},
        body=message.body,
        peer="127.0.0.1",
    )
    answer = receiver(incoming)
    if isinstance(answer, Awaitable):
        answer = await answer
    return answer if isinstance(answer, Response) else Response(status=200)


async def _send_to_socket(message: Message) -> Response:
    # Plain sockets are enough for a receiver on this machine; no HTTP client is needed.
    url = urlsplit(message.url)
    if url.scheme != "http" or url.hostname not in _LOOPBACK:
        raise UsageError.field(
            "webhook URL", message.url, "http on loopback, or Simulator.on_webhook"
        )
    reader, writer = await asyncio.open_connection(url.hostname, url.port or 80)
    try:
        target = f"{url.path or '/'}?{url.query}" if url.query else url.path or "/"
        headers = {"host": url.netloc, "content-length": str(len(message.body)), **message.headers}
        # HTTP/1.0: the answer is neither chunked nor kept alive.
        lines = [
            f"{message.method} {target} HTTP/1.0",
            *(f"{name}: {value}" for name, value in headers.items()),
        ]
        writer.write("\r\n".join([*lines, "", ""]).encode() + message.body)
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
        return Response(status=int(head.split()[1]), body=body)
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
