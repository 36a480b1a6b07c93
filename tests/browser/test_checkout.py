"""The hosted checkout pages in Chromium: paid, declined and cancelled, by thumb and by keyboard."""

import contextlib
from collections.abc import AsyncIterator
from typing import NamedTuple

import pytest
from aiohttp import web
from playwright.async_api import Page as Tab

from paymux import Reason, Status
from paymux.simulator import Simulator

from ..simulator.asking import CAMPAY
from ..simulator.checkouts import OPENERS, OTHERS, Page, Texts, opened
from .conftest import Audit, Browsing
from .serving import serving

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="session")]

PROVIDERS = pytest.mark.parametrize("provider", sorted(OPENERS))
SCRIPTS = pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no scripts"])
NUMBER = "07 07 07 07 07"
MERCI = """<!doctype html><html lang="fr"><title>Boutique</title>
<link rel="icon" href="data:,"><h1>Merci</h1>"""
# What a finger must hit.
TARGETS = "a, button, summary, label.operator, input:not([type=radio])"
SMALL = """(targets) => [...document.querySelectorAll(targets)]
.map((one) => [one.outerHTML, one.getBoundingClientRect()])
.filter(([, box]) => box.width && (box.height < 44 || box.width < 44))
.map(([text]) => text)"""


class Shop(NamedTuple):
    """A shop on a port of its own, and the requests for its return pages: method, path, form."""

    sim: Simulator
    url: str
    came: list[tuple[str, str, dict[str, str]]]

    async def order(self, provider: str, texts: Texts | None = None) -> Page:
        """Open an order that leads back to this shop."""
        texts = texts or Texts(f"{self.url}/paid", f"{self.url}/unpaid")
        page = await opened(self.sim, provider, texts)
        return page._replace(path=f"{self.sim.url}{page.path}")


@contextlib.asynccontextmanager
async def shop() -> AsyncIterator[Shop]:
    """Serve a shop and a simulator."""
    came: list[tuple[str, str, dict[str, str]]] = []

    async def answer(request: web.BaseRequest) -> web.StreamResponse:
        form = {name: str(value) for name, value in (await request.post()).items()}
        came.append((request.method, request.path_qs, form))
        if request.query.get("next"):
            raise web.HTTPFound(request.query["next"])
        return web.Response(text=MERCI, content_type="text/html")

    async with serving(answer) as url, Simulator() as sim:
        sim.on_webhook(lambda incoming: None)
        yield Shop(sim, url, came)


async def ask_phone(tab: Tab) -> None:
    """Take the operator that is chosen, and give a number."""
    await tab.fill("#number", NUMBER)
    await tab.click("button[value=ask]")
    await tab.wait_for_selector("#pin")


@PROVIDERS
@SCRIPTS
async def test_a_payer_pays_and_comes_back(
    browsing: Browsing, provider: str, scripts: bool
) -> None:
    """Operator, number, a wrong PIN and the right one: the shop's page is reached, once."""
    async with shop() as one:
        page = await one.order(provider)
        tab = await browsing.tab(page.path, width=320, java_script_enabled=scripts)
        await ask_phone(tab)
        await tab.fill("#pin", "1234")
        await tab.click("button[value=approve]")
        await tab.wait_for_selector("text=Essais restants")
        await tab.fill("#pin", "0000")
        await tab.click("button[value=approve]")
        await tab.wait_for_url(f"{one.url}/paid*")
        assert await tab.text_content("h1") == "Merci"
        assert [path.partition("?")[0] for _, path, _ in one.came] == ["/paid"]
        assert one.sim.ledger.charged(page.entry.provider_reference) == 5000
        # The way back in the browser's own history shows the end, and asks for nothing.
        await tab.go_back()
        await tab.wait_for_selector("text=Paiement réussi")
        await tab.click("a.main")
        await tab.wait_for_url(f"{one.url}/paid*")


@PROVIDERS
@SCRIPTS
@pytest.mark.parametrize("answer", ["decline", "cancel"])
async def test_a_payer_who_does_not_pay_comes_back(
    browsing: Browsing, provider: str, scripts: bool, answer: str
) -> None:
    """Declined on the phone, or cancelled before it: the shop's page for that is reached."""
    async with shop() as one:
        page = await one.order(provider)
        tab = await browsing.tab(page.path, java_script_enabled=scripts)
        if answer == "decline":
            await ask_phone(tab)
        await tab.click(f"button[value={answer}]")
        await tab.wait_for_url(f"{one.url}/{'paid' if provider == 'cinetpay' else 'unpaid'}*")
        assert await tab.text_content("h1") == "Merci"
        assert len(one.came) == 1
        assert page.entry.status is (Status.FAILED if answer == "decline" else Status.CANCELLED)


