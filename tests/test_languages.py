"""Programs in other languages buy from the simulator, by its control API and without a package."""

import asyncio
import os
import re
import shutil
from pathlib import Path

import pytest

from paymux.simulator import Simulator
from paymux.simulator.environment import variables

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "paymux/examples"
PROGRAMS = {"curl": ("sh", "buy.sh"), "node": ("node", "buy.mjs"), "php": ("php", "buy.php")}


@pytest.mark.parametrize("tool", PROGRAMS)
async def test_a_program_in_another_language_buys(tool: str) -> None:
    """It orders as at the real provider, answers as the payer, and the ledger has its charge."""
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not installed")
    command, name = PROGRAMS[tool]
    async with Simulator() as sim:
        process = await asyncio.create_subprocess_exec(
            *(command, str(EXAMPLES / name)),
            env={**os.environ, **variables(sim)},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        said, errors = await asyncio.wait_for(process.communicate(), 60)
        assert (process.returncode, errors) == (0, b""), said
        assert re.search("SUCCESSFUL|succeeded", said.decode())
        assert sim.ledger.charged() == 500


@pytest.mark.parametrize("tool", PROGRAMS)
async def test_a_program_ends_with_an_error_when_nothing_listens(tool: str) -> None:
    """Its exit code is what a build looks at."""
    if shutil.which(tool) is None:
        pytest.skip(f"{tool} is not installed")
    command, name = PROGRAMS[tool]
    async with Simulator() as sim:
        env = {**os.environ, **variables(sim)}
    process = await asyncio.create_subprocess_exec(
        *(command, str(EXAMPLES / name)),
        env=env,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode not in (0, None)


def test_the_readme_has_the_program_of_curl() -> None:
    """The block is the file, word for word."""
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert (EXAMPLES / "buy.sh").read_text(encoding="utf-8") in readme
