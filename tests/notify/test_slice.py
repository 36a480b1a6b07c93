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
    _judge(tmp_path, None, "failures refused")


@pytest.mark.parametrize("variant", ["no webhook", "each webhook three times"])
def test_each_end_is_told_over_two_machines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database: str, variant: str
) -> None:
    """The same over PostgreSQL, by workers that share no folder, with webhooks and without."""
    monkeypatch.setattr(told, "LATER", 6.0)
    _judge(tmp_path, database, variant)


def _judge(folder: Path, journal: str | None, variant: str) -> None:
    options = argparse.Namespace(orders=40, seconds=8.0, seed=1, paymux=str(told.ROOT))
    found = asyncio.run(told.Street(options, variant, folder, journal).run())
    assert found.bad == 0, found
    assert found.ends > 20
    assert found.kills >= 1
