"""The simulator's page, in Chromium: the phone, the lists, trouble, and what an attacker sends."""

import asyncio
import re
import shutil
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

import paymux
from paymux.models import Status
from paymux.simulator import Simulator

from .conftest import Audit, Browsing
from .paying import ask, ask_many

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="session")]

FILES = Path(paymux.__file__).parent / "simulator" / "page"
HOSTILE = "<img src=x onerror=alert(1)><script>alert(2)</script>"


@pytest_asyncio.fixture(loop_scope="session")
async def sim() -> AsyncIterator[Simulator]:
    """Run a simulator whose payers decide on the page; it outlives the tabs of the test."""
    async with Simulator(payers="ask") as one:
        yield one


async def opened(browsing: Browsing, sim: Simulator, **options: Any) -> Page:
    """Open the page, and wait until it hears the simulator."""
    tab = await browsing.tab(f"{sim.url}/", **options)
    await expect(tab.locator("#env")).to_contain_text("PAYMUX_CAMPAY")
    return tab


async def test_the_whole_page_is_small() -> None:
    """HTML, CSS, JavaScript and words are at most 48 KB as written, and nothing else is loaded."""
    files = {file.name: file.stat().st_size for file in FILES.iterdir()}
    assert set(files) == {"index.html", "page.css", "page.js", "words.js"}
    assert sum(files.values()) <= 48 * 1024, files
    source = "".join(file.read_text(encoding="utf-8") for file in FILES.iterdir())
    assert not re.search(
        r"https?://[a-z]|innerHTML|outerHTML|insertAdjacent|document\.write", source
    )


async def test_every_word_is_there_in_both_languages(sim: Simulator, browsing: Browsing) -> None:
    """No text of the page is empty, and each key that it names has an English and a French word."""
    html = (FILES / "index.html").read_text(encoding="utf-8")
    keys = re.findall(r'data-(?:w|label|hint)="(\w+)"', html)
    tab = await opened(browsing, sim)
    words = await tab.evaluate("WORDS")
    assert [key for key in keys if key not in words] == []
    assert [key for key, pair in words.items() if len(pair) != 2 or not all(pair)] == []


async def test_a_thumb_pays(sim: Simulator, browsing: Browsing) -> None:
    """A wrong PIN says how many tries are left, 0000 pays, and the change is seen at once."""
    tab = await opened(browsing, sim, width=390, height=844, has_touch=True)
    await ask(sim, "order-1", amount="5000")
    await expect(tab.locator("#amount")).to_have_text("5\u202f000\u00a0XAF")
    await expect(tab.locator("#said")).to_contain_text("+237\u00a0677\u00a000\u00a000\u00a001")
    await tab.tap("#pay")
    await expect(tab.locator("#pin-error")).to_have_text("Type 4 to 8 digits.")
    await tab.fill("#pin", "1234")
    await tab.tap("#pay")
    await expect(tab.locator("#pin-error")).to_have_text("Wrong PIN. Tries left: 2.")
    await tab.fill("#pin", "0000")
    await tab.tap("#pay")
    await expect(tab.locator("#result")).to_contain_text("succeeded")
    await expect(tab.locator("#rows li")).to_contain_text("succeeded")
    assert sim.ledger.charged("order-1") == 5000
    await expect(tab.locator("#prompt")).to_be_hidden()


async def test_the_third_wrong_pin_ends_it(sim: Simulator, browsing: Browsing) -> None:
    """Three wrong PINs fail the payment, as at an operator."""
    tab = await opened(browsing, sim)
    await ask(sim, "order-1")
    for left in (2, 1):
        await tab.fill("#pin", "9999")
        await tab.press("#pin", "Enter")
        await expect(tab.locator("#pin-error")).to_have_text(f"Wrong PIN. Tries left: {left}.")
    await tab.fill("#pin", "9999")
    await tab.press("#pin", "Enter")
    await expect(tab.locator("#result")).to_contain_text("failed · wrong PIN")


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("Decline", Status.FAILED),
        ("ignore", Status.PENDING),
        ("cancel", Status.CANCELLED),
        ("no money", Status.FAILED),
        ("over limit", Status.FAILED),
        ("busy", Status.FAILED),
        ("let expire", Status.EXPIRED),
    ],
)
async def test_each_other_answer(
    sim: Simulator, browsing: Browsing, name: str, status: Status
) -> None:
    """Every answer of a payer is one press."""
    tab = await opened(browsing, sim)
    await ask(sim, "order-1")
    await tab.get_by_role("button", name=name, exact=True).click()
    await expect(tab.locator("#result")).to_be_visible()
    [entry] = sim.ledger.entries("order-1")
    assert entry.status is status


