"""M-Pesa Express (STK push) of Safaricom's Daraja, and the messages of C2B payments.

"Documentation": https://developer.safaricom.co.ke/ as transcribed at https://github.com/amoskyalo/daraja-docs.
"""

import re
import time
from base64 import b64encode
from collections.abc import Mapping
from datetime import datetime, timedelta, timezone
from functools import lru_cache
from hashlib import sha256
from typing import Any, ClassVar

import msgspec

from .. import plain
from ..checks import checked_url, setting
from ..errors import ProviderError, Unsupported, UsageError
from ..lenient import Scalar, Unreadable, amount, need, text, when
from ..models import Event, Kind, Order, Payment, Reason, Status, Trust
from ..money import whole
from ..redact import Secret
from ..states import NOTHING, OTHER, UNPAID, Words
from ..states import plain as word_of
from ..wire import Incoming, Reply, Request, Send, get, post
from ._daraja import refusal, throttled
from .base import Driver, Facts, Option, Token

LOGIN = "/oauth/v1/generate"
PUSH = "/mpesa/stkpush/v1/processrequest"
QUERY = "/mpesa/stkpushquery/v1/query"

# Documentation, "going live". The list drifts: a second check, never the only one.
_HOSTS = {214: (200, 206, 207, 208), 213: (114, 44), 212: (127, 129, 136, 138, 74, 69)}
CALLBACK_ADDRESSES = frozenset(f"196.201.{net}.{host}" for net, hosts in _HOSTS.items() for host in hosts)

# Documentation, https://pypi.org/project/paylod/ and https://github.com/ronnyabuto/daraja-error-codes. Left out,
# and so PENDING, is what proves neither a debit nor its absence: 17 (internal error, or the same amount twice), 26
# (busy), 1025 and 9999 (the prompt was perhaps not sent), 1036 (no word from the SMS centre), and all news.
_FAMILIES: Mapping[str, tuple[Status, Reason | None]] = {
    "0": (Status.SUCCEEDED, None),
    "4999": (Status.PENDING, None),
    "1031 1032": (Status.CANCELLED, Reason.CANCELLED),
    "1019 1037": (Status.EXPIRED, Reason.EXPIRED),
    "1": (Status.FAILED, Reason.INSUFFICIENT_FUNDS),
    "2 3 4 8": (Status.FAILED, Reason.LIMIT),  # below or above the limits of a payment, a day, a balance
    "1001": (Status.FAILED, Reason.BUSY),  # another transaction of this subscriber is under way
    "2001": (Status.FAILED, Reason.WRONG_PIN),  # so of STK; elsewhere it is the initiator's password
    "E3008": (Status.FAILED, Reason.DECLINED),  # a debt contract; the sandbox says it of every real phone
    "SFC_IC0003": (Status.FAILED, Reason.OTHER),  # no till has PartyB: https://github.com/SmoDav/mpesa/issues/50
    "1101 1102 2028 2029 8006": (Status.FAILED, Reason.OTHER),  # prompt too long; product, till, credential
}
_RESULTS = {code: result for codes, result in _FAMILIES.items() for code in codes.split()}
_STATUSES: Words = {code: status for code, (status, _) in _RESULTS.items()}
_PROCESSING = "THE TRANSACTION IS BEING PROCESSED"
_TROUBLE = (
    "REQUEST CANCELLED BY USER",
    "REQUEST CANCELED BY USER",
    "TRANSACTION HAS EXPIRED",
    "THE BALANCE IS INSUFFICIENT FOR THE TRANSACTION",
    "DS TIMEOUT USER CANNOT BE REACHED",
    "NO RESPONSE FROM USER",
    "THE INITIATOR INFORMATION IS INVALID",
    "UNABLE TO LOCK SUBSCRIBER, A TRANSACTION IS ALREADY IN PROCESS FOR THE CURRENT SUBSCRIBER",
    "AN ERROR OCCURRED WHILE SENDING A PUSH REQUEST",
    "THE USER HAS A BAD DEBT CONTRACT",
    "THE OPERATOR DOES NOT EXIST",
)
# The sentences of the documentation's and of integrators' answers. Their wording drifts, so that
# any other says nothing; that a payment is being processed is read out of all of them.
_SENTENCES: Words = {
    OTHER: NOTHING,
    _PROCESSING: Status.PENDING,
    "THE SERVICE REQUEST IS PROCESSED SUCCESSFULLY": Status.SUCCEEDED,
    **dict.fromkeys(_TROUBLE, UNPAID),
}

