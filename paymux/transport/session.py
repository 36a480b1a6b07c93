"""Attempts over the caller's own aiohttp session, and what is proved about their sending.

Two parts of aiohttp's public API prove it. A middleware begins each attempt, and a payload writes
it: aiohttp holds a request's head back until its payload is written. So an attempt that the payload
never wrote was not sent, and one that the middleware never saw is unknown: a mock, or a session of
another kind, may have done anything with it.
"""

import asyncio
import itertools
import math
import ssl
from collections.abc import AsyncGenerator
from typing import Any, TypeGuard
from weakref import WeakKeyDictionary

import aiohttp
import msgspec
from aiohttp.http import StreamWriter
from multidict import CIMultiDict
from yarl import URL

from ..errors import UsageError
from ..http import NoWebSocket, PreparedRequest, Response, TransportError
from ..primitives import clock, coerce
from ..primitives.forks import ForkAware, leave_to_parent, register
from ..values.request_parts import FRAMING
from .freshness import (
    LOOKUP_KEEPALIVE_SECONDS,
    MAX_NEW_CONNECTIONS,
    MONEY_KEEPALIVE_SECONDS,
    Peek,
    first_look,
)
from .mocks import mock_of
from .replies import body_of, translated

# Default headers of a session that would sign a request, or change where it ends or how it is read.
_REFUSED_HEADERS = (
    *sorted(FRAMING),
    "authorization",
    "content-encoding",
    "cookie",
    "proxy-authorization",
)
_numbers = itertools.count(1)
_CHECKS = "an aiohttp.ClientSession whose TLS checks certificates and host names"
_AGAIN = "cut off, and the session would have sent it again"


