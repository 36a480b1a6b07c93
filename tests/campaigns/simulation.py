"""A simulated world that is the same for the same seed.

It has virtual time, a network in memory under real aiohttp, faults, and crashes.

No part of paymux is replaced: the pool, its aiohttp client, the simulator's aiohttp server and
SQLite are the real ones. Replaced are the event loop's clock and sockets, the wall clock, and the
journal's thread, whose work is done in the loop after a moment of virtual time.
"""

import asyncio
import contextlib
import contextvars
import hashlib
import random
import re
import socket
import tempfile
import time
from collections import Counter
from collections.abc import (
    AsyncGenerator,
    Awaitable,
    Callable,
    Coroutine,
    Iterator,
    Mapping,
    Sequence,
)
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeVar
from unittest.mock import patch
from urllib.parse import parse_qs, parse_qsl

import msgspec

from paymux import Pool
from paymux.http import PreparedRequest, Response, TransportError, WebhookRequest
from paymux.journal import Standing
from paymux.journal.sqlite import SqliteJournal
from paymux.journal.sqlite.batch import run_batch
from paymux.journal.sqlite.batch_runner import BatchRunner
from paymux.journal.stored.gathering import MAX_BATCH
from paymux.journal.stored.writer import Writer
from paymux.journal.work import LOCK_WAIT_SECONDS, Work, settle
from paymux.simulator import Simulator
from paymux.simulator.faults import Fault, Faults, Planned
from paymux.simulator.ledger import Entry
from paymux.testing import virtual_time
from paymux.transport.aiohttp import AiohttpConnection

from ..toys import Loop as FixedLoop

T = TypeVar("T")

_EPOCH = 1_767_225_600.0  # the wall clock at the start: 2026-01-01 in UTC
# Shares of the connections, which are lost at a random byte.
_LOSING: Mapping[str, float] = {"reset": 0.015, "end": 0.015, "silence": 0.01}
_UNREACHABLE = 0.03  # share of the attempts to connect that are refused
_MUTE = 0.005  # share of the attempts to connect that are never answered


