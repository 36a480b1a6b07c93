"""R24: a shop's day in virtual time, and the books that its `on_payment` keeps.

Two workers share a journal in a file, or four share one in PostgreSQL, which is restarted. They
sell at six providers, pay wages out and give money back, crash, and are started again; a provider
is away for an hour. The shop believes `on_payment` alone.
"""

import asyncio
import contextlib
import random
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from decimal import Decimal
from functools import partial
from typing import Any
from unittest.mock import patch

import msgspec

from paymux import Payment, Pool, Reason, Status
from paymux.drivers import load, own
from paymux.drivers.mpesa import Mpesa
from paymux.http import Response, WebhookRequest
from paymux.models import Kind
from paymux.simulator.ledger import Entry, Outcome

from .day_journals import DayFile, DayServer
from .day_workers import HOUR, LOST, Gusts, Order, Worker
from .safety import HOOKS
from .simulation import City, Loop, in_memory, simulate

ACCOUNTS = tuple(own())
SELLING = tuple(name for name in ACCOUNTS if load(name).can("collect"))
# Shares of the payouts: M-Pesa's answers come as messages, and it is away for an hour.
PAYING = (
    *["mpesa"] * 6,
    *(name for name in ACCOUNTS if name != "mpesa" and load(name).can("payout")),
)
# Of a lost answer of the gateway to a refund there is no other trace.
REFUNDING = frozenset(name for name in ACCOUNTS if load(name).can("refund")) - {"mpesa_gateway"}
PAGES = frozenset({"intram", "paydunya"})  # a payer pays the page that the shop has shown
HOURS = 14.0  # hours for which the shop is open
NIGHT = 26 * HOUR  # seconds after closing within which each end must be told


class Size(msgspec.Struct, frozen=True, kw_only=True):
    """How much the shop does in a day."""

    sales: int = 2_000
    payouts: int = 300
    refunds: int = 60
    unasked: int = 400  # payments that M-Pesa's customers make by themselves
    crashes: int = 3
    restarts: int = 0  # of the journal's server
    workers: int = 2
    hours: float = HOURS


class Found(msgspec.Struct, kw_only=True):
    """What a day came to: sums by account, kind and currency, and what is wrong."""

    books: dict[tuple[str, str, str], Decimal] = {}
    ledger: Mapping[Any, Decimal] = {}
    counts: dict[str, int] = {}
    wrong: list[str] = []