async def test_prompts_queue_by_number(sim: Simulator, browsing: Browsing) -> None:
    """Each number has a phone of its own, whose oldest prompt is shown first."""
    tab = await opened(browsing, sim)
    await ask(sim, "first")
    await ask(sim, "second")
    await ask(sim, "other", party="237677000002")
    await expect(tab.locator("#number option")).to_have_count(2)
    await expect(tab.locator("#waiting")).to_have_text("1 of 2")
    await expect(tab.locator("#reference")).to_contain_text("first")
    await tab.select_option("#number", "237677000002")
    await expect(tab.locator("#reference")).to_contain_text("other")
    await tab.get_by_role("button", name="Decline", exact=True).click()
    await expect(tab.locator("#reference")).to_contain_text("first")


async def test_a_new_prompt_takes_no_focus(sim: Simulator, browsing: Browsing) -> None:
    """While a person types elsewhere, a prompt is announced and the focus stays."""
    tab = await opened(browsing, sim)
    await tab.focus("#text")
    await ask(sim, "order-1")
    await expect(tab.locator("#prompt")).to_be_visible()
    await expect(tab.locator("#said")).to_contain_text("is asked")
    assert await tab.evaluate("document.activeElement.id") == "text"


async def test_everything_by_keyboard_alone(sim: Simulator, browsing: Browsing) -> None:
    """Pay, look at a request, send a webhook again, plan trouble and remove it, without a mouse."""
    sim.campay.webhook_url = f"{sim.url}/nothing-here"
    tab = await opened(browsing, sim)
    keys = tab.keyboard
    await ask(sim, "order-1")
    await expect(tab.locator("#prompt")).to_be_visible()
    await tab.focus("#number")
    await keys.press("Tab")
    await keys.type("0000")
    await keys.press("Enter")
    await expect(tab.locator("#result")).to_contain_text("succeeded")
    assert await tab.evaluate("document.activeElement.id") == "result"
    await keys.press("2")
    await expect(tab.locator("#tab-requests")).to_be_focused()
    await keys.press("ArrowRight")
    await expect(tab.locator("#tab-deliveries")).to_have_attribute("aria-selected", "true")
    await expect(tab.locator("#rows li")).to_have_count(1)
    for _ in range(4):  # filter, provider, the line, its "again"
        await keys.press("Tab")
    assert await tab.evaluate("document.activeElement.className") == "again"
    await keys.press("Enter")
    await expect(tab.locator("#newer")).to_have_text("1 new")
    await keys.press("Shift+Tab")
    await keys.press("Enter")
    await expect(tab.locator("#detail-title")).to_be_focused()
    await keys.press("Escape")
    assert await tab.evaluate("document.activeElement.className") == "row"
    await keys.press("/")
    await expect(tab.locator("#text")).to_be_focused()
    await keys.type("3?")
    await expect(tab.locator("#text")).to_have_value("3?")
    await tab.get_by_role("button", name="lose it").focus()
    await keys.press("Space")
    await expect(tab.locator("#planned")).to_contain_text("lose it · campay · next 1")
    await tab.locator("#planned button").focus()
    await keys.press("Enter")
    await expect(tab.locator("#planned")).to_have_text("Nothing is planned.")
    await keys.press("?")
    await expect(tab.locator("#keys")).to_be_visible()
    await keys.press("Escape")
    await expect(tab.locator("#keys")).to_be_hidden()


