"""PayDunya: invoices with a page of their own (PAR, PSR) and transfers between its accounts (PER).

The page is https://developers.paydunya.com/doc/Fr/http_json; PayDunya's own code is https://pypi.org/project/paydunya
1.0.7, https://www.npmjs.com/package/paydunya 1.0.12 and https://github.com/paydunyadev/paydunya-woocommerce-psr.
"""

import re
from collections.abc import Mapping
from contextlib import suppress
from decimal import Decimal
from hashlib import sha512
from hmac import compare_digest
from typing import Any, ClassVar, TypeAlias
from urllib.parse import unquote_to_bytes

import msgspec

from .. import given
from ..errors import AuthenticationFailed, BadWebhook, NotFound, ProviderError, Rejected, Unsupported, UsageError
from ..lenient import Scalar, Unreadable, amount, convert, form_fields, json_fields, need, text
from ..models import Customer, Event, Item, Kind, Order, Payment, Reason, Status
from ..money import whole
from ..msisdn import bare, digits
from ..redact import Secret
from ..states import NOTHING, OTHER, UNPAID, Words
from ..wire import Incoming, Reply, Request, Send, get, post
from .base import WEBHOOK_BYTES, Driver, Facts

CREATE = "/checkout-invoice/create"
CONFIRM = "/checkout-invoice/confirm/{token}"
CREDIT = "/direct-pay/credit-account"
REFERENCE = "paymux_reference"  # the key of `custom_data` that carries our reference

_DONE = frozenset({"00", "0"})  # the page has "00"; PayDunya's own code compares it as a number
_STATUS: Words = {
    "PENDING": Status.PENDING,
    "COMPLETED": Status.SUCCEEDED,
    "CANCELLED": Status.CANCELLED,
    "FAILED": Status.FAILED,  # on the page in its section on callbacks only
}
_STORE = ("name", "tagline", "postal_address", "phone", "logo_url", "website_url")
_IDS = ("receipt_identifier", "provider_reference")
_REASON = {Status.CANCELLED: Reason.CANCELLED, Status.FAILED: Reason.OTHER}
_TOKEN = re.compile(r"[A-Za-z0-9_-]{1,100}", re.ASCII)
_EMAIL = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,4}")
_KEY = re.compile(r"data((?:\[[^\[\]]+\])+)")
_TRANSFERRED = re.compile(r"Amount of ([0-9]{1,15}) FCFA", re.ASCII)
_FACTS = Facts(deduplicates=False, findable=False, not_found_final_after=None)

_Tree: TypeAlias = dict[str, Any] | list[Any] | str | None  # PHP writes an empty object as an empty list


class Answer(msgspec.Struct, frozen=True):
    """What PayDunya says: to any request, and of an invoice alike when asked and in a message (the IPN)."""

    response_code: Scalar | list[Scalar] = None
    response_text: Scalar = None  # of an invoice made, the address of its page
    description: Scalar = None
    token: Scalar = None
    transaction_id: Scalar = None
    hash: Scalar = None
    invoice: _Tree = None
    custom_data: _Tree = None
    mode: Scalar = None
    status: Scalar = None
    fail_reason: Scalar = None  # of cards; of mobile money it is in `errors` (integrators' code)
    errors: _Tree = None
    customer: _Tree = None
    receipt_url: Scalar = None
    receipt_identifier: Scalar = None
    provider_reference: Scalar = None

    def code(self) -> str | None:
        """Give the code as text; of several, the first."""
        code = self.response_code
        return text((code or [None])[0] if isinstance(code, list) else code)

    def opens(self) -> bool:
        """Tell whether a page was made."""
        page, token = text(self.response_text) or "", text(self.token) or ""
        need(self.code() in _DONE, "response_code is not 00")
        need(page.startswith(("https://", "http://")), "the answer has no address of a page")
        return need(_TOKEN.fullmatch(token), "the answer has no token")

    @property
    def transferred(self) -> Decimal | None:
        """Give the amount that the description of a transfer repeats."""
        echo = _TRANSFERRED.search(text(self.description) or "")
        return Decimal(echo[1]) if echo else None

    def credits(self, order: Order) -> bool:
        """Tell whether this answers the order's transfer."""
        need(self.code() in _DONE, "response_code is not 00")
        need(self.transferred in (None, order.amount), "the answer is about another amount")
        return need(text(self.transaction_id), "the answer has no transaction_id")

    def tells(self) -> bool:
        """Tell whether this is an invoice at all, and not an error without the documented fields."""
        need(self.code() in _DONE, "response_code is not 00")
        told = text(self.status) or _tree(self.invoice).get("token")
        return need(told is not None, "the answer is about no invoice")


