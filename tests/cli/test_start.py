"""What `paymux --help` costs: what it does not need is not loaded."""

import subprocess
import sys

import pytest

from paymux import Status
from paymux.cli.commands import COMMANDS
from paymux.cli.journal import journal
from paymux.cli.journal_reads import STATUSES

# Each of these costs more than all of the help.
HEAVY = {"asyncio", "msgspec", "aiohttp", "rich", "sqlite3", "tomllib", "phonenumbers", "dotenv"}


@pytest.mark.parametrize("words", [["--help"], ["--version"], ["-h"]])
def test_help_loads_no_command(words: list[str]) -> None:
    """Neither a command, nor a driver, nor a loop: the help of all is printed from a table."""
    code = (
        "import sys; from paymux.cli.main import run; code = run(sys.argv[1:]);"
        "print(*sys.modules, file=sys.stderr); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, check=True
    )
    loaded = set(done.stderr.split())
    assert loaded.isdisjoint(HEAVY)
    assert not [one for one in loaded if one.startswith(("paymux.drivers", "paymux.core"))]
    own = {one.removeprefix("paymux.cli.") for one in loaded if one.startswith("paymux.cli.")}
    ground = {
        "command", "commands", "exits", "failures", "invocation", "language", "logs", "main",
        "root", "streams", "tables",
    }  # fmt: skip
    assert own <= ground


# The simulator's help has the credentials of all providers, also of other packages.
LIGHT = [[name] for name in sorted(COMMANDS) if name != "simulator"] + [
    ["journal", name] for name in sorted(journal.commands)
]


@pytest.mark.parametrize("words", LIGHT, ids=" ".join)
def test_the_help_of_a_command_loads_no_more_than_its_options(words: list[str]) -> None:
    """No loop, no payment, no driver and no client: a command loads them when it runs."""
    code = (
        "import sys; from paymux.cli.main import run; code = run(sys.argv[1:]);"
        "print(*sys.modules, file=sys.stderr); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, *words, "--help"], capture_output=True, text=True, check=True
    )
    loaded = set(done.stderr.split())
    assert done.stdout.startswith("Examples:")
    assert loaded.isdisjoint(HEAVY)
    assert not [one for one in loaded if one.startswith(("paymux.drivers", "paymux.core"))]


def test_a_journal_can_be_filtered_by_each_status() -> None:
    """The choices are written out, so that `--help` needs no payment."""
    assert tuple(status.value for status in Status) == STATUSES
