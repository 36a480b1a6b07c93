"""What a session of the caller (`Pool(session=…)`) costs beside the pool's own connection.

Run: python -m benchmarks.bench_session [--rounds 15] [--at-once 50] [--json FILE]

CPU is the client process's own, of a CamPay verify and collect. The two are measured in turn, in
random order, round by round, against one server on loopback; the result is the median of the
rounds' ratios, with the quartiles in brackets. benchmarks/bench_call.py says more.
"""

import argparse
import asyncio
import json
import os
import random
import sys
from pathlib import Path

from .bench_call import Row, pair, shown
from .loopback import Loopback
from .peers import FOLDER, Worker

OWN, SESSION = "paymux/campay", "paymux/session"


async def measure(rounds: int, at_once: int) -> list[Row]:
    """Measure both verbs, and print a row of each."""
    chance, rows = random.Random(0), []
    async with Loopback(tls=False) as server:
        for verb in ("verify", "collect"):
            row = {"verb": verb, "at_once": at_once, "tls": False, "client": OWN}
            async with (
                Worker(SESSION, server.url, ca="", folder=FOLDER) as session,
                Worker(OWN, server.url, ca="", folder=FOLDER) as own,
            ):
                rows.append(await pair(session, own, row, rounds, chance))
                print(shown(rows[-1]), flush=True)
            await server.reset()
    return rows


def main() -> int:
    """Measure, and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--at-once", type=int, default=50)
    parser.add_argument("--json", type=Path, metavar="FILE")
    given = parser.parse_args()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.2f}; microseconds per call")
    print(f"{'':34}{'CPU':>9}{'session':>8}  session / own      {'wall':>9}{'session':>8}   faster")
    rows = asyncio.run(measure(given.rounds, given.at_once))
    if given.json:
        given.json.write_text(json.dumps(rows, indent=1) + "\n")
    return 1 if any("error" in row for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
