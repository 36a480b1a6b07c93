"""The state shared by all simulated providers: ledger, random numbers, time and webhooks."""

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterator
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import msgspec

from ..http import Response, WebhookRequest
from .faults import Faults
from .ledger import Entry, Ledger
from .messages import Message
from .payers import Payers
from .records import Delivery, Records
from .sending import send

Latency: TypeAlias = float | Callable[[random.Random], float]
PayerDelay: TypeAlias = float | Callable[[random.Random, Entry], float]
Receiver: TypeAlias = Callable[[WebhookRequest], Response | Awaitable[Response | None] | None]

_ANSWER_WITHIN = 8.0  # seconds that Safaricom gives a validation URL; other providers state none


class SimulatorCore:
    """The shared state of the simulated providers; owns all tasks and timers until `aclose`."""

    def __init__(
        self,
        *,
        seed: int,
        latency: Latency,
        payer_delay: PayerDelay,
        payers: Payers,
        faults: Faults,
        url: str,
        keep: int | None = None,
        webhook_hosts: Collection[str] = (),
    ) -> None:
        self.ledger = Ledger(lambda entry: self.tell("payment", entry))
        self.faults = faults
        faults.changed = lambda planned: self.tell("fault", planned)
        self.url = url
        self.random = random.Random(seed)  # noqa: S311 - repeats a run; not used for secrets
        self.latency = latency
        self.payer_delay = payer_delay
        self.payers = payers
        self.receiver: Receiver | None = None
        self.webhook_hosts = webhook_hosts
        self.deliveries: Records[Delivery] = Records(keep)
        # Called with a word and a thing for each event: ("payment", entry) and so on.
        self.observers: list[Callable[[str, Any], object]] = []
        self.guests = 0  # streams and waiting requests
        self._listeners: dict[str, set[asyncio.Queue[str]]] = {}
        self._unsent: list[Callable[[], Coroutine[Any, Any, None]]] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._timers: set[asyncio.TimerHandle] = set()
        self._repeats: set[asyncio.TimerHandle] = set()  # of webhooks that were not accepted
        self._pauses: set[asyncio.Future[None]] = set()

    def answer_delay(self) -> float:
        """Draw the seconds that an answer takes."""
        return self.latency(self.random) if callable(self.latency) else self.latency

    def decision_delay(self, entry: Entry) -> float:
        """Return the seconds that the payer takes to decide."""
        own = self.payers.delay(entry)
        if own is not None:
            return own
        return (
            self.payer_delay(self.random, entry) if callable(self.payer_delay) else self.payer_delay
        )

    @property
    def busy(self) -> bool:
        """Whether a stream, a waiting request, a timer or a webhook is under way.

        One that was not accepted, and comes again in minutes or days, is not.
        """
        return bool(self.guests or self._tasks or self._timers or self._pauses)

    def tell(self, event: str, thing: Any) -> None:
        """Tell those that observe this world what happened."""
        for observer in self.observers:
            observer(event, thing)

    def after(
        self, seconds: float, callback: Callable[[], object], *, repeat: bool = False
    ) -> None:
        """Call back after so many seconds of the running loop; `repeat`: of a webhook."""
        timers = self._repeats if repeat else self._timers

        def ring() -> None:
            timers.discard(timer)
            callback()

        timer = asyncio.get_running_loop().call_later(seconds, ring)
        timers.add(timer)

    def _cancel_timers(self) -> None:
        for timer in self._timers | self._repeats:
            timer.cancel()
        self._timers.clear()
        self._repeats.clear()

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
                await self._insist(provider, message)

        self._unsent.append(work)
        with contextlib.suppress(RuntimeError):
            self.catch_up()

    def catch_up(self) -> None:
        """Start sending what was settled without a running loop."""
        asyncio.get_running_loop()
        while self._unsent:
            self.start(self._unsent.pop(0)())

    async def _insist(self, provider: str, message: Message, tried: int = 0) -> None:
        """Deliver a webhook, and again after a pause if its provider does that."""
        reply, again = await self.carry(provider, message), message.again
        heard = reply is not None and again is not None and reply.status in again.accepts
        if again is None or heard or message.forged or tried == len(again.pauses):
            return

        def repeat() -> None:
            newer = again.renewed(message) if again.renewed else message
            self.start(self._insist(provider, newer, tried + 1))

        self.after(again.pauses[tried], repeat, repeat=True)

    async def carry(self, provider: str, message: Message) -> Response | None:
        """Deliver a webhook to the receiver or to an allowed address; None: no answer came."""
        return await self.deliver(Delivery(provider=provider, message=message))

    async def deliver(self, delivery: Delivery) -> Response | None:
        """Deliver a webhook, and keep what came of it."""
        message = self.deliveries.add(delivery).message
        began = asyncio.get_running_loop().time()
        reply: Response | None
        try:
            async with asyncio.timeout(_ANSWER_WITHIN):
                reply = await (
                    _hand_over(self.receiver, message)
                    if self.receiver
                    else send(message, self.webhook_hosts)
                )
            delivery.status, delivery.response_headers = reply.status, reply.headers
            delivery.response_body = self.deliveries.cut(reply.body)
        except Exception as error:  # noqa: BLE001 - any error of the receiver is kept for the test
            reply, delivery.error = None, f"{type(error).__name__}: {error}"
        kept = self.deliveries.cut(message.body)
        if kept is not message.body:
            delivery.message, delivery.whole = msgspec.structs.replace(message, body=kept), False
        delivery.ms = (asyncio.get_running_loop().time() - began) * 1000
        self.tell("delivery", delivery)
        return reply

    def forget(self) -> None:
        """Forget orders, webhooks, faults and payers; what is under way ends without effect."""
        self._cancel_timers()
        for task in self._tasks:
            task.cancel()
        self._unsent.clear()
        self.ledger.clear()
        self.deliveries.clear()
        self.faults.clear()
        self.payers.known.clear()

    async def aclose(self) -> None:
        """End all timers, waits and webhooks."""
        self._cancel_timers()
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
