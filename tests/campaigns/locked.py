"""Charges in flight while another program locks the journal."""

import asyncio
import contextlib
import sqlite3
import time
from pathlib import Path

from paymux import Pool

from ..toys import Desk, Keyless, Wire, answer

WITHIN = 10.0  # seconds after the lock, within which the answers must be in the file


async def locked_while_charging(file: Path, count: int, hold: float) -> tuple[int, float]:
    """Lock the file for `hold` seconds while `count` charges are in flight.

    Return the number of answers in the file, and the seconds until the lock ended.
    """
    gone, left = asyncio.Event(), asyncio.Event()
    desk = Desk(collect=answer(id="id", status="WAIT"))

    async def respond(outgoing: object) -> object:
        if len(wire.seen) == count:
            left.set()
        await gone.wait()
        return desk(outgoing)  # type: ignore[arg-type]  # always a PreparedRequest

    wire = Wire(respond)  # type: ignore[arg-type]  # `respond` has looser types
    began = time.monotonic()
    async with Pool(Keyless(), connection=wire, journal=file, deadline=hold + 60) as pay:
        charges = [
            asyncio.create_task(
                pay.collect("keyless", amount=500, currency="XAF", reference=f"order-{number}")
            )
            for number in range(count)
        ]
        await left.wait()
        with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as db:
            db.execute("BEGIN IMMEDIATE")
            gone.set()
            await asyncio.sleep(hold)
            assert all(charge.done() for charge in charges), "an answer waited for the lock"
            db.execute("ROLLBACK")
        seconds = time.monotonic() - began
        for _ in range(int(WITHIN / 0.05)):
            if _kept(file) == count:
                break
            await asyncio.sleep(0.05)
        kept = _kept(file)
    return kept, seconds


def _kept(file: Path) -> int:
    with contextlib.closing(sqlite3.connect(file)) as db:
        found: int = db.execute(
            "SELECT count(*) FROM payments WHERE state = 'accepted'"
        ).fetchone()[0]
    return found
