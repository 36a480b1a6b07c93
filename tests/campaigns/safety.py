"""R3 and R4: make payments under faults, crashes and restarts, and compare with the ledger."""

import asyncio
import contextlib
import itertools
import logging
import random
import socket
from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec

from paymux import (
    BadWebhook,
    Customer,
    Mismatch,
    NotSent,
    OutcomeUnknown,
    Payment,
    PaymuxError,
    Pool,
    ProviderError,
    RateLimited,
    Reason,
    Status,
    Unavailable,
    WatchTimeout,
)
from paymux.core import ANSWERS
from paymux.drivers.cinetpay_v1.ids import own_id
from paymux.drivers.mpesa.values import CREDENTIAL
from paymux.http import PreparedRequest, Response, WebhookRequest
from paymux.models import Kind
from paymux.simulator.ledger import Entry, Outcome
from paymux.simulator.mpesa.wire import SHORTCODE
from paymux.webhooks import Webhooks

from ..toys import START
from .naive import CLIENTS, Naive
from .simulation import (
    City,
    Guarded,
    Loop,
    Process,
    Unreachable,
    Weather,
    body_of,
    in_path,
    known_as,
    named,
    prove,
    simulate,
)
from .town_journals import Place, town_place

BATCH = 500  # payments of one batch of R3
SOCKETS = 5  # every 5th batch of R3 uses real sockets
REPEATS = 6  # calls that a caller makes for a request that was not sent
ATTEMPTS = 3
ENDS = frozenset(status.value for status in Status if status.terminal)
WATCHED = 40.0  # seconds of one watch, in virtual time
# Seconds without faults within which a look-up must be answered.
PATIENCE = 120.0
# Seconds within which the answer to a question comes, after the deadline of who asked.
LATE = 20.0
HOOKS: Mapping[str, Any] = {
    "webhook_base": "https://shop.example/pay",
    "webhook_key": "0123456789abcdef-hooks",
}


class Profile(msgspec.Struct, frozen=True, kw_only=True):
    """A kind of provider: whether it deduplicates, and how payments are looked up."""

    account: str
    kind: Kind = "collect"
    currency: str
    phone: str
    options: Mapping[str, Any] = {}
    asked: str = ""  # a word that the provider's order has since its payer is asked
    says: str


