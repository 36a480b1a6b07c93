"""The shops of paymux/examples, unchanged, in the real frameworks.

Two workers, real webhooks, and forged ones.
"""

import asyncio
import contextlib
import os
import signal
import sqlite3
import sys
import time
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import NamedTuple, Self
from uuid import uuid4

import aiohttp
import pytest
import pytest_asyncio
from asgiref.sync import async_to_sync

from paymux import Pool, UsageError
from paymux.models import Status
from paymux.simulator import Fault, Simulator
from paymux.simulator.ledger import Entry
from paymux.simulator.messages import Message

from .programs import MPESA_SHOP, free_ports
from .toys import KEY

ROOT = Path(__file__).parent.parent
# The library that each is loaded with.
SHOPS = {
    "fastapi_shop": "fastapi",
    "starlette_shop": "starlette",
    "litestar_shop": "litestar",
    "quart_shop": "quart",
    "aiohttp_shop": "aiohttp",
    "django_shop": "django",
    "django_wsgi_shop": "django",
    "flask_shop": "flask",
}
PAYS, NEVER_ANSWERS = "254708374149", "254708000001"

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="module")]


class Order(NamedTuple):
    """An order: its reference at the shop, and the provider's record of it, which knows the
    reference not.
    """

    reference: str
    entry: Entry


