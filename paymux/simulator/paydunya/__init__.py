"""PayDunya's HTTP/JSON API: invoices (PAR, SoftPay, OPR), credits (PER), and Disburse v2.

Its page is https://developers.paydunya.com/doc/Fr/http_json ("the page"); further fields of live
bodies are from npm paydunya 1.0.12 and integrators' code. Errors have HTTP 200. Credentials:
master_key and access_token are "simulator"; private_key is "test_private_simulator" in the sandbox
and "live_private_simulator" live.
"""

import hashlib
import html
import re
import string
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, ClassVar, Literal

from ...http import Response, WebhookRequest
from ...models import Status
from ..base import Provider, magic
from ..checkout import serve
from ..core import SimulatorCore
from ..ledger import Entry, Outcome
from ..messages import Message
from ..replies import Refused, fields, html_reply, json_reply, segments
from .disburse import Disbursements
from .messages import encoded, invoice, site
from .opr import Onsite
from .page import checkout
from .softpay import SoftPay

_WHOLE = re.compile(r"[1-9][0-9]{0,11}(?:\.0+)?", re.ASCII)
# a local number or an e-mail
_ALIAS = re.compile(r"[0-9]{8,10}|[^@\s]+@[^@\s]+\.[^@\s]+", re.ASCII)
_ACTIONS = ("cancel_url", "callback_url", "return_url")