async def test_webhooks_go_again_forged_and_twice(sim: Simulator, browsing: Browsing) -> None:
    """The message of a payment is repeated as it was, or forged, by a press."""
    sim.campay.webhook_url = f"{sim.url}/nothing-here"
    await ask(sim, "order-1")
    tab = await opened(browsing, sim)
    await tab.get_by_role("button", name="Decline", exact=True).click()
    await tab.keyboard.press("3")
    await tab.locator(".row").first.click()
    await tab.locator("#facts").get_by_role("button", name="twice more").click()
    await tab.locator("#facts").get_by_role("button", name="forged").click()
    await expect(tab.locator("#rows li")).to_have_count(4)
    await expect(tab.locator("#rows li").first).to_contain_text("forged")
    await expect(tab.locator("#rows li").nth(1)).to_contain_text("again of 1")


async def test_what_is_hostile_stays_text(sim: Simulator, browsing: Browsing) -> None:
    """A description, a reference, a header and a body with markup are shown letter by letter."""
    tab = await opened(browsing, sim)
    await ask(sim, HOSTILE, description=HOSTILE, header=HOSTILE)
    await expect(tab.locator("#description")).to_have_text(HOSTILE)
    await expect(tab.locator(".what")).to_have_text(HOSTILE)
    await tab.locator(".row").click()
    await expect(tab.locator("#detail-title")).to_contain_text(HOSTILE)
    await tab.keyboard.press("2")
    await tab.locator(".row").first.click()
    await expect(tab.locator("#facts")).to_contain_text(f"x-note: {HOSTILE}")
    assert await tab.locator("#phone img, #logs img, #detail img, body script").count() == 0


@pytest.mark.parametrize("locale", ["en-GB", "fr-FR"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1280])
async def test_axe_finds_nothing_serious(
    sim: Simulator, browsing: Browsing, axe: Audit, width: int, scheme: str, locale: str
) -> None:
    """No finding that is serious or critical, idle and asked, with everything open."""
    sim.campay.webhook_url = f"{sim.url}/nothing-here"
    tab = await opened(
        browsing, sim, width=width, locale=locale, color_scheme=scheme, reduced_motion="reduce"
    )
    await tab.evaluate("document.querySelectorAll('details').forEach((one) => one.open = true)")
    assert await axe(tab) == []
    await ask(sim, "order-1")
    await ask(sim, "order-2")
    await ask(sim, "order-3", party="237677777770")
    await tab.locator("#decide button").last.click()
    await expect(tab.locator("#result")).to_be_visible()
    await tab.evaluate("act('POST', 'faults', {provider: 'campay', kind: 'stall'})")
    for name in ("deliveries", "requests", "payments"):
        await tab.locator(f"#tab-{name}").click()
        await tab.locator(".row").first.click()
        await expect(tab.locator("#detail")).to_be_visible()
        assert await axe(tab) == []
    assert await tab.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert await tab.get_attribute("html", "lang") == locale[:2]


async def test_targets_are_44_pixels(sim: Simulator, browsing: Browsing) -> None:
    """Whatever can be pressed is at least 44 px high and wide, on the narrowest phone."""
    await ask(sim, "order-1")
    tab = await opened(browsing, sim, width=320, height=640)
    await tab.evaluate("document.querySelectorAll('details').forEach((one) => one.open = true)")
    small = await tab.evaluate("""
        [...document.querySelectorAll("button, input, select, summary")]
          .map((one) => [one.id || one.textContent, one.getBoundingClientRect()])
          .filter(([, box]) => box.width && (box.width < 43.9 || box.height < 43.9))
          .map(([name, box]) => [name, box.width, box.height])""")
    assert small == []


async def test_language_and_scheme_are_kept(sim: Simulator, browsing: Browsing) -> None:
    """The switches change the page at once, and the next visit is as the last one was."""
    tab = await opened(browsing, sim, color_scheme="light")
    await tab.get_by_role("button", name="fr", exact=True).click()
    await tab.locator("#scheme").click()
    await tab.reload()
    await expect(tab.locator("#tab-payments")).to_have_text("Paiements")
    assert await tab.title() == "paymux simulateur"
    shown = await tab.evaluate("getComputedStyle(document.body).backgroundColor")
    assert shown == "rgb(13, 19, 17)"


