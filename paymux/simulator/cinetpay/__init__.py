"""CinetPay's Checkout API (v2): a checkout page, a check, and a notification.

Its pages are https://docs.cinetpay.com/api/1.0-fr/checkout ("docs" below: initialisation,
verification, notification, hmac, retour) and github.com/Tidev-CinetPay/api-checkout-doc
("api-checkout-doc"). Credentials: apikey and secret_key are "simulator", the site_id is 123456.
"""

import hashlib
import hmac
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, ClassVar, Literal
from urllib.parse import urlencode, urlsplit

from ...http import Response, WebhookRequest
from ...models import Status
from ...primitives.clock import wall_time
from ..base import Provider, magic
from ..checkout import serve
from ..core import SimulatorCore
from ..ledger import Entry, Outcome
from ..messages import Message
from ..replies import Refused, fields, html_reply, json_reply, segments
from .messages import MESSAGES, data, data_2021, error, notice, response_id
from .messages import code as code_of
from .page import checkout

SITE_ID = "123456"

_REQUIRED = ("transaction_id", "currency", "description", "notify_url", "return_url")
_TEXTS = ("channels", "lang", "metadata")
_CUSTOMER = (
    "id",
    "name",
    "surname",
    "phone_number",
    "email",
    "address",
    "city",
    "country",
    "state",
    "zip_code",
)
_KEPT = (
    "description",
    "metadata",
    "lang",
    "channels",
    "lock_phone_number",
    "notify_url",
    "return_url",
)
_CHANNELS = ("ALL", "MOBILE_MONEY", "CREDIT_CARD", "WALLET")
_SPECIAL = re.compile(r"[#/,$_&]")  # "ne mettez pas de caractères spéciaux" (docs, initialisation)
_PHONE = re.compile(r"(?:\+|00)?([0-9]{8,15})", re.ASCII)


