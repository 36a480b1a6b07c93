"""A merchant's own gateway over M-Pesa: docs/PAYMENT_API.md of github.com/trent130/EasyMarket is the contract.

"The server" is that project's. No public one keeps to the document, so that its known differences are read too.
"""

import re
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any, ClassVar, TypeAlias

import msgspec
from msgspec.structs import force_setattr, replace

from ..checks import checked_function, checked_text
from ..errors import AuthenticationFailed, ProviderError, RateLimited, Rejected, Unsupported, UsageError
from ..given import flag
from ..lenient import Scalar, Unreadable, amount, convert, decode, need, text, when
from ..models import Event, Kind, Method, Order, Payment, Reason, Receipt, Status
from ..money import DECIMALS, exact, whole
from ..redact import Secret
from ..states import NOTHING, OTHER, UNPAID
from ..states import Words as Table
from ..wire import DAY_BYTES, Incoming, Reply, Request, Send, get, post
from .base import WEBHOOK_BYTES, Driver, Facts, Token

_PRICE = re.compile(r"(?:KES )?(?:[0-9]{1,3}(?:,[0-9]{3}){1,3}|[0-9]{1,12})(?:\.[0-9]{1,2})?", re.ASCII)
_ONE = "/api/payment/transactions/{transaction_id}/"
_BLIND = Facts(deduplicates=False, findable=False, not_found_final_after=None)
_NAMES = {"provider_reference": "transaction_id", "provider_status": "status"}  # of a Payment, and in its words
Words: TypeAlias = dict[str, Any]  # an answer that is not documented, given as it is

# The document shows "completed"; the rest are words of the server's models and of its answers to verify.
_WORDS: Table = {word: Status[word] for word in ("PENDING", "FAILED", "CANCELLED", "REFUNDED")} | {
    "COMPLETED": Status.SUCCEEDED,
    "PAYMENT COMPLETED": Status.SUCCEEDED,
    "TIMEOUT": Status.EXPIRED,
}
# The server adds "Payment pending" to whatever is not completed, and words even "still processing"
# as "failed"; any other sentence says nothing.
_MESSAGES: Table = {
    OTHER: NOTHING,
    "PAYMENT SUCCESSFUL": Status.SUCCEEDED,
    **dict.fromkeys(("PAYMENT FAILED", "PAYMENT PROCESSING FAILED", "PAYMENT REQUEST EXPIRED"), UNPAID),
    **dict.fromkeys(("PAYMENT CANCELLED", "PAYMENT TIMEOUT"), UNPAID),
    "PAYMENT PENDING": frozenset({Status.PENDING, Status.CANCELLED, Status.EXPIRED}),
}
# The ResultCodes of a callback that payment/mpesa.py of the server knows; of any other, the gateway is asked.
_RESULTS: Table = {"0": Status.SUCCEEDED, "1032": Status.CANCELLED, "1037": Status.EXPIRED}
_WHY = {Status.FAILED: Reason.OTHER, Status.CANCELLED: Reason.CANCELLED, Status.EXPIRED: Reason.EXPIRED}
# "Common Error Codes" of the document, which names no HTTP status for them. The first two are what became of a
# payment: states for a look-up, but after a money request no proof that the payer was not prompted.
# No success of the document has a code, so that one which is not listed leaves a success in doubt.
_OUTCOMES: Table = {"PAYMENT_FAILED": Status.FAILED, "PAYMENT_EXPIRED": Status.EXPIRED, OTHER: UNPAID}
_CODES: Mapping[str, Reason | None] = {
    "PAYMENT_FAILED": Reason.OTHER,
    "PAYMENT_EXPIRED": Reason.EXPIRED,
    "INVALID_PHONE": Reason.UNKNOWN_PAYER,
    "AMOUNT_TOO_LOW": Reason.LIMIT,
    "AMOUNT_TOO_HIGH": Reason.LIMIT,
    "INVALID_CURRENCY": Reason.OTHER,
    # Not ours to sign with: jazzband/djangorestframework-simplejwt and users/middleware.py, before any view runs.
    "token_not_valid": None,
    "2FA_REQUIRED": None,
}
_DESCRIBED: dict[str, Status | frozenset[Status]] = {OTHER: NOTHING}  # its wording drifts
_PROCESSING = ("THE TRANSACTION IS BEING PROCESSED", "THE TRANSACTION IS STILL UNDER PROCESSING")
_DESCRIBED |= dict.fromkeys(_PROCESSING, Status.PENDING)
_REFUSED_WITH = (400, 401, 402, 403, 404, 410, 422)  # never 408, 409, 423, 425 or 5xx, whatever the body says


