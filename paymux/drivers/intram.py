"""Intram (Benin): a checkout page for mobile money and cards, in XOF; the keys alone decide sandbox or live.

The HTTP page: https://github.com/suntechdevs/paycfa `backend/http.md`, of 2025-02 and 2026-05 where they differ.
Intram's own clients: https://github.com/suntechdevs/intram-phpsdk and https://github.com/suntechdevs/intram-nodejs.
"""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, ClassVar, TypeAlias

import msgspec

from .. import plain
from ..errors import AuthenticationFailed, ProviderError, Rejected, UsageError
from ..lenient import Scalar, Unreadable, amount, need, text, when
from ..models import Customer, Event, Item, Kind, Order, Payment, Reason, Status, Trust
from ..money import exact, whole
from ..redact import Secret
from ..states import NOTHING, OTHER, UNPAID, Words
from ..wire import Incoming, Reply, Request, Send, get, post
from .base import Driver, Facts

# Intram has no field for a merchant's reference, only custom data; some shapes of its answers give them back.
REFERENCE_KEY = "paymux_reference"

_STORE = ("name", "postal_adress", "logo_url", "web_site_url", "phone", "template", "color")
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}", re.ASCII)
_NUMBER = re.compile(r"229[0-9]{8,10}", re.ASCII)

# tpk_ and tsk_ stand beside mode "sandbox" in backend/nodejs-api-client.md, pk_ and sk_ with hex digits beside
# mode `true` ("live mode") in the PHP Readme, pk_sandbox_ and pk_live_ in merchant-api/sandbox-vs-live.md.
_SANDBOX_KEY = re.compile(r"t[ps]k_|[ps]k_sandbox_")
_LIVE_KEY = re.compile(r"[ps]k_(?:live_|[0-9a-f]{16})")

# SUCCESS, PENDING, CANCELED and FAIL are the Node Readme's words, COMPLETED is the Node page's, ERROR and REFUNDED
# came in 2026. "ERROR: … l'argent n'a pas été débité": troubleshooting.md.
_WORDS: Mapping[str, Status] = {
    "PENDING": Status.PENDING,
    **dict.fromkeys(("SUCCESS", "SUCCESSFUL", "COMPLETED"), Status.SUCCEEDED),
    **dict.fromkeys(("CANCELED", "CANCELLED"), Status.CANCELLED),
    **dict.fromkeys(("FAIL", "FAILED", "ERROR"), Status.FAILED),
    "REFUNDED": Status.REFUNDED,
}
# The flag of an error, as JSON and forms write it; Intram's own clients test it before the word
# (see `judge`).
_ERROR: Words = {"FALSE": NOTHING, "0": NOTHING, "TRUE": UNPAID, "1": UNPAID, OTHER: UNPAID}
_REASONS: Mapping[Status, Reason] = {Status.FAILED: Reason.OTHER, Status.CANCELLED: Reason.CANCELLED}
_ENVIRONMENTS: Mapping[str | None, bool] = {"sandbox": False, "live": True}

# What stands where an object is expected when there is nothing to say: `[]`, `""`, null.
Absent: TypeAlias = list[Any] | Scalar
Fields: TypeAlias = dict[str, Any] | Absent


class Invoice(msgspec.Struct, frozen=True):
    """What was to be paid, inside the nested shape."""

    amount: Scalar = None
    currency: Scalar = None
    transaction: Scalar = None
    custom_datas: Fields = None
    custom_data: Fields = None


class Nested(msgspec.Struct, frozen=True):
    """The transaction of the nested shape."""

    id: Scalar = msgspec.field(name="_id", default=None)
    status: Scalar = msgspec.field(name="_status", default=None)
    reference: Scalar = msgspec.field(name="_reference", default=None)
    amount: Scalar = msgspec.field(name="_amount", default=None)
    created_at: Scalar = msgspec.field(name="_created_at", default=None)
    marchand: Fields = None
    invoice: Invoice | Absent = None


