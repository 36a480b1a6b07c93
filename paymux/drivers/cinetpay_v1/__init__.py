"""CinetPay's API of 2026 (api.cinetpay.co): pages, pushes, transfers and balances in Africa.

No page of it is public. Its sources are CinetPay's own client, PyPI cinetpay-python 0.1.0
(2026-03), and https://github.com/elinguiuriel/cinetpay-sdk @ad75a94, which repeats the sandbox's
documentation (docs/cinetpay-sandbox-contract.md, harness/scenarios, docs/sandbox-testing.md).
"""

from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar, Literal

import msgspec

from ...errors import AuthenticationFailed, ProviderError, UsageError
from ...http import Request, Response, Send, WebhookRequest, get, post
from ...models import Balance, Event, Kind, Order, Payment, Status
from ...primitives.redaction import Secret
from ...values.parsing import Unreadable, amount
from ...values.phone import phone_digits
from ...values.status_words import StatusWords
from ..base import Driver, Facts, Option, Token, reveal
from . import checkout, transfer
from .answers import (
    CODES,
    TRANSFER_CODES,
    TRANSFER_WORDS,
    WORDS,
    Answer,
    Login,
    Wallet,
    digest,
)
from .countries import CURRENCIES
from .ids import kind_of, own_id, reference_of

LOGIN = "/v1/oauth/login"
OWN_ID, TOKEN_DIGEST = "merchant_transaction_id", "notify_token_sha256"

_NO_ANSWER = Answer()
_ERRORS = tuple(range(400, 600))
_KEYS = {False: "sk_live_", True: "sk_test_"}  # the beginning of a key of the other mode
_FACTS = Facts(
    # 1200 TRANSACTION_EXIST: cinetpay-python 0.1.0, constants/statuses.py.
    deduplicates=True,
    # "payment_token, transaction_id, or merchant_transaction_id": its api/payment.py; of a
    # transfer, its api/transfer.py has the two ids.
    findable=True,
    # No page says when a payment can be found first, nor for how long.
    not_found_final_after=None,
)
_LOOK_UPS: Mapping[Kind, Request[Answer]] = {
    # No page says which HTTP status the look-up of a payment that failed has.
    "collect": get(f"{checkout.PATH}/{{id}}", Answer, accept=_ERRORS),
    "payout": get(f"{transfer.PATH}/{{id}}", Answer, accept=_ERRORS),
}
_BALANCE = get("/v1/balances", Wallet)


