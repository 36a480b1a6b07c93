"""The README is the product's front door.

Its programs run, and its table is printed from the code.
"""

import asyncio
import functools
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from paymux.drivers import table
from paymux.simulator import Fault, Simulator

pytestmark = pytest.mark.slow

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
CHANGELOG = (Path(__file__).parent.parent / "CHANGELOG.md").read_text(encoding="utf-8")
UNRELEASED = "\n## Unreleased\n" in CHANGELOG
AFTER_A_CRASH = (
    README.partition("## After a crash")[2].partition("```python no-run\n")[2].partition("```")[0]
)
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


async def _run(*command: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-W",
        "error",
        *command,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


@pytest.mark.parametrize(
    "lost", [False, True], ids=["killed while watching", "killed while the answer is awaited"]
)
async def test_the_program_of_after_a_crash_survives_one(tmp_path: Path, *, lost: bool) -> None:
    """Killed and run again, it charges once, and says truthfully what it does not know."""
    file, journal = tmp_path / "program.py", tmp_path / "payments.db"
    file.write_text(AFTER_A_CRASH, encoding="utf-8")
    async with Simulator(payer_delay=1.0) as sim:
        url = f"{sim.campay.url}{sim.campay.base_path}"
        if lost:
            sim.fault("campay", "POST /api/collect/", kind=Fault.STALL)
        first = await _run(str(file), str(journal), url)
        while not sim.received("campay", "POST /api/collect/"):
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.3)
        first.kill()
        await first.communicate()
        second = await _run(str(file), str(journal), url)
        if lost:
            told = await asyncio.wait_for(second.stdout.readline(), 30) if second.stdout else b""
            second.kill()
            await second.communicate()
            assert b"order-10 sending nobody knows" in told
        else:
            told, error = await asyncio.wait_for(second.communicate(), 60)
            assert (second.returncode, error) == (0, b"")
            assert b"order-10 accepted" in told
            assert told.count(b"send the goods") == 1
        assert len(sim.received("campay", "POST /api/collect/")) == 1
        assert len(sim.ledger.entries("order-10")) == 1
