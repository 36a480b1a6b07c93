"""The page's stream of events: 10,000 payments, a stream that is cut, a server that goes away."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from paymux.models import Status
from paymux.simulator import Simulator

from .conftest import Browsing
from .paying import ask, ask_many

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="session")]

# Notes how late the tab comes back to work that is due now: what a press would wait.
WATCH = """() => {
    window.worst = 0;
    let due = performance.now();
    const channel = new MessageChannel();
    channel.port1.onmessage = () => {
        window.worst = Math.max(window.worst, performance.now() - due);
        setTimeout(() => { due = performance.now(); channel.port2.postMessage(0); }, 5);
    };
    channel.port2.postMessage(0);
    new PerformanceObserver((list) => {
        for (const one of list.getEntries()) window.worst = Math.max(window.worst, one.duration);
    }).observe({type: "longtask"});
}"""
# Notes the number of every event that the page is given, single ones and those of a batch.
COUNT = """() => {
    window.told = [];
    const one = event;
    event = (type, data) => {
        if (type === "payment") window.told.push(`${data.reference} ${data.status}`);
        one(type, data);
    };
}"""


@pytest_asyncio.fixture(loop_scope="session")
async def sim() -> AsyncIterator[Simulator]:
    """Run a simulator whose payers decide on the page; it outlives the tabs of the test."""
    async with Simulator(payers="ask", keep=1000) as one:
        yield one


async def opened(browsing: Browsing, sim: Simulator) -> Page:
    """Open the page, and wait until it hears the simulator."""
    tab = await browsing.tab(f"{sim.url}/")
    await expect(tab.locator("#env")).to_contain_text("PAYMUX_CAMPAY")
    return tab


async def test_the_tab_answers_while_a_thousand_pay(sim: Simulator, browsing: Browsing) -> None:
    """The page stays open to presses; benchmarks/bench_page.py measures it with 10,000."""
    tab = await opened(browsing, sim)
    await tab.evaluate(WATCH)
    await ask_many(sim, 1000)
    await expect(tab.locator("#rows li").first).to_contain_text("order-1000")
    await expect(tab.locator("#rows li")).to_have_count(200)
    await tab.locator("#tab-requests").click()
    await expect(tab.locator("#rows li").first).to_contain_text("order-1000")
    assert await tab.evaluate("worst") < 1000  # no figure of a machine, but no standstill either


async def test_a_stream_cut_50_times_loses_no_event(sim: Simulator, browsing: Browsing) -> None:
    """Each change of each payment is heard once or more, whatever moment the stream is cut at."""
    tab = await opened(browsing, sim)
    await tab.evaluate(COUNT)
    browsing.expected.append("net::ERR_")
    for number in range(50):
        await ask(sim, f"order-{number}")
        for stream in list(sim.streams):
            transport = stream._request.transport
            assert transport is not None
            transport.abort()
        sim.settle(f"order-{number}", Status.SUCCEEDED)
        await tab.evaluate("disconnect(); connect()")  # at once, not after the second of `retry`
        await asyncio.sleep(0.01 * (number % 4))
    await ask(sim, "the-last")
    await expect(tab.locator("#rows li").first).to_contain_text("the-last")
    heard = set(await tab.evaluate("told"))
    told = {f"order-{n} {word}" for n in range(50) for word in ("pending", "succeeded")}
    assert told - heard == set()
    await expect(tab.locator("#rows .pill.succeeded")).to_have_count(50)


async def test_a_hidden_tab_has_no_stream(sim: Simulator, browsing: Browsing) -> None:
    """While the tab is hidden its stream is closed; when it is seen again it has missed nothing."""
    tab = await opened(browsing, sim)
    assert len(sim.streams) == 1
    hide = """(hidden) => {
        Object.defineProperty(document, "hidden", {value: hidden, configurable: true});
        document.dispatchEvent(new Event("visibilitychange"));
    }"""
    await tab.evaluate(hide, True)
    async with asyncio.timeout(10):
        while not all(one.gone for one in sim.streams):
            await asyncio.sleep(0.01)
    await ask(sim, "meanwhile")
    assert await tab.locator("#rows li").count() == 0
    await tab.evaluate(hide, False)
    await expect(tab.locator("#rows li")).to_contain_text("meanwhile")


async def test_a_reset_empties_the_page(sim: Simulator, browsing: Browsing) -> None:
    """What was forgotten is gone from the phone and the lists, and what comes next is shown."""
    tab = await opened(browsing, sim)
    await ask(sim, "order-1")
    await expect(tab.locator("#prompt")).to_be_visible()
    tab.on("dialog", lambda dialog: dialog.accept())
    await tab.locator("#reset").click()
    await expect(tab.locator("#rows li")).to_have_count(0)
    await expect(tab.locator("#prompt")).to_be_hidden()
    await ask(sim, "order-2")
    await expect(tab.locator("#rows li")).to_contain_text("order-2")


async def test_a_lost_server_is_one_calm_line(browsing: Browsing) -> None:
    """When the simulator ends, the page says so in one line; when it is back, the line goes."""
    browsing.expected.append("net::ERR_")
    async with Simulator() as first:
        port = int(first.url.rpartition(":")[2])
        tab = await opened(browsing, first)
    await expect(tab.locator("#lost")).to_have_text("The simulator does not answer. Trying again …")
    async with Simulator(port=port, payers="ask") as second:
        await expect(tab.locator("#lost")).to_have_text("", timeout=20_000)
        await ask(second, "after")
        await expect(tab.locator("#rows li")).to_contain_text("after")