_EAT, _STAMP = timezone(timedelta(hours=3)), "%Y%m%d%H%M%S"  # no summer time, so no time zone data
now = time.time  # a test puts another clock here


class _Item(msgspec.Struct, frozen=True):
    Name: Scalar = None
    Value: Any = None  # what is no text and no number is passed over


class _Metadata(msgspec.Struct, frozen=True):
    Item: list[_Item] | None = None


class _Said(msgspec.Struct, frozen=True):
    """What Daraja says of a push: acceptance, query's answer, callback and fault have each a part of it."""

    MerchantRequestID: Scalar = None
    CheckoutRequestID: Scalar = None
    ResponseCode: Scalar = None
    CustomerMessage: Scalar = None
    ResultCode: Scalar = None  # a number in the callback, text in the query, and not always digits
    ResultDesc: Scalar = None
    CallbackMetadata: _Metadata | None = None
    request_id: Scalar = msgspec.field(default=None, name="requestId")
    fault: Scalar = msgspec.field(default=None, name="errorCode")
    fault_message: Scalar = msgspec.field(default=None, name="errorMessage")

    def accepts(self) -> bool:
        need(text(self.ResponseCode) == "0", "ResponseCode is not 0")
        return need(text(self.CheckoutRequestID), "the answer has no CheckoutRequestID")

    def processing(self) -> bool:
        """Tell whether one of the sentences says that the payment is being processed."""
        return any(map(_is_processing, (self.ResultDesc, self.fault_message)))

    def words(self) -> dict[str, str | None]:
        """Give what speaks of the state."""
        code, desc, fault = text(self.ResultCode), text(self.ResultDesc), text(self.fault_message)
        return {
            "ResultCode": code,
            "ResultDesc": _PROCESSING if _is_processing(desc) else desc,
            "errorMessage": _PROCESSING if _is_processing(fault) else fault,
        }

    def answers(self, asked: str) -> bool:
        """Tell whether this answers a query for this CheckoutRequestID, which is not always echoed."""
        if text(self.fault) is not None:
            waits = text(self.fault) == "500.001.1001" and self.processing()
            return need(waits, "an error that does not say how the payment stands")
        need(text(self.CheckoutRequestID) in (None, asked), "the answer is about another CheckoutRequestID")
        need(text(self.ResponseCode) in (None, "0"), "ResponseCode is not 0")
        return need(text(self.ResultCode), "the answer has no ResultCode")


def _is_processing(sentence: Scalar) -> bool:
    if sentence is None:
        return False
    # Only the start is searched: a forger may send more.
    words = (text(sentence) or "")[:200].lower()
    return "process" in words.partition("being")[2] or "process" in words.partition("still")[2]


class _Body(msgspec.Struct, frozen=True):
    callback: _Said | None = msgspec.field(name="stkCallback", default=None)


class _Message(msgspec.Struct, frozen=True):
    """An STK callback is a `Body`; a C2B validation or confirmation is flat, and all text."""

    Body: _Body | None = None
    TransID: Scalar = None
    TransTime: Scalar = None
    TransAmount: Scalar = None
    BillRefNumber: Scalar = None
    OrgAccountBalance: Scalar = None  # blank where Daraja only asks: documentation, v2/c2b.mdx
    MSISDN: Scalar = None  # masked, or a hash


class _Login(msgspec.Struct, frozen=True):
    access_token: str
    expires_in: int | None = None  # comes as text: "3599"