class Answer(msgspec.Struct, frozen=True):
    """What initiate, verify, a history row, a refund, a receipt or a frame says: each has some of the fields."""

    id: Scalar = None
    transaction_id: Scalar = None
    checkout_request_id: Scalar = None
    merchant_request_id: Scalar = None
    refund_id: Scalar = ""  # null where the server has none; left out where nothing was refunded
    order_id: Scalar = None
    order: Scalar = None  # the server's word for it in history
    amount: Scalar = None
    currency: Scalar = None
    status: Scalar = None
    message: Scalar = None
    code: Scalar = None  # of an error
    payment_method: Scalar = None
    phone_number: Scalar = None
    receipt_number: Scalar = None
    customer_name: Scalar = None
    order_reference: Scalar = None
    date: Scalar = None
    created_at: Scalar = None


class Page(msgspec.Struct, frozen=True):
    """A page of history: `{results, total, page}` of the document, `{count, next, previous, results}` of DRF."""

    results: list[msgspec.Raw]  # rows, each read when its turn comes: there may be thousands
    total: int = 0
    page: int | None = None
    next: Scalar = None


class Item(msgspec.Struct, frozen=True):
    """One line of a callback's metadata; a value that is no text and no number is passed over."""

    name: Scalar = msgspec.field(name="Name", default=None)
    value: Any = msgspec.field(name="Value", default=None)


class Metadata(msgspec.Struct, frozen=True):
    """A callback's metadata."""

    items: list[Item] | None = msgspec.field(name="Item", default=None)


class Push(Answer, frozen=True, kw_only=True):
    """What an STK callback says, in Safaricom's words; in the document's sample, a success has no metadata."""

    checkout_request_id: str = msgspec.field(name="CheckoutRequestID")
    merchant_request_id: Scalar = msgspec.field(name="MerchantRequestID", default=None)
    status: int | str = msgspec.field(name="ResultCode")
    message: Scalar = msgspec.field(name="ResultDesc", default=None)
    more: Metadata | None = msgspec.field(name="CallbackMetadata", default=None)


