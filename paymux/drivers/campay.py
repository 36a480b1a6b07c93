"""CamPay: mobile money of Cameroon (MTN and Orange), in XAF.

The page is https://documenter.getpostman.com/view/2391374/T1LV8PVA, the SDK github.com/CamPay/campay-python-sdk.
Integrators: NdoleStudio/campay-go-sdk, kalynux/jovi-mall, DatengTankoua/royalvibe-cosmetic (quotes the page).
"""

import re
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, ClassVar, Literal

import msgspec

from .. import given, plain
from ..checks import checked_reference, checked_url
from ..errors import AuthenticationFailed, BadWebhook, ProviderError, Rejected, UsageError
from ..jwt import proved
from ..lenient import Scalar, Unreadable, amount, convert, form_fields, need, text, when
from ..models import Balance, Event, Kind, Order, Payment, Reason, Status, Trust
from ..money import exact, whole
from ..redact import Secret
from ..states import NOTHING, OTHER, Words
from ..wire import DAY_BYTES, PAGE_BYTES, Incoming, Reply, Request, Send, TooLarge, get, post
from .base import Driver, Facts, Token

_STATUS = {"PENDING": Status.PENDING, "SUCCESSFUL": Status.SUCCEEDED, "FAILED": Status.FAILED}
_STATUS |= {"SUCCESS": Status.SUCCEEDED, "CANCELLED": Status.CANCELLED}  # the words of the summary
_DIALECTS = frozenset({"current", "summary"})
_OTHER_HOST = {
    False: " (this is the demo host: the login of a live application needs live=True)",
    True: " (this is the live host: the login of a demo application needs live=False)",
}
_KINDS: Mapping[str | None, Kind] = {"collect": "collect", "withdraw": "payout"}
# `reason` is free text that no page lists: only words that leave no doubt are read. A success has
# "None" or "".
_REASONS = {"INSUFFICIENT": Reason.INSUFFICIENT_FUNDS, "TIMEOUT": Reason.EXPIRED, "CANCEL": Reason.CANCELLED}
_UNPAID = frozenset({Status.PENDING, Status.FAILED, Status.CANCELLED})
_SPEAKS: Mapping[str, Words] = {
    "status": _STATUS,
    "reason": {**dict.fromkeys(_REASONS, _UNPAID), OTHER: NOTHING},
}
# What an error of the framework looks like that CamPay is made with (Django REST framework, whose
# words its 401 and 404 are): one text under `detail`. A firewall's page is another.
_DETAIL = frozenset({"detail"})
# The page's whole table, each a no before money moves: number, operator, decimals, more than the operator's float.
_REFUSALS = {"ER101": Reason.UNKNOWN_PAYER, "ER102": Reason.UNKNOWN_PAYER}
_REFUSALS |= {"ER201": Reason.OTHER, "ER301": Reason.INSUFFICIENT_FUNDS}
# The page says of a repeated external_reference "you will get the results of the first request", then "will be
# rejected" (royalvibe). Nothing looks up by it. An unopened payment link is "not found" too (README of the SDK).
_FACTS = Facts(deduplicates=False, findable=False, not_found_final_after=None)


class _Login(msgspec.Struct, frozen=True):
    token: str
    expires_in: float | None = None  # seconds


class _Wallet(msgspec.Struct, frozen=True):
    total_balance: Scalar = None
    available_balance: Scalar = None  # the summary's
    mtn_balance: Scalar = None
    orange_balance: Scalar = None


class _Said(msgspec.Struct, frozen=True):
    reference: Scalar = None
    external_reference: Scalar = None
    external_user: Scalar = None
    endpoint: Scalar = None
    status: Scalar = None
    reason: Scalar = None
    amount: Scalar = None
    app_amount: Scalar = None  # what the fee leaves
    currency: Scalar = None
    operator: Scalar = None
    operator_reference: Scalar = None
    code: Scalar = None
    phone_number: Scalar = None
    customer: Scalar = None  # the summary's
    ussd_code: Scalar = None
    link: Scalar = None
    signature: Scalar = None
    datetime: Scalar = None  # this and the next four are the words of /history/
    reference_uuid: Scalar = None
    operator_tx_code: Scalar = None
    charge_amount: Scalar = None
    debit: Scalar = None

    def known(self) -> bool:
        need(text(self.reference), "the answer has no reference")
        return need(text(self.status), "the answer has no status")

    def linked(self) -> bool:
        return need(text(self.link), "the answer has no link")


class _History(msgspec.Struct, frozen=True):
    data: list[msgspec.Raw]  # each read when its turn comes: there may be thousands