class Process:
    """A simulated process: the tasks and connections that were started in its context."""

    def __init__(self) -> None:
        self.tasks: dict[asyncio.Future[Any], None] = {}  # in order, unlike a set
        self.ends: dict[End, None] = {}
        self.context = contextvars.copy_context()
        self.context.run(_PROCESS.set, self)

    def start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Start a task in this process."""
        return asyncio.get_running_loop().create_task(work, context=self.context)

    async def die(self) -> None:
        """Crash: the system resets the connections, and no more code runs."""
        for end in list(self.ends):
            end.abort()
        while self.tasks:
            for task in list(self.tasks):
                task.cancel()
            await asyncio.sleep(0)


_PROCESS: contextvars.ContextVar[Process] = contextvars.ContextVar("process")


class Loop(FixedLoop):
    """Virtual time, and sockets that lead to the network in memory."""

    def __init__(self, seed: int) -> None:
        self._counted = 0
        super().__init__()
        self.digest = hashlib.sha256()
        self.raging = True  # whether the network loses data and connections
        self.ends: dict[End, None] = {}
        self._chance = random.Random(f"{seed} network")
        self._made = 0  # number of servers and connections
        self._servers: dict[int, Listener] = {}
        self._dialled: dict[int, int] = {}
        self.set_task_factory(_owned)

    def create_future(self) -> "NumberedFuture":
        """Return a future with the next number."""
        return NumberedFuture(self.count(), loop=self)

    def count(self) -> int:
        """Return the next number."""
        self._counted += 1
        return self._counted

    def note(self, *what: object) -> None:
        """Add to the digest, which must be the same in two runs of one seed."""
        self.digest.update(f"{self.time():.9f} {what}\n".encode())

    def latency(self) -> float:
        """Return the random seconds of a packet on the network."""
        return 0.002 + self._chance.expovariate(50)

    async def create_server(  # type: ignore[override]  # only the parameters that are used
        self, factory: Callable[[], asyncio.Protocol], host: str, port: int, **_: Any
    ) -> "Listener":
        """Listen on a port; 0: any free port."""
        self._made += 1
        listener = Listener(self._servers, factory, port or 40_000 + self._made)
        self._servers[listener.port] = listener
        return listener

    async def sock_connect(self, sock: socket.socket, address: Any) -> None:
        """Connect, or refuse, or never answer."""
        await asyncio.sleep(self.latency())
        if self.raging and self._chance.random() < _MUTE:
            await asyncio.get_running_loop().create_future()  # never answered
        if address[1] not in self._servers or (
            self.raging and self._chance.random() < _UNREACHABLE
        ):
            raise ConnectionRefusedError(111, "Connect call failed")
        self._dialled[id(sock)] = address[1]

    async def create_connection(  # type: ignore[override]  # only the parameters that are used
        self, factory: Callable[[], asyncio.Protocol], *, sock: socket.socket, **_: Any
    ) -> tuple["End", asyncio.Protocol]:
        """Replace a socket by a connection in memory."""
        listener = self._servers[self._dialled.pop(id(sock))]
        sock.close()  # it was never connected
        self._made += 1
        client, server = End(self, f"{self._made}>"), End(self, f"{self._made}<")
        client.peer, server.peer = server, client
        if self.raging:
            self._doom(client if self._chance.random() < 0.4 else server)
        protocol = factory()
        client.begin(protocol, contextvars.copy_context())
        listener.context.copy().run(
            self.call_soon, server.begin, listener.factory(), listener.context
        )
        return client, protocol

    def _doom(self, end: "End") -> None:
        fate = self._chance.random()
        for how, odds in _LOSING.items():
            fate -= odds
            if fate < 0:
                end.doom = (self._chance.randrange(1, 1_500), how)
                return


class NumberedFuture(asyncio.Future[Any]):
    """A future whose hash is its number, so that sets have the same order in every run."""

    def __init__(self, number: int, *, loop: Loop) -> None:
        super().__init__(loop=loop)
        self._number = number

    def __hash__(self) -> int:
        return self._number


class NumberedTask(asyncio.Task[Any]):
    """A task whose hash is its number."""

    def __init__(self, number: int, work: Any, **options: Any) -> None:
        self._number = number
        super().__init__(work, **options)

    def __hash__(self) -> int:
        return self._number


def _owned(loop: asyncio.AbstractEventLoop, work: Any, **options: Any) -> asyncio.Task[Any]:
    context = options.get("context")
    process = (context or contextvars.copy_context()).get(_PROCESS)
    number = loop.count() if isinstance(loop, Loop) else 0
    task: asyncio.Task[Any] = NumberedTask(number, work, loop=loop, **options)
    if process is not None:
        process.tasks[task] = None
        task.add_done_callback(lambda task: process.tasks.pop(task, None))
    return task


class Listener(asyncio.AbstractServer):
    """A server in memory."""

    def __init__(
        self, servers: "dict[int, Listener]", factory: Callable[[], asyncio.Protocol], port: int
    ) -> None:
        self.factory = factory
        self.port = port
        self.context = contextvars.copy_context()
        self.sockets = [SimpleNamespace(getsockname=lambda: ("127.0.0.1", port))]
        self._servers = servers

    def close(self) -> None:
        """Stop listening."""
        self._servers.pop(self.port, None)

    async def wait_closed(self) -> None:
        """Do nothing: connections end by themselves."""

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """Return the running loop."""
        return asyncio.get_running_loop()

    def is_serving(self) -> bool:
        """Return whether it listens."""
        return self.port in self._servers

    async def start_serving(self) -> None:
        """Do nothing: it serves from the start."""

    async def serve_forever(self) -> None:
        """Do nothing: it serves until it is closed."""


class End(asyncio.Transport):
    """One end of a connection.

    Data arrives at the other end after a while, complete and in order.

    A doomed end loses its connection at a certain byte: with a reset, with a FIN, or in silence.
    """

    peer: "End"

    def __init__(self, loop: Loop, name: str) -> None:
        super().__init__()
        self.doom: tuple[int, str] | None = None
        self._loop = loop
        self._name = name
        self._protocol: asyncio.Protocol | None = None
        self._context = contextvars.copy_context()
        self._written = 0
        self._arrives = 0.0  # when the last written data arrives
        self._closing = self._silent = self._paused = self._ended = False
        self._held: list[bytes] = []
        self._process = _PROCESS.get(None)

    def begin(self, protocol: asyncio.Protocol, context: contextvars.Context) -> None:
        """Connect a protocol; its callbacks run in this context."""
        self._protocol, self._context = protocol, context.copy()
        self._process = context.get(_PROCESS)
        self._loop.ends[self] = None
        if self._process is not None:
            self._process.ends[self] = None
        self._context.run(protocol.connection_made, self)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Send bytes, until the connection is lost."""
        data = bytes(data)
        if self._closing or not data:
            return
        self._loop.note(self._name, data)
        self._written += len(data)
        if self.doom is not None and self._written >= self.doom[0]:
            at, how = self.doom
            self.doom = None
            self._send(data[: max(0, at - self._written + len(data))])
            self._lose(how)
        else:
            self._send(data)

    def _send(self, data: bytes) -> None:
        if data and not self._silent:
            self._to_peer(self.peer.receive, data)

    def _to_peer(self, call: Callable[..., None], *given: object, hurry: bool = False) -> None:
        at = self._loop.time() + self._loop.latency()
        self._arrives = at if hurry else max(self._arrives + 1e-6, at)
        self._loop.call_at(self._arrives, call, *given, context=self.peer._context)

    def _lose(self, how: str) -> None:
        if how == "silence":
            self._silent = self.peer._silent = True
        elif how == "reset":
            self._to_peer(self.peer.lose, True)
            self._loop.call_soon(self.lose, True, context=self._context)
        else:
            self._to_peer(self.peer.end)
            self._loop.call_soon(self.end, context=self._context)

    def receive(self, data: bytes) -> None:
        """Handle data from the other end."""
        if self._closing or self._protocol is None:
            return
        if self._paused:
            self._held.append(data)
        else:
            self._protocol.data_received(data)

    def end(self) -> None:
        """Handle the FIN of the other end."""
        if self._closing or self._protocol is None:
            return
        if self._paused:
            self._ended = True
        elif not self._protocol.eof_received():
            self.close()

    def lose(self, reset: bool) -> None:
        """Tell the protocol that the connection is lost."""
        self._closing = True
        protocol, self._protocol = self._protocol, None
        self._loop.ends.pop(self, None)
        if self._process is not None:
            self._process.ends.pop(self, None)
        if protocol is not None:
            protocol.connection_lost(
                ConnectionResetError(104, "Connection reset by peer") if reset else None
            )

    def close(self) -> None:
        """Close the connection after the written data."""
        if not self._closing:
            self._closing = True
            if not self._silent:
                self._to_peer(self.peer.end)
            self._loop.call_soon(self.lose, False, context=self._context)

    def abort(self) -> None:
        """Reset the connection."""
        if not self._closing:
            self._closing = True
            if not self._silent:
                self._to_peer(self.peer.lose, True, hurry=True)
            self._loop.call_soon(self.lose, False, context=self._context)

    def pause_reading(self) -> None:
        """Hold arriving data back."""
        self._paused = True

    def resume_reading(self) -> None:
        """Deliver the data that was held back."""
        self._paused = False
        held, self._held = self._held, []
        for data in held:
            self._loop.call_soon(self.receive, data, context=self._context)
        if self._ended:
            self._loop.call_soon(self.end, context=self._context)

    def is_closing(self) -> bool:
        """Return whether the connection is closed."""
        return self._closing

    def waits(self, _: int) -> bool:
        """Return whether data was held back, like unread data in a kernel's buffer."""
        return bool(self._held or self._ended)

    def get_write_buffer_size(self) -> int:
        """Return 0: no data waits."""
        return 0

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Return addresses, and a socket that accepts any option."""
        known = {
            "peername": ("127.0.0.1", 1),
            "sockname": ("127.0.0.1", 2),
            # The options of a socket have no effect in memory.
            "socket": SimpleNamespace(family=socket.AF_UNIX, setsockopt=lambda *_: None),
        }
        return known.get(name, default)


@contextlib.contextmanager
def fixed_world() -> Iterator[None]:
    """Let virtual time begin at one moment, and connections have no descriptor."""
    with (
        patch("time.time", lambda: _EPOCH),
        # In memory there is no descriptor to be looked at.
        patch(
            "paymux.transport.loop_connections.first_look",
            lambda end: (not end.waits(0), end.waits),
        ),
    ):
        yield


class Storm(Planned, kw_only=True):
    """A fault with a name.

    `later`: the request is processed after its answer was lost.
    """

    name: str
    later: bool = False


_HTTP = {
    f"{status} {'after' if done else 'before'} processing": (Fault.ERROR, done, status)
    for status in (500, 502, 503, 504)
    for done in (True, False)
}
# The faults of a request: the kind, whether it was processed, and the HTTP status.
REQUEST_FAULTS: Mapping[str, tuple[Fault, bool, int | None]] = {
    "dropped before it was read": (Fault.DROP_BEFORE, False, None),
    "dropped after processing": (Fault.DROP_AFTER, True, None),
    "reset in mid answer": (Fault.RESET, True, None),
    "answer cut short": (Fault.TRUNCATE, True, None),
    "garbage for an answer": (Fault.GARBAGE, True, None),
    "silence after processing": (Fault.STALL, True, None),
    "silence before processing": (Fault.STALL, False, None),
    "answer that drips": (Fault.DRIP, True, None),
    **_HTTP,
    "408 after processing": (Fault.ERROR, True, 408),
    "409 after processing": (Fault.ERROR, True, 409),
    "404 after processing": (Fault.ERROR, True, 404),
    "HTML page, 200": (Fault.HTML, True, 200),
    "HTML page, 403": (Fault.HTML, True, 403),
    "429 with Retry-After": (Fault.THROTTLE, False, None),
    "stale token": (Fault.STALE_TOKEN, False, None),
    "redirect, 302": (Fault.REDIRECT, True, 302),
    "redirect, 307": (Fault.REDIRECT, False, 307),
    "late commit, dropped": (Fault.DROP_AFTER, False, None),
    "late commit, 504": (Fault.ERROR, False, 504),
    "late commit, silence": (Fault.STALL, False, None),
}
_WEBHOOK_FAULTS = (
    Fault.WEBHOOK_LOST,
    Fault.WEBHOOK_LATE,
    Fault.WEBHOOK_DUPLICATE,
    Fault.WEBHOOK_FORGED,
)


class Weather(Faults):
    """Random faults in a share of all requests and of all webhooks.

    `hasty`: shorter delays, for real time.
    """

    def __init__(self, seed: object, *, share: float, hasty: bool = False) -> None:
        super().__init__(())
        self.raging = True
        self.met: Counter[str] = Counter()
        self._chance = random.Random(f"{seed} weather")
        self._share = share
        self.hasty = hasty

    def for_request(self, provider: str, method: str, path: str) -> Planned | None:
        """Return a random fault for this request, or None."""
        # All requests wait for a login. If logins failed as often as other requests, few of the
        # other faults would occur.
        share = self._share / 6 if "token" in path or "oauth" in path else self._share
        if not self.raging or self._chance.random() >= share:
            return None
        name = self._chance.choice(tuple(REQUEST_FAULTS))
        self.met[name] += 1
        kind, processed, status = REQUEST_FAULTS[name]
        return Storm(
            name=name,
            provider=provider,
            match="",
            kind=kind,
            processed=processed,
            status=status,
            seconds=0.01 if self.hasty else self._chance.uniform(0.01, 0.5),
            retry_after=0 if self.hasty else self._chance.randrange(6),
            location="http://127.0.0.1:1/elsewhere",
            later=name.startswith("late commit"),
        )

    def for_webhook(self, entry: Entry) -> Planned | None:
        """Return a random fault for the webhook about this order, or None."""
        if not self.raging or self._chance.random() >= 2 * self._share:
            return None
        kind = self._chance.choice(_WEBHOOK_FAULTS)
        asked = entry.words.get("asked")
        if kind is Fault.WEBHOOK_FORGED and asked and asked.question:
            kind = Fault.WEBHOOK_LOST  # only the asker knows the path and the id of an answer
        self.met[kind.name.lower().replace("_", " ")] += 1
        late = self._chance.uniform(0.05, 0.3) if self.hasty else self._chance.uniform(1, 120)
        return Planned(provider=entry.provider, match="", kind=kind, seconds=late)

    def delay(self) -> float:
        """Return the random seconds until a late commit."""
        return self._chance.uniform(0.05, 0.5) if self.hasty else self._chance.uniform(1, 90)


class City(Simulator):
    """The simulator with random faults; a request may be processed long after its answer was lost.

    It counts the requests about each order, and does not keep them.
    """

    def __init__(self, weather: Weather, **options: Any) -> None:
        super().__init__(**options)
        self.weather = self.core.faults = weather
        # by kind ("money" or "look") and by the order's reference or the look-up's
        self.asked: Counter[tuple[str, str]] = Counter()
        # Our reference of an order, by the id that its requests have in place of it.
        self.ours: dict[str, str] = {}
        results = self.mpesa.results
        results.delay = lambda chance: chance.expovariate(50 if weather.hasty else 1 / 2)
        results.lost, results.twice, results.to_timeout_url = 0.1, 0.1, 0.1

    def calm(self) -> None:
        """Let nothing fail any more."""
        self.weather.raging = False
        results = self.mpesa.results
        results.lost = results.twice = results.to_timeout_url = 0.0

    def order_of(self, what: str, which: str) -> str:
        """Return our reference of the order that a request names, or what it is looked up by."""
        invoice = self.paydunya.entry(which) if what == "money" else None
        return self.ours.get(which) or (invoice and invoice.reference) or which

    async def respond(
        self, name: str, incoming: WebhookRequest, planned: Planned | None
    ) -> Response:
        """Process a request now, later or never."""
        what, which = about(incoming)
        self.asked[what, self.order_of(what, which)] += 1
        if isinstance(planned, Storm) and planned.later and what == "money":
            work = partial(self._late, name, incoming)
            self.core.after(self.weather.delay(), lambda: self.core.start(work()))
        reply = await super().respond(name, incoming, planned)
        self.requests.clear()
        return reply

    async def _late(self, name: str, incoming: WebhookRequest) -> None:
        await self.providers[name].handle(incoming)


# The fields of a request that name its order, and the paths of the requests that have them.
_OURS = (
    "external_reference",
    "client_reference",
    "clientReferenceId",
    "transaction_id",
    "disburse_id",
    "wave_senegal_payment_token",
    "externalId",
    "merchant_transaction_id",
    "client_transaction_id",
    "AccountReference",
    "OriginatorConversationID",
    "paymentRef",
    "TransactionID",
)
_MONEY = frozenset(
    {
        "api/collect",
        "v2/deposits",
        "v2/payouts",
        "v2/refunds",
        "api/withdraw",
        "api/utilities/airtime/transfer",
        "mpesa/b2b/v1/paymentrequest",
        "v1/ussdpush/get-msisdn",
        "collection/v1_0/requesttopay",
        "disbursement/v1_0/transfer",
        "v2/payment",
        "v1/payment",
        "v1/transfer",
        "mpesa/stkpush/v1/processrequest",
        "mpesa/b2c/v3/paymentrequest",
        "mpesa/reversal/v1/request",
        "api/v2/disburse/submit-invoice",
        "api/v1/softpay/wave-senegal",
        "v1/transfer/money/send/contact",
        "v1/checkout/sessions",
        "v1/payout",
    }
)
# Money that is named by the object in its path.
_NAMED = re.compile("v1/(?:checkout/sessions|payout)/([^/]+)/(?:refund|reverse)")
_LOOKS: Mapping[str, tuple[str, ...]] = {
    "v2/payment/check": ("transaction_id",),
    "mpesa/stkpushquery/v1/query": ("CheckoutRequestID",),
    "mpesa/transactionstatus/v1/query": ("OriginalConversationID", "TransactionID"),
    "api/v2/disburse/check-status": ("disburse_invoice",),
}


_TRANSFERS = "v1/transfer/check/money"  # asked by our reference, in the query
_LOOK_PATHS = (
    "api/transaction/",
    "api/utilities/transaction/",
    "v2/deposits/",
    "v2/payouts/",
    "v2/refunds/",
    "collection/v1_0/requesttopay/",
    "disbursement/v1_0/transfer/",
    "sandbox-api/v1/checkout-invoice/confirm/",
    "v1/checkout/sessions/",
    "v1/payment/",
    "v1/payout/",
    "v1/transfer/",
)


def about(incoming: WebhookRequest) -> tuple[str, str]:
    """Return the kind of a request ("money", "look" or "login"), and what names its order."""
    path = incoming.path.strip("/")
    if path in _MONEY and incoming.method == "POST":
        return "money", named(json_body(incoming), _OURS)
    if (of := in_path(path)) is not None:
        return "money", of
    if path.startswith("api/v1/merchant/"):
        posted = incoming.method == "POST"
        which = named(json_body(incoming)) if posted else path.rpartition("/")[2]
        return "money" if posted else "look", which
    if path == _TRANSFERS:
        return "look", dict(parse_qsl(incoming.query)).get("client_transaction_id", "")
    if path.startswith(_LOOK_PATHS):
        return "look", path.rpartition("/")[2]
    if path in _LOOKS:
        return "look", named(json_body(incoming), _LOOKS[path])
    return "login", ""


def in_path(path: str) -> str | None:
    """Return the id of what a refund gives back, which names it; None: it is another request."""
    found = _NAMED.search(path)
    return None if found is None else found[1]


def named(body: Mapping[str, Any], names: Sequence[str] = _OURS) -> str:
    """Return the first of these fields that a body has; Intram may have a free object."""
    if "destination" in body:
        return str(body["reference"])
    free = body.get("webhook_data") or body.get("metadata") or {}
    if isinstance(free, dict) and "paymux_reference" in free:
        return str(free["paymux_reference"])
    return next((str(body[name]).strip() for name in names if name in body), "")


def known_as(entry: Entry) -> str:
    """Return the id by which the provider is asked for an order."""
    asked = entry.words.get("asked")  # a request of one of M-Pesa's API users
    own: str | None = entry.words.get("RequestRefID")  # of a prompt to a till, which has no other
    if asked:
        return str(asked.ids["OriginatorConversationID"])
    return own or entry.provider_reference.removesuffix("/refund")  # by its path at Wave


def json_body(incoming: WebhookRequest) -> Mapping[str, Any]:
    """Return the JSON object in a request's body."""
    return body_of(incoming.body)


