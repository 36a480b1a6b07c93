"""CamPay: mobile money of Cameroon (MTN and Orange), in XAF.

The page is https://documenter.getpostman.com/view/2391374/T1LV8PVA, the SDK
github.com/CamPay/campay-python-sdk. Integrators: NdoleStudio/campay-go-sdk, kalynux/jovi-mall,
DatengTankoua/royalvibe-cosmetic (quotes the page).
"""

import re
from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from functools import partial
from typing import Any, ClassVar, Literal

from ...errors import AuthenticationFailed, BadWebhook, ProviderError, Rejected, UsageError
from ...http import Request, Response, Send, WebhookRequest, get, post
from ...models import Balance, Event, Kind, Order, Payment, Trust
from ...primitives import coerce
from ...primitives.redaction import Secret
from ...values.jwt import verified_claims
from ...values.money import whole
from ...values.parsing import Unreadable, amount, convert, form_fields, parse_time
from ...values.status_words import StatusWords
from ..base import Driver, Facts, Token, reveal
from . import airtime, holder, link
from .answers import KINDS, REASON, REFUSALS, STATUS, Login, Transaction, Wallet, failure
from .history import pages

_DIALECTS = frozenset({"current", "summary"})
_OTHER_HOST = {
    False: " (this is the demo host: the login of a live application needs live=True)",
    True: " (this is the live host: the login of a demo application needs live=False)",
}
# The form of an error of Django REST framework, which CamPay uses (its 401 and 404 have the words
# of the framework): one text under `detail`. The page of a firewall has another form.
_DETAIL = frozenset({"detail"})
# The page says about a repeated external_reference "you will get the results of the first request",
# then "will be rejected" (royalvibe). There is no look-up by it. A payment link that was not opened
# is "not found", too (README of the SDK).
_FACTS = Facts(deduplicates=False, findable=False, not_found_final_after=None)
_COLLECT = post("/collect/", Transaction, None)
_WITHDRAW = post("/withdraw/", Transaction, None)
_DISBURSE = post("/disburse/", Transaction, None)  # of the summary
_LOOK_UP = get("/transaction/{reference}/", Transaction, matches=Transaction.answers)