# Accounts whose refunds name the receipt of what they give back.
_BY_RECEIPT = frozenset({"mpesa", "intram_merchant"})
PROFILES: Mapping[str, Profile] = {
    "mpesa collect": Profile(
        account="mpesa",
        currency="KES",
        phone="254708{:06}",
        says="no deduplication, no look-up by our reference; its own callback path",
    ),
    "cinetpay collect": Profile(
        account="cinetpay",
        currency="XOF",
        phone="22507{:08}",
        options={"description": "Order", "return_url": "https://shop.example/back"},
        says="deduplicates, is found by our reference",
    ),
    "campay collect": Profile(
        account="campay",
        currency="XAF",
        phone="23767{:07}",
        says="no deduplication, look-up by its own reference only; its callback echoes ours",
    ),
    "campay payout": Profile(
        account="campay",
        kind="payout",
        currency="XAF",
        phone="23767{:07}",
        says="the same, for money that leaves",
    ),
    "mpesa payout": Profile(
        account="mpesa",
        kind="payout",
        currency="KES",
        phone="254708{:06}",
        says="deduplicates, is found by our reference; answers to questions come as messages",
    ),
    "mpesa till": Profile(
        account="mpesa",
        kind="payout",
        currency="KES",
        phone="till:{:07}",
        says="no deduplication, no look-up by our reference; answered by messages",
    ),
    "mpesa from a till": Profile(
        account="mpesa",
        currency="KES",
        phone="till:{:06}",
        says="no deduplication; its own callback ends it, and its receipt is asked for",
    ),
    "campay airtime": Profile(
        account="campay",
        kind="payout",
        currency="XAF",
        phone="23769{:07}",
        options={"extra": {"airtime": True}},
        says="no deduplication, a look-up of its own by CamPay's reference; no message",
    ),
    "cinetpay_v1 collect": Profile(
        account="cinetpay_v1",
        currency="XOF",
        phone="22505{:08}",
        options={
            "customer": Customer(name="Ada", surname="Kouassi", email="ada@example.com"),
            "return_url": "https://shop.example/back",
        },
        says="deduplicates, is found by our reference; a look-up tells no amount",
    ),
    "cinetpay_v1 payout": Profile(
        account="cinetpay_v1",
        kind="payout",
        currency="XOF",
        phone="22501{:08}",
        options={"operator": "moov"},
        says="deduplicates, is found by our reference; its message bears the order's token",
    ),
    "mpesa refund": Profile(
        account="mpesa",
        kind="refund",
        currency="KES",
        phone="254708{:06}",
        says="no deduplication, look-up by its own reference only; answered by messages",
    ),
    "mtn_momo collect": Profile(
        account="mtn_momo",
        currency="UGX",
        phone="25677{:07}",
        says="deduplicates on our id, by which it is found; sent again with it within the verb",
    ),
    "mtn_momo payout": Profile(
        account="mtn_momo",
        kind="payout",
        currency="UGX",
        phone="25677{:07}",
        says="the same, for money that leaves",
    ),
    "paydunya softpay": Profile(
        account="paydunya",
        currency="XOF",
        phone="22177{:07}",
        options={"operator": "wave"},
        asked="softpay",
        says="two steps, of which the second asks; no deduplication, look-up by the first's token",
    ),
    "paydunya payout": Profile(
        account="paydunya",
        kind="payout",
        currency="XOF",
        phone="22177{:07}",
        options={"operator": "wave"},
        says="two steps, of which the second pays; no deduplication, look-up by the first's token",
    ),
    "cinetpay_transfer payout": Profile(
        account="cinetpay_transfer",
        kind="payout",
        currency="XOF",
        phone="22507{:08}",
        says="two steps, of which the second pays; deduplicates, is found by our reference",
    ),
    "pawapay collect": Profile(
        account="pawapay",
        currency="RWF",
        phone="25078{:07}",
        options={"operator": "mtn"},
        says="has one order for all requests with an id, which is derived from our reference",
    ),
    "pawapay payout": Profile(
        account="pawapay",
        kind="payout",
        currency="RWF",
        phone="25079{:07}",
        options={"operator": "mtn"},
        says="the same, for money that leaves",
    ),
    "pawapay refund": Profile(
        account="pawapay",
        kind="refund",
        currency="RWF",
        phone="25078{:07}",
        says="the same, with a look-up of its own",
    ),
    "wave collect": Profile(
        account="wave",
        currency="XOF",
        phone="22177{:07}",
        options={"return_url": "https://shop.example/back"},
        says="no deduplication, is found by our reference",
    ),
    "wave payout": Profile(
        account="wave",
        kind="payout",
        currency="XOF",
        phone="22178{:07}",
        says="joins requests by a key, and is sent again within its verb; found by our reference",
    ),
    "wave refund": Profile(
        account="wave",
        kind="refund",
        currency="XOF",
        phone="22176{:07}",
        says="one by its path, without a look-up; sent again by `recover`",
    ),
    "intram payout": Profile(
        account="intram_merchant",
        kind="payout",
        currency="XOF",
        phone="2290196{:06}",
        options={"operator": "mtn"},
        says="joins repeats for a day, so that its verb repeats; is found by our reference",
    ),
    "intram refund": Profile(
        account="intram_merchant",
        kind="refund",
        currency="XOF",
        phone="2290196{:06}",
        says="the same, for money that goes back",
    ),
}
# The accounts whose orders are all found by our reference, or sent again until they are answered.
FOUND = frozenset(
    {
        "cinetpay",
        "cinetpay_transfer",
        "cinetpay_v1",
        "intram_merchant",
        "mtn_momo",
        "pawapay",
        "wave",
    }
)
# Those whose requests are sent again within their verb, with the same bytes.
RESENDING = frozenset({"intram_merchant", "mtn_momo", "pawapay", "wave"})
REPEATED = "wave refund"
BY_CALLBACK = "mpesa from a till"  # asked for only by the receipt that its callback names
# The decisions of 20 payers.
_HABITS = (
    *itertools.repeat(Outcome(Status.SUCCEEDED), 13),
    *itertools.repeat(Outcome(Status.FAILED, Reason.INSUFFICIENT_FUNDS), 3),
    Outcome(Status.FAILED, Reason.WRONG_PIN),
    Outcome(Status.CANCELLED),
    Outcome(Status.EXPIRED),
    Outcome(Status.PENDING),
)


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """An order of a shop: its reference is stored before the first call."""

    profile: str
    reference: str
    amount: int
    phone: str
    begins: float  # seconds from the start
    receipt: str = ""  # of the payment that a refund gives back

    @property
    def what(self) -> Profile:
        """Return the profile."""
        return PROFILES[self.profile]


class Tally(msgspec.Struct, kw_only=True):
    """The counts by profile and outcome, and the violations; processes send it to each other."""

    counts: dict[str, int] = {}
    wrong: list[str] = []
    digest: str = ""

    def add(self, other: "Tally") -> None:
        """Add the counts and violations of another tally."""
        for name, count in other.counts.items():
            self.counts[name] = self.counts.get(name, 0) + count
        self.wrong.extend(other.wrong)

    def get(self, *words: str) -> int:
        """Return the sum of the counts whose names start with these words."""
        begin = "/".join(words)
        return sum(
            count for name, count in self.counts.items() if f"{name}/".startswith(f"{begin}/")
        )


def profiles_of(only: Collection[str]) -> list[str]:
    """List the profiles of these accounts, or of all."""
    return [name for name, one in PROFILES.items() if not only or one.account in only]


def orders_of(
    city: City, count: int, chance: random.Random, *, over: float, only: Collection[str] = ()
) -> list[Order]:
    """Return orders of all profiles in turn, each with another amount.

    The decision of each payer is set in the simulator.
    """
    found = []
    for number, name in zip(range(count), itertools.cycle(profiles_of(only)), strict=False):
        order = Order(
            profile=name,
            reference=f"o-{number:06}",
            amount=200 + 5 * number,  # PayDunya and CinetPay pay out 200 francs or more
            phone=PROFILES[name].phone.format(number),
            begins=chance.uniform(0, over),
        )
        city.providers[PROFILES[name].account].magic[number_of(order)] = chance.choice(_HABITS)
        found.append(bought(city, order) if order.what.kind == "refund" else order)
        city.ours[found[-1].receipt or paid_as(order)] = order.reference
    city.mpesa.locks = False
    city.campay.webhook_url = Pool(city.driver("campay"), **HOOKS).webhook_url("campay")
    city.mpesa.accounts.utility = city.mpesa.accounts.working = Decimal(10**9)
    city.cinetpay_v1.balance = Decimal(10**9)
    city.cinetpay_transfer.funds = Decimal(10**9)
    for carrier in city.campay.floats:
        city.campay.floats[carrier] = Decimal(10**9)
    city.paydunya.opens = False
    city.paydunya.balance = city.wave.balance = Decimal(10**9)
    city.mtn_momo.funds = Decimal(10**9)
    for method in city.intram_merchant.wallet:
        city.intram_merchant.wallet[method] = Decimal(10**9)
    hooks = Pool(city.driver("intram_merchant"), **HOOKS)
    city.intram_merchant.webhook_url = hooks.webhook_url("intram_merchant")
    city.pawapay.webhook_url = Pool(city.driver("pawapay"), **HOOKS).webhook_url("pawapay")
    city.pawapay.wallets["RWA/RWF"] = city.pawapay.max_amount = Decimal(10**9)
    return found


