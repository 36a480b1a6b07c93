"""The only file that knows the HTTP client: one attempt, on sockets, truthful about what left.

aiohttp opens and secures the connections and parses what comes in; the few lines of a request are
written here, and idle connections wait here. Its session does both, too, at the cost of all the
rest together, and with habits that money has to be kept from: cookies, redirects, the environment's
proxies and passwords, and sending a GET again.
"""

import asyncio
import select
import ssl
import zlib
from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack
from typing import TypeAlias

import aiohttp
import msgspec
from aiohttp.client_proto import ResponseHandler
from yarl import URL

from ..http import MAX_BODY_BYTES, PreparedRequest, Response, TransportError
from ..primitives.forks import ForkAware, leave_to_parent, register
from .idle import IdleConnections

MAX_FRAME_BYTES = 64 * 1024
READ_BYTES = 256 * 1024  # what asyncio's transports read at most at a time
OTHERS_KEPT = 15.0  # seconds for which a look-up may reuse an idle connection
MONEY_KEEPALIVE_SECONDS = 1.0  # the same of a money request: stale ones make unknowns
# new connections that may end, or speak before they are asked, before an attempt gives up
MAX_NEW_CONNECTIONS = 3
Peek: TypeAlias = Callable[[int], object]  # what waits to be read; nothing: false
_ENDED: int = getattr(select, "POLLRDHUP", 0)  # Linux alone has it; an end is readable everywhere


class AiohttpConnection(ForkAware):
    """Carries attempts over real sockets.

    One set of connections per running loop, made when first needed.
    """

    def __init__(self, connect_timeout: float) -> None:
        self._timeout = aiohttp.ClientTimeout(total=None, sock_connect=connect_timeout)
        self._kept: dict[asyncio.AbstractEventLoop, _LoopConnections] = {}
        register(self)

    def after_fork_in_child(self) -> None:
        """Have no connection in a forked child.

        Those that it sees are its parent's, selector included.
        """
        leave_to_parent(*self._kept.items())
        for kept in self._kept.values():
            kept.disown()
        self._kept = {}

    async def exchange(self, outgoing: PreparedRequest) -> Response:
        """Carry one attempt without following redirects.

        TransportError where no whole reply came.
        """
        outgoing.started = True
        link = None
        try:
            kept = self._kept.get(asyncio.get_running_loop()) or await self._open()
            scheme, _, rest = outgoing.url.partition("://")
            host, _, target = rest.partition("/")
            place = kept.place(scheme, host)
            written = outgoing.written(place.host, target)
            idle = place.money if outgoing.money else place.other
            link = idle.take() or await self._connected(kept.connector, place.request)
            protocol = link.protocol
            protocol.set_response_params(read_until_eof=True, auto_decompress=False)
            outgoing.sent = True
            link.transport.write(written)
            reply = await _reply(protocol, outgoing.largest)
            if not protocol.should_close:
                idle.put(link)
                link = None
            return reply
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, after sending it means "unknown"
            broken = _translated(error)
        finally:
            if link is not None:
                link.close()  # where it is not kept
        # Raised out here, so that no foreign exception, whose frames hold the headers, hangs on to
        # ours.
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
        """Open a WebSocket and give its frames until it ends.

        TransportError where it cannot be opened or breaks.
        """
        kept = self._kept.get(asyncio.get_running_loop()) or await self._open()
        try:
            async with asyncio.timeout(self._timeout.sock_connect):
                opened = await kept.pushed.ws_connect(
                    URL(outgoing.url, encoded=True),
                    headers=outgoing.headers,
                    heartbeat=30.0,
                    max_msg_size=MAX_FRAME_BYTES,
                )
            async with opened as socket:
                async for message in socket:
                    if message.type in (aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY):
                        yield message.data
            return
        except (aiohttp.ClientError, OSError, TimeoutError, ValueError) as error:
            broken = _translated(error)
        raise broken

    async def aclose(self) -> None:
        """Close the running loop's connections, and forget those of loops that are gone."""
        await self._let_go()
        kept = self._kept.get(asyncio.get_running_loop())
        if kept is not None:
            await kept.guard.aclose()

    async def _let_go(self) -> None:
        # What is kept for a loop names it, so that a weak reference would not let go of one that
        # was closed without its end (`shutdown_asyncgens`).
        for gone in [kept for loop, kept in self._kept.items() if loop.is_closed()]:
            await gone.guard.aclose()

    async def _open(self) -> "_LoopConnections":
        # asyncio takes a new 256 KiB for each read, and glibc maps, remaps and unmaps memory for
        # it, a tenth of a look-up's time, until something larger was freed once (M_MMAP_THRESHOLD):
        # https://man7.org/linux/man-pages/man3/mallopt.3.html
        bytes(READ_BYTES << 2)
        await self._let_go()
        loop = asyncio.get_running_loop()
        kept = self._kept[loop] = _LoopConnections()
        kept.ended.callback(self._kept.pop, loop, None)
        await anext(kept.guard)
        return kept


