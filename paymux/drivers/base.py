"""The base of every driver: facts about a provider, three hooks, the verbs, and helpers.

The fields of an account are in `_account.py`. `paymux.drivers` shows in an example how one is
written.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any, ClassVar, Literal, TypeVar

import msgspec

from ..errors import NotFound, ProviderError, RateLimited, Rejected, Unsupported
from ..http import Request, Response, Send, WebhookRequest
from ..models import Balance, Event, Kind, Method, Order, Payment, Reason, Receipt, Status, Trust
from ..values.parsing import row
from ..values.status_words import StatusWords, agreed_status, log_unproved_success, why
from ._account import Account, reveal
from ._facts import Duplicate, Facts, NotJoining, Option, Pace, Token, Verb
from ._messages import WEBHOOK_BYTES, read_message

__all__ = [
    "WEBHOOK_BYTES",
    "Driver",
    "Duplicate",
    "Facts",
    "NotJoining",
    "Option",
    "Pace",
    "Token",
    "Verb",
    "reveal",
]

T = TypeVar("T")

_BARE: Mapping[int, type[ProviderError]] = {
    400: Rejected,
    404: NotFound,
    422: Rejected,
    429: RateLimited,
}
_UNPAID_ENDS = frozenset({Status.FAILED, Status.CANCELLED, Status.EXPIRED})
_UNSTATED = Facts(deduplicates=False, findable=False, not_found_final_after=None)


class Driver(Account, frozen=True, kw_only=True):
    """One account at one provider: frozen credentials; coroutines whose only effect is `send`."""

    facts: ClassVar[Mapping[Kind, Facts]] = {}
    # The options of an order that this provider has, beyond the common fields.
    takes: ClassVar[frozenset[Option]] = frozenset()
    payout_takes: ClassVar[frozenset[Option] | None] = None  # the same for a payout, if it differs
    refund_takes: ClassVar[frozenset[Option]] = frozenset()  # the same for a refund
    settings: ClassVar[frozenset[str]] = frozenset()  # the names this driver takes in `extra=`
    # Each field of an answer or message that contains a status, and what its words mean.
    speaks: ClassVar[Mapping[str, StatusWords]] = {}
    # The fields that every documented success has, by the form of the answer: names in a Payment,
    # or in its `ids`.
    proofs: ClassVar[Mapping[str, tuple[str, ...]]] = {}
    # The number of requests, and in how many seconds.
    limits: ClassVar[Mapping[Literal["money", "look-up"], tuple[int, float]]] = {}
    # What `find` can ask by, for each kind of payment: our reference, or the provider's receipt.
    finds_by: ClassVar[Mapping[Kind, frozenset[Literal["reference", "receipt"]]]] = {}
    # Names in `ids` that `verify` can use if there is no provider's reference.
    verifies_by: ClassVar[frozenset[str]] = frozenset()
    token_life: ClassVar[float] = 300.0  # seconds, if the provider states none
    watch_timeout: ClassVar[float] = 300.0  # seconds; longer: a page (watch/schedule.py)
    first_look: ClassVar[float] = 2.0  # seconds from an order to the first useful look-up
    # What a caller may do if the answer with a checkout page's URL was lost, or to a refund, or to
    # a payout that cannot be asked for.
    lost_page: ClassVar[str] = ""
    lost_refund: ClassVar[str] = ""
    # The provider gives a payment back once, and answers another refund of it like the first.
    refunds_once: ClassVar[bool] = False
    lost_payout: ClassVar[str] = ""
    # The provider may never call a path that contains one of these words.
    callback_words_to_avoid: ClassVar[tuple[str, ...]] = ()
    # Whether it sends a message again that was not answered with 2xx; unknown: False.
    redelivers: ClassVar[bool] = False
    # Its field for a callback URL is too short for an order's own: it gets the account's.
    short_callbacks: ClassVar[bool] = False
    probes: ClassVar[bool] = False  # it tests a callback URL with an empty message, a ping
    adopting: ClassVar[bool] = False  # payments without an order, once proved (models/kinds.py)

    def lists_those_of(self, other: "Driver") -> bool:
        """Return whether the payments of another account are in this one's list as well."""
        return False

    @classmethod
    def can(cls, verb: Verb) -> bool:
        """Return whether this provider has the operation: whether this driver overrides it."""
        return getattr(cls, verb) is not getattr(Driver, verb)

    def proof_of(self, name: str) -> Callable[[Send], Awaitable[object]] | None:
        """Return a verb (with a question: `balance`) whose answer proves a credential, or None."""
        return None

    def asks(self, payment: Payment) -> Literal["verify", "find"] | None:
        """Return the look-up for a payment: by the provider's ids, by `finds_by`, or None."""
        own = type(self)  # compared here: `can` would be another call in each look-up
        if payment.provider_reference is not None or not self.verifies_by.isdisjoint(payment.ids):
            return "verify" if own.verify is not Driver.verify else None
        if payment.reference is not None:
            by_ours = "reference" in self.finds_by.get(payment.kind or "collect", ())
            return "find" if by_ours else None
        by_receipt = any("receipt" in by for by in self.finds_by.values())
        return "find" if payment.receipt is not None and by_receipt else None

    def pace(self, payment: Payment) -> Pace:
        """Return when to look up a payment."""
        return Pace(first_look=self.first_look, watch_timeout=self.watch_timeout)

    def facts_of(self, order: Order | Payment) -> Facts:
        """Return the facts about the verb of an order, or of its payment."""
        return self.facts.get(order.kind or "collect", _UNSTATED)

    # Hooks of the transport.

    async def token(self, send: Send) -> Token | None:
        """Log in; the token cache calls it once for all callers. None: no token is needed."""
        return None

    @classmethod
    def logs_in(cls) -> bool:
        """Return whether requests of this provider need a token."""
        return cls.token is not Driver.token or cls.login is not Driver.login

    async def login(self, send: Send, name: str) -> Token | None:
        """Log in for the requests that name this login: `get(…, login="payouts")`."""
        return await self.token(send)

    def authorize(self, request: Request[T], token: str | None) -> Request[T]:
        """Sign a request."""
        return request

    def judge(self, request: Request[Any], reply: Response) -> ProviderError | None:
        """Return the error that this response certainly means, or None.

        AuthenticationFailed for a request with a token means that the token is stale; RateLimited,
        that the request was refused before processing; Duplicate, that an earlier request with our
        reference exists. It may raise Unreadable for a response that is not an answer, with any
        status. This base method judges look-ups by their status alone, and money requests and those
        that are sent once not at all. It does not judge 401 and 403, which a firewall may send,
        too: only a driver knows their form at its provider.
        """
        if request.money or request.once or reply.status in request.accept:
            return None
        kind = _BARE.get(reply.status)
        return kind() if kind else None

    # Verbs.

    async def collect(self, send: Send, order: Order) -> Payment:
        """Ask a payer for money."""
        raise Unsupported(f"{self.name} cannot collect")

    async def payout(self, send: Send, order: Order) -> Payment:
        """Send money to a payee."""
        raise Unsupported(f"{self.name} cannot pay out")

    async def verify(self, send: Send, payment: Payment) -> Payment:
        """Ask for a payment by the provider's reference."""
        raise Unsupported(f"{self.name} cannot verify")

    async def find(self, send: Send, payment: Payment) -> Payment:
        """Ask for a payment by our reference, or, if it has none, by its receipt: `finds_by`."""
        raise Unsupported(f"{self.name} cannot be asked by reference")

    async def refund(self, send: Send, order: Order, payment: Payment) -> Payment:
        """Give back money of a payment."""
        raise Unsupported(f"{self.name} cannot refund")

    async def balance(self, send: Send) -> Balance:
        """Ask for the money that can be paid out."""
        raise Unsupported(f"{self.name} tells no balance")

    def history(
        self, send: Send, since: datetime, until: datetime
    ) -> AsyncIterator[Payment | None]:
        """List the payments of a period, as the provider has them, each with its row as `raw`.

        None means that more rows follow: the deadline starts again, as after each payment.
        """
        raise Unsupported(f"{self.name} has no history")

    async def receipt(self, send: Send, payment: Payment) -> Receipt:
        """Ask for a payment's receipt."""
        raise Unsupported(f"{self.name} gives no receipts")

    async def methods(self, send: Send) -> list[Method]:
        """List the ways to pay that the account offers."""
        raise Unsupported(f"{self.name} lists no methods")

    def returned(self, url: str) -> Event:
        """Read the URL to which the payer's browser returned: a hint, like any message."""
        raise Unsupported(f"{self.name} sends no browser back")

    def webhook(self, incoming: WebhookRequest) -> Event:
        """Read a message: without side effects. Its status is only a claim. Forged: BadWebhook."""
        raise Unsupported(f"{self.name} sends no webhooks")

    def answer_id(self, incoming: WebhookRequest) -> str:
        """Return the id by which an answer to `ask` names its question, or raise Unreadable."""
        raise Unsupported(f"{self.name} answers no question by a message")

    def confirms(self, event: Event) -> bool:
        """Return whether a look-up can confirm a message; if not, it is kept for a person."""
        return True

    def adopts(self, event: Event) -> str | None:
        """Return `c2b.<receipt>`, the reference of a reported payment without an order, or None."""
        return None

    def proof(self, event: Event, known: Payment) -> Payment | None:
        """Return what a message proves by itself; None: the provider is asked."""
        return None

    def may_tell_of(self, event: Event, order: Payment) -> bool:
        """Return whether a message that no look-up confirms may be about an order."""
        claims = event.claims
        pairs = (
            (claims.amount, order.amount),
            (claims.currency, order.currency),
            (event.account, order.account),
        )
        return all(None in pair or pair[0] == pair[1] for pair in pairs)

    def acknowledge(self, event: Event, refused: str = "") -> Response:
        """Return the response to a message. `refused`: why the answer to a ping is no, or ""."""
        return Response(status=200, headers={"content-type": "text/plain"}, body=b"OK")

    # Helpers for drivers.

    def status(self, said: Mapping[str, str | None]) -> Status:
        """Read the status from the fields that contain one, by their words in `speaks`.

        A contradiction or an unknown word is PENDING, and is logged once.
        """
        return agreed_status(self.name, self.speaks, said, self.secrets)

    def outcome(self, said: Mapping[str, str | None]) -> tuple[Status, Reason | None]:
        """Read the status like `status`, and the reason of a failure: that of the last word."""
        status = agreed_status(self.name, self.speaks, said, self.secrets)
        return status, why(self.speaks, said) if status in _UNPAID_ENDS else None

    def event(self, claims: Payment, trust: Trust = Trust.NOTHING, *, ping: bool = False) -> Event:
        """Return a message's event: what it claims, and how far it is authenticated."""
        return Event(
            account=self.account,
            provider=self.name,
            trust=trust,
            claims=claims,
            ping=ping,
        )

    def proved(self, found: Payment, form: str) -> Payment:
        """Return a payment; a success without the fields of every documented one is PENDING."""
        if found.status is not Status.SUCCEEDED:
            return found
        lacking = []
        for name in self.proofs[form]:
            if getattr(found, name, None) is None and name not in found.ids:
                lacking.append(name)  # noqa: PERF401 - a comprehension costs one more frame
        if not lacking:
            return found
        log_unproved_success(self.name, " and ".join(lacking))
        return msgspec.structs.replace(found, status=Status.PENDING, paid_at=None)

    def pending(self, order: Order) -> Payment:
        """Return the payment of an order as it is known before any answer."""
        return Payment(
            account=self.account,
            provider=self.name,
            kind=order.kind,
            live=self.live,
            reference=order.reference,
            status=Status.PENDING,
            amount=order.amount,
            currency=order.currency,
            customer=order.customer,
            metadata=order.metadata,
            payer=None if order.kind == "payout" else order.party,
            payee=order.party if order.kind == "payout" else None,
            bill_reference=order.bill_reference,
        )

    def row(
        self, type: type[T], raw: msgspec.Raw, number: int, read: Callable[[T], Payment]
    ) -> Payment:
        """Read one row of a history, with its own text as `raw`; Unreadable names the row."""
        past, own = row(type, raw, number, read)
        return msgspec.structs.replace(past, raw=own)

    def message(self, type: type[T], incoming: WebhookRequest) -> T:
        """Read a message's fields as this type, or raise Unreadable.

        They are the query of a GET, the JSON or the form of a POST or PUT.
        """
        return read_message(type, incoming)
