"""A simulator beside the tests of the command line, in a thread, and the config for it."""

import asyncio
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from paymux.simulator import Simulator

from .running import log_kept


class Served:
    """A simulator that serves from a thread of its own."""

    def __init__(self) -> None:
        self.sim = Simulator(payer_delay=0.05)
        self._ready = threading.Event()
        self._stop: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        async with self.sim:
            self._ready.set()
            await self._stop.wait()

    def start(self) -> None:
        """Serve; return when the port is open."""
        self._thread.start()
        assert self._ready.wait(10)

    def stop(self) -> None:
        """Stop serving."""
        assert self._loop is not None
        assert self._stop is not None
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(10)


@pytest.fixture
def bare(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Be in an empty folder, without a variable of paymux, in English and UTC."""
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith("PAYMUX_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("LC_ALL", "C.UTF-8")
    return tmp_path


def variables(sim: Simulator, driver: str, account: str) -> dict[str, str]:
    """Return the variables of an account at a simulated provider."""
    provider = sim.providers[driver]
    base = f"{provider.url}{provider.base_path}"
    fields = {**provider.credentials, "base_url": base, "driver": driver}
    return {f"PAYMUX_{account}__{field.upper()}": value for field, value in fields.items()}


@pytest.fixture
def shop(bare: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Simulator]:
    """Serve a simulator; the config has an account at CamPay, named shop, and a journal."""
    served = Served()
    served.start()
    for name, value in variables(served.sim, "campay", "SHOP").items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PAYMUX_JOURNAL", str(bare / "shop.db"))
    try:
        yield served.sim
    finally:
        served.stop()


@pytest.fixture(autouse=True)
def _log_kept() -> Iterator[None]:
    """Leave the log of this process as it was: a command sets it up for a whole process."""
    with log_kept():
        yield
