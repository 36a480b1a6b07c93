"""CinetPay Checkout v2: a payment page for mobile money, wallets and cards in French-speaking Africa.

https://docs.cinetpay.com/api/1.0-fr/checkout/initialisation, and before it the integration guide of 2021,
https://github.com/Tidev-CinetPay/api-checkout-doc (docs/integration.md), whose words are understood too.
"""

import hmac
import re
from collections import defaultdict
from collections.abc import Mapping
from typing import Any, ClassVar

import msgspec

from ..errors import AuthenticationFailed, BadWebhook, ProviderError, RateLimited, Rejected, UsageError
from ..lenient import Scalar, Unreadable, amount, form_fields, json_fields, need, text, when
from ..models import Customer, Event, Order, Payment, Reason, Status, Trust, log
from ..money import whole
from ..msisdn import digits
from ..redact import Secret
from ..states import NOTHING, OTHER, UNPAID, Words, plain
from ..wire import Incoming, Reply, Request, Send, post
from .base import Driver, Duplicate, Facts

# `data.status` of a check: https://docs.cinetpay.com/api/1.0-fr/checkout/verification; PENDING is
# seen in integrators' code. To wait is not to fail:
# https://docs.cinetpay.com/api/1.0-en/checkout/notification. REFUSED is any end without money: the
# page shows it beside 627, which says that the payer cancelled.
_FAILED, _PENDING = Status.FAILED, Status.PENDING
_WORDS: Words = {
    "ACCEPTED": Status.SUCCEEDED,
    "REFUSED": frozenset({_FAILED, Status.CANCELLED, Status.EXPIRED}),
    **dict.fromkeys(("WAITING_FOR_CUSTOMER", "PENDING"), _PENDING),
}
# What a code says without `data.status`: the guide's table, and 607, 625, 638, 660, 661 of
# integrators' constants. 603, 606 and 804 (out of order, wrong settings) may speak of the question
# only, and prove nothing alone. So does a code that is not listed, for the provider has more than
# any page lists: beside REFUSED it only says why, and beside ACCEPTED it leaves the payment in
# doubt, since each documented success has "00".
_CODES: dict[str, Status | frozenset[Status]] = {"00": Status.SUCCEEDED, OTHER: UNPAID}
_CODES |= {"625": Status.EXPIRED, "627": Status.CANCELLED, "660": Status.REFUNDED}
_CODES |= dict.fromkeys(("600", "602", "604", "635", "636", "641", "642"), _FAILED)
_CODES |= dict.fromkeys(("807", "808", "809", "810", "811", "812"), _FAILED)
_CODES |= dict.fromkeys(("201", "607", "623", "638", "661", "662", "663", "664"), _PENDING)
_CODES |= dict.fromkeys(("603", "606", "804"), UNPAID)
# The guide calls `message` the payment's state; its spelling drifts, so that other words say
# nothing.
_MESSAGES: dict[str, Status | frozenset[Status]] = {OTHER: NOTHING, "PAYMENT_FAILED": _FAILED}
_MESSAGES |= {"TRANSACTION_CANCEL": Status.CANCELLED, "ABONNEMENT_OR_TRANSACTIONS_EXPIRED": Status.EXPIRED}
_MESSAGES |= dict.fromkeys(("SUCCES", "SUCCESS"), Status.SUCCEEDED)
_MESSAGES |= dict.fromkeys(("INSUFFISENT_BALANCE", "INSUFFICIENT_BALANCE", "OTP_CODE_ERROR"), _FAILED)
_MESSAGES |= dict.fromkeys(("PENDING", "WAITING_CUSTOMER_TO_VALIDATE", "WAITING_CUSTOMER_PAYMENT"), _PENDING)
_MESSAGES |= dict.fromkeys(("WAITING_CUSTOMER_OTP_CODE", "WAITING_CUSTOMER_PAYMENT_AT_OPERATOR_SIDE"), _PENDING)
# Why a payment failed; any other code is DECLINED where CinetPay says REFUSED, and OTHER where it does not.
_REASONS = {"602": Reason.INSUFFICIENT_FUNDS, "625": Reason.EXPIRED, "627": Reason.CANCELLED}
_REASONS |= dict.fromkeys(("604", "803"), Reason.WRONG_PIN)
_REASONS |= dict.fromkeys(("632", "633", "634", "635", "636", "637"), Reason.UNKNOWN_PAYER)
_REASONS |= dict.fromkeys(("631", "641", "642", "801", "807", "808", "809", "810", "811", "812"), Reason.LIMIT)
# Errors of a request, not of a payment: "Problèmes fréquents" of the first page. 624 names two causes, a wrong
# apikey and a number that cannot be locked, so it is not certain that the credentials are wrong.
_REFUSALS: dict[str, type[ProviderError]] = {"429": RateLimited}
_REFUSALS |= dict.fromkeys(("609", "613"), AuthenticationFailed)
_REFUSALS |= dict.fromkeys(("403", "608", "624", "1010"), Rejected)
# An amount out of bounds (641, 642) is a verdict in a check, and a refusal of a page. The guide promises an error
# for a transaction_id used before, and no page gives its code: 620 (ERROR_DOUBLE_PAYEMNT in integrators' code), or
# any error that says so. Taking another error for it only leaves a question that a check answers.
_PAGE_REFUSALS: dict[str, type[ProviderError]] = {**_REFUSALS, "620": Duplicate, "641": Rejected, "642": Rejected}
_DUPLICATE = re.compile(r"(?<!NOT)_EXIST|ALREADY|DUPLI|DOUBLE_PAY|D[ÉE]J[ÀA]", re.IGNORECASE)
_CHANNELS = ("ALL", "MOBILE_MONEY", "CREDIT_CARD", "WALLET")
_GNF = {"GBF": "GNF"}  # how the guide spelt Guinea's franc, for twelve days of August 2021
# What `x-token` signs, with nothing between the fields: https://docs.cinetpay.com/api/1.0-fr/checkout/hmac
_SIGNED = (
    "{cpm_site_id}{cpm_trans_id}{cpm_trans_date}{cpm_amount}{cpm_currency}{signature}{payment_method}"
    "{cel_phone_num}{cpm_phone_prefixe}{cpm_language}{cpm_version}{cpm_payment_config}{cpm_page_action}"
    "{cpm_custom}{cpm_designation}{cpm_error_message}"
)


