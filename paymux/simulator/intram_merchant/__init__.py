"""Intram's Merchant API v1, from its pages: github.com/suntechdevs/paycfa merchant-api (2026-05).

Credentials: public_key, secret_key and webhook_secret are all "simulator". It answers below
`/api/v1/merchant`, where an integrator found it, and below `/v1`, as documented.

    store.py    idempotency keys: 24 hours, and a clock that a test moves
    wire.py     envelopes, signatures, lists
    orders.py   payment requests, payouts and refunds
    shapes.py   operations, transactions, messages
    page.py     the checkout page

An order is accepted first (`queued`), and carried out `work_delay` seconds later.
"""

import string
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, ClassVar, Literal

from ...http import Response, WebhookRequest
from ...models import Kind, Reason, Status
from ...primitives.clock import wall_time
from ..base import Provider, magic
from ..checkout import serve
from ..core import SimulatorCore
from ..ledger import Entry, Outcome
from ..messages import Message
from ..replies import Refused, fields, html_reply, query, segments
from . import orders, shapes
from .page import checkout
from .store import Store
from .subscriptions import Subscriptions
from .wire import check_signature, data, error, page_of


class IntramMerchant(Provider):
    """The Merchant API; a test may change every attribute set in `__init__`."""

    name = "intram_merchant"
    base_path = "/api/v1/merchant"
    hosts = frozenset({"api.intram.org"})
    credentials: ClassVar[Mapping[str, str]] = {
        "public_key": "simulator",
        "secret_key": "simulator",
        "webhook_secret": "simulator",
    }
    # 0162000000 (MTN) and 0194000000 (Moov) are the sandbox's own numbers; the others are ours.
    numbers: ClassVar[Mapping[str, Outcome]] = {
        **magic("229016200000", success="0"),
        **magic("229019400000", success="0"),
    }
    balances = frozenset({"wallet"})

    def __init__(self, world: SimulatorCore) -> None:
        super().__init__(world)
        self.store = Store()
        self.webhook_url = ""  # of a subscription to all events, made before
        self.subscriptions = Subscriptions(self)
        # which keys these are: the address is the same
        self.env: Literal["sandbox", "live"] = "sandbox"
        self.ip_allowed = True  # live keys: whether this address is in the list
        self.active = True  # "Merchant account not validated"
        self.breaks: Literal["before", "after"] | None = None  # 500, before or after processing
        self.unknown_operation = "operation_not_found"  # listed, without a body
        self.work_delay = 0.5  # seconds until an operation is carried out
        self.attempts = 1  # how often a worker has tried an operation
        # "network error or unexpected exception": no page says what became of the money
        self.provider_error: Literal["no", "paid", "unpaid"] = "no"
        self.wallet = dict.fromkeys(
            ("MTN_BENIN_229", "MOOV_AFRICA_BENIN_229", "SBIN_BENIN_229"), Decimal(1_000_000)
        )
        self.lowest, self.highest = 1, 10_000_000  # XOF; the page states no limit
        self.fee = Decimal("0.02")  # of the amount: 240 of 12000 in the sample
        self.page_life = 1800.0  # seconds; no page says when a request expires
        self.reference_key = "paymux_reference"  # of a free object: for the ledger only
        self._transactions: dict[str, str] = {}
        self._waiting: list[Entry] = []

    async def answer(self, incoming: WebhookRequest) -> Response:
        """Answer the API, and the page at `gateway_url`."""
        self._carry_out()
        match incoming.method, *segments(incoming):
            case _, "api", "v1", "merchant", *path:
                return self._api(incoming, path)
            case _, "v1", *path:
                return self._api(incoming, path)
            case "GET" | "POST", "gateway", reference:
                entry = self.of_transaction(reference)
                if entry is not None:
                    return serve(self, entry, incoming, checkout(self, entry))
        return html_reply("Cannot find this page", 404)

    def message(self, entry: Entry, *, forged: bool = False) -> Message | None:
        """Make the message of an order that has ended."""
        event, body = shapes.told(entry, created=False, forged=forged)
        return self.subscriptions.message(entry, event, body, forged=forged)

    def throttled(self) -> Response:
        """Refuse in Intram's format; no page states a limit, nor its code."""
        return error(429, "too_many_requests", "Too many requests")

    def stale(self, incoming: WebhookRequest) -> Response:
        """Refuse the key: there are no tokens."""
        return error(401, "invalid_api_key", "Invalid API key")

    def settle(self, entry: Entry, outcome: Outcome) -> None:
        """Decide an order, and book it in the wallet; a worker has carried it out by then."""
        self._work(entry)
        if entry.status.terminal and "failure" in entry.words:
            return  # the worker refused it
        if entry.kind != "collect" and outcome.status.terminal and self.provider_error != "no":
            entry.words["failure"] = "provider_error"
            paid = self.provider_error == "paid"
            outcome = Outcome(Status.SUCCEEDED if paid else Status.FAILED, by=outcome.by)
        before = self._taken(entry)
        super().settle(entry, outcome)
        self._book(entry, self._taken(entry) - before)
        original: Entry | None = entry.words.get("original")
        if original is not None and entry.moved and original.status is Status.SUCCEEDED:
            # "The original transaction becomes REFUNDED", also after a part (refunds.md).
            self.core.ledger.settle(original, Outcome(Status.REFUNDED))

    def _api(self, incoming: WebhookRequest, path: list[str]) -> Response:
        if self.breaks == "before":
            return error(500, "internal_error", "Internal server error")
        own = "/" + "/".join(path)
        self._check_access(incoming, own)
        if incoming.method == "POST":
            reply = self.store.once(incoming, own, lambda: self._post(incoming, path))
        else:
            reply = self._look(incoming, path)
        broken = self.breaks == "after"
        return error(500, "internal_error", "Internal server error") if broken else reply

    def _check_access(self, incoming: WebhookRequest, path: str) -> None:
        key = incoming.headers.get("x-api-key")
        if key is None:
            raise Refused(error(401, "missing_api_key", "X-Api-Key header is required"))
        if key != "simulator":
            raise Refused(self.stale(incoming))
        if not self.active:
            raise Refused(error(403, "merchant_inactive", "Merchant account not validated"))
        if self.env == "live" and not self.ip_allowed:
            said = "This source IP is not in the merchant allowlist"
            raise Refused(error(403, "ip_not_allowed", said, client_ip="203.0.113.99"))
        check_signature(incoming, path, self.credentials["secret_key"])

    def _post(self, incoming: WebhookRequest, path: list[str]) -> Response:
        body = fields(incoming)
        if body is None:
            return error(400, "invalid_body", "The body is not JSON")
        match path:
            case ["payment-requests"]:
                return orders.payment_request(self, body)
            case ["payouts"]:
                return orders.payout(self, body)
            case ["refunds"]:
                return orders.refund(self, body)
            case ["webhooks", *rest]:
                return self.subscriptions.post(body, rest)
        return error(404, "not_found", "Not found")

    def _look(self, incoming: WebhookRequest, path: list[str]) -> Response:
        asked = query(incoming)
        match incoming.method, *path:
            case "GET", "balance":
                return data({"currency": "XOF", "payment_method_balances": self._balances()})
            case "GET", "operations":
                return page_of(map(self._operation, self.entries()), asked)
            case "GET", "operations", operation_id:
                entry = self.entry(operation_id)
                if entry is not None:
                    return data(self._operation(entry))
                return error(404, self.unknown_operation, "Not found for this merchant")
            case "GET", "transactions":
                made = [one for one in self.entries() if one.words["worked"]]
                return page_of(map(self._transaction, made), asked)
            case "GET", "transactions", reference:
                entry = self.of_transaction(reference)
                if entry is not None:
                    return data(self._transaction(entry))
                return orders.no_transaction()
            case _, "webhooks", *rest:
                return self.subscriptions.look(incoming.method, rest)
        return error(404, "not_found", "Not found")

    def accept(
        self,
        kind: Kind,
        body: dict[str, Any],
        amount: Decimal,
        reference: object,
        party: object,
        **words: Any,
    ) -> Entry:
        """Accept an order; a worker carries it out later."""
        entry = self._made(kind, body, amount, reference, party, **words)
        self._waiting.append(entry)
        self.core.after(self.work_delay, self._carry_out)
        return entry

    def paid(self, amount: Decimal, party: str | None = None) -> Entry:
        """Let a payer have paid a request that was made before, for a refund of it."""
        entry = self._made("collect", {}, amount, None, party, operator=None, worked=True)
        self.core.ledger.settle(entry, Outcome(Status.SUCCEEDED))
        return entry

    def _made(
        self,
        kind: Kind,
        body: dict[str, Any],
        amount: Decimal,
        reference: object,
        party: object,
        *,
        worked: bool = False,
        **words: Any,
    ) -> Entry:
        random = self.core.random
        transaction = "".join(random.choices(string.ascii_uppercase + string.digits, k=10))
        entry = self.open(
            kind,
            transaction,
            reference=str(reference) if reference else None,
            provider_reference=f"op_{random.getrandbits(64):016x}",
            amount=amount,
            currency="XOF",
            party=str(party) if party else None,
            payload=body,
            transaction=transaction,
            worked=worked,
            **words,
        )
        self._transactions[transaction] = entry.provider_reference
        return entry

    def _carry_out(self) -> None:
        # Also called at each request: timers end with their event loop.
        now = wall_time()
        for entry in self._waiting[:]:
            # a timer may fire a clock tick early
            if (now - entry.opened_at).total_seconds() + 0.001 >= self.work_delay:
                self._work(entry)

    def _work(self, entry: Entry) -> None:
        """Carry out an operation: make its page, or debit the wallet and call the network."""
        if entry.words["worked"]:
            return
        entry.words["worked"] = True
        self._waiting.remove(entry)
        why = orders.refusal(self, entry)
        if why is not None:
            entry.words["failure"] = why
            reason = Reason.INSUFFICIENT_FUNDS if why == "insufficient_balance" else Reason.OTHER
            super().settle(entry, Outcome(Status.FAILED, reason))
            return
        self._book(entry, self._taken(entry))
        wire = entry.words.get("bank")
        if entry.kind == "collect" or wire:
            event, body = shapes.told(entry, created=True, forged=False)
            message = self.subscriptions.message(entry, event, body)
            if message is not None:
                self.core.send(self.name, message)
        if not wire:  # which Intram's office sends
            self.ring(entry, on_phone=False)

    def _taken(self, entry: Entry) -> Decimal:
        """Return what an order takes from the wallet; an open payout counts already."""
        if entry.kind == "collect":
            fees = Decimal(int(entry.amount * self.fee))
            return fees - entry.amount if entry.moved else Decimal(0)
        held = entry.kind == "payout" and entry.status is Status.PENDING
        return entry.amount if entry.moved or held else Decimal(0)

    def _book(self, entry: Entry, amount: Decimal) -> None:
        code = entry.words.get("operator")
        if code in self.wallet:
            self.wallet[code] -= amount

    def _balances(self) -> list[dict[str, Any]]:
        return [
            {"payment_method": shapes.method(code), "available": int(held), "pending": 0}
            for code, held in self.wallet.items()
        ]

    def of_transaction(self, reference: str) -> Entry | None:
        """Return the order of a transaction that a worker has made."""
        entry = self.entry(self._transactions.get(reference, ""))
        return entry if entry is not None and entry.words["worked"] else None

    def _operation(self, entry: Entry) -> dict[str, Any]:
        return shapes.operation(entry, self.env, self.url, self.attempts)

    def _transaction(self, entry: Entry) -> dict[str, Any]:
        refunds = [one for one in self.entries() if one.words.get("original") is entry]
        return shapes.transaction(entry, self.fee, refunds)