class CinetPayV1(Driver, frozen=True, kw_only=True):
    """An account at CinetPay's API of 2026: its key and password, of one country.

    To set it up: CinetPay's dashboard gives a key and a password for each country, `sk_test_…` for
    the sandbox and `sk_live_…` with `live=True`; each is an account of its own here, such as
    `CinetPayV1(api_key="…", api_password="…", country="CI")`. Nothing is
    registered: the callback URL of the account goes with every order, so `webhook_base` is at most
    87 characters long. An account of the older Checkout API (apikey and site_id) is a `CinetPay`.

    `collect` opens a page; show the payer `payment.checkout_url`. It needs `return_url` and a
    `customer` with name, surname and email. With `operator` it asks on the payer's phone at once
    (Orange Money: with `extra={"otp_code": …}`, which the payer made). `payout` needs `operator`.
    Amounts are whole, of USD and CDF, too.

    A look-up of a payment tells no amount: that it is the order's, only our reference says. So a
    reference is for one amount, in every program that uses this key. A pool with a journal refuses
    a second order with another one; without a journal, it is for the caller to see to.
    """

    name = "cinetpay_v1"
    live_url = "https://api.cinetpay.co"
    sandbox_url = "https://api.cinetpay.net"
    # The field `amount` is an integer: validation.py of cinetpay-python.
    decimals: ClassVar[Mapping[str, int]] = dict.fromkeys(("XOF", "XAF", "GNF", "CDF", "USD"), 0)
    currencies = frozenset(decimals)
    countries = frozenset(CURRENCIES)
    # Of Ivory Coast: docs/sandbox-testing.md. The last one is for transfers.
    test_numbers = frozenset(
        {
            "2250707070700",
            "2250707070701",
            "2250707070703",
            "2250707070704",
            "2250707070706",
            "2250707000001",
        }
    )
    facts: ClassVar[Mapping[Kind, Facts]] = {"collect": _FACTS, "payout": _FACTS}
    speaks: ClassVar[Mapping[str, StatusWords]] = {
        "code": CODES,
        "status": WORDS,
        "details.code": CODES,
        "details.status": WORDS,
        "transfer.code": TRANSFER_CODES,
        "transfer.status": TRANSFER_WORDS,
    }
    # The scenarios payment_status_… and transfer_success: a payment has no amount, and no
    # currency. Our id ties it to the order.
    proofs: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "collect": ("provider_reference", OWN_ID),
        "payout": ("provider_reference", OWN_ID, "amount"),
    }
    required = frozenset({"api_key", "api_password", "country"})
    identity = frozenset({"country"})
    takes: ClassVar[frozenset[Option]] = frozenset(
        {"description", "customer", "return_url", "cancel_url", "webhook_url", "operator"}
    )
    payout_takes: ClassVar[frozenset[Option]] = frozenset(
        {"description", "webhook_url", "operator"}
    )
    settings = frozenset({"channel", "lang", "otp_code", "payment_method"})
    payer = "optional"
    finds_by: ClassVar[Mapping[Kind, frozenset[Literal["reference", "receipt"]]]] = {
        "collect": frozenset({"reference"}),
        "payout": frozenset({"reference"}),
    }
    short_callbacks = True  # notify_url has at most 120 characters: validation.py
    login_fields = ("api_key", "api_password")
    token_life = 82_800.0  # as cinetpay-python keeps one; the answer says 86,400
    watch_timeout = 900.0  # a payer needs longer for a page than for a push
    first_look = 10.0

    api_key: Secret | str = ""
    api_password: Secret | str = ""
    country: str = ""

    def __post_init__(self) -> None:
        """Check the country, and that the key is one of the account's mode."""
        super().__post_init__()
        if self.country not in CURRENCIES:
            raise UsageError.field("country", self.country, ", ".join(sorted(CURRENCIES)))
        if reveal(self.api_key).startswith(_KEYS[self.live]):
            accepted = f"{not self.live}: the api_key is {_KEYS[self.live]}…"
            raise UsageError.field("live", self.live, accepted)

    @property
    def own_currencies(self) -> frozenset[str]:
        """The currencies of the account's country."""
        return frozenset(CURRENCIES[self.country])

    def home(self, currency: str) -> str | None:
        """Return the account's country: national numbers are its own."""
        return self.country

    def party(self, kind: Kind, value: str, currency: str = "") -> str:
        """Read the payer or payee: a mobile number of the account's country."""
        found, field = (
            super().party(kind, value, currency),
            "payee" if kind == "payout" else "payer",
        )
        tests = self.test_numbers if self.rehearsing else frozenset[str]()
        return phone_digits(f"+{found}", {self.country}, field=field, tests=tests)

    async def token(self, send: Send) -> Token | None:
        """Log in for an access token, good for a day."""
        body = {"api_key": reveal(self.api_key), "api_password": reveal(self.api_password)}
        login = await send(post(LOGIN, Login, body, money=False))
        return Token(Secret(login.access_token), login.expires_in)

    def authorize(self, request: Request[Any], token: str | None) -> Request[Any]:
        """Sign with the access token; the login has none."""
        if token is None or request.path == LOGIN:
            return request
        return request.with_headers({"Authorization": f"Bearer {token}"})

    def judge(self, request: Request[Any], reply: Response) -> ProviderError | None:
        """Read the codes in CinetPay's own body: an error may come with HTTP 200, too.

        The state of a payment is read with any HTTP status, except a success.
        """
        said = reply.read(Answer) or _NO_ANSWER
        error = said.refusal(money=request.money, transfer=request.path == transfer.PATH)
        if error is not None or request.money or reply.status < 400:
            return error
        if said.speaks():
            kind: Kind = "payout" if request.path.startswith(transfer.PATH) else "collect"
            if self.payment(said, kind=kind).status is Status.SUCCEEDED:
                raise Unreadable(f"a success under HTTP {reply.status}")
            return None
        if reply.status == 401 and said.code and said.status:
            return AuthenticationFailed(said.description or said.message or "", code=said.code)
        return super().judge(msgspec.structs.replace(request, accept=()), reply)

    # The verbs; each request has a file.

    collect = checkout.collect
    payout = transfer.payout

    async def verify(self, send: Send, payment: Payment) -> Payment:
        """Ask for a payment or a transfer, by CinetPay's id or by ours."""
        kind, reference = payment.kind or "collect", payment.reference
        ours = None if reference is None else own_id(kind, reference)
        asked = payment.provider_reference or ours
        if asked is None:
            raise UsageError.missing("reference", "CinetPay is asked by it, or by its own id")
        request = _LOOK_UPS["payout" if kind == "payout" else "collect"].with_ids({"id": asked})
        answers = partial(Answer.answers, asked=asked)
        said = await send(msgspec.structs.replace(request, matches=answers))
        found, told = self.payment(said, kind=kind), said.merchant_transaction_id
        if reference is None:
            return found
        # Another id is a Mismatch, as it is no amount that ties a payment to its order. Another
        # program's payment may have the reference itself as its id.
        same = told in (ours, reference)
        return msgspec.structs.replace(found, reference=reference if same else told)

    async def find(self, send: Send, payment: Payment) -> Payment:
        """Ask for a payment or a transfer by our id, which is made of our reference."""
        return await self.verify(send, payment)

    async def balance(self, send: Send) -> Balance:
        """Ask for the money that can be paid out."""
        wallet = await send(_BALANCE)
        held = amount(wallet.available_balance)
        own = CURRENCIES[self.country]
        currency = wallet.currency or (own[0] if len(own) == 1 else None)
        if held is None or currency is None:
            raise Unreadable("the answer has no balance")
        return Balance(currency=currency, available=held)

    def pending(self, order: Order) -> Payment:
        """Return an order's payment before any answer, with the id that the request will have."""
        ids = {OWN_ID: own_id(order.kind, order.reference)}
        return msgspec.structs.replace(super().pending(order), ids=ids)

    def webhook(self, incoming: WebhookRequest) -> Event:
        """Read a notification, which never has a status.

        Its `notify_token` is the order's: the first answer told it, of which a digest is kept with
        the payment. A message with another one is a Mismatch. If that answer was lost, the message
        is a hint like any other.
        """
        said = self.message(Answer, incoming)
        ours = said.merchant_transaction_id
        if not (ours and said.transaction_id and said.notify_token):
            raise Unreadable("no notify_token, merchant_transaction_id or transaction_id")
        notice = Answer(
            merchant_transaction_id=ours,
            transaction_id=said.transaction_id,
            notify_token=said.notify_token,
        )
        return self.event(self.payment(notice, kind=kind_of(ours)))

    def payment(self, said: Answer, asked: str | None = None, kind: Kind = "collect") -> Payment:
        """Read an answer or a notification; `message` decides nothing."""
        outgoing, more, ours = kind == "payout", said.more, said.merchant_transaction_id
        prefix = "transfer." if outgoing else ""
        words = {f"{prefix}code": said.code, f"{prefix}status": said.status}
        if not outgoing:
            words |= {"details.code": more.code, "details.status": more.status}
        status, reason = self.outcome(words)
        token = said.notify_token and digest(said.notify_token)
        ids = {OWN_ID: ours, "payment_token": said.payment_token, TOKEN_DIGEST: token}
        phone = (said.phone or "").lstrip("+") or None
        found = Payment(
            account=self.account,
            provider=self.name,
            kind=kind,
            live=self.live,
            reference=reference_of(ours) if ours else None,
            provider_reference=said.transaction_id or asked,
            ids={name: id for name, id in ids.items() if id},
            status=status,
            amount=amount(said.amount),
            currency=said.currency,
            payer=None if outgoing else phone,
            payee=phone if outgoing else None,
            fee=amount(said.fee_amount),
            checkout_url=said.payment_url,
            provider_status=more.status or said.status or said.code,
            reason=reason,
            message=more.message or said.message or said.description,
        )
        return self.proved(found, "payout" if outgoing else "collect")
