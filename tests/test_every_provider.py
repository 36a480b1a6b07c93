"""The shop and the bots of paymux/examples with each provider in turn: one line is changed."""

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import aiohttp
import pytest

from paymux import Pool, Status
from paymux.drivers import load, own
from paymux.examples import till as tills
from paymux.examples.chats import ASKED, PAID
from paymux.examples.till import Till
from paymux.simulator import Simulator
from paymux.simulator.environment import variables
from paymux.simulator.ledger import Entry

from .cases import CASES
from .programs import free_ports
from .toys import KEY

# Orders of the M-Pesa gateway are numbers, which the shop and the bots do not make; CinetPay's API
# of 2026 wants the payer's name and e-mail, which they do not ask for.
APART = {"mpesa_gateway", "cinetpay_v1"}
COLLECTS = [name for name in own() if load(name).can("collect") and name not in APART]

pytestmark = [pytest.mark.slow, pytest.mark.asyncio]


@asynccontextmanager
async def serving(name: str, base: str) -> AsyncIterator[Simulator]:
    """Serve a provider whose messages come to an address below `base`."""
    async with Simulator(payer_delay=3600) as sim:
        if getattr(sim.provider(name), "webhook_url", None) == "":
            pool = Pool(sim.driver(name), webhook_base=base, webhook_key=KEY)
            sim.change(**{name: {"webhook_url": pool.webhook_url(name)}})
        yield sim


def settings(sim: Simulator, base: str, folder: Path) -> Mapping[str, str]:
    """Return all that is set, whatever the provider."""
    return {
        **variables(sim),
        "PAYMUX_WEBHOOK_BASE": base,
        "PAYMUX_WEBHOOK_KEY": KEY,
        "PAYMUX_JOURNAL": str(folder / "shop.db"),
    }


async def paid(sim: Simulator, name: str) -> None:
    """Wait until the provider has the order, and let its payer pay."""
    entries: list[Entry] = []
    while not entries:
        await asyncio.sleep(0.02)
        entries = [*sim.ledger.entries(provider=name)]
    (entry,) = entries
    assert entry.amount == 1000
    sim.settle(entry.provider_reference, Status.SUCCEEDED)


async def form_of(client: aiohttp.ClientSession, url: str) -> dict[str, str]:
    """Return the hidden fields of the shop's form, once the shop listens."""
    while True:
        try:
            async with client.get(url) as reply:
                page = await reply.text()
        except aiohttp.ClientError:
            await asyncio.sleep(0.1)
        else:
            return dict(re.findall(r'type="hidden" name="(\w+)" value="([^"]+)"', page))


@pytest.mark.parametrize("name", COLLECTS)
async def test_the_same_shop_collects(name: str, tmp_path: Path) -> None:
    """SHOP_ACCOUNT names another account, and the coffee is made once it is paid there."""
    case = CASES[name].order
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    async with AsyncExitStack() as ends:
        sim = await ends.enter_async_context(serving(name, f"{url}/pay"))
        client = await ends.enter_async_context(aiohttp.ClientSession())
        shop = await asyncio.create_subprocess_exec(
            *(sys.executable, "-W", "error", "-m", "paymux.examples.fastapi_shop"),
            env={
                **os.environ,
                **settings(sim, f"{url}/pay", tmp_path),
                "PORT": str(port),
                "PYTHONUNBUFFERED": "1",
                "SHOP_ACCOUNT": name,
                "SHOP_PRICE": f"1000 {case['currency']}",
            },
            stdout=asyncio.subprocess.PIPE,
            cwd=tmp_path,
        )
        assert shop.stdout is not None
        try:
            async with asyncio.timeout(90):
                form = await form_of(client, url)
                fields = {**form, "phone": case.get("payer", "")}
                async with client.post(
                    f"{url}/orders", data=fields, allow_redirects=False
                ) as bought:
                    assert bought.status == 303, await bought.text()
                await paid(sim, name)
                said = b""
                while f"make: {form['reference']}".encode() not in said:
                    said = await shop.stdout.readline()
                    assert said, "the shop has ended"
        finally:
            shop.terminate()
            await shop.wait()


@pytest.mark.parametrize("name", COLLECTS)
async def test_the_same_bot_collects(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the three bots share asks a payer, or shows the page, and tells that it is paid."""
    case = CASES[name].order
    shown: asyncio.Queue[str] = asyncio.Queue()

    async def edit(text: str, chat: str, message: str) -> None:
        assert (chat, message) == ("2", "3")
        await shown.put(text)

    async with serving(name, "http://127.0.0.1:1/pay") as sim:
        for variable, value in settings(sim, "http://127.0.0.1:1/pay", tmp_path).items():
            monkeypatch.setenv(variable, value)
        monkeypatch.setenv("BOT_CHATS", str(tmp_path / "chats.db"))
        monkeypatch.setattr(tills, "ACCOUNT", name)
        monkeypatch.setattr(tills, "CURRENCY", case["currency"])
        till = Till(edit)
        await till.open()
        try:
            async with asyncio.timeout(90):
                await till.charge("tg.1.2", "1000", case.get("payer", ""), "en", 1, 2, 3)
                asked = await shown.get()
                assert asked == ASKED["en"] or asked.startswith("http")
                await paid(sim, name)
                assert await shown.get() == PAID["en"]
        finally:
            await till.close()
