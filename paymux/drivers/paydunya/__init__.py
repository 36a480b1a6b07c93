"""PayDunya: invoices with their own page (PAR, PSR) and transfers between its accounts (PER).

The page is https://developers.paydunya.com/doc/Fr/http_json; PayDunya's own code is
https://pypi.org/project/paydunya 1.0.7, https://www.npmjs.com/package/paydunya 1.0.12 and
https://github.com/paydunyadev/paydunya-woocommerce-psr.
"""

from collections.abc import Mapping
from hashlib import sha512
from hmac import compare_digest
from typing import Any, ClassVar

import msgspec

from ...errors import (
    AuthenticationFailed,
    BadWebhook,
    NotFound,
    ProviderError,
    Rejected,
    Unsupported,
    UsageError,
)
from ...http import Request, Response, Send, WebhookRequest, get, post
from ...models import Customer, Event, Kind, Order, Payment, Reason, Status
from ...primitives.redaction import Secret
from ...values.parsing import Unreadable, amount, convert, form_fields
from ...values.payment_arguments import checked_payment
from ...values.status_words import StatusWords
from ..base import Driver, Facts, Option, reveal
from . import checkout, transfer
from .answers import (
    DONE,
    FAIL_REASON,
    NO_INVOICE,
    NO_PAYER,
    STATUS,
    TOKEN,
    Answer,
    Invoice,
    Payer,
    number,
)
from .checkout import REFERENCE
from .ipn import below_data, once_encoded

__all__ = ["REFERENCE", "Answer", "PayDunya"]

CREATE = "/checkout-invoice/create"
CONFIRM = get("/checkout-invoice/confirm/{token}", Answer, matches=Answer.answers_confirm)

_STORE = ("name", "tagline", "postal_address", "phone", "logo_url", "website_url")
_NOBODY = Customer()
_NO_ANSWER = Answer()
# The page and PayDunya's own code send no reference of ours, look up invoices by token, and have no
# look-up for transfers.
_FACTS = Facts(deduplicates=False, findable=False, not_found_final_after=None)


