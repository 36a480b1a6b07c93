"""One attempt over the caller's session, and what is proved about its sending.

Two parts of aiohttp's public API prove it. A middleware begins each attempt, and a payload writes
it: aiohttp holds a request's head back until its payload is written. So an attempt that the payload
never wrote was not sent, and one that the middleware never saw is unknown: a mock, or a session of
another kind, may have done anything with it.
"""

import asyncio
import itertools
import math
import ssl
from typing import Any
from weakref import WeakKeyDictionary

import aiohttp
import msgspec
from aiohttp.http import StreamWriter
from multidict import CIMultiDict

from ..http import PreparedRequest, TransportError
from ..primitives import clock
from ..values.request_parts import FRAMING
from .freshness import LOOKUP_KEEPALIVE_SECONDS, MONEY_KEEPALIVE_SECONDS, Peek, first_look

# Default headers of a session that would sign a request, or change where it ends or how it is read.
REFUSED_HEADERS = (
    *sorted(FRAMING),
    "authorization",
    "content-encoding",
    "cookie",
    "proxy-authorization",
)
CHECKS = "an aiohttp.ClientSession whose TLS checks certificates and host names"
_AGAIN = "cut off, and the session would have sent it again"
_numbers = itertools.count(1)


class Known(msgspec.Struct, kw_only=True):
    """A connection that was used, and since when it is idle."""

    look: Peek
    ended: bool
    idle_since: float = math.inf


class UsedConnections:
    """The connections of a session that one pool has used, and the name that keeps them its own."""

    def __init__(self) -> None:
        self._number = next(_numbers)
        # since when they are idle, and how to look at them
        self._known: WeakKeyDictionary[object, Known] = WeakKeyDictionary()

    def agent(self, *, money: bool) -> str:
        """Return a User-Agent of this pool's orders, or of its look-ups, and of nothing else."""
        return f"paymux ({'money' if money else 'look-ups'} of pool {self._number})"

    def known(self, protocol: object, transport: asyncio.Transport) -> tuple[Known, bool]:
        """Return what is known of a connection, and whether it was used before."""
        known = self._known.get(protocol)
        if known is not None:
            return known, True
        silent, look = first_look(transport)
        known = self._known[protocol] = Known(look=look, ended=not silent)
        return known, False


class Attempt(msgspec.Struct, eq=False, kw_only=True, weakref=True):
    """One call of the session: its middleware, and what became of it."""

    used: UsedConnections
    outgoing: PreparedRequest
    entered: bool = False
    ended: bool = False  # nothing may be written any more
    written: bool = False
    unchecked: bool = False  # whether its connection's TLS checks no certificate, or no host
    transport: asyncio.Transport | None = None
    known: Known | None = None  # its connection
    kept: bool = False  # whether that was used before
    refused: bool = False  # whether that must not be used

    def __deepcopy__(self, _: object) -> "Attempt":
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
        if type(request) is not aiohttp.ClientRequest or type(request.body) is not Payload:
            outgoing.sent = True  # written by code that is not ours, which proves nothing
        # These headers are sent to a proxy alone, but they are part of each connection's key: so
        # what is known of a used connection is known to all that use it.
        headers = CIMultiDict(request.proxy_headers or ())
        headers["User-Agent"] = self.used.agent(money=outgoing.money)
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
                raise TransportError(f"not {CHECKS}")
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
        self.known, self.kept = known, kept = self.used.known(protocol, transport)
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
    for name in REFUSED_HEADERS:
        if name in headers and name not in ("host", "content-length"):
            ours = [said for own, said in outgoing.headers.items() if own.lower() == name]
            if headers.getall(name) != ours:  # of a netrc file, or set just now
                raise TransportError(f"a header {name} that is not ours", permanent=True)


class Body(bytes):
    """The bytes of a request, for which aiohttp takes our payload; a mock sees bytes."""

    attempt: Attempt

    @classmethod
    def of(cls, attempt: Attempt) -> "Body":
        """Return the body of an attempt's request; a GET has an empty one."""
        body = cls(attempt.outgoing.body or b"")
        body.attempt = attempt
        return body

    def __deepcopy__(self, _: object) -> bytes:
        """Return the bytes, for a mock that keeps a copy of each call."""
        return bytes(self)


class Payload(aiohttp.BytesPayload):
    """Writes the body; aiohttp writes the head with it, and never before."""

    def __init__(self, body: Body, *given: Any, **options: Any) -> None:
        super().__init__(body, *given, **options)
        self._attempt = body.attempt

    async def write_with_length(self, writer: Any, content_length: int | None) -> None:
        """Write the request, unless its connection must not be used."""
        self._attempt.before_writing(writer)
        await super().write_with_length(writer, content_length)


aiohttp.payload.PAYLOAD_REGISTRY.register(Payload, Body)
