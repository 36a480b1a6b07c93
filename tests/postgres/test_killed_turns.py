"""A slice of `benchmarks/bench_once.py`, and workers that are killed in the middle of a turn."""

import asyncio
import signal
import sys
import textwrap
from pathlib import Path

import psycopg
import pytest

from ..campaigns.turn_holder import acts_after, holder, killed, pool, stopped, taken_over
from ..campaigns.turn_worker import SCALE, scaled
from ..campaigns.turns import overlapped
from ..clusters import Cluster, cluster
from .proxy import Proxy

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
SHORT = scaled(SCALE)
TURNS, KILLED = 60, 1  # turns, and of forty moments of a turn, those in which it dies

# Takes turns, with an effect and the end of each in a transaction of its own, and dies in between.
SHIPPER = """
    import asyncio, os, random, signal, sys

    import asyncpg
    from paymux import Payment, Pool
    from tests.campaigns.turn_worker import SCALE, journal_of, scaled
    from tests.toys import Desk, Toy, Wire

    url, dsn, turns, killed = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    fate = random.Random(int(sys.argv[5]))

    def perhaps_die():
        if fate.randrange(40) < killed:  # at one of four moments of a turn
            os.kill(os.getpid(), signal.SIGKILL)

    async def main():
        link = await asyncpg.connect(dsn)
        journal = journal_of("ours", url, scaled(SCALE))
        async with Pool(Toy(), connection=Wire(Desk()), journal=journal) as pay:
            left = list(range(turns))
            while left:
                reference = random.choice(left)
                order = Payment(account="toy", kind="collect", reference=f"order-{reference}")
                async with pay.once(order, "shipped") as turn:
                    if turn:
                        perhaps_die()
                        async with link.transaction():
                            await link.execute("INSERT INTO sent VALUES ($1)", order.reference)
                            perhaps_die()
                            await turn.done(link)
                            perhaps_die()
                        perhaps_die()
                if await journal.turn_done(order, "shipped"):
                    left.remove(reference)
                else:
                    await asyncio.sleep(0.1)  # until the grace of a dead one is over
        await link.close()

    asyncio.run(main())
"""


async def shipper(url: str, dsn: str, killed: int, seed: int) -> int:
    """Run a shipper to its end; return its exit code."""
    words = (url, dsn, str(TURNS), str(killed), str(seed))
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", textwrap.dedent(SHIPPER), *words, cwd=ROOT
    )
    return await process.wait()


@pytest.mark.timeout(300)
async def test_the_effect_of_each_turn_is_made_once_under_kills(
    postgres: Cluster, database: str
) -> None:
    """Sixty turns of two shippers that are killed again and again: sixty effects, none doubled."""
    dsn = f"postgresql://paymux@127.0.0.1:{postgres.port}/postgres"
    with psycopg.connect(dsn, autocommit=True) as db:
        db.execute("DROP TABLE IF EXISTS sent")
        db.execute("CREATE TABLE sent (reference TEXT)")
        kills, seed = 0, 0
        while True:
            ends = await asyncio.gather(
                *(shipper(database, dsn, KILLED, seed + one) for one in range(2))
            )
            assert set(ends) <= {0, -signal.SIGKILL}
            kills, seed = kills + ends.count(-signal.SIGKILL), seed + 2
            left = db.execute("SELECT count(DISTINCT reference) FROM sent").fetchone()
            assert left is not None
            if left[0] == TURNS:
                break
        counts = db.execute("SELECT count(*), count(DISTINCT reference) FROM sent").fetchone()
        db.execute("DROP TABLE sent")
    assert counts == (TURNS, TURNS)
    assert kills >= 3


async def test_a_killed_workers_turn_is_taken_over_in_time(database: str) -> None:
    """Not before the grace, and soon after it."""
    seconds = await killed(database, SCALE)
    # How soon, benchmarks/bench_once.py measures at the true times: beside a browser's tests these
    # short ones may be late by a second.
    assert SHORT.grace - 2 * SHORT.beat < seconds < 3 * SHORT.grace


async def test_a_stopped_workers_turn_is_not_taken_over(database: str) -> None:
    """However long it is stopped: it may still act; when it goes on, it stops by itself."""
    assert await stopped(database, SCALE, 2 * SHORT.grace) == (0, 0, 1)


@pytest.mark.parametrize("kind", ["ours", "lock"])
async def test_a_worker_that_the_server_lost_sight_of_acts_alone(
    postgres: Cluster, database: str, kind: str
) -> None:
    """It lives, and its lock is free: with the lock alone, two act at once; with ours, never."""
    async with Proxy(postgres.port) as proxy, pool(database, kind, SCALE) as pay:
        behind = database.replace(f":{postgres.port}/", f":{proxy.port}/")
        async with holder(behind, kind, SCALE) as process:
            proxy.swallow = True
            proxy.miss()
            took = await taken_over(pay)
            await asyncio.sleep(0.5)
            process.kill()
            assert (await acts_after(process, took) > 0) is (kind == "lock")
            proxy.swallow = False


async def test_a_lease_alone_lets_a_stopped_worker_act_beside_another(database: str) -> None:
    """It wakes up after its lease was taken, and acts before it can know."""
    kind = "lease"
    async with pool(database, kind, SCALE) as pay, holder(database, kind, SCALE) as process:
        process.send_signal(signal.SIGSTOP)
        took = await taken_over(pay)
        process.send_signal(signal.SIGCONT)
        assert await acts_after(process, took) > 0


@pytest.mark.timeout(300)
async def test_two_bodies_of_a_turn_never_act_at_once() -> None:
    """Under cuts, black holes, stops and restarts; benchmarks/bench_once.py is the full run."""
    with cluster() as server:
        found = await overlapped(server, "ours", orders=30, scale=0.1)
    assert (found.overlaps, found.orders) == (0, 30)
    assert found.bodies >= 30
    assert found.events >= 2
