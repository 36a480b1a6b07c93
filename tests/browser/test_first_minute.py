"""From the README to a paid order: what it says, as a new user does it, on a clock."""

import asyncio
import contextlib
import os
import re
import signal
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import expect

from ..programs import free_ports
from .conftest import Browsing

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="session")]

README = (Path(__file__).parents[2] / "README.md").read_text(encoding="utf-8")
SECONDS = 15  # from the command to the paid order, once paymux is installed


@contextlib.asynccontextmanager
async def running(line: str, folder: Path, port: int) -> AsyncIterator[Path]:
    """Run a line of the README in a folder of its own, as a shell with its venv active does."""
    output = folder / "output"
    bin = Path(sys.executable).parent
    env = {
        **{name: text for name, text in os.environ.items() if not name.startswith("PAYMUX_")},
        "PATH": f"{bin}:{os.environ['PATH']}",
        "PORT": str(port),
        "PYTHONUNBUFFERED": "1",
    }
    with output.open("wb") as written:
        process = await asyncio.create_subprocess_shell(
            line, cwd=folder, env=env, stdout=written, stderr=written, start_new_session=True
        )
        try:
            yield output
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGINT)
            try:
                await asyncio.wait_for(process.wait(), 20)
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)


async def test_from_the_readmes_line_to_a_paid_order(browsing: Browsing, tmp_path: Path) -> None:
    """A shop and a phone open; the order is asked for on the phone, and paid with the PIN."""
    section = README.partition("\n## In the browser\n")[2].partition("\n## ")[0]
    (line,) = re.findall(r"^paymux simulator -- .*$", section, flags=re.MULTILINE)
    (port,) = free_ports(1)
    began = time.monotonic()
    async with running(line, tmp_path, port) as output:
        async with asyncio.timeout(60):
            while "Running on" not in (said := output.read_text(encoding="utf-8")):
                await asyncio.sleep(0.05)
        simulator, shop = re.findall(r"http://127\.0\.0\.1:\d+", said)[:2]
        assert shop == f"http://127.0.0.1:{port}"
        buyer = await browsing.tab(f"{shop}/")
        await buyer.get_by_label("Your mobile money number").fill("677 00 00 01")
        await buyer.get_by_role("button", name="Pay 500 XAF").click()
        await expect(buyer.get_by_role("heading", name="Not paid yet")).to_be_visible()
        phone = await browsing.tab(f"{simulator}/", width=390)
        await phone.get_by_label("PIN").fill("0000")
        await phone.get_by_role("button", name="Pay", exact=True).click()
        paid = buyer.get_by_role("heading", name="Paid, thank you")
        await expect(paid).to_be_visible(timeout=30_000)
        took = time.monotonic() - began
        await phone.close()  # before its stream of events is cut
    assert took < 4 * SECONDS  # of a machine that runs other tests, too
    assert "make: order-" in output.read_text(encoding="utf-8")
    assert "Traceback" not in output.read_text(encoding="utf-8")
