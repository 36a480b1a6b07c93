"""Acme: mobile money of Benin, in XOF. The page is https://acme.example/docs."""

from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar, Literal

from paymux.drivers.base import Driver, Duplicate, Facts, Pace, reveal
from paymux.errors import (
    AuthenticationFailed,
    NotFound,
    ProviderError,
    RateLimited,
    Rejected,
    UsageError,
)
from paymux.http import Request, Response, Send, WebhookRequest, ask, get, post
from paymux.models import Event, Kind, Order, Payment, Reason, Status
from paymux.primitives.redaction import Secret
from paymux.values.money import whole
from paymux.values.parsing import ProviderData, Scalar, Text, Unreadable, amount
from paymux.values.status_words import UNPAID, StatusWords, Vocabulary

_STATUS = Vocabulary(
    {
        "OPEN": Status.PENDING,
        "PAID": Status.SUCCEEDED,
        "DECLINED": (Status.FAILED, Reason.DECLINED),
        "NO_FUNDS": (Status.FAILED, Reason.INSUFFICIENT_FUNDS),
        "CANCELLED": (Status.CANCELLED, Reason.CANCELLED),
        "EXPIRED": (Status.EXPIRED, Reason.EXPIRED),
    }
)
_PAID: StatusWords = {"YES": Status.SUCCEEDED, "NO": UNPAID}
# "Errors" of the page, each under its own HTTP status and before any payer is asked.
_ERRORS: Mapping[str, type[ProviderError]] = {
    "bad_key": AuthenticationFailed,
    "bad_request": Rejected,
    "reference_used": Duplicate,
    "too_many": RateLimited,
}


class Answer(ProviderData, frozen=True):
    """A payment, as it is answered and told."""

    id: Text = None
    reference: Text = None
    status: Text = None
    paid: Text = None
    amount: Scalar = None
    currency: Text = None
    error: Text = None

    def answers(self, reference: str | None = None) -> bool:
        """Tell whether this is a payment, that of our reference where it was sent."""
        if not self.id:
            raise Unreadable("the answer has no id")
        if not self.status:
            raise Unreadable("the answer has no status")
        if reference and self.reference not in (None, reference):
            raise Unreadable("it is another reference's")
        return True


class Asked(ProviderData, frozen=True):
    """The acknowledgement of a question."""

    question: Text = None

    def named(self) -> str:
        """Return the id that the answer will have."""
        if not self.question:
            raise Unreadable("no question is named")
        return self.question


class Told(ProviderData, frozen=True):
    """The answer to a question, which comes as a message."""

    transfer: Answer | None = None


class Acme(Driver, frozen=True, kw_only=True):
    """An account at Acme."""

    name = "acme"
    live_url = "https://api.acme.example"
    sandbox_url = "https://sandbox.acme.example"
    currencies = frozenset({"XOF"})
    countries = frozenset({"BJ"})
    facts: ClassVar[Mapping[Kind, Facts]] = {
        "collect": Facts(deduplicates=False, findable=False, not_found_final_after=None),
        # No page says when a transfer can be asked for.
        "payout": Facts(deduplicates=True, findable=True, not_found_final_after=None),
    }
    finds_by: ClassVar[Mapping[Kind, frozenset[Literal["reference", "receipt"]]]] = {
        "payout": frozenset({"reference"})
    }
    speaks: ClassVar[Mapping[str, StatusWords]] = {"status": _STATUS, "paid": _PAID}
    proofs: ClassVar[Mapping[str, tuple[str, ...]]] = {"payment": ("amount", "currency")}
    required = frozenset({"api_key"})
    takes = frozenset({"description", "webhook_url"})
    payout_takes = frozenset({"webhook_url"})

    api_key: Secret | str = ""

    def authorize(self, request: Request[Any], token: str | None) -> Request[Any]:
        """Sign with the key."""
        return request.with_headers({"X-Api-Key": reveal(self.api_key)})

    def judge(self, request: Request[Any], reply: Response) -> ProviderError | None:
        """Believe the listed errors."""
        said = reply.read(Answer) or Answer()
        code = said.error or ""
        if code in _ERRORS and reply.status in (400, 401, 409, 429):
            error = _ERRORS[code]("")
            error.code = code
            return error
        return super().judge(request, reply)

    async def collect(self, send: Send, order: Order) -> Payment:
        """Ask the payer for the money."""
        body = {
            "amount": whole(order.amount),
            "currency": order.currency,
            "payer": order.party,
            "reference": order.reference,
            "callback_url": order.webhook_url,
        }
        answers = partial(Answer.answers, reference=order.reference)
        return self.payment(await send(post("/v1/payments", Answer, body, matches=answers)))

    async def payout(self, send: Send, order: Order) -> Payment:
        """Send money to a number; the answer says only that it was accepted."""
        body = {
            "amount": whole(order.amount),
            "currency": order.currency,
            "payee": order.party,
            "reference": order.reference,
            "callback_url": order.webhook_url,
        }
        answers = partial(Answer.answers, reference=order.reference)
        said = await send(post("/v1/transfers", Answer, body, matches=answers))
        return self.payment(said, kind="payout")

    async def verify(self, send: Send, payment: Payment) -> Payment:
        """Ask for a payment or a transfer by Acme's id."""
        asked = payment.provider_reference
        if not asked:
            raise UsageError.field("provider_reference", asked, "the id that Acme gave")
        if payment.kind == "payout":
            return await self._question(send, {"id": asked})
        request = get("/v1/payments/{id}", Answer, at={"id": asked}, matches=Answer.answers)
        return self.payment(await send(request), asked)

    async def find(self, send: Send, payment: Payment) -> Payment:
        """Ask for a transfer by our reference."""
        return await self._question(send, {"reference": payment.reference})

    async def _question(self, send: Send, by: Mapping[str, str | None]) -> Payment:
        """Ask for a transfer; the answer comes as a message."""
        urls = ("answer_url", "late_url")
        question = ask("/v1/questions", Asked, by, answer=Told, id_of=Asked.named, urls=urls)
        said = (await send(question)).transfer
        if said is None:
            raise NotFound("Acme has no such transfer")
        said.answers(by.get("reference"))
        return self.payment(said, kind="payout")

    def answer_id(self, incoming: WebhookRequest) -> str:
        """Return the id by which an answer names its question."""
        return self.message(Asked, incoming).named()

    def pace(self, payment: Payment) -> Pace:
        """Look at a transfer seldom: each look-up is a question."""
        if payment.kind != "payout":
            return super().pace(payment)
        ages = (60.0, 600.0)
        return Pace(first_look=60.0, watch_timeout=3600.0, ages=ages, by_callback=True)

    def webhook(self, incoming: WebhookRequest) -> Event:
        """Read a message; nothing signs it."""
        said = self.message(Answer, incoming)
        if not said.id:
            raise Unreadable("no id")
        return self.event(self.payment(said))

    def payment(self, said: Answer, asked: str | None = None, kind: Kind = "collect") -> Payment:
        """Say in our words how a payment stands."""
        status, reason = self.outcome({"status": said.status, "paid": said.paid})
        found = Payment(
            account=self.account,
            provider=self.name,
            live=self.live,
            reference=said.reference,
            provider_reference=said.id or asked,
            status=status,
            amount=amount(said.amount),
            currency=said.currency,
            provider_status=said.status,
            reason=reason,
        )
        return self.proved(found, "payment")
