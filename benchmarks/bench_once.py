"""Check that two bodies of one turn never act at once, with PostgreSQL, beside what others do.

Run: python -m benchmarks.bench_once [--orders 1000] [--scale 0.1] [--seed 1] [--stop 60]
     [--kinds ours lock lease]

Four processes with three callers each want the same turns, while their connections are cut, their
packets vanish, their processes are stopped for longer than the grace, and the server is restarted:
one thing after another, and no worker dies. "overlaps" counts the bodies that acted after a later
body of their turn had begun. "lock" trusts the lock of a session alone, "lease" the time since the
last beat alone. The times of a worker are multiplied by the scale. Then, in true time, a process
that has a turn is stopped for a minute, and one is killed. The exit code is 1 if ours overlapped,
or either of the others did not, or the turn of a worker that may still act was taken, or that of a
dead one was not taken in time.
"""

import argparse
import asyncio
import sys

from paymux.journal.postgres.timing import GRACE_SECONDS
from tests.campaigns.turn_holder import killed, stopped
from tests.campaigns.turns import overlapped
from tests.clusters import cluster


async def main(arguments: argparse.Namespace) -> int:
    """Run each kind on a server of its own, and print what was found."""
    wrong = 0
    for kind in arguments.kinds:
        with cluster() as server:
            found = await overlapped(
                server,
                kind,
                orders=arguments.orders,
                scale=arguments.scale,
                seed=arguments.seed,
            )
        print(
            f"{kind:6} bodies {found.bodies:5}  overlaps {found.overlaps:4}  orders "
            f"{found.orders:5}, done twice {found.twice:4}  events {found.events:4}",
            flush=True,
        )
        wrong += (found.overlaps == 0) != (kind == "ours")
    return 1 if wrong else 0


async def alone(arguments: argparse.Namespace) -> int:
    """Stop a worker that has a turn for a minute, and kill one, in true time."""
    with cluster() as server:
        paused = await stopped(server.url("stopped"), 1, arguments.stop)
        print(
            f"stopped for {arguments.stop:.0f} s: turn taken {paused.takes} times meanwhile, "
            f"acts beside another {paused.acts}",
            flush=True,
        )
        seconds = await killed(server.url("killed"), 1)
    print(f"killed: turn taken over after {seconds:.1f} s (grace {GRACE_SECONDS:.0f} s)")
    return 1 if paused.takes or paused.acts or seconds > GRACE_SECONDS + 5 else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--orders", type=int, default=1000)
    parser.add_argument("--scale", type=float, default=0.1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kinds", nargs="*", default=["ours", "lock", "lease"])
    parser.add_argument("--stop", type=float, default=60, help="seconds that a worker is stopped")
    given = parser.parse_args()
    sys.exit(max(asyncio.run(main(given)), asyncio.run(alone(given))))
