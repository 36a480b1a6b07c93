"""The only file that imports the HTTP client: one attempt on a socket, and whether it was sent.

aiohttp opens connections, does TLS and parses responses. The lines of a request are written here,
and idle connections are kept here. aiohttp's session can do both, but it costs as much as all the
rest together, and it does things that are not safe for money: it keeps cookies, follows redirects,
uses proxies and passwords of the environment, and sends a GET again.
"""

import asyncio
import select
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack
from typing import Any, TypeAlias

import aiohttp
import msgspec
from aiohttp.client_proto import ResponseHandler
from yarl import URL

from ..http import PreparedRequest, Response, TransportError
from ..primitives.forks import ForkAware, leave_to_parent, register
from ..values.network import Network
from .idle import IdleConnections
from .mocks import unseen_by_mock
from .replies import body_of, translated

MAX_FRAME_BYTES = 64 * 1024
READ_BYTES = 256 * 1024  # what asyncio's transports read at most at a time
LOOKUP_KEEPALIVE_SECONDS = 15.0  # seconds for which a look-up may reuse an idle connection
MONEY_KEEPALIVE_SECONDS = 1.0  # the same of a money request: stale ones make unknowns
# new connections that may be closed, or receive data before a request, until an attempt fails
MAX_NEW_CONNECTIONS = 3
DIRECT = Network()
Peek: TypeAlias = Callable[[int], object]  # the events that wait on a socket; false: none
_ENDED: int = getattr(select, "POLLRDHUP", 0)  # Linux only; elsewhere a closed socket is readable


class AiohttpConnection(ForkAware):
    """Carries attempts over real sockets.

    Each running loop has its own connections, made at its first request.
    """

    def __init__(self, connect_timeout: float, network: Network = DIRECT) -> None:
        self._network = network
        self._timeout = aiohttp.ClientTimeout(
            total=None,
            # A proxy may connect at once, and then never answer: there, one time-out bounds all.
            connect=connect_timeout if network.proxy else None,
            sock_connect=connect_timeout,
        )
        self._kept: dict[asyncio.AbstractEventLoop, _LoopConnections] = {}
        self._warned = False  # that a mock does not see its requests
        register(self)

    def after_fork_in_child(self) -> None:
        """Drop all connections in a forked child.

        They are the parent's, and so is their selector.
        """
        leave_to_parent(*self._kept.items())
        for kept in self._kept.values():
            kept.disown()
        self._kept = {}

    async def exchange(self, outgoing: PreparedRequest) -> Response:
        """Carry one attempt without following redirects.

        TransportError: no complete response was received.
        """
        outgoing.started = True
        if "aioresponses" in sys.modules and not self._warned:
            self._warned = unseen_by_mock(aiohttp.ClientSession, outgoing.url)
        link = None
        try:
            kept = self._kept.get(asyncio.get_running_loop()) or await self._open()
            scheme, _, rest = outgoing.url.partition("://")
            host, _, target = rest.partition("/")
            origin = kept.origins[scheme, host]
            written = outgoing.written(origin.host, target)
            idle = origin.money if outgoing.money else origin.lookups
            link = idle.take() or await self._connected(kept.connector, origin.request)
            protocol = link.protocol
            protocol.set_response_params(read_until_eof=True, auto_decompress=False)
            outgoing.sent = True
            link.transport.write(written)
            reply = await _reply(protocol, outgoing.largest, kept.arriving)
            if not protocol.should_close:
                idle.put(link)
                link = None
            return reply
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - after sending, any error means "unknown"
            broken = translated(error)
        finally:
            if link is not None:
                link.close()  # it is not kept
        # Raised outside the `except`: the client's exception, whose frames hold the headers, is not
        # attached to ours.
        raise broken

    async def _connected(
        self, connector: aiohttp.TCPConnector, request: aiohttp.ClientRequest
    ) -> "_Link":
        for _ in range(MAX_NEW_CONNECTIONS):
            connection = await connector.connect(request, [], self._timeout)
            link = _new(connection)
            if link is not None:
                return link
            connection.close()
        raise TransportError("new connections that end, or speak before they are asked")

    async def frames(self, outgoing: PreparedRequest) -> AsyncGenerator[str | bytes]:
        """Open a WebSocket and yield its frames until it is closed.

        TransportError: it could not be opened, or it broke.
        """
        kept = self._kept.get(asyncio.get_running_loop()) or await self._open()
        try:
            async with asyncio.timeout(self._timeout.sock_connect):
                opened = await kept.pushed.ws_connect(
                    URL(outgoing.url, encoded=True),
                    headers=outgoing.headers,
                    heartbeat=30.0,
                    max_msg_size=MAX_FRAME_BYTES,
                    **_through(self._network, outgoing.url.partition("://")[0]),
                )
            async with opened as socket:
                async for message in socket:
                    if message.type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
                        yield message.data
            return
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            broken = translated(error)
        raise broken

    async def aclose(self) -> None:
        """Close the running loop's connections, and drop those of closed loops."""
        await self._close_ended_loops()
        kept = self._kept.get(asyncio.get_running_loop())
        if kept is not None:
            await kept.guard.aclose()

    async def _close_ended_loops(self) -> None:
        # The connections of a loop refer to the loop, so a weak reference would never drop a loop
        # that was closed without `shutdown_asyncgens`.
        for gone in [kept for loop, kept in self._kept.items() if loop.is_closed()]:
            await gone.guard.aclose()

    async def _open(self) -> "_LoopConnections":
        # asyncio allocates 256 KiB for each read, and glibc maps, remaps and unmaps memory for it,
        # which takes a tenth of a look-up's time. It stops once a larger block was freed
        # (M_MMAP_THRESHOLD): https://man7.org/linux/man-pages/man3/mallopt.3.html
        bytes(READ_BYTES << 2)
        await self._close_ended_loops()
        loop = asyncio.get_running_loop()
        kept = self._kept[loop] = _LoopConnections(self._network)
        kept.ended.callback(self._kept.pop, loop, None)
        await anext(kept.guard)
        return kept