class PayDunya(Driver, frozen=True, kw_only=True):
    """An application at PayDunya: `collect` opens a page on which the payer chooses how to pay.

    `access_token` is PayDunya's token; the page shows `store_*`; `extra={"channels": ["card"]}` limits the ways.
    """

    name = "paydunya"
    live_url = "https://app.paydunya.com/api/v1"
    sandbox_url = "https://app.paydunya.com/sandbox-api/v1"
    currencies = frozenset({"XOF"})
    countries = frozenset({"SN", "CI", "BJ", "TG", "ML", "BF"})  # of its channels, those that pay in XOF
    # The page and PayDunya's own code send no key of ours, look up invoices by token, and transfers not at all.
    facts: ClassVar[Mapping[Kind, Facts]] = {"collect": _FACTS, "payout": _FACTS}
    # `response_code` is none of them: "00" says that the invoice was found. `invoice.status` stands
    # in no answer of the page, but in those of the OPR (pypi, opr.py), and is read beside `status`
    # alone. `fail_reason` and `errors` are free text of a try, of which a page allows several; the
    # page shows one sentence.
    speaks: ClassVar[Mapping[str, Words]] = {
        "status": _STATUS,
        "invoice.status": _STATUS,
        "fail_reason": {"PAYMENT CANCELLED BY CUSTOMER": UNPAID, OTHER: NOTHING},
    }
    # The page's one answer to a transfer repeats the amount in its description. No answer has a
    # currency.
    proofs: ClassVar[Mapping[str, tuple[str, ...]]] = {"invoice": ("amount",), "transfer": ("amount",)}
    required = frozenset({"master_key", "private_key", "access_token", "store_name"})
    takes = frozenset(
        {"description", "customer", "items", "taxes", "metadata", "return_url", "cancel_url", "webhook_url"}
    )
    payout_takes = frozenset()  # a transfer has no field but whom and how much
    settings = frozenset({"channels"})
    prose = frozenset(f"store_{name}" for name in _STORE)
    payer = "optional"
    watch_timeout = 1800.0  # somebody reads a page, chooses, and types a code
    first_look = 10.0
    lost_page = "Nobody can pay on a page whose address was lost, so a new reference is safe."

    master_key: Secret | str = ""
    private_key: Secret | str = ""
    access_token: Secret | str = ""
    store_name: str = ""
    store_tagline: str = ""
    store_postal_address: str = ""
    store_phone: str = ""
    store_logo_url: str = ""
    store_website_url: str = ""

    def __post_init__(self) -> None:
        """Check the fields; a key of the other mode is refused."""
        super().__post_init__()
        # The WooCommerce module's settings: one master key for both modes, a private key and a token for each.
        if self.secrets()[1].startswith("test_" if self.live else "live_"):
            mode = "live" if self.live else "test"
            raise UsageError.hidden("private_key", f"a {mode} key: its prefix contradicts live={self.live}")

    def authorize(self, request: Request[Any], token: str | None) -> Request[Any]:
        """Sign with the three keys; there is no login."""
        names = ("PAYDUNYA-MASTER-KEY", "PAYDUNYA-PRIVATE-KEY", "PAYDUNYA-TOKEN")
        return request.with_headers(dict(zip(names, self.secrets(), strict=True)))

    def judge(self, request: Request[Any], reply: Reply) -> ProviderError | None:
        """Read the code and text that stand in every answer, mostly under HTTP 200.

        No codes are published: on a transfer, only those that integrators have met with such a text are sure.
        """
        answer = reply.read(Answer) or Answer()
        code = answer.code()
        if code is None or code in _DONE or reply.status >= 500:
            return super().judge(request, reply)
        message = text(answer.response_text) or ""
        words = message.lower()
        if code == "1001" and "masterkey" in words:
            return AuthenticationFailed(message, code=code)
        if code == "4002" and "enough funds" in words:  # it is also "the callback is not accessible"
            return Rejected(message, code=code, reason=Reason.INSUFFICIENT_FUNDS)
        if request.money:  # a page that was not made has none at stake
            return Rejected(message, code=code) if request.path == CREATE else None
        # What an unknown token gets is published nowhere; the good answer's text is "Transaction Found".
        if reply.status in (401, 403):  # in PayDunya's own shape, so that they speak of the keys
            return AuthenticationFailed(message, code=code)
        error = super().judge(request, reply) or (NotFound if "not found" in words else ProviderError)()
        error.message, error.code = message, code
        return error

    async def collect(self, send: Send, order: Order) -> Payment:
        """Open a page for an order; items and taxes are shown on it and never change the amount.

        Each request makes an invoice with a token of its own and charges nobody (the page; pypi, invoice.py), so
        that it may be repeated. `channels` and `customer` are not on the page, but in PayDunya's own code.
        """
        if REFERENCE in order.metadata:
            raise UsageError.field("metadata", REFERENCE, "any other key: this one carries the reference")
        channels = order.extra.get("channels", [])
        if (
            not isinstance(channels, list | tuple)
            or len(channels) > 100
            or not all(_TOKEN.fullmatch(str(name)) for name in channels)
        ):
            raise UsageError.field("channels", channels, "PayDunya's names, such as ['card', 'wave-senegal']")
        who = order.customer or Customer()
        name = " ".join(filter(None, (who.name, who.surname)))
        phone = who.phone or (order.party or "")[3:]  # as PayDunya writes it, without the country code
        taxes = {f"tax_{n}": {"name": tax.name, "amount": _xof(tax.amount)} for n, tax in enumerate(order.taxes)}
        body = {
            "invoice": _given(
                items={f"item_{n}": _item(item) for n, item in enumerate(order.items)},
                taxes=taxes,
                total_amount=whole(order.amount),
                description=order.description,
                channels=list(map(str, channels)),
                customer=_given(name=name, email=who.email, phone=phone),
            ),
            "store": _given(**{name: getattr(self, f"store_{name}") for name in _STORE}),
            "custom_data": {REFERENCE: order.reference, **order.metadata},
            "actions": _given(
                cancel_url=order.cancel_url, return_url=order.return_url, callback_url=order.webhook_url
            ),
        }
        answer = await send(post(CREATE, Answer, body, repeatable=True, matches=Answer.opens))
        page, token = text(answer.response_text), text(answer.token)
        return msgspec.structs.replace(self.pending(order), provider_reference=token, checkout_url=page)

    async def verify(self, send: Send, payment: Payment) -> Payment:
        """Ask how an invoice stands; a transfer cannot be asked about."""
        if payment.kind not in (None, "collect"):
            raise Unsupported(f"{self.name} cannot be asked about a {payment.kind}")
        token = payment.provider_reference or ""
        if not _TOKEN.fullmatch(token):
            raise UsageError.field("provider_reference", token, "the token of an invoice")
        return self.payment(await send(get(CONFIRM, Answer, at={"token": token}, matches=Answer.tells)), token)

    async def payout(self, send: Send, order: Order) -> Payment:
        """Credit a PayDunya account, known by its phone number or e-mail: done at once.

        An answer that does not repeat the amount, or has another status beside it, leaves the transfer PENDING.
        """
        alias = re.sub(r"^221(?=[0-9]{9}$)", "", order.party or "")
        body = {"account_alias": alias, "amount": whole(order.amount)}
        answer = await send(post(CREDIT, Answer, body, matches=lambda answer: answer.credits(order)))
        status = self.status({"status": text(answer.status) or "completed"})
        made = msgspec.structs.replace(self.pending(order), status=status, amount=answer.transferred)
        done = text(answer.transaction_id)
        return msgspec.structs.replace(self.proved(made, "transfer"), provider_reference=done, amount=order.amount)

    def popup(self, payment: Payment) -> dict[str, bool | str]:
        """Give what psr.paydunya.min.js asks your server for, to show a collected page as a popup (PSR)."""
        payment = given.payment(payment)
        token = payment.provider_reference
        if payment.account != self.account or payment.kind not in (None, "collect") or not token:
            raise UsageError.field("payment", payment, f"a collect of {self.account!r} that has a page")
        return {"success": True, "mode": "live" if payment.live else "test", "token": token}

    def returned(self, url: str) -> Event:
        """Read the `?token=` of the address at which the payer came back; a query of ours comes before it."""
        query = url.partition("?")[2].partition("#")[0].replace("?", "&")
        return self._event(Answer(), form_fields(query).get("token"))

    def webhook(self, incoming: Incoming) -> Event:
        """Read an IPN. Its hash is that of every message: a wrong one is refused, a right one proves nothing."""
        if incoming.body.startswith((b"data=%25", b"data%25")):  # encoded twice
            if len(incoming.body) > WEBHOOK_BYTES or incoming.body.count(b"%") > 8192:
                raise Unreadable("larger than 64 KiB, or of more escapes than a message has")
            incoming = msgspec.structs.replace(incoming, body=unquote_to_bytes(incoming.body))
        invoice = convert(Answer, _below_data(self.message(dict[str, Any], incoming)))
        # The WooCommerce module: the SHA-512 of the master key, and of nothing else.
        expected = sha512(self.secrets()[0].encode()).hexdigest()
        if not compare_digest(str(invoice.hash).lower().encode("utf-8", "replace"), expected.encode()):
            raise BadWebhook(f"{self.account}: the hash is not that of our master key")
        return self._event(invoice, text(_tree(invoice.invoice).get("token")))

    def _event(self, invoice: Answer, token: str | None) -> Event:
        if token is None or not _TOKEN.fullmatch(token):
            raise Unreadable("no token of an invoice")
        return Event(account=self.account, provider=self.name, claims=self.payment(invoice, token))

    def payment(self, invoice: Answer, token: str) -> Payment:
        """Say in our words how the invoice of this token stands."""
        body, payer, errors = _tree(invoice.invoice), _tree(invoice.customer), _tree(invoice.errors)
        who = {name: told for name in ("name", "phone", "email") if (told := text(payer.get(name)))}
        metadata = dict(_tree(invoice.custom_data))
        reference = metadata.pop(REFERENCE, None)
        mode, word = text(invoice.mode), text(invoice.status)
        inner = text(str(body.get("status"))) if word else None
        failing = text(invoice.fail_reason)
        status = self.status({"status": word, "invoice.status": inner, "fail_reason": failing})
        why = failing or text(errors.get("message")) or text(errors.get("description"))
        total, net = amount(body.get("total_amount")), amount(body.get("total_amount_without_fees")) or None
        amounts = [value for value in (total, net) if value is not None]
        payment = Payment(
            account=self.account,
            provider=self.name,
            live=mode.lower() == "live" if mode else self.live and not token.startswith("test_"),
            reference=reference if isinstance(reference, str) else None,
            provider_reference=text(body.get("token")) or token,
            ids={name: told for name in _IDS if (told := text(getattr(invoice, name)))},
            status=status,
            amount=min(amounts, default=None),
            currency="XOF",
            payer=_number(who.get("phone")),
            operator=(text(payer.get("payment_method")) or "").replace("_", "-") or None,  # both are met
            receipt_url=text(invoice.receipt_url),
            fee=max(amounts) - min(amounts) or None if amounts else None,
            provider_status=word,
            reason=_REASON.get(status),
            message=None if status is Status.SUCCEEDED else why,
            customer=Customer(**who) if who else None,
            metadata=metadata,
        )
        return self.proved(payment, "invoice")

    def party(self, kind: Kind, value: str, currency: str = "") -> str:
        """Read a payer's number, or the number or e-mail of the PayDunya account to credit.

        An account's number travels without its country code. One of Senegal is then nobody else's; those of other
        countries coincide (8 digits in BF, ML and TG, 10 in BJ and CI), so that there only an e-mail is sure.
        """
        if kind != "payout":
            return super().party(kind, value, currency)
        try:
            return str(value) if _EMAIL.fullmatch(str(value)) else digits(value, {"SN"})
        except UsageError:
            raise UsageError.field("payee", value, "a number of SN, or the e-mail of a PayDunya account") from None


