"""Lint, format and types, as tests like any other."""

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
FOLDERS = ("paymux", "tests", "benchmarks")
COMMANDS = [
    ("ruff", "check", *FOLDERS),
    ("ruff", "format", "--check", *FOLDERS),
    ("mypy",),
    ("pyright",),
]


@pytest.mark.timeout(600)  # the first run of mypy reads all files
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_the_source_is_clean(command: tuple[str, ...]) -> None:
    """There are no findings of ruff check, ruff format and mypy --strict.

    Nor of pyright about the programs in paymux/examples.
    """
    ended = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
