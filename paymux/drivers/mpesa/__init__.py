"""M-Pesa of Safaricom's Daraja: Express (STK push), and the messages of C2B payments.

"Documentation": https://developer.safaricom.co.ke/ as transcribed at
https://github.com/amoskyalo/daraja-docs.
"""

import re
import time
from base64 import b64encode
from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar

import msgspec

from ...errors import ProviderError, Unsupported, UsageError
from ...http import Request, Response, Send, WebhookRequest, get, post
from ...models import Event, Kind, Order, Payment, Status
from ...primitives import coerce
from ...primitives.redaction import Secret
from ...values.money import whole
from ...values.parsing import Unreadable, amount
from ...values.status_words import StatusWords
from ...values.validation import checked_url, setting
from ..base import Driver, Facts, Option, Token, reveal
from . import c2b
from .errors import refusal, throttled
from .express import PUSH, QUERY, RESULTS, SENTENCES, Said, sentence, signed
from .values import paid_at, phone, shown

__all__ = ["CALLBACK_ADDRESSES", "LOGIN", "PUSH", "QUERY", "Mpesa"]

LOGIN = "/oauth/v1/generate"

# Documentation, "going live". The list gets out of date: a second check, never the only one.
_HOSTS = {
    214: (200, 206, 207, 208),
    213: (114, 44),
    212: (127, 129, 136, 138, 74, 69),
}
CALLBACK_ADDRESSES = frozenset(
    f"196.201.{net}.{host}" for net, hosts in _HOSTS.items() for host in hosts
)


class _Login(msgspec.Struct, frozen=True):
    access_token: str
    expires_in: int | None = None  # comes as text: "3599"


