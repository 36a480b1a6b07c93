"""The shops of paymux/examples in a browser, as a buyer meets them.

Each is run unchanged, in two workers; the simulated payer decides as the buyer would on a phone.
"""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Page, expect

from paymux import Reason, Status
from paymux.simulator import Fault, Simulator

from ..programs import MPESA_SHOP, free_ports
from ..test_frameworks import NEVER_ANSWERS, PAYS, SHOPS, Order, Shop
from ..toys import KEY
from .conftest import Audit, Browsing

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="session")]

SECONDS = 30_000  # milliseconds that a page may take to show how its order ended
# Ends its process between the payment and what is done about it: nothing is printed any more.
DYING = """
import builtins, os, runpy, sys

said = builtins.print

def dying(*words, **options):
    if words[0] == "make:":
        os._exit(9)
    said(*words, **options)

builtins.print = dying
runpy.run_module(sys.argv[1], run_name="__main__", alter_sys=True)
"""


@pytest_asyncio.fixture(loop_scope="session", scope="module", params=SHOPS)
async def shop(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Shop]:
    """Run a shop's two workers."""
    async with Shop(request.param, tmp_path_factory.mktemp("shop")) as running:
        yield running


async def ordered(tab: Page, sim: Simulator, phone: str) -> Order:
    """Fill the form in and pay, until the page of the order is shown."""
    await tab.get_by_label("Your mobile money number").fill(phone)
    await tab.get_by_role("button", name="Pay 250 KES").click()
    await tab.wait_for_url("**/orders/order-*")
    reference = tab.url.rpartition("/")[2]
    path = f"/{reference.encode().hex()}"
    entries = [one for one in sim.ledger.entries() if path in one.words["CallBackURL"]]
    assert len(entries) == 1
    return Order(reference, entries[0])


async def shows(tab: Page, title: str) -> None:
    """Wait until the page says how the order ended."""
    await expect(tab.get_by_role("heading", name=title)).to_be_visible(timeout=SECONDS)


async def test_a_buyer_pays(shop: Shop, browsing: Browsing, axe: Audit) -> None:
    """A wrong number is named, a right one is asked, and the page says by itself when it is paid.

    No page has a fault that keeps a person out, at the width of a phone or with dark colours.
    """
    tab = await browsing.tab(f"{shop.urls[0]}/", width=320, color_scheme="dark")
    assert await axe(tab) == []
    browsing.expected = ["status of 422"]
    await tab.get_by_label("Your mobile money number").fill("12")
    await tab.get_by_role("button").click()
    await expect(tab.get_by_role("alert")).to_have_text("Please give a mobile phone number of KE.")
    assert await axe(tab) == []
    order = await ordered(tab, shop.sim, next_payer())
    await shows(tab, "Not paid yet")
    assert await axe(tab) == []
    shop.settle(order, Status.SUCCEEDED)
    await shows(tab, "Paid, thank you")
    assert await axe(tab) == []
    await shop.until(lambda: shop.said(f"make: {order.reference}"))
    assert shop.sim.ledger.charged(order.entry.provider_reference) == 250
    assert await tab.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize(
    ("status", "reason", "told"),
    [
        (Status.FAILED, Reason.INSUFFICIENT_FUNDS, "There is not enough money in the account."),
        (Status.CANCELLED, Reason.CANCELLED, "The payment was cancelled."),
    ],
    ids=["declined", "cancelled"],
)
async def test_a_buyer_does_not_pay(
    shop: Shop, browsing: Browsing, status: Status, reason: Reason, told: str
) -> None:
    """The page says why, nothing is made, and the way back leads to a new order."""
    tab = await browsing.tab(f"{shop.urls[0]}/")
    order = await ordered(tab, shop.sim, next_payer())
    shop.sim.settle(order.entry.provider_reference, status, reason=reason)
    await shows(tab, "Not paid")
    await expect(tab.get_by_text(told)).to_be_visible()
    await tab.get_by_role("link", name="To the shop").click()
    again = await ordered(tab, shop.sim, next_payer())
    assert again.reference != order.reference
    assert shop.said(f"make: {order.reference}") == 0


async def test_a_forged_message_pays_nothing(shop: Shop, browsing: Browsing) -> None:
    """The page of an order goes on waiting after a success that the provider never had."""
    tab = await browsing.tab(f"{shop.urls[0]}/")
    order = await ordered(tab, shop.sim, next_payer())
    assert await shop.deliver(shop.message(order, forged=True), 0) == 200
    await tab.reload()
    await shows(tab, "Not paid yet")
    assert shop.said(f"make: {order.reference}") == 0
    assert shop.sim.ledger.charged(order.entry.provider_reference) == 0


async def test_a_buyer_needs_no_javascript(shop: Shop, browsing: Browsing) -> None:
    """The page loads itself again until the order has ended, also after a lost answer."""
    tab = await browsing.tab(f"{shop.urls[0]}/", java_script_enabled=False)
    shop.sim.fault("mpesa", "POST /mpesa/stkpush/", kind=Fault.DROP_AFTER)
    order = await ordered(tab, shop.sim, next_payer())
    await shows(tab, "Not paid yet")
    shop.settle(order, Status.SUCCEEDED)
    await shows(tab, "Paid, thank you")
    assert shop.sim.ledger.charged(order.entry.provider_reference) == 250