class SessionConnection(ForkAware):
    """Carries attempts over an `aiohttp.ClientSession` of the caller, who closes it."""

    def __init__(self, session: aiohttp.ClientSession, connect_timeout: float) -> None:
        self._session = session
        self._timeout = aiohttp.ClientTimeout(total=None, sock_connect=connect_timeout)
        self._forked = False
        self._number = next(_numbers)
        # the connections that were used: since when they are idle, and how to look at them
        self._known: WeakKeyDictionary[object, _Known] = WeakKeyDictionary()
        self._in_flight: set[_Attempt] = set()
        self.check(_running())
        register(self)

    def after_fork_in_child(self) -> None:
        """Use the session no more in a forked child: its sockets are the parent's."""
        self._forked = True
        leave_to_parent(self._session)

    def check(self, running: asyncio.AbstractEventLoop | None) -> None:
        """Check that the session can be used here and now, and adds nothing that is unsafe.

        UsageError: it cannot. Its owner may change or close it at any time, so each attempt checks
        it again.
        """
        session = self._session
        accepted = ""
        if self._forked:
            accepted = "an aiohttp.ClientSession that was made after the fork"
        elif session.closed:
            accepted = "an aiohttp.ClientSession that is open"
        elif running not in (None, session._loop):  # noqa: SLF001 - its public name warns; a test guards that it stays
            accepted = "an aiohttp.ClientSession of the running event loop: make both there"
        elif session.auth is not None:
            accepted = "an aiohttp.ClientSession without `auth`: a driver signs its requests"
        elif session.headers:
            added = [name for name in _REFUSED_HEADERS if name in session.headers]
            if added:
                accepted = f"an aiohttp.ClientSession without a default header `{added[0]}`"
        if accepted:
            raise UsageError.field("session", session, accepted)

    async def exchange(self, outgoing: PreparedRequest) -> Response:
        """Carry one attempt without following redirects.

        TransportError: no complete response was received. UsageError: the session cannot be used;
        that its TLS checks nothing is seen at its first https connection, before anything is sent.
        """
        refused = 0
        while refused < MAX_NEW_CONNECTIONS:
            outgoing.started = True
            self.check(asyncio.get_running_loop())
            outgoing.written("", "")  # refuses what could end a header line
            outgoing.started = False  # from here on, the middleware says so
            attempt = _Attempt(connection=self, outgoing=outgoing)
            self._in_flight.add(attempt)
            try:
                return await self._once(attempt)
            except asyncio.CancelledError:
                raise
            except Exception as error:  # noqa: BLE001 - after sending, any error means "unknown"
                broken = translated(error)
                if isinstance(error, aiohttp.ClientConnectorError) and self._is_mocked():
                    outgoing.started = True  # the test says that no connection was made
            finally:
                attempt.ended = True  # a try that the session left behind writes nothing
                self._in_flight.discard(attempt)
            if attempt.unchecked and attempt.entered and not outgoing.sent:
                raise UsageError.field("session", self._session, _CHECKS)
            if outgoing.sent or not attempt.refused:
                # A new one, outside the `except`: the client's exceptions, whose frames hold the
                # headers, are not attached to ours.
                raise TransportError(
                    str(broken), permanent=broken.permanent, too_large=broken.too_large
                )
            refused += 0 if attempt.kept else 1
        raise TransportError("new connections that end, or speak before they are asked")

    def _is_mocked(self) -> bool:
        """Return whether aioresponses, and nothing else, answers for the session.

        Of any other session whose middleware was not called, a failed connect proves nothing: it
        may have asked another host first.
        """
        plain = getattr(self._session.request, "__func__", None) is aiohttp.ClientSession.request
        return plain and mock_of(self._session) is not None

    async def _once(self, attempt: "_Attempt") -> Response:
        outgoing = attempt.outgoing
        response = await self._session.request(
            outgoing.method,
            URL(outgoing.url, encoded=True),
            data=_Body.of(attempt),
            headers=outgoing.headers,
            timeout=self._timeout,
            middlewares=(attempt,),
            allow_redirects=False,
            raise_for_status=False,
            auto_decompress=False,
            expect100=False,
        )
        try:
            if response.status == 101:
                raise TransportError("another protocol, which was not asked for")
            headers = response.headers
            compression = headers.get("Content-Encoding", "").lower()
            body = await body_of(
                response.content, response.status, headers, compression, outgoing.largest
            )
        finally:
            response.close()  # does nothing to a connection that was read to its end
        if attempt.known is not None:
            attempt.known.idle_since = clock.monotonic()
        return Response(status=response.status, headers=headers, body=body)

    def agent(self, *, money: bool) -> str:
        """Return a User-Agent of this pool's orders, or of its look-ups, and of nothing else."""
        return f"paymux ({'money' if money else 'look-ups'} of pool {self._number})"

    def known(self, protocol: object, transport: asyncio.Transport) -> "tuple[_Known, bool]":
        """Return what is known of a connection, and whether it was used before."""
        known = self._known.get(protocol)
        if known is not None:
            return known, True
        silent, look = first_look(transport)
        known = self._known[protocol] = _Known(look=look, ended=not silent)
        return known, False

    async def frames(self, outgoing: PreparedRequest) -> AsyncGenerator[str | bytes]:
        """Raise NoWebSocket: a session would follow redirects, with what signs the request."""
        raise NoWebSocket("no WebSocket is opened over a session of the caller")
        yield ""  # makes this a generator

    async def aclose(self) -> None:
        """End what is in flight; the session stays open."""
        for attempt in list(self._in_flight):
            attempt.end()


def is_session(value: object) -> TypeGuard[aiohttp.ClientSession]:
    """Return whether this is a session of aiohttp."""
    return coerce.is_a(value, aiohttp.ClientSession)


def _running() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


class _Known(msgspec.Struct, kw_only=True):
    """A connection that was used, and since when it is idle."""

    look: Peek
    ended: bool
    idle_since: float = math.inf


