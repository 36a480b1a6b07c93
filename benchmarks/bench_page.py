"""How long a press on the simulator's page waits while 10,000 payments are made beside it.

`python -m benchmarks.bench_page [--payments 10000]`, with Debian's chromium. The simulator runs in
a process of its own, as `paymux simulator` does. The tab notes how late it comes back to work that
is due, which is what a press would wait, and every long task; after each thousand payments a press
on a tab of the page is timed until the lines are drawn.
"""

import argparse
import asyncio
import shutil
import time
from typing import Any

import aiohttp
from playwright.async_api import Page, async_playwright

from .bench_control import server

_WATCH = """() => {
    window.lates = [];
    window.presses = [];
    let due = performance.now();
    const channel = new MessageChannel();
    channel.port1.onmessage = () => {
        window.lates.push(performance.now() - due);
        setTimeout(() => { due = performance.now(); channel.port2.postMessage(0); }, 5);
    };
    channel.port2.postMessage(0);
}"""
_PRESS = """(name) => new Promise((done) => {
    const began = performance.now();
    document.getElementById(`tab-${name}`).click();
    const after = new MessageChannel();
    after.port1.onmessage = () => {
        window.presses.push(performance.now() - began);
        done();
    };
    requestAnimationFrame(() => after.port2.postMessage(0));
})"""
_TOLD = """() => {
    const lates = [...window.lates].sort((a, b) => a - b);
    return {
        checks: lates.length,
        late_p50_ms: lates[Math.floor(lates.length / 2)],
        late_p99_ms: lates[Math.floor(lates.length * 0.99)],
        late_worst_ms: lates.at(-1),
        press_worst_ms: Math.max(...window.presses),
        lines: document.querySelectorAll("#rows li").length,
        kept: Object.values(lists).map((one) => one.rows.length),
        heap_mb: performance.memory.usedJSHeapSize / 1e6,
    };
}"""
_AT_ONCE = 10


async def _pay(session: aiohttp.ClientSession, url: str, numbers: range) -> None:
    headers = {"authorization": "Token simulator"}
    for number in numbers:
        order = {
            "amount": "500",
            "from": f"2376700{number % 100:05}",
            "description": "Data bundle",
            "external_reference": f"order-{number}",
        }
        async with session.post(f"{url}/campay/api/collect/", json=order, headers=headers) as reply:
            assert reply.status == 200


async def _thousand(page: Page, session: aiohttp.ClientSession, url: str, first: int) -> None:
    parts = [range(first + one, first + 1000, _AT_ONCE) for one in range(_AT_ONCE)]
    work = [asyncio.create_task(_pay(session, url, part)) for part in parts]
    for name in ("requests", "deliveries", "payments"):
        await page.evaluate(_PRESS, name)
        await asyncio.sleep(0.1)
    await asyncio.gather(*work)


async def measure(payments: int) -> dict[str, Any]:
    """Make the payments with the page open, and return what the tab noted."""
    connector = aiohttp.TCPConnector(limit=_AT_ONCE)
    async with (
        server() as (url, _),
        aiohttp.ClientSession(connector=connector) as session,
        async_playwright() as playwright,
    ):
        browser = await playwright.chromium.launch(
            executable_path=shutil.which("chromium"),
            args=["--no-sandbox", "--disable-background-networking", "--no-proxy-server"],
        )
        page = await browser.new_page()
        await page.goto(f"{url}/")
        await page.get_by_text("PAYMUX_CAMPAY").first.wait_for()
        await page.evaluate(_WATCH)
        began = time.perf_counter()
        for first in range(0, payments, 1000):
            await _thousand(page, session, url, first)
        took = time.perf_counter() - began
        last = page.locator("#rows .what", has_text=f"order-{payments - 1}")
        await last.first.wait_for(timeout=10_000)
        told: dict[str, Any] = await page.evaluate(_TOLD)
        await browser.close()
    return {"payments": payments, "seconds": took, **told}


def main() -> None:
    """Print the figures, and whether a press waited 100 ms at most."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--payments", type=int, default=10_000)
    found = asyncio.run(measure(parser.parse_args().payments))
    for name, value in found.items():
        print(f"{name:>16} {value:.1f}" if isinstance(value, float) else f"{name:>16} {value}")
    print("100 ms kept:", max(found["late_worst_ms"], found["press_worst_ms"]) <= 100)


if __name__ == "__main__":
    main()