class CamPay(Driver, frozen=True, kw_only=True):
    """An application at CamPay: its username and password, or its permanent access token.

    Push to MTN and Orange, payouts, airtime (`payout(…, extra={"airtime": True})`), balance per
    operator, history, payment links (`payment_link`), and whose a number is (`holder`).
    `dialect="summary"` sends requests as in CamPay's summary document instead of the live API; the
    answers of both are understood in both.
    """

    name = "campay"
    live_url = "https://www.campay.net/api"
    sandbox_url = "https://demo.campay.net/api"
    currencies = frozenset({"XAF"})
    countries = frozenset({"CM"})
    test_numbers = frozenset({"237677777777", "237677777770", "237699999999", "237699999990"})
    facts: ClassVar[Mapping[Kind, Facts]] = {"collect": _FACTS, "payout": _FACTS}
    takes = frozenset({"description", "metadata"})
    settings = frozenset({airtime.OF_AIRTIME})
    speaks: ClassVar[Mapping[str, StatusWords]] = {"status": STATUS, "reason": REASON}
    # Each success in the page, the SDK and the summary has both; a row of /history/ has no
    # currency, and the URL to which a payment link sends the browser has neither.
    proofs: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "transaction": ("amount", "currency"),
        "history": ("amount",),
        "redirect": (),
    }
    token_life = 1800.0  # half of the only lifetime that an answer of CamPay was seen to state
    first_look = 3.0
    login_fields = ("username", "password")

    username: str = ""
    password: Secret | str = ""
    access_token: Secret | str = ""
    webhook_key: Secret | str = ""
    dialect: Literal["current", "summary"] = "current"

    def __post_init__(self) -> None:
        """Ask for one of the two ways to log in."""
        super().__post_init__()
        if not self.access_token and not (self.username and self.password):
            raise UsageError.missing("access_token", "campay needs it, or username and password")
        if coerce.text(self.dialect) not in _DIALECTS:
            raise UsageError.field("dialect", self.dialect, "current, summary")

    @property
    def url(self) -> str:
        """The base URL of requests; the summary names the host without `www`."""
        bare = self.dialect == "summary" and self.live and not self.base_url
        return "https://campay.net/api" if bare else super().url

    async def token(self, send: Send) -> Token | None:
        """Log in for a temporary token; a permanent one needs no login."""
        if self.access_token:
            return None
        body = {"username": self.username, "password": reveal(self.password)}
        login = await send(post("/token/", Login, body, money=False))
        return Token(Secret(login.token), login.expires_in)

    def authorize(self, request: Request[Any], token: str | None) -> Request[Any]:
        """Sign with `Token`, which is not Bearer."""
        signed = token or reveal(self.access_token)
        return request.with_headers({"Authorization": f"Token {signed}"})

    def judge(self, request: Request[Any], reply: Response) -> ProviderError | None:
        """Return an error for the listed codes, a stale token and a refused login.

        For money, a 403 proves nothing.
        """
        if reply.status < 400:
            return None
        # No page shows the form of an error; integrators received these names.
        said = reply.read(dict[str, Any]) or {}
        message = str(
            said.get("message") or said.get("detail") or said.get("non_field_errors") or ""
        )
        code = re.search(r"\bER\d{3}\b", f"{said.get('error_code')} {said.get('code')} {message}")
        if code and code[0] in REFUSALS and reply.status < 500:
            return Rejected(message, code=code[0], reason=REFUSALS[code[0]])
        if reply.status == 401 and message == "Invalid token.":
            return AuthenticationFailed(message + self._hint(request))
        if reply.status == 400 and request.path == "/token/":
            return AuthenticationFailed(message + self._hint(request))
        own = said.keys() == _DETAIL and isinstance(said["detail"], str)
        if reply.status in (401, 403) and not request.money and own:
            return AuthenticationFailed(message)
        error = super().judge(request, reply)
        if error is not None and message:
            error.message = message
        return error

    def _hint(self, request: Request[Any]) -> str:
        # Each of the two hosts has its own accounts, and both give the same answer.
        return _OTHER_HOST[self.live] if request.path == "/token/" else ""

    async def collect(self, send: Send, order: Order) -> Payment:
        """Push a PIN prompt to the payer's phone."""
        if order.extra:
            airtime.is_airtime(order)
        return await self._order(send, order, _COLLECT, "from")

    async def payout(self, send: Send, order: Order) -> Payment:
        """Send money from the float at the payee's operator, or airtime.

        The application must allow withdrawals. `extra={"airtime": True}` sends airtime.
        """
        if airtime.is_airtime(order):
            return await airtime.transfer(self, send, order)
        pay = _DISBURSE if self.dialect == "summary" else _WITHDRAW
        return await self._order(send, order, pay, "to")

    async def _order(
        self, send: Send, order: Order, request: Request[Transaction], party: str
    ) -> Payment:
        for name, value in order.metadata.items():
            if name != "external_user" or not isinstance(value, str):
                raise UsageError.field("metadata", order.metadata, "{'external_user': text}")
        body = {
            "amount": str(whole(order.amount)),
            "currency": order.currency,
            party: f"+{order.party}" if self.dialect == "summary" else order.party,
            "description": order.description or order.reference,  # no empty one was seen accepted
            "external_reference": order.reference,
            **order.metadata,
        }
        answers = partial(Transaction.answers_order, order=order)
        accepted = await send(request.with_body(body, answers))
        return self.payment(accepted, kind=order.kind)

    async def verify(self, send: Send, payment: Payment) -> Payment:
        """Ask for a collect or a payout by CamPay's reference."""
        asked = payment.provider_reference
        if not asked:
            raise UsageError.field("provider_reference", asked, "the reference that CamPay gave")
        if airtime.OF_AIRTIME in payment.ids:
            request = airtime.look_up(asked)
        elif self.dialect == "summary":
            request = post(
                "/transaction/",
                Transaction,
                {"reference": asked},
                money=False,
                matches=Transaction.answers,
            )
        else:
            request = _LOOK_UP.with_ids({"reference": asked})
        return self.payment(await send(request), asked, payment.kind or "collect")

    async def balance(self, send: Send) -> Balance:
        """Ask for the floats; a payout can use only the float of its payee's operator."""
        wallet = await send(get("/balance/", Wallet))
        total = amount(wallet.total_balance or wallet.available_balance)
        if total is None:
            raise Unreadable("no balance")
        floats = {"MTN": amount(wallet.mtn_balance), "ORANGE": amount(wallet.orange_balance)}
        held = {operator: money for operator, money in floats.items() if money is not None}
        return Balance(currency="XAF", available=total, by_operator=held)

    def history(
        self, send: Send, since: datetime, until: datetime
    ) -> AsyncIterator[Payment | None]:
        """List transactions from `since` to before `until`.

        CamPay returns their fees, but not our references.
        """
        return pages(self, send, since, until)

    # Beyond the common verbs, for `pool.run` and `paymux run`.

    payment_link = link.payment_link
    holder = holder.holder

    def webhook(self, incoming: WebhookRequest) -> Event:
        """Read a callback, by GET or POST.

        Its JWT proves who signed it once, and covers none of its fields.
        """
        said = self.message(Transaction, incoming)
        key = reveal(self.webhook_key)
        if key:
            try:
                verified_claims(said.signature or "", key)
            except Unreadable as error:
                raise BadWebhook(f"{self.account}: {error}") from None
        if not said.reference:
            raise Unreadable("no reference")
        return self.event(self.payment(said), Trust.ORIGIN if key else Trust.NOTHING)

    def returned(self, url: str) -> Event:
        """Read the URL to which a payment link sent the browser; it has only our reference."""
        said = convert(Transaction, form_fields(url.partition("?")[2]))
        if not said.external_reference:
            raise Unreadable("no external_reference")
        return self.event(self.payment(said))

    def payment(
        self, said: Transaction, asked: str | None = None, kind: Kind = "collect"
    ) -> Payment:
        """Read a transaction in an answer, a row of history or a message."""
        kind = KINDS.get(said.endpoint or said.type) or (
            "payout" if said.debit and amount(said.debit) else kind
        )
        told = failure(said.reason) if said.reason else None
        status, reason = self.outcome({"status": said.status, "reason": told})
        gross = amount(said.amount)
        net = amount(said.app_amount)
        charge = amount(said.charge_amount)
        phone = (said.phone_number or said.customer or "").lstrip("+") or None
        found = Payment(
            account=self.account,
            provider=self.name,
            kind=kind,
            live=self.live,
            reference=said.external_reference,
            provider_reference=said.reference or said.reference_uuid,
            ids={"code": said.code} if said.code else {},
            status=status,
            amount=gross,
            currency=said.currency,
            payer=phone if kind == "collect" else None,
            payee=phone if kind == "payout" else None,
            operator=(said.operator or "").upper().removesuffix("_CM") or None,
            receipt=said.operator_reference or said.operator_tx_code,
            fee=gross - net if gross and net and kind == "collect" else charge,
            checkout_url=said.link,
            prompt=said.ussd_code,
            provider_status=said.status,
            reason=reason,
            message=said.reason,
            metadata={"external_user": said.external_user} if said.external_user else {},
            created_at=parse_time(said.datetime) if said.datetime else None,
        )
        if said.type == airtime.TYPE:
            found = airtime.marked(found)
        if said.reference:
            return self.proved(found, "transaction")
        return self.proved(found, "history" if said.reference_uuid else "redirect")
