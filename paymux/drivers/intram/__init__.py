"""Intram (Benin): a checkout page for mobile money and cards, in XOF.

The keys alone decide sandbox or live. The HTTP page: https://github.com/suntechdevs/paycfa
`backend/http.md`, of 2025-02 and 2026-05 where they differ. Intram's own clients:
https://github.com/suntechdevs/intram-phpsdk and https://github.com/suntechdevs/intram-nodejs.
"""

import re
from collections.abc import Mapping
from typing import Any, ClassVar

import msgspec

from ...errors import AuthenticationFailed, ProviderError, Rejected, UsageError
from ...http import Request, Response, Send, WebhookRequest, get, post
from ...models import Customer, Event, Kind, Order, Payment, Status
from ...primitives import coerce
from ...primitives.redaction import Secret
from ...values.parsing import Unreadable, amount, parse_time, text
from ...values.status_words import StatusWords
from ..base import Driver, Facts, Option, reveal
from .answers import ERROR, ID, WORDS, Transaction, first, first_fields
from .page import REFERENCE_KEY, body, checked_store

__all__ = ["REFERENCE_KEY", "Intram"]

_NUMBER = re.compile(r"229[0-9]{8,10}", re.ASCII)

# tpk_ and tsk_ are with mode "sandbox" in backend/nodejs-api-client.md, pk_ and sk_ with hex digits
# are with mode `true` ("live mode") in the PHP Readme, pk_sandbox_ and pk_live_ are in
# merchant-api/sandbox-vs-live.md.
_SANDBOX_KEY = re.compile(r"t[ps]k_|[ps]k_sandbox_")
_LIVE_KEY = re.compile(r"[ps]k_(?:live_|[0-9a-f]{16})")
_ENVIRONMENTS: Mapping[str | None, bool] = {"sandbox": False, "live": True}
_FAILURES = frozenset({Status.FAILED, Status.CANCELLED})


