"""CamPay, from its Postman page and, where the page says nothing, from its clients.

The page is https://documenter.getpostman.com/view/2391374/T1LV8PVA. Bodies that it lacks are as
github.com/CamPay/campay-python-sdk (PyPI campay 1.1.0) and github.com/NdoleStudio/campay-go-sdk
expect them. What the API really sends (`"5.00"`, `"None"`) is from the demo's record of 2026-09-30
in github.com/kalynux/jovi-mall. Credentials: username, password, webhook_key and the permanent
access token are all "simulator".
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, ClassVar, Literal
from urllib.parse import urlencode

from ...http import Response, WebhookRequest
from ...models import Kind
from ...primitives.clock import wall_time
from ..base import Provider, magic
from ..checkout import serve
from ..core import SimulatorCore
from ..ledger import Entry, Outcome
from ..messages import Message
from ..replies import Refused, fields, json_reply, segments
from ..tokens import Tokens, jwt
from .checks import checked_amount, checked_party
from .history import listed
from .messages import (
    balance,
    callback,
    error,
    summary,
    summary_balance,
    taken,
    transaction,
)
from .page import checkout
from .utilities import Utilities

_USSD = {"MTN": "*126#", "ORANGE": "#150*50#"}


class CamPay(Provider):
    """CamPay's API; a test may change every attribute set in `__init__`."""

    name = "campay"
    base_path = "/api"
    hosts = frozenset({"www.campay.net", "demo.campay.net", "campay.net"})
    # The permanent token "simulator" is accepted, too:
    # driver("campay", username="", password="", access_token=…).
    credentials: ClassVar[Mapping[str, str]] = {
        "username": "simulator",
        "password": "simulator",
        "webhook_key": "simulator",
    }
    # 237677777777, …770, 237699999999 and …990 are the demo's own numbers; the others are ours.
    numbers: ClassVar[Mapping[str, Outcome]] = {
        **magic("23767777777", success="7"),
        **magic("23769999999", success="9"),
    }
    shapes = ("webhook_method", ("POST", "GET"))
    balances = frozenset({"floats", "utility"})

    def __init__(self, world: SimulatorCore) -> None:
        super().__init__(world)
        self.dialect: Literal["live", "summary"] = "live"
        self.tokens = Tokens(3600)
        self.expires_in = True  # a login answers how long its token is valid
        self.webhook_url = ""  # a setting of the app, as is its method
        self.webhook_method: Literal["GET", "POST"] = "POST"
        self.webhook_key = "simulator"
        self.withdrawals = True  # "Please enable API withdrawal under app settings"
        self.floats = {"MTN": Decimal(1_000_000), "ORANGE": Decimal(1_000_000)}
        self.utility = Decimal(1_000_000)  # for airtime
        self.utilities = Utilities(self)
        self.cap: int | None = None  # XAF per call; the demo's is 25 or 100, integrators say
        # For a repeated reference, the page says both "the results of the first request" and "will
        # be rejected".
        self.repeated: Literal["charge", "join", "reject"] = "charge"
        self.app = "Simulator"  # the hosted page shows the app's name
        self.page_life = 1800.0  # seconds; no page says when a link expires
        self.last_day = True  # whether /history/ includes its end_date: no page says
        self._logins = 0

    async def answer(self, incoming: WebhookRequest) -> Response:
        """Answer below /api; each dialect has only its own paths."""
        live = self.dialect == "live"
        match incoming.method, *segments(incoming):
            case "POST", "api", "token":
                return self._login(incoming)
            case "POST", "api", "collect":
                return self._collect(incoming)
            case "POST", "api", "withdraw" if live:
                return self._withdraw(incoming)
            case "POST", "api", "disburse" if not live:
                return self._withdraw(incoming)
            case "GET", "api", "transaction", reference if live:
                return self._transaction(incoming, reference)
            case "POST", "api", "transaction" if not live:
                return self._transaction(incoming, str(self._body(incoming).get("reference")))
            case "GET", "api", "balance":
                return self._balance(incoming)
            case "POST", "api", "history" if live:
                return json_reply(*listed(self, self._body(incoming)))
            case "POST", "api", "utilities", "airtime", "transfer" if live:
                return self.utilities.transfer(self._body(incoming))
            case "GET", "api", "utilities", "transaction", reference if live:
                self._body(incoming)
                return self.utilities.transaction(reference)
            case "GET", "api", "holder_info" if live:
                self._body(incoming)
                return self.utilities.holder(incoming)
            case "POST", "api", "get_payment_link" if live:
                return self._payment_link(incoming)
            case "GET" | "POST", "pay", reference:
                return self._page(incoming, reference)
        return json_reply({"detail": "Not found."}, 404)

    def message(self, entry: Entry, *, forged: bool = False) -> Message | None:
        """Make the app's callback, sent when a transaction is SUCCESSFUL or FAILED."""
        airtime = "airtime" in entry.words
        if not self.webhook_url or (airtime and not self.utilities.tells):
            return None
        if self.dialect == "summary":
            told = {**summary(entry), "customer": f"+{entry.party}"}
        else:
            told = callback(entry, "forged" if forged else self.webhook_key)
            if airtime:
                told |= {"type": "AIRTIME", "endpoint": "None"}
        if forged:
            told["status"] = "SUCCESS" if self.dialect == "summary" else "SUCCESSFUL"
        if self.webhook_method == "GET":
            return Message(url=f"{self.webhook_url}?{urlencode(told)}", method="GET")
        return Message.json(self.webhook_url, told)

    def throttled(self) -> Response:
        """Refuse as Django REST framework does; CamPay's page states no limit."""
        return json_reply({"detail": "Request was throttled."}, 429)

    def stale(self, incoming: WebhookRequest) -> Response:
        """Refuse a token as Django REST framework does."""
        return json_reply({"detail": "Invalid token."}, 401)

    def settle(self, entry: Entry, outcome: Outcome) -> None:
        """Decide an order, and book it on its carrier's float."""
        before = taken(entry)
        super().settle(entry, outcome)
        self._book(entry, taken(entry) - before)

    def _book(self, entry: Entry, money: Decimal) -> None:
        if "airtime" in entry.words:
            self.utility -= money
        else:
            self.floats[entry.words["operator"]] -= money

    def _login(self, incoming: WebhookRequest) -> Response:
        body = fields(incoming) or {}
        missing = {
            name: ["This field is required."]
            for name in ("username", "password")
            if not body.get(name)
        }
        if missing:
            return json_reply(missing, 400)
        if (body["username"], body["password"]) != ("simulator", "simulator"):
            return json_reply(
                {"non_field_errors": ["Unable to log in with provided credentials."]}, 400
            )
        self._logins += 1
        life = self.tokens.life or 3600
        token = self.tokens.issue(jwt("simulator", {}, life=life, uid=self._logins))
        if self.dialect == "summary" or not self.expires_in:
            return json_reply({"token": token})
        return json_reply({"token": token, "expires_in": int(life)})

    def _body(self, incoming: WebhookRequest) -> dict[str, Any]:
        """Check the token, then read the body."""
        scheme, _, token = incoming.headers.get("authorization", "").partition(" ")
        if scheme != "Token":
            raise Refused(
                json_reply({"detail": "Authentication credentials were not provided."}, 401)
            )
        if token != "simulator" and token not in self.tokens:
            raise Refused(self.stale(incoming))
        body = fields(incoming) if incoming.method == "POST" else {}
        if body is None:
            raise Refused(json_reply({"detail": "JSON parse error"}, 400))
        return body

    def again(self, kind: Kind, body: dict[str, Any]) -> Entry | None:
        """Return the order that this request repeats, if `repeated` is not "charge"."""
        named = body.get("external_reference")
        if self.repeated == "charge" or not named:
            return None
        known = self.core.ledger.entries(str(named), provider=self.name)
        first = next((entry for entry in known if entry.kind == kind), None)
        if first is not None and self.repeated == "reject":
            raise Refused(
                json_reply({"message": "A request with a duplicate UUID is rejected"}, 400)
            )
        return first

    def _collect(self, incoming: WebhookRequest) -> Response:
        body = self._body(incoming)
        amount = checked_amount(body, "amount", "from", cap=self.cap)
        party, carrier = checked_party(str(body["from"]), plus=self.dialect == "summary")
        entry = self.again("collect", body)
        if entry is None:
            entry = self.accept("collect", body, amount, party, carrier)
            self.ring(entry)
        if self.dialect == "summary":
            return json_reply({"reference": entry.provider_reference, "status": "PENDING"})
        return json_reply(
            {
                "reference": entry.provider_reference,
                "ussd_code": _USSD[carrier],
                "operator": carrier.lower(),
            }
        )

    def _withdraw(self, incoming: WebhookRequest) -> Response:
        body = self._body(incoming)
        if not self.withdrawals:
            return json_reply({"message": "Please enable API withdrawal under app settings"}, 403)
        amount = checked_amount(body, "amount", "to", cap=self.cap)
        party, carrier = checked_party(str(body["to"]), plus=self.dialect == "summary")
        entry = self.again("payout", body)
        if entry is None:
            if amount > self.floats[carrier]:
                return error("ER301")
            entry = self.accept("payout", body, amount, party, carrier)
            self.ring(entry)
        return json_reply({"reference": entry.provider_reference, "status": "PENDING"})

    def accept(
        self,
        kind: Kind,
        body: dict[str, Any],
        amount: Decimal,
        party: str | None,
        carrier: str,
        **words: Any,
    ) -> Entry:
        """Open an order, and take its money."""
        number = len(self.core.ledger) + 1
        entry = self.open(
            kind,
            reference=str(body["external_reference"]) if body.get("external_reference") else None,
            provider_reference=self.uuid(),
            amount=amount,
            currency="XAF",
            party=party,
            operator=carrier,
            code=f"D{wall_time():%y%m%d}{'D' if kind == 'collect' else 'W'}{number:06d}",
            operator_reference=str(self.core.random.randrange(10**10, 10**11)),
            external_user=body.get("external_user"),
            description=body.get("description"),
            **words,
        )
        self._book(entry, taken(entry))
        return entry

    def _transaction(self, incoming: WebhookRequest, reference: str) -> Response:
        self._body(incoming)
        entry = self.entry(reference)
        # An unopened payment link is not a transaction yet (the README of the Python SDK); airtime
        # has a place of its own.
        if entry is None or entry.words.get("opened") is False or "airtime" in entry.words:
            return json_reply({"detail": "Not found."}, 404)
        if self.dialect == "summary":
            return json_reply(summary(entry))
        return json_reply(transaction(entry, self.webhook_key))

    def _balance(self, incoming: WebhookRequest) -> Response:
        self._body(incoming)
        mtn, orange = self.floats["MTN"], self.floats["ORANGE"]
        if self.dialect == "summary":
            return json_reply(summary_balance(mtn, orange))
        return json_reply(balance(mtn, orange, self.utility))

    def _payment_link(self, incoming: WebhookRequest) -> Response:
        body = self._body(incoming)
        amount = checked_amount(body, "amount", cap=self.cap)
        party, carrier = checked_party(str(body["from"])) if body.get("from") else (None, "MTN")
        pages = {
            name: body.get(name)
            for name in ("redirect_url", "failure_redirect_url", "payment_options")
        }
        entry = self.accept("collect", body, amount, party, carrier, opened=False, **pages)
        reference = entry.provider_reference
        return json_reply({"link": f"{self.url}/pay/{reference}/", "reference": reference})

    def _page(self, incoming: WebhookRequest, reference: str) -> Response:
        """Serve the hosted page; after the decision, the payer is led back with a query, by GET."""
        entry = self.entry(reference)
        if entry is None or "opened" not in entry.words:
            return json_reply({"detail": "Not found."}, 404)
        entry.words["opened"] = True
        return serve(self, entry, incoming, checkout(self, entry))