class _Link(msgspec.Struct, eq=False):
    """A connection and what is asked of it with each request."""

    connection: aiohttp.connector.Connection
    protocol: ResponseHandler
    transport: asyncio.Transport
    look: Peek

    def is_silent(self) -> bool:
        """Tell whether it goes on, and the server said nothing on it, which would be taken for the answer.

        While the loop is busy, the server's end of an idle connection waits in the kernel, unread:
        whatever can be read makes it another one, so that no order is lost on a connection that was
        dead before it.
        """
        protocol = self.protocol
        return (
            protocol.transport is self.transport and not protocol.should_close and not self.look(0)
        )

    def close(self) -> None:
        """Close it."""
        self.connection.close()


class _Place:
    """A host: what the connector wants to know of it, and its idle connections, those of money apart."""

    def __init__(self, scheme: str, host: str) -> None:
        url = URL(f"{scheme}://{host}/", encoded=True)
        self.request = aiohttp.ClientRequest("GET", url, loop=asyncio.get_running_loop())
        self.host = self.request.headers["Host"]
        self.other = IdleConnections[_Link](OTHERS_KEPT)
        self.money = IdleConnections[_Link](MONEY_KEEPALIVE_SECONDS)

    def close(self) -> None:
        """Close the idle ones."""
        self.other.close()
        self.money.close()


class _LoopConnections:
    """The connections of one loop, and the session of its update sockets."""

    def __init__(self) -> None:
        self.connector = aiohttp.TCPConnector(limit=0)
        self.pushed = aiohttp.ClientSession(
            connector=self.connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            trace_configs=[_no_redirect()],
        )
        self._places: dict[tuple[str, str], _Place] = {}
        # what is done at the end: each, even where whoever waits is cancelled
        self.ended = AsyncExitStack()
        self.ended.callback(self._close_places)  # at last: the connector has closed their sockets
        self.ended.push_async_callback(self.pushed.close)
        # An async generator is closed by its loop's end (`shutdown_asyncgens`), so that a pool used
        # from several `asyncio.run` in turn leaves nothing behind it.
        self.guard = self._guard()

    def disown(self) -> None:
        """Let aiohttp take the connections for closed, so that it closes none of them as it is collected."""
        self.connector._closed = True  # noqa: SLF001 - a test guards that the name stays

    def place(self, scheme: str, host: str) -> _Place:
        """Give a host."""
        place = self._places.get((scheme, host))
        if place is None:
            place = self._places[scheme, host] = _Place(scheme, host)
        return place

    def _close_places(self) -> None:
        for place in self._places.values():
            place.close()

    async def _guard(self) -> AsyncGenerator[None]:
        async with self.ended:
            yield


def _new(connection: aiohttp.connector.Connection) -> _Link | None:
    """Give a new connection that goes on and on which nothing was said, with how to see that later."""
    protocol = connection.protocol
    transport = None if protocol is None else protocol.transport
    if protocol is None or transport is None or protocol.should_close:
        return None
    silent, look = _is_new(transport)
    return _Link(connection, protocol, transport, look) if silent else None