@SCRIPTS
async def test_the_way_back_as_a_form(browsing: Browsing, scripts: bool) -> None:
    """Where CinetPay posts to return_url, the payer's button reaches it through the policy."""
    async with shop() as one:
        one.sim.cinetpay.returns = "POST"
        page = await one.order("cinetpay")
        tab = await browsing.tab(page.path, java_script_enabled=scripts)
        await ask_phone(tab)
        await tab.fill("#pin", "0000")
        await tab.press("#pin", "Enter")
        await tab.click("text=Revenir à la boutique")
        await tab.wait_for_url(f"{one.url}/paid")
        told = {"transaction_id": "order-0", "token": page.entry.words["token"]}
        assert one.came == [("POST", "/paid", told)]


async def test_a_shop_that_redirects_to_its_front_end(browsing: Browsing) -> None:
    """A return page on one port may lead on to another one, as a back end does to its pages."""
    async with shop() as one, shop() as front:
        address = f"{one.url}/paid?next={front.url}/thanks"
        page = await one.order("cinetpay", Texts(address, address))
        tab = await browsing.tab(page.path)
        await ask_phone(tab)
        await tab.fill("#pin", "0000")
        await tab.click("button[value=approve]")
        await tab.wait_for_url(f"{front.url}/thanks*")


@PROVIDERS
async def test_all_of_it_by_keyboard(browsing: Browsing, provider: str) -> None:
    """Choose with the arrows, type, and confirm: no mouse is needed."""
    async with shop() as one:
        page = await one.order(provider)
        tab = await browsing.tab(page.path)
        for _ in range(20):
            await tab.keyboard.press("Tab")
            if await tab.evaluate("document.activeElement.name") == "operator":
                break
        first = await tab.evaluate("document.activeElement.value")
        await tab.keyboard.press("ArrowDown")
        chosen = await tab.evaluate("document.querySelector('[name=operator]:checked').value")
        assert chosen != first
        for _ in range(20):
            await tab.keyboard.press("Tab")
            if await tab.evaluate("document.activeElement.id") == "number":
                break
        await tab.keyboard.type(NUMBER)
        await tab.keyboard.press("Enter")
        await tab.wait_for_selector("#pin:focus")
        await tab.keyboard.type("0000")
        await tab.keyboard.press("Enter")
        await tab.wait_for_url(f"{one.url}/paid*")
        assert page.entry.words["chosen"] == chosen


@pytest.mark.parametrize("provider", sorted({*OPENERS, *OTHERS}))
@pytest.mark.parametrize("width", [320, 1280])
@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_nothing_is_in_the_way_of_people(
    browsing: Browsing, axe: Audit, provider: str, width: int, scheme: str
) -> None:
    """In both languages every step passes axe-core, fits the screen, and has targets of 44 px."""
    async with shop() as one:
        tab = await browsing.tab(width=width, height=720, color_scheme=scheme)
        for lang in ("fr", "en"):
            page = await one.order(provider)
            await tab.goto(f"{page.path}?lang={lang}")
            if await tab.query_selector("summary"):
                await tab.click("summary")
            await fits(tab, axe)
            await tab.click("button[value=ask]")
            browsing.expected = ["status of 422"]
            await tab.wait_for_selector("[aria-invalid]")
            await fits(tab, axe)
            await ask_phone(tab)
            await tab.fill("#pin", "1")
            await tab.click("button[value=approve]")
            await tab.wait_for_selector("[aria-invalid]")
            await fits(tab, axe)
            one.sim.settle(page.entry.provider_reference, Status.FAILED, reason=Reason.LIMIT)
            await tab.reload()
            await tab.wait_for_selector(".ended")
            await fits(tab, axe)


async def fits(tab: Tab, axe: Audit) -> None:
    """Assert what every step of the page keeps."""
    assert await axe(tab) == []
    assert await tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert await tab.evaluate(SMALL, TARGETS) == []


