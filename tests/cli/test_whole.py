"""The whole command line, as it is installed: the demo, the credentials, what is missing."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import paymux.drivers
from paymux import Pool
from paymux.simulator import Simulator

from ..cases import ordered
from ..toys import BASE, KEY, timeless

COMMAND = [sys.executable, "-W", "error", "-m", "paymux"]


def _ended(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*COMMAND, *arguments], capture_output=True, text=True, timeout=60, check=False
    )


def test_providers_prints_the_table_of_the_code() -> None:
    """`paymux providers` prints which provider has which operation, and nothing else."""
    ended = _ended("providers")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout == paymux.drivers.table()


def test_the_demo_ends_well_and_tells_the_truth() -> None:
    """`paymux demo` exits 0, prints plain lines off a terminal, and agrees with its ledger."""
    ended = _ended("demo")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "Outcomes and ledger agree." in ended.stdout
    assert "outcome unknown; not sent again" in ended.stdout
    assert "\x1b" not in ended.stdout
    assert not re.search(r"\d{9,}", ended.stdout), "a whole phone number"


def test_the_demo_in_json_is_a_line_for_each_order() -> None:
    """`paymux demo --json` prints each order's end as an object; what a person reads is apart."""
    ended = _ended("demo", "--json")
    lines = [json.loads(line) for line in ended.stdout.splitlines()]
    assert ended.returncode == 0
    assert [line["agrees"] for line in lines] == [True] * 11
    assert {"said": "unknown", "charged": "333", "orders": 1}.items() <= lines[-1].items()
    assert "Outcomes and ledger agree." in ended.stderr


def _credentials() -> dict[str, dict[str, Any]]:
    """Read the credentials in the help of `paymux simulator`, as a person would."""
    told: dict[str, dict[str, Any]] = {}
    for word in _ended("simulator", "--help").stdout.partition("Credentials")[2].split():
        field, equals, value = word.partition("=")
        if equals:
            told[[*told][-1]][field] = value
        elif word in paymux.drivers.names():
            told[word] = {}
    return told


@pytest.mark.slow
@timeless
async def test_the_credentials_of_the_help_are_the_true_ones() -> None:
    """With exactly what `paymux simulator --help` prints, each provider accepts an order."""
    told = _credentials()
    assert set(told) == set(paymux.drivers.names())
    sim = Simulator()
    drivers = [
        paymux.drivers.load(name)(
            **fields, base_url=f"{sim.url}/{name}{sim.providers[name].base_path}"
        )
        for name, fields in told.items()
    ]
    async with Pool(
        *drivers, connection=sim.connection, webhook_base=BASE, webhook_key=KEY
    ) as pool:
        for name in told:
            await ordered(pool, name, amount=1000, reference="104207")
    assert [entry.provider for entry in sim.ledger] == list(told)


@pytest.mark.slow
@pytest.mark.parametrize("missing", ["click", "rich"])
def test_without_its_libraries_it_says_how_to_install_them(missing: str, tmp_path: Path) -> None:
    """Without the `cli` extra, `paymux` says what to install, without a traceback."""
    (tmp_path / f"{missing}.py").write_text(
        f"raise ModuleNotFoundError('no {missing}', name='{missing}')"
    )
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); from paymux.__main__ import main; "
        "sys.argv[1:] = ['demo']; main()"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=30, check=False
    )
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert ended.stderr == (
        f"paymux: {missing} is missing; install the command line with: pip install 'paymux[cli]'\n"
    )


@pytest.mark.slow
def test_a_broken_installation_is_not_called_a_missing_library(tmp_path: Path) -> None:
    """A missing module of paymux itself is a fault of ours, not advice to install an extra."""
    code = (
        "import sys; sys.modules['paymux.cli.demo'] = None; from paymux.__main__ import main; "
        "sys.argv[1:] = ['demo']; main()"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        env={**os.environ, "XDG_STATE_HOME": str(tmp_path)},
    )
    assert ended.returncode == 70
    assert "Its traceback is in" in ended.stderr
    assert "pip install" not in ended.stderr


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments",
    [
        ["nonsense"],
        ["simulator", "--port", "x"],
        ["simulator", "--port", "99999"],
        ["simulator", "--root", "nobody"],
    ],
)
def test_a_wrong_command_is_refused_without_a_traceback(arguments: list[str]) -> None:
    """A mistyped option is named in one sentence."""
    ended = _ended(*arguments)
    assert ended.returncode != 0
    assert "Traceback" not in ended.stderr
    assert ended.stderr.startswith("paymux: ")


def test_the_version_is_the_packages() -> None:
    """`paymux --version` prints the installed version."""
    ended = _ended("--version")
    assert ended.returncode == 0
    assert re.search(r"\d+\.\d+\.\d+", ended.stdout)
