"""A merchant's gateway over M-Pesa, as its document says: REST, a callback and a WebSocket.

The document is docs/PAYMENT_API.md of github.com/trent130/EasyMarket. That project's own server
("the origin" below) does not follow it, so the document decides; where the document says nothing,
an attribute follows the origin. Bearer "simulator" is a valid token; `issue` makes JSON web tokens
that expire.
"""

import asyncio
import json
import math
import re
from collections.abc import Mapping
from datetime import timedelta, timezone
from decimal import Decimal
from typing import Any, ClassVar, Literal

from ...http import Response, WebhookRequest
from ...models import Status
from ...primitives.clock import wall_time
from ..base import Provider, magic
from ..core import SimulatorCore
from ..ledger import Entry, Outcome
from ..messages import Message
from ..replies import Refused, fields, json_reply, query, segments
from ..tokens import Tokens, jwt
from .callbacks import Callbacks
from .checks import (
    Window,
    check_currency,
    checked_amount,
    checked_order,
    checked_phone,
)
from .messages import (
    MESSAGES,
    bad_token,
    callback,
    error,
    history,
    ids,
    no_such_page,
    no_token,
    now,
    receipt,
    word,
)
from .refunds import Refunds

_EAT = timezone(timedelta(hours=3))


class MpesaGateway(Provider):
    """The document's API; a test may change every attribute set in `__init__`."""

    name = "mpesa_gateway"
    credentials: ClassVar[Mapping[str, str]] = {"access_token": "simulator"}
    # 254708374149 is the number of Safaricom's own sandbox; the others are ours.
    numbers: ClassVar[Mapping[str, Outcome]] = magic("25470837414", success="9")
    shapes = ("frame_shape", ("client", "flat"))
    stays = ("magic", "tokens", "_given", "refund_outcome")

    def __init__(self, world: SimulatorCore) -> None:
        super().__init__(world)
        self.tokens = Tokens(3600)  # the origin's are valid for an hour
        self.permanent = True  # Bearer "simulator" is valid
        # "All API endpoints require authentication", but both callbacks are documented without the
        # header.
        self.callbacks_need_token = False
        self.sandbox = True  # the two test endpoints exist
        self.initiations = Window(100, 60.0)
        self.checks = Window(1000, 60.0)
        # the origin's: the document states none
        self.lowest, self.highest = Decimal(10), Decimal(150_000)
        self.refuses = ""  # a code with which initiations are refused before the payer is asked
        # the origin refuses a paid order; idempotency is the client's task
        self.refuses_paid_orders = False
        # How verify reports an end without money: the document shows only "completed", and codes
        # for two ends.
        self.failures: Literal["status", "error"] = "status"
        # seconds; the origin answers 408 after 120, paid or not
        self.gives_up_after: float | None = None
        # the origin's is paginated
        self.history_shape: Literal["document", "paginated"] = "document"
        self.page_size = 10
        self.refund_ids = True  # the origin's answer has null
        # the end of a refund, after the payer's delay
        self.refund_outcome = Outcome(Status.SUCCEEDED)
        self.methods: list[dict[str, Any]] = [
            {"type": "mpesa", "display_name": "M-Pesa", "enabled": True, "currency": "KES"}
        ]
        self.webhook_url = ""  # the target of Daraja's callback: a setting of the gateway
        self.metadata = False  # that callback has CallbackMetadata; the document's has none
        self.socket_path = "/ws/"  # the origin's: the document states none
        self.socket_needs_token = True  # in the header, or as ?token=
        # The frame of the origin's client, or of its server; no source states the names of the ids.
        self.frame_shape: Literal["client", "flat"] = "client"
        self.frame_ids = ("transaction_id", "order_id", "checkout_request_id")
        self._given: set[str] = set()
        self._callbacks, self._refunds = Callbacks(self), Refunds(self)

    def issue(self) -> str:
        """Make a token that is valid for `tokens.life` seconds."""
        claims = {"token_type": "access", "user_id": 1, "jti": self.uuid()}
        token = self.tokens.issue(jwt("simulator", claims, life=self.tokens.life or 3600))
        self._given.add(token)
        return token

    async def answer(self, incoming: WebhookRequest) -> Response:
        """Answer below /api/payment.

        As in Django, a path without its last slash is another path.
        """
        match incoming.path.endswith("/"), incoming.method, *segments(incoming):
            case True, "POST", "api", "payment", "mpesa":
                return self._initiate(self._body(incoming, self.initiations), test=False)
            case True, "POST", "api", "payment", "verify":
                return self._verify(self._body(incoming, self.checks))
            case True, "POST", "api", "payment", "mpesa-callback":
                return self._callbacks.passed_on(
                    self._body(incoming, token=self.callbacks_need_token)
                )
            case True, "GET", "api", "payment", "history":
                return self._history(incoming)
            case True, "GET", "api", "payment", "transactions", transaction_id, "receipt":
                self._authenticate(incoming)
                return json_reply(receipt(self._transaction(transaction_id)))
            case True, "POST", "api", "payment", "transactions", transaction_id, "refund":
                body = self._body(incoming)
                return self._refunds.request(self._transaction(transaction_id), body)
            case True, "GET", "api", "payment", "methods":
                self._authenticate(incoming)
                return json_reply({"methods": self.methods})
            case True, "POST", "api", "payment", "methods":
                return self._add_method(self._body(incoming))
            case True, "POST", "api", "payment", "test", "mpesa" if self.sandbox:
                return self._initiate(self._body(incoming, self.initiations), test=True)
            case True, "POST", "api", "payment", "test", "callback" if self.sandbox:
                body = self._body(incoming, token=self.callbacks_need_token)
                return self._callbacks.of_a_tester(
                    self._transaction(body.get("transaction_id")), body
                )
        return no_such_page()

    def message(self, entry: Entry, *, forged: bool = False) -> Message | None:
        """Make Daraja's callback, passed on; nothing in it proves its sender."""
        if not self.webhook_url or entry.kind != "collect" or entry.status is Status.REFUNDED:
            return None
        told = callback(entry, success=forged or entry.moved, metadata=self.metadata)
        return Message.json(self.webhook_url, told)

    def throttled(self) -> Response:
        """Refuse with the error object; the document has neither a status nor a code for this."""
        return error("RATE_LIMITED", 429)

    def stale(self, incoming: WebhookRequest) -> Response:
        """Refuse a token as expired."""
        return bad_token("Token is expired")

    def listens(self, incoming: WebhookRequest) -> Response | None:
        """Accept a client with a valid token that listens to payment updates."""
        if incoming.path.strip("/") != self.socket_path.strip("/"):
            return no_such_page()
        scheme, _, token = incoming.headers.get("authorization", "").partition(" ")
        given = token if scheme == "Bearer" else query(incoming).get("token", "")
        return (
            None
            if self._good(given) or not self.socket_needs_token
            else bad_token("Token is invalid")
        )

    def settle(self, entry: Entry, outcome: Outcome) -> None:
        """Decide an order and push its update; a payment refunded in full becomes refunded."""
        super().settle(entry, outcome)
        paid = entry if entry.kind == "collect" else self._transaction(entry.words["refund_of"])
        if paid is not entry and self._refunds.given_back(paid, Status.SUCCEEDED) == paid.amount:
            self.core.ledger.settle(paid, Outcome(Status.REFUNDED))
        self.push(json.dumps(self.frame(paid)))

    def frame(self, entry: Entry) -> dict[str, Any]:
        """Make the PAYMENT_UPDATE of an order; the document defines only its status."""
        told = {name: ids(entry)[name] for name in self.frame_ids} | {"status": word(entry)}
        if self.frame_shape == "flat":
            return {"type": "payment_update", **told}
        return {"type": "PAYMENT_UPDATE", "payload": told, "timestamp": now()}

    def _good(self, token: str) -> bool:
        return (token == "simulator" and self.permanent) or token in self.tokens

    def _authenticate(self, incoming: WebhookRequest) -> None:
        scheme, _, token = incoming.headers.get("authorization", "").partition(" ")
        if scheme != "Bearer" or not token:
            raise Refused(no_token())
        if not self._good(token):
            raise Refused(
                bad_token("Token is expired" if token in self._given else "Token is invalid")
            )

    def _body(
        self, incoming: WebhookRequest, window: Window | None = None, *, token: bool = True
    ) -> dict[str, Any]:
        """Check the token, then the rate, and read the body."""
        if token:
            self._authenticate(incoming)
        wait = window.take() if window else None
        if wait is not None:
            raise Refused(
                error("RATE_LIMITED", 429, headers={"retry-after": str(max(1, math.ceil(wait)))})
            )
        body = fields(incoming)
        if body is None:
            raise Refused(error("INVALID_REQUEST", details={"body": ["JSON parse error"]}))
        return body

    def _initiate(self, body: dict[str, Any], *, test: bool) -> Response:
        """Prompt a payer; each request is another prompt, also for the same order."""
        reference = None if test else str(checked_order(body))
        party = checked_phone(body)
        amount = checked_amount(body, self.lowest, self.highest)
        check_currency(body)
        if self.refuses:
            raise Refused(error(self.refuses))
        known = self.core.ledger.entries(reference, provider=self.name) if reference else []
        if self.refuses_paid_orders and any(entry.moved for entry in known):
            raise Refused(error("PAYMENT_FAILED", details={"order_id": ["Order is already paid"]}))
        # two in one second differ by the number
        opened, number = wall_time(), len(self.core.ledger)
        entry = self.open(
            "collect",
            reference=reference,
            provider_reference=f"TXN{opened:%Y%m%d%H%M%S}{number:03X}",
            amount=amount,
            currency="KES",
            party=party,
            checkout_request_id=f"ws_CO_{opened.astimezone(_EAT):%d%m%Y%H%M%S}{number:03d}{party[-9:]}",
            merchant_request_id=f"29115-{self.core.random.randrange(10**7, 10**8)}-1",
            asked_at=asyncio.get_running_loop().time(),
        )
        self.ring(entry)
        told = ids(entry)
        del told["order_id"]
        return json_reply({"message": "Payment initiated", **told})

    def _transaction(self, transaction_id: object) -> Entry:
        entry = self.entry(transaction_id) if isinstance(transaction_id, str) else None
        if entry is None or entry.kind != "collect":
            raise Refused(error("NOT_FOUND", 404))
        return entry

    def _verify(self, body: dict[str, Any]) -> Response:
        """Return the status of a payment; a test payment has no order."""
        entry = self._transaction(body.get("transaction_id"))
        if entry.reference is not None and checked_order(body) != int(entry.reference):
            raise Refused(error("NOT_FOUND", 404))
        waited = asyncio.get_running_loop().time() - entry.words["asked_at"]
        if (
            entry.status is Status.PENDING
            and self.gives_up_after is not None
            and waited > self.gives_up_after
        ):
            return json_reply({"error": "Payment timeout. Please try again."}, 408)
        if self.failures == "error" and entry.status in (
            Status.FAILED,
            Status.CANCELLED,
            Status.EXPIRED,
        ):
            return error("PAYMENT_EXPIRED" if entry.status is Status.EXPIRED else "PAYMENT_FAILED")
        return json_reply({"status": word(entry), "message": MESSAGES[entry.status]})

    def _history(self, incoming: WebhookRequest) -> Response:
        """List the payments, newest first."""
        self._authenticate(incoming)
        written = query(incoming).get("page", "1")
        page = int(written) if re.fullmatch(r"[1-9][0-9]{0,5}", written, re.ASCII) else 0
        payments = [entry for entry in reversed(self.entries()) if entry.kind == "collect"]
        paginated = self.history_shape == "paginated"
        return history(
            payments, page, self.page_size, paginated=paginated, url=f"{self.url}{incoming.path}"
        )

    def _add_method(self, body: dict[str, Any]) -> Response:
        """Add a payment method; the answer, which the document does not show, is the method."""
        known = {method["type"]: method for method in self.methods}.get(str(body.get("type")))
        if known is None:
            raise Refused(error("INVALID_REQUEST", details={"type": ["Not a valid choice."]}))
        check_currency(body)
        details = body.get("details")
        checked_phone(details if isinstance(details, dict) else {})
        default = body.get("is_default") is True
        for method in self.methods:
            if default and "is_default" in method:
                method["is_default"] = False
        added = {**known, "details": details, "is_default": default}
        self.methods.append(added)
        return json_reply(added, 201)
