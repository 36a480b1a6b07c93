"""Measure a reconciliation: rows in a second, memory, and what a kill at any moment costs.

Run: python -m benchmarks.bench_reconcile [--rows 100000,1000000] [--kills 20] [--json FILE]

A month of payments is in a journal (SQLite), and in the statement of a French Excel, with 2,000
differences of every kind (`tests/campaigns/statements.py`). Each run is a process, timed from its
start to its end. The plain pass reads the same statement with `csv` and the same journal
with one SELECT, puts both into two tables of a SQLite file, and joins them by the provider's
reference: no amounts, words, times, nothing to go on with. The smallest size is then killed
with SIGKILL at random moments, and goes on each time with the same call.

The exit code is 1 if 100,000 rows take more than 5 s or 1,000,000 more than 60 s, if a process has
more than 64 MiB, if what is found is not what was planted, if the sums do not add up, or if the
report of a killed run differs by a byte.
"""

import argparse
import asyncio
import csv
import json
import sqlite3
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.campaigns.reconciling import campaign, prepare, undisturbed

SECONDS = {100_000: 5.0, 1_000_000: 60.0}
MOST = 64 << 20  # bytes
DIFFERENCES = 2_000


def plain(folder: Path) -> float:
    """Join both sides with csv and SQLite alone; return the seconds."""
    began = time.perf_counter()
    db = sqlite3.connect(folder / "plain.db")
    db.execute("CREATE TABLE theirs(id TEXT, amount TEXT, status TEXT)")
    db.execute("CREATE TABLE ours(id TEXT, amount TEXT, status TEXT)")
    with (folder / "statement.csv").open(encoding="utf-8-sig", newline="") as file, db:
        lines = csv.reader(file, delimiter=";")
        next(lines)
        db.executemany("INSERT INTO theirs VALUES (?, ?, ?)", ((r[2], r[4], r[6]) for r in lines))
    db.execute("ATTACH ? AS journal", (str(folder / "journal.db"),))
    with db:
        db.execute(
            "INSERT INTO ours SELECT provider_reference, amount, status FROM journal.payments"
        )
        db.execute("CREATE INDEX theirs_id ON theirs(id)")
    joined = (
        "SELECT count(*) FROM ours LEFT JOIN theirs USING (id) WHERE ours.status <> 'succeeded'"
    )
    db.execute(joined).fetchone()
    db.close()
    return time.perf_counter() - began


def measured(rows: int) -> dict[str, Any]:
    """Reconcile once, undisturbed, and once in the plain way."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        planted = asyncio.run(prepare(folder, rows, DIFFERENCES, "french"))
        found = undisturbed(folder, planted)
        simple = plain(folder)
    most = SECONDS.get(rows)
    return {
        "rows": rows,
        "seconds": round(found.seconds, 2),
        "rows_per_second": round(rows / found.seconds),
        "cpu_seconds": round(found.cpu, 2),
        "plain_seconds": round(simple, 2),
        "ratio": round(found.seconds / simple, 1),
        "peak_mib": round(found.peak / (1 << 20), 1),
        "exact": found.exact,
        "adds_up": found.adds_up,
        "fine": found.exact
        and found.adds_up
        and found.peak <= MOST
        and (most is None or found.seconds <= most),
    }


def killed(rows: int, kills: int) -> dict[str, Any]:
    """Kill a reconciliation again and again."""
    with tempfile.TemporaryDirectory() as place:
        found = campaign(Path(place), rows, DIFFERENCES, kills)
    return {
        "rows": rows,
        "kills": found.kills,
        "stages": dict(found.stages),
        "runs_that_went_on": found.resumed,
        "equal": found.equal,
        "peak_mib": round(found.peak / (1 << 20), 1),
        "fine": found.equal and found.exact and found.adds_up and found.peak <= MOST,
    }


def main() -> int:
    """Print the figures; 1: a limit is not kept."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", default="100000,1000000")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--json")
    given = parser.parse_args()
    sizes = [int(one) for one in given.rows.split(",")]
    results = []
    for rows in sizes:
        results.append(measured(rows))
        print(results[-1], flush=True)
    if given.kills:
        results.append(killed(min(sizes), given.kills))
        print(results[-1], flush=True)
    if given.json:
        Path(given.json).write_text(json.dumps(results, indent=1), encoding="utf-8")
    return 0 if all(one["fine"] for one in results) else 1


if __name__ == "__main__":
    sys.exit(main())