def bought(city: City, order: Order) -> Order:
    """Let a customer pay what a refund is to give back.

    Its reference is what an M-Pesa payer typed; of Wave it is a session, of pawaPay a deposit.
    """
    if order.what.account == "pawapay":
        names = {"provider": "MTN_MOMO_RWA", "country": "RWA", "wallet": "RWA/RWF", "receipt": "1"}
        deposit = city.pawapay.open(
            "collect",
            reference=None,
            provider_reference=city.pawapay.uuid(),
            amount=Decimal(order.amount),
            currency="RWF",
            party=order.phone,
            **names,
        )
        city.ledger.settle(deposit, Outcome(Status.SUCCEEDED))
        return msgspec.structs.replace(order, receipt=deposit.provider_reference)
    if order.what.account == "wave":
        session = city.wave.open(
            "collect",
            reference=None,
            provider_reference=f"cos-{order.reference}",
            amount=Decimal(order.amount),
            currency="XOF",
            party=order.phone,
        )
        city.ledger.settle(session, Outcome(Status.SUCCEEDED))
        return msgspec.structs.replace(order, receipt=session.provider_reference)
    if order.what.account == "intram_merchant":
        sold = city.intram_merchant.paid(Decimal(order.amount), order.phone)
        return msgspec.structs.replace(order, receipt=sold.words["transaction"])
    entry = city.mpesa.pays(bill=order.reference, amount=order.amount, msisdn=order.phone)
    return msgspec.structs.replace(order, receipt=entry.words["receipt"])


def number_of(order: Order) -> str:
    """Return a payer's or payee's number as the provider gets it."""
    return order.phone.rpartition(":")[2]


def paid_as(order: Order) -> str:
    """Return the id that an order has at the provider: for most, our reference."""
    what = order.what
    if order.profile == REPEATED:
        return f"{order.receipt}/refund"
    if what.account == "cinetpay_v1":
        return own_id(what.kind, order.reference)
    ours = order.profile == "mpesa payout"
    return f"{SHORTCODE}_{order.reference}" if ours else order.reference


def answered_late(payment: Payment) -> bool:
    """Return whether the answer to a question about a payment may come after the deadline."""
    return payment.account == "mpesa" and payment.kind != "collect"


