"""The demonstration: collections of every kind, trouble on the wire, and the ledger that tells who was right."""

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

from .errors import OutcomeUnknown, PaymuxError, WatchTimeout
from .models import Payment, Status
from .pool import Pool
from .redact import mask
from .simulator import Fault, Simulator
from .simulator.ledger import Entry
from .wire import Incoming

WATCHED = 12.0  # seconds


class Case(msgspec.Struct, kw_only=True):
    """One order of the demonstration, and how it must end; None: it stays unknown, and is said to be so."""

    reference: str
    account: str
    amount: int
    payer: str
    story: str
    ends: Status | None
    seconds: float = 1.5  # until the payer decides
    answer_lost: bool = False
    webhook_lost: bool = False
    shown: str = "…"
    payment: Payment | None = None


def cases() -> list[Case]:
    """Give the orders, payers with the simulator's magic numbers among them."""
    paid, refused = "237677777777", "237677777770"
    return [
        Case(
            reference="order-1", account="campay", amount=5000, payer=paid, story="approves", ends=Status.SUCCEEDED
        ),
        Case(
            reference="order-2", account="campay", amount=700, payer=refused, story="declines", ends=Status.FAILED
        ),
        Case(
            reference="order-3",
            account="mpesa",
            amount=250,
            payer="254708374149",
            story="approves",
            ends=Status.SUCCEEDED,
        ),
        Case(
            reference="order-4",
            account="mpesa",
            amount=90,
            payer="254708374142",
            story="cancels",
            ends=Status.CANCELLED,
        ),
        Case(
            reference="order-5",
            account="campay",
            amount=1200,
            payer=paid,
            story="takes his time",
            ends=Status.SUCCEEDED,
            seconds=7.0,
        ),
        Case(
            reference="order-6",
            account="mpesa",
            amount=480,
            payer="254711000006",
            story="approves; our answer is lost on the wire, the webhook arrives",
            ends=Status.SUCCEEDED,
            seconds=3.0,
            answer_lost=True,
        ),
        Case(
            reference="order-7",
            account="mpesa",
            amount=333,
            payer="254711000007",
            story="approves; both the answer and the webhook are lost",
            ends=None,
            answer_lost=True,
            webhook_lost=True,
        ),
    ]


class Demo:
    """Runs the cases side by side against a simulator on loopback, and shows them as they go."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.cases = cases()
        self._live = Live(console=console, get_renderable=self._table, auto_refresh=False)

    async def run(self) -> bool:
        """Run it; True only if every outcome is the one expected and the ledger agrees with it."""
        seconds = {case.reference: case.seconds for case in self.cases}

        def payer_delay(_: random.Random, entry: Entry) -> float:
            return seconds.get(entry.reference or "", 1.5)

        async with Simulator(payer_delay=payer_delay, default=Status.SUCCEEDED) as sim:
            pool, receiver = await self._open(sim)
            self.console.print(f"Simulated providers at {sim.url}, every credential is “simulator”.\n")
            async with pool:
                with self._live if self.console.is_terminal else nullcontext():
                    for case in self.cases:
                        await self._collect(sim, pool, case)
                    await asyncio.gather(*(self._watch(pool, case) for case in self.cases))
            await receiver.cleanup()
            return self._verdict(sim)

    async def _open(self, sim: Simulator) -> tuple[Pool, web.ServerRunner]:
        pools: list[Pool] = []

        async def receive(request: web.BaseRequest) -> web.Response:
            # A webhook is a hint: read it, then ask the provider. Whoever watches the payment is woken.
            incoming = Incoming(
                method=request.method,
                path=request.path,
                query=request.query_string,
                headers={name.lower(): value for name, value in request.headers.items()},
                body=await request.read(),
            )
            try:
                await pools[0].confirm(pools[0].webhook(incoming))
            except PaymuxError as error:
                self.console.print(f"webhook: {error}")
            return web.Response()

        receiver = web.ServerRunner(web.Server(receive))
        await receiver.setup()
        site = web.TCPSite(receiver, "127.0.0.1", 0)
        await site.start()
        host, port = receiver.addresses[0][:2]
        pool = Pool(
            sim.driver("campay"),
            sim.driver("mpesa"),
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
                currency="XAF" if case.account == "campay" else "KES",
                payer=case.payer,
                reference=case.reference,
                description="Data bundle",
            )
        except OutcomeUnknown as unknown:
            # The one rule: never again. The payment is pending, and somebody will tell us.
            case.payment = unknown.payment
            self._say(case, "outcome unknown; not sent again")

    async def _watch(self, pool: Pool, case: Case) -> None:
        watch = pool.watch(cast("Payment", case.payment), timeout=WATCHED)
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
            self.console.print(f"{case.reference}  {case.account:6}  {shown}", soft_wrap=True)

    def _table(self) -> Table:
        table = Table("order", "account", "amount", "payer", "what the payer does", "what we say")
        for case in self.cases:
            table.add_row(case.reference, case.account, str(case.amount), mask(case.payer), case.story, case.shown)
        return table

    def _verdict(self, sim: Simulator) -> bool:
        table = Table("order", "we say", "really charged", "orders at the provider", "agree", title="The ledger")
        agreed = True
        for case in self.cases:
            status = cast("Payment", case.payment).status
            charged, orders = sim.ledger.charged(case.reference), len(sim.ledger.entries(case.reference))
            claimed: Mapping[Status, set[Decimal]] = {
                Status.SUCCEEDED: {Decimal(case.amount)},
                Status.PENDING: {Decimal(case.amount), Decimal(0)},
            }
            fine = (
                status is (case.ends or Status.PENDING)
                and charged in claimed.get(status, {Decimal(0)})
                and orders == 1
            )
            agreed = agreed and fine
            said = "unknown" if case.ends is None and fine else status.value
            table.add_row(case.reference, said, str(charged), str(orders), "yes" if fine else "NO")
        self.console.print(table)
        self.console.print("Outcomes and ledger agree." if agreed else "Outcomes and ledger do NOT agree.")
        return agreed


def _words(payment: Payment) -> str:
    why = f" ({payment.reason.text()})" if payment.reason else ""
    return f"{payment.status.value}{why}"