class Intram(Driver, frozen=True, kw_only=True):
    """An Intram account: the three API keys, and the store that the checkout page shows.

    `store` is a name, or a mapping of name, postal_adress, logo_url, web_site_url, phone, template
    and color; `extra={"store": {…}}` replaces single fields of it for one order. `merchant_key`
    (marchand_id) is optional since 2026. `keys_in_body=True` repeats the keys in the body, as until
    2025; Intram ignores them there.

    `collect` opens a checkout page, and needs `return_url` and `cancel_url`. The keys decide
    whether it is the sandbox.
    """

    name = "intram"
    # Outgoing connections to port 4002 must be allowed. One URL for both modes: the keys decide.
    live_url = "https://webservices.intram.org:4002/api/v1"
    sandbox_url = live_url
    currencies = frozenset({"XOF"})
    countries = frozenset({"BJ"})
    # backend/http.md: a request has no id of ours, and only Intram's transaction_id can be looked
    # up. When "unknown" is final is not published.
    facts: ClassVar[Mapping[Kind, Facts]] = {
        "collect": Facts(deduplicates=False, findable=False, not_found_final_after=None)
    }
    # The nested form has the status twice. If one of the words is unknown, the other is in doubt.
    speaks: ClassVar[Mapping[str, StatusWords]] = {
        "status": WORDS,
        "transaction._status": WORDS,
        "error": ERROR,
    }
    required = frozenset({"public_key", "private_key", "secret"})
    takes: ClassVar[frozenset[Option]] = frozenset(
        {
            "description",
            "items",
            "taxes",
            "metadata",
            "return_url",
            "cancel_url",
            "webhook_url",
        }
    )
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
        if not coerce.is_a(self.keys_in_body, bool):
            raise UsageError.field("keys_in_body", self.keys_in_body, "True or False")
        wrong, mode = (_SANDBOX_KEY, "sandbox") if self.live else (_LIVE_KEY, "live")
        for field in ("public_key", "private_key", "secret", "merchant_key"):
            if wrong.match(reveal(getattr(self, field))):
                accepted = f"no {mode} key, as by its prefix it is, with live={self.live}"
                raise UsageError.hidden(field, accepted)

    def authorize(self, request: Request[Any], token: str | None) -> Request[Any]:
        """Sign with the keys in headers; the fourth header if `merchant_key` is set."""
        headers = {
            "X-API-KEY": reveal(self.public_key),
            "X-PRIVATE-KEY": reveal(self.private_key),
            "X-SECRET-KEY": reveal(self.secret),
        }
        if self.merchant_key:
            headers["X-MARCHAND-KEY"] = reveal(self.merchant_key)
        return request.with_headers(headers)

    def judge(self, request: Request[Any], reply: Response) -> ProviderError | None:
        """Return the error of a body with `error: true`, which comes with HTTP 200, 400 and 401.

        HTTP 500 proves nothing, whatever its body says. Intram's Node client tests the flag and not
        the status:
        https://github.com/suntechdevs/intram-nodejs/blob/0eed6d3/vendor/lib/checkoutInvoice.js
        """
        said = reply.read(Transaction)
        if said is None or str(said.error).lower() not in ("true", "1"):
            return super().judge(request, reply)
        message = said.message or ""
        # A look-up may be refused with words that are not published, and succeed later.
        no = Rejected if request.money else ProviderError
        kind = {200: no, 400: Rejected, 401: AuthenticationFailed}.get(reply.status)
        if kind is None:
            return super().judge(request, reply)
        # The only documented message, without an HTTP status: backend/http.md.
        if message.lower() == "invalid api keys":
            kind = AuthenticationFailed
        return kind(message, code=said.status)

    async def collect(self, send: Send, order: Order) -> Payment:
        """Open a checkout page: always PENDING, because no payer is charged before paying there."""

        def answers(said: Transaction) -> bool:
            seen = self.payment(said)
            if said.charged not in (None, order.amount):
                raise Unreadable("the answer is about another amount")
            if seen.currency not in (None, order.currency):
                raise Unreadable("the answer is about another currency")
            if not said.page:
                raise Unreadable("the answer has no address of a page")
            if seen.status in _FAILURES:
                raise Unreadable("the page that was opened has failed already")
            if not seen.provider_reference:
                raise Unreadable("the answer has no transaction_id")
            return True

        request = post(
            "/payments/request",
            Transaction,
            body(order, self.store, self._keys() if self.keys_in_body else None),
            # Each POST makes another page, with an id chosen by Intram (no field of the request
            # identifies it, backend/http.md). Intram shows the page to no payer: only we get its
            # URL.
            repeatable=True,
            matches=answers,
        )
        said = await send(request)
        return msgspec.structs.replace(
            self.payment(said),
            reference=order.reference,
            status=Status.PENDING,
            checkout_url=said.page,
            receipt_url=None,
        )

    def _keys(self) -> dict[str, str]:
        return {
            "public": reveal(self.public_key),
            "private": reveal(self.private_key),
            "secret": reveal(self.secret),
        }

    async def verify(self, send: Send, payment: Payment) -> Payment:
        """Ask for a transaction by Intram's id."""
        asked = payment.provider_reference or ""
        if not ID.fullmatch(asked):
            accepted = "Intram's transaction_id"
            raise UsageError.field("provider_reference", payment.provider_reference, accepted)
        request = get(
            "/transactions/confirm/{id}",
            Transaction,
            at={"id": asked},
            matches=Transaction.answers_confirm,
        )
        return self.payment(await send(request), asked)

    def webhook(self, incoming: WebhookRequest) -> Event:
        """Read a callback, JSON or form: unsigned, so it is a hint.

        backend/nodejs-api-client.md promises a hash, but its fields, algorithm and key are not
        published. The flat form has no id either: only its own callback path says which payment it
        is about.
        """
        return self._event(self.message(Transaction, incoming))

    def returned(self, url: str) -> Event:
        """Read the URL to which the payer's browser returned.

        It has `?token=…`, or, in the Readme, `?STATUS=…?transaction_id=…`.
        """
        query = url.partition("#")[0].partition("?")[2].replace("?", "&")
        said = self.message(dict[str, str], WebhookRequest(method="GET", query=query))
        token = first(said.get("transaction_id"), said.get("token"))
        if token is None:
            raise Unreadable("no transaction id in the address")
        return self._event(Transaction(status=said.get("STATUS"), transaction_id=token))

    def _event(self, said: Transaction) -> Event:
        claims = self.payment(said)
        if claims.provider_reference is None and claims.provider_status is None:
            raise Unreadable("neither a transaction id nor a status")
        return self.event(claims)

    def payment(
        self, said: Transaction, asked: str | None = None, kind: Kind = "collect"
    ) -> Payment:
        """Read what Intram says in an answer, a callback or a return URL."""
        nested = said.nested
        invoice = said.invoice
        status, reason = self.outcome(
            {
                "status": said.status,
                "transaction._status": nested.status,
                "error": "true" if said.error is True else text(said.error),
            }
        )
        custom = first_fields(
            said.custom_data, said.custom_datas, invoice.custom_datas, invoice.custom_data
        )
        reference = custom.pop(REFERENCE_KEY, None)
        own = said.id
        public = nested.reference
        charged = said.charged
        words = dict.fromkeys(filter(None, (said.status, nested.status)))
        return Payment(
            account=self.account,
            provider=self.name,
            live=_ENVIRONMENTS.get(first(first_fields(nested.marchand).get("_env")), self.live),
            reference=first(reference),
            # The answer to a look-up by the short public reference (`_reference`) has both ids.
            provider_reference=asked if own is None or (asked and asked == public) else own,
            ids={"_reference": public} if public else {},
            status=status,
            # A pending transaction may have amount 0 while nothing is paid.
            amount=(charged or None) if status is Status.PENDING else charged,
            currency=(said.currency or invoice.currency or "").upper() or None,
            payer=_number(said.account_number),
            operator=said.source,
            fee=amount(said.fees),
            receipt_url=said.receipt_url if status is Status.SUCCEEDED else None,
            provider_status="/".join(words) or None,
            reason=reason,
            message=said.message,
            customer=_customer(first_fields(said.customer)),
            metadata=custom,
            created_at=parse_time(nested.created_at),
        )


def _number(shown: str | None) -> str | None:
    # It is often masked: 22996XXXXXX.
    return shown if shown and _NUMBER.fullmatch(shown) else None


def _customer(buyer: Mapping[str, Any]) -> Customer | None:
    if not buyer:
        return None
    return Customer(
        name=first(buyer.get("name")),
        email=first(buyer.get("email")),
        phone=first(buyer.get("phone")),
    )