class Book:
    """The reported and the real outcome of each order: it finds every difference."""

    def __init__(self, city: City, orders: Iterable[Order]) -> None:
        self.orders = {order.reference: order for order in orders}
        self.told: dict[str, str] = {}  # the last reported outcome of each order
        # Orders that were reported as ended without a charge: the number of calls until then, of
        # requests of which the provider may have something, and of all requests.
        self.negative: dict[str, tuple[int, int, int]] = {}
        self.unknown: set[str] = set()
        self.calls: Counter[str] = Counter()  # of a money verb, by reference
        # look-ups by a watch, a confirmation or a recovery, by reference
        self.looks: Counter[str] = Counter()
        self.counts: Counter[str] = Counter()
        self.wrong: list[str] = []
        self._city = city

    def lie(self, invariant: str, reference: str, what: str) -> None:
        """Record a violation."""
        order = self.orders[reference]
        self.wrong.append(f"{invariant} {order.profile} {reference}: {what}")

    def entries(self, order: Order) -> list[Entry]:
        """List the provider's ledger entries of an order."""
        found = self._city.ledger.entries(paid_as(order), provider=order.what.account)
        asked = order.what.asked
        return [
            entry
            for entry in found
            if entry.kind == order.what.kind and (not asked or asked in entry.words)
        ]

    def order_of(self, account: str, claimed: str) -> str:
        """Return our reference for a message that may have the provider's alone."""
        entry = self._city.ledger.get(account, claimed)
        return claimed if entry is None else entry.reference or claimed

    def say(self, order: Order, word: str) -> None:
        """Record an outcome that a caller got without a payment.

        It is "refused", "not sent" or "unknown".
        """
        # A webhook may have reported the end before the call ends as "unknown".
        if word != "unknown" or self.told.get(order.reference) not in ENDS:
            self.told[order.reference] = word
        if word in ("not sent", "refused"):
            self._deny(order, refused=word == "refused")

    def show(self, payment: Payment) -> None:
        """Record a payment that a caller got."""
        order = self.orders.get(payment.reference or "")
        if order is None:
            self.counts["shown without a reference"] += 1
            return
        if payment.status.terminal or self.told.get(order.reference) not in ENDS:
            self.told[order.reference] = payment.status.value
        if payment.status is Status.SUCCEEDED:
            right = [
                entry for entry in self.entries(order) if entry.moved and is_right(order, entry)
            ]
            if (
                len(right) != 1
                or payment.amount != order.amount
                or payment.currency != order.what.currency
            ):
                self.lie(
                    "I3", order.reference, f"success, but the ledger has {self.entries(order)}"
                )
        elif payment.status.terminal:
            self._deny(order)

    def _deny(self, order: Order, *, refused: bool = False) -> None:
        """Record that a caller was told of no payment; `refused`: the provider had answered so."""
        received = sent = self._city.asked["money", order.reference]
        if refused and not self.entries(order):
            received = 0  # what it had received before is over, and the reference is free again
        calls = self.calls[order.reference]
        self.negative.setdefault(order.reference, (calls, received, sent))

    def _asked_anew(self, reference: str) -> bool:
        """Return whether a caller repeated an order of which the provider had nothing.

        That is also the other caller of a double click, whose request left after a refusal.
        """
        calls, requests, sent = self.negative[reference]
        again = self.calls[reference] > calls or self._city.asked["money", reference] > sent
        return requests == 0 and again

    def close(self) -> None:
        """Compare the reported outcomes with the ledger, at the end."""
        for order in self.orders.values():
            self._close(order)

    def _close(self, order: Order) -> None:
        reference, entries = order.reference, self.entries(order)
        charged = [entry for entry in entries if entry.moved]
        if len(charged) > 1:
            self.lie("I1", reference, f"charged {len(charged)} times")
        if len(entries) > 1:
            self.lie("I1", reference, f"asked {len(entries)} times")
        if charged and reference in self.negative and not self._asked_anew(reference):
            self.lie(
                "I2",
                reference,
                f"charged, but called over; the last word: {self.told.get(reference)}",
            )
        if not all(is_right(order, entry) for entry in entries):
            self.lie("I3", reference, f"another order than ours: {entries}")
        sent = self._city.asked["money", reference]
        repeats = self.looks[reference] if order.profile == REPEATED else 0
        if sent > (ATTEMPTS + 1) * (self.calls[reference] + repeats):
            self.lie("I6", reference, f"{sent} requests for {self.calls[reference]} calls")
        names = {reference, *map(known_as, entries)} if entries else set[str]()
        looked = sum(self._city.asked["look", name] for name in names)
        # A watch polls every 1.5 s at first and every 11 s or more later; a look-up is at most four
        # requests.
        if looked > (ATTEMPTS + 1) * (6 + WATCHED / 11) * self.looks[reference]:
            self.lie(
                "I6",
                reference,
                f"{looked} look-ups for {self.looks[reference]} watches and messages",
            )
        self._count(order, entries, charged=bool(charged))

    def _count(self, order: Order, entries: list[Entry], *, charged: bool) -> None:
        known = bool(entries)
        sent, calls = self._city.asked["money", order.reference], self.calls[order.reference]
        self.counts[f"{order.profile}: reached"] += known
        self.counts[f"{order.profile}: sent again"] += max(0, sent - calls)
        word = self.told.get(order.reference, "nothing")
        if word in ("pending", "unknown", "nothing"):
            uncharged = "asked, not charged" if known else "never processed"
            word = f"unknown/{'charged' if charged else uncharged}"
            ended = any(entry.status.terminal for entry in entries)
            self.counts[f"{order.profile}: left unknown"] += ended
        self.counts[f"{order.profile}/{word}"] += 1
        if order.reference in self.unknown:
            self.counts[f"{order.profile}: first unknown"] += 1
            self.counts[f"{order.profile}: first unknown, resolved"] += not word.startswith(
                "unknown"
            )


def is_right(order: Order, entry: Entry) -> bool:
    """Return whether an entry has the order's amount, currency and phone number."""
    ours = (Decimal(order.amount), order.what.currency, number_of(order))
    return (entry.amount, entry.currency, entry.party) == ours


