"""One look at each host of the accounts: its name, its port, its TLS, one answer.

It goes the way of the pool's own requests, through its proxy and with its TLS.
"""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

import msgspec

from ...http import Connection, PreparedRequest, TransportError
from ...primitives.clock import wall_time

LOOK_SECONDS = 6.0  # for one host: a name is looked up, a connection is made, an answer comes


class Visit(msgspec.Struct, kw_only=True):
    """What came of the look at one host."""

    host: str
    addresses: int = 0
    name_error: str = ""  # why its name has no address
    error: str = ""  # why no answer came
    tls: bool = False  # the error is about its certificate
    status: int | None = None
    ahead: float | None = None  # seconds by which our clock is ahead of its Date


async def visit(url: str, connection: Connection | None, *, proxied: bool) -> Visit:
    """Look at the host of a URL; without a connection only at its name."""
    parts = urlsplit(url)
    seen = Visit(host=parts.hostname or "")
    port = parts.port or (443 if parts.scheme == "https" else 80)
    try:
        async with asyncio.timeout(LOOK_SECONDS):
            if not proxied:  # a proxy looks names up by itself
                await _name(seen, port)
            if connection is not None and not seen.name_error:
                await _answer(seen, url, connection)
    except TimeoutError:
        seen.error = f"no answer within {LOOK_SECONDS:.0f} s"
    if seen.error and parts.scheme == "https" and not proxied:
        seen.tls = await _is_refused(seen.host, port)
    return seen


async def _name(seen: Visit, port: int) -> None:
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(seen.host, port, type=socket.SOCK_STREAM)
    except OSError as error:
        seen.name_error = error.strerror or type(error).__name__
    else:
        seen.addresses = len(found)


async def _answer(seen: Visit, url: str, connection: Connection) -> None:
    headers: Mapping[str, str] = {"user-agent": "paymux", "accept": "*/*"}
    # The bare base URL: no endpoint, no credential. Any answer shows that the host is there.
    request = PreparedRequest(method="GET", url=url, headers=headers, body=None, money=False)
    before = wall_time()
    try:
        reply = await connection.exchange(request)
    except TransportError as error:
        seen.error = str(error)
        return
    seen.status = reply.status
    seen.ahead = _ahead(reply.headers.get("date", ""), before, wall_time())


def _ahead(date: str, before: datetime, after: datetime) -> float | None:
    """Return how far our clock is ahead of a Date, which was made between these two times."""
    with contextlib.suppress(ValueError, TypeError, OverflowError):
        told = parsedate_to_datetime(date)
        told = told if told.tzinfo else told.replace(tzinfo=UTC)
        middle = before + (after - before) / 2
        return (middle - told).total_seconds()
    return None


async def _is_refused(host: str, port: int) -> bool:
    """Return whether it is the certificate of a host that is refused."""
    try:
        async with asyncio.timeout(2.0):
            _, writer = await asyncio.open_connection(
                host, port, ssl=ssl.create_default_context(), server_hostname=host
            )
    except ssl.SSLError:
        return True
    except (OSError, TimeoutError, ValueError):
        return False
    writer.close()
    with contextlib.suppress(OSError, ssl.SSLError):
        await writer.wait_closed()
    return False
