"""The shop that the tests of `doctor` break and mend."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from paymux.simulator import Simulator

from .shops import Shop


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Shop]:
    """Serve two providers, and write a configuration in which nothing is wrong."""
    async with Simulator() as sim:
        yield Shop(tmp_path, sim)