async def test_a_double_click_decides_once(browsing: Browsing) -> None:
    """Two clicks on Pay are one charge, and the shop is reached."""
    async with shop() as one:
        page = await one.order("paydunya")
        tab = await browsing.tab(page.path)
        await ask_phone(tab)
        await tab.fill("#pin", "0000")
        await tab.dblclick("button[value=approve]")
        await tab.wait_for_url(f"{one.url}/paid*")
        assert one.sim.ledger.charged(page.entry.provider_reference) == 5000


async def test_the_page_sees_what_happens_elsewhere(browsing: Browsing) -> None:
    """While the phone asks, an end of another source appears by itself; an expired page too."""
    async with shop() as one:
        page = await one.order("intram")
        tab = await browsing.tab(page.path)
        await ask_phone(tab)
        one.sim.settle(page.entry.provider_reference, Status.SUCCEEDED)
        await tab.wait_for_selector("text=Paiement réussi")
        one.sim.intram.page_life = 2.0
        late = await one.order("intram")
        await tab.goto(late.path)
        await tab.wait_for_selector("text=Paiement expiré")
        assert late.entry.status is Status.EXPIRED


@PROVIDERS
async def test_hostile_texts_run_nothing(browsing: Browsing, provider: str) -> None:
    """Markup of a merchant is shown as it was written; `javascript:` is no link."""
    hostile = "<img src=x onerror=alert(1)><script>document.title='taken'</script>"
    async with shop() as one:
        texts = Texts("javascript:document.title='taken'", "data:text/html,x", hostile, hostile)
        if provider in ("cinetpay", "cinetpay_v1", "intram"):  # which refuse such addresses
            texts = texts._replace(success=f"{one.url}/paid", failure=f"{one.url}/unpaid")
        page = await one.order(provider, texts)
        one.sim.settle(page.entry.provider_reference, Status.FAILED)
        tab = await browsing.tab(page.path)
        assert hostile in (await tab.inner_text("body"))
        assert await tab.title() != "taken"
        assert await tab.query_selector("img, main script, [href^=javascript]") is None


async def test_a_world_has_its_pages(browsing: Browsing) -> None:
    """Below a prefix the page has its style, and leads back."""
    async with shop() as one:
        world = one.sim.worlds.open("mine")
        tab = await browsing.tab()
        said = await tab.request.post(
            f"{world.url}/campay/api/get_payment_link/",
            headers=CAMPAY,
            data={"amount": "5", "failure_redirect_url": f"{one.url}/unpaid"},
        )
        await tab.goto((await said.json())["link"])
        assert await tab.evaluate("document.styleSheets[0].cssRules.length") > 0
        await tab.click("button[value=cancel]")
        await tab.wait_for_url(f"{one.url}/unpaid*")


@SCRIPTS
async def test_a_phone_of_the_same_network_pays(browsing: Browsing, scripts: bool) -> None:
    """Under a name that is no secure context Chromium sends no Sec-Fetch-Site: Origin decides."""
    async with shop() as one, Simulator(allow_host=["pay.test"]) as sim:
        page = await opened(sim, "paydunya", Texts(f"{one.url}/paid", f"{one.url}/unpaid"))
        port = sim.url.rpartition(":")[2]
        tab = await browsing.tab(f"http://pay.test:{port}{page.path}", java_script_enabled=scripts)
        await ask_phone(tab)
        await tab.fill("#pin", "0000")
        await tab.click("button[value=approve]")
        await tab.wait_for_url(f"{one.url}/paid*", timeout=5000)


async def test_a_page_of_another_port_cannot_pay(browsing: Browsing) -> None:
    """A form of another server of this machine, sent by the payer's browser, is refused."""
    browsing.expected = ["status of 403", "status of 404"]  # its icon
    async with shop() as one:
        page = await one.order("campay")
        form = f'<form method="post" action="{page.path}"><button name="decision" value="approve">'

        async def evil(request: web.BaseRequest) -> web.Response:
            text = f'<!doctype html><html lang="en"><title>t</title>{form}go</button></form>'
            return web.Response(text=text, content_type="text/html")

        async with serving(evil) as url:
            tab = await browsing.tab(f"{url}/")
            await tab.click("button")
            await tab.wait_for_url(page.path)
        assert page.entry.status is Status.PENDING