class Transaction(msgspec.Struct, frozen=True):
    """An opened page, an error, a callback, or a confirmation in any of its three published shapes.

    Flat: backend/php-server-sdk.md. Nested: the PHP Readme. With customer and custom_data: the Node client.
    """

    status: Scalar = None
    error: Scalar = None
    message: Scalar = None
    transaction_id: Scalar = None
    token: Scalar = None
    reference: Scalar = None
    amount: Scalar = None
    total_amount: Scalar = None
    currency: Scalar = None
    account_number: Scalar = None
    source: Scalar = None
    fees: Scalar = None
    receipt_url: Scalar = None
    payment_url: Scalar = None
    customer: Fields = None
    custom_data: Fields = None
    custom_datas: Fields = None
    transaction: Nested | Absent = None
    form_id: Scalar = msgspec.field(name="transaction[_id]", default=None)

    @property
    def nested(self) -> tuple[Nested, Invoice]:
        """Give the nested transaction and its invoice, empty in the other shapes."""
        inner = self.transaction if isinstance(self.transaction, Nested) else Nested()
        return inner, inner.invoice if isinstance(inner.invoice, Invoice) else Invoice()

    @property
    def id(self) -> str | None:
        """Give Intram's id, wherever it stands; the last two are its names at the return page and the widget."""
        inner, invoice = self.nested
        places = (self.transaction_id, inner.id, invoice.transaction, self.transaction, self.form_id)
        found = _first(*places, self.token, self.reference)
        if found is not None and not _ID.fullmatch(found):
            raise Unreadable("the answer has a transaction id that is none")
        return found

    @property
    def charged(self) -> Decimal | None:
        """Give the order's amount; `fees` and `net_amount` (amount + fees here) are beside it, not in it."""
        inner, invoice = self.nested
        return amount(_first(self.amount, invoice.amount, inner.amount, self.total_amount))