class Shop:
    """A shop's program in two workers with one journal, and the payers and provider that it
    meets.
    """

    def __init__(self, example: str, directory: Path) -> None:
        self._example = example
        self._directory = directory
        self.sim = Simulator(payer_delay=0.05)
        self._payers = int(NEVER_ANSWERS)
        self._ends = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        await self._ends.enter_async_context(self.sim)
        self._client = await self._ends.enter_async_context(
            aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(60))
        )
        ports = free_ports(2)
        self.urls = [f"http://127.0.0.1:{port}" for port in ports]
        errors = self._ends.enter_context((self._directory / "stderr").open("wb"))
        output = self._ends.enter_context((self._directory / "stdout").open("wb"))
        account = {**self.sim.mpesa.credentials, "driver": "mpesa", "base_url": self.sim.mpesa.url}
        self._runner = await asyncio.create_subprocess_exec(
            *(
                sys.executable,
                "-W",
                "error",
                "-m",
                "tests.programs.shop",
                self._example,
                SHOPS[self._example],
            ),
            *map(str, ports),
            stdin=asyncio.subprocess.PIPE,
            stdout=output,
            stderr=errors,
            cwd=self._directory,
            env={
                **os.environ,
                "PYTHONPATH": f"{ROOT}:{self._directory}",
                "PAYMUX_WEBHOOK_BASE": f"{self.urls[0]}/pay",
                "PAYMUX_WEBHOOK_KEY": KEY,
                "PAYMUX_JOURNAL": str(self._directory / "shop.db"),
                **MPESA_SHOP,
                **{f"PAYMUX_MPESA__{field.upper()}": value for field, value in account.items()},
            },
        )
        for port in ports:
            await self._listens(port)
        return self

    async def _listens(self, port: int) -> None:
        until = time.monotonic() + 60.0
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                assert time.monotonic() < until, self.errors()
                assert self._runner.returncode is None, self.errors()
                await asyncio.sleep(0.05)
            else:
                writer.close()
                return

    async def __aexit__(self, *_: object) -> None:
        if self._runner.stdin is not None:
            self._runner.stdin.close()  # which ends the workers, too
        await self._runner.wait()
        await self._ends.aclose()

    def said(self, line: str = "") -> int:
        """Count the lines that the workers wrote."""
        lines = (self._directory / "stdout").read_text(encoding="utf-8").splitlines()
        return sum(one.startswith(line) for one in lines)

    def errors(self) -> str:
        """Give what the workers wrote to their standard error."""
        return (self._directory / "stderr").read_text(encoding="utf-8")

    async def until(self, seen: Callable[[], object], seconds: float = 60.0) -> None:
        """Wait until something is seen."""
        end = time.monotonic() + seconds
        while not seen():
            assert time.monotonic() < end, self.errors()
            await asyncio.sleep(0.01)

    async def order(self, payer: str = "") -> Order:
        """Place an order; by default its payer waits to be settled."""
        self._payers += 1
        reference = f"order-{uuid4()}"
        order = {"reference": reference, "phone": payer or str(self._payers)}
        url = f"{self.urls[0]}/orders"
        try:
            async with self._client.post(url, data=order, allow_redirects=False) as response:
                assert response.status == 303, await response.text()
                assert response.headers["location"] == f"/orders/{reference}"
        except (aiohttp.ClientError, AssertionError) as error:
            error.add_note(self.errors())
            raise
        path = f"/{reference.encode().hex()}"
        entries = self.sim.ledger.entries(provider="mpesa")
        (entry,) = (entry for entry in entries if path in entry.words["CallBackURL"])
        assert entry.party == order["phone"]
        return Order(reference, entry)

    async def refused(self, phone: str, reference: str | None = None) -> str:
        """Order something that cannot be ordered, and give the answer."""
        order = {"reference": reference or f"order-{uuid4()}", "phone": phone}
        async with self._client.post(f"{self.urls[0]}/orders", data=order) as response:
            assert response.status == 422, (response.status, self.errors())
            return await response.text()

    async def page(self, order: Order) -> str:
        """Give the page of an order, as the second worker shows it."""
        async with self._client.get(f"{self.urls[1]}/orders/{order.reference}") as response:
            assert response.status == 200, self.errors()
            assert response.content_type == "text/html"
            return await response.text()

    def settle(self, order: Order, status: Status) -> None:
        """Let the payer decide."""
        self.sim.settle(order.entry.provider_reference, status)

    def message(self, order: Order, *, forged: bool = False) -> Message:
        """Make the provider's message about an order, which Daraja does not sign."""
        message = self.sim.mpesa.message(order.entry, forged=forged)
        assert isinstance(message, Message)
        return message

    async def deliver(self, message: Message, worker: int) -> int:
        """Bring a message to a worker, and give the HTTP status of its answer."""
        url = message.url.replace(self.urls[0], self.urls[worker])
        async with self._client.post(url, data=message.body, headers=message.headers) as response:
            await response.read()
            return response.status

    def status(self, order: Order) -> str:
        """Give what the journal holds of an order."""
        (journal,) = self._directory.glob("*.db")  # each program's has a name of its own
        with contextlib.closing(sqlite3.connect(journal)) as db:
            row = db.execute(
                "SELECT status FROM payments WHERE reference = ?", (order.reference,)
            ).fetchone()
        return str(row[0])

    async def end(self, how: signal.Signals) -> list[int]:
        """Send both workers a signal; give their exit codes."""
        await self.until(lambda: self.said("workers"))
        output = self._directory / "stdout"
        told = next(line for line in output.read_text().splitlines() if line.startswith("workers"))
        for worker in told.split()[1:]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(worker), how)
        await asyncio.wait_for(self._runner.wait(), 60)
        told = next(line for line in output.read_text().splitlines() if line.startswith("ended"))
        return [int(code) for code in told.split()[1:]]


@pytest_asyncio.fixture(loop_scope="module", scope="module", params=SHOPS)
async def shop(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Shop]:
    """Run a shop's two workers."""
    async with Shop(request.param, tmp_path_factory.mktemp("shop")) as running:
        yield running


async def test_an_order_that_is_paid_is_fulfilled_once(shop: Shop) -> None:
    """The provider's own webhook, over a socket, makes one e-mail.

    It is acknowledged, and the money was moved.
    """
    order = await shop.order(PAYS)
    await shop.until(lambda: shop.said(f"make: {order.reference}"))
    (delivery,) = (
        sent for sent in shop.sim.deliveries if sent.message.url == order.entry.words["CallBackURL"]
    )
    await shop.until(lambda: delivery.status)
    assert delivery.status == 200
    assert shop.sim.ledger.charged(order.entry.provider_reference) == 250
    assert (shop.said(f"make: {order.reference}"), shop.said("release")) == (1, 0)
    assert "Paid, thank you" in await shop.page(order)


async def test_a_page_waits_until_its_order_ends(shop: Shop) -> None:
    """It says that the order is not paid, loads again, and then says why it failed."""
    order = await shop.order()
    page = await shop.page(order)
    assert "Not paid yet" in page
    assert "refresh" in page
    shop.settle(order, Status.FAILED)
    await shop.until(lambda: shop.said(f"release: {order.reference}"))
    page = await shop.page(order)
    assert "<h1>Not paid</h1><p>There is not enough money in the account." in page
    assert "refresh" not in page


