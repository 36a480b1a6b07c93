"""The README is the product's front door: its programs run, and its table is printed from the code."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from paymux.drivers import table

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
PROGRAMS = re.findall(r"^```python\n(.*?)^```", README, flags=re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.splitlines()[-1][:20])
def test_a_program_runs_as_it_stands(program: str, tmp_path: Path) -> None:
    """Every Python program of the README ends well, without a warning."""
    file = tmp_path / "program.py"
    file.write_text(program, encoding="utf-8")
    ended = subprocess.run(
        [sys.executable, "-W", "error", str(file)], capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr == ""
    assert ended.stdout


def test_the_first_program_shows_the_charge() -> None:
    """The first program a reader meets ends in a charge of what was asked."""
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAMS[0]], capture_output=True, text=True, timeout=60, check=True
    )
    assert "succeeded" in ended.stdout
    assert "charged: 5000" in ended.stdout


def test_the_providers_table_is_printed_from_the_code() -> None:
    """The README's table is what `paymux providers` prints."""
    shown = README.partition("<!-- providers -->\n")[2].partition("<!-- /providers -->")[0]
    assert shown == table()


def test_the_two_commands_stand_there() -> None:
    """The demo's and the tests' command are what CI runs, word for word."""
    assert "\npython3 -m venv .venv && .venv/bin/pip install '.[cli]' && .venv/bin/paymux demo\n" in README
    assert (
        "\npython3 -m venv .venv && .venv/bin/pip install -e '.[test]' && .venv/bin/python -m pytest\n" in README
    )