class CamPay(Driver, frozen=True, kw_only=True):
    """An application at CamPay: its username and password, or its permanent access token."""

    name = "campay"
    live_url = "https://www.campay.net/api"
    sandbox_url = "https://demo.campay.net/api"
    currencies = frozenset({"XAF"})
    countries = frozenset({"CM"})
    test_numbers = frozenset({"237677777777", "237677777770", "237699999999", "237699999990"})
    facts: ClassVar[Mapping[Kind, Facts]] = {"collect": _FACTS, "payout": _FACTS}
    takes = frozenset({"description", "metadata"})
    speaks = _SPEAKS
    # Each success of the page, the SDK and the summary has both; a line of /history/ has no
    # currency, and the address to which a payment link sends the browser neither.
    proofs: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "transaction": ("amount", "currency"),
        "history": ("amount",),
        "redirect": (),
    }
    token_life = 1800.0  # half of the only lifetime that CamPay was ever seen to state
    first_look = 3.0

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
        if plain.text(self.dialect) not in _DIALECTS:
            raise UsageError.field("dialect", self.dialect, "current, summary")

    @property
    def url(self) -> str:
        """Where requests go; the summary names the bare host."""
        bare = self.dialect == "summary" and self.live and not self.base_url
        return "https://campay.net/api" if bare else super().url

    async def token(self, send: Send) -> Token | None:
        """Log in for a temporary token; a permanent one needs no login."""
        if self.access_token:
            return None
        body = {"username": self.username, "password": self.secrets()[0]}
        login = await send(post("/token/", _Login, body, money=False))
        return Token(Secret(login.token), login.expires_in)

    def authorize(self, request: Request[Any], token: str | None) -> Request[Any]:
        """Sign with `Token`, which is not Bearer."""
        return request.with_headers({"Authorization": f"Token {token or self.secrets()[1]}"})

    def judge(self, request: Request[Any], reply: Reply) -> ProviderError | None:
        """Be sure of the listed codes, of a stale token and of a refused login; on money a 403 proves nothing."""
        if reply.status < 400:
            return None
        said = reply.read(dict[str, Any]) or {}  # no page gives the shape of an error; integrators met these names
        message = str(said.get("message") or said.get("detail") or said.get("non_field_errors") or "")
        code = re.search(r"\bER\d{3}\b", f"{said.get('error_code')} {said.get('code')} {message}")
        if code and code[0] in _REFUSALS and reply.status < 500:
            return Rejected(message, code=code[0], reason=_REFUSALS[code[0]])
        if (reply.status, message) == (401, "Invalid token.") or (reply.status, request.path) == (400, "/token/"):
            # The two hosts have accounts of their own, and the answer of either is the same.
            other = "" if request.path != "/token/" else _OTHER_HOST[self.live]
            return AuthenticationFailed(f"{message}{other}")
        own = said.keys() == _DETAIL and isinstance(said["detail"], str)
        if reply.status in (401, 403) and not request.money and own:
            return AuthenticationFailed(message)
        error = super().judge(request, reply)
        if error is not None and message:
            error.message = message
        return error

    async def collect(self, send: Send, order: Order) -> Payment:
        """Push a PIN prompt to the payer's phone."""
        return await self._order(send, order, "/collect/", "from")

    async def payout(self, send: Send, order: Order) -> Payment:
        """Send money from the float held with the payee's carrier; the application must allow withdrawals."""
        return await self._order(send, order, "/disburse/" if self.dialect == "summary" else "/withdraw/", "to")

    async def _order(self, send: Send, order: Order, path: str, party: str) -> Payment:
        def matches(found: _Said) -> bool:
            ours, paid = text(found.external_reference), amount(found.amount)
            need(ours in (None, order.reference), "the answer is about another external_reference")
            need(paid in (None, order.amount), "the answer is about another amount")
            return need(text(found.reference), "the answer has no reference")

        if any(name != "external_user" or not isinstance(value, str) for name, value in order.metadata.items()):
            raise UsageError.field("metadata", order.metadata, "{'external_user': text}")
        body = {
            "amount": str(whole(order.amount)),
            "currency": order.currency,
            party: f"+{order.party}" if self.dialect == "summary" else order.party,
            "description": order.description or order.reference,  # nobody saw an empty one accepted
            "external_reference": order.reference,
            **order.metadata,
        }
        return self.payment(await send(post(path, _Said, body, matches=matches)), order.kind)

    async def payment_link(
        self,
        send: Send,
        *,
        amount: int | str | Decimal,
        reference: str,
        description: str = "",
        payer: str | None = None,
        return_url: str | None = None,
    ) -> Payment:
        """Open a page to pay by phone or card, which charges nobody; until it is opened, verify says NotFound."""
        reference, description = checked_reference(reference), given.text("description", description, longest=500)
        total, party = exact(amount, "XAF"), None if payer is None else self.party("collect", payer)
        back = None if return_url is None else checked_url("return_url", return_url)
        body = {
            "amount": str(total),
            "currency": "XAF",
            "description": description or reference,
            "external_reference": reference,
            **({"from": party} if party else {}),
            **({"redirect_url": back, "failure_redirect_url": back} if back else {}),
            "payment_options": "MOMO,CARD",
        }
        request = post("/get_payment_link/", _Said, body, money=False, matches=_Said.linked)
        page = self.payment(await send(request))
        return msgspec.structs.replace(page, reference=reference, amount=total, currency="XAF", payer=party)

    async def verify(self, send: Send, payment: Payment) -> Payment:
        """Ask for a collect or a payout by CamPay's reference."""
        asked = payment.provider_reference
        if not asked:
            raise UsageError.field("provider_reference", asked, "the reference that CamPay gave")
        request = get("/transaction/{reference}/", _Said, at={"reference": asked}, matches=_Said.known)
        if self.dialect == "summary":
            request = post("/transaction/", _Said, {"reference": asked}, money=False, matches=_Said.known)
        return self.payment(await send(request), payment.kind or "collect")

    async def balance(self, send: Send) -> Balance:
        """Ask for the floats; a payout can spend only the one of its payee's carrier."""
        wallet = await send(get("/balance/", _Wallet))
        total = amount(text(wallet.total_balance) or wallet.available_balance)
        if total is None:
            raise Unreadable("no balance")
        floats = {"MTN": amount(wallet.mtn_balance), "ORANGE": amount(wallet.orange_balance)}
        by_operator = {operator: held for operator, held in floats.items() if held is not None}
        return Balance(currency="XAF", available=total, by_operator=by_operator)

    async def history(self, send: Send, since: datetime, until: datetime) -> AsyncIterator[Payment | None]:
        """List transactions from `since` to before `until`; CamPay tells their fees, but not our references.

        A period comes as one page; one that is too large is halved, the later half first, as its rows come.
        """
        periods, undated = [(since.astimezone(UTC), until.astimezone(UTC))], set[str | None]()
        while periods:
            first, last = periods.pop()
            whole_day = last - first <= timedelta(days=1)
            # It takes days, in a zone and with an end that no page explains: ask for one more, and cut to measure.
            days = {"start_date": f"{first:%Y-%m-%d}", "end_date": f"{last + timedelta(days=1):%Y-%m-%d}"}
            largest = DAY_BYTES if whole_day else PAGE_BYTES
            try:
                page = await send(post("/history/", _History, days, money=False, largest=largest))
            except TooLarge:
                if whole_day:
                    raise
                middle = first + (last - first) / 2
                periods += [(first, middle), (middle, last)]
                yield None
                continue
            for number, raw in enumerate(page.data, 1):
                past = self.row(_Said, raw, number, self.payment)
                if past.created_at is not None:
                    yield past if first <= past.created_at < last else None
                elif past.provider_reference not in undated:  # in each half again
                    undated.add(past.provider_reference)
                    yield past

    def webhook(self, incoming: Incoming) -> Event:
        """Read a callback of either method. Its JWT proves who signed it once, and covers none of its fields."""
        found = self.message(_Said, incoming)
        key = self.secrets()[2]
        if key:
            try:
                proved(text(found.signature) or "", key)
            except Unreadable as error:
                raise BadWebhook(f"{self.account}: {error}") from None
        if text(found.reference) is None:
            raise Unreadable("no reference")
        trust = Trust.ORIGIN if key else Trust.NOTHING
        return Event(account=self.account, provider=self.name, trust=trust, claims=self.payment(found))

    def returned(self, url: str) -> Event:
        """Read the address to which a payment link sent the browser; it names our reference alone."""
        found = convert(_Said, form_fields(url.partition("?")[2]))
        if text(found.external_reference) is None:
            raise Unreadable("no external_reference")
        return Event(account=self.account, provider=self.name, claims=self.payment(found))

    def payment(self, found: _Said, kind: Kind = "collect") -> Payment:
        """Read what CamPay says of a transaction, in an answer, a line of history or a message."""
        kind = _KINDS.get(text(found.endpoint)) or ("payout" if amount(found.debit) else kind)
        word, why = text(found.status), text(found.reason)
        clear = next((part for part in _REASONS if part in why.upper()), None) if why else None
        status, reason = self.status({"status": word, "reason": clear}), None
        if status in (Status.FAILED, Status.CANCELLED):
            reason = _REASONS[clear] if clear else Reason.OTHER
        gross, charge, net = amount(found.amount), amount(found.charge_amount), amount(found.app_amount)
        phone = (text(found.phone_number) or text(found.customer) or "").lstrip("+") or None
        payment = Payment(
            account=self.account,
            provider=self.name,
            kind=kind,
            live=self.live,
            reference=text(found.external_reference),
            provider_reference=text(found.reference) or text(found.reference_uuid),
            ids={"code": code} if (code := text(found.code)) else {},
            status=status,
            amount=gross,
            currency=text(found.currency),
            payer=phone if kind == "collect" else None,
            payee=phone if kind == "payout" else None,
            operator=(text(found.operator) or "").upper() or None,
            receipt=text(found.operator_reference) or text(found.operator_tx_code),
            fee=gross - net if gross and net and kind == "collect" else charge,
            checkout_url=text(found.link),
            prompt=text(found.ussd_code),
            provider_status=word,
            reason=reason,
            message=why,
            metadata={"external_user": user} if (user := text(found.external_user)) else {},
            created_at=when(found.datetime),
        )
        form = "transaction" if text(found.reference) else "history" if text(found.reference_uuid) else "redirect"
        return self.proved(payment, form)