async def test_a_form_is_told_which_field_is_wrong(shop: Shop) -> None:
    """A mistyped number gives HTTP 422 and the form with what is accepted; no prompt is sent."""
    before = len(shop.sim.requests)
    said = await shop.refused("not a number")
    assert 'role="alert"' in said
    assert "Please give a mobile phone number of KE" in said
    for reference in ("x", "order-7", "../orders/7", "<script>"):
        assert "You were not charged." in await shop.refused(PAYS, reference)
    assert len(shop.sim.requests) == before


async def test_a_forged_success_leaves_the_order_unpaid(shop: Shop) -> None:
    """Neither a success that never was, nor another order's real one, pays an order.

    Its failure frees it once.
    """
    paid, unpaid = await shop.order(PAYS), await shop.order()
    await shop.until(lambda: shop.said(f"make: {paid.reference}"))
    lie, other = shop.message(unpaid, forged=True), shop.message(paid)
    borrowed = Message(url=lie.url, headers=other.headers, body=other.body)
    nowhere = Message(
        url=lie.url[:-1] + ("0" if lie.url[-1] != "0" else "1"), headers=lie.headers, body=lie.body
    )
    statuses = [
        await shop.deliver(message, worker)
        for message in (lie, borrowed, nowhere)
        for worker in (0, 1)
    ]
    assert statuses == [200, 200, 200, 200, 404, 404]
    assert shop.status(unpaid) == Status.PENDING
    assert shop.said(f"make: {unpaid.reference}") == shop.said(f"release: {unpaid.reference}") == 0
    shop.settle(unpaid, Status.FAILED)
    await shop.until(lambda: shop.said(f"release: {unpaid.reference}"))
    assert shop.status(unpaid) == Status.FAILED
    assert shop.said(f"make: {unpaid.reference}") == 0
    assert shop.said(f"make: {paid.reference}") == 1


async def test_ten_deliveries_to_two_workers_fulfil_once(shop: Shop) -> None:
    """Ten copies of one message at once, five to each worker, are all acknowledged, and make one
    e-mail.
    """
    order = await shop.order()
    shop.sim.fault("mpesa", order.entry.provider_reference, kind=Fault.WEBHOOK_LOST)
    shop.settle(order, Status.SUCCEEDED)
    message = shop.message(order)
    statuses = await asyncio.gather(*(shop.deliver(message, number % 2) for number in range(10)))
    assert set(statuses) == {200}
    assert shop.said(f"make: {order.reference}") == 1
    assert shop.status(order) == Status.SUCCEEDED


async def test_the_workers_end_cleanly(shop: Shop) -> None:
    """Ended by Ctrl-C, both workers close their pool, without a warning on the way there or in all
    they did.
    """
    await shop.order()
    assert await shop.end(signal.SIGINT) == [0, 0]
    errors = shop.errors()
    found = [word for word in ("Traceback", "Warning", "never", "unclosed") if word in errors]
    assert found == [], errors


async def test_a_loop_for_each_thread_is_refused_and_loops_in_turn_are_not() -> None:
    """Why the shop under WSGI has one loop.

    Of ten requests at once in ten loops, a pool refuses all but one.
    """
    async with Simulator(latency=0.3) as sim:
        pool = Pool(sim.driver("campay", access_token="simulator"))

        def request(_: int) -> Decimal | UsageError:
            try:
                return async_to_sync(pool.balance)("campay").available
            except UsageError as error:
                return error

        def requests(at_once: int) -> list[Decimal | UsageError]:
            with ThreadPoolExecutor(at_once) as threads:
                return list(threads.map(request, range(3 * at_once)))

        loop = asyncio.get_running_loop()
        in_turn = await loop.run_in_executor(None, requests, 1)
        at_once = await loop.run_in_executor(None, requests, 10)
    assert not any(isinstance(answer, UsageError) for answer in in_turn)
    refused = [answer for answer in at_once if isinstance(answer, UsageError)]
    assert "another running loop" in str(refused[0])
