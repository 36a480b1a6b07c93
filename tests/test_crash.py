"""A slice of `benchmarks/bench_crash.py`: after a crash nothing is lost or doubled."""

import os
import shutil

import pytest

from .campaigns.crash import DEADLY, DIED, DISK, Point, crashed, failed, fulfilled, points
from .clusters import Cluster

pytestmark = pytest.mark.slow

if shutil.which("strace") is None and not os.environ.get("CI"):
    pytest.skip("strace is not installed", allow_module_level=True)


def spread(found: list[Point], count: int) -> list[Point]:
    """Select some points, evenly."""
    return found[:: max(1, len(found) // count)][:count]


async def test_a_process_may_die_anywhere() -> None:
    """R5: killed before a write, sync, send, receive or connect: 0 lost, 0 sent twice."""
    found = await points("campay collect", DEADLY, ["signal=SIGKILL"])
    assert {"fdatasync", "pwrite64", "sendto", "connect"} <= {point.syscall for point in found}
    DIED.clear()
    wrong = [one for point in spread(found, 8) for one in await crashed("campay collect", point)]
    assert wrong == []
    assert DIED["killed"] >= 6, "few were killed: it shows nothing"


async def test_a_process_may_die_anywhere_with_its_journal_on_a_server(postgres: Cluster) -> None:
    """R5 with PostgreSQL: what its session had begun is undone or done, never half known."""
    server = postgres.url().partition("?")[0]
    found = await points("campay collect", DEADLY, ["signal=SIGKILL"], server)
    assert {"sendto", "recvfrom", "connect"} <= {point.syscall for point in found}
    DIED.clear()
    chosen = spread(found, 8)
    wrong = [one for point in chosen for one in await crashed("campay collect", point, server)]
    assert wrong == []
    assert DIED["killed"] >= 6, "few were killed: it shows nothing"


async def test_money_is_not_sent_unless_the_disk_has_it() -> None:
    """R5b: EIO and ENOSPC at a disk call: a typed error and nothing sent, or the answer."""
    found = await points("campay collect", DISK, ["error=EIO", "error=ENOSPC+"])
    assert {"fdatasync", "pwrite64"} <= {point.syscall for point in found}
    wrong = [one for point in spread(found, 6) for one in await failed("campay collect", point)]
    assert wrong == []


async def test_whichever_worker_dies_each_payment_is_fulfilled() -> None:
    """Three processes, 120 payments, killed at random: each fulfilled, by one live worker."""
    assert await fulfilled(count=120, workers=3, kills=4) == []