class Intram(Driver, frozen=True, kw_only=True):
    """An Intram account: the three API keys, and the store that the checkout page shows.

    `store` is a name, or a mapping of name, postal_adress, logo_url, web_site_url, phone, template and color;
    `extra={"store": {…}}` replaces single fields of it for one order. `merchant_key` (marchand_id) is optional
    since 2026. `keys_in_body=True` repeats the keys in the body, as until 2025; Intram ignores them there.
    """

    name = "intram"
    # Port 4002 must be open towards the outside. One address for both modes: the keys decide.
    live_url = "https://webservices.intram.org:4002/api/v1"
    sandbox_url = live_url
    currencies = frozenset({"XOF"})
    countries = frozenset({"BJ"})
    # backend/http.md: a request carries no id of ours, and only Intram's transaction_id can be asked for.
    # When a look-up's "unknown" is final is published nowhere.
    facts: ClassVar[Mapping[Kind, Facts]] = {
        "collect": Facts(deduplicates=False, findable=False, not_found_final_after=None)
    }
    # The nested shape tells the state twice. An unknown word in one place leaves a known one in the
    # other in doubt.
    speaks: ClassVar[Mapping[str, Words]] = {"status": _WORDS, "transaction._status": _WORDS, "error": _ERROR}
    required = frozenset({"public_key", "private_key", "secret"})
    takes = frozenset({"description", "items", "taxes", "metadata", "return_url", "cancel_url", "webhook_url"})
    settings = frozenset({"store"})
    payer = "none"  # the page asks for the number; a request has no field for it
    # A person fills in the page, and then an operator may take six minutes: troubleshooting.md.
    watch_timeout = 900.0
    first_look = 5.0
    lost_page = "Nobody can pay on an Intram page whose address was lost: a new reference is safe."

    public_key: Secret | str = ""
    private_key: Secret | str = ""
    secret: Secret | str = ""
    merchant_key: Secret | str = ""
    store: Mapping[str, str] | str = {}
    keys_in_body: bool = False

    def __post_init__(self) -> None:
        """Check the store and the keys; a key of the other mode is UsageError."""
        msgspec.structs.force_setattr(self, "store", checked_store(self.store))
        super().__post_init__()
        if not plain.is_a(self.keys_in_body, bool):
            raise UsageError.field("keys_in_body", self.keys_in_body, "True or False")
        wrong, mode = (_SANDBOX_KEY, "sandbox") if self.live else (_LIVE_KEY, "live")
        for field in ("public_key", "private_key", "secret", "merchant_key"):
            if wrong.match(getattr(self, field).reveal()):
                raise UsageError.hidden(field, f"no {mode} key, as by its prefix it is, with live={self.live}")

    def authorize(self, request: Request[Any], token: str | None) -> Request[Any]:
        """Sign with the keys in headers; the fourth one where a merchant id is set."""
        public, private, secret, merchant = self.secrets()
        headers = {"X-API-KEY": public, "X-PRIVATE-KEY": private, "X-SECRET-KEY": secret}
        return request.with_headers({**headers, "X-MARCHAND-KEY": merchant} if merchant else headers)

    def judge(self, request: Request[Any], reply: Reply) -> ProviderError | None:
        """Give the error of a body that says `error: true`, which HTTP 200, 400 and 401 carry.

        HTTP 500 proves nothing, whatever its body says. Intram's Node client tests the flag and not the status:
        https://github.com/suntechdevs/intram-nodejs/blob/0eed6d3/vendor/lib/checkoutInvoice.js
        """
        said = reply.read(Transaction)
        if said is None or str(said.error).lower() not in ("true", "1"):
            return super().judge(request, reply)
        message = text(said.message) or ""
        # A look-up may be refused in words that are published nowhere, and succeed later.
        no = Rejected if request.money else ProviderError
        kind = {200: no, 400: Rejected, 401: AuthenticationFailed}.get(reply.status)
        # The one message that is documented, beside no status: backend/http.md.
        if kind and message.lower() == "invalid api keys":
            kind = AuthenticationFailed
        return kind(message, code=text(said.status)) if kind else super().judge(request, reply)

    async def collect(self, send: Send, order: Order) -> Payment:
        """Open a checkout page; it charges nobody until the payer pays there, so it is always PENDING."""

        def opened(page: Transaction) -> bool:
            seen = self.payment(page)
            need(page.charged in (None, order.amount), "the answer is about another amount")
            need(seen.currency in (None, order.currency), "the answer is about another currency")
            need(_first(page.receipt_url, page.payment_url), "the answer has no address of a page")
            need(seen.status not in _REASONS, "the page that was opened has failed already")
            return need(seen.provider_reference, "the answer has no transaction_id")

        # Repeatable: each POST makes a page of its own under an id that Intram draws (no field of the request
        # identifies it, backend/http.md), and Intram knows nobody to show it to: only we get the address.
        request = post("/payments/request", Transaction, self.body(order), repeatable=True, matches=opened)
        page = await send(request)
        # receipt_url is the page here, in every sample (payment_url in the Django page), and later the receipt.
        url = _first(page.receipt_url, page.payment_url)
        found = msgspec.structs.replace(self.payment(page), checkout_url=url, receipt_url=None)
        return msgspec.structs.replace(found, reference=order.reference, status=Status.PENDING)

    def body(self, order: Order) -> dict[str, Any]:
        """Give the body of a payment request; what nobody set is left out, as in the page's minimal example."""
        if REFERENCE_KEY in order.metadata:
            raise UsageError.field("metadata", REFERENCE_KEY, "any other key: this one carries the reference")
        for field in ("cancel_url", "return_url", "webhook_url"):
            if not getattr(order, field):
                raise UsageError.missing(field, "Intram needs it (webhook_base makes the webhook_url)")
        store = checked_store({**checked_store(self.store), **checked_store(order.extra.get("store", {}))})
        if "name" not in store:
            raise UsageError.missing("store", 'it needs a name: Intram(store="…") or extra={"store": {"name": …}}')
        public, private, secret, _ = self.secrets()
        invoice = {
            "keys": {"public": public, "private": private, "secret": secret} if self.keys_in_body else None,
            "currency": order.currency,
            "items": [_item(item) for item in order.items],
            "taxes": [{"name": tax.name, "amount": _francs("taxes", tax.amount)} for tax in order.taxes],
            "amount": whole(order.amount),
            "description": order.description,
            "custom_datas": {REFERENCE_KEY: order.reference, **order.metadata},
        }
        urls = {"cancel_url": order.cancel_url, "return_url": order.return_url, "callback_url": order.webhook_url}
        return {"invoice": {name: said for name, said in invoice.items() if said}, "store": store, "actions": urls}

    async def verify(self, send: Send, payment: Payment) -> Payment:
        """Ask for a transaction by Intram's id."""
        asked = payment.provider_reference or ""
        if not _ID.fullmatch(asked):
            raise UsageError.field("provider_reference", payment.provider_reference, "Intram's transaction_id")

        def tells(found: Transaction) -> bool:
            # Every published shape has an amount; `{"status": "ERROR"}` alone is an error's body, not a payment's.
            need(self.payment(found).provider_status, "the answer has no status")
            return need(found.charged is not None, "the answer has no amount")

        request = get("/transactions/confirm/{id}", Transaction, at={"id": asked}, matches=tells)
        return self.payment(await send(request), asked)

    def webhook(self, incoming: Incoming) -> Event:
        """Read a callback, JSON or form: unsigned, so a hint at what to ask for.

        backend/nodejs-api-client.md promises a hash of which no field, algorithm or key is published. The flat
        shape has no id either: only its own callback path says which payment it is about.
        """
        return self._event(self.message(Transaction, incoming))

    def returned(self, url: str) -> Event:
        """Read where the payer's browser came back: `?token=…`, or the Readme's `?STATUS=…?transaction_id=…`."""
        query = url.partition("#")[0].partition("?")[2].replace("?", "&")
        said = self.message(dict[str, str], Incoming(method="GET", query=query))
        token = _first(said.get("transaction_id"), said.get("token"))
        if token is None:
            raise Unreadable("no transaction id in the address")
        return self._event(Transaction(status=said.get("STATUS"), transaction_id=token))

    def _event(self, told: Transaction) -> Event:
        claims = self.payment(told)
        if claims.provider_reference is None and claims.provider_status is None:
            raise Unreadable("neither a transaction id nor a status")
        return Event(account=self.account, provider=self.name, trust=Trust.NOTHING, claims=claims)

    def payment(self, found: Transaction, asked: str | None = None) -> Payment:
        """Say what Intram said in our words; `asked` is the id that it answers to."""
        nested, bill = found.nested
        outer, inner = text(found.status), text(nested.status)
        flag = "true" if found.error is True else text(found.error)
        status = self.status({"status": outer, "transaction._status": inner, "error": flag})
        custom = _fields(found.custom_data, found.custom_datas, bill.custom_datas, bill.custom_data)
        reference = custom.pop(REFERENCE_KEY, None)
        buyer = _fields(found.customer)
        told = {part: _first(buyer.get(part)) for part in ("name", "email", "phone")}
        number, public = text(found.account_number) or "", text(nested.reference)
        return Payment(
            account=self.account,
            provider=self.name,
            live=_ENVIRONMENTS.get(_first(_fields(nested.marchand).get("_env")), self.live),
            reference=_first(reference),
            # A look-up by the short public reference (`_reference`) is answered with both ids.
            provider_reference=asked if found.id is None or (asked and asked == public) else found.id,
            ids={"_reference": public} if public else {},
            status=status,
            # A pending transaction may show 0 where nothing was paid yet.
            amount=(found.charged or None) if status is Status.PENDING else found.charged,
            currency=(_first(found.currency, bill.currency) or "").upper() or None,
            payer=number if _NUMBER.fullmatch(number) else None,  # often masked: 22996XXXXXX
            operator=text(found.source),
            fee=amount(found.fees),
            receipt_url=text(found.receipt_url) if status is Status.SUCCEEDED else None,
            provider_status="/".join(dict.fromkeys(filter(None, (outer, inner)))) or None,
            reason=_REASONS.get(status),
            message=text(found.message),
            customer=Customer(**told) if buyer else None,
            metadata=custom,
            created_at=when(nested.created_at),
        )


