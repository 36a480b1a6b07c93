"""CinetPay Checkout v2: a page for mobile money, wallets and cards in French-speaking Africa.

https://docs.cinetpay.com/api/1.0-fr/checkout/initialisation, and the older integration guide of
2021, https://github.com/Tidev-CinetPay/api-checkout-doc (docs/integration.md), whose words are
read, too.
"""

import re
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

import msgspec

from ...errors import BadWebhook, ProviderError, UsageError
from ...http import Request, Response, Send, WebhookRequest, post
from ...models import Customer, Event, Kind, Order, Payment, Status, Trust, log
from ...primitives.redaction import Secret
from ...values.parsing import Scalar, Unreadable, amount, form_fields, json_fields, parse_time, text
from ...values.phone import phone_digits
from ...values.status_words import StatusWords
from ..base import Driver, Facts, Option, reveal
from . import page
from .answers import CODES, MESSAGES, WORDS, Answer, Data
from .notification import is_signed, plain_fields, signed

__all__ = ["Answer", "CinetPay"]

_PAID = frozenset({Status.SUCCEEDED, Status.REFUNDED})
_NO_ANSWER = Answer()
_ERRORS = tuple(range(400, 600))


class CinetPay(Driver, frozen=True, kw_only=True):
    """One CinetPay service, in one currency.

    Our reference is its `transaction_id`, so it is the provider's reference, too.

    `collect` opens a checkout page: show the payer `payment.checkout_url`. It needs `description`
    and `return_url`; the amount is a multiple of 5 except in USD. `find` works by your reference.
    """

    name = "cinetpay"
    live_url = "https://api-checkout.cinetpay.com"
    # The amount in a request is an integer (608 "amount must be an integer"): whole units, also of
    # USD and CDF.
    decimals: ClassVar[Mapping[str, int]] = {
        "XOF": 0,
        "XAF": 0,
        "CDF": 0,
        "GNF": 0,
        "USD": 0,
        "GBF": 0,
    }
    currencies = frozenset(decimals)
    # The countries of the guide; Benin and Niger are from the methods in CinetPay's own package
    # cinetpay-python 0.1.0.
    countries = frozenset({"BF", "BJ", "CD", "CI", "CM", "GN", "ML", "NE", "SN", "TG"})
    facts: ClassVar[Mapping[Kind, Facts]] = {
        "collect": Facts(
            # The guide: an identifier that was sent before gets an error.
            deduplicates=True,
            # A check takes our transaction_id: …/api/1.0-fr/checkout/verification.
            findable=True,
            # No page says what a check answers for an unknown transaction.
            not_found_final_after=None,
        )
    }
    speaks: ClassVar[Mapping[str, StatusWords]] = {
        "data.status": WORDS,
        "code": CODES,
        "message": MESSAGES,
    }
    # Each success in the page of 2022 has amount and currency; the guide of 2021
    # (docs/integration.md) shows one without both, and with other fields.
    proofs: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "2022": ("amount", "currency"),
        "2021": ("operator_id", "operator", "paid_at"),
    }
    required = frozenset({"apikey", "site_id"})
    identity = frozenset({"site_id"})
    takes: ClassVar[frozenset[Option]] = frozenset(
        {"description", "customer", "metadata", "return_url", "webhook_url"}
    )
    settings = frozenset({"channels", "lang", "invoice_data", "lock_phone_number", "customer_id"})
    payer = "optional"
    finds_by: ClassVar[Mapping[Kind, frozenset[Literal["reference", "receipt"]]]] = {
        "collect": frozenset({"reference"})
    }
    verifies_by = frozenset({"payment_token"})
    # A payer needs longer for a page than for a push, and the guide asks not to poll if
    # notifications come.
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
        signed_body = {"apikey": reveal(self.apikey), "site_id": self.site_id, **request.body}
        return msgspec.structs.replace(request, body=signed_body)

    def judge(self, request: Request[Any], reply: Response) -> ProviderError | None:
        """Read the error codes in CinetPay's own body, whatever the HTTP status is.

        The result of a check is also read with any HTTP status, except a success: it counts only
        with a status below 400.
        """
        said = reply.read(Answer) or _NO_ANSWER
        error = said.refusal(money=request.money)
        if error is not None:
            return error
        if not said.speaks():
            return super().judge(msgspec.structs.replace(request, accept=()), reply)
        if reply.status >= 400 and self.payment(said).status in _PAID:
            raise Unreadable(f"a success under HTTP {reply.status}")
        return None

    async def collect(self, send: Send, order: Order) -> Payment:
        """Open a payment page, at `checkout_url`; no payer is charged before paying there.

        The amount is in whole units, a multiple of 5 except in USD. A page whose URL was lost is
        harmless.
        """
        customer = order.customer or Customer()
        phone = order.party or self._contact(customer.phone, order.currency)
        page.check(order, customer, phone, rehearsing=self.rehearsing)
        if order.currency in page.GNF:
            log.warning("%s: GBF is sent as GNF, its ISO 4217 name", self.account)
        body = page.body(order, customer, phone)
        request = post("/v2/payment", Answer, body, matches=Answer.answers_page)
        return self.payment(await send(request), order.reference)

    def pending(self, order: Order) -> Payment:
        """Return an order's payment before any answer, in the currency that is sent."""
        currency = page.GNF.get(order.currency, order.currency)
        return super().pending(msgspec.structs.replace(order, currency=currency))

    def home(self, currency: str) -> str | None:
        """Return the country of a currency, also for Guinea's old code GBF."""
        return super().home(page.GNF.get(currency, currency))

    def _contact(self, phone: str | None, currency: str) -> str | None:
        # A payer with a card may live in any country and have a fixed line.
        if not phone:
            return None
        home = self.home(currency)
        return phone_digits(phone, (), home=home, field="customer.phone", any_line=True)

    async def verify(self, send: Send, payment: Payment) -> Payment:
        """Check a payment by its transaction id.

        If there is none, `ids["payment_token"]` is used.
        """
        reference = payment.provider_reference or payment.reference
        token = payment.ids.get("payment_token")
        if not (reference or token):
            why = "CinetPay is asked by it, or by ids['payment_token']"
            raise UsageError.missing("reference", why)
        # All sources agree on transaction_id. The token's key is `token` in CinetPay's
        # documentation (…/api/1.0-fr/checkout/verification); the guide of 2021 called it
        # payment_token.
        key = {"transaction_id": reference} if reference else {"token": token}
        check = post(
            "/v2/payment/check",
            Answer,
            key,
            money=False,
            # A result is read with any HTTP status: no page says which one it has.
            accept=_ERRORS,
            matches=Answer.answers_check,
        )
        return self.payment(await send(check), reference)

    async def find(self, send: Send, payment: Payment) -> Payment:
        """Check a payment by our reference, which is the transaction id."""
        return await self.verify(send, payment)

    def webhook(self, incoming: WebhookRequest) -> Event:
        """Read a notification, which never has a status; a GET only checks that we answer.

        `x-token` proves that CinetPay wrote these characters, but not where one field ends and the
        next begins: it proves only the origin. Without a secret key, a notification is a hint.
        """
        if incoming.method in ("GET", "HEAD"):
            return self.event(self.payment(_NO_ANSWER), ping=True)
        fields = plain_fields(self.message(dict[str, Any], incoming))
        trust = self._trust(fields, incoming.headers.get("x-token", ""))
        reference = text(fields["cpm_trans_id"])
        if reference is None or text(fields["cpm_site_id"]) != self.site_id:
            why = "no cpm_trans_id, or another account's cpm_site_id"
            raise BadWebhook(f"{self.account}: {why}")
        data = Data(
            amount=fields["cpm_amount"],
            currency=fields["cpm_currency"],
            payment_method=fields["payment_method"],
            phone_prefix=fields["cpm_phone_prefixe"],
            phone_number=fields["cel_phone_num"],
            metadata=fields["cpm_custom"],
        )
        said = Answer(message=fields["cpm_error_message"], data=data)
        return self.event(self.payment(said, reference), trust)

    def _trust(self, fields: Mapping[str, str], token: str) -> Trust:
        message = signed(fields)
        key = reveal(self.secret_key)
        if not key:
            return Trust.NOTHING
        if not is_signed(message, key, token):
            raise BadWebhook(f"{self.account}: x-token is missing or wrong")
        return Trust.ORIGIN

    def returned(self, url: str) -> Event:
        """Read the return URL, to which CinetPay adds transaction_id and token.

        If it posts them as a form, put the body after a `?`: …/api/1.0-en/checkout/retour
        """
        fields = form_fields(url.partition("?")[2].partition("#")[0])
        reference = text(fields.get("transaction_id"))
        token = text(fields.get("token"))
        if not (reference or token):
            raise Unreadable("neither transaction_id nor token")
        said = Answer(data=Data(payment_token=token))
        return self.event(self.payment(said, reference))

    def payment(self, said: Answer, asked: str | None = None, kind: Kind = "collect") -> Payment:
        """Read an answer, a notification or a return URL; no `message` alone decides the status."""
        data = said.found
        status, reason = self.outcome(
            {
                "data.status": data.status,
                "code": said.code,
                "message": said.message if said.code else None,
            }
        )
        ids = {
            "payment_token": data.payment_token,
            "operator_id": data.operator_id,
            "api_response_id": said.api_response_id,
        }
        found = Payment(
            account=self.account,
            provider=self.name,
            live=self.live,
            reference=asked,
            provider_reference=asked,
            ids={name: told for name, told in ids.items() if told},
            status=status,
            amount=amount(data.amount),
            currency=page.GNF.get(data.currency, data.currency),
            payer=_number(data.phone_prefix, data.phone_number),
            operator=data.payment_method,
            checkout_url=data.payment_url,
            provider_status=data.status or said.code,
            reason=reason,
            message=said.message,
            metadata=_metadata(data.metadata) if data.metadata else {},
            # The dates of the samples agree with the epoch in their api_response_id, so they are
            # UTC, which is also the time of Abidjan.
            paid_at=parse_time(data.payment_date) if status in _PAID else None,
        )
        bare = data.status is None and found.amount is None and data.currency is None
        return self.proved(found, "2021" if bare else "2022")


def _number(prefix: Scalar, number: Scalar) -> str | None:
    if not prefix or not number:
        return None
    found = re.sub(r"[^0-9]", "", f"{prefix}{number}")
    return found if 8 <= len(found) <= 15 else None


def _metadata(value: Any) -> Mapping[str, Any]:
    try:
        return value if isinstance(value, dict) else json_fields((text(value) or "{}").encode())
    except Unreadable:  # a page made by another system, with free text
        return {"metadata": text(value)}
