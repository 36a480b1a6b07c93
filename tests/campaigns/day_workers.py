"""The processes of R24's shop, and the way from them to the providers."""

import asyncio
import random
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Any

import msgspec

from paymux import Customer, NotSent, OutcomeUnknown, Payment, PaymuxError, Pool, RateLimited
from paymux.http import PreparedRequest, Response, TransportError
from paymux.models import Kind
from paymux.simulator.faults import Fault, Planned
from paymux.webhooks import Webhooks

from .safety import HOOKS
from .simulation import Process, Weather

if TYPE_CHECKING:
    from .day import Day

NUMBERS = {
    "campay": "237677777774",
    "cinetpay_transfer": "2250512345678",
    "cinetpay_v1": "2250512345678",
    "intram_merchant": "2290161234567",
    "mtn_momo": "256772123456",
    "paydunya": "221771234567",
    "pawapay": "250783456000",
    "wave": "221771234567",
}
# The networks of the payees, where a payout names one.
NETWORKS = {"cinetpay_v1": "mtn", "intram_merchant": "mtn", "paydunya": "wave", "pawapay": "mtn"}
CURRENCIES = {"pawapay": "RWF", "mtn_momo": "UGX"}
BUYER = Customer(name="Ada", surname="Kouassi", email="ada@example.com")
KINDS: tuple[Kind, ...] = ("collect", "payout", "refund")
HOUR = 3600.0
AWAY = ("mpesa", 5)  # the provider that is away for an hour of the day, and since which one
LOST = 0.05  # share of the answers to money requests, and of the messages, that are lost


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What the shop asks for; it is stored before the first call."""

    account: str
    kind: Kind
    reference: str
    amount: int
    begins: float
    paid: Payment | None = None  # what a refund gives back


class Gusts(Weather):
    """A quiet day: only answers to money requests are lost, and of a few orders."""

    def __init__(self, seed: object) -> None:
        super().__init__(seed, share=0.0)
        self._luck = random.Random(f"{seed} gusts")

    def for_request(self, provider: str, method: str, path: str) -> Planned | None:
        """Lose an answer; of the gateway's orders there is no other trace."""
        money = method == "POST" and path.rstrip("/").endswith(
            (
                *("/collect", "/withdraw", "/payment", "request", "/create", "/requesttopay"),
                *("/transfer", "/contact", "/payouts", "/payout", "/deposits", "/sessions"),
                *("/payment-requests", "/submit-invoice"),
            )
        )
        # Of a reversal, whose id is not ours, nothing may be left if two messages are lost.
        left = provider == "mpesa_gateway" or "reversal" in path
        if not money or left or self._luck.random() >= LOST:
            return None
        self.met["answers lost"] += 1
        return Planned(provider=provider, match="", kind=Fault.DROP_AFTER)


class Line:
    """The way to the providers, one of which is away for an hour."""

    def __init__(self, day: "Day") -> None:
        self._day = day

    async def exchange(self, outgoing: PreparedRequest) -> Response:
        """Send one request, and return its response."""
        outgoing.started = True
        account, hour = AWAY
        away = hour <= self._day.now / self._day.hour < hour + 1
        if away and f"/{account}/" in outgoing.url:
            self._day.counts["requests while it was away"] += 1
            raise TransportError("refused")
        return await self._day.city.connection.exchange(outgoing)

    def frames(self, outgoing: PreparedRequest) -> AsyncGenerator[str | bytes]:
        """Return the frames of the simulator's connection."""
        return self._day.city.connection.frames(outgoing)

    async def aclose(self) -> None:
        """Do nothing."""


class Worker:
    """One of the shop's processes."""

    def __init__(self, day: "Day", number: int) -> None:
        self._day = day
        self._number = number
        self._lives = 0
        self.alive = False

    async def open(self) -> None:
        """Start the process, and what it had begun before it crashed."""
        self._lives += 1
        self.process = Process()
        chance = random.Random(f"{self._day.seed} disk {self._number} {self._lives}")
        self.journal = self._day.place.journal(chance)
        pool = Pool(*self._day.drivers(), connection=Line(self._day), journal=self.journal, **HOOKS)
        self.pool, self.alive = pool, True
        self.hooks = Webhooks(pool, self._day.book, kinds=KINDS)
        await self.process.start(self._enter())
        for order in self._day.begun.values():
            self.take(order)

    async def _enter(self) -> None:
        await self.hooks.__aenter__()

    async def crash(self) -> None:
        """End in the middle of everything."""
        self.alive = False
        await self._day.place.kill(self.journal)
        await self.process.die()

    async def close(self) -> None:
        """Close the shop's process properly."""
        await self.hooks.__aexit__(None, None, None)
        await self.pool.aclose()

    def take(self, order: Order) -> None:
        """Begin an order that is this worker's."""
        if int(order.reference) % self._day.size.workers == self._number:
            self.process.start(self._place(order))

    async def _place(self, order: Order) -> None:
        until = self._day.now + 3 * HOUR
        while self._day.now < until:
            try:
                payment = await self._ask(order)
            except (NotSent, RateLimited):
                await asyncio.sleep(60)
                continue
            except OutcomeUnknown:
                self._day.counts[f"{order.kind}s unknown at first"] += 1
            except PaymuxError as error:
                self._day.refused[order.kind, order.reference] = repr(error)
            else:
                self._day.shown.add(payment.provider_reference)
            break
        self._day.begun.pop((order.kind, order.reference), None)

    async def _ask(self, order: Order) -> Payment:
        driver = self.pool.drivers[order.account]
        given: dict[str, Any] = {"amount": order.amount, "reference": order.reference}
        if order.paid is not None:
            return await self.pool.refund(order.paid, **given)
        given["currency"] = CURRENCIES.get(order.account) or min(driver.own_currencies)
        number = NUMBERS.get(order.account, "254708374144")
        if order.kind == "payout":
            given |= {"operator": one} if (one := NETWORKS.get(order.account)) else {}
            return await self.pool.payout(order.account, payee=number, **given)
        wanted: dict[str, Any] = {
            "customer": BUYER,
            "description": "Data",
            "return_url": "https://shop.example/t",
            "cancel_url": "https://shop.example/c",
        }
        given |= {key: value for key, value in wanted.items() if key in driver.takes}
        if driver.payer == "required":
            given["payer"] = number
            network = NETWORKS.get(order.account, "mtn")
            given |= {"operator": network} if "operator" in driver.takes else {}
        return await self.pool.collect(order.account, **given)