class Data(msgspec.Struct, frozen=True):
    """What is said of a page or of a payment; an amount that cannot be read makes it Unreadable."""

    payment_token: Scalar = None
    payment_url: Scalar = None
    status: Scalar = None
    amount: Scalar = None
    currency: Scalar = None
    payment_method: Scalar = None
    payment_date: Scalar = None
    operator_id: Scalar = None
    phone_prefix: Scalar = None
    phone_number: Scalar = None
    metadata: Scalar | dict[str, Any] = None

    def __post_init__(self) -> None:
        amount(self.amount)


class Answer(msgspec.Struct, frozen=True):
    """Every answer of CinetPay; an error has a description and no data."""

    code: Scalar = None
    message: Scalar = None
    description: Scalar = None
    api_response_id: Scalar = None
    data: Data | list[Any] | None = None

    @property
    def found(self) -> Data:
        """Give the data, empty where there is none."""
        return self.data if isinstance(self.data, Data) else Data()

    def opens(self) -> bool:
        """Tell whether this is the address of a page."""
        url = text(self.found.payment_url) or ""
        return text(self.code) == "201" and url.startswith(("https://", "http://"))

    def speaks(self) -> bool:
        """Tell whether this speaks of a payment, and not only of the question."""
        code = text(self.code)
        return code is not None and (isinstance(self.data, Data) or plain(code) in _CODES)


