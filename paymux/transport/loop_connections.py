"""What one event loop has open: a connector, the idle connections of each origin, and their end."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack
from typing import Any

import aiohttp
import msgspec
from aiohttp.client_proto import ResponseHandler
from yarl import URL

from ..http import TransportError
from ..values.network import Network
from .freshness import LOOKUP_KEEPALIVE_SECONDS, MONEY_KEEPALIVE_SECONDS, Peek, first_look
from .idle import IdleConnections


class Link(msgspec.Struct, eq=False):
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


class Origin:
    """An origin: the connector's request for it, and its idle connections.

    https://www.rfc-editor.org/rfc/rfc6454#section-4
    """

    def __init__(self, scheme: str, host: str, network: Network) -> None:
        url = URL(f"{scheme}://{host}/", encoded=True)
        self.request = aiohttp.ClientRequest(
            "GET", url, loop=asyncio.get_running_loop(), **through(network, scheme)
        )
        self.host = self.request.headers["Host"]
        self.lookups = IdleConnections[Link](LOOKUP_KEEPALIVE_SECONDS)
        self.money = IdleConnections[Link](MONEY_KEEPALIVE_SECONDS)

    def close(self) -> None:
        """Close the idle connections."""
        self.lookups.close()
        self.money.close()


class Origins(dict[tuple[str, str], Origin]):
    """The origins of one loop, by scheme and host; each is made at its first request."""

    def __init__(self, network: Network) -> None:
        super().__init__()
        self._network = network

    def __missing__(self, key: tuple[str, str]) -> Origin:
        origin = self[key] = Origin(*key, self._network)
        return origin


class LoopConnections:
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
        self.origins = Origins(network)
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


def through(network: Network, scheme: str) -> dict[str, Any]:
    """Return aiohttp's arguments for the proxy; plain http, which is on loopback, goes past it."""
    if network.proxy is None or scheme not in ("https", "wss"):
        return {}
    headers = {"User-Agent": "paymux"}
    if network.authorization is not None:
        headers["Proxy-Authorization"] = network.authorization.reveal()
    return {"proxy": URL(network.proxy, encoded=True), "proxy_headers": headers}


def new_link(connection: aiohttp.connector.Connection) -> Link | None:
    """Return a new connection that is open and received nothing; None: it cannot be used."""
    protocol = connection.protocol
    transport = None if protocol is None else protocol.transport
    if protocol is None or transport is None or protocol.should_close:
        return None
    silent, look = first_look(transport)
    return Link(connection, protocol, transport, look) if silent else None


def _no_redirect() -> aiohttp.TraceConfig:
    trace = aiohttp.TraceConfig()
    trace.on_request_redirect.append(_redirected)  # ws_connect has no option not to follow
    return trace


async def _redirected(*_: object) -> None:
    raise TransportError("a redirect")