class Shop:
    """A careful caller: it repeats unsent requests, watches payments, and confirms webhooks."""

    def __init__(self, pool: Pool, book: Book) -> None:
        self.book = book
        self.serve(pool)

    def serve(self, pool: Pool) -> None:
        """Use a pool, and hear the answers to its questions."""
        self.pool = pool
        self._hooks = Webhooks(pool, self._told, kinds=("collect", "payout", "refund"))

    async def _told(self, payment: Payment) -> None:
        self.learn(payment)

    async def ask(self, order: Order, *, pause: float) -> Payment | None:
        """Send the money request; None: the order ended without a payment."""
        for _ in range(REPEATS):
            self.book.calls[order.reference] += 1
            try:
                return await self._money(order)
            except (NotSent, RateLimited):
                await asyncio.sleep(pause)
            except OutcomeUnknown as unknown:
                self.book.unknown.add(order.reference)
                self.book.say(order, "unknown")
                if unknown.payment.reference != order.reference:
                    self.book.lie("I5", order.reference, "an unknown without its reference")
                return unknown.payment
            except ProviderError:
                self.book.say(order, "refused")
                return None
        self.book.say(order, "not sent")
        return None

    async def _money(self, order: Order) -> Payment:
        what = order.what
        given: dict[str, Any] = {
            "amount": order.amount,
            "currency": what.currency,
            "reference": order.reference,
        }
        if what.kind == "payout":
            return await self.pool.payout(what.account, payee=order.phone, **given, **what.options)
        if what.kind == "refund":
            named = "receipt" if what.account in _BY_RECEIPT else "provider_reference"
            return await self.pool.refund(
                Payment(
                    account=what.account,
                    kind="collect",
                    **{named: order.receipt},  # type: ignore[arg-type]
                    amount=Decimal(order.amount),
                    currency=what.currency,
                ),
                amount=order.amount,
                reference=order.reference,
            )
        return await self.pool.collect(what.account, payer=order.phone, **given, **what.options)

    async def watch(self, payment: Payment) -> Payment:
        """Watch a payment for a while; return its last state."""
        until = asyncio.get_running_loop().time() + WATCHED
        while (left := until - asyncio.get_running_loop().time()) > 1.0:
            self.book.looks[payment.reference or ""] += 1
            try:
                return await self.pool.watch(payment, timeout=left)
            except WatchTimeout as late:
                return late.payment
            except ProviderError:
                await asyncio.sleep(5.0)  # HTTP 403 ends a watch, like wrong credentials
            except Mismatch as mismatch:
                self.book.lie("alarm", payment.reference or "", f"{mismatch} without a cause")
                break
        return payment

    async def look(self, payment: Payment, *, patience: float = 0.0) -> Payment:
        """Look a payment up once, if the provider can; an error changes nothing.

        A look-up that was not sent because of the rate limit is repeated after `retry_after`, and
        one that failed is repeated soon, for `patience` seconds. Each then has 30 s: a list of
        several pages takes one request for each, at the low rate that the faults left.
        """
        deadline = min(30.0, patience) if patience else None
        self.book.looks[payment.reference or ""] += 1
        loop = asyncio.get_running_loop()
        until = loop.time() + patience
        with contextlib.suppress(PaymuxError):
            while self.pool._engine.lookup_verb(payment) is not None:
                try:
                    return await self.pool.verify(payment, deadline=deadline)
                except (RateLimited, Unavailable) as failed:
                    if "result code" in str(failed):
                        break  # M-Pesa's own answer, about an id that it does not know
                    pause = (failed.retry_after if isinstance(failed, RateLimited) else None) or 0.1
                    if loop.time() + pause > until:
                        break
                    self.book.counts[
                        f"looks in fine weather, repeated after {type(failed).__name__}"
                    ] += 1
                await asyncio.sleep(pause)
        return payment

    async def hear(
        self, incoming: WebhookRequest, stored: Mapping[str, Payment] | None = None
    ) -> Response:
        """Handle a webhook; `stored`: the payments of a shop without a journal."""
        try:
            route = self.pool.internals.callback_urls.read(incoming, self.pool.drivers, None)
            if route.use in ANSWERS:
                return await self._hooks.answer(incoming)
            event = self.pool.webhook(incoming)
            if event.ping:
                return Response(status=200)
            claimed = (
                event.path_reference
                or event.claims.reference
                or event.claims.provider_reference
                or ""
            )
            expected = None if stored is None else stored.get(claimed)
            named = self.book.order_of(event.account, claimed)
            if named in self.book.orders:
                self.book.looks[named] += 1
            payment = await self.pool.confirm(event, expected=expected)
        except BadWebhook:
            self.book.counts["webhooks refused as forged or unanswerable"] += 1
            return Response(status=400)
        except PaymuxError as error:
            self.book.counts[f"webhooks unconfirmed: {type(error).__name__}"] += 1
            return Response(status=500)
        self.learn(payment)
        return Response(status=200)

    def learn(self, payment: Payment) -> None:
        """Record the state of a payment."""
        self.book.show(payment)


def drivers_of(city: City) -> list[Any]:
    """Return a driver for each provider."""
    user = {
        "initiator_name": "simulator",
        "security_credential": "simulator",
        "business_name": "Duka",
    }
    return [
        city.driver(name, **(user if name == "mpesa" else {}))
        for name in dict.fromkeys(profile.account for profile in PROFILES.values())
    ]


class Corner(Shop):
    """The caller of R3: one pool without a journal, and the shop's own storage."""

    def __init__(self, pool: Pool, book: Book, *, hasty: bool, seed: object) -> None:
        super().__init__(pool, book)
        self.stored = {
            order.reference: Payment(
                account=order.what.account,
                kind=order.what.kind,
                reference=order.reference,
                amount=Decimal(order.amount),
                currency=order.what.currency,
            )
            for order in book.orders.values()
        }
        self._hasty = hasty
        self._chance = random.Random(f"{seed} shop")
        self._room = asyncio.Semaphore(100 if hasty else 100_000)

    def learn(self, payment: Payment) -> None:
        """Record and store the state of a payment."""
        super().learn(payment)
        for name in (payment.reference, payment.provider_reference):
            known = self.stored.get(name or "")
            # A look-up that got no answer returns what it was given, here the shop's own order
            # without a provider: meanwhile the answer to the order itself may have come.
            if name is not None and (
                known is None or (payment.provider and not known.status.terminal)
            ):
                self.stored[name] = payment

    async def receive(self, incoming: WebhookRequest) -> Response:
        """Handle a webhook."""
        return await self.hear(incoming, self.stored)

    async def sell(self, order: Order) -> None:
        """Sell one order: send the money request, and follow the payment."""
        async with self._room:
            await asyncio.sleep(0 if self._hasty else order.begins)
            payment = await self.ask(order, pause=0.3 if self._hasty else 2.0)
            if payment is None:
                return
            self.learn(payment)
            self.learn(await (self._poll(payment) if self._hasty else self.watch(payment)))

    async def _poll(self, payment: Payment) -> Payment:
        # In real time a watch would take too long: its first poll comes after seconds.
        for _ in range(8):
            await asyncio.sleep(self._chance.uniform(0.02, 0.1))
            payment = await self.look(payment)
            if payment.status.terminal:
                break
        return payment

    async def settle(self, order: Order) -> None:
        """Look an order up once more without faults: if the provider can, it must be answered.

        During the faults the account learned a low rate, which allows few look-ups within the
        deadline of one second in real time. The others raise RateLimited, with nothing sent, or are
        late. They are repeated, as any caller would repeat them.
        """
        if self.book.told.get(order.reference) in ("not sent", "refused"):
            return
        payment = self.stored[order.reference]
        if not payment.status.terminal:
            payment = await self.look(payment, patience=PATIENCE)
            self.learn(payment)
        settled = [entry for entry in self.book.entries(order) if entry.status.terminal]
        if settled and not payment.status.terminal and answered_late(payment):
            await asyncio.sleep(LATE)
            payment = self.stored[order.reference]
        if (
            settled
            and not payment.status.terminal
            and self.pool._engine.lookup_verb(payment) is not None
        ):
            self.book.lie("I5", order.reference, f"{payment} can be asked for, but stays unknown")