class CinetPay(Driver, frozen=True, kw_only=True):
    """One CinetPay service, in one currency: our reference is its `transaction_id`, so the provider's too."""

    name = "cinetpay"
    live_url = "https://api-checkout.cinetpay.com"
    # The wire's amount is an integer (608 "amount must be an integer"): whole units, of USD and CDF too.
    decimals: ClassVar = dict.fromkeys(("XOF", "XAF", "CDF", "GNF", "USD", "GBF"), 0)
    currencies = frozenset(decimals)
    # The guide's countries; Benin and Niger from the methods in CinetPay's own package cinetpay-python 0.1.0.
    countries = frozenset({"BF", "BJ", "CD", "CI", "CM", "GN", "ML", "NE", "SN", "TG"})
    facts: ClassVar = {
        "collect": Facts(
            deduplicates=True,  # the guide: an identifier sent before is answered with an error
            findable=True,  # a check takes our transaction_id: …/api/1.0-fr/checkout/verification
            not_found_final_after=None,  # no page says how a check answers for an unknown transaction
        )
    }
    speaks: ClassVar[Mapping[str, Words]] = {"data.status": _WORDS, "code": _CODES, "message": _MESSAGES}
    # Each success of the page of 2022 has amount and currency; the guide of 2021 (docs/integration.md)
    # shows one without either, and with fields of its own.
    proofs: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "2022": ("amount", "currency"),
        "2021": ("operator_id", "operator", "paid_at"),
    }
    required = frozenset({"apikey", "site_id"})
    takes: ClassVar = frozenset({"description", "customer", "metadata", "return_url", "webhook_url"})
    settings = frozenset({"channels", "lang", "invoice_data", "lock_phone_number", "customer_id"})
    payer = "optional"
    verifies_by = frozenset({"payment_token"})
    # A page takes its payer longer than a push does, and the guide asks not to poll where a notification comes.
    watch_timeout = 900.0
    first_look = 10.0
    lost_page = "Nobody can pay on a page whose address was lost, so a new reference is safe."

    apikey: Secret | str = ""
    site_id: str = ""
    secret_key: Secret | str = ""

    def authorize(self, request: Request[Any], token: str | None) -> Request[Any]:
        """Put apikey and site id into the body."""
        if not isinstance(request.body, Mapping):
            return request
        apikey, _ = self.secrets()
        return msgspec.structs.replace(request, body={"apikey": apikey, "site_id": self.site_id, **request.body})

    def judge(self, request: Request[Any], reply: Reply) -> ProviderError | None:
        """Read the error codes out of CinetPay's own body, whatever the HTTP status is.

        A check's verdict is read under any status, too, but for one: money that came is told with 2xx alone.
        """
        said = reply.read(Answer) or Answer()
        code, message, description = text(said.code), text(said.message) or "", text(said.description)
        if code and not text(said.found.status) and not said.opens():
            kind = (_PAGE_REFUSALS if request.money else _REFUSALS).get(code)
            if request.money and _DUPLICATE.search(f"{message} {description}"):
                kind = Duplicate
            if kind is not None:
                error = kind(message, code=code)
                error.reason = _REASONS.get(code)
                error.details = {"description": description} if description else None
                error.request_id = text(said.api_response_id)
                return error
        if said.speaks():
            if reply.status >= 400 and self.payment(said, None).status in (Status.SUCCEEDED, Status.REFUNDED):
                raise Unreadable(f"a success under HTTP {reply.status}")
            return None
        return super().judge(msgspec.structs.replace(request, accept=()), reply)

    def pending(self, order: Order) -> Payment:
        """Give an order's payment before any answer, in the currency that it travels in."""
        currency = _GNF.get(order.currency, order.currency)
        return super().pending(msgspec.structs.replace(order, currency=currency))

    async def collect(self, send: Send, order: Order) -> Payment:
        """Open a payment page, at `checkout_url`; it charges nobody before the payer acts on it.

        The amount is whole units, a multiple of 5 except in USD. A page whose address was lost is harmless.
        """
        customer = order.customer or Customer()
        phone = order.party or self._contact(customer.phone, order.currency)
        self._check(order, customer, phone)
        if order.currency in _GNF:
            log.warning("%s: GBF is sent as GNF, its ISO 4217 name", self.account)
        fields = {
            "transaction_id": order.reference,
            "amount": whole(order.amount),
            "currency": _GNF.get(order.currency, order.currency),
            "description": order.description,
            "notify_url": order.webhook_url,
            "return_url": order.return_url,
            "channels": order.extra.get("channels", "ALL"),
            "lang": order.extra.get("lang"),
            "metadata": msgspec.json.encode(order.metadata).decode() if order.metadata else None,
            "invoice_data": order.extra.get("invoice_data"),
            "lock_phone_number": order.extra.get("lock_phone_number"),
            "customer_id": order.extra.get("customer_id"),
            # "Le nom du client" is the family name and "le prénom" the given one: the guide's example is its
            # author, Jean-Marc Dje Bi. A lone `name` is a whole name, and goes where a name is required.
            "customer_name": customer.surname or customer.name,
            "customer_surname": customer.name if customer.surname else None,
            "customer_phone_number": f"+{phone}" if phone else None,
            "customer_email": customer.email,
            "customer_address": customer.address,
            "customer_city": customer.city,
            "customer_country": customer.country,
            "customer_state": customer.state,
            "customer_zip_code": customer.zip_code,
        }
        body = {name: value for name, value in fields.items() if value is not None}
        return self.payment(await send(post("/v2/payment", Answer, body, matches=_opens)), order.reference)

    def home(self, currency: str) -> str | None:
        """Give the country of a currency, in either spelling of Guinea's."""
        return super().home(_GNF.get(currency, currency))

    def _contact(self, phone: str | None, currency: str) -> str | None:
        # Whose card pays may live anywhere and have a fixed line.
        home = self.home(currency)
        return digits(phone, (), home=home, field="customer.phone", any_line=True) if phone else None

    def _check(self, order: Order, customer: Customer, phone: str | None) -> None:
        if unwanted := re.search(r"[#/,$_&]", order.description):
            raise UsageError.field("description", unwanted[0], "text without any of # / , $ _ &")
        channels, lock = order.extra.get("channels", "ALL"), order.extra.get("lock_phone_number", False)
        lang, invoice = order.extra.get("lang", "fr"), order.extra.get("invoice_data", {})
        texts = isinstance(invoice, Mapping) and {type(it) for pair in invoice.items() for it in pair} <= {str}
        by_five = order.currency == "USD" or order.amount % 5 == 0
        hook, back = order.webhook_url or "", order.return_url or ""
        # CinetPay answers localhost with 403; a simulator on this machine does not.
        url = re.compile("https?://" if self.rehearsing else r"https?://(?!localhost|127\.|\[::1\])")
        rules = (
            ("description", order.description, order.description.strip(), "a text, which CinetPay requires"),
            ("webhook_url", hook, url.match(hook), "a URL that CinetPay can reach, which it requires"),
            ("return_url", back, url.match(back), "a URL that CinetPay can reach, which it requires"),
            ("amount", str(order.amount), by_five, f"a multiple of 5 in {order.currency}"),
            ("channels", channels, channels in _CHANNELS, ", ".join(_CHANNELS)),
            ("lang", lang, lang in ("fr", "en"), "fr or en"),
            ("invoice_data", invoice, texts and len(invoice) <= 3, "at most three names, each with a text"),
            ("lock_phone_number", lock, lock is False or (lock is True and phone), "a bool; True with a number"),
        )
        for field, value, right, accepted in rules:
            if not right:
                raise UsageError.field(field, value, accepted)
        given = {**msgspec.structs.asdict(customer), "phone": phone}
        missing = ", ".join(f"customer.{name}" for name, value in given.items() if not value)
        if channels == "CREDIT_CARD" and missing:
            raise UsageError.missing(missing, "CinetPay requires it of who pays by card")

    async def verify(self, send: Send, payment: Payment) -> Payment:
        """Check a payment by its transaction id, or by `ids["payment_token"]` where that is all we hold."""
        reference, token = payment.provider_reference or payment.reference, payment.ids.get("payment_token")
        if not (reference or token):
            raise UsageError.missing("reference", "CinetPay is asked by it, or by ids['payment_token']")
        # All sources agree on transaction_id. The token's key is `token` in CinetPay's documentation
        # (…/api/1.0-fr/checkout/verification); the guide of 2021 called it payment_token.
        key = {"transaction_id": reference} if reference else {"token": token}
        errors = tuple(range(400, 600))  # a verdict is read on any status: no page says which one it has
        check = post("/v2/payment/check", Answer, key, money=False, accept=errors, matches=_speaks)
        return self.payment(await send(check), reference)

    async def find(self, send: Send, payment: Payment) -> Payment:
        """Check a payment by our reference, which is the transaction id."""
        return await self.verify(send, payment)

    def webhook(self, incoming: Incoming) -> Event:
        """Read a notification, form or JSON, which never has a status; a GET only asks whether we answer.

        `x-token` proves that CinetPay wrote these characters, but not where one field ends and the next begins:
        it vouches for the origin alone. Without a secret key a notification is a hint.
        """
        if incoming.method in ("GET", "HEAD"):
            return Event(account=self.account, provider=self.name, claims=self.payment(Answer(), None), ping=True)
        given = self.message(dict[str, Any], incoming)
        plainly = {name: value for name, value in given.items() if isinstance(value, str | int | float)}
        fields = defaultdict(str, {name: str(value) for name, value in plainly.items()})
        trust = self._trust(fields, incoming.headers.get("x-token", ""))
        reference = text(fields["cpm_trans_id"])
        if reference is None or text(fields["cpm_site_id"]) != self.site_id:
            raise BadWebhook(f"{self.account}: no cpm_trans_id, or another account's cpm_site_id")
        data = Data(
            amount=fields["cpm_amount"],
            currency=fields["cpm_currency"],
            payment_method=fields["payment_method"],
            phone_prefix=fields["cpm_phone_prefixe"],
            phone_number=fields["cel_phone_num"],
            metadata=fields["cpm_custom"],
        )
        claims = self.payment(Answer(message=fields["cpm_error_message"], data=data), reference)
        return Event(account=self.account, provider=self.name, trust=trust, claims=claims)

    def _trust(self, fields: Mapping[str, str], given: str) -> Trust:
        try:
            signed = _SIGNED.format_map(fields).encode()
        except UnicodeEncodeError:
            raise Unreadable("half a surrogate pair") from None
        _, key = self.secrets()
        if not key:
            return Trust.NOTHING
        expected = hmac.digest(key.encode(), signed, "sha256").hex().encode()  # in either case: no page says
        if not hmac.compare_digest(expected, given.encode("utf-8", "replace").lower()):
            raise BadWebhook(f"{self.account}: x-token is missing or wrong")
        return Trust.ORIGIN

    def returned(self, url: str) -> Event:
        """Read the return address, to which CinetPay adds transaction_id and token.

        Where it posts them as a form, put the body after a `?`: …/api/1.0-en/checkout/retour
        """
        fields = form_fields(url.partition("?")[2].partition("#")[0])
        reference, token = text(fields.get("transaction_id")), text(fields.get("token"))
        if not (reference or token):
            raise Unreadable("neither transaction_id nor token")
        claims = self.payment(Answer(data=Data(payment_token=token)), reference)
        return Event(account=self.account, provider=self.name, claims=claims)

    def payment(self, said: Answer, reference: str | None) -> Payment:
        """Put an answer, a notification or a return into our words; no `message` alone decides."""
        data, code, word = said.found, text(said.code), text(said.found.status)
        message = text(said.message)
        status = self.status({"data.status": word, "code": code, "message": message if code else None})
        paid = status in (Status.SUCCEEDED, Status.REFUNDED)
        other = Reason.DECLINED if word else Reason.OTHER
        ids = {"payment_token": data.payment_token, "operator_id": data.operator_id}
        ids["api_response_id"] = said.api_response_id
        currency = text(data.currency)
        payment = Payment(
            account=self.account,
            provider=self.name,
            live=self.live,
            reference=reference,
            provider_reference=reference,
            ids={name: found for name, value in ids.items() if (found := text(value))},
            status=status,
            amount=amount(data.amount),
            currency=_GNF.get(currency or "", currency),
            payer=_number(data.phone_prefix, data.phone_number),
            operator=text(data.payment_method),
            checkout_url=text(data.payment_url),
            provider_status=word or code,
            reason=_REASONS.get(plain(code or ""), other) if status.terminal and not paid else None,
            message=message,
            metadata=_metadata(data.metadata) if data.metadata else {},
            # The samples' dates agree with the epoch in their api_response_id, so they are UTC, as Abidjan is.
            paid_at=when(data.payment_date) if paid else None,
        )
        return self.proved(payment, "2021" if (word, payment.amount, currency) == (None, None, None) else "2022")


def _opens(said: Answer) -> bool:
    need(text(said.code) == "201", "code is not 201")
    return need(said.opens(), "the answer has no payment_url")


def _speaks(said: Answer) -> bool:
    return need(said.speaks(), "the answer is about no payment")


def _number(prefix: Scalar, number: Scalar) -> str | None:
    found = re.sub(r"[^0-9]", "", f"{prefix}{number}") if prefix and number else ""
    return found if 8 <= len(found) <= 15 else None


def _metadata(value: Any) -> Mapping[str, Any]:
    try:
        return value if isinstance(value, dict) else json_fields((text(value) or "{}").encode())
    except Unreadable:  # another system's page, with a text of its own
        return {"metadata": text(value)}