class PayDunya(Driver, frozen=True, kw_only=True):
    """An application at PayDunya: `collect` opens a page on which the payer chooses how to pay.

    `access_token` is PayDunya's token; the page shows `store_*`; `extra={"channels": ["card"]}`
    limits the ways to pay.

    `payout` is a transfer to a PayDunya account, by phone number or e-mail: it succeeds or fails at
    once, and stays pending if PayDunya's answer does not repeat the amount. `popup(payment)`
    returns the answer for PayDunya's JavaScript popup. `python -m paymux.examples.split` pays out a
    sale in shares.
    """

    name = "paydunya"
    live_url = "https://app.paydunya.com/api/v1"
    sandbox_url = "https://app.paydunya.com/sandbox-api/v1"
    currencies = frozenset({"XOF"})
    # The countries of those of its channels that pay in XOF.
    countries = frozenset({"SN", "CI", "BJ", "TG", "ML", "BF"})
    facts: ClassVar[Mapping[Kind, Facts]] = {"collect": _FACTS, "payout": _FACTS}
    # `response_code` is no status: "00" says that the invoice was found. `invoice.status` is in no
    # answer of the page, but in those of the OPR (pypi, opr.py), and is read only together with
    # `status`.
    speaks: ClassVar[Mapping[str, StatusWords]] = {
        "status": STATUS,
        "invoice.status": STATUS,
        "fail_reason": FAIL_REASON,
    }
    # The only answer to a transfer in the page repeats the amount in its description. No answer has
    # a currency.
    proofs: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "invoice": ("amount",),
        "transfer": ("amount",),
    }
    required = frozenset({"master_key", "private_key", "access_token", "store_name"})
    takes: ClassVar[frozenset[Option]] = frozenset(
        {
            "description",
            "customer",
            "items",
            "taxes",
            "metadata",
            "return_url",
            "cancel_url",
            "webhook_url",
        }
    )
    payout_takes = frozenset()  # a transfer has only the account and the amount
    settings = frozenset({"channels"})
    prose = frozenset(f"store_{name}" for name in _STORE)
    payer = "optional"
    probes = True  # before it pays out: https://developers.paydunya.com/doc/EN/api_deboursement
    watch_timeout = 1800.0  # a payer reads a page, chooses, and types a code
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
        # The settings of the WooCommerce module: one master key for both modes, and a private key
        # and a token for each mode.
        if reveal(self.private_key).startswith("test_" if self.live else "live_"):
            mode = "live" if self.live else "test"
            accepted = f"a {mode} key: its prefix contradicts live={self.live}"
            raise UsageError.hidden("private_key", accepted)

    def authorize(self, request: Request[Any], token: str | None) -> Request[Any]:
        """Sign with the three keys; there is no login."""
        return request.with_headers(
            {
                "PAYDUNYA-MASTER-KEY": reveal(self.master_key),
                "PAYDUNYA-PRIVATE-KEY": reveal(self.private_key),
                "PAYDUNYA-TOKEN": reveal(self.access_token),
            }
        )

    def judge(self, request: Request[Any], reply: Response) -> ProviderError | None:
        """Read the code and text that every answer has, mostly with HTTP 200.

        No codes are published: for a transfer, only codes that integrators have received with such
        a text are sure.
        """
        answer = reply.read(Answer) or _NO_ANSWER
        code = answer.code()
        if code is None or code in DONE or reply.status >= 500:
            return super().judge(request, reply)
        message = answer.response_text or ""
        words = message.lower()
        if code == "1001" and "masterkey" in words:
            return AuthenticationFailed(message, code=code)
        # 4002 is also "the callback is not accessible".
        if code == "4002" and "enough funds" in words:
            return Rejected(message, code=code, reason=Reason.INSUFFICIENT_FUNDS)
        if request.money:  # a page that was not made moves no money
            return Rejected(message, code=code) if request.path == CREATE else None
        # The answer for an unknown token is not published; the text of a good answer is
        # "Transaction Found".
        if reply.status in (401, 403):  # in PayDunya's own form, so they are about the keys
            return AuthenticationFailed(message, code=code)
        error = super().judge(request, reply)
        if error is None:
            error = NotFound() if "not found" in words else ProviderError()
        error.message = message
        error.code = code
        return error

    async def collect(self, send: Send, order: Order) -> Payment:
        """Open a page for an order; items and taxes are shown on it and never change the amount.

        Each request makes an invoice with a new token and charges no payer (the page; pypi,
        invoice.py), so it may be repeated.
        """
        store = {name: getattr(self, f"store_{name}") for name in _STORE}
        body = checkout.body(order, store)
        matches = Answer.answers_create
        answer = await send(post(CREATE, Answer, body, repeatable=True, matches=matches))
        return msgspec.structs.replace(
            self.pending(order),
            provider_reference=answer.token,
            checkout_url=answer.response_text,
        )

    async def payout(self, send: Send, order: Order) -> Payment:
        """Credit a PayDunya account, named by its phone number or e-mail: it ends at once."""
        return await transfer.payout(self, send, order)

    async def verify(self, send: Send, payment: Payment) -> Payment:
        """Look up an invoice; a transfer cannot be looked up."""
        if payment.kind not in (None, "collect"):
            raise Unsupported(f"{self.name} cannot be asked about a {payment.kind}")
        token = payment.provider_reference or ""
        if not TOKEN.fullmatch(token):
            raise UsageError.field("provider_reference", token, "the token of an invoice")
        return self.payment(await send(CONFIRM.with_ids({"token": token})), token)

    def popup(self, payment: Payment) -> dict[str, bool | str]:
        """Return your server's answer to psr.paydunya.min.js: a page as a popup (PSR)."""
        payment = checked_payment(payment)
        token = payment.provider_reference
        if payment.account != self.account or payment.kind not in (None, "collect") or not token:
            accepted = f"a collect of {self.account!r} that has a page"
            raise UsageError.field("payment", payment, accepted)
        return {"success": True, "mode": "live" if payment.live else "test", "token": token}

    def webhook(self, incoming: WebhookRequest) -> Event:
        """Read an IPN.

        Every message has the same hash: a wrong one is refused, a right one proves nothing.
        """
        fields = self.message(dict[str, Any], once_encoded(incoming))
        invoice = convert(Answer, below_data(fields))
        # The WooCommerce module: it is the SHA-512 of the master key alone.
        expected = sha512(reveal(self.master_key).encode()).hexdigest()
        told = str(invoice.hash).lower().encode("utf-8", "replace")
        if not compare_digest(told, expected.encode()):
            raise BadWebhook(f"{self.account}: the hash is not that of our master key")
        named = invoice.invoice
        return self._event(invoice, named.token if isinstance(named, Invoice) else None)

    def returned(self, url: str) -> Event:
        """Read the `?token=` of the URL to which the payer returned.

        If `return_url` has a query, it comes before the token.
        """
        query = url.partition("?")[2].partition("#")[0].replace("?", "&")
        return self._event(_NO_ANSWER, form_fields(query).get("token"))

    def _event(self, invoice: Answer, token: str | None) -> Event:
        if token is None or not TOKEN.fullmatch(token):
            raise Unreadable("no token of an invoice")
        return self.event(self.payment(invoice, token))

    def payment(self, said: Answer, asked: str | None = None, kind: Kind = "collect") -> Payment:
        """Read an invoice in an answer, an IPN or a return URL."""
        invoice = said.invoice if isinstance(said.invoice, Invoice) else NO_INVOICE
        payer = said.customer if isinstance(said.customer, Payer) else NO_PAYER
        status, reason = self.outcome(
            {
                "status": said.status,
                "invoice.status": invoice.status if said.status else None,
                "fail_reason": said.fail_reason,
            }
        )
        metadata = dict(said.custom_data) if isinstance(said.custom_data, dict) else {}
        reference = metadata.pop(REFERENCE, None)
        tests = (asked or "").startswith("test_")
        live = said.mode.lower() == "live" if said.mode else self.live and not tests
        customer = Customer(name=payer.name, phone=payer.phone, email=payer.email)
        ids = {"receipt_identifier": said.receipt_identifier} if said.receipt_identifier else {}
        if said.provider_reference:
            ids["provider_reference"] = said.provider_reference
        total = amount(invoice.total_amount)
        net = amount(invoice.total_amount_without_fees) or total
        total = net if total is None else total
        found = Payment(
            account=self.account,
            provider=self.name,
            live=live,
            reference=reference if isinstance(reference, str) else None,
            provider_reference=invoice.token or asked,
            ids=ids,
            status=status,
            amount=None if total is None or net is None else min(total, net),
            currency="XOF",
            payer=number(payer.phone),
            # Both "wave-senegal" and "wave_senegal" occur.
            operator=(payer.payment_method or "").replace("_", "-") or None,
            receipt_url=said.receipt_url,
            fee=None if total is None or net is None else abs(total - net) or None,
            provider_status=said.status,
            reason=reason,
            message=None if status is Status.SUCCEEDED else said.trouble(),
            customer=None if customer == _NOBODY else customer,
            metadata=metadata,
        )
        return self.proved(found, "invoice")

    def party(self, kind: Kind, value: str, currency: str = "") -> str:
        """Read a payer's number, or the number or e-mail of the PayDunya account to credit."""
        if kind != "payout":
            return super().party(kind, value, currency)
        return transfer.payee(value)