class Mpesa(Driver, frozen=True, kw_only=True):
    """One shortcode at Daraja; for Buy Goods `till` is the till and `shortcode` the head office."""

    name = "mpesa"
    live_url = "https://api.safaricom.co.ke"
    sandbox_url = "https://sandbox.safaricom.co.ke"
    currencies = frozenset({"KES"})
    decimals: ClassVar[Mapping[str, int]] = {"KES": 0}  # documentation: "Only whole numbers are supported"
    countries = frozenset({"KE"})
    test_numbers = frozenset({"254708374149"})
    facts: ClassVar[Mapping[Kind, Facts]] = {
        "collect": Facts(
            deduplicates=False,  # documentation of processrequest: no field of ours identifies a request
            findable=False,  # the query takes a CheckoutRequestID, which only the push's answer tells
            not_found_final_after=None,  # no source says what the query answers for an id unknown to it
        )
    }
    # ResponseCode is none of them: it says that the question was understood. No success of a query
    # has an amount.
    speaks: ClassVar = {"ResultCode": _STATUSES, "ResultDesc": _SENTENCES, "errorMessage": _SENTENCES}
    required = frozenset({"consumer_key", "consumer_secret", "shortcode", "passkey"})
    takes: ClassVar[frozenset[Option]] = frozenset({"description", "webhook_url"})
    settings = frozenset({"account_reference"})
    token_life = 3599.0
    # A prompt lives for one to three minutes; https://pypi.org/project/mpesa-daraja-mcp/ first asks after 20 s.
    watch_timeout = 180.0
    first_look = 15.0
    redelivers = False  # documentation, v2/account-balance.mdx: "no repeat callbacks for failed callbacks"
    # Documentation, FAQ: words to avoid in a callback URL. It is advice, so nothing is refused for them.
    callback_words_to_avoid = ("mpesa", "safaricom", "exec", "exe", "cmd", "sql", "query")

    consumer_key: Secret | str = ""
    consumer_secret: Secret | str = ""
    shortcode: str = ""
    passkey: Secret | str = ""
    till: str = ""
    max_amount: int = 250_000  # shillings, of one payment; Safaricom has raised it before

    def __post_init__(self) -> None:
        """Check the numbers, after what every driver checks."""
        super().__post_init__()
        given: Mapping[str, Any] = msgspec.structs.asdict(self)
        for field in ("shortcode", "till"):
            if not re.fullmatch("([0-9]{5,7})?", given[field]):
                raise UsageError.field(field, given[field], "a string of 5 to 7 digits")
        if type(given["max_amount"]) is not int or self.max_amount < 1:
            raise UsageError.field("max_amount", given["max_amount"], "a whole number of shillings above 0")

    @classmethod
    def from_settings(cls, settings: object) -> "Mpesa":
        """Read MPESA_ENVIRONMENT, _CONSUMER_KEY, _CONSUMER_SECRET, _SHORTCODE, _PASSKEY of a mapping or object."""
        given: dict[str, Any] = {}
        for field in ("environment", "consumer_key", "consumer_secret", "shortcode", "passkey"):
            name = f"MPESA_{field.upper()}"
            given[field] = setting(settings, name)
        environment = plain.text(said := given.pop("environment"))
        if environment not in ("sandbox", "production"):
            raise UsageError.field("MPESA_ENVIRONMENT", said, "'sandbox' or 'production'")
        try:
            return cls(live=environment == "production", **given)
        except UsageError as error:
            raise error.renamed(f"MPESA_{(error.name or '').upper()}") from None

    async def token(self, send: Send) -> Token:
        """Log in with key and secret."""
        key, secret, _ = self.secrets()
        basic = {"Authorization": f"Basic {b64encode(f'{key}:{secret}'.encode()).decode()}"}
        login = await send(get(LOGIN, _Login, query={"grant_type": "client_credentials"}, headers=basic))
        return Token(Secret(login.access_token), login.expires_in)

    def authorize(self, request: Request[Any], token: str | None) -> Request[Any]:
        """Sign a request with the token; the login carries its own header."""
        signed = token is None or request.path == LOGIN
        return request if signed else request.with_headers({"Authorization": f"Bearer {token}"})

    def judge(self, request: Request[Any], reply: Reply) -> ProviderError | None:
        """Believe the gateway's errors by endpoint and message: one code stands for several things."""
        if b"policies." in reply.body and (slow := throttled(reply)) is not None:
            return slow
        if reply.status < 400:
            return None
        said = reply.read(_Said) or _Said()
        if reply.status in request.accept and text(said.fault) is None:
            raise Unreadable(f"a result under HTTP {reply.status}, where only a fault is documented")
        words = text(said.fault_message) or ""
        code = text(said.fault) if words else None
        error = refusal(request, reply, code, words) or super().judge(request, reply)
        if error is not None:
            error.code, error.request_id = code, text(said.request_id)
        return error

    async def collect(self, send: Send, order: Order) -> Payment:
        """Ring the payer's phone: the answer says only that the push was accepted.

        The payer is shown `extra={"account_reference": …}`, else the first 12 characters of the reference.
        """
        if not 1 <= order.amount <= self.max_amount:
            raise UsageError.field("amount", f"{order.amount:.20g}", f"1 to {self.max_amount} KES")
        if order.webhook_url is None:
            raise UsageError.missing("webhook_url", "M-Pesa tells the outcome there (or set webhook_base)")
        payer = self.party("collect", order.party or "")
        shown = order.extra.get("account_reference", order.reference[:12])
        body = {
            **_signed(self.shortcode, self.secrets()[-1], int(now())),
            "TransactionType": "CustomerBuyGoodsOnline" if self.till else "CustomerPayBillOnline",
            "Amount": str(whole(order.amount)),  # text, as every value of the documentation's example
            "PartyA": payer,
            "PartyB": self.till or self.shortcode,
            "PhoneNumber": payer,
            "CallBackURL": checked_url("webhook_url", order.webhook_url, http=self.rehearsing),
            "AccountReference": _plain("account_reference", shown, 12),
            "TransactionDesc": _plain("description", order.description or "Payment", 13),
        }
        return self.payment(await send(post(PUSH, _Said, body, matches=_Said.accepts)), None)

    async def verify(self, send: Send, payment: Payment) -> Payment:
        """Ask by CheckoutRequestID; the answer has neither amount nor receipt."""
        asked = payment.provider_reference
        if not asked or "TransID" in payment.ids:
            raise Unsupported("mpesa can be asked for a push only, and by its CheckoutRequestID")
        signed = _signed(self.shortcode, self.secrets()[-1], int(now()))
        body = {**signed, "CheckoutRequestID": asked}
        # Under way is 200 with 4999, or 500: https://github.com/safaricom/LNMOnlineAndroidSample/issues/13
        query = post(QUERY, _Said, body, money=False, accept=(500,), matches=lambda said: said.answers(asked))
        said = await send(query)
        return self.payment(said, text(said.ResultCode) or text(said.fault), asked)

    def webhook(self, incoming: Incoming) -> Event:
        """Read an STK callback or a C2B message; Daraja signs neither, so nothing is proved."""
        message = self.message(_Message, incoming)
        said, number = message.Body.callback if message.Body else None, text(message.TransID)
        if said is not None and text(said.CheckoutRequestID) and text(said.ResultCode):
            listed = (said.CallbackMetadata.Item if said.CallbackMetadata else None) or []
            read = [item for item in listed if isinstance(item.Value, str | int | float)]
            items: dict[str | None, Scalar] = {text(item.Name): item.Value for item in read}
            claims = self.payment(said, text(said.ResultCode), items=items)
        elif message.Body is None and number:
            items = {"Amount": message.TransAmount, "PhoneNumber": message.MSISDN}
            items |= {"MpesaReceiptNumber": number, "TransactionDate": message.TransTime}
            claims = self.payment(_Said(), None, number, items)
            ids = {"receipt": number, "TransID": number}
            if payer := text(message.MSISDN):
                ids["MSISDN"] = payer[:64]
            claims = msgspec.structs.replace(claims, reference=text(message.BillRefNumber), ids=ids)
        else:
            raise Unreadable("neither an STK callback nor a C2B message")
        asks = "TransID" in claims.ids and text(message.OrgAccountBalance) is None
        return Event(account=self.account, provider=self.name, trust=Trust.NOTHING, claims=claims, ping=asks)

    def confirms(self, event: Event) -> bool:
        """Tell whether a message is of a push: no request of this API asks about a C2B payment."""
        return "TransID" not in event.claims.ids

    def may_tell_of(self, event: Event, order: Payment) -> bool:
        """Tell whether a confirmation may be a push's: the same amount, account and visible digits.

        Safaricom confirms each payment to the registered address, that of a push too, with the push's receipt.
        """
        typed, shown = event.claims.reference, order.ids.get("AccountReference") or (order.reference or "")[:12]
        same = typed is None or typed.casefold() == shown.casefold()
        return same and super().may_tell_of(event, order) and _shows(event.claims.ids.get("MSISDN"), order.payer)

    def pending(self, order: Order) -> Payment:
        """Give an order's payment before any answer, with what the payer is shown instead of our reference."""
        shown, pending = order.extra.get("account_reference"), super().pending(order)
        ids = {"AccountReference": shown} if isinstance(shown, str) else {}
        return msgspec.structs.replace(pending, ids=ids)

    def acknowledge(self, event: Event, refused: str = "") -> Reply:
        """Answer with a ResultCode; only a validation can be refused, with one of C2B's codes."""
        code = refused if re.fullmatch("C2B0001[1-6]", refused) else "C2B00016"
        body = self.c2b_reply(not refused, code) if event.ping else {"ResultCode": 0, "ResultDesc": "Accepted"}
        return Reply(status=200, headers={"content-type": "application/json"}, body=msgspec.json.encode(body))

    def payment(self, said: _Said, code: str | None, asked: str = "", items: Mapping[Any, Scalar] = {}) -> Payment:
        """Say in our words what Daraja said; `code` is its result, and `items` the claims of a message."""
        # A sentence without a result is one of the question, or of a push that was accepted.
        status = self.status(said.words()) if code is not None else Status.PENDING
        names = ("Amount", "PhoneNumber", "MpesaReceiptNumber", "TransactionDate")
        paid, payer, receipt, time = [text(items.get(name)) for name in names] if items else [None] * 4
        ids = ("MerchantRequestID", text(said.MerchantRequestID)), ("receipt", receipt)
        return Payment(
            account=self.account,
            provider=self.name,
            live=self.live,
            provider_reference=text(said.CheckoutRequestID) or asked,
            ids={name: id for name, id in ids if id},
            status=status,
            amount=amount(paid),
            currency="KES" if paid else None,
            payer=payer if payer and re.fullmatch("254[0-9]{9}", payer) else None,
            receipt=receipt,
            prompt=text(said.CustomerMessage),
            provider_status=code,
            reason=_RESULTS[word_of(code)][1] if code and status.terminal else None,
            message=text(said.ResultDesc) or text(said.fault_message),
            paid_at=when(time, _STAMP, _EAT) if time and time.startswith("20") else None,  # year 1 has no UTC
        )

    @staticmethod
    def c2b_reply(accepted: bool, code: str = "C2B00011") -> dict[str, str]:
        """Give the body that answers a C2B validation, within 8 seconds, or a confirmation (always accepted)."""
        if not re.fullmatch("C2B0001[1-6]", plain.text(code) or ""):
            means = "C2B00011 number, C2B00012 account, …13 amount, …14 KYC, …15 shortcode, …16 anything else"
            raise UsageError.field("code", code, means)
        if not plain.is_a(accepted, bool):
            raise UsageError.field("accepted", accepted, "True or False")
        return {"ResultCode": "0" if accepted else code, "ResultDesc": "Accepted" if accepted else "Rejected"}

    @staticmethod
    def from_safaricom(peer: str | None) -> bool:
        """Tell whether a message's sender is an address that Safaricom lists; never ask it of a header."""
        return (plain.text(peer) or "").removeprefix("::ffff:") in CALLBACK_ADDRESSES


