"""A merchant's own gateway over M-Pesa.

"The document" is docs/PAYMENT_API.md of github.com/trent130/EasyMarket, and "the server" is the one
of that project. No public server follows the document exactly, so the known differences are read,
too.
"""

import re
from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from decimal import Decimal
from functools import partial
from typing import Any, TypeAlias

import msgspec
from msgspec.structs import replace

from ...errors import Rejected, Unsupported, UsageError
from ...http import MAX_DAY_BYTES, Request, Send, WebhookRequest, get, post
from ...models import Event, Kind, Method, Order, Payment, Receipt
from ...values.arguments import flag
from ...values.money import exact, whole
from ...values.parsing import Unreadable, amount, convert, decode, parse_time, text
from ...values.validation import checked_text
from ..base import WEBHOOK_BYTES
from .account import Account
from .answers import OUTCOMES, Answer, Push
from .history import Page, Recent

_ORDER_ID = re.compile("[1-9][0-9]{0,17}")
_TRANSACTION = "/api/payment/transactions/{transaction_id}/"
Undocumented: TypeAlias = dict[str, Any]  # an answer that is returned unchanged


class MpesaGateway(Account, frozen=True, kw_only=True):
    """One merchant's gateway at `base_url`.

    Requests are signed with `access_token`, or with the token that `bearer` returns.

    A merchant's own REST gateway over M-Pesa: initiate, verify, history, receipts, refunds, payment
    methods, and a WebSocket whose updates wake the watches. The reference must be digits, because
    it is sent as the integer `order_id`; `bearer` is a coroutine function that returns a fresh JWT.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        self.updates_request()  # raises UsageError if its path is wrong

    async def collect(self, send: Send, order: Order) -> Payment:
        """Prompt the payer's phone.

        The reference, 1 to 18 digits, is sent as the integer `order_id`.
        """
        asked = self._within(order.amount)
        body = {
            "phone_number": order.party,
            "order_id": _order_id(order.reference),
            "amount": asked,
        }
        answers = partial(Answer.answers_order, reference=order.reference)
        said = await send(post("/api/payment/mpesa/", Answer, body, matches=answers))
        return replace(self.payment(said), reference=order.reference)

    async def verify(self, send: Send, payment: Payment) -> Payment:
        """Look up with the transaction id and our reference; both are needed.

        A refund is Unsupported.
        """
        if payment.kind == "refund":
            raise Unsupported("mpesa_gateway cannot look a refund up")
        asked = _transaction_id(payment)
        body = {"transaction_id": asked, "order_id": _order_id(payment.reference)}
        answers = partial(Answer.answers_verify, reference=payment.reference)
        request = post("/api/payment/verify/", Answer, body, money=False, matches=answers)
        try:
            return self.payment(await send(request))
        except Rejected as refusal:
            if refusal.code not in OUTCOMES:
                raise
            found = self.payment(Answer(code=refusal.code, message=refusal.message))
            return replace(found, provider_status=refusal.code)

    async def refund(self, send: Send, order: Order, payment: Payment) -> Payment:
        """Ask for money back.

        "Processed successfully" means that M-Pesa took the request: it is PENDING.
        """
        at = {"transaction_id": _transaction_id(payment)}
        body = {"amount": _number(order.amount), "reason": order.description}
        path = _TRANSACTION + "refund/"
        request = post(path, Answer, body, at=at, matches=Answer.answers_refund)
        took = await send(request)
        return replace(
            self.pending(order),
            provider_reference=text(took.refund_id),
            message=took.message,
            ids=at,
        )

    async def history(
        self, send: Send, since: datetime, until: datetime
    ) -> AsyncIterator[Payment | None]:
        """List the payments of a period.

        The gateway cannot filter, so every page is read, of any size.
        """
        recent = Recent()
        number, read, more = 1, 0, True
        while more:
            request = get(
                "/api/payment/history/",
                Page,
                query={"page": str(number)} if number > 1 else {},
                matches=partial(Page.answers, number=number),
                largest=MAX_DAY_BYTES,
            )
            page = await send(request)
            recent.turn()
            more = False
            for row, raw in enumerate(page.results, read + 1):
                past = self.row(Answer, raw, row, self.payment)
                if not past.provider_reference:
                    raise Unreadable(f"row {row}: it has no id")
                fresh = recent.is_new(past.provider_reference)
                more = more or fresh
                inside = past.created_at is None or since <= past.created_at <= until
                yield self.proved(past, "history") if fresh and inside else None
            number += 1
            read += len(page.results)
            more = more and page.has_more(read)

    async def receipt(self, send: Send, payment: Payment) -> Receipt:
        """Ask for a receipt: the text "KES 1,000.00" is read as an amount; its date is UTC."""
        at = {"transaction_id": _transaction_id(payment)}
        path = _TRANSACTION + "receipt/"
        slip = await send(get(path, Answer, at=at, matches=Answer.answers_receipt))
        return Receipt(
            number=slip.receipt_number or "",
            status=self.status({"status": slip.status}),
            amount=Decimal((text(slip.amount) or "").removeprefix("KES ").replace(",", "")),
            currency="KES",
            method=slip.payment_method,
            customer=slip.customer_name,
            order=slip.order_reference,
            issued_at=parse_time(slip.date),
        )

    async def methods(self, send: Send) -> list[Method]:
        """List the ways to pay that the gateway offers."""
        request = get("/api/payment/methods/", dict[str, list[Method]], matches=_has_methods)
        return (await send(request))["methods"]

    async def add_method(
        self, send: Send, *, phone: str, type: str = "mpesa", is_default: bool = False
    ) -> Undocumented:
        """Add a way to pay: a number that M-Pesa knows."""
        details = {"phone_number": self.party("collect", phone)}
        body = {
            "type": checked_text("type", type, 100),
            "details": details,
            "is_default": flag("is_default", is_default),
        }
        # It moves no money, even if it is sent twice.
        return await send(post("/api/payment/methods/", Undocumented, body, money=False))

    async def test_payment(self, send: Send, *, payer: str, amount: Decimal | int | str) -> Payment:
        """Make a test payment without an order, in the sandbox.

        `amount` is in whole shillings.
        """
        body = {
            "phone_number": self.party("collect", payer),
            "amount": self._within(exact(amount, "KES")),
        }
        answers = partial(Answer.answers_order, reference=None)
        # A sandbox has no money, so that two requests are no harm.
        path = self._test("mpesa")
        return self.payment(await send(post(path, Answer, body, money=False, matches=answers)))

    async def test_callback(
        self, send: Send, *, provider_reference: str, status: str = "completed"
    ) -> Undocumented:
        """Simulate a callback of M-Pesa, in the sandbox."""
        body = {
            "transaction_id": checked_text("provider_reference", provider_reference, 200),
            "status": checked_text("status", status, 100),
        }
        return await send(post(self._test("callback"), Undocumented, body, money=False))

    def webhook(self, incoming: WebhookRequest) -> Event:
        """Read the STK callback that a gateway passes on. It is not signed, so it is a hint."""
        body = self.message(dict[str, Any], incoming).get("Body")
        push = convert(Push, body.get("stkCallback") if isinstance(body, dict) else None)
        return self.event(self.payment(push))

    def updates_request(self) -> Request[Answer]:
        """Return the request that opens the WebSocket of payment updates."""
        return get(self.updates_path, Answer)

    def update(self, frame: str | bytes) -> Event | None:
        """Read a frame.

        A PAYMENT_UPDATE is a hint, even when it names no payment; anything else is None.
        """
        raw = frame.encode(errors="replace") if isinstance(frame, str) else frame
        if len(raw) > WEBHOOK_BYTES:
            raise Unreadable("larger than 64 KiB")
        fields = decode(dict[str, msgspec.Raw], raw)
        if bytes(fields.get("type", b"")).upper() != b'"PAYMENT_UPDATE"':
            return None
        # The client of that project (frontend/lib/websocket.ts) expects the fields in `payload`;
        # its server sends them flat.
        said = decode(Answer, bytes(fields.get("payload", raw)))
        return self.event(self.payment(said))

    def payment(self, said: Answer, asked: str | None = None, kind: Kind = "collect") -> Payment:
        """Read what the gateway says in any answer, callback, row or frame."""
        if isinstance(said, Push):
            status, reason = self.outcome({"ResultCode": said.status, "ResultDesc": said.message})
        else:
            # A message alone may be about the request: "Payment initiated".
            told = said.message if said.status or said.code else None
            status, reason = self.outcome(
                {"status": said.status, "code": said.code, "message": told}
            )
        own = said.own_id
        ids = {
            "id": said.id,
            "checkout_request_id": said.checkout_request_id,
            "merchant_request_id": said.merchant_request_id,
        }
        return Payment(
            account=self.account,
            provider=self.name,
            live=self.live,
            reference=said.reference,
            provider_reference=own,
            ids={name: other for name, other in ids.items() if other and other != own},
            status=status,
            amount=amount(said.amount),
            currency=said.currency or "KES",
            payer=said.phone_number,
            receipt=said.receipt_number,
            operator=said.payment_method,
            provider_status=said.status,
            reason=reason,
            message=said.message,
            created_at=parse_time(said.created_at),
        )

    def _within(self, asked: Decimal) -> msgspec.Raw:
        if not Decimal(self.min_amount) <= asked <= Decimal(self.max_amount):
            accepted = f"{self.min_amount} to {self.max_amount} KES"
            raise UsageError.field("amount", str(asked), accepted)
        return _number(asked)

    def _test(self, what: str) -> str:
        if self.live:
            accepted = "False: test payments and callbacks are the sandbox's"
            raise UsageError.field("live", self.live, accepted)
        return f"/api/payment/test/{what}/"


def _number(asked: Decimal) -> msgspec.Raw:
    # The number 1000.00, exact; msgspec would write a Decimal as text.
    return msgspec.Raw(f"{whole(asked)}.00".encode())


def _order_id(reference: str | None) -> int:
    if not _ORDER_ID.fullmatch(reference or ""):
        accepted = "1 to 18 digits, not 0 first: it is the integer order_id"
        raise UsageError.field("reference", reference, accepted)
    return int(reference or "")


def _transaction_id(payment: Payment) -> str:
    if not payment.provider_reference:
        accepted = "the gateway's transaction id"
        raise UsageError.field("provider_reference", payment.provider_reference, accepted)
    return payment.provider_reference


def _has_methods(found: Mapping[str, Any]) -> bool:
    return "methods" in found