def checked_store(store: object) -> dict[str, str]:
    """Check the store's fields, which Intram prints on the page and does not validate; the phone is text, too."""
    fields = {"name": store} if plain.is_a(store, str) else plain.mapping(store)
    if fields is None:
        raise UsageError.field("store", store, f"a name, or a mapping of {', '.join(_STORE)}")
    said = dict[str, str]()
    for name, value in fields.items():
        if name not in _STORE:
            raise UsageError.field("store", name, ", ".join(_STORE))
        found = plain.text(value)
        if found is None or not found.isprintable() or not 0 < len(found) <= 2000:
            raise UsageError.field(f"store.{name}", value, "printable text of 1 to 2000 characters")
        said[name] = found
    return {name: said[name] for name in _STORE if name in said}


def _item(item: Item) -> dict[str, str]:
    # The words of backend/php-server-sdk.md, texts all of them; they are shown, and never charged.
    price = _francs("items", item.unit_price)
    total = price * item.quantity if item.total_price is None else _francs("items", item.total_price)
    line = {"name": item.name, "qte": str(item.quantity), "price": str(price), "totalamount": str(total)}
    return {**line, "description": item.description} if item.description else line


def _francs(field: str, value: Decimal) -> int:
    try:
        return whole(exact(value, "XOF")) if value else 0
    except UsageError as error:
        said = f"{field}: {error}"
        raise UsageError(said, name=field, value=error.value, accepted=error.accepted) from None


def _first(*values: Any) -> str | None:
    plain = (value for value in values if isinstance(value, str | int | float))
    return next((found for value in plain if (found := text(value)) is not None), None)


def _fields(*places: Fields) -> dict[str, Any]:
    return next((dict(place) for place in places if isinstance(place, dict) and place), {})