class MpesaGateway(Driver, frozen=True, kw_only=True):
    """One merchant's gateway at `base_url`, signed with `access_token` or with what `bearer` gives when asked."""

    name = "mpesa_gateway"
    live_url = sandbox_url = ""  # there is no public host: base_url is required
    required = frozenset({"base_url"})
    currencies = frozenset({"KES"})
    decimals: ClassVar[Mapping[str, int]] = {**DECIMALS, "KES": 0}  # whole shillings; the server cuts cents off
    countries = frozenset({"KE"})
    # One order is pushed twice, verify wants the gateway's own id, and history names no order; a refund takes no
    # reference of ours, and nothing looks it up (the document, and the server's views).
    facts: ClassVar = {"collect": _BLIND, "refund": _BLIND}
    speaks: ClassVar[Mapping[str, Table]] = {
        "status": _WORDS,
        "message": _MESSAGES,
        "code": _OUTCOMES,
        "ResultCode": _RESULTS,
        "ResultDesc": _DESCRIBED,
    }
    proofs: ClassVar = {"history": ("amount",)}  # neither verify nor the callback of the document has an amount
    limits: ClassVar = {"money": (100, 60.0), "look-up": (1000, 60.0)}  # "Rate Limiting" of the document
    watch_timeout = 115.0  # at 120 s the server's verify answers 408, and books "failed" without asking M-Pesa

    access_token: Secret | str = ""
    bearer: Callable[[], Awaitable[str]] | None = None
    min_amount: Decimal | int | str = 10  # whole shillings; both of payment/config.py of the server
    max_amount: Decimal | int | str = 150_000
    updates_path: str = "/ws/"  # how its WebSocket opens is not documented: here, with the token in the header,
    updates_query: str = ""  # or in the query under this name

    def __repr__(self) -> str:  # a bearer may be a functools.partial, whose own repr shows what it holds
        return f"MpesaGateway(account={self.account!r}, live={self.live}, base_url={self.base_url!r})"

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.bearer is not None:
            checked_function("bearer", self.bearer, "no argument, which gives a JWT", wait=True)
        if bool(self.access_token) == (self.bearer is not None):
            raise UsageError.missing("access_token", "it is needed, or an async function as bearer, not both")
        for field in ("min_amount", "max_amount"):
            try:
                force_setattr(self, field, exact(getattr(self, field), "KES", self.decimals))
            except UsageError:
                raise UsageError.field(field, getattr(self, field), "whole shillings above 0") from None
        self.updates_request()

    def party(self, kind: Kind, value: str, currency: str = "") -> str:
        """Read a Kenyan number, which the document wants as 254XXXXXXXXX."""
        number = super().party(kind, value, currency)
        if not re.fullmatch(r"254[0-9]{9}", number):
            raise UsageError.field("payer", value, "a number of the form 254XXXXXXXXX")
        return number

    async def token(self, send: Send) -> Token | None:
        """Ask `bearer`; a token given as text cannot be renewed, so there is nothing to ask."""
        if self.bearer is None:
            return None
        found: object = await self.bearer()
        if not isinstance(found, str) or not re.fullmatch(r"[\x21-\x7e]+", found):
            raise UsageError.hidden("bearer", "an async function that gives visible ASCII text")
        return Token(Secret(found))

    def authorize(self, request: Request[Any], token: str | None) -> Request[Any]:
        """Sign with the JWT: in the header, or in the socket's query."""
        signed = token or self.secrets()[0]  # access_token, the one credential
        if self.updates_query and request.path == self.updates_path:
            return request.with_query({self.updates_query: signed})
        return request.with_headers({"Authorization": f"Bearer {signed}"})

    def judge(self, request: Request[Any], reply: Reply) -> ProviderError | None:
        """Be sure of the codes; of money, nothing that a status alone or a sentence says is sure."""
        said = (reply.read(dict[str, Any]) if reply.status >= 400 else None) or {}
        code, message = str(said.get("code", "")), str(said.get("error") or said.get("detail") or "")
        error = super().judge(request, reply)
        if code in _OUTCOMES and self.status({"status": _word(said), "code": code}) is Status.PENDING:
            raise Unreadable(f"code {code} beside status {_word(said)}")
        if reply.status in _REFUSED_WITH and code in _CODES and not (request.money and code in _OUTCOMES):
            error = Rejected(reason=reason) if (reason := _CODES[code]) else AuthenticationFailed()
        elif reply.status == 429 and message.startswith("Request was throttled."):
            error = RateLimited()  # DRF throttles before the view runs: rest_framework/views.py, `initial`
        elif reply.status in (401, 403) and not request.money and _is_error(said):
            error = AuthenticationFailed()
        if error is not None:
            error.code, error.message = code or None, message or error.message
            error.details = said["details"] if isinstance(said.get("details"), dict) else said or None
        return error

    async def collect(self, send: Send, order: Order) -> Payment:
        """Prompt the payer's phone. The reference, 1 to 18 digits, travels as the integer `order_id`."""
        asked, number = self._within(order.amount), _order_id(order.reference)
        body = {"phone_number": order.party, "order_id": number, "amount": asked}
        ours = partial(self._says, "provider_reference", order.reference)
        found = await send(post("/api/payment/mpesa/", Answer, body, matches=ours))
        return self.payment(replace(found, order_id=order.reference))

    async def verify(self, send: Send, payment: Payment) -> Payment:
        """Ask with the transaction id and our reference; both are needed. A refund is Unsupported."""
        if payment.kind == "refund":
            raise Unsupported("mpesa_gateway cannot look a refund up")
        body = {"transaction_id": _transaction_id(payment), "order_id": _order_id(payment.reference)}
        ours = partial(self._says, "provider_status", payment.reference)
        request = post("/api/payment/verify/", Answer, body, money=False, matches=ours)
        try:
            return self.payment(await send(request))
        except Rejected as refusal:
            if refusal.code not in _OUTCOMES:
                raise
            found = self.payment(Answer(code=refusal.code, message=refusal.message))
            return replace(found, provider_status=refusal.code)

    async def refund(self, send: Send, order: Order, payment: Payment) -> Payment:
        """Ask for money back. "Processed successfully" means that M-Pesa took the request: it is PENDING."""
        at = {"transaction_id": _transaction_id(payment)}
        body = {"amount": _number(order.amount), "reason": order.description}
        request = post(
            _ONE + "refund/",
            Answer,
            body,
            at=at,
            matches=lambda took: need(took.refund_id != "", "the answer has no refund_id"),
        )
        took = await send(request)
        own = text(took.refund_id)
        return replace(self.pending(order), provider_reference=own, message=text(took.message), ids=at)

    async def history(self, send: Send, since: datetime, until: datetime) -> AsyncIterator[Payment | None]:
        """List the payments of a period. The gateway cannot filter, so that every page is read, however large."""
        # A payment made meanwhile pushes a row that was read onto the next page, or the one after it.
        recent: deque[set[str | None]] = deque(maxlen=2)
        page, read, more = 1, 0, True
        while more:
            query, ours = {"page": str(page)} if page > 1 else {}, partial(_is_page, page)
            request = get("/api/payment/history/", Page, query=query, matches=ours, largest=DAY_BYTES)
            found, here, more = await send(request), set[str | None](), False
            for number, raw in enumerate(found.results, read + 1):
                past = self.row(Answer, raw, number, self.payment)
                need(past.provider_reference, f"row {number}: it has no id")
                fresh = not any(past.provider_reference in known for known in (*recent, here))
                here.add(past.provider_reference)
                more = more or fresh
                inside = past.created_at is None or since <= past.created_at <= until
                yield self.proved(past, "history") if fresh and inside else None
            recent.append(here)
            page, read = page + 1, read + len(found.results)
            more = more and (text(found.next) is not None or read < found.total)

    async def receipt(self, send: Send, payment: Payment) -> Receipt:
        """Ask for a receipt: "KES 1,000.00" is read back into money, its date is UTC."""
        at = {"transaction_id": _transaction_id(payment)}
        slip = await send(get(_ONE + "receipt/", Answer, at=at, matches=_is_receipt))
        return Receipt(
            number=text(slip.receipt_number) or "",
            status=self.status({"status": text(slip.status)}),
            amount=Decimal((text(slip.amount) or "").removeprefix("KES ").replace(",", "")),
            currency="KES",
            method=text(slip.payment_method),
            customer=text(slip.customer_name),
            order=text(slip.order_reference),
            issued_at=when(slip.date),
        )

    async def methods(self, send: Send) -> list[Method]:
        """List the ways to pay that the gateway offers."""
        request = get("/api/payment/methods/", dict[str, list[Method]], matches=lambda found: "methods" in found)
        return (await send(request))["methods"]

    async def add_method(self, send: Send, *, phone: str, type: str = "mpesa", is_default: bool = False) -> Words:
        """Add a way to pay: a number that M-Pesa knows."""
        details, kind = {"phone_number": self.party("collect", phone)}, checked_text("type", type, 100)
        body = {"type": kind, "details": details, "is_default": flag("is_default", is_default)}
        return await send(post("/api/payment/methods/", Words, body, money=False))  # twice, it moves no money

    async def test_payment(self, send: Send, *, payer: str, amount: Decimal | int | str) -> Payment:
        """Make a test payment, of no order, in the sandbox."""
        body = {"phone_number": self.party("collect", payer), "amount": self._within(exact(amount, "KES"))}
        ours = partial(self._says, "provider_reference", None)
        return self.payment(await send(post(self._test("mpesa"), Answer, body, matches=ours)))

    async def test_callback(self, send: Send, *, provider_reference: str, status: str = "completed") -> Words:
        """Act, in the sandbox, as if M-Pesa had called back."""
        asked = checked_text("provider_reference", provider_reference, 200)
        body = {"transaction_id": asked, "status": checked_text("status", status, 100)}
        return await send(post(self._test("callback"), Words, body, money=False))

    def webhook(self, incoming: Incoming) -> Event:
        """Read the STK callback of a gateway that passes it on. Nothing signs it: a hint."""
        body = self.message(dict[str, Any], incoming).get("Body")
        push = convert(Push, body.get("stkCallback") if isinstance(body, dict) else None)
        listed = (push.more and push.more.items) or []
        more = {text(item.name): item.value for item in listed if isinstance(item.value, str | int | float)}
        paid, receipt, phone = (more.get(name) for name in ("Amount", "MpesaReceiptNumber", "PhoneNumber"))
        said = replace(push, amount=paid, receipt_number=receipt, phone_number=phone)
        return Event(account=self.account, provider=self.name, claims=self.payment(said))

    def updates_request(self) -> Request[Answer]:
        """Give the request that opens the socket of payment updates."""
        return get(self.updates_path, Answer)

    def update(self, frame: str | bytes) -> Event | None:
        """Read a frame. A PAYMENT_UPDATE is a hint, even when it names no payment; anything else is None."""
        raw = frame.encode(errors="replace") if isinstance(frame, str) else frame
        if len(raw) > WEBHOOK_BYTES:
            raise Unreadable("larger than 64 KiB")
        fields = decode(dict[str, msgspec.Raw], raw)
        if bytes(fields.get("type", b"")).upper() != b'"PAYMENT_UPDATE"':
            return None
        # That project's client (frontend/lib/websocket.ts) nests what is said in `payload`; its server is flat.
        said = decode(Answer, bytes(fields.get("payload", raw)))
        return Event(account=self.account, provider=self.name, claims=self.payment(said))

    def payment(self, said: Answer) -> Payment:
        """Put into our words what the gateway said, wherever it said it."""
        word, message, own = text(said.status), text(said.message), text(said.transaction_id) or text(said.id)
        code = text(said.code)
        spoken: dict[str, str | None] = {"ResultCode": word, "ResultDesc": message}
        if not isinstance(said, Push):
            # A message alone may be one of the question: "Payment initiated".
            spoken = {"status": word, "code": code, "message": message if word or code else None}
        status = self.status(spoken)
        ids = {name: text(getattr(said, name)) for name in ("id", "checkout_request_id", "merchant_request_id")}
        return Payment(
            account=self.account,
            provider=self.name,
            live=self.live,
            reference=text(said.order_id) or text(said.order),
            provider_reference=own,
            ids={name: other for name, other in ids.items() if other and other != own},
            status=status,
            amount=amount(said.amount),
            currency=text(said.currency) or "KES",
            payer=text(said.phone_number),
            receipt=text(said.receipt_number),
            operator=text(said.payment_method),
            provider_status=word,
            reason=_WHY.get(status),
            message=message,
            created_at=when(said.created_at),
        )

    def _says(self, field: str, reference: str | None, found: Answer) -> bool:
        # No answer: a value that cannot be read, or another order's id (the document echoes none at all).
        said = self.payment(found)
        need(getattr(said, field) is not None, f"the answer has no {_NAMES[field]}")
        return need(said.reference in (None, reference or said.reference), "the answer is about another order_id")

    def _within(self, asked: Decimal) -> msgspec.Raw:
        if not Decimal(self.min_amount) <= asked <= Decimal(self.max_amount):
            raise UsageError.field("amount", str(asked), f"{self.min_amount} to {self.max_amount} KES")
        return _number(asked)

    def _test(self, what: str) -> str:
        if self.live:
            raise UsageError.field("live", self.live, "False: test payments and callbacks are the sandbox's")
        return f"/api/payment/test/{what}/"


