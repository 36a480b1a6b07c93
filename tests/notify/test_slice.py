"""A slice of bench_told for every commit: real workers, killed at random, and six simulators."""

import argparse
import asyncio
from pathlib import Path

import pytest

from tests.campaigns import told

pytestmark = pytest.mark.slow


def test_each_end_is_told_whoever_dies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each end is delivered in order, by one worker at a time, though workers are killed."""
    monkeypatch.setattr(told, "LATER", 6.0)
    options = argparse.Namespace(orders=40, seconds=8.0, seed=1, paymux=str(told.ROOT))
    found = asyncio.run(told.Street(options, "failures refused", tmp_path).run())
    assert found.bad == 0, found
    assert found.ends > 20
    assert found.kills >= 1
