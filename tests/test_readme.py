"""The README is the product's front door.

Its programs run, and its table is printed from the code.
"""

import ast
import functools
import html
import re
import shutil
import subprocess
import sys
import tempfile
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

import paymux
from paymux import Pool
from paymux.cli.commands import COMMANDS
from paymux.drivers import table
from paymux.simulator import Simulator

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
CHANGELOG = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
UNRELEASED = "\n## Unreleased\n" in CHANGELOG
PROGRAM = re.compile(r"^```python\n(.*?)^```", flags=re.DOTALL | re.MULTILINE)
PROGRAMS = PROGRAM.findall(README)
AWAITING = re.findall(r"^```python no-run\n(.*?)^```", README, flags=re.DOTALL | re.MULTILINE)
PICTURES = ROOT / ".github/pictures"


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


def _shown() -> list[Any]:
    """Return the programs that docstrings show, with where they stand."""
    found = []
    for file in sorted((ROOT / "paymux").rglob("*.py")):
        text = file.read_text(encoding="utf-8")
        if "```python\n" in text:  # parsing every file would take seconds
            for node in ast.walk(ast.parse(text)):
                if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef):
                    programs = PROGRAM.findall(ast.get_docstring(node) or "")
                    where = file.relative_to(ROOT / "paymux").as_posix()
                    found += [
                        pytest.param(one, id=f"{where}-{n}") for n, one in enumerate(programs)
                    ]
    return found


@pytest.mark.parametrize("program", _shown())
def test_a_program_of_a_docstring_runs_as_it_stands(program: str) -> None:
    """Every whole program that a docstring shows ends well, without a warning."""
    ended = ran(program)
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr == ""
    assert ended.stdout


def test_it_is_read_in_one_sitting() -> None:
    """It has at most 360 lines, and the first program stands before line 40."""
    lines = README.splitlines()
    assert len(lines) <= 360
    assert lines.index("```sh") < 40
    assert max(map(len, lines[:60])) <= 140


def test_the_demos_picture_shows_what_the_demo_prints() -> None:
    """It is drawn by the script beside it, and asks no other host for anything."""
    with tempfile.TemporaryDirectory() as folder:
        drawn = Path(folder, "demo.svg")
        command = [sys.executable, "-W", "error", str(PICTURES / "demo.py"), str(drawn)]
        subprocess.run(command, timeout=60, check=True, cwd=folder)
        fresh = drawn.read_text(encoding="utf-8")
    kept = (PICTURES / "demo.svg").read_text(encoding="utf-8")
    assert _words(kept) == _words(fresh)
    assert "url(http" not in kept


def test_the_picture_of_the_phone_is_of_the_page() -> None:
    """The script beside it finds the prompt that it shows, and takes a picture of its size."""
    if shutil.which("chromium") is None:
        pytest.skip("chromium is not installed")
    with tempfile.TemporaryDirectory() as folder:
        taken = Path(folder, "phone.png")
        command = [sys.executable, "-W", "error", str(PICTURES / "phone.py"), str(taken)]
        subprocess.run(command, timeout=60, check=True, cwd=folder)
        fresh = taken.read_bytes()
    kept = (PICTURES / "phone.png").read_bytes()
    assert kept[:24] == fresh[:24]  # PNG, width and height
    assert len(kept) < 80_000


def _words(picture: str) -> list[str]:
    # Another version of rich may place the words otherwise.
    return html.unescape(" ".join(re.findall(r">([^<>]+)</text>", picture))).split()


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


async def _within(block: str, given: dict[str, Any]) -> None:
    """Run a block that awaits, as in a coroutine of a program that has these names."""
    names = {name: getattr(paymux, name) for name in paymux.__all__} | given
    code = compile(block, "README.md", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    if (waits := eval(code, names)) is not None:  # noqa: S307 - our own page
        await waits


async def test_the_pool_of_an_account_of_your_own_collects(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With credentials in place of the dots, the block sends an order, to the simulator."""
    monkeypatch.chdir(tmp_path)
    (block,) = (one for one in AWAITING if "CamPay(username" in one)
    sim = Simulator()
    filled = block.replace('"…"', '"simulator"').replace("live=True", "live=False")
    filled = filled.replace("async with Pool(", "async with Pool(connection=sim.connection, *[")
    filled = filled.replace('passkey="simulator"),\n', 'passkey="simulator")],\n')
    await _within(filled, {"sim": sim})
    (asked,) = sim.ledger.entries()
    assert (asked.provider, asked.party) == ("mpesa", "254712345678")
    assert asked.amount == Decimal(250)


async def test_thousands_at_once_names_what_a_person_must_see(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """The block prints the payment whose amount is another one, and no other."""
    (block,) = (one for one in AWAITING if "verify_many" in one)
    sim = Simulator(payer_delay=0.0)
    async with Pool(sim.driver("campay"), connection=sim.connection) as pay:
        order: dict[str, Any] = {"amount": 500, "currency": "XAF", "payer": "237677777777"}
        paid = [await pay.collect("campay", reference=f"order-{n}", **order) for n in range(3)]
        pending = [*paid[:2], msgspec.structs.replace(paid[2], amount=Decimal(900))]
        await _within(block, {"pay": pay, "pending": pending})
    assert capsys.readouterr().out.count("tell a person:") == 1


def _commands() -> set[str]:
    """Return the commands that the README names: in code, and in the table of commands."""
    called = re.findall(r"(?:^|`|bin/)paymux (?:--lang fr )?([a-z-]+)", README, re.MULTILINE)
    section = README.partition("\n## The command line\n")[2].partition("\n## ")[0]
    listed = [row.split("|")[1] for row in section.splitlines() if row.startswith("| `")]
    groups = [re.findall(r"`([^`]+)`", group) for row in listed for group in row.split(";")]
    # `journal list`, `show`: the first word is the command, the others are its own.
    first = {names[0].partition(" ")[0] for names in groups}
    alone = {name for names in groups if " " not in names[0] for name in names}
    return {*called, *first, *alone}


def test_the_commands_that_it_names_exist() -> None:
    """A reader who copies a command finds it; and each command is named."""
    named = _commands()
    assert named == {*COMMANDS} - {"check"}, "check is doctor under another name"


def test_the_two_commands_stand_there() -> None:
    """The demo's and the tests' command are what CI runs, word for word."""
    assert (
        "\npython3 -m venv .venv && .venv/bin/pip install '.[cli]' && .venv/bin/paymux demo\n"
        in README
    )
    install = "python3 -m venv .venv && .venv/bin/pip install -e '.[test]'"
    assert f"\n{install} && .venv/bin/python -m pytest -n auto\n" in README
