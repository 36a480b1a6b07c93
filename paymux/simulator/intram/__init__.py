"""Intram's payment API, from its HTTP page and, where the page says nothing, from its SDKs.

The page is github.com/suntechdevs/paycfa backend/http.md (2025-02, and the version of 2026, without
the merchant id and the keys in the body). Answers are from that repository's
backend/php-server-sdk.md and nodejs-api-client.md, from github.com/suntechdevs/intram-phpsdk
Readme.md, and as github.com/suntechdevs/intram-nodejs expects them; PyPI django-intram 0.1.1 is a
client. Credentials: public_key, private_key, secret and merchant_key are all "simulator".
"""

import string
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, ClassVar, Literal
from urllib.parse import urlencode, urlsplit

from ...http import Response, WebhookRequest
from ...models import Status
from ..base import Provider
from ..checkout import serve
from ..core import SimulatorCore
from ..ledger import Entry
from ..messages import Message
from ..replies import Refused, fields, html_reply, json_reply, segments
from .messages import QR_CODE, WORDS, customer, flat, nested
from .page import checkout

# The name of each key in the body, by its header.
_KEYS: Mapping[str, str] = {
    "x-api-key": "public",
    "x-private-key": "private",
    "x-secret-key": "secret",
}


class Intram(Provider):
    """Intram's API; a test may change every attribute set in `__init__`."""

    name = "intram"
    base_path = "/api/v1"
    hosts = frozenset({"webservices.intram.org"})
    credentials: ClassVar[Mapping[str, str]] = {
        "public_key": "simulator",
        "private_key": "simulator",
        "secret": "simulator",
        "merchant_key": "simulator",
        "store": "Simulator",
    }
    shapes = ("callback_shape", ("nested", "flat", "form"))

    def __init__(self, world: SimulatorCore) -> None:
        super().__init__(world)
        self.merchant_key_required = False  # True in 2025; since 2026 three keys are enough
        # The page of 2025 shows invoice.keys; the page of 2026 calls them "du code mort qui sera
        # ignoré".
        self.body_keys: Literal["ignored", "checked", "required"] = "ignored"
        # Every example of the page has all three; intram-nodejs omits those that are not set.
        self.urls_required = ("cancel_url", "return_url", "callback_url")
        self.errors_in_200 = False  # the SDKs read `error` in the body and never the HTTP status
        self.breaks: Literal["before", "after"] | None = None  # 500, before or after processing
        # for an id that was never issued; the page lists 200, 400, 401 and 500
        self.unknown_status = 400
        # which keys these are: the address is the same
        self.env: Literal["sandbox", "live"] = "sandbox"
        # the Node page also says COMPLETED for SUCCESS, and the code of 2026 says ERROR
        self.words = dict(WORDS)
        self.request_shape: Literal["2020", "2022"] = "2022"
        # Flat on the pages of 2022 to 2026, nested before; "customer" is what intram-nodejs maps.
        self.confirm_shape: Literal["flat", "nested", "customer"] = "flat"
        # The pages show nested and flat, and read `transaction.invoice.amount`; django-intram's
        # README reads a form.
        self.callback_shape: Literal["nested", "flat", "form"] = "nested"
        self.cancel_calls_back = True  # no page says whether a cancelled order calls back
        # The query of the redirect: as on the Node page, or, with two "?", as in intram-nodejs'
        # Readme.
        self.redirect_query: Literal["token", "STATUS"] = "token"
        self.page_life = 1800.0  # seconds; no page says when a transaction expires
        self.fee = Decimal("0.05")  # of the amount, added to it: 50 of 1000 in the sample
        # of custom_datas: for the ledger only; Intram has no such field
        self.reference_key = "paymux_reference"

    async def answer(self, incoming: WebhookRequest) -> Response:
        """Answer the API (clients also send `/api/v1//transactions/…`) and the checkout page."""
        match incoming.method, *segments(incoming):
            case _, "api", "v1", *path:
                if self.breaks == "before":
                    return self.error(500, "Internal server error")
                reply = self._api(incoming, path)
                return self.error(500, "Internal server error") if self.breaks == "after" else reply
            case "GET" | "POST", "payment", "gate", transaction_id:
                return self._gate(incoming, transaction_id)
        return html_reply("Cannot find this page", 404)

    def message(self, entry: Entry, *, forged: bool = False) -> Message | None:
        """Make the callback: a POST; nothing in it proves its sender."""
        url = entry.words["actions"].get("callback_url")
        if not url or (entry.status is Status.CANCELLED and not self.cancel_calls_back):
            return None
        word = self.words[Status.SUCCEEDED] if forged else self.word(entry)
        if self.callback_shape == "form":
            told = {"transaction_id": entry.provider_reference, **flat(entry, word, self.fee)}
            headers = {"content-type": "application/x-www-form-urlencoded"}
            return Message(url=url, headers=headers, body=urlencode(told).encode())
        if self.callback_shape == "flat":
            return Message.json(url, flat(entry, word, self.fee))
        return Message.json(url, nested(entry, word, self.env))

    def throttled(self) -> Response:
        """Refuse in Intram's format; no page states a limit."""
        return json_reply({"error": True, "status": "ERROR", "message": "Too many requests"}, 429)

    def stale(self, incoming: WebhookRequest) -> Response:
        """Refuse the keys: there are no tokens."""
        return self.error(401, "Invalid API keys")

    def error(self, status: int, message: str) -> Response:
        """Refuse as on the page of 2026.

        "Invalid API keys" is its message; the others are ours.
        """
        told = {"error": True, "status": "ERROR", "message": message}
        return json_reply(told, 200 if self.errors_in_200 else status)

    def word(self, entry: Entry) -> str:
        """Return Intram's word for an order's status."""
        return entry.code or self.words[entry.status]

    def _api(self, incoming: WebhookRequest, path: list[str]) -> Response:
        self._check_keys({header: incoming.headers.get(header) for header in _KEYS})
        merchant = incoming.headers.get(
            "x-marchand-key", None if self.merchant_key_required else "simulator"
        )
        if merchant != "simulator":
            raise self._refused(401, "Invalid API keys")
        match incoming.method, *path:
            case "POST", "payments", "request":
                return self._request(fields(incoming) or {})
            case "GET", "transactions", "confirm", transaction_id:
                return self._confirm(transaction_id)
        return self.error(404, "Not found")

    def _refused(self, status: int, message: str) -> Refused:
        return Refused(self.error(status, message))

    def _check_keys(self, given: Mapping[str, object]) -> None:
        if any(value != "simulator" for value in given.values()):
            raise self._refused(401, "Invalid API keys")

    def _check_body_keys(self, keys: object) -> None:
        if self.body_keys == "required" or (self.body_keys == "checked" and keys):
            self._check_keys(
                {name: isinstance(keys, dict) and keys.get(name) for name in _KEYS.values()}
            )

    def _check_fields(
        self, invoice: dict[str, Any], store: dict[str, Any], actions: dict[str, Any]
    ) -> None:
        # Lists on the pages, maps in intram-nodejs; "display only", so nothing else of them is
        # checked.
        for name in ("items", "taxes", "custom_datas"):
            if not isinstance(invoice.get(name) or [], list | dict):
                raise self._refused(400, f"{name} must be a list")
        if not isinstance(store.get("name"), str) or not store["name"].strip():
            raise self._refused(400, "store.name is required")
        for name in self.urls_required:
            if not _is_url(actions.get(name)):
                raise self._refused(400, f"actions.{name} is required")

    def _part(self, body: dict[str, Any], name: str) -> dict[str, Any]:
        part = body.get(name)
        if not isinstance(part, dict):
            raise self._refused(400, f"{name} is required")
        return part

    def _amount(self, invoice: dict[str, Any]) -> Decimal:
        """Check the amount, the only one that is charged: a number of whole francs."""
        if invoice.get("currency") != "XOF":
            raise self._refused(400, "currency must be XOF")
        amount = invoice.get("amount")
        if (
            isinstance(amount, bool)
            or not isinstance(amount, int | float)
            or not 0 < amount < 10**12
        ):
            raise self._refused(400, "amount must be a positive number")
        if amount != int(amount):
            raise self._refused(400, "amount has decimals")
        return Decimal(int(amount))

    def _request(self, body: dict[str, Any]) -> Response:
        """Make a transaction; each request makes a new one, because it contains no unique id."""
        invoice, store, actions = (
            self._part(body, name) for name in ("invoice", "store", "actions")
        )
        self._check_body_keys(invoice.get("keys") or {})
        amount = self._amount(invoice)
        self._check_fields(invoice, store, actions)
        custom = invoice.get("custom_datas") or body.get("custom_data") or []
        named = custom.get(self.reference_key) if isinstance(custom, dict) else None
        entry = self.open(
            "collect",
            reference=str(named) if named else None,
            provider_reference=f"{self.core.random.getrandbits(96):024x}",
            amount=amount,
            currency="XOF",
            invoice={
                **{name: value for name, value in invoice.items() if name != "keys"},
                "custom_datas": custom,
            },
            store=store,
            actions=actions,
            public_reference="".join(
                self.core.random.choices(string.ascii_letters + string.digits, k=10)
            ),
        )
        self.ring(entry, on_phone=False)
        return self._requested(entry)

    def _requested(self, entry: Entry) -> Response:
        """Answer with the new transaction and the address of its checkout page."""
        told = {
            "status": self.word(entry),
            "transaction_id": entry.provider_reference,
            "receipt_url": f"{self.url}/payment/gate/{entry.provider_reference}",
            "total_amount": int(entry.amount),
        }
        if self.request_shape == "2020":
            return json_reply(
                {**told, "message": "Transaction created successfully", "error": False}
            )
        return json_reply({**told, "currency": "xof", "qr_code": QR_CODE})

    def _confirm(self, transaction_id: str) -> Response:
        entry = self.entry(transaction_id)
        if entry is None:
            raise self._refused(self.unknown_status, "Transaction not found")
        word = self.word(entry)
        if self.confirm_shape == "flat":
            return json_reply(flat(entry, word, self.fee))
        if self.confirm_shape == "nested":
            return json_reply(nested(entry, word, self.env))
        return json_reply(customer(entry, word, f"{self.url}/{self.env}-checkout"))

    def _gate(self, incoming: WebhookRequest, transaction_id: str) -> Response:
        """Serve the checkout page at `receipt_url`.

        Then Intram appends its query, even to a URL that has one.
        """
        entry = self.entry(transaction_id)
        if entry is None:
            return html_reply("Transaction not found", 404)
        return serve(self, entry, incoming, checkout(self, entry))


def _is_url(value: object) -> bool:
    """Return whether this is a web address; the page's own minimal example has plain http."""
    try:
        parts = urlsplit(str(value))
    except ValueError:
        return False
    return parts.scheme in ("http", "https") and bool(parts.hostname)