class _Link(msgspec.Struct, eq=False):
    """A connection, and the parts of it that each request uses."""

    connection: aiohttp.connector.Connection
    protocol: ResponseHandler
    transport: asyncio.Transport
    look: Peek

    def is_silent(self) -> bool:
        """Return whether it is open and nothing was received that would be read as the response.

        While the loop is busy, the server's close of an idle connection waits in the kernel,
        unread. A connection with anything to read is not used again, so no order is lost on a
        connection that was already dead.
        """
        protocol = self.protocol
        return (
            protocol.transport is self.transport and not protocol.should_close and not self.look(0)
        )

    def close(self) -> None:
        """Close it."""
        self.connection.close()


class _Origin:
    """An origin: the connector's request for it, and its idle connections.

    https://www.rfc-editor.org/rfc/rfc6454#section-4
    """

    def __init__(self, scheme: str, host: str, network: Network) -> None:
        url = URL(f"{scheme}://{host}/", encoded=True)
        self.request = aiohttp.ClientRequest(
            "GET", url, loop=asyncio.get_running_loop(), **_through(network, scheme)
        )
        self.host = self.request.headers["Host"]
        self.lookups = IdleConnections[_Link](LOOKUP_KEEPALIVE_SECONDS)
        self.money = IdleConnections[_Link](MONEY_KEEPALIVE_SECONDS)

    def close(self) -> None:
        """Close the idle connections."""
        self.lookups.close()
        self.money.close()


