"""Runs the programs of paymux/examples against servers of this machine, unchanged."""

import itertools
import os
import socket

# A shop of one product, which M-Pesa is paid for.
MPESA_SHOP = {"SHOP_ACCOUNT": "mpesa", "SHOP_PRICE": "250 KES"}
# Below the ports that a connection or a bind to port 0 gets by itself, of which another test may
# take one before the program listens. Each process of the tests begins somewhere else.
_PORTS = itertools.cycle(range(10_000, 30_000))
_candidates = itertools.islice(_PORTS, os.getpid() * 37 % 20_000, None)


def free_ports(count: int) -> list[int]:
    """Find ports that nothing listens on, and that are given to no other test."""
    found = (port for port in _candidates if _is_free(port))
    return list(itertools.islice(found, count))


def _is_free(port: int) -> bool:
    try:
        socket.create_server(("127.0.0.1", port)).close()
    except OSError:
        return False
    return True