class Mpesa(Driver, frozen=True, kw_only=True):
    """One shortcode at Daraja; for Buy Goods `till` is the till and `shortcode` the head office."""

    name = "mpesa"
    live_url = "https://api.safaricom.co.ke"
    sandbox_url = "https://sandbox.safaricom.co.ke"
    currencies = frozenset({"KES"})
    # Documentation: "Only whole numbers are supported".
    decimals: ClassVar[Mapping[str, int]] = {"KES": 0}
    countries = frozenset({"KE"})
    test_numbers = frozenset({"254708374149"})
    facts: ClassVar[Mapping[Kind, Facts]] = {
        "collect": Facts(
            # Documentation of processrequest: no field of ours identifies a request.
            deduplicates=False,
            # The query needs a CheckoutRequestID, which is only in the answer to the push.
            findable=False,
            # No source says what the query answers for an unknown id.
            not_found_final_after=None,
        )
    }
    # ResponseCode is no status: it says that the request was understood. No success of a query has
    # an amount.
    speaks: ClassVar[Mapping[str, StatusWords]] = {
        "ResultCode": RESULTS,
        "ResultDesc": SENTENCES,
        "errorMessage": SENTENCES,
    }
    required = frozenset({"consumer_key", "consumer_secret", "shortcode", "passkey"})
    takes: ClassVar[frozenset[Option]] = frozenset({"description", "webhook_url"})
    settings = frozenset({"account_reference"})
    token_life = 3599.0
    # A prompt is open for one to three minutes; https://pypi.org/project/mpesa-daraja-mcp/ first
    # looks up after 20 s.
    watch_timeout = 180.0
    first_look = 15.0
    # Documentation, v2/account-balance.mdx: "no repeat callbacks for failed callbacks".
    redelivers = False
    # Documentation, FAQ: words to avoid in a callback URL. It is advice, so nothing is refused for
    # them.
    callback_words_to_avoid = ("mpesa", "safaricom", "exec", "exe", "cmd", "sql", "query")

    consumer_key: Secret | str = ""
    consumer_secret: Secret | str = ""
    shortcode: str = ""
    passkey: Secret | str = ""
    till: str = ""
    max_amount: int = 250_000  # shillings per payment; Safaricom has raised it before

    def __post_init__(self) -> None:
        """Check the numbers, after the checks of every driver."""
        super().__post_init__()
        for field, value in (("shortcode", self.shortcode), ("till", self.till)):
            if not re.fullmatch("([0-9]{5,7})?", value):
                raise UsageError.field(field, value, "a string of 5 to 7 digits")
        most: Any = self.max_amount
        if type(most) is not int or most < 1:
            raise UsageError.field("max_amount", most, "a whole number of shillings above 0")

    @classmethod
    def from_settings(cls, settings: object) -> "Mpesa":
        """Read a mapping or object with the settings of an integrator.

        They are MPESA_ENVIRONMENT, _CONSUMER_KEY, _CONSUMER_SECRET, _SHORTCODE, _PASSKEY.
        """
        said = setting(settings, "MPESA_ENVIRONMENT")
        given: dict[str, Any] = {
            field: setting(settings, f"MPESA_{field.upper()}")
            for field in ("consumer_key", "consumer_secret", "shortcode", "passkey")
        }
        environment = coerce.text(said)
        if environment not in ("sandbox", "production"):
            raise UsageError.field("MPESA_ENVIRONMENT", said, "'sandbox' or 'production'")
        try:
            return cls(live=environment == "production", **given)
        except UsageError as error:
            raise error.renamed(f"MPESA_{(error.name or '').upper()}") from None

    async def token(self, send: Send) -> Token:
        """Log in with key and secret."""
        pair = f"{reveal(self.consumer_key)}:{reveal(self.consumer_secret)}"
        basic = {"Authorization": f"Basic {b64encode(pair.encode()).decode()}"}
        asked = {"grant_type": "client_credentials"}
        login = await send(get(LOGIN, _Login, query=asked, headers=basic))
        return Token(Secret(login.access_token), login.expires_in)

    def authorize(self, request: Request[Any], token: str | None) -> Request[Any]:
        """Sign a request with the token; the login has its own header."""
        if token is None or request.path == LOGIN:
            return request
        return request.with_headers({"Authorization": f"Bearer {token}"})

    def judge(self, request: Request[Any], reply: Response) -> ProviderError | None:
        """Return the gateway's error, by endpoint and message: one code has several meanings."""
        if b"policies." in reply.body and (slow := throttled(reply)) is not None:
            return slow
        if reply.status < 400:
            return None
        said = reply.read(Said) or Said()
        if reply.status in request.accept and said.fault is None:
            why = f"a result under HTTP {reply.status}, where only a fault is documented"
            raise Unreadable(why)
        words = said.fault_message or ""
        code = said.fault if words else None
        error = refusal(request, reply, code, words) or super().judge(request, reply)
        if error is not None:
            error.code = code
            error.request_id = said.request_id
        return error

    async def collect(self, send: Send, order: Order) -> Payment:
        """Push a prompt to the payer's phone; the answer says only that the push was accepted.

        The prompt shows `extra={"account_reference": …}`, else the first 12 characters of the
        reference.
        """
        if not 1 <= order.amount <= self.max_amount:
            raise UsageError.field("amount", f"{order.amount:.20g}", f"1 to {self.max_amount} KES")
        if order.webhook_url is None:
            why = "M-Pesa tells the outcome there (or set webhook_base)"
            raise UsageError.missing("webhook_url", why)
        payer = self.party("collect", order.party or "")
        reference = order.extra.get("account_reference", order.reference[:12])
        body = {
            **signed(self.shortcode, reveal(self.passkey), int(time.time())),
            "TransactionType": "CustomerBuyGoodsOnline" if self.till else "CustomerPayBillOnline",
            "Amount": str(whole(order.amount)),  # text, like each value of the example in the page
            "PartyA": payer,
            "PartyB": self.till or self.shortcode,
            "PhoneNumber": payer,
            "CallBackURL": checked_url("webhook_url", order.webhook_url, http=self.rehearsing),
            "AccountReference": shown("account_reference", reference, 12),
            "TransactionDesc": shown("description", order.description or "Payment", 13),
        }
        said = await send(post(PUSH, Said, body, matches=Said.answers_push))
        return self.payment(said.accepted())

    async def verify(self, send: Send, payment: Payment) -> Payment:
        """Look up by CheckoutRequestID; the answer has neither amount nor receipt."""
        asked = payment.provider_reference
        if not asked or "TransID" in payment.ids:
            raise Unsupported("mpesa can be asked for a push only, and by its CheckoutRequestID")
        signature = signed(self.shortcode, reveal(self.passkey), int(time.time()))
        query = post(
            QUERY,
            Said,
            {**signature, "CheckoutRequestID": asked},
            money=False,
            # While it is in progress, the answer is 200 with 4999, or 500:
            # https://github.com/safaricom/LNMOnlineAndroidSample/issues/13
            accept=(500,),
            matches=partial(Said.answers_query, asked=asked),
        )
        return self.payment(await send(query), asked)

    def webhook(self, incoming: WebhookRequest) -> Event:
        """Read an STK callback or a C2B message; Daraja signs neither, so nothing is proved."""
        message = self.message(c2b.Message, incoming)
        pushed = message.Body.callback if message.Body else None
        if pushed is not None and pushed.CheckoutRequestID and pushed.ResultCode:
            return self.event(self.payment(pushed))
        if message.Body is None and message.TransID:
            claims = c2b.claims(self, message, message.TransID)
            return self.event(claims, ping=message.asks())
        raise Unreadable("neither an STK callback nor a C2B message")

    def confirms(self, event: Event) -> bool:
        """Return whether a message is about a push: this API has no look-up for a C2B payment."""
        return "TransID" not in event.claims.ids

    def may_tell_of(self, event: Event, order: Payment) -> bool:
        """Return whether a confirmation may be about a push: same amount, account, visible digits.

        Safaricom sends a confirmation of each payment to the registered URL, also of a push, with
        the receipt of the push.
        """
        typed = event.claims.reference
        pushed = order.ids.get("AccountReference") or (order.reference or "")[:12]
        if typed is not None and typed.casefold() != pushed.casefold():
            return False
        payer = event.claims.ids.get("MSISDN")
        return super().may_tell_of(event, order) and c2b.may_be(payer, order.payer)

    def pending(self, order: Order) -> Payment:
        """Return an order's payment before any answer, with the reference that the prompt shows."""
        reference = order.extra.get("account_reference")
        ids = {"AccountReference": reference} if isinstance(reference, str) else {}
        return msgspec.structs.replace(super().pending(order), ids=ids)

    def acknowledge(self, event: Event, refused: str = "") -> Response:
        """Answer with a ResultCode; only a validation can be refused, with one of C2B's codes."""
        body: Mapping[str, Any] = {"ResultCode": 0, "ResultDesc": "Accepted"}
        if event.ping:
            body = self.c2b_reply(not refused, c2b.refusal(refused))
        headers = {"content-type": "application/json"}
        return Response(status=200, headers=headers, body=msgspec.json.encode(body))

    def payment(self, said: Said, asked: str | None = None, kind: Kind = "collect") -> Payment:
        """Read what Daraja says about a push; amount and receipt are read only from a message."""
        code = said.ResultCode or said.fault
        described = said.ResultDesc
        fault = said.fault_message
        status, reason = Status.PENDING, None
        if code is not None:  # a sentence without a result is about the request
            status, reason = self.outcome(
                {
                    "ResultCode": said.ResultCode,
                    "ResultDesc": described and sentence(described),
                    "errorMessage": fault and sentence(fault),
                }
            )
        merchant = said.MerchantRequestID
        found = Payment(
            account=self.account,
            provider=self.name,
            live=self.live,
            provider_reference=said.CheckoutRequestID or asked,
            ids={"MerchantRequestID": merchant} if merchant else {},
            status=status,
            prompt=said.CustomerMessage,
            provider_status=code,
            reason=reason,
            message=described or fault,
        )
        return found if asked or said.CallbackMetadata is None else _figures(found, said)

    @staticmethod
    def c2b_reply(accepted: bool, code: str = "C2B00011") -> dict[str, str]:
        """Return the body that answers a C2B validation, within 8 seconds, or a confirmation.

        A confirmation is always accepted.
        """
        return c2b.answer(accepted, code)

    @staticmethod
    def from_safaricom(peer: str | None) -> bool:
        """Return whether a message's sender is an address that Safaricom lists.

        Never call it with an address from a header.
        """
        return (coerce.text(peer) or "").removeprefix("::ffff:") in CALLBACK_ADDRESSES


def _figures(found: Payment, said: Said) -> Payment:
    """Add what a callback claims about the payment."""
    figures = said.figures()
    paid = figures.get("Amount")
    receipt = figures.get("MpesaReceiptNumber")
    return msgspec.structs.replace(
        found,
        ids={**found.ids, "receipt": receipt} if receipt else found.ids,
        amount=amount(paid),
        currency="KES" if paid else None,
        payer=phone(figures.get("PhoneNumber")),
        receipt=receipt,
        paid_at=paid_at(figures.get("TransactionDate")),
    )
