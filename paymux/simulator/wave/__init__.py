"""Wave's Business API: checkout sessions, payouts and their reversal, balance and transactions.

The pages are https://docs.wave.com/checkout, /payout, /webhook and /business (2024-03-29). There is
no sandbox and no test number. Credentials: api_key and webhook_secret are both "simulator".
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import ClassVar, Literal

from ...http import Response, WebhookRequest
from ...models import Reason, Status
from ..base import Provider
from ..checkout import serve
from ..core import SimulatorCore
from ..ledger import Entry, Outcome
from ..messages import Message
from ..replies import html_reply, json_reply, query, segments
from .checks import authorized, refused
from .messages import FAILED, event, session
from .page import checkout
from .payouts import Payouts
from .sessions import Sessions
from .transactions import page

_OPEN = frozenset({Status.FAILED, Status.CANCELLED})


class Wave(Provider):
    """Wave's API; a test may change every attribute set in `__init__`."""

    name = "wave"
    hosts = frozenset({"api.wave.com", "pay.wave.com"})
    credentials: ClassVar[Mapping[str, str]] = {
        "api_key": "simulator",
        "webhook_secret": "simulator",
    }
    # The page has no test numbers; a payout to a number that ends in 4 stays in process for ever.
    numbers: ClassVar[Mapping[str, Outcome]] = {
        "221770000004": Outcome(Status.PENDING),
        "221770000008": Outcome(Status.FAILED, Reason.LIMIT),
    }
    shapes = ("strategy", ("signing", "shared"))
    balances = frozenset({"balance"})

    def __init__(self, world: SimulatorCore) -> None:
        super().__init__(world)
        self.business = "Simulator"
        self.balance = Decimal(1_000_000)
        self.fee = Decimal("0.01")  # of a payout, on top: 5 of 500 in the page's sample
        self.cost = Decimal("0.01")  # of a checkout, taken from it: 10 of 1000 in the sample
        self.calling_code = "221"  # "your wallet and the recipient's must be in the same country"
        self.page_life = 1800.0  # seconds from when_created to when_expires in the sample
        self.webhook_url = ""  # a setting of the portal, as are the strategy and the secret
        self.webhook_secret = "simulator"
        self.strategy: Literal["signing", "shared"] = "signing"
        self.unknown_fields_refused = True  # integrators say so of a checkout; no page does
        # What the page's list "failed or succeeded" means for a session that ended unpaid after a
        # failed attempt: the word of the webhook's sample, or the one of the list.
        self.unpaid_word: Literal["failed", "cancelled"] = "failed"
        self.repeated: Literal["another", "join"] = "another"  # a session's client_reference
        self.unknown_status = 404  # of a session; no page says which status its code has
        self.prechecks = True  # a payout beyond the balance is refused before it has an id
        # An event comes again for three days, until the answer is 2xx. No page says when, or if
        # it is signed anew, as it must be for its time to be good: https://docs.wave.com/webhook
        self.pauses: tuple[float, ...] = (60, 600, 3600, 14_400, 86_400, 100_000)
        self.page_rows = 100  # of transactions; no page says how many
        self.reversal_days = 3
        self.sessions = Sessions(self)
        self.payouts = Payouts(self)

    async def answer(self, incoming: WebhookRequest) -> Response:
        """Answer the API below /v1, and serve the page that `wave_launch_url` opens."""
        path = segments(incoming)
        match incoming.method, *path:
            case "GET" | "POST", "c", session_id:
                return self._page(incoming, session_id)
            case "GET" | "POST", "v1", *_:
                authorized(incoming)
            case _:
                return refused(404, "not-found", "Not found")
        match incoming.method, *path[1:]:
            case "POST", "checkout", "sessions":
                return self.sessions.create(incoming)
            case "GET", "checkout", "sessions":
                return self.sessions.of_transaction(query(incoming))
            case "GET", "checkout", "sessions", "search":
                return self.sessions.search(query(incoming))
            case "GET", "checkout", "sessions", session_id:
                return self.sessions.get(session_id)
            case "POST", "checkout", "sessions", session_id, "expire":
                return self.sessions.expire(session_id)
            case "POST", "checkout", "sessions", session_id, "refund":
                return self.sessions.refund(session_id)
            case "POST", "payout":
                return self.payouts.create(incoming)
            case "GET", "payout", payout_id:
                return self.payouts.get(payout_id)
            case "GET", "payouts", "search":
                return self.payouts.search(query(incoming))
            case "POST", "payout", payout_id, "reverse":
                return self.payouts.reverse(payout_id)
            case "POST", "verify_recipient":
                return self.payouts.recipient(incoming)
            case "GET", "balance":
                return json_reply({"amount": str(int(self.balance)), "currency": "XOF"})
            case "GET", "transactions":
                return page(self, query(incoming))
        return refused(404, "not-found", "Not found")

    def message(self, entry: Entry, *, forged: bool = False) -> Message | None:
        """Make the event of a session: that it was paid, or that an attempt failed."""
        if not self.webhook_url or entry.kind != "collect":
            return None
        told = session(self, entry)
        if forged:
            paid = {"checkout_status": "complete", "payment_status": "succeeded"}
            return event(self, "checkout.session.completed", {**told, **paid}, secret="forged")
        if entry.moved:
            return event(self, "checkout.session.completed", told)
        return self.failed_attempt(entry)

    def announce(self, entry: Entry) -> None:
        """Send the event of a session; there is none of an expiry, a payout or a refund."""
        if entry.status in (Status.SUCCEEDED, Status.FAILED):
            super().announce(entry)

    def failed_attempt(self, entry: Entry) -> Message:
        """Make the event of an attempt that failed; it has three fields of the session."""
        told = session(self, entry)
        data = {"id": told["id"], "payment_status": FAILED}
        data["last_payment_error"] = told["last_payment_error"]
        return event(self, "checkout.session.payment_failed", data)

    def throttled(self) -> Response:
        """Refuse as the page's list of errors says."""
        return refused(429, "too-many-requests", "Too many requests")

    def stale(self, incoming: WebhookRequest) -> Response:
        """Refuse the key: there are no tokens."""
        return refused(401, "no-matching-api-key", "The key you provided doesn't exist.")

    def settle(self, entry: Entry, outcome: Outcome) -> None:
        """Decide an order, and book it on the wallet.

        What a payer does wrong is one attempt: the session stays open, and may be paid until it
        expires. What a test decides is the end.
        """
        if entry.kind == "collect" and outcome.by != "settle" and outcome.status in _OPEN:
            self.sessions.attempt(entry, outcome)
            return
        before = entry.moved
        super().settle(entry, outcome)
        if entry.moved and not before:
            self.balance += self.booked(entry)
        if entry.status is Status.REFUNDED:
            self.balance -= self.booked(entry)

    def booked(self, entry: Entry) -> Decimal:
        """Return what an order adds to the wallet, with its fee."""
        if entry.kind == "collect":
            return entry.amount - self.cost_of(entry)
        return -(entry.amount + self.fee_of(entry)) if entry.kind == "payout" else Decimal(0)

    def fee_of(self, entry: Entry) -> Decimal:
        """Return the fee of a payout, which is charged on top of its amount."""
        return Decimal(int(entry.amount * self.fee))

    def cost_of(self, entry: Entry) -> Decimal:
        """Return the fee of a checkout, which is taken from its amount."""
        return Decimal(int(entry.amount * self.cost))

    def _page(self, incoming: WebhookRequest, session_id: str) -> Response:
        """Serve the page of a session; Wave then opens success_url or error_url unchanged."""
        entry = self.entry(session_id)
        if entry is None or entry.kind != "collect":
            return html_reply("<!doctype html><title>404</title><p>Not Found", 404)
        return serve(self, entry, incoming, checkout(self, entry))