def body_of(body: bytes | None) -> Mapping[str, Any]:
    """Return the JSON object of a body, or the one that is a row of the list in a form."""
    text = body or b"{}"
    if text.startswith(b"data="):
        [text] = parse_qs(text)[b"data"]
    found = msgspec.json.decode(text)
    [found] = found if isinstance(found, list) else [found]
    return found if isinstance(found, dict) else {}


class Unreachable:
    """The simulator's connection without sockets, which sometimes fails to connect."""

    def __init__(self, city: City, seed: object) -> None:
        self._city = city
        self._chance = random.Random(f"{seed} connecting")

    async def exchange(self, outgoing: PreparedRequest) -> Response:
        """Send one request, and return its response."""
        if self._city.weather.raging and self._chance.random() < _UNREACHABLE:
            outgoing.started = True
            self._city.weather.met["connection refused"] += 1
            raise TransportError("refused")
        return await self._city.connection.exchange(outgoing)

    def frames(self, outgoing: PreparedRequest) -> AsyncGenerator[str | bytes]:
        """Return the frames of the simulator's connection."""
        return self._city.connection.frames(outgoing)

    async def aclose(self) -> None:
        """Do nothing."""


class Guarded(AiohttpConnection):
    """The real connection, which calls `guard` with each money request before it is sent."""

    def __init__(self, guard: Callable[[PreparedRequest], None]) -> None:
        super().__init__(connect_timeout=10.0)
        self._guard = guard

    async def exchange(self, outgoing: PreparedRequest) -> Response:
        """Send one request, and return its response."""
        if outgoing.money:
            self._guard(outgoing)
        return await super().exchange(outgoing)


