"""Check that processes share an account's token, at a provider that honours only its newest.

Run: python -m benchmarks.bench_shared_tokens [--seconds 60] [--workers 8] [--rate 20]
     [--journal URL] [--json FILE]

Eight processes of one journal send 20 orders a second for a minute to M-Pesa's simulator, where a
new token ends the older ones. A token lives for 20 s. All tokens are revoked once; one process is
paused (SIGSTOP) for 15 s after its login, one before the request of its login left, and one is
killed there. "failed" orders began after the first second; "not_taken" are those that the journal
did not record in time, so that nothing was sent. "backwards" counts an older token over a
newer one in the journal, "readable" the tokens that can be read in its files. A killed process is a
login that was permitted and never left. The second row is the same without a `webhook_key`, for ten
seconds and undisturbed: each process logs in on its own. The exit code is 1 if an order of the
first row failed, or a generation was not one login.
"""

import argparse
import asyncio
import json
import os
import platform
import sys
import tempfile
from pathlib import Path

import msgspec

from tests.campaigns.shared_tokens import Campaign, Event, Found, Plan

ALONE_SECONDS = 10.0
COLUMNS = (
    "orders",
    "failed",
    "not_taken",
    "refused",
    "logins",
    "generations",
    "killed",
    "backwards",
    "readable",
)


def events(seconds: float) -> list[Event]:
    """Return what is done in a run of so many seconds."""
    return [
        Event(at=seconds * 0.08, what="revoke"),
        Event(at=seconds * 0.2, what="pause", point="after", seconds=15.0),
        Event(at=seconds * 0.53, what="pause", point="before", seconds=15.0),
        Event(at=seconds * 0.87, what="kill", point="before"),
    ]


async def run(plan: Plan, journal: str | None) -> Found:
    """Run a plan, in a journal of its own if none is named."""
    with tempfile.TemporaryDirectory() as folder:
        return await Campaign(plan, journal or str(Path(folder) / "payments.db")).run()


async def main(given: argparse.Namespace) -> int:
    """Run both plans and print them; return 1 if the first one failed."""
    size = {"workers": given.workers, "rate": given.rate}
    plans = {
        "shared": Plan(seconds=given.seconds, events=events(given.seconds), **size),
        "alone": Plan(seconds=min(given.seconds, ALONE_SECONDS), shared=False, **size),
    }
    print(f"{platform.python_version()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.2f}")
    print(f"{'':8}" + "".join(f"{name:>12}" for name in COLUMNS) + f"{'slowest':>12}")
    rows = {}
    for name, plan in plans.items():
        found = rows[name] = await run(plan, given.journal)
        shown = "".join(f"{getattr(found, column):12}" for column in COLUMNS)
        print(f"{name:8}{shown}{found.slowest:10.1f} s", flush=True)
        for error, count in found.errors.items():
            print(f"{'':8}{count} x {error}")
    if given.json:
        said = {name: msgspec.to_builtins(found) for name, found in rows.items()}
        given.json.write_text(json.dumps(said, indent=1) + "\n")
    return 0 if rows["shared"].kept and not rows["shared"].not_taken else 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--workers", type=int, default=8)
    parser.add_argument("--rate", type=float, default=20.0)
    parser.add_argument("--journal", metavar="URL")
    parser.add_argument("--json", type=Path, metavar="FILE")
    sys.exit(asyncio.run(main(parser.parse_args())))
