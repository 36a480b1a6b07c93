"""Chromium for the tests of pages: it reaches this machine alone, and its complaints fail a test.

A file of such tests begins with

    pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="session")]

for one Chromium and its event loop serve all tests of a process. A test opens tabs with
`await browsing.tab(url)`, and asks `await axe(tab)` what is wrong for people who cannot see, hear
or use a mouse.
"""

import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, async_playwright

ROOT = Path(__file__).parent.parent.parent
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
LOOPBACK = ("127.0.0.1", "localhost", "::1")
# Names below .test lead to this machine, as a name does that its owner points at 127.0.0.1 once
# the page is loaded (DNS rebinding). No other name leads anywhere.
RESOLVER = ", ".join(
    ["MAP *.test 127.0.0.1", "MAP * ~NOTFOUND", *(f"EXCLUDE {host}" for host in LOOPBACK)]
)
ARGUMENTS = [
    "--no-sandbox",
    "--disable-background-networking",
    "--no-proxy-server",
    f"--host-resolver-rules={RESOLVER}",
]

Audit: TypeAlias = Callable[[Page], Awaitable[list[str]]]


class Browsing:
    """The tabs of one test, and what went wrong in them.

    `expected`: parts of the console's complaints that the test causes on purpose, such as
    "status of 403".
    """

    def __init__(self, browser: Browser) -> None:
        self.browser = browser
        self.expected: list[str] = []
        self._complaints: list[str] = []
        self._contexts: list[BrowserContext] = []

    @property
    def complaints(self) -> list[str]:
        """Console errors, refusals of the Content-Security-Policy, and requests that leave."""
        return [
            told for told in self._complaints if not any(part in told for part in self.expected)
        ]

    async def tab(
        self, url: str | None = None, *, width: int = 1280, height: int = 900, **options: Any
    ) -> Page:
        """Open a tab in a browser profile of its own; `options` are playwright's of a context."""
        context = await self.browser.new_context(
            viewport={"width": width, "height": height}, **{"locale": "en-GB", **options}
        )
        self._contexts.append(context)
        context.on("request", lambda request: self._sent(request.url))
        context.on("console", self._said)
        context.on("weberror", lambda error: self._complaints.append(f"uncaught: {error.error}"))
        page = await context.new_page()
        if url is not None:
            await page.goto(url)
        return page

    async def close(self) -> None:
        """Close all tabs."""
        for context in self._contexts:
            await context.close()

    def _sent(self, url: str) -> None:
        address = urlsplit(url)
        host = address.hostname or ""
        if address.scheme in ("http", "https", "ws", "wss") and not (
            host in LOOPBACK or host.endswith(".test")
        ):
            self._complaints.append(f"a request to {url}")

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self._complaints.append(f"{message.type}: {message.text}")


@pytest_asyncio.fixture(loop_scope="session", scope="session")
async def chromium() -> AsyncIterator[Browser]:
    """Run one Chromium for all tests of this process."""
    if CHROMIUM is None:
        pytest.skip("chromium is not installed (Debian's package chromium)")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="session")
async def browsing(chromium: Browser) -> AsyncIterator[Browsing]:
    """Open tabs for one test, which fails if Chromium complains in one of them."""
    one = Browsing(chromium)
    yield one
    await one.close()
    assert one.complaints == []


@pytest.fixture(scope="session")
def axe() -> Audit:
    """Return a coroutine function that lists what axe-core calls serious or critical in a tab."""
    told = os.environ.get("PAYMUX_AXE")
    folder = Path(told) if told else ROOT / ".venv-clients" / "npm-axe"
    program = folder.absolute() / "node_modules/axe-core/axe.min.js"
    if not program.exists():
        reason = f"axe-core is not installed: no {program} (tests/browser/install)"
        pytest.fail(reason) if told else pytest.skip(reason)
    source = program.read_text(encoding="utf-8")

    async def audit(page: Page) -> list[str]:
        await page.evaluate(source)  # by the debugger, which no Content-Security-Policy binds
        found = await page.evaluate("axe.run(document, {resultTypes: ['violations']})")
        return [
            f"{rule['id']} ({rule['impact']}): {node['target']} {node['failureSummary']}"
            for rule in found["violations"]
            if rule["impact"] in ("serious", "critical")
            for node in rule["nodes"]
        ]

    return audit