def _word(said: Mapping[str, Any]) -> str | None:
    status = said.get("status")
    return text(status) if isinstance(status, str | int | float) else None


def _is_error(said: Mapping[str, Any]) -> bool:
    """Tell whether this is DRF's `detail`, or the document's error object with its code."""
    framework = isinstance(said.get("detail"), str) and said.keys() <= {"detail", "code", "messages"}
    documented = all(isinstance(said.get(name), str) for name in ("error", "code"))
    return framework or (documented and said.keys() <= {"error", "code", "details"})


def _number(asked: Decimal) -> msgspec.Raw:  # 1000.00, exact; msgspec would write a Decimal as text
    return msgspec.Raw(f"{whole(asked)}.00".encode())


def _order_id(reference: str | None) -> int:
    if not re.fullmatch(r"[1-9][0-9]{0,17}", reference or ""):
        raise UsageError.field("reference", reference, "1 to 18 digits, not 0 first: it is the integer order_id")
    return int(reference or "")


def _transaction_id(payment: Payment) -> str:
    if not payment.provider_reference:
        raise UsageError.field("provider_reference", payment.provider_reference, "the gateway's transaction id")
    return payment.provider_reference


def _is_page(number: int, found: Page) -> bool:
    return need(found.page in (None, number), "the answer is another page")


def _is_receipt(found: Answer) -> bool:
    need(text(found.receipt_number), "the answer has no receipt_number")
    return need(_PRICE.fullmatch(text(found.amount) or ""), "the answer has no amount that can be read")
