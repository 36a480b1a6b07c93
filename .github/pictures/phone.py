"""Take the picture of the simulator's page for the README.

`python .github/pictures/phone.py .github/pictures/phone.png`, with Chromium: a payer is asked.
"""

import asyncio
import shutil
import sys
from pathlib import Path

from playwright.async_api import async_playwright

from paymux import Pool
from paymux.simulator import Simulator

ARGUMENTS = ["--no-sandbox", "--disable-background-networking"]
SIZE = {"width": 336, "height": 640}  # of a phone, as CSS counts
CLIP = {"x": 0, "y": 54, "width": 336, "height": 564}  # below the title


async def taken(file: Path) -> None:
    """Let a shop ask a payer, and take the page as the payer sees it."""
    order = {"amount": 500, "currency": "XAF", "reference": "order-1042", "description": "Coffee"}
    async with Simulator() as sim, Pool(sim.driver("campay")) as pay, async_playwright() as chrome:
        await pay.collect("campay", payer="237677000001", **order)
        browser = await chrome.chromium.launch(
            executable_path=shutil.which("chromium"), args=ARGUMENTS
        )
        page = await browser.new_page(viewport=SIZE, locale="en-GB", reduced_motion="reduce")
        await page.goto(f"{sim.url}/")
        await page.get_by_text("500 XAF").first.wait_for()
        await page.get_by_label("PIN").wait_for()
        await page.screenshot(path=file, clip=CLIP)
        await browser.close()


if __name__ == "__main__":
    asyncio.run(taken(Path(sys.argv[1])))
