"""Removing old versions of rows from a journal's tables."""

import asyncio

from .address import Address
from .opening import open_connection

SECONDS = 3600.0  # seconds that it may take: other workers go on
_TABLES = "payments, facts, hints, unconfirmed, questions, forgotten"


def vacuum(address: Address) -> None:
    """Remove old versions of rows; the owner of the tables may, others are told by the server.

    OSError: not now. The server's log of writes, its replicas and its backups keep them longer.
    """
    loop = asyncio.new_event_loop()
    try:
        db = open_connection(address, loop)
        try:
            # https://www.postgresql.org/docs/current/sql-vacuum.html
            db.command(f"VACUUM {_TABLES}", SECONDS)
        finally:
            db.close()
    finally:
        loop.close()