async def corner(
    city: City, seed: int, count: int, connection: Any, *, hasty: bool, only: Collection[str]
) -> Tally:
    """R3: one batch of payments, with faults and then without."""
    chance = random.Random(f"{seed} orders")
    book = Book(city, orders_of(city, count, chance, over=120.0, only=only))
    deadline = 1.0 if hasty else 20.0
    pool = Pool(
        *drivers_of(city),
        connection=connection,
        connect_timeout=deadline,
        deadline=deadline,
        attempts=ATTEMPTS,
        **HOOKS,
    )
    async with pool:
        if seed % 4 > 1:
            await prove(pool, "mpesa", CREDENTIAL)
        shop = Corner(pool, book, hasty=hasty, seed=seed)
        city.on_webhook(shop.receive)
        await asyncio.gather(*(shop.sell(order) for order in book.orders.values()))
        city.calm()
        await asyncio.sleep(1.0 if hasty else 250.0)
        await asyncio.gather(*(shop.settle(order) for order in book.orders.values()))
    book.close()
    return tally_of(book, city)


def tally_of(book: Book, city: City) -> Tally:
    """Return the counts of a book and of its faults."""
    faults = {f"fault/{name}": count for name, count in city.weather.met.items()}
    return Tally(counts={**book.counts, **faults}, wrong=book.wrong)


class Windy(asyncio.SelectorEventLoop):
    """An event loop over real sockets, some of which cannot connect."""

    def __init__(self, weather: Weather) -> None:
        super().__init__()
        self._weather = weather
        self._chance = random.Random(0)

    async def sock_connect(self, sock: socket.socket, address: Any) -> None:
        """Connect, or refuse at random."""
        if self._weather.raging and self._chance.random() < 0.03:
            self._weather.met["connection refused"] += 1
            raise ConnectionRefusedError(111, "Connect call failed")
        await super().sock_connect(sock, address)


def r3(seed: int, count: int, only: Collection[str] = ()) -> Tally:
    """Run one batch of R3, with orders of some accounts only; each fifth seed uses sockets."""
    hasty = seed % SOCKETS == 0
    weather = Weather(seed, share=0.3, hasty=hasty)
    if hasty:
        with asyncio.Runner(loop_factory=lambda: Windy(weather)) as runner:
            found = runner.run(_over_sockets(weather, seed, count, only))
    else:
        found, left = simulate(seed, lambda _: _in_process(weather, seed, count, only))
        found.wrong.extend(f"I7 {one}" for one in left)
    found.counts["payments/over sockets" if hasty else "payments/in process"] = count
    repeat = f"python -m benchmarks.bench_safety --seeds 0 --seed {seed} --payments {count}"
    repeat += f" --only {' '.join(only)}" if only else ""
    found.wrong = [f"R3 {one}\n      {repeat}" for one in found.wrong]
    return found


async def _over_sockets(weather: Weather, seed: int, count: int, only: Collection[str]) -> Tally:
    async with City(
        weather, seed=seed, payer_delay=lambda chance, _: chance.uniform(0, 0.15)
    ) as city:
        return await corner(city, seed, count, None, hasty=True, only=only)


async def _in_process(weather: Weather, seed: int, count: int, only: Collection[str]) -> Tally:
    city = slow_city(weather, seed)
    try:
        connection = Unreachable(city, seed)
        return await corner(city, seed, count, connection, hasty=False, only=only)
    finally:
        await city.core.aclose()


def slow_city(weather: Weather, seed: int) -> City:
    """Return a simulator with slow providers and slow payers."""
    return City(
        weather,
        seed=seed,
        latency=lambda chance: chance.expovariate(1.2),
        payer_delay=lambda chance, _: chance.expovariate(1 / 5),
    )