class LoopWriter(Writer[BatchRunner]):
    """The journal's writer without its thread.

    Operations of the same moment are committed together, a moment later.
    """

    def __init__(self, make_runner: Callable[[], BatchRunner], chance: random.Random) -> None:
        super().__init__(make_runner)
        self.dead = False
        self._chance = chance
        self._asked: list[Work] = []

    def queued(self, work: Work) -> "asyncio.Future[Any]":
        """Run an operation a moment later; a dead process does nothing."""
        if self.dead:
            raise asyncio.CancelledError
        if self.runner.db is None:
            self.runner.db = self.runner._open()
        loop = asyncio.get_running_loop()
        work.done = done = loop.create_future()
        work.until = time.monotonic() + LOCK_WAIT_SECONDS
        if not self._asked:
            loop.call_later(self._chance.uniform(0.0001, 0.01), self._work)
        self._asked.append(work)
        return done

    def _work(self) -> None:
        batch, self._asked = self._asked[:MAX_BATCH], self._asked[MAX_BATCH:]
        if self.runner.db is not None and not self.dead:
            settle(self.runner.told(run_batch(self.runner.db, batch)))
            if self._asked:
                asyncio.get_running_loop().call_later(0.0001, self._work)

    def die(self) -> None:
        """Discard operations that are not committed, as a crash does."""
        self.dead = True
        self.runner.shut()

    async def aclose(self) -> None:
        """Finish the queued operations."""
        while self._asked and not self.dead:
            self._work()
        self.runner.shut()
        self.runner._end()
        self.dead = True


