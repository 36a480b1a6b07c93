"""PayDunya: invoices with their own page (PAR, PSR), and payouts: Disburse v2, and PER.

The page is https://developers.paydunya.com/doc/Fr/http_json; PayDunya's own code is
https://pypi.org/project/paydunya 1.0.7, https://www.npmjs.com/package/paydunya 1.0.12 and
https://github.com/paydunyadev/paydunya-woocommerce-psr.
"""

from collections.abc import Mapping
from hashlib import sha512
from hmac import compare_digest
from typing import Any, ClassVar, Literal

import msgspec

from ...errors import BadWebhook, ProviderError, Unsupported, UsageError
from ...http import Request, Response, Send, WebhookRequest, get
from ...models import Event, Kind, Order, Payment
from ...primitives.redaction import Secret
from ...values.parsing import Unreadable, convert, form_fields
from ...values.payment_arguments import checked_payment
from ...values.status_words import StatusWords
from ..base import Driver, Facts, Option, Pace, reveal
from . import checkout, disburse, errors, opr, softpay, transfer, wizall
from .answers import FAIL_REASON, STATUS, TOKEN, Answer, Invoice
from .checkout import REFERENCE
from .disburse import Disbursement
from .ipn import below_data, once_encoded

__all__ = ["REFERENCE", "Answer", "PayDunya"]

LIVE, SANDBOX = "/api/v1", "/sandbox-api/v1"
CONFIRM = {
    root: get(f"{root}/checkout-invoice/confirm/{{token}}", Answer, matches=Answer.answers_confirm)
    for root in (LIVE, SANDBOX)
}

_NO_ANSWER = Answer()
# The page and PayDunya's own code send no reference of ours, look up invoices by token, and have no
# look-up for transfers.
_PAYOUT_PACE = Pace(first_look=2.0, watch_timeout=1800.0)
_FACTS = Facts(deduplicates=False, findable=False, not_found_final_after=None)


