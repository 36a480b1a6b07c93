"""pawaPay's merchant API, v2 and v1, from https://docs.pawapay.io/v2/docs and /v2/api-reference.

Where the pages show no body, it is as https://github.com/joelpawapay/pawapay-builders-cits26 (by a
person of pawaPay) has it. The token is "simulator". The sandbox's numbers do what its page of test
numbers says; 25078345678… is ours: 0 declines, 1 has too little money, 9 pays, and so on.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, ClassVar, Literal

import msgspec

from ...http import Response, WebhookRequest
from ...models import Kind
from ..base import Provider
from ..core import SimulatorCore
from ..ledger import Entry, Outcome
from ..messages import Message, Redelivery
from ..replies import Refused, fields, json_reply, query, segments
from .messages import not_allowed, payment, refused, stuck
from .numbers import NUMBERS, STUCK
from .operators import wallets
from .orders import PATHS, Orders
from .page import Pages
from .signing import Signing
from .toolkit import Toolkit
from .v1 import V1


class PawaPay(Provider):
    """pawaPay's API; a test may change every attribute set in `__init__`."""

    name = "pawapay"
    hosts = frozenset({"api.pawapay.io", "api.sandbox.pawapay.io"})
    credentials: ClassVar[Mapping[str, str]] = {"api_token": "simulator"}
    numbers: ClassVar[Mapping[str, Outcome]] = NUMBERS
    shapes = ("callback_version", ("v2", "v1"))
    balances = frozenset({"wallets"})

    def __init__(self, world: SimulatorCore) -> None:
        super().__init__(world)
        self.company = "Simulator"
        self.webhook_url = ""  # one for all operations; the dashboard has one for each
        self.min_amount = Decimal(1)
        self.max_amount = Decimal(5_000_000)
        # Operators that are slow (payouts wait, deposits are refused), or down.
        self.delayed: list[str] = []
        self.closed: list[str] = []
        self.refunds_wait = True  # one refund of a deposit at a time
        # Whether a refused id may be used again, and the word of what waits for ever: no page says.
        self.refused_again: Literal["ACCEPTED", "DUPLICATE_IGNORED"] = "ACCEPTED"
        self.stuck_word = STUCK
        # By country and currency.
        self.wallets = {name: Decimal(money) for name, money in wallets().items()}
        self.signed_requests_only = False  # the two switches of the dashboard
        self.signed_callbacks = False
        self.signing = Signing(self)
        # It repeats a callback for 15 minutes, until the answer is 200; no page says how often:
        # https://docs.pawapay.io/v2/docs/what_to_know
        self.redelivery = Redelivery(pauses=(10, 30, 60, 120, 240, 420), accepts=range(200, 201))
        self.callback_version: Literal["v2", "v1"] = "v2"
        self.toolkit = Toolkit(self)
        self.pages = Pages(self)
        self.orders = Orders(self)
        self.v1 = V1(self)

    @property
    def bounds(self) -> tuple[Decimal, Decimal]:
        """The lowest and the highest amount of a payment."""
        return self.min_amount, self.max_amount

    def currencies_of(self, country: str) -> list[str]:
        """Return the currencies of a country's wallets."""
        names = (name.split("/") for name in self.wallets)
        return [currency for land, currency in names if land == country]

    async def answer(self, incoming: WebhookRequest) -> Response:
        """Answer below /v2, and at the root as v1; the pages of payers are beside both."""
        match incoming.method, *segments(incoming):
            case "GET", "v2", "availability":
                return self.toolkit.availability(incoming)
            case "GET" | "POST", "pay" | "authorise", id:
                return self.pages.show(incoming, id)
            case "GET", "statements", name:
                return self.toolkit.download(name)
            case method, "v2", *path:
                self._check_token(incoming)
                return self._answer(incoming, method, path)
        self._check_token(incoming)
        return self.v1.answer(incoming, segments(incoming))

    def _answer(self, incoming: WebhookRequest, method: str, path: list[str]) -> Response:
        match method, *path:
            case "POST", operation if operation in PATHS:
                if self.signed_requests_only:
                    self.signing.check(incoming)
                return self.orders.initiate(PATHS[operation], self.body(incoming))
            case "GET", operation, id if operation in PATHS:
                return self.orders.check(PATHS[operation], id)
            case "POST", operation, "resend-callback", id if operation in PATHS:
                return self.orders.resend(PATHS[operation], id)
            case "POST", "payouts" | "refunds" as operation, "fail-enqueued", id:
                return self.orders.cancel(PATHS[operation], id)
            case "POST", "paymentpage":
                return self.pages.open(self.body(incoming))
            case "GET", "active-conf":
                return self.toolkit.active_conf(incoming)
            case "POST", "predict-provider":
                return self.toolkit.predict(self.body(incoming))
            case "GET", "public-key", "http":
                return self.signing.public_keys()
            case "GET", "wallet-balances":
                return self.toolkit.wallets(query(incoming).get("country"))
            case "POST", "statements":
                return self.toolkit.request_statement(self.body(incoming))
            case "GET", "statements", id:
                return self.toolkit.statement(id)
        return json_reply({"message": "Not Found"}, 404)

    def _check_token(self, incoming: WebhookRequest) -> None:
        scheme, _, token = incoming.headers.get("authorization", "").partition(" ")
        if not token or scheme.lower() != "bearer":
            said = "We did not find the API token in the request headers."
            raise Refused(not_allowed("NO_AUTHENTICATION", said, 401))
        if token != "simulator":
            raise Refused(self.stale(incoming))

    def body(self, incoming: WebhookRequest) -> dict[str, Any]:
        """Read the body of a request, or refuse it."""
        body = fields(incoming)
        if body is None:
            raise refused("INVALID_INPUT", "The body is not JSON.", status=400)
        return body

    def message(self, entry: Entry, *, forged: bool = False) -> Message | None:
        """Make the callback of a payment that has ended, or that waits for its payer's browser."""
        if not self.webhook_url or entry.words.get("opened") is False:
            return None
        first = self.callback_version == "v1"
        told = self.v1.payment(entry) if first else payment(entry, callback=True)
        if forged:
            lie = {"depositedAmount": told.get("requestedAmount")} if first else {}
            told = {**told, **lie, "status": "COMPLETED", "failureReason": None}
        message = Message.json(self.webhook_url, told)
        message = msgspec.structs.replace(message, again=self.redelivery)
        return self.signing.callback(message, forged=forged) if self.signed_callbacks else message

    def stale(self, incoming: WebhookRequest) -> Response:
        """Refuse a token."""
        return not_allowed("AUTHENTICATION_ERROR", "The API token is invalid.", 403)

    def ring(self, entry: Entry, outcome: Outcome | None = None, *, on_phone: bool = True) -> None:
        """Ask the payer or the operator; some numbers of the sandbox never answer."""
        if stuck(entry):
            entry.words["stuck"] = self.stuck_word
        else:
            super().ring(entry, outcome, on_phone=on_phone)

    def settle(self, entry: Entry, outcome: Outcome) -> None:
        """Decide a payment, and book it: a deposit is paid in, what failed comes back."""
        before = _taken(entry)
        super().settle(entry, outcome)
        self._book(entry.words["wallet"], before - _taken(entry))

    def reserve(self, kind: Kind, wallet: str, amount: Decimal, ids: Mapping[str, str]) -> None:
        """Take the money of a payout or a refund out of its wallet, or refuse it."""
        if kind == "collect":
            return
        if amount > self.wallets.get(wallet, Decimal(0)):
            raise refused("PAWAPAY_WALLET_OUT_OF_FUNDS", "The wallet has too little money.", ids)
        self._book(wallet, -amount)

    def _book(self, wallet: str, amount: Decimal) -> None:
        self.wallets[wallet] = self.wallets.get(wallet, Decimal(0)) + amount


def _taken(entry: Entry) -> Decimal:
    """Return what an order has taken out of its wallet so far; a deposit puts in."""
    if entry.kind == "collect":
        return -entry.amount if entry.moved else Decimal(0)
    ended = entry.status.terminal and not entry.moved
    return Decimal(0) if ended else entry.amount