class CinetPay(Provider):
    """CinetPay's API; a test may change every attribute set in `__init__`."""

    name = "cinetpay"
    hosts = frozenset({"api-checkout.cinetpay.com", "checkout.cinetpay.com"})
    credentials: ClassVar[Mapping[str, str]] = {
        "apikey": "simulator",
        "site_id": SITE_ID,
        "secret_key": "simulator",
    }
    # CinetPay has no test numbers for this API; these, of Ivory Coast, are ours.
    numbers: ClassVar[Mapping[str, Outcome]] = magic("225070000000", success="7")
    shapes = ("notification", ("form", "json", "minimal"))

    def __init__(self, world: SimulatorCore) -> None:
        super().__init__(world)
        self.secret_key: str | None = "simulator"  # None: notifications have no x-token
        # An account has one of them; this one has all, unless a test removes some.
        self.currencies = {"XOF", "XAF", "CDF", "GNF", "USD"}
        # HTTP status of an initialisation in PyPI cinetpay 0.0.1's README; no page states it
        self.created = 201
        self.bad_key: Literal["609", "624"] = "609"  # the docs' table has both for a wrong apikey
        # "un message d'erreur": no page has its code; 620 is the likeliest constant
        self.duplicate = "620"
        self.unknown = "624"  # no page shows the answer to a check of an unknown payment
        # The customer's fields that a card requires; clients disagree about customer_id, which is
        # in the docs' table.
        self.card = [f"customer_{name}" for name in _CUSTOMER]
        self.special = True  # special characters are refused, and not only advised against
        # the docs: a localhost URL gives 403; off loopback nothing could be received here
        self.loopback = True
        # "le serveur ping votre url": a GET without data, here when the payment is created
        self.pings = True
        # For push operators: the first notification comes at WAITING_FOR_CUSTOMER (docs,
        # notification).
        self.early = False
        # The docs: a signed form. api-checkout-doc: JSON, once with two fields and no signature.
        self.notification: Literal["form", "json", "minimal"] = "form"
        # of a check: as in the docs' page, or as in api-checkout-doc
        self.shape: Literal["2022", "2021"] = "2022"
        self.checked = 200  # the HTTP status of a check: no page states it
        self.waiting = "662"  # the code of a check before the decision
        self.operator = "OM"  # Orange Money
        # return_url "accepts GET and POST" (docs, retour)
        self.returns: Literal["GET", "POST"] = "GET"
        self.shop = "Simulator"  # the page shows the account's name
        self.page_life = 1800.0  # seconds; no page says when a payment expires
        self._tokens: dict[str, Entry] = {}

    async def answer(self, incoming: WebhookRequest) -> Response:
        """Answer the two endpoints and the checkout page."""
        match incoming.method, *segments(incoming):
            case "POST", "v2", "payment":
                return self._initialise(self._body(incoming))
            case "POST", "v2", "payment", "check":
                return self._check(self._body(incoming))
            case "GET" | "POST", "payment", token:
                return self._page(incoming, token)
        return html_reply("<!doctype html><title>404</title><p>Not Found", 404)

    def message(self, entry: Entry, *, forged: bool = False) -> Message | None:
        """Make the notification: it names the payment, and never contains its status."""
        code = "00" if forged else code_of(entry, self.waiting)
        url, told = entry.words["notify_url"], notice(entry, self.operator, SITE_ID, code)
        if self.notification == "minimal":
            return Message.json(url, {name: told[name] for name in ("cpm_trans_id", "cpm_site_id")})
        key = "forged" if forged else self.secret_key
        # The values in the docs' order (hmac), joined without a separator.
        signed = "".join(told.values()).encode("utf-8", "replace")
        token = (
            {"x-token": hmac.new(key.encode(), signed, hashlib.sha256).hexdigest()} if key else {}
        )
        if self.notification == "json":
            message = Message.json(url, told)
            return Message(url=url, headers={**message.headers, **token}, body=message.body)
        headers = {"content-type": "application/x-www-form-urlencoded", **token}
        return Message(url=url, headers=headers, body=urlencode(told, errors="replace").encode())

    def throttled(self) -> Response:
        """Refuse as in the docs' table."""
        return error("429", "Too many requests", 429)

    def stale(self, incoming: WebhookRequest) -> Response:
        """Refuse the apikey: CinetPay has no tokens that could expire."""
        return error(self.bad_key, "apikey is not valid")

    def settle(self, entry: Entry, outcome: Outcome) -> None:
        """Decide a payment.

        CinetPay notifies each change, also from one waiting status to another.
        """
        super().settle(entry, outcome)
        if entry.status is Status.PENDING:
            self.announce(entry)

    def _body(self, incoming: WebhookRequest) -> dict[str, Any]:
        """Check what both endpoints require: a user agent, JSON, and an account."""
        if not incoming.headers.get("user-agent"):
            # Cloudflare's code, which the docs' table lists among CinetPay's own.
            raise Refused(
                Response(
                    status=403, headers={"content-type": "text/plain"}, body=b"error code: 1010"
                )
            )
        if "json" not in incoming.headers.get("content-type", ""):
            raise Refused(error("403", "Forbidden", 403))
        body = fields(incoming)
        if body is None:
            raise Refused(error("608", "The request is not JSON"))
        _need(body, "apikey", "site_id")
        if body["apikey"] != "simulator":
            raise Refused(self.stale(incoming))
        if str(body["site_id"]) != SITE_ID:
            raise Refused(error("613", "site_id is not valid"))
        return body

    def _initialise(self, body: dict[str, Any]) -> Response:
        amount = self._checked(body)
        reference = body["transaction_id"]
        if self.entry(reference) is not None:
            raise Refused(error(self.duplicate, "transaction_id already exists"))
        phone = _PHONE.fullmatch(body.get("customer_phone_number") or "")
        token = f"{self.core.random.getrandbits(160):040x}"
        entry = self.open(
            "collect",
            reference=reference,
            provider_reference=reference,
            amount=amount,
            currency=body["currency"],
            party=phone[1] if phone else None,
            token=token,
            signature=f"{self.core.random.getrandbits(160):040x}",
            operator_id=f"MP{wall_time():%y%m%d.%H%M}.A{self.core.random.randrange(10**5):05}",
            **{name: body.get(name) for name in _KEPT},
        )
        self._tokens[token] = entry
        if self.pings:
            self.core.send(self.name, Message(url=entry.words["notify_url"], method="GET"))
        if self.early:
            self.announce(entry)
        self.ring(entry, on_phone=False)
        return json_reply(
            {
                "code": "201",
                "message": MESSAGES["201"],
                "description": "Transaction created with success",
                "data": {"payment_token": token, "payment_url": f"{self.url}/payment/{token}"},
                "api_response_id": response_id(),
            },
            self.created,
        )

    def _checked(self, body: dict[str, Any]) -> Decimal:
        """Check a payment's fields against the docs' table of parameters; return the amount."""
        _need(body, *_REQUIRED, "amount")
        customer = [f"customer_{name}" for name in _CUSTOMER]
        for name in (*_REQUIRED, *_TEXTS, *customer):
            if body.get(name) is not None and not isinstance(body[name], str):
                raise Refused(error("608", f"{name} must be a string"))
        if body["currency"] not in self.currencies:
            raise Refused(error("608", "currency is not valid"))
        amount = _amount(body["amount"], body["currency"])
        for name in ("transaction_id", "description"):
            if self.special and (found := _SPECIAL.search(body[name])):
                raise Refused(error("608", f"{name} must not contain {found[0]}"))
        for name in ("notify_url", "return_url"):
            self._url(name, body[name])
        if (body.get("channels") or "ALL") not in _CHANNELS:
            raise Refused(error("608", f"channels must be one of {', '.join(_CHANNELS)}"))
        if (body.get("lang") or "fr") not in ("fr", "en"):
            raise Refused(error("608", "lang must be fr or en"))
        invoice = body.get("invoice_data") or {}
        if not isinstance(invoice, dict) or len(invoice) > 3:
            raise Refused(error("608", "invoice_data must be an object of at most 3 fields"))
        locked = body.get("lock_phone_number") or False
        if not isinstance(locked, bool):
            raise Refused(error("608", "lock_phone_number must be a boolean"))
        if locked and not _PHONE.fullmatch(body.get("customer_phone_number") or ""):
            raise Refused(error("624", "An error occurred while processing the request"))
        if body.get("channels") == "CREDIT_CARD":
            _need(body, *self.card)
        return amount

    def _url(self, name: str, written: str) -> None:
        try:
            url = urlsplit(written)
        except ValueError:
            url = urlsplit("")
        if url.scheme not in ("http", "https") or not url.hostname:
            raise Refused(error("608", f"{name} must be a URL"))
        if not self.loopback and url.hostname in ("localhost", "127.0.0.1"):
            raise Refused(error("403", "Forbidden", 403))

    def _check(self, body: dict[str, Any]) -> Response:
        # The docs' page and PyPI cinetpay 0.0.1 use `token`; api-checkout-doc uses `payment_token`.
        named = [name for name in ("transaction_id", "token", "payment_token") if body.get(name)]
        if not named:
            return error("608", "transaction_id is required")
        known = str(body[named[0]])
        entry = self.entry(known) if named[0] == "transaction_id" else self._tokens.get(known)
        if entry is None:
            return error(self.unknown, "An error occurred while processing the request")
        code = code_of(entry, self.waiting)
        head = {"code": code, "message": MESSAGES.get(code, "UNKNOWN_ERROR")}
        if self.shape == "2021":
            told = {"api_response_id": response_id(), "data": data_2021(entry, self.operator)}
        else:
            told = {"data": data(entry, self.operator), "api_response_id": response_id()}
        return json_reply({**head, **told}, self.checked)

    def _page(self, incoming: WebhookRequest, token: str) -> Response:
        """Serve the checkout page; after any decision, the customer is led to return_url."""
        entry = self._tokens.get(token)
        if entry is None:
            return html_reply("<!doctype html><title>404</title><p>Not Found", 404)
        return serve(self, entry, incoming, checkout(self, entry))


def _need(body: dict[str, Any], *names: str) -> None:
    for name in names:
        if body.get(name) in (None, ""):
            raise Refused(error("608", f"{name} is required"))


def _amount(written: Any, currency: str) -> Decimal:
    # api-checkout-doc's table says int, and its curl sends "2500": both forms are accepted.
    if isinstance(written, bool) or not re.fullmatch(r"[1-9][0-9]{0,11}", str(written), re.ASCII):
        raise Refused(error("608", "amount must be an integer"))
    amount = Decimal(str(written))
    if currency != "USD" and amount % 5:
        raise Refused(error("608", "amount must be a multiple of 5"))
    return amount