def _is_new(transport: asyncio.Transport) -> tuple[bool, Peek]:
    """Tell whether a new connection goes on, and how to see, before it is used again, that nothing was said.

    Where nothing can be seen (Windows, a transport without a descriptor) it is not used again.
    """
    found = transport.get_extra_info("socket")
    number = -1 if found is None else found.fileno()
    poll = getattr(select, "poll", None)
    if number < 0 or poll is None:
        return True, lambda _: True
    looked = poll()
    # A new TLS connection is given its session tickets unasked: there, only an end speaks against
    # it.
    tls = transport.get_extra_info("sslcontext") is not None
    looked.register(number, _ENDED if tls else select.POLLIN | _ENDED)
    silent = not looked.poll(0)
    looked.register(number, select.POLLIN | _ENDED)
    return silent, looked.poll


def _no_redirect() -> aiohttp.TraceConfig:
    trace = aiohttp.TraceConfig()
    trace.on_request_redirect.append(_redirected)  # ws_connect cannot be told not to follow
    return trace


async def _redirected(*_: object) -> None:
    raise TransportError("a redirect")


async def _reply(protocol: ResponseHandler, largest: int) -> Response:
    while True:
        message, payload = await protocol.read()
        if message.code == 101:
            raise TransportError("another protocol, which was not asked for")
        if not 100 <= message.code < 200:
            break
    if message.code != 200:
        largest = MAX_BODY_BYTES
    if not payload.is_eof():  # some of it is not there yet, and may never come
        stated = message.headers.get("content-length", "")
        if len(stated) < 16 and stated.isdecimal() and int(stated) > largest:
            raise _too_large(largest)
    body: bytes | bytearray = await payload.readany()
    if not payload.at_eof():
        body = bytearray(body)
        async for chunk in payload.iter_any():
            body += chunk
            if len(body) > largest:
                break
    if len(body) > largest:
        raise _too_large(largest)
    # We ask for no compression; what comes compressed all the same is inflated up to the cap and no
    # further.
    if message.compression in ("gzip", "deflate"):
        body = await _inflated(body, largest)
    if len(body) > MAX_BODY_BYTES:
        body = bytes(body)
        await asyncio.sleep(0)  # a step of its own: reading it is another
    return Response(status=message.code, headers=message.headers, body=bytes(body))


async def _inflated(body: bytes | bytearray, largest: int) -> bytes:
    inflater, parts, size = zlib.decompressobj(wbits=47), [], 0
    while True:
        # One byte beyond the cap tells enough, and 0 would mean no cap at all.
        part = inflater.decompress(body, min(MAX_BODY_BYTES, largest + 1 - size))
        body = inflater.unconsumed_tail
        parts.append(part)
        size += len(part)
        if inflater.eof or size > largest or not (part or body):
            break
        await asyncio.sleep(0)  # a large one takes long
    if size > largest:
        raise _too_large(largest)
    if not inflater.eof:
        raise TransportError("a compressed body that is cut")
    return b"".join(parts)


def _too_large(largest: int) -> TransportError:
    return TransportError(f"a body of more than {largest} bytes", too_large=True)


def _translated(error: Exception) -> TransportError:
    if isinstance(error, TransportError):
        return error
    certain = isinstance(
        error, aiohttp.ClientConnectorCertificateError | aiohttp.ServerFingerprintMismatch
    ) or (
        isinstance(error, aiohttp.ClientConnectorSSLError)
        and not isinstance(error.os_error, ssl.SSLEOFError)
    )
    # The class alone: a message of the client's may hold the URL's query or the request's headers.
    cause = getattr(error, "os_error", None) or error.__cause__
    because = f" ({type(cause).__name__})" if cause is not None else ""
    return TransportError(f"{type(error).__name__}{because}", permanent=certain)