async def test_a_form_that_is_sent_twice_is_one_charge(shop: Shop, browsing: Browsing) -> None:
    """Back and once more is the same order: its reference came with the form."""
    tab = await browsing.tab(f"{shop.urls[0]}/")
    phone = next_payer()
    order = await ordered(tab, shop.sim, phone)
    await tab.go_back()
    again = await ordered(tab, shop.sim, phone)
    assert again == order


async def test_an_unknown_order_is_not_found(shop: Shop, browsing: Browsing) -> None:
    """What stands in the address bar is not believed."""
    browsing.expected = ["status of 404"]
    for reference in ("order-1", "order-%3Cscript%3E", f"order-{'0' * 36}"):
        tab = await browsing.tab(f"{shop.urls[0]}/orders/{reference}")
        await shows(tab, "No such order")


_PAYERS = iter(range(int(NEVER_ANSWERS) + 100_000, int(NEVER_ANSWERS) + 900_000))


def next_payer() -> str:
    """Return a number that never answers by itself."""
    return str(next(_PAYERS))


# A crash, and a provider with a page of its own.


def settings(sim: Simulator, folder: Path, port: int, account: str) -> Mapping[str, str]:
    """Give the environment of a shop."""
    provider = sim.providers[account]
    url = f"{provider.url}{provider.base_path}"
    fields = {**provider.credentials, "driver": account, "base_url": url}
    return {
        **os.environ,
        "PORT": str(port),
        "PAYMUX_JOURNAL": str(folder / "shop.db"),
        "PAYMUX_WEBHOOK_BASE": f"http://127.0.0.1:{port}/pay",
        "PAYMUX_WEBHOOK_KEY": KEY,
        "PYTHONUNBUFFERED": "1",
        **{f"PAYMUX_{account}__{field}".upper(): value for field, value in fields.items()},
    }


@contextlib.asynccontextmanager
async def running(*command: str, env: Mapping[str, str], log: Path) -> AsyncIterator[Any]:
    """Run a shop until it listens, and end it."""
    with log.open("ab") as output:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-W", "error", *command), env=env, stdout=output, stderr=output
        )
        try:
            async with asyncio.timeout(60):
                while not await _listens(int(env["PORT"])):
                    assert process.returncode is None, log.read_text(encoding="utf-8")
                    await asyncio.sleep(0.05)
            yield process
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.terminate()
            await process.wait()


async def _listens(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    await writer.wait_closed()
    return True


@pytest.mark.parametrize("name", SHOPS)
async def test_a_crash_between_payment_and_fulfilment(
    name: str, browsing: Browsing, tmp_path: Path
) -> None:
    """The next worker makes what was paid, once, and the page that waited goes on by itself."""
    (port,) = free_ports(1)
    log = tmp_path / "log"
    module = f"paymux.examples.{name}"
    browsing.expected = ["net::ERR_"]
    async with Simulator(payer_delay=0.5) as sim:
        env = {**settings(sim, tmp_path, port, "mpesa"), **MPESA_SHOP}
        async with running("-c", DYING, module, env=env, log=log) as first:
            tab = await browsing.tab(f"http://127.0.0.1:{port}/")
            order = await ordered(tab, sim, PAYS)
            assert await asyncio.wait_for(first.wait(), 60) == 9
        assert "make:" not in log.read_text(encoding="utf-8")
        async with running("-m", module, env=env, log=log):
            await shows(tab, "Paid, thank you")
            async with asyncio.timeout(60):
                while f"make: {order.reference}" not in log.read_text(encoding="utf-8"):
                    await asyncio.sleep(0.05)
        said = log.read_text(encoding="utf-8")
    assert said.count("make:") == 1
    assert "Traceback" not in said, said
    assert sim.ledger.charged() == 250


@pytest.mark.parametrize("way", ["pay", "decline", "cancel"])
@pytest.mark.parametrize("account", ["cinetpay", "intram", "paydunya"])
async def test_a_buyer_is_sent_to_the_providers_page_and_comes_back(
    account: str, way: str, browsing: Browsing, tmp_path: Path
) -> None:
    """The shop asks for no number; the page of the order tells what happened at the provider's."""
    (port,) = free_ports(1)
    price = {"SHOP_ACCOUNT": account, "SHOP_PRICE": "5000 XOF"}
    async with Simulator() as sim:
        env = {**settings(sim, tmp_path, port, account), **price}
        command = ("-m", "paymux.examples.fastapi_shop")
        async with running(*command, env=env, log=tmp_path / "log"):
            tab = await browsing.tab(f"http://127.0.0.1:{port}/")
            assert await tab.get_by_label("Your mobile money number").count() == 0
            await tab.get_by_role("button", name="Pay 5000 XOF").click()
            await tab.wait_for_url(f"{sim.url}/{account}/**")
            if way != "cancel":
                await tab.fill("#number", "07 07 07 07 07")
                await tab.click("button[value=ask]")
            if way == "pay":
                await tab.fill("#pin", "0000")
            await tab.click(f"button[value={'approve' if way == 'pay' else way}]")
            await tab.wait_for_url(f"http://127.0.0.1:{port}/orders/order-*")
            await shows(tab, "Paid, thank you" if way == "pay" else "Not paid")
    assert sim.ledger.charged() == (5000 if way == "pay" else 0)