async def test_lists_hold_200_lines_and_older(sim: Simulator, browsing: Browsing) -> None:
    """Of 450 payments the newest 200 are shown, "older" adds 200, and the filter finds a number."""
    await ask_many(sim, 450)
    tab = await opened(browsing, sim)
    await expect(tab.locator("#rows li")).to_have_count(200)
    await expect(tab.locator("#rows li").first).to_contain_text("order-450")
    await tab.locator("#older").click()
    await expect(tab.locator("#rows li")).to_have_count(400)
    await tab.locator("#older").click()
    await expect(tab.locator("#rows li")).to_have_count(450)
    await expect(tab.locator("#older")).to_be_hidden()
    await tab.fill("#text", "order-17")
    await expect(tab.locator("#rows li")).to_have_count(11)
    await tab.select_option("#provider", "mpesa")
    await expect(tab.locator("#none")).to_have_text("Nothing fits the filter.")


async def test_what_is_read_does_not_jump(sim: Simulator, browsing: Browsing) -> None:
    """New lines wait above a list that is scrolled; a status changes in its place at once."""
    await ask_many(sim, 60)
    tab = await opened(browsing, sim)
    await tab.locator("#list").evaluate("(list) => { list.scrollTop = 600; }")
    before = await tab.locator(".what").nth(20).bounding_box()
    await ask(sim, "new-1")
    await ask(sim, "new-2")
    await expect(tab.locator("#newer")).to_have_text("2 new")
    sim.settle("order-40", Status.SUCCEEDED)
    await expect(tab.locator("#rows li").nth(20)).to_contain_text("succeeded")
    assert await tab.locator(".what").nth(20).bounding_box() == before
    await tab.locator("#newer").click()
    await expect(tab.locator("#rows li").first).to_contain_text("new-2")


@pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed")
async def test_empty_lists_say_what_to_do_next(sim: Simulator, browsing: Browsing) -> None:
    """The line of curl on the idle phone, as copied, asks a payer."""
    tab = await opened(browsing, sim, permissions=["clipboard-read", "clipboard-write"])
    await tab.locator("#idle .copy").click()
    await expect(tab.locator("#toast")).to_have_text("Copied.")
    line = await tab.evaluate("navigator.clipboard.readText()")
    assert "\t" not in line  # a shell would complete a word there
    pasted = await asyncio.create_subprocess_shell(line, stdout=PIPE, stderr=PIPE)
    await pasted.communicate()
    await expect(tab.locator("#amount")).to_have_text("5\u202f000\u00a0XAF")
    await tab.get_by_role("button", name="ignore", exact=True).click()
    await tab.locator("#reset").evaluate("act('POST', 'reset', {})")
    await expect(tab.locator("#none")).to_contain_text("No payment yet")
    await tab.keyboard.press("3")
    await expect(tab.locator("#none")).to_contain_text("No webhook yet")


async def test_worlds_and_a_root_provider_have_the_page_too(browsing: Browsing) -> None:
    """In a world the page shows that world alone; below a root provider it is at /_paymux/."""
    browsing.expected.append("net::ERR_")  # this simulator ends before its tabs
    async with Simulator(payers="ask", root="campay") as sim:
        world = sim.world("blue")
        await ask(sim, "in-the-default")
        default = await browsing.tab(f"{sim.url}/_paymux/")
        await expect(default.locator("#rows li")).to_contain_text("in-the-default")
        tab = await browsing.tab(f"{world.url}/_paymux/")
        await expect(tab.locator("#none")).to_contain_text("No payment yet")
        await ask(world, "in-blue")
        await expect(tab.locator("#reference")).to_contain_text("in-blue")
        await tab.fill("#pin", "0000")
        await tab.press("#pin", "Enter")
        await expect(tab.locator("#result")).to_contain_text("succeeded")
        assert world.ledger.charged() == 5000
        assert sim.ledger.charged() == 0
        await expect(default.locator("#rows li")).to_have_count(1)