class Day:
    """The shop, its providers and payers, from the morning until everything is told."""

    def __init__(self, loop: Loop, seed: int, size: Size, place: DayFile | DayServer) -> None:
        self.seed, self.size, self.place = seed, size, place
        self.hour = HOUR * size.hours / HOURS  # seconds of an hour, in a shorter day
        self._open = size.hours * HOUR
        self._loop, self._began = loop, loop.time()
        loop.raging = False
        self._chance = random.Random(f"{seed} day")
        self.city = City(Gusts(seed), seed=seed, latency=lambda chance: chance.uniform(0.05, 1.5))
        self.counts: Counter[str] = Counter()
        self.begun: dict[tuple[str, str], Order] = {}  # asked for, and not answered yet
        self.shown: set[str | None] = set()
        self.refused: dict[tuple[str, str], str] = {}
        self.told: dict[tuple[str, str, str], list[Payment]] = defaultdict(list)
        self._sold: list[Payment] = []  # of which some are given back
        self._prepare()

    @property
    def now(self) -> float:
        """Return the seconds since the shop opened."""
        return self._loop.time() - self._began

    def drivers(self) -> list[Any]:
        """Return a driver for each account."""
        user: dict[str, Any] = {
            "initiator_name": "simulator",
            "security_credential": "simulator",
            "adopt_c2b": True,
        }
        return [self.city.driver(name, **(user if name == "mpesa" else {})) for name in ACCOUNTS]

    def _prepare(self) -> None:
        city = self.city
        city.mpesa.locks = False
        city.mpesa.accounts.utility = city.cinetpay_v1.balance = Decimal(10**8)
        city.paydunya.balance = city.wave.balance = Decimal(10**8)
        city.cinetpay_transfer.funds = city.mtn_momo.funds = Decimal(10**8)
        city.pawapay.wallets["RWA/RWF"] = Decimal(10**8)
        for method in city.intram_merchant.wallet:
            city.intram_merchant.wallet[method] = Decimal(10**8)
        for carrier in city.campay.floats:
            city.campay.floats[carrier] = Decimal(10**8)
        # Each push is told twice, by its callback and by a confirmation; a third of the
        # confirmations is lost.
        city.mpesa.c2b.validation, city.mpesa.c2b.lost, city.mpesa.c2b.twice = False, 0.33, 0.05
        results = city.mpesa.results
        results.lost, results.twice, results.to_timeout_url = 0.0, 0.05, LOST
        for name in ("campay", "intram_merchant", "pawapay"):
            hooks = Pool(city.driver(name), **HOOKS)
            city.change(**{name: {"webhook_url": hooks.webhook_url(name)}})
        city.on_webhook(self._route)

    def _orders(self) -> list[Order]:
        found = [
            self._order("collect", SELLING[number % len(SELLING)], number)
            for number in range(self.size.sales)
        ]
        found += [
            self._order("payout", PAYING[number % len(PAYING)], number)
            for number in range(self.size.payouts)
        ]
        return sorted(found, key=lambda order: order.begins)

    def _order(self, kind: Kind, account: str, number: int) -> Order:
        # A payout has the reference of a sale: they are told apart by their kind.
        return Order(
            account=account,
            kind=kind,
            reference=str(1_000_000 + number),
            amount=5 * self._chance.randrange(40, 400),
            begins=self._chance.uniform(0, self._open),
        )

    async def live(self) -> Found:
        """Live the day, and compare the books with the ledger."""
        self.workers = [Worker(self, number) for number in range(self.size.workers)]
        for worker in self.workers:
            await worker.open()
        await self.workers[0].process.start(self._register(self.workers[0].pool))
        works = (
            *(self._payers(), self._refunds(), self._customers()),
            *(self._accidents(), self._restarts()),
        )
        chores = [asyncio.create_task(work) for work in works]
        for order in self._orders():
            await asyncio.sleep(max(0.0, order.begins - self.now))
            self._begin(order)
        await asyncio.sleep(max(0.0, self._open - self.now))
        while self.now < self._open + NIGHT and not self._over():
            await asyncio.sleep(600.0)
        for chore in chores:
            chore.cancel()
        await asyncio.gather(*chores, return_exceptions=True)
        for worker in self.workers:
            await worker.process.start(worker.close())
        await self.city.core.aclose()
        return self._judged()

    async def _register(self, pool: Pool) -> None:
        """Register the shortcode for confirmations and for pull, as is done once."""
        await pool.run(
            "mpesa",
            Mpesa.register_c2b,
            confirmation_url=pool.webhook_url("mpesa", use="confirmation"),
            validation_url=pool.webhook_url("mpesa", use="validation"),
            response_type="Completed",
        )
        await pool.run(
            "mpesa",
            Mpesa.register_pull,
            nominated_number="0722000000",
            callback_url=pool.webhook_url("mpesa"),
        )

    async def _customers(self) -> None:
        """Let customers pay unasked; some type the reference of an order that is not theirs."""
        for number in range(self.size.unasked):
            await asyncio.sleep(self._chance.uniform(0, 2) * self._open / (self.size.unasked + 1))
            bill = str(1_000_000 + number) if number % 2 else f"table {number % 30}"
            amount = self._chance.randrange(20, 900)
            self.city.mpesa.pays(bill=bill, amount=amount, msisdn="254712345678")

    def _begin(self, order: Order) -> None:
        self.begun[order.kind, order.reference] = order
        for worker in self.workers:
            if worker.alive:
                worker.take(order)

    async def _accidents(self) -> None:
        for _ in range(self.size.crashes):
            await asyncio.sleep(self._chance.uniform(1, 4) * self.hour)
            worker = self._chance.choice(self.workers)
            self.counts["crashes"] += 1
            await worker.crash()
            await asyncio.sleep(self._chance.choice((1.0, 60.0, 600.0)))
            await worker.open()

    async def _restarts(self) -> None:
        for _ in range(self.size.restarts):
            await asyncio.sleep(self._chance.uniform(2, 7) * self.hour)
            self.counts["restarts"] += 1
            await self.place.restart()

    async def _refunds(self) -> None:
        """Give some of the paid sales back, an hour or more after they were told."""
        given = 0
        while given < self.size.refunds:
            pause = self._chance.uniform(0.2, 0.8) * self._open / self.size.refunds
            await asyncio.sleep(pause)
            ready = [one for one in self._sold if one.account != "mpesa" or one.receipt]
            if not ready:
                continue
            paid = self._chance.choice(ready)
            self._sold.remove(paid)
            given += 1
            self._begin(
                Order(
                    account=paid.account,
                    kind="refund",
                    reference=paid.reference or "",
                    amount=int(paid.amount or 0),
                    begins=self.now,
                    paid=paid,
                )
            )

    async def _payers(self) -> None:
        """Decide orders after a while; of a page, only the one that was shown."""
        at = 0
        waiting: list[Entry] = []
        while True:
            await asyncio.sleep(15.0)
            entries = list(self.city.ledger)
            waiting, at = [*waiting, *entries[at:]], len(entries)
            for entry in list(waiting):
                page = entry.provider in PAGES and entry.provider_reference not in self.shown
                if entry.status.terminal:
                    waiting.remove(entry)
                elif not page and self._chance.random() < 0.4:
                    waiting.remove(entry)
                    self._decide(entry)

    def _decide(self, entry: Entry) -> None:
        fails = self._chance.random() < (0.2 if entry.kind == "collect" else 0.1)
        outcome = Outcome(Status.SUCCEEDED)
        if fails:
            outcome = Outcome(Status.FAILED, Reason.INSUFFICIENT_FUNDS)
        self.city.providers[entry.provider].settle(entry, outcome)

    async def _route(self, incoming: WebhookRequest) -> Response:
        """Deliver a message to a worker that lives: late, twice, or not at all."""
        tail = incoming.path.rpartition("/")[2]
        if tail[:2] in ("01", "03", "04", "11") and self._chance.random() < LOST:
            self.counts["messages lost"] += 1  # what they tell of can be asked for
            return Response(status=200)
        fate = self._chance.random()
        if fate < 0.05:
            await asyncio.sleep(self._chance.uniform(0, 7))
        elif fate < 0.1:
            self.city.core.after(self._chance.uniform(1, 600), partial(self._again, incoming))
        return await self._hand(incoming)

    def _again(self, incoming: WebhookRequest) -> None:
        self.counts["messages repeated"] += 1
        self.city.core.start(self._repeat(incoming))

    async def _repeat(self, incoming: WebhookRequest) -> None:
        await self._hand(incoming)

    async def _hand(self, incoming: WebhookRequest) -> Response:
        worker = self._chance.choice([one for one in self.workers if one.alive])
        work = worker.process.start(worker.hooks.answer(incoming))
        await asyncio.wait({work})
        if work.cancelled():
            self.counts["messages met by a crash"] += 1
            return Response(status=502)
        return work.result()

    async def book(self, payment: Payment) -> None:
        """`on_payment` of both workers: the only thing that the shop believes."""
        key = (payment.account or "", payment.kind or "", payment.reference or "")
        self.told[key].append(payment)
        self.counts["told"] += 1
        sold = key[0] in REFUNDING and key[1] == "collect" and key[2].isdigit()
        if sold and payment.status is Status.SUCCEEDED and len(self.told[key]) == 1:
            self._sold.append(payment)

    def _named(self, entry: Entry) -> tuple[str, str, str]:
        reference = (entry.reference or "").removeprefix("174379_").removeprefix("PP")
        if (entry.provider, entry.kind) == ("wave", "refund"):  # named by what it gives back
            paid = self.city.ledger.get("wave", entry.words["refund_of"])
            reference = (paid and paid.reference) or ""
        asked = {"asked", "MerchantRequestID"} & entry.words.keys()
        if entry.provider == "mpesa" and not asked:  # it came by itself
            reference = f"c2b.{entry.words['receipt']}"
        return entry.provider, entry.kind, reference

    def _over(self) -> bool:
        """Return whether each order that the providers decided was told."""
        return not self.begun and all(
            not entry.status.terminal or self._named(entry) in self.told
            for entry in self.city.ledger
        )

    def _judged(self) -> Found:
        found = Found(counts=dict(self.counts))
        for (account, kind, reference), told in self.told.items():
            last = told[-1]
            if last.status in (Status.SUCCEEDED, Status.REFUNDED):
                key = (account, kind, last.currency or "")
                found.books[key] = found.books.get(key, Decimal(0)) + (last.amount or 0)
                found.counts[f"{account} {kind}"] = found.counts.get(f"{account} {kind}", 0) + 1
            moved = [
                entry
                for entry in self.city.ledger.entries(provider=account)
                if entry.moved and self._named(entry) == (account, kind, reference)
            ]
            if len(moved) != (last.status in (Status.SUCCEEDED, Status.REFUNDED)):
                found.wrong.append(f"{account} {kind} {reference}: {told} and {moved}")
        found.ledger = self.city.ledger.totals()
        for entry in self.city.ledger:
            if entry.status.terminal and self._named(entry) not in self.told:
                found.wrong.append(f"never told: {entry}")
        found.wrong.extend(f"refused: {key}: {why}" for key, why in self.refused.items())
        found.wrong.extend(f"not begun: {key}" for key in self.begun)
        return found


def day(seed: int, size: Size, server: DayServer | None = None) -> Found:
    """Live one day, and return what it came to; without a server, the journal is a file."""
    with in_memory("day_") as folder, _rarely(server=server is not None):

        async def main(loop: Loop) -> Found:
            place = server or DayFile(folder / "payments.db")
            return await Day(loop, seed, size, place).live()

        # The timers of processes that crashed are left, as they never ended their work.
        found, _ = simulate(seed, main)
    return found


@contextlib.contextmanager
def _rarely(*, server: bool) -> Iterator[None]:
    """Look rarely for the work of dead workers: in virtual time it would be most of the work."""
    seconds = {"paymux.core.notify.notifier.SCAN_SECONDS": 50.0 if server else 30.0}
    if server:  # where each look takes real time
        seconds["paymux.core.notify.unconfirmed.SCAN_SECONDS"] = 300.0
        seconds["paymux.core.notify.sweep.TICK_SECONDS"] = 300.0
        seconds["paymux.webhooks.processing.RESCAN_SECONDS"] = 300.0
    with contextlib.ExitStack() as stack:
        for name, value in seconds.items():
            stack.enter_context(patch(name, value))
        yield