class PayDunya(Provider):
    """PayDunya's API; a test may change every attribute set in `__init__`."""

    name = "paydunya"
    hosts = frozenset({"app.paydunya.com"})
    credentials: ClassVar[Mapping[str, str]] = {
        "master_key": "simulator",
        "private_key": "test_private_simulator",
        "access_token": "simulator",
        "store_name": "Simulator",
    }
    # PayDunya's sandbox payers are made in its back office; these numbers of Senegal are ours.
    numbers: ClassVar[Mapping[str, Outcome]] = magic("22177000000", success="7")
    shapes = ("notification", ("form", "bare", "data", "twice", "json"))
    balances = frozenset({"balance"})

    def __init__(self, world: SimulatorCore) -> None:
        super().__init__(world)
        # The merchant's reference in custom_data, for the ledger; PayDunya has no such field.
        self.reference_key = "paymux_reference"
        self.refusal = "1001"  # checkout's only code that integrators name; there is no list
        self.unknown = "Transaction Not Found"  # no page shows the answer for an unknown token
        self.extras = True  # answers have the fields of live ones that the page lacks
        self.strings = False  # amounts are strings: the page shows both
        self.fees = Decimal(0)  # francs paid in addition; live bodies have both amounts
        # The page: fail_reason is only for cards, but its own cancelled sample has one. Mobile
        # money: `errors`.
        self.failure: Literal["fail_reason", "errors"] = "fail_reason"
        # The end of an invoice after 24 hours, integrators say; "expired" is rarer.
        self.expired = "cancelled"
        # The page: a nested form, its brackets percent-encoded. Variants that integrators saw:
        # plain brackets, `data=<JSON>`, the same encoded twice, and a JSON body.
        self.notification: Literal["form", "bare", "data", "twice", "json"] = "form"
        self.joint: Literal["&", "?"] = "&"  # between a return_url with a query, and token=
        self.redistribution = True  # PER "must be switched on" in the application's settings
        self.balance = Decimal(1_000_000)
        self.disburse = Disbursements(self)
        self.softpay = SoftPay(self)
        self.opr = Onsite(self)
        # Payers open the page of each invoice; else only a network, or a test, asks for it.
        self.opens = True
        self.operator = "wave_senegal"
        self.page_life = 86_400.0  # seconds; integrators say that an invoice ends after 24 hours

    async def answer(self, incoming: WebhookRequest) -> Response:
        """Answer below /sandbox-api/v1, /api/v1 and /api/v2, and serve the checkout page."""
        match incoming.method, *segments(incoming):
            case "POST", ("sandbox-api" | "api") as api, "v1", "checkout-invoice", "create":
                return self._create(self._body(incoming, api), api)
            case "GET" | "POST", (
                "sandbox-api" | "api"
            ) as api, "v1", "checkout-invoice", "confirm", token:
                self._authorize(incoming, api)
                return self._confirm(token, api)
            case "POST", ("sandbox-api" | "api") as api, "v1", "direct-pay", "credit-account":
                return self._credit(self._body(incoming, api), api)
            case "POST", "api", "v2", "disburse", (
                "get-invoice" | "submit-invoice" | "check-status"
            ) as call:
                return await self.disburse.answer(call, self._either(incoming))
            case "POST", "api", "v1", "softpay", *way:
                return self.softpay.answer("/".join(way), self._either(incoming))
            case "POST", ("sandbox-api" | "api") as api, "v1", "opr", ("create" | "charge") as step:
                return self.opr.answer(step, self._body(incoming, api), api)
            case "GET" | "POST", "sandbox-checkout" | "checkout", "invoice", token:
                return self._page(incoming, token)
            case "GET", "sandbox-checkout" | "checkout", "receipt", "pdf", name:
                return self._receipt(name.removesuffix(".pdf"))
        return html_reply("<!doctype html><title>404</title><p>Not Found", 404)

    def message(self, entry: Entry, *, forged: bool = False) -> Message | None:
        """Make the IPN of an invoice: equal to a confirmation, with its hash; a credit has none."""
        if "withdraw_mode" in entry.words:
            return self.disburse.message(entry, forged=forged)
        url = entry.words["actions"]["callback_url"] if entry.kind == "collect" else None
        if not url:
            return None
        told = invoice(entry, self)
        if forged:
            told |= {"hash": hashlib.sha512(b"forged").hexdigest(), "status": "completed"}
        if self.notification == "json":
            return Message.json(url, {"data": told})
        return Message(
            url=url,
            headers={"content-type": "application/x-www-form-urlencoded"},
            body=encoded(told, self.notification),
        )

    def stale(self, incoming: WebhookRequest) -> Response:
        """Refuse the keys: PayDunya has no tokens that could expire."""
        return self._error("Invalid Masterkey Specified")

    def settle(self, entry: Entry, outcome: Outcome) -> None:
        """Decide an order, and book it on the account."""
        before = entry.moved
        super().settle(entry, outcome)
        if entry.moved and not before:
            self.balance += entry.amount if entry.kind == "collect" else -entry.amount

    def _error(self, text: str, code: str | None = None) -> Response:
        return json_reply({"response_code": code or self.refusal, "response_text": text})

    def _authorize(self, incoming: WebhookRequest, api: str) -> None:
        """Check the three headers; the private key differs by mode, the master key does not."""
        given = [
            incoming.headers.get(f"paydunya-{name}")
            for name in ("master-key", "private-key", "token")
        ]
        private = "test_private_simulator" if api == "sandbox-api" else "live_private_simulator"
        if given != ["simulator", private, "simulator"]:
            raise Refused(self.stale(incoming))

    def _body(self, incoming: WebhookRequest, api: str) -> dict[str, Any]:
        self._authorize(incoming, api)
        body = fields(incoming)
        if body is None:
            raise Refused(self._error("Invalid JSON"))
        return body

    def _either(self, incoming: WebhookRequest) -> dict[str, Any]:
        """Read a request of an API that has one path: the private key has the mode."""
        private = incoming.headers.get("paydunya-private-key") or ""
        return self._body(incoming, "sandbox-api" if private.startswith("test_") else "api")

    def amount(self, written: Any, name: str) -> Decimal:
        """Read an amount, or refuse it."""
        # Whole francs, as a number or a string; PyPI paydunya 1.0.7 sends a float.
        if isinstance(written, bool) or not _WHOLE.fullmatch(str(written)):
            raise Refused(self._error(f"{name} must be a positive whole number"))
        return Decimal(str(written).partition(".")[0])

    def _object(
        self, parent: dict[str, Any], name: str, *, of: str | None = None
    ) -> dict[str, Any]:
        """Read an object that may be missing or null; `of`: or a list of numbered items."""
        found = parent.get(name) or {}
        if of and isinstance(found, list):
            found = {f"{of}_{index}": value for index, value in enumerate(found)}
        if not isinstance(found, dict):
            raise Refused(self._error(f"{name} must be an object"))
        return found

    def _create(self, body: dict[str, Any], api: str) -> Response:
        entry = self.invoice(body, api)
        if self.opens:
            self.ring(entry, on_phone=False)
        token = entry.provider_reference
        return json_reply(
            {
                "response_code": "00",
                "response_text": f"{site(entry, self)}/invoice/{token}",
                "description": "Checkout Invoice Created",
                "token": token,
            }
        )

    def invoice(self, body: dict[str, Any], api: str) -> Entry:
        """Make an invoice, whose payer is not asked yet."""
        asked, store = self._object(body, "invoice"), self._object(body, "store")
        # The page: only these two are required.
        amount = self.amount(asked.get("total_amount"), "total_amount")
        if not isinstance(store.get("name"), str) or not store["name"]:
            raise Refused(self._error("store name is required"))
        custom, customer = self._object(body, "custom_data"), self._object(asked, "customer")
        actions = self._object(body, "actions")
        reference = custom.get(self.reference_key)
        sandbox = api == "sandbox-api"
        token = f"test_{self.code(10)}" if sandbox else self.code(21)
        return self.open(
            "collect",
            reference=str(reference) if reference else None,
            provider_reference=token,
            amount=amount,
            currency="XOF",
            party=_party(customer.get("phone")),
            mode="test" if sandbox else "live",
            store=store["name"],
            description=asked.get("description") or "",
            items=self._object(asked, "items", of="item"),
            taxes=self._object(asked, "taxes", of="tax"),
            customer={name: customer.get(name) or "" for name in ("name", "phone", "email")},
            channels=asked.get("channels") or body.get("channels"),
            custom_data=custom,
            actions={name: actions.get(name) or "" for name in _ACTIONS},
            receipt_identifier=self.code(12),
            operator_reference=self.code(16),
        )

    def code(self, length: int) -> str:
        """Make a token or an id from the seed."""
        return "".join(self.core.random.choices(string.ascii_letters + string.digits, k=length))

    def _confirm(self, token: str, api: str) -> Response:
        entry = self.entry(token)
        mode = "test" if api == "sandbox-api" else "live"
        if entry is None or entry.kind != "collect" or entry.words["mode"] != mode:
            return self._error(self.unknown)
        return json_reply(invoice(entry, self))

    def _credit(self, body: dict[str, Any], api: str) -> Response:
        """Credit another PayDunya account: the money moves before the answer."""
        if not self.redistribution:
            # From integrators' code for disbursements, as is 4002.
            return self._error("Direct pay is not enabled for this application", "401")
        amount, alias = (
            self.amount(body.get("amount"), "amount"),
            str(body.get("account_alias") or ""),
        )
        if not _ALIAS.fullmatch(alias):
            return self._error("No PayDunya account has this alias")
        if amount > self.balance:
            return self._error(
                "You don't have enough funds. Consider crediting your account", "4002"
            )
        # the page has only the sandbox's TEST000001
        prefix = "TEST" if api == "sandbox-api" else "LIVE"
        entry = self.open(
            "payout",
            reference=None,  # there is no field for the merchant's reference
            provider_reference=f"{prefix}{len(self.entries()) + 1:06}",
            amount=amount,
            currency="XOF",
            party=alias,
        )
        self.settle(entry, Outcome(Status.SUCCEEDED))
        account = "Sandbox Account BOUBACAR BAH" if prefix == "TEST" else "BOUBACAR BAH"
        return json_reply(
            {
                "response_code": "00",
                "response_text": "Transaction completed successfully",
                "description": f"Success! Amount of {amount} FCFA has been transfered to {account}",
                "transaction_id": entry.provider_reference,
            }
        )

    def _page(self, incoming: WebhookRequest, token: str) -> Response:
        """Serve the checkout page; it leads to return_url with ?token=, or to cancel_url."""
        entry = self.entry(token)
        if entry is None or entry.kind != "collect":
            return html_reply("<!doctype html><title>404</title><p>Not Found", 404)
        return serve(self, entry, incoming, checkout(self, entry))

    def _receipt(self, token: str) -> Response:
        entry = self.entry(token)
        if entry is None or not entry.moved:
            return html_reply("<!doctype html><title>404</title><p>Not Found", 404)
        return html_reply(f"<!doctype html><p>{html.escape(token)}: {entry.amount} FCFA")


def _party(phone: Any) -> str | None:
    """Read a payer's number: PayDunya's are local, and nine digits are Senegal's."""
    digits = re.sub(r"^(?:\+|00)|[^0-9]", "", str(phone or ""))
    return (f"221{digits}" if len(digits) == 9 else digits) or None