class LoopJournal(SqliteJournal):
    """The SQLite journal, in virtual time."""

    def __init__(self, path: Path, chance: random.Random) -> None:
        super().__init__(path)
        self.writer = LoopWriter(lambda: BatchRunner(self._open, self._end, None), chance)
        self._writer = self.outbox._writer = self.writer

    @property
    def dead(self) -> bool:
        """Return whether its process has crashed, or has closed it."""
        return self.writer.dead

    def die(self) -> None:
        """Crash: operations are not finished, and the system releases the process's locks."""
        self.writer.die()
        self._file_worker.end()


async def prove(pool: Pool, account: str, credential: str) -> None:
    """Let a credential of an account be one that answers have proved before.

    Until then few of its requests leave, and under 30 % faults most of a batch would not.
    """
    digest = pool.drivers[account].credential_id(credential)
    await pool._engine.transport.guard._book.settle(account, digest, Standing.PROVED)


@contextlib.contextmanager
def in_memory(prefix: str) -> Iterator[Path]:
    """Make a folder, in memory if possible: 100,000 payments sync a disk 600,000 times."""
    shared = Path("/dev/shm")  # noqa: S108 - only its speed is wanted
    with tempfile.TemporaryDirectory(
        dir=shared if shared.is_dir() else None, prefix=prefix
    ) as folder:
        yield Path(folder)


def simulate(seed: int, main: Callable[[Loop], Awaitable[T]]) -> tuple[T, list[str]]:
    """Run one world from its start to its end.

    Return its result, and the tasks, connections and timers that it left behind.
    """
    left: list[str] = []
    loop = Loop(seed)
    random.seed(f"{seed} jitter")
    nonces = patch("secrets.token_bytes", random.Random(f"{seed} nonces").randbytes)
    with fixed_world(), nonces, asyncio.Runner(loop_factory=lambda: loop) as runner:

        async def whole() -> T:
            result = await main(loop)
            for _ in range(5):
                await asyncio.sleep(1.0)
            left.extend(
                f"task {task!r:.150}" for task in asyncio.all_tasks() - {asyncio.current_task()}
            )
            left.extend(f"connection {end._name}" for end in loop.ends)
            left.extend(
                f"timer {timer!r:.150}"
                for timer in loop.__dict__["_scheduled"]
                if not timer.cancelled()
            )
            return result

        async def inside() -> T:
            async with virtual_time():
                return await whole()

        result = runner.run(inside())
    return result, left + loop.stray
