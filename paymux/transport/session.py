"""Requests over an aiohttp session of the caller: whether it may be used, and how each ends."""

import asyncio
from collections.abc import AsyncGenerator
from typing import TypeGuard

import aiohttp
from yarl import URL

from ..errors import UsageError
from ..http import NoWebSocket, PreparedRequest, Response, TransportError
from ..primitives import clock, coerce
from ..primitives.forks import ForkAware, leave_to_parent, register
from .freshness import MAX_NEW_CONNECTIONS
from .mocks import mock_of
from .replies import body_of, translated
from .session_attempt import CHECKS, REFUSED_HEADERS, Attempt, Body, UsedConnections


class SessionConnection(ForkAware):
    """Carries attempts over an `aiohttp.ClientSession` of the caller, who closes it."""

    def __init__(self, session: aiohttp.ClientSession, connect_timeout: float) -> None:
        self._session = session
        self._timeout = aiohttp.ClientTimeout(total=None, sock_connect=connect_timeout)
        self._forked = False
        self._used = UsedConnections()
        self._in_flight: set[Attempt] = set()
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
            added = [name for name in REFUSED_HEADERS if name in session.headers]
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
            attempt = Attempt(used=self._used, outgoing=outgoing)
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
                raise UsageError.field("session", self._session, CHECKS)
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

    async def _once(self, attempt: Attempt) -> Response:
        outgoing = attempt.outgoing
        response = await self._session.request(
            outgoing.method,
            URL(outgoing.url, encoded=True),
            data=Body.of(attempt),
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