def _shows(said: str | None, payer: str | None) -> bool:
    """Tell whether a number may be this payer's: its middle is masked (v2), or it is a hash (v1), or absent."""
    if not said or not payer:
        return True
    if re.fullmatch("[0-9a-fA-F]{64}", said):
        forms = (payer, f"+{payer}", payer[3:], f"0{payer[3:]}")  # which one is hashed is published nowhere
        return said.lower() in [sha256(form.encode()).hexdigest() for form in forms]
    first, *rest = [re.sub("[^0-9]", "", part) for part in re.split(r"\*+", said)]
    return payer.startswith(first) and payer.endswith(rest[-1]) if rest else payer == first


@lru_cache(maxsize=64)
def _signed(shortcode: str, passkey: str, second: int) -> Mapping[str, str]:
    # One Timestamp for both fields, else "Wrong credentials"; East African time, as integrators' code has it.
    stamp = datetime.fromtimestamp(second, _EAT).strftime(_STAMP)
    password = b64encode(f"{shortcode}{passkey}{stamp}".encode())
    return {"BusinessShortCode": shortcode, "Password": password.decode(), "Timestamp": stamp}


def _plain(field: str, value: object, longest: int) -> str:
    if not isinstance(value, str) or len(value) > longest or not value.isprintable() or not value.strip():
        raise UsageError.field(field, value, f"a string of 1 to {longest} printable characters")
    # A prompt with one of these can fail without an error: https://github.com/bnjunge/MPESA-API-Tutorial/issues/3
    if odd := re.search("[@#&]", value):
        raise UsageError.field(field, value, f"text without {odd[0]}")
    return value
