"""Processes share a stated limit for real: a slice of `benchmarks.bench_shared_limits`."""

from pathlib import Path

import pytest

from .campaigns.shared_limits import Campaign, Phase, Plan

pytestmark = pytest.mark.slow

PLAN = Plan(
    limit=40,
    window=0.5,
    workers=3,
    jitter=0.1,
    phases=(Phase(2, 0, "calm"), Phase(9, 3, "full"), Phase(2, 0, "pause")),
    kill_at=4,
    restart_at=6,
)


async def test_no_window_is_too_full_over_processes(tmp_path: Path) -> None:
    """Three processes with jitter, one killed and one begun anew: never more than the limit."""
    found = await Campaign(PLAN, str(tmp_path / "payments.db"), tmp_path).run()
    assert found.too_full == 0
    assert found.fullest > PLAN.limit * 3 // 4
    assert found.trips <= 0.35


async def test_no_window_is_too_full_over_machines(tmp_path: Path, database: str) -> None:
    """The same with the journal in PostgreSQL."""
    found = await Campaign(PLAN, database, tmp_path).run()
    assert found.too_full == 0
    assert found.fullest > PLAN.limit * 3 // 4
    assert found.trips <= 0.35