def _tree(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _given(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value}


def _item(item: Item) -> dict[str, Any]:
    price = _xof(item.unit_price)
    return {
        "name": item.name,
        "quantity": item.quantity,
        "unit_price": str(price),
        "total_price": str(price * item.quantity if item.total_price is None else _xof(item.total_price)),
        "description": item.description,
    }


def _xof(value: object) -> int:
    # Compared before it is converted: int(Decimal("1E+1000000")) takes half a minute.
    if not isinstance(value, Decimal) or not value.is_finite() or not 0 <= value < 10**12 or value % 1:
        shown = f"{value:.6g}" if isinstance(value, Decimal) else value
        raise UsageError.field("items, taxes", shown, "amounts of whole XOF")
    return int(value)


def _number(phone: str | None) -> str | None:
    with suppress(UsageError):
        return digits(phone, {"SN"}, any_line=True)
    # Whether there is such a number was PayDunya's to check. Eleven digits or more have a country's code, and a
    # shorter one is a national number of a country that is not said.
    number = bare(phone or "")
    return number.lstrip("+").removeprefix("00") if number.startswith(("+", "00")) or len(number) > 10 else None


def _below_data(fields: dict[str, Any]) -> Any:
    """Find what stands below `data`: a JSON object, JSON in a form's field, or PHP's `data[a][b]=…`."""
    below = fields.get("data", fields)
    if isinstance(below, str):
        return json_fields(below.encode("utf-8", "surrogatepass"))
    tree: dict[str, Any] = {}
    for name, value in fields.items():
        if found := _KEY.fullmatch(name):
            *path, last = found[1][1:-1].split("][")
            branch: Any = tree
            for step in path[:8]:
                branch = branch.setdefault(step, {}) if isinstance(branch, dict) else None
            if len(path) > 8 or not isinstance(branch, dict) or last in branch:
                raise Unreadable("fields that contradict each other")
            branch[last] = value
    return tree or below
