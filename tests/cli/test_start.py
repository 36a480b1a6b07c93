"""What `paymux --help` costs: what it does not need is not loaded."""

import subprocess
import sys

import pytest

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
