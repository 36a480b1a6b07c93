"""A slice of `benchmarks/bench_control.py`: many pay while the page is open."""

import pytest

from benchmarks.bench_control import MOST_MB, measure, missing


@pytest.mark.slow
async def test_many_payments_fill_no_memory_and_lose_no_event() -> None:
    """A reader gets each request and webhook, and the server stays small."""
    found = await measure(1000, 20)
    assert missing(found) == found["gaps"] == 0
    assert found["charged"] == 1000
    assert found["peak_mb"] < MOST_MB / 2
