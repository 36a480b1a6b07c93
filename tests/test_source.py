"""Lint, format and types, as a contributor's own test run finds them.

They pass or fail with everything else.
"""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
FOLDERS = ("paymux", "tests", "benchmarks")
COMMANDS = [("ruff", "check", *FOLDERS), ("ruff", "format", "--check", *FOLDERS), ("mypy",)]


@pytest.mark.timeout(600)  # a first run of mypy reads everything
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_the_source_is_clean(command: tuple[str, ...]) -> None:
    """Ruff finds nothing to say, nothing to format, and mypy --strict no type that does not fit."""
    ended = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
