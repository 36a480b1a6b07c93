"""Acme: mobile money of Benin, in XOF. The page is https://acme.example/docs."""

from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar

from paymux.drivers.base import Driver, Facts, reveal
from paymux.errors import AuthenticationFailed, ProviderError, RateLimited, Rejected, UsageError
from paymux.http import Request, Response, Send, WebhookRequest, get, post
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


class Acme(Driver, frozen=True, kw_only=True):
    """An account at Acme."""

    name = "acme"
    live_url = "https://api.acme.example"
    sandbox_url = "https://sandbox.acme.example"
    currencies = frozenset({"XOF"})
    countries = frozenset({"BJ"})
    facts: ClassVar[Mapping[Kind, Facts]] = {
        "collect": Facts(deduplicates=False, findable=False, not_found_final_after=None)
    }
    speaks: ClassVar[Mapping[str, StatusWords]] = {"status": _STATUS, "paid": _PAID}
    proofs: ClassVar[Mapping[str, tuple[str, ...]]] = {"payment": ("amount", "currency")}
    required = frozenset({"api_key"})
    takes = frozenset({"description", "webhook_url"})

    api_key: Secret | str = ""

    def authorize(self, request: Request[Any], token: str | None) -> Request[Any]:
        """Sign with the key."""
        return request.with_headers({"X-Api-Key": reveal(self.api_key)})

    def judge(self, request: Request[Any], reply: Response) -> ProviderError | None:
        """Believe the listed errors."""
        said = reply.read(Answer) or Answer()
        code = said.error or ""
        if code in _ERRORS and reply.status in (400, 401, 429):
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

    async def verify(self, send: Send, payment: Payment) -> Payment:
        """Ask for a payment by Acme's id."""
        asked = payment.provider_reference
        if not asked:
            raise UsageError.field("provider_reference", asked, "the id that Acme gave")
        request = get("/v1/payments/{id}", Answer, at={"id": asked}, matches=Answer.answers)
        return self.payment(await send(request), asked)

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
