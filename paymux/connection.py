"""The only file that knows the HTTP client: one attempt, on sockets, truthful about what left."""

import asyncio
import ssl
import zlib
from collections.abc import AsyncGenerator, Sequence
from contextvars import ContextVar
from http.cookies import SimpleCookie
from typing import Any
from weakref import WeakKeyDictionary

import aiohttp
from yarl import URL

from .wire import Broken, Outgoing, Reply

BODY_BYTES = 1 << 20
FRAME_BYTES = 64 * 1024
MONEY_KEPT = 1.0  # seconds for which a money request may reuse an idle connection: stale ones make unknowns


class Sockets:
    """Carries attempts over real sockets: one pair of sessions per running loop, made when first needed."""

    def __init__(self, connect_timeout: float) -> None:
        self._timeout = aiohttp.ClientTimeout(total=None, sock_connect=connect_timeout)
        self._sessions: WeakKeyDictionary[asyncio.AbstractEventLoop, _Sessions] = WeakKeyDictionary()

    async def exchange(self, outgoing: Outgoing) -> Reply:
        """Carry one attempt without following redirects; Broken where no whole reply came."""
        sessions = self._sessions.get(asyncio.get_running_loop()) or await self._open()
        session = sessions.money if outgoing.money else sessions.other
        token = _carried.set(outgoing)
        try:
            async with session.request(
                outgoing.method,
                URL(outgoing.url, encoded=True),
                data=outgoing.body,
                headers=outgoing.headers,
                allow_redirects=False,
                timeout=self._timeout,
            ) as response:
                return Reply(status=response.status, headers=response.headers, body=await _body(response))
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, after sending it means "unknown"
            broken = _translated(error)
        finally:
            _carried.reset(token)
        # Raised out here, so that no foreign exception, whose frames hold the headers, hangs on to ours.
        raise broken

    async def frames(self, outgoing: Outgoing) -> AsyncGenerator[str | bytes]:
        """Open a WebSocket and give its frames until it ends; Broken where it cannot be opened or breaks."""
        sessions = self._sessions.get(asyncio.get_running_loop()) or await self._open()
        try:
            async with asyncio.timeout(self._timeout.sock_connect):
                opened = await sessions.pushed.ws_connect(
                    URL(outgoing.url, encoded=True),
                    headers=outgoing.headers,
                    heartbeat=30.0,
                    max_msg_size=FRAME_BYTES,
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
        """Close the running loop's sessions."""
        sessions = self._sessions.pop(asyncio.get_running_loop(), None)
        if sessions is not None:
            await sessions.guard.aclose()

    async def _open(self) -> "_Sessions":
        sessions = _Sessions()
        self._sessions[asyncio.get_running_loop()] = sessions
        await anext(sessions.guard)
        return sessions


class _Sessions:
    """Sessions for look-ups, for money, whose connections are reused only while fresh, and for update sockets."""

    def __init__(self) -> None:
        self.other = _session(keepalive=15.0)
        self.money = _session(keepalive=MONEY_KEPT)
        self.pushed = _session(keepalive=15.0, hooks=[_no_redirect()])
        # An async generator is closed by its loop's end (`shutdown_asyncgens`), so that a pool used from
        # several `asyncio.run` in turn leaves no session open behind it.
        self.guard = self._guard()

    async def _guard(self) -> AsyncGenerator[None]:
        try:
            yield
        finally:
            await self.other.close()
            await self.money.close()
            await self.pushed.close()


def _session(keepalive: float, hooks: Sequence[aiohttp.TraceConfig] = ()) -> aiohttp.ClientSession:
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=keepalive),
        cookie_jar=_NoCookies(),
        trust_env=False,
        raise_for_status=False,
        auto_decompress=False,
        request_class=_Request,
        trace_configs=list(hooks),
    )
    # aiohttp resends GET and PUT by itself, which would make the hooks speak of another request than ours:
    # https://github.com/aio-libs/aiohttp/blob/v3.14.5/aiohttp/client.py (IDEMPOTENT_METHODS)
    session._retry_connection = False  # noqa: SLF001 - the only switch there is; a test guards it
    return session


class _NoCookies(aiohttp.DummyCookieJar):
    """Keeps no cookie, and makes no empty jar for each request."""

    _none: SimpleCookie = SimpleCookie()

    def filter_cookies(self, request_url: URL) -> SimpleCookie:
        """Give none."""
        return self._none


class _Request(aiohttp.ClientRequest):
    """A request that tells whose attempt it is, when it begins, and when its first byte may leave.

    `on_request_headers_sent` tells the same a moment later, at a fifth of a request's cost.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        outgoing = _carried.get()
        if outgoing is not None:
            outgoing.began = True

    async def send(self, conn: Any) -> aiohttp.ClientResponse:
        """Write the request to a connection that is open by now."""
        outgoing = _carried.get()
        if outgoing is not None:
            outgoing.sent = True
        return await super().send(conn)


_carried: ContextVar[Outgoing | None] = ContextVar("carried", default=None)


def _no_redirect() -> aiohttp.TraceConfig:
    trace = aiohttp.TraceConfig()
    trace.on_request_redirect.append(_redirected)  # ws_connect cannot be told not to follow
    return trace


async def _redirected(*_: object) -> None:
    raise Broken("a redirect")


async def _body(response: aiohttp.ClientResponse) -> bytes:
    length = response.content_length
    if length is not None and length > BODY_BYTES:
        response.close()
        raise Broken(f"a body of more than {BODY_BYTES} bytes")
    if length is not None:
        body = await response.read()
    else:
        gathered = bytearray()
        async for chunk in response.content.iter_any():
            gathered += chunk
            if len(gathered) > BODY_BYTES:
                response.close()
                raise Broken(f"a body of more than {BODY_BYTES} bytes")
        body = bytes(gathered)
    # We ask for no compression; what comes compressed all the same is inflated up to the cap and no further.
    if response.headers.get("Content-Encoding", "identity").lower() in ("gzip", "deflate"):
        inflater = zlib.decompressobj(wbits=47)
        body = inflater.decompress(body, BODY_BYTES)
        if not inflater.eof:
            raise Broken("a compressed body that is cut or too large")
    return body


def _translated(error: Exception) -> Broken:
    if isinstance(error, Broken):
        return error
    certain = isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.ServerFingerprintMismatch) or (
        isinstance(error, aiohttp.ClientConnectorSSLError) and not isinstance(error.os_error, ssl.SSLEOFError)
    )
    # The class alone: a message of the client's may hold the URL's query or the request's headers.
    cause = getattr(error, "os_error", None) or error.__cause__
    because = f" ({type(cause).__name__})" if cause is not None else ""
    return Broken(f"{type(error).__name__}{because}", certain=certain)
