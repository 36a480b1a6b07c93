"""An answer in hand is never lost: another program locks the journal while charges are on the wire.

Run: python -m benchmarks.bench_locked [--count 100] [--hold 60] [--json FILE]

The charges leave, then another program's transaction holds the file for so many seconds, in which every answer
comes in. Afterwards each must be in the journal. The exit code is 1 if one is missing.
"""

import argparse
import asyncio
import contextlib
import json
import sqlite3
import sys
import tempfile
import time
from pathlib import Path

from paymux import Pool
from tests.virtual import Desk, Keyless, Wire, answer

WITHIN = 10.0  # seconds after the lock is gone in which the answers are to be in the file


async def locked_while_charging(file: Path, count: int, hold: float) -> tuple[int, float]:
    """Lock the file while so many charges are on the wire; count the answers in it, and tell how long it took."""
    gone, left = asyncio.Event(), asyncio.Event()
    desk = Desk(collect=answer(id="id", status="WAIT"))

    async def respond(outgoing: object) -> object:
        if len(wire.seen) == count:
            left.set()
        await gone.wait()
        return desk(outgoing)  # type: ignore[arg-type]  # whatever it was asked

    wire = Wire(respond)  # type: ignore[arg-type]  # likewise
    began = time.monotonic()
    async with Pool(Keyless(), connection=wire, journal=file, deadline=hold + 60) as pay:
        charges = [
            asyncio.create_task(pay.collect("keyless", amount=500, currency="XAF", reference=f"order-{number}"))
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
        found: int = db.execute("SELECT count(*) FROM payments WHERE state = 'accepted'").fetchone()[0]
    return found


def main(arguments: argparse.Namespace) -> int:
    """Print how many answers were kept."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "payments.db"
        kept, seconds = asyncio.run(locked_while_charging(file, arguments.count, arguments.hold))
    print(
        f"{arguments.count} charges on the wire, the file locked for {arguments.hold:.0f} s: {kept} answers kept"
    )
    if arguments.json:
        said = {"count": arguments.count, "hold": arguments.hold, "kept": kept, "seconds": round(seconds, 1)}
        arguments.json.write_text(json.dumps(said, indent=1) + "\n")
    return 0 if kept == arguments.count else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=100)
    parser.add_argument("--hold", type=float, default=60.0)
    parser.add_argument("--json", type=Path, metavar="FILE")
    sys.exit(main(parser.parse_args()))