class PayDunya(Driver, frozen=True, kw_only=True):
    """An application at PayDunya: `collect` opens a page on which the payer chooses how to pay.

    `access_token` is PayDunya's token; the page shows `store_*`; `extra={"channels": ["card"]}`
    limits the ways to pay.

    `collect(payer="+221…", operator="wave")` is SoftPay: the network asks its payer at once, on the
    phone or by its own page (`checkout_url`). Orange of CI and BF takes `extra={"otp": "…"}`, a
    code that the payer makes; Moov of TG and ML and Orange of ML take `customer.address`.

    `payout(payee="+221…", operator="wave")` is Disburse v2: money to a phone at a network, which
    nothing in a number tells, so `operator` is required. It is pending until a look-up tells its
    end. To set up: PayDunya must switch it on for the application, and the pool needs a
    `webhook_base` that PayDunya can reach, since it tests the callback before it pays out. The same
    keys serve.

    `run("paydunya", PayDunya.opr_create, …)` and `collect(extra=…)` charge a PayDunya account by a
    code that its holder tells (OPR); `wizall_create` does the same for a Wizall account.

    An e-mail, or a number of Senegal with `operator="paydunya"`, names a PayDunya account (PER):
    it is credited at once, stays pending if PayDunya's answer does not repeat the amount, and
    cannot be looked up. `popup(payment)` returns the answer for PayDunya's JavaScript popup.
    `python -m paymux.examples.split` pays out a sale in shares.
    """

    name = "paydunya"
    live_url = "https://app.paydunya.com"  # each path begins with its version
    sandbox_url = "https://app.paydunya.com"
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
        disburse.STATUS_FIELD: disburse.STATUS,
    }
    # The only answer to a transfer in the page repeats the amount in its description. No answer has
    # a currency.
    proofs: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "invoice": ("amount",),
        "transfer": ("amount",),
        "disbursement": ("amount",),
    }
    required = frozenset({"master_key", "private_key", "access_token", "store_name"})
    takes: ClassVar[frozenset[Option]] = frozenset(
        {
            "description",
            "customer",
            "items",
            "operator",
            "taxes",
            "metadata",
            "return_url",
            "cancel_url",
            "webhook_url",
        }
    )
    payout_takes: ClassVar[frozenset[Option]] = frozenset({"operator", "webhook_url"})
    settings = frozenset({"channels", "otp", "opr_token", "invoice_token", "wizall_transaction"})
    prose = frozenset(f"store_{name}" for name in checkout.STORE)
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
        """Check the fields; a key of the other mode is refused, and a base_url with a version."""
        super().__post_init__()
        if (self.base_url or "").rstrip("/").endswith("/v1"):  # as it was before Disburse v2
            accepted = f"an address without the version of an API, such as {self.live_url}"
            raise UsageError.field("base_url", self.base_url, accepted)
        # The settings of the WooCommerce module: one master key for both modes, and a private key
        # and a token for each mode.
        if reveal(self.private_key).startswith("test_" if self.live else "live_"):
            mode = "live" if self.live else "test"
            accepted = f"a {mode} key: its prefix contradicts live={self.live}"
            raise UsageError.hidden("private_key", accepted)

    @property
    def root(self) -> str:
        """The path below which the invoices of this mode are."""
        return LIVE if self.live else SANDBOX

    def asks(self, payment: Payment) -> Literal["verify", "find"] | None:
        """Return `verify`, but None for a transfer, or a disbursement without its token."""
        if payment.kind == "payout" and disburse.TOKEN_ID not in payment.ids:
            return None
        return super().asks(payment)

    def pace(self, payment: Payment) -> Pace:
        """Return when to look up a payment: a payout waits for no page."""
        return _PAYOUT_PACE if payment.kind == "payout" else super().pace(payment)

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
        """Read the code and text that every answer has, mostly with HTTP 200."""
        asks = request.path.startswith(softpay.ROOT) and request.path != wizall.CHARGE
        if asks and (unasked := softpay.refusal(reply)):
            return unasked
        told = errors.told(reply)
        if told is None:
            return super().judge(request, reply)
        refused = errors.refusal(request.path, *told)
        if refused is not None or request.money:
            return refused
        return errors.of_a_look_up(super().judge(request, reply), reply.status, *told)

    async def collect(self, send: Send, order: Order) -> Payment:
        """Open a page for an order, or let the network of `operator` ask the payer at once.

        Items and taxes are shown on the page and never change the amount.
        """
        if "opr_token" in order.extra:
            return await opr.charge(self, send, order)
        if order.operator == "wizall" or "wizall_transaction" in order.extra:
            return await wizall.charge(self, send, order)
        if order.operator is not None:
            return await softpay.collect(self, send, order)
        if "otp" in order.extra:
            raise UsageError.hidden("otp", "none, without the `operator` that takes it")
        answer = await send(checkout.create(self, order))
        return msgspec.structs.replace(
            self.pending(order),
            provider_reference=answer.token,
            checkout_url=answer.response_text,
        )

    async def payout(self, send: Send, order: Order) -> Payment:
        """Send money to a phone at a network, or credit a PayDunya account."""
        if order.operator == "paydunya" or "@" in (order.party or ""):
            return await transfer.payout(self, send, order)
        return await disburse.payout(self, send, order)

    async def verify(self, send: Send, payment: Payment) -> Payment:
        """Look up an invoice or a disbursement; a transfer cannot be looked up."""
        if disburse.TOKEN_ID in payment.ids and payment.kind in (None, "payout"):
            said = await send(disburse.look_up(payment))
            return disburse.payment(self, said, payment.ids[disburse.TOKEN_ID])
        if payment.kind not in (None, "collect"):
            raise Unsupported(f"{self.name} cannot be asked about a {payment.kind}")
        token = payment.provider_reference or ""
        if not TOKEN.fullmatch(token):
            raise UsageError.field("provider_reference", token, "the token of an invoice")
        return self.payment(await send(CONFIRM[self.root].with_ids({"token": token})), token)

    # Beyond the common verbs, for `pool.run` and `paymux run`.

    opr_create = opr.opr_create
    wizall_create = wizall.wizall_create

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
        told = below_data(self.message(dict[str, Any], once_encoded(incoming)))
        if isinstance(told, dict) and "withdraw_mode" in told:  # in no message about an invoice
            sent = convert(Disbursement, told)
            self._check(sent.hash)
            return self.event(disburse.payment(self, sent, sent.named()))
        invoice = convert(Answer, told)
        self._check(invoice.hash)
        named = invoice.invoice
        return self._event(invoice, named.token if isinstance(named, Invoice) else None)

    def _check(self, told: object) -> None:
        """Refuse a message with another hash than that of all messages."""
        # The WooCommerce module: it is the SHA-512 of the master key alone.
        expected = sha512(reveal(self.master_key).encode()).hexdigest()
        if not compare_digest(str(told).lower().encode("utf-8", "replace"), expected.encode()):
            raise BadWebhook(f"{self.account}: the hash is not that of our master key")

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
        return checkout.payment(self, said, asked)

    def party(self, kind: Kind, value: str, currency: str = "") -> str:
        """Read a number, or the e-mail of the PayDunya account to credit."""
        email = transfer.email(value) if kind == "payout" else None
        return super().party(kind, value, currency) if email is None else email
