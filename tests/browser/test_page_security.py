"""What other pages try in a browser against a simulator on this machine: all of it is refused."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from aiohttp import web
from playwright.async_api import expect

from paymux.simulator import Simulator

from .conftest import Browsing
from .paying import ask
from .serving import serving

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="session")]

ATTACKS = {
    "reads payments": "fetch(api + 'payments').then((r) => r.text())",
    "reads the page": "fetch(api.replace('_paymux/', '')).then((r) => r.text())",
    "resets with JSON": """fetch(api + 'reset', {method: 'POST', body: '{}',
        headers: {'content-type': 'application/json'}}).then((r) => r.text())""",
    "resets blindly": """fetch(api + 'reset', {method: 'POST', body: '{}', mode: 'no-cors'})
        .then((r) => r.type === 'opaque' ? Promise.reject('blind') : r.text())""",
    "listens": """new Promise((done, lost) => {
        const stream = new EventSource(api + 'events');
        stream.onerror = () => { stream.close(); lost('refused'); };
        stream.addEventListener('hello', () => done('heard'));
    })""",
}


@pytest_asyncio.fixture(loop_scope="session")
async def sim() -> AsyncIterator[Simulator]:
    """Run a simulator whose payer is asked for order-1; it outlives the tabs of the test."""
    async with Simulator(payers="ask") as one:
        await ask(one, "order-1")
        yield one


async def blank(request: web.BaseRequest) -> web.Response:
    """Serve an attacker's page; its query is the target of a form."""
    form = (
        f'<form method="post" enctype="text/plain" action="{request.query.get("to", "")}">'
        '<input name=\'{"seed":0,"x":"\' value=\'"}\'></form>'
    )
    return web.Response(text=f"<!doctype html><title>t</title>{form}", content_type="text/html")


@pytest.mark.parametrize("name", sorted(ATTACKS))
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
async def test_a_page_on_another_port_gets_nothing(
    sim: Simulator, browsing: Browsing, name: str, host: str
) -> None:
    """Neither fetch nor EventSource of another origin reads or changes anything."""
    browsing.expected += [
        "CORS policy",
        "ERR_FAILED",
        "status of 403",
        "status of 415",
        "NotSameOrigin",
    ]
    async with serving(blank) as other:
        tab = await browsing.tab(other.replace("127.0.0.1", host))
        told = await tab.evaluate(
            f"async (api) => {{ try {{ return await {ATTACKS[name]}; }} catch {{ return null }} }}",
            f"{sim.url}/_paymux/",
        )
        assert told is None
        assert [entry.reference for entry in sim.ledger] == ["order-1"]


@pytest.mark.parametrize("path", ["reset", "payments/campay:1/answer", "worlds", "faults"])
async def test_a_form_of_another_site_changes_nothing(
    sim: Simulator, browsing: Browsing, path: str
) -> None:
    """A form that is sent by itself is refused, whatever it is made to look like."""
    browsing.expected += ["status of 403", "status of 415"]
    async with serving(blank) as other:
        tab = await browsing.tab(f"{other}/?to={sim.url}/_paymux/{path}")
        async with tab.expect_navigation() as navigation:
            await tab.evaluate("document.forms[0].submit()")
        answer = await navigation.value
        assert answer is not None
        assert answer.status in (403, 415)
        assert [entry.reference for entry in sim.ledger] == ["order-1"]
        assert sim.core.faults.planned == ()


async def test_a_name_that_is_led_here_is_refused(sim: Simulator, browsing: Browsing) -> None:
    """A foreign host name that resolves to 127.0.0.1 gets neither page, API nor provider."""
    browsing.expected.append("status of 403")
    port = sim.url.rpartition(":")[2]
    for path in ("", "_paymux/payments", "_paymux/page.js", "campay/api/balance/", "w/x/"):
        tab = await browsing.tab()
        answer = await tab.goto(f"http://rebound.test:{port}/{path}")
        assert answer is not None
        assert (path, answer.status) == (path, 403)


async def test_the_page_is_in_no_frame(sim: Simulator, browsing: Browsing) -> None:
    """No other page can lay the payer's phone under its own buttons."""
    browsing.expected += ["frame-ancestors", "Refused to frame", "Framing", "chrome-error"]
    async with serving(blank) as other:
        tab = await browsing.tab(other)
        await tab.evaluate(
            """(url) => new Promise((done) => {
                const frame = document.createElement("iframe");
                frame.onload = done;
                frame.src = url;
                document.body.append(frame);
            })""",
            f"{sim.url}/",
        )
        assert "127.0.0.1" not in tab.frames[-1].url or await tab.frames[-1].content() == ""


async def test_without_the_token_there_is_no_page(browsing: Browsing) -> None:
    """Listening on every address, page and API want the token; the printed URL keeps it."""
    browsing.expected += ["status of 401", "status of 403"]
    async with Simulator(host="0.0.0.0", token="t" * 32, payers="ask") as sim:  # noqa: S104
        port = sim.url.rpartition(":")[2]
        tab = await browsing.tab()
        for path in ("", "_paymux/page.js", "_paymux/payments", "?token=wrong"):
            answer = await tab.goto(f"http://127.0.0.1:{port}/{path}")
            assert answer is not None
            assert (path, answer.status // 100) == (path, 4)
        await tab.goto(f"http://127.0.0.1:{port}/?token={'t' * 32}")
        await expect(tab.locator("#env")).to_contain_text("PAYMUX_CAMPAY")
        assert "token" not in tab.url
        assert "t" * 32 not in await tab.evaluate("document.cookie")
        await ask(sim, "order-1")
        await expect(tab.locator("#prompt")).to_be_visible()
        await tab.close()
