"""A reconciliation that is killed: the same call goes on, with the same report to the byte."""

from pathlib import Path

import pytest

from tests.campaigns.reconciling import campaign


@pytest.mark.slow
def test_a_killed_run_goes_on_and_reports_the_same(tmp_path: Path) -> None:
    """Whatever row it was at, the report equals that of a run that was not disturbed."""
    found = campaign(tmp_path, rows=5_000, differences=220, kills=3)
    assert found.kills == 3
    assert found.equal
    assert found.exact
    assert found.adds_up
    assert found.peak <= 64 << 20
