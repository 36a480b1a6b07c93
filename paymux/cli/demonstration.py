"""The demonstration: many collects, network faults, and the ledger that shows the truth."""

import asyncio
import random
from collections.abc import Mapping
from contextlib import nullcontext
from decimal import Decimal
from typing import cast

import msgspec
from aiohttp import web
from rich.console import Console
from rich.live import Live
from rich.table import Table

from ..core import OrderOptions
from ..drivers.base import Driver
from ..errors import OutcomeUnknown, PaymuxError, WatchTimeout
from ..http import WebhookRequest
from ..models import Payment, Status
from ..pool import Pool
from ..primitives.redaction import mask
from ..simulator import Fault, Simulator
from ..simulator.ledger import Entry
from .demo_orders import Case, cases

WATCH_SECONDS = 12.0  # seconds


class Verdict(msgspec.Struct, kw_only=True, tag="order"):
    """What paymux says of an order, beside what was really charged."""

    reference: str
    account: str
    said: str
    charged: Decimal
    orders: int  # at the provider
    agrees: bool


class Demo:
    """Runs all cases at once against a simulator on loopback, and shows their progress."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.cases = cases()
        self._live = Live(console=console, get_renderable=self._table, auto_refresh=False)

    async def run(self) -> list[Verdict]:
        """Run it, and return whether each outcome is the expected one and the ledger agrees."""
        seconds = {case.reference: case.seconds for case in self.cases}

        def payer_delay(_: random.Random, entry: Entry) -> float:
            return seconds.get(entry.reference or "", 1.5)

        async with Simulator(payer_delay=payer_delay, default=Status.SUCCEEDED) as sim:
            pool, receiver = await self._open(sim)
            self.console.print(
                f"Simulated providers at {sim.url}, every credential is “simulator”.\n"
            )
            async with pool:
                with self._live if self.console.is_terminal else nullcontext():
                    for case in self.cases:
                        await self._collect(sim, pool, case)
                    await asyncio.gather(*(self._watch(pool, case) for case in self.cases))
            await receiver.cleanup()
            found = self._verdicts(sim)
            self.console.print(_ledger(found))
            agreed = all(one.agrees for one in found)
            self.console.print(
                "Outcomes and ledger agree." if agreed else "Outcomes and ledger do NOT agree."
            )
            return found

    async def _open(self, sim: Simulator) -> tuple[Pool, web.ServerRunner]:
        pools: list[Pool] = []

        async def receive(request: web.BaseRequest) -> web.Response:
            # A webhook is a hint: read it, then ask the provider. Watches of the payment are woken.
            incoming = WebhookRequest(
                method=request.method,
                path=request.path,
                query=request.query_string,
                headers={name.lower(): value for name, value in request.headers.items()},
                body=await request.read(),
            )
            try:
                event = pools[0].webhook(incoming)
                if not event.ping:
                    await pools[0].confirm(event)
            except PaymuxError as error:
                self.console.print(f"webhook: {error}")
            return web.Response()

        receiver = web.ServerRunner(web.Server(receive))
        await receiver.setup()
        site = web.TCPSite(receiver, "127.0.0.1", 0)
        await site.start()
        host, port = receiver.addresses[0][:2]
        pool = Pool(
            *(sim.driver(account) for account in sorted({case.account for case in self.cases})),
            webhook_base=f"http://{host}:{port}/pay",
            webhook_key="a key of the demonstration",
        )
        pools.append(pool)
        sim.campay.webhook_url = pool.webhook_url("campay")
        return pool, receiver

    async def _collect(self, sim: Simulator, pool: Pool, case: Case) -> None:
        if case.answer_lost:
            sim.fault(case.account, "POST", kind=Fault.DROP_AFTER)
        if case.webhook_lost:
            sim.fault(case.account, case.reference, kind=Fault.WEBHOOK_LOST)
        try:
            case.payment = await pool.collect(
                case.account,
                amount=case.amount,
                currency=case.currency,
                payer=case.payer,
                reference=case.reference,
                **self._page(pool.drivers[case.account]),
            )
        except OutcomeUnknown as unknown:
            # The one rule: never send it again. The payment is pending; a watch or a webhook
            # reports its end.
            case.payment = unknown.payment
            self._say(case, "outcome unknown; not sent again")

    @staticmethod
    def _page(driver: Driver) -> OrderOptions:
        """Return the options of a provider's checkout page, without those it has no field for."""
        wanted: OrderOptions = {
            "description": "Data bundle",
            "return_url": "http://127.0.0.1/thanks",
            "cancel_url": "http://127.0.0.1/cart",
        }
        return cast(
            "OrderOptions", {name: value for name, value in wanted.items() if name in driver.takes}
        )

    async def _watch(self, pool: Pool, case: Case) -> None:
        watch = pool.watch(cast("Payment", case.payment), timeout=WATCH_SECONDS)
        try:
            async for payment in watch:
                case.payment = payment
                if payment.status.terminal or not case.answer_lost:
                    self._say(case, _words(payment))
        except WatchTimeout as late:
            case.payment = late.payment
            self._say(case, "still unknown: kept for a human, never sent again")

    def _say(self, case: Case, shown: str) -> None:
        if case.shown == shown:
            return
        case.shown = shown
        if self.console.is_terminal:
            self._live.refresh()
        else:
            self.console.print(f"{case.reference}  {case.account:13}  {shown}", soft_wrap=True)

    def _table(self) -> Table:
        table = Table("order", "account", "amount", "payer", "what the payer does", "what we say")
        for case in self.cases:
            table.add_row(
                case.reference,
                case.account,
                f"{case.amount} {case.currency}",
                mask(case.payer or ""),
                case.story,
                case.shown,
            )
        return table

    def _verdicts(self, sim: Simulator) -> list[Verdict]:
        """Compare each order's outcome with what was really charged."""
        found = []
        for case in self.cases:
            status = cast("Payment", case.payment).status
            charged = sim.ledger.charged(case.reference)
            orders = len(sim.ledger.entries(case.reference))
            claimed: Mapping[Status, set[Decimal]] = {
                Status.SUCCEEDED: {Decimal(case.amount)},
                Status.PENDING: {Decimal(case.amount), Decimal(0)},
            }
            fine = (
                status is (case.ends or Status.PENDING)
                and charged in claimed.get(status, {Decimal(0)})
                and orders == 1
            )
            said = "unknown" if case.ends is None and fine else status.value
            found.append(
                Verdict(
                    reference=case.reference,
                    account=case.account,
                    said=said,
                    charged=charged,
                    orders=orders,
                    agrees=fine,
                )
            )
        return found


def _words(payment: Payment) -> str:
    why = f" ({payment.reason.text()})" if payment.reason else ""
    return f"{payment.status.value}{why}"


def _ledger(found: list[Verdict]) -> Table:
    table = Table(
        "order", "we say", "really charged", "orders at the provider", "agree", title="The ledger"
    )
    for one in found:
        agree = "yes" if one.agrees else "NO"
        table.add_row(one.reference, one.said, str(one.charged), str(one.orders), agree)
    return table
