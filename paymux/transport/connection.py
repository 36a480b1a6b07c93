"""The connection that a pool's options ask for: its own, or the caller's."""

from ..errors import UsageError
from ..http import Connection
from ..primitives.redaction import Secret
from ..values.network import network_of
from ..values.validation import checked_seconds


def connection_of(
    connection: Connection | None,
    connect_timeout: float,
    proxy: Secret | None,
    tls: object,
    local_address: object,
) -> Connection:
    """Return the connection of a pool; UsageError: an option is wrong, or two exclude each other.

    A connection of the caller has its own proxy, TLS and local address.
    """
    seconds = checked_seconds("connect_timeout", connect_timeout)
    network = network_of(proxy, tls, local_address)
    given = {
        "connection": connection,
        "proxy": proxy,
        "tls": tls,
        "local_address": local_address,
    }
    named = [name for name, value in given.items() if value is not None]
    first = named[0] if named else ""
    if first == "connection" and len(named) > 1:
        raise UsageError.field(named[1], given[named[1]], f"None, as `{first}` is given")
    if connection is not None:
        return connection
    from .aiohttp import AiohttpConnection  # noqa: PLC0415 - loads the HTTP client

    return AiohttpConnection(seconds, network)
