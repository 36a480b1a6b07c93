"""Wave: payments by its app, and payouts, in XOF (Senegal, Côte d'Ivoire, Mali, Burkina Faso, …).

The pages are https://docs.wave.com/checkout, /payout, /webhook and /business, read in the copies of
2024-03. Integrators: PyPI wave-business-api 1.0.0.
"""

from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from typing import Any, ClassVar

import msgspec

from ...errors import (
    BadWebhook,
    ProviderError,
    UsageError,
)
from ...http import Request, Response, Send, WebhookRequest, get, post
from ...models import Balance, Event, Kind, Order, Payment, Status, Trust
from ...primitives.redaction import Secret
from ...values.money import exact
from ...values.parsing import Empty, Unreadable, amount, parse_time
from ...values.status_words import StatusWords
from ...values.validation import checked_text
from ..base import Driver, Facts, Option, Pace, reveal
from . import events, history, payouts, refunds
from .answers import (
    ATTEMPT,
    CHECKOUT,
    PAYMENT,
    PAYOUT,
    PAYOUT_ERROR,
    Payout,
    Payouts,
    Recipient,
    Session,
    Sessions,
    Wallet,
)
from .refusals import refusal
from .sessions import session_request
from .signature import proof_of, request_headers

_SESSION = get("/v1/checkout/sessions/{id}", Session, matches=Session.answers)
_PAYOUT = get("/v1/payout/{id}", Payout, matches=Payout.answers)


