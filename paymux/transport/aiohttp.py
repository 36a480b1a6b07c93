"""The pool's own connection: one attempt on a socket, and whether it was sent.

aiohttp opens connections, does TLS and parses responses. The lines of a request are written here,
and idle connections are kept in loop_connections.py. aiohttp's session can do both, but it costs as
much as all the rest together, and it does things that are not safe for money: it keeps cookies,
follows redirects, uses proxies and passwords of the environment, and sends a GET again.
"""

import asyncio
import sys
from collections.abc import AsyncGenerator

import aiohttp
from aiohttp.client_proto import ResponseHandler
from yarl import URL

from ..http import PreparedRequest, Response, TransportError
from ..primitives.forks import ForkAware, leave_to_parent, register
from ..values.network import Network
from .freshness import MAX_NEW_CONNECTIONS
from .loop_connections import Link, LoopConnections, new_link, through
from .mocks import unseen_by_mock
from .replies import body_of, translated

MAX_FRAME_BYTES = 64 * 1024
READ_BYTES = 256 * 1024  # what asyncio's transports read at most at a time
DIRECT = Network()


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
        self._kept: dict[asyncio.AbstractEventLoop, LoopConnections] = {}
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
    ) -> Link:
        for _ in range(MAX_NEW_CONNECTIONS):
            connection = await connector.connect(request, [], self._timeout)
            link = new_link(connection)
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
                    **through(self._network, outgoing.url.partition("://")[0]),
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

    async def _open(self) -> LoopConnections:
        # asyncio allocates 256 KiB for each read, and glibc maps, remaps and unmaps memory for it,
        # which takes a tenth of a look-up's time. It stops once a larger block was freed
        # (M_MMAP_THRESHOLD): https://man7.org/linux/man-pages/man3/mallopt.3.html
        bytes(READ_BYTES << 2)
        await self._close_ended_loops()
        loop = asyncio.get_running_loop()
        kept = self._kept[loop] = LoopConnections(self._network)
        kept.ended.callback(self._kept.pop, loop, None)
        await anext(kept.guard)
        return kept


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
