"""The README is the product's front door.

Its programs run, and its table is printed from the code.
"""

import functools
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from paymux.drivers import table

pytestmark = pytest.mark.slow

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
CHANGELOG = (Path(__file__).parent.parent / "CHANGELOG.md").read_text(encoding="utf-8")
UNRELEASED = "\n## Unreleased\n" in CHANGELOG
PROGRAMS = re.findall(r"^```python\n(.*?)^```", README, flags=re.DOTALL | re.MULTILINE)


@functools.cache
def ran(program: str) -> subprocess.CompletedProcess[str]:
    """Run a program in a folder of its own; twice the same program is run once."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "program.py").write_text(program, encoding="utf-8")
        command = [sys.executable, "-W", "error", "program.py"]
        return subprocess.run(
            command, capture_output=True, text=True, timeout=60, check=False, cwd=folder
        )


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.splitlines()[-1][:20])
def test_a_program_runs_as_it_stands(program: str) -> None:
    """Every Python program of the README ends well, without a warning."""
    ended = ran(program)
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr == ""
    assert ended.stdout


def test_the_first_program_shows_the_charge() -> None:
    """The first program a reader meets ends in a charge of what was asked."""
    shown = ran(PROGRAMS[0]).stdout
    assert "succeeded" in shown
    assert "charged: 5000" in shown


def test_the_providers_table_is_printed_from_the_code() -> None:
    """The README's table is what `paymux providers` prints.

    What no release has yet may be missing.
    """
    shown = (
        README.partition("<!-- providers -->\n")[2].partition("<!-- /providers -->")[0].splitlines()
    )
    printed = table().splitlines()
    assert shown == [row for row in printed if row in shown]
    assert UNRELEASED or shown == printed


def test_the_two_commands_stand_there() -> None:
    """The demo's and the tests' command are what CI runs, word for word."""
    assert (
        "\npython3 -m venv .venv && .venv/bin/pip install '.[cli]' && .venv/bin/paymux demo\n"
        in README
    )
    install = "python3 -m venv .venv && .venv/bin/pip install -e '.[test]'"
    assert f"\n{install} && .venv/bin/python -m pytest -n auto\n" in README