class _Attempt(msgspec.Struct, eq=False, kw_only=True, weakref=True):
    """One call of the session: its middleware, and what became of it."""

    connection: SessionConnection
    outgoing: PreparedRequest
    entered: bool = False
    ended: bool = False  # nothing may be written any more
    written: bool = False
    unchecked: bool = False  # whether its connection's TLS checks no certificate, or no host
    transport: asyncio.Transport | None = None
    known: _Known | None = None  # its connection
    kept: bool = False  # whether that was used before
    refused: bool = False  # whether that must not be used

    def __deepcopy__(self, _: object) -> "_Attempt":
        """Return itself: a mock keeps a copy of each call, and would copy the pool and its loop."""
        return self

    async def __call__(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        """Let the session send the request once, and only once."""
        outgoing = self.outgoing
        if self.entered:
            raise TransportError(_AGAIN)
        self.entered = outgoing.started = True
        if type(request) is not aiohttp.ClientRequest or type(request.body) is not _Payload:
            outgoing.sent = True  # written by code that is not ours, which proves nothing
        # These headers are sent to a proxy alone, but they are part of each connection's key: so
        # what is known of a used connection is known to all that use it.
        headers = CIMultiDict(request.proxy_headers or ())
        headers["User-Agent"] = self.connection.agent(money=outgoing.money)
        request.proxy_headers = headers
        _only_ours(request.headers, outgoing)
        response = await handler(request)
        if not outgoing.sent:
            response.close()  # also cancels the task that would write the request
            self.refused = True
            raise TransportError("an answer that was not asked for")
        return response

    def before_writing(self, writer: Any) -> None:
        """Check the connection, then count the request as sent; TransportError: it is not written.

        A session that passes no middleware on may try again, also while another try waits for its
        response: what was written once is not written again.
        """
        if self.ended:
            raise TransportError("the attempt has ended, or the pool was closed")
        if self.written:
            raise TransportError(_AGAIN)
        if type(writer) is StreamWriter:
            if self.outgoing.url.lower().startswith("https:") and _unchecked(writer.transport):
                self.unchecked = True
                raise TransportError(f"not {_CHECKS}")
            self.refused = self._must_not_use(writer.protocol, writer.transport)
            if self.refused:
                raise TransportError("a connection that must not be used")
        self.written = self.outgoing.sent = True

    def _must_not_use(self, protocol: Any, transport: asyncio.Transport | None) -> bool:
        """Return whether the request must not be written to this connection.

        It received something, which would be read as this request's response; it ended; or it was
        idle for too long, so that it may have ended unseen.
        """
        if transport is None or transport.is_closing() or protocol.should_close:
            return True
        self.transport = transport
        self.known, self.kept = known, kept = self.connection.known(protocol, transport)
        if not kept:
            return known.ended
        seconds = MONEY_KEEPALIVE_SECONDS if self.outgoing.money else LOOKUP_KEEPALIVE_SECONDS
        return clock.monotonic() - known.idle_since > seconds or bool(known.look(0))

    def end(self) -> None:
        """Cut the attempt off; if it still connects, nothing is sent."""
        self.ended = True
        if self.transport is not None:
            self.transport.abort()


def _unchecked(transport: asyncio.Transport | None) -> bool:
    """Return whether a connection's TLS is that of a context which `Pool(tls=…)` would refuse.

    The connector's own setting is private; the context of its connections is public, and nothing
    is written before it is seen. What a connector checks beside it, such as a fingerprint, is not.
    """
    context = None if transport is None else transport.get_extra_info("sslcontext")
    if context is None:
        return False
    return context.verify_mode is not ssl.CERT_REQUIRED or not context.check_hostname


def _only_ours(headers: Any, outgoing: PreparedRequest) -> None:
    """Remove what the session adds to a request, where it would change its meaning."""
    headers.popall("Cookie", None)
    if outgoing.body is None and outgoing.method == "GET":
        headers.popall("Content-Length", None)  # of the empty payload
        headers.popall("Content-Type", None)
    for name in _REFUSED_HEADERS:
        if name in headers and name not in ("host", "content-length"):
            ours = [said for own, said in outgoing.headers.items() if own.lower() == name]
            if headers.getall(name) != ours:  # of a netrc file, or set just now
                raise TransportError(f"a header {name} that is not ours", permanent=True)


class _Body(bytes):
    """The bytes of a request, for which aiohttp takes our payload; a mock sees bytes."""

    attempt: _Attempt

    @classmethod
    def of(cls, attempt: _Attempt) -> "_Body":
        """Return the body of an attempt's request; a GET has an empty one."""
        body = cls(attempt.outgoing.body or b"")
        body.attempt = attempt
        return body

    def __deepcopy__(self, _: object) -> bytes:
        """Return the bytes, for a mock that keeps a copy of each call."""
        return bytes(self)


class _Payload(aiohttp.BytesPayload):
    """Writes the body; aiohttp writes the head with it, and never before."""

    def __init__(self, body: _Body, *given: Any, **options: Any) -> None:
        super().__init__(body, *given, **options)
        self._attempt = body.attempt

    async def write_with_length(self, writer: Any, content_length: int | None) -> None:
        """Write the request, unless its connection must not be used."""
        self._attempt.before_writing(writer)
        await super().write_with_length(writer, content_length)


aiohttp.payload.PAYLOAD_REGISTRY.register(_Payload, _Body)