class Branch(Shop):
    """The caller of R4: one of two processes on one journal, which crashes and restarts."""

    def __init__(
        self,
        city: City,
        book: Book,
        orders: list[Order],
        place: Place,
        seed: object,
        *,
        proved: bool,
    ) -> None:
        self.book = book
        self.orders = orders
        self.done: set[str] = set()  # finished orders
        self._city = city
        self._place = place
        self._seed = seed
        self._proved = proved
        self._lives = 0
        self.open()

    def open(self) -> None:
        """Start the process."""
        self._left: set[tuple[str, bytes | None]] = set()  # requests of this life
        self._lives += 1
        self.process = Process()
        chance = random.Random(f"{self._seed} disk {self._lives}")
        self.journal = self._place.journal(chance)
        pool = Pool(
            *drivers_of(self._city),
            connection=Guarded(self._guard),
            deadline=20.0,
            attempts=ATTEMPTS,
            journal=self.journal,
            **HOOKS,
        )
        self.serve(pool)
        self.trade = self.process.start(self._trade())

    async def crash(self) -> None:
        """Crash, with tasks and connections open."""
        await self._place.kill(self.journal)
        await self.process.die()
        # without this, aiohttp warns of open sessions
        await self.pool._engine.transport.connection.aclose()

    async def close(self) -> None:
        """Shut down properly."""
        await self.pool.aclose()

    def _guard(self, outgoing: PreparedRequest) -> None:
        name = in_path(outgoing.url) or named(body_of(outgoing.body))
        reference = self._city.order_of("money", name)
        state = dict(self._place.rows("SELECT reference, state FROM payments")).get(reference)
        # A message may tell of the first request while its verb repeats it.
        again = (outgoing.url, outgoing.body) in self._left and self._repeats(reference)
        self._left.add((outgoing.url, outgoing.body))
        repeated = state == "unknown" and self.book.orders[reference].profile == REPEATED
        if state != "sending" and not (again and state == "accepted") and not repeated:
            self.book.lie("I4", reference, f"money is about to leave, and the journal has {state}")

    def _repeats(self, reference: str) -> bool:
        """Return whether the provider of an order lets a verb repeat its request."""
        return self.book.orders[reference].what.account in RESENDING

    async def _trade(self) -> None:
        if self._proved:
            await prove(self.pool, "mpesa", CREDENTIAL)
        await self.recover()
        await asyncio.gather(
            *(self._sell(order) for order in self.orders if order.reference not in self.done)
        )

    async def recover(self) -> None:
        """Recover the payments that the last crash left."""
        async for found in self.pool.recover():
            self.book.counts[
                f"recovered/{found.was}/{'resolved' if found.resolved else 'open'}"
            ] += 1
            reference = found.payment.reference or ""
            self.book.looks[reference] += 1
            self.book.counts["recovered, of them sent again"] += found.repeated
            if found.was == "intent" and self.book.entries(self.book.orders[reference]):
                self.book.lie("I2", reference, "recovered as never sent, but the provider has it")
            elif found.payment.status.terminal:
                self.book.show(found.payment)

    async def _sell(self, order: Order) -> None:
        now = asyncio.get_running_loop().time() - START
        await asyncio.sleep(max(0.0, order.begins - now))
        for _ in range(2):
            # Repeating an order returns the existing payment: a shop does this after a crash, and
            # after a watch.
            payment = await self.ask(order, pause=2.0)
            if payment is None:
                break
            if not payment.status.terminal:
                payment = await self.watch(payment)
            self.book.show(payment)
            if payment.status.terminal:
                break
        self.done.add(order.reference)


class Town:
    """R4: one simulated world, from its seed to its result."""

    def __init__(
        self, loop: Loop, seed: int, count: int, place: Place, only: Collection[str] = ()
    ) -> None:
        self._loop = loop
        self._seed = seed
        self._chance = random.Random(f"{seed} town")
        self._place = place
        self._weather = Weather(seed, share=0.2)
        self.city = slow_city(self._weather, seed)
        chance = random.Random(f"{seed} orders")
        orders = orders_of(self.city, count, chance, over=100.0, only=only)
        self.book = Book(self.city, orders)
        self._heard: list[WebhookRequest] = []
        self._on_its_way: list[asyncio.TimerHandle] = []

    async def live(self) -> Tally:
        """Run the shops under faults, then without faults, and judge."""
        async with self.city:
            self.city.on_webhook(self._route)
            orders = list(self.book.orders.values())
            # Every tenth order is placed in both processes, as by a double click.
            shares = [
                [order for at, order in enumerate(orders) if at % 2 == half or at % 10 == 0]
                for half in (0, 1)
            ]
            self.branches = [
                Branch(
                    self.city,
                    self.book,
                    share,
                    self._place,
                    f"{self._seed} {half}",
                    proved=self._seed % 4 > 1,
                )
                for half, share in enumerate(shares)
            ]
            await self._accidents()
            for branch in self.branches:
                await branch.trade
            self.city.calm()
            self._loop.raging = False
            await asyncio.sleep(300.0)
            for branch in self.branches:
                await branch.process.start(branch.recover())
            for branch in self.branches:
                await branch.process.start(branch.close())
        for message in self._on_its_way:  # what comes after the end is not heard
            message.cancel()
        self._judge()
        self.book.close()
        return tally_of(self.book, self.city)

    async def _accidents(self) -> None:
        for _ in range(self._chance.randrange(1, 5)):
            await asyncio.sleep(self._chance.uniform(1, 60))
            branch = self._chance.choice(self.branches)
            self.book.counts["crashes"] += 1
            await branch.crash()
            await asyncio.sleep(self._chance.choice((0.0, 1.0, 30.0)))
            branch.open()

    def _route(self, incoming: WebhookRequest) -> Response:
        """Accept a webhook, and deliver it to one of the processes at a random time."""
        self._heard.append(incoming)
        fate = self._chance.random() if self._weather.raging else 0.5
        copies = [incoming] if fate < 0.8 else [incoming, incoming] if fate < 0.9 else []
        if fate < 0.1:
            copies.append(self._chance.choice(self._heard))  # an old message is repeated
        for copy in copies:
            later = self._loop.call_later(self._chance.expovariate(1 / 3), self._hand_over, copy)
            self._on_its_way.append(later)
        return Response(status=200)

    def _hand_over(self, incoming: WebhookRequest) -> None:
        branch = self._chance.choice(self.branches)
        if not branch.journal.dead:
            branch.process.start(branch.hear(incoming))

    def _judge(self) -> None:
        """Compare the journal with the ledger, and add both to the digest."""
        rows = self._place.rows(
            "SELECT reference, state, status, amount, provider_reference FROM payments"
        )
        heard = {reference for (reference,) in self._place.rows("SELECT reference FROM hints")}
        kept = {row[0]: row[1:] for row in rows}
        for reference, order in self.book.orders.items():
            state, status, *_ = kept.get(reference, ("none", "none"))
            entries = self.book.entries(order)
            charged = any(entry.moved for entry in entries)
            if entries and state in ("none", "intent", "refused", "not_sent"):
                self.book.lie("I4", reference, f"the provider has it, and the journal says {state}")
            if state in ("intent", "sending"):
                self.book.lie("I5", reference, f"nobody looks after it: {state}")
            if status == "succeeded" and not charged:
                self.book.lie("I3", reference, "the journal has a success")
            if status in ("failed", "cancelled", "expired") and charged:
                self.book.lie("I2", reference, f"charged, and the journal says {status}")
            # A recorded message has the reference for a look-up, even if no look-up was possible
            # when it came.
            known = kept.get(reference, (None,) * 4)[3] is not None
            asks = (reference in heard or known) and order.profile != BY_CALLBACK
            if order.what.account in FOUND or order.profile == "mpesa payout" or asks:
                self._resolved(reference, status, entries)
            if status != "pending":
                self.book.told[reference] = status if status in ENDS else state
            self._loop.note(
                reference,
                kept.get(reference),
                self.book.told.get(reference),
                [e.status for e in entries],
            )

    def _resolved(self, reference: str, status: str, entries: list[Entry]) -> None:
        if status == "pending" and any(entry.status.terminal for entry in entries):
            self.book.lie("I5", reference, "it can be asked for, and stays pending")


