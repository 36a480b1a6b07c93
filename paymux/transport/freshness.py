"""Whether a connection may carry a request: how long it was idle, and what waits on its socket.

While the loop is busy, a close of the server waits in the kernel, unread.
"""

import asyncio
import select
from collections.abc import Callable
from typing import TypeAlias

LOOKUP_KEEPALIVE_SECONDS = 15.0  # seconds for which a look-up may reuse an idle connection
MONEY_KEEPALIVE_SECONDS = 1.0  # the same of a money request: stale ones make unknowns
# new connections that may be closed, or receive data before a request, until an attempt fails
MAX_NEW_CONNECTIONS = 3
Peek: TypeAlias = Callable[[int], object]  # the events that wait on a socket; false: none
_ENDED: int = getattr(select, "POLLRDHUP", 0)  # Linux only; elsewhere a closed socket is readable


def first_look(transport: asyncio.Transport) -> tuple[bool, Peek]:
    """Return whether a new connection is open and silent, and the function to check it later.

    If that cannot be checked (Windows, a transport without a descriptor), the function reports
    data, so the connection is not used again.
    """
    found = transport.get_extra_info("socket")
    number = -1 if found is None else found.fileno()
    poll = getattr(select, "poll", None)
    if number < 0 or poll is None:
        return True, lambda _: True
    looked = poll()
    # On a new TLS connection, session tickets arrive without a request: there, only a close counts.
    tls = transport.get_extra_info("sslcontext") is not None
    looked.register(number, _ENDED if tls else select.POLLIN | _ENDED)
    silent = not looked.poll(0)
    looked.register(number, select.POLLIN | _ENDED)
    return silent, looked.poll
