"""The only file that knows the HTTP client: one attempt, on sockets, truthful about what left."""

import asyncio
import ssl
import zlib
from collections.abc import AsyncGenerator
from types import SimpleNamespace
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
        try:
            async with session.request(
                outgoing.method,
                URL(outgoing.url, encoded=True),
                data=outgoing.body,
                headers=outgoing.headers,
                allow_redirects=False,
                timeout=self._timeout,
                trace_request_ctx=outgoing,
            ) as response:
                return Reply(
                    status=response.status,
                    headers={name.lower(): value for name, value in response.headers.items()},
                    body=await _body(response),
                )
        except asyncio.CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, after sending it means "unknown"
            broken = _translated(error)
        # Raised out here, so that no foreign exception, whose frames hold the headers, hangs on to ours.
        raise broken

    async def frames(self, outgoing: Outgoing) -> AsyncGenerator[str | bytes]:
        """Open a WebSocket and give its frames until it ends; Broken where it cannot be opened or breaks."""
        sessions = self._sessions.get(asyncio.get_running_loop()) or await self._open()
        try:
            async with asyncio.timeout(self._timeout.sock_connect):
                opened = await sessions.other.ws_connect(
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
    """A session for look-ups and one for money, whose connections are reused only while fresh."""

    def __init__(self) -> None:
        self.other = _session(keepalive=15.0)
        self.money = _session(keepalive=MONEY_KEPT)
        # An async generator is closed by its loop's end (`shutdown_asyncgens`), so that a pool used from
        # several `asyncio.run` in turn leaves no session open behind it.
        self.guard = self._guard()

    async def _guard(self) -> AsyncGenerator[None]:
        try:
            yield
        finally:
            await self.other.close()
            await self.money.close()


def _session(keepalive: float) -> aiohttp.ClientSession:
    trace = aiohttp.TraceConfig()
    trace.on_request_start.append(_began)
    trace.on_request_headers_sent.append(_sent)
    trace.on_request_redirect.append(_redirected)  # ws_connect cannot be told not to follow
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, keepalive_timeout=keepalive),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        raise_for_status=False,
        auto_decompress=False,
        skip_auto_headers=("Accept-Encoding", "User-Agent"),
        trace_configs=[trace],
    )
    # aiohttp resends GET and PUT by itself, which would make the hooks speak of another request than ours:
    # https://github.com/aio-libs/aiohttp/blob/v3.14.5/aiohttp/client.py (IDEMPOTENT_METHODS)
    session._retry_connection = False  # noqa: SLF001 - the only switch there is; a test guards it
    return session


async def _began(_: aiohttp.ClientSession, context: SimpleNamespace, __: aiohttp.TraceRequestStartParams) -> None:
    if context.trace_request_ctx is not None:  # a WebSocket cannot pass one
        context.trace_request_ctx.began = True


async def _sent(
    _: aiohttp.ClientSession, context: SimpleNamespace, __: aiohttp.TraceRequestHeadersSentParams
) -> None:
    if context.trace_request_ctx is not None:
        context.trace_request_ctx.sent = True


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