def r4(seed: int, count: int, server: str | None = None, only: Collection[str] = ()) -> Tally:
    """Run one world of R4, with orders of some accounts only; every hundredth seed runs twice.

    `server`: the URL of a PostgreSQL database, which has the journal in place of a file. The
    world's threads are real then, and no two runs are the same.
    """
    found = _town(seed, count, server, only)
    if seed % 100 == 0 and server is None:
        again = _town(seed, count, None, only)
        found.counts["worlds run twice"] = 1
        if again.digest != found.digest:
            found.wrong.append(f"I8 seed {seed}: {found.digest:.16} and {again.digest:.16}")
    found.counts["worlds"] = 1
    found.counts["payments"] = count
    repeat = (
        f"python -m benchmarks.bench_safety --payments 0 --seeds 1 --seed {seed} --each {count}"
    )
    if server is not None:
        repeat += " --postgresql"
    repeat += f" --only {' '.join(only)}" if only else ""
    found.wrong = [f"R4 {one}\n      {repeat}" for one in found.wrong]
    return found


def _town(seed: int, count: int, server: str | None, only: Collection[str]) -> Tally:
    files = open_files()
    with town_place(seed, server) as place:

        async def main(loop: Loop) -> Tally:
            found = await Town(loop, seed, count, place, only).live()
            found.digest = loop.digest.hexdigest()
            return found

        found, left = simulate(seed, main)
    # the descriptor of a file's locks stays open until another file is opened
    if open_files() > files + 1:
        left.append("file descriptors")
    found.wrong.extend(f"I7 left behind: {one}" for one in left)
    return found


def open_files() -> int:
    """Count the open files of this process, if the system shows them."""
    folder = Path("/proc/self/fd")
    return sum(1 for _ in folder.iterdir()) if folder.is_dir() else 0


def r3b(seed: int, name: str, count: int) -> Tally:
    """Run a naive client under the same faults."""
    client = CLIENTS[name]
    found, _ = simulate(seed, lambda loop: _naive(loop, client, seed, count))
    return found


async def _naive(loop: Loop, client: Naive, seed: int, count: int) -> Tally:
    loop.raging = False  # the faults of R3: requests only, not connections
    weather = Weather(seed, share=0.3)
    city = City(weather, seed=seed, payer_delay=1.0, default=Status.SUCCEEDED)
    city.mpesa.locks = False
    city.mpesa.accounts.utility = city.mpesa.accounts.working = Decimal(10**9)
    city.mpesa.tokens.issue("simulator")
    async with city:
        told = await client.pay_all(f"{city.url}/{client.account}", count)
        await asyncio.sleep(200.0)
    counts: Counter[str] = Counter(payments=count)
    for reference, paid in told.items():
        charged = sum(
            entry.moved
            for name in set(client.names(reference))
            for entry in city.ledger.entries(name, provider=client.account)
        )
        counts["double"] += charged > 1
        counts["lost"] += charged > 0 and not paid
        counts["phantom"] += charged == 0 and paid
    return Tally(counts={f"naive/{client.name}/{word}": number for word, number in counts.items()})


def bound(wrong: int, total: int) -> str:
    """Return the text of a count, with the probability bound that a zero proves."""
    return f"{wrong:,} in {total:,}" + (
        f" (p < {3 / total:.1e}, 95 %)" if total and not wrong else ""
    )


def quietly() -> None:
    """Switch paymux's warnings off: the faults cause thousands of them."""
    logging.getLogger("paymux").setLevel(logging.CRITICAL + 1)
    logging.getLogger("asyncio").setLevel(logging.CRITICAL + 1)