class _Origins(dict[tuple[str, str], _Origin]):
    """The origins of one loop, by scheme and host; each is made at its first request."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self._network = network

    def __missing__(self, key: tuple[str, str]) -> _Origin:
        origin = self[key] = _Origin(*key, self._network)
        return origin


class _LoopConnections:
    """The connections of one loop, and the session of its WebSockets."""

    def __init__(self, network: Network) -> None:
        local = network.local_address
        self._loop = asyncio.get_running_loop()
        self.connector = aiohttp.TCPConnector(
            limit=0,
            ssl=True if network.tls is None else network.tls,
            local_addr=None if local is None else (local, 0),
        )
        self.pushed = aiohttp.ClientSession(
            connector=self.connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            trace_configs=[_no_redirect()],
        )
        self.origins = _Origins(network)
        self.arriving: set[aiohttp.StreamReader] = set()  # bodies of which a part is to come
        # what is done at the end: every step, even if the task that waits for it is cancelled
        self.ended = AsyncExitStack()
        self.ended.callback(self._close_origins)  # last: the connector has closed their sockets
        self.ended.push_async_callback(self.pushed.close)
        self.ended.callback(self._break_bodies)
        # The end of a loop closes its async generators (`shutdown_asyncgens`), so a pool that is
        # used in several `asyncio.run`, one after another, leaves no open connection.
        self.guard = self._guard()

    def disown(self) -> None:
        """Mark the connector as closed, so that its garbage collection closes no connection."""
        self.connector._closed = True  # noqa: SLF001 - a test guards that the name stays

    def _break_bodies(self) -> None:
        # aiohttp closes their sockets, but tells no reader of a body: it would wait for ever.
        for body in self.arriving:
            if not self._loop.is_closed():
                body.set_exception(aiohttp.ClientConnectionError("the connection was closed"))

    def _close_origins(self) -> None:
        for origin in self.origins.values():
            origin.close()

    async def _guard(self) -> AsyncGenerator[None]:
        async with self.ended:
            yield


def _through(network: Network, scheme: str) -> dict[str, Any]:
    """Return aiohttp's arguments for the proxy; plain http, which is on loopback, goes past it."""
    if network.proxy is None or scheme not in ("https", "wss"):
        return {}
    headers = {"User-Agent": "paymux"}
    if network.authorization is not None:
        headers["Proxy-Authorization"] = network.authorization.reveal()
    return {"proxy": URL(network.proxy, encoded=True), "proxy_headers": headers}


def _new(connection: aiohttp.connector.Connection) -> _Link | None:
    """Return a new connection that is open and received nothing; None: it cannot be used."""
    protocol = connection.protocol
    transport = None if protocol is None else protocol.transport
    if protocol is None or transport is None or protocol.should_close:
        return None
    silent, look = first_look(transport)
    return _Link(connection, protocol, transport, look) if silent else None


def first_look(transport: asyncio.Transport) -> tuple[bool, Peek]:
    """Return whether a new connection is open and silent, and the function to check it later.

    If that cannot be checked (Windows, a transport without a descriptor), the function reports
    data, so the connection is not used again.
    """
    found = transport.get_extra_info("socket")
    number = -1 if found is None else found.fileno()
    poll = getattr(select, "poll", None)
    if number < 0 or poll is None:
        return True, lambda _: True
    looked = poll()
    # On a new TLS connection, session tickets arrive without a request: there, only a close counts.
    tls = transport.get_extra_info("sslcontext") is not None
    looked.register(number, _ENDED if tls else select.POLLIN | _ENDED)
    silent = not looked.poll(0)
    looked.register(number, select.POLLIN | _ENDED)
    return silent, looked.poll


def _no_redirect() -> aiohttp.TraceConfig:
    trace = aiohttp.TraceConfig()
    trace.on_request_redirect.append(_redirected)  # ws_connect has no option not to follow
    return trace


async def _redirected(*_: object) -> None:
    raise TransportError("a redirect")


async def _reply(
    protocol: ResponseHandler, largest: int, arriving: set[aiohttp.StreamReader]
) -> Response:
    while True:
        message, payload = await protocol.read()
        if message.code == 101:
            raise TransportError("another protocol, which was not asked for")
        if not 100 <= message.code < 200:
            break
    if not payload.is_eof():
        arriving.add(payload)
    try:
        body = await body_of(
            payload, message.code, message.headers, message.compression or "", largest
        )
    finally:
        arriving.discard(payload)
    return Response(status=message.code, headers=message.headers, body=body)