class Wave(Driver, frozen=True, kw_only=True):
    """A Wave Business wallet: an API key, and the secret of its webhook.

    Setting up, in the Wave Business Portal (business.wave.com, section Developer, for admins):

    1. "API keys": create one with the Checkout, Payout and Balance APIs. It is shown once:
       `Wave(api_key="wave_sn_prod_…", live=True)`. There is no sandbox. A key that must sign its
       requests has a secret of its own, `signing_secret`.
    2. "Webhooks": add the address that `pay.webhook_url("wave")` returns, with "Signing secret" and
       the events checkout.session.completed and checkout.session.payment_failed; the secret, shown
       once, is `webhook_secret`. While one secret replaces another, give both: `"new,old"`.

    `collect` opens a page of 30 minutes, which needs `return_url` and takes `cancel_url` for an
    attempt that failed; a `payer` is the only one who may pay there. A failed attempt is not the
    end: the payment stays PENDING until it is paid or expires. `payout` sends what its receiver
    gets, to a wallet of the same country, with the fee on top; `description` (40 characters) is
    shown to them, `customer` is their name. `refund` gives a whole payment back, or takes a whole
    payout back, within three days; a second one of the same payment is refused.
    `extra={"aggregated_merchant_id": …}` is for aggregators.
    """

    name = "wave"
    live_url = "https://api.wave.com"
    currencies = frozenset({"XOF"})
    # Those of the currency: the page only says that both wallets must be of one country.
    countries = frozenset({"BF", "BJ", "CI", "GW", "ML", "NE", "SN", "TG"})
    facts: ClassVar[Mapping[Kind, Facts]] = {
        # No Idempotency-Key is named for a session: each request makes another one.
        "collect": Facts(deduplicates=False, findable=True, not_found_final_after=None),
        # "Requests with the same key never send money more than once": the first one's answer.
        # A search is empty also for a payout that is not recorded yet.
        "payout": Facts(deduplicates=True, findable=True, not_found_final_after=None),
        # "Called twice, it makes one refund", whatever our reference; it has no status to read.
        "refund": Facts(deduplicates=True, findable=False, not_found_final_after=None),
    }
    takes: ClassVar[frozenset[Option]] = frozenset({"return_url", "cancel_url"})
    payout_takes: ClassVar[frozenset[Option]] = frozenset({"description", "customer"})
    settings = frozenset({"aggregated_merchant_id", "national_id"})
    speaks: ClassVar[Mapping[str, StatusWords]] = {
        "checkout_status": CHECKOUT,
        "payment_status": PAYMENT,
        "last_payment_error": ATTEMPT,
        "payout.status": PAYOUT,
        "payout_error": PAYOUT_ERROR,
    }
    proofs: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "session": ("amount", "currency"),
        "payout": ("amount", "currency"),
    }
    finds_by = {  # noqa: RUF012 - the base declares the type
        "collect": frozenset({"reference", "receipt"}),
        "payout": frozenset({"reference"}),
    }
    required = frozenset({"api_key"})
    payer = "optional"
    watch_timeout = 1900.0  # a session lives for 1800 s, and no message tells of its end
    first_look = 5.0
    redelivers = True  # "retried for up to three days"
    refunds_once = True
    lost_refund = (
        "Wave refunds once, by the payment's own id: `recover` and `Notifier` repeat the request "
        "until it is answered."
    )

    api_key: Secret | str = ""
    signing_secret: Secret | str = ""
    webhook_secret: Secret | str = ""

    def secrets(self) -> tuple[str, ...]:
        """Return the text of every credential, each secret of a webhook by itself."""
        return (*super().secrets(), *self._webhook_secrets())

    def _webhook_secrets(self) -> list[str]:
        return [one for one in reveal(self.webhook_secret).split(",") if one]

    def authorize(self, request: Request[Any], token: str | None) -> Request[Any]:
        """Sign with the key, and with its own secret if it has one."""
        return request.with_headers(
            request_headers(request, reveal(self.api_key), reveal(self.signing_secret))
        )

    def judge(self, request: Request[Any], reply: Response) -> ProviderError | None:
        """Return the error of a listed code; for money, an unlisted one proves nothing."""
        return refusal(request, reply) or super().judge(request, reply)

    async def collect(self, send: Send, order: Order) -> Payment:
        """Open a session; no payer is charged before paying in the app."""
        said = await send(session_request(order))
        return msgspec.structs.replace(self.payment(said), status=Status.PENDING, reason=None)

    async def payout(self, send: Send, order: Order) -> Payment:
        """Pay out at once; a refused payout is FAILED, or raises Rejected before it is made."""
        return payouts.read(self, await send(payouts.request(order)))

    async def refund(self, send: Send, order: Order, payment: Payment) -> Payment:
        """Give a whole payment back, or take a whole payout back."""
        return await refunds.refund(self, send, order, payment)

    def repeats(self, refund: Payment) -> bool:
        """Return whether a refund was not answered: it is named by its path, and sent again."""
        return refunds.is_unanswered(refund)

    async def repeat(self, send: Send, refund: Payment) -> Payment:
        """Send an unanswered refund again."""
        return await refunds.again(self, send, refund)

    async def verify(self, send: Send, payment: Payment) -> Payment:
        """Ask for a session or a payout by Wave's id; a reversal is what its payout says."""
        asked = payment.provider_reference or ""
        if not asked:
            accepted = "Wave's id, as cos-… or pt-…"
            raise UsageError.field("provider_reference", payment.provider_reference, accepted)
        if payment.kind in (None, "collect") and not asked.startswith("pt-"):
            return self.payment(await send(_SESSION.with_ids({"id": asked})))
        said = await send(_PAYOUT.with_ids({"id": asked}))
        return (
            refunds.reversal(self, said) if payment.kind == "refund" else payouts.read(self, said)
        )

    async def find(self, send: Send, payment: Payment) -> Payment:
        """Ask by our reference, or for a session by the payer's receipt, its transaction."""
        if payment.reference is None:
            query = {"transaction_id": payment.receipt or ""}
            by_receipt = get("/v1/checkout/sessions", Session, query=query, matches=Session.answers)
            return self.payment(await send(by_receipt))
        query = {"client_reference": payment.reference}
        if payment.kind == "payout":
            found = await send(get("/v1/payouts/search", Payouts, query=query))
            return payouts.read(self, found.one())
        request = get("/v1/checkout/sessions/search", Sessions, query=query)
        return self.payment((await send(request)).one())

    def asks(self, payment: Payment) -> Any:
        """Return the look-up; of a refund only a reversal that was answered has one."""
        if payment.kind == "refund" and not refunds.is_reversal(payment):
            return None
        return super().asks(payment)

    def pace(self, payment: Payment) -> Pace:
        """Return when to look: a payout is executed before it is answered."""
        if (payment.kind or "collect") == "collect":
            return super().pace(payment)
        return Pace(first_look=2.0, watch_timeout=300.0)

    async def balance(self, send: Send) -> Balance:
        """Ask for the wallet's balance."""
        wallet = await send(get("/v1/balance", Wallet))
        held = amount(wallet.amount)
        if held is None:
            raise Unreadable("no balance")
        return Balance(currency=wallet.currency or "XOF", available=held)

    def history(
        self, send: Send, since: datetime, until: datetime
    ) -> AsyncIterator[Payment | None]:
        """List the wallet's transactions, a request for each day; `fee` is Wave's."""
        return history.pages(self, send, since, until)

    async def expire(self, send: Send, *, provider_reference: str) -> None:
        """End an open session, so that it cannot be paid any more; then `verify` it.

        Rejected: it is paid or expired already.
        """
        at = {"id": checked_text("provider_reference", provider_reference, 64)}
        await send(post("/v1/checkout/sessions/{id}/expire", Empty, None, money=False, at=at))

    async def recipient(
        self, send: Send, *, payee: str, amount: int | str, name: str = "", national_id: str = ""
    ) -> Recipient:
        """Ask whether a payee can receive an amount in XOF, and has this name or identity number.

        At most 30 times in five minutes for a number: it is then refused for an hour.
        """
        party = self.party("payout", payee)
        return await send(payouts.comparison(party, exact(amount, "XOF"), name, national_id))

    def webhook(self, incoming: WebhookRequest) -> Event:
        """Read an event of a session; with a secret, one without its signature is BadWebhook."""
        secrets, trust = self._webhook_secrets(), Trust.NOTHING
        if secrets:
            try:
                trust = proof_of(incoming, secrets)
            except Unreadable as error:
                raise BadWebhook(f"{self.account}: {error}") from None
        return events.read(self, self.message(events.Message, incoming), trust)

    def confirms(self, event: Event) -> bool:
        """Return whether a message is about a session: others came by themselves."""
        return events.UNASKED not in event.claims.ids

    def payment(self, said: Session, asked: str | None = None, kind: Kind = "collect") -> Payment:
        """Read a session in an answer or a message."""
        failed = said.last_payment_error
        words = {
            "checkout_status": said.checkout_status,
            "payment_status": said.payment_status,
            "last_payment_error": failed.code if failed else None,
        }
        status, reason = self.outcome(words)
        told = [word for word in (said.checkout_status, said.payment_status) if word]
        found = Payment(
            account=self.account,
            provider=self.name,
            kind="collect",
            live=self.live,
            reference=said.client_reference,
            provider_reference=said.id,
            status=status,
            amount=amount(said.amount),
            currency=said.currency,
            payer=(said.restrict_payer_mobile or "").lstrip("+") or None,
            operator="WAVE",
            receipt=said.transaction_id,
            checkout_url=said.wave_launch_url,
            provider_status="/".join(told) or None,
            reason=reason,
            message=failed.message if failed else None,
            paid_at=parse_time(said.when_completed) if status is Status.SUCCEEDED else None,
            created_at=parse_time(said.when_created),
        )
        return self.proved(found, "session")
