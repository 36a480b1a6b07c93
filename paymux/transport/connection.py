"""The connection that a pool's options ask for: its own, the caller's, or over their session."""

from os import PathLike
from typing import TYPE_CHECKING, TypeAlias

from ..errors import UsageError
from ..http import Connection
from ..primitives.redaction import Secret
from ..values.network import network_of
from ..values.validation import checked_seconds

if TYPE_CHECKING:
    import ssl

    import aiohttp

    Session: TypeAlias = aiohttp.ClientSession
    Tls: TypeAlias = ssl.SSLContext | str | PathLike[str]


def connection_of(
    connection: Connection | None,
    session: object,
    connect_timeout: float,
    proxy: Secret | None,
    tls: object,
    local_address: object,
) -> Connection:
    """Return the connection of a pool; UsageError: an option is wrong, or two exclude each other.

    A session and a connection of the caller have their own proxy, TLS and local address.
    """
    seconds = checked_seconds("connect_timeout", connect_timeout)
    network = network_of(proxy, tls, local_address)
    given = {
        "connection": connection,
        "session": session,
        "proxy": proxy,
        "tls": tls,
        "local_address": local_address,
    }
    named = [name for name, value in given.items() if value is not None]
    first = named[0] if named else ""
    if first in ("connection", "session") and len(named) > 1:
        raise UsageError.field(named[1], given[named[1]], f"None, as `{first}` is given")
    if connection is not None:
        return connection
    if session is None:
        from .aiohttp import AiohttpConnection  # noqa: PLC0415 - loads the HTTP client

        return AiohttpConnection(seconds, network)
    from .session import SessionConnection, is_session  # noqa: PLC0415 - as above

    if not is_session(session):
        raise UsageError.field("session", session, "None, or an aiohttp.ClientSession")
    return SessionConnection(session, seconds)
