"""Runs the programs of paymux/examples against servers of this machine, unchanged."""

import contextlib
import socket

# A shop of one product, which M-Pesa is paid for.
MPESA_SHOP = {"SHOP_ACCOUNT": "mpesa", "SHOP_PRICE": "250 KES"}


def free_ports(count: int) -> list[int]:
    """Find ports that nothing listens on."""
    with contextlib.ExitStack() as held:
        found = [held.enter_context(socket.create_server(("127.0.0.1", 0))) for _ in range(count)]
        return [one.getsockname()[1] for one in found]
