"""Intram's Merchant API v1: checkout pages, payouts to mobile money and refunds in Benin, in XOF.

https://github.com/suntechdevs/paycfa merchant-api/*.md @585cc6f (May 2026). It is the API of new
accounts; `paymux.Intram` is the one before it, and old payments stay verifiable there.

Each request is accepted first, and carried out later: `collect`, `payout` and `refund` are PENDING,
and a look-up, or a message, says what came of them.

- Each order has a key, made of its reference, by which Intram knows a repeated request for 24
  hours. So an order whose answer was lost is sent again within its verb, for an hour at most, with
  the same bytes; Intram then gives the first answer. No later verb repeats it: after 24 hours the
  same key would pay again. `recover`, `watch` and `find` ask for it by its reference.
- An operation that failed with `provider_error` may have been paid: it stays pending, and its
  `message` says so. Ask Intram's support before you pay it again.
- A refund, whole or of a part, marks the payment REFUNDED at Intram, without an amount: `verify`
  goes on to say that it succeeded.
"""

from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from functools import partial
from typing import Any, ClassVar

import msgspec

from ...errors import BadWebhook, ProviderError, UsageError
from ...http import Request, Response, Send, WebhookRequest, post
from ...models import Balance, Event, Kind, Order, Payment, Trust
from ...primitives.redaction import Secret
from ...values.parsing import Unreadable
from ...values.status_words import StatusWords
from ..base import Driver, Facts, Option, reveal
from . import balance, messages, operations, orders, transactions
from .answers import (
    FAILURE,
    OPERATION,
    OPERATION_ID,
    RESULT,
    TRANSACTION,
    TRANSACTION_ID,
    Answer,
    Operation,
)
from .messages import EVENT, TOLD
from .refusals import refusal
from .signing import KEY_LIFE, check_message, key, signed

# idempotency.md: a repeated key is joined, but only for 24 hours. operations.md: the list has our
# request in each operation; when it has a new one is not stated.
_FACTS = Facts(deduplicates=False, findable=True, not_found_final_after=None)
# The prefixes of keys: sandbox-vs-live.md.
_MODES: Mapping[bool, tuple[str, ...]] = {
    True: ("pk_sandbox_", "sk_sandbox_"),
    False: ("pk_live_", "sk_live_"),
}


class IntramMerchant(Driver, frozen=True, kw_only=True):
    """A merchant account at Intram: its public key, its secret key, and the webhooks' secret.

    Setup. The keys are in the dashboard (https://app.intram.org) under Développeurs, API, in the
    mode SANDBOX or LIVE, which is `live`; the private key is not used. Live keys work only from
    addresses that are entered under Développeurs, IPs autorisées: the pool's `local_address` or
    `proxy` gives a fixed one. The clock must be right to 5 minutes.

    Messages come to a URL that is registered once, for all orders. Make the account without a
    webhook_secret, `IntramMerchant(account="shop", public_key=…, secret_key=…)`, and subscribe:

    ```python no-run
    secret = await pay.run("shop", IntramMerchant.subscribe, url=pay.webhook_url("shop"))
    ```

    `secret.reveal()` is the `webhook_secret`, which Intram tells only then. Without it a message is
    a hint, like an unsigned one.

    `payout` needs `operator="mtn"` or `"moov"`, which cannot be told from a number, or
    `extra={"provider_code": "SBIN_BENIN_229"}` in Intram's words. `payee="bank:BJ06…"` with
    `extra={"swift": "ECOCBJBJ", "account_name": "Ada Lovelace"}` is a wire: the wallet is debited,
    and Intram's office sends it. No page has a word for its end, so that it stays pending until
    `resolve` ends it, by the bank's statement. `collect` opens a page
    (`checkout_url`); with a payer and an operator the page proposes them. If the page is not ready
    within 10 s, `checkout_url` is None, and `watch` or `verify` brings it.

    `base_url`: the documented one is the default; an integrator had to use
    `https://<host>/api/v1/merchant`.
    """

    name = "intram_merchant"
    live_url = "https://api.intram.org/v1"
    sandbox_url = live_url  # the keys decide
    currencies = frozenset({"XOF"})
    countries = frozenset({"BJ"})
    # fontend/javascript.md (2026): of the sandbox.
    test_numbers = frozenset({"2290162000000", "2290194000000"})
    facts: ClassVar[Mapping[Kind, Facts]] = {
        "collect": _FACTS,
        "payout": _FACTS,
        "refund": _FACTS,
    }
    finds_by: ClassVar[Mapping[Kind, frozenset[Any]]] = {
        "collect": frozenset({"reference", "receipt"}),
        "payout": frozenset({"reference"}),
        "refund": frozenset({"reference"}),
    }
    takes: ClassVar[frozenset[Option]] = frozenset(
        {"description", "customer", "metadata", "return_url", "cancel_url", "operator"}
    )
    payout_takes: ClassVar[frozenset[Option]] = frozenset({"description", "metadata", "operator"})
    payees = frozenset({"bank"})
    settings = frozenset({"provider_code", "swift", "account_name"})
    payer = "optional"
    speaks: ClassVar[Mapping[str, StatusWords]] = {
        "status": OPERATION,
        "result.status": RESULT,
        "error.code": FAILURE,
        "transaction.status": TRANSACTION,
        "event": EVENT,
        "data.status": TOLD,
    }
    # A transaction's currency may be null (transactions.md), and a refund's result has none.
    proofs: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "operation": ("amount",),
        "transaction": ("amount",),
    }
    required = frozenset({"public_key", "secret_key"})
    redelivers = True  # after 1 min, 5 min, 30 min and 2 h (webhooks.md)
    # A person fills in the page, and then an operator may take six minutes: troubleshooting.md.
    watch_timeout = 900.0

    public_key: Secret | str = ""
    secret_key: Secret | str = ""
    webhook_secret: Secret | str = ""

    subscribe = messages.subscribe

    def __post_init__(self) -> None:
        """Check the keys; one of the other mode is UsageError."""
        super().__post_init__()
        for field in ("public_key", "secret_key"):
            if reveal(getattr(self, field)).startswith(_MODES[self.live]):
                accepted = f"a key of the other mode, as by its prefix it is, with live={self.live}"
                raise UsageError.hidden(field, accepted)

    def authorize(self, request: Request[Any], token: str | None) -> Request[Any]:
        """Sign with the secret key, which is never sent."""
        return signed(request, reveal(self.public_key), reveal(self.secret_key))

    def judge(self, request: Request[Any], reply: Response) -> ProviderError | None:
        """Return the error of a listed code; any other answer proves nothing of money."""
        return refusal(request, reply) or super().judge(request, reply)

    async def collect(self, send: Send, order: Order) -> Payment:
        """Open a checkout page; no payer is charged before paying there."""
        body = orders.payment_request(order)
        accepted = await self._accepted(send, order, "/payment-requests", body)
        return await operations.with_page(self, send, accepted)

    async def payout(self, send: Send, order: Order) -> Payment:
        """Send money from the merchant's wallet to a mobile money number."""
        return await self._accepted(send, order, "/payouts", orders.payout(order))

    async def refund(self, send: Send, order: Order, payment: Payment) -> Payment:
        """Give back money of a payment, whole or, where the network allows it, a part."""
        paid = payment.ids.get("transaction_reference") or payment.receipt
        if paid is None:
            found = await self.verify(send, payment)
            paid = found.ids.get("transaction_reference")
        if paid is None or not TRANSACTION_ID.fullmatch(paid):
            accepted = "a payment with a transaction, of Intram's page"
            raise UsageError.field("payment", payment.provider_reference, accepted)
        return await self._accepted(send, order, "/refunds", orders.refund(order, paid))

    async def _accepted(
        self, send: Send, order: Order, path: str, body: Mapping[str, Any]
    ) -> Payment:
        request = post(
            path,
            Answer,
            body,
            headers=key(order.kind, order.reference),
            matches=partial(Answer.accepts, order=order),
        )
        return self.payment((await send(request.joined_for(KEY_LIFE))).operation, kind=order.kind)

    async def verify(self, send: Send, payment: Payment) -> Payment:
        """Ask for an operation by Intram's id, or for its transaction, if that is known."""
        asked = payment.provider_reference or ""
        if not OPERATION_ID.fullmatch(asked):
            accepted = "Intram's operation_id, such as op_2f4a8b1c"
            raise UsageError.field("provider_reference", payment.provider_reference, accepted)
        kind = payment.kind or "collect"
        transaction = payment.ids.get("transaction_reference", "")
        if kind == "collect" and TRANSACTION_ID.fullmatch(transaction):
            found = await transactions.look_up(self, send, transaction)
            return msgspec.structs.replace(found, provider_reference=asked)
        return await operations.operation(self, send, asked, kind)

    async def find(self, send: Send, payment: Payment) -> Payment:
        """Ask by our reference, or by the reference that a payer sees on the page (`receipt`)."""
        if payment.reference is not None:
            return await operations.find(self, send, payment)
        if not TRANSACTION_ID.fullmatch(payment.receipt or ""):
            accepted = "the reference of Intram's page, such as AB12CD34EF"
            raise UsageError.field("receipt", payment.receipt, accepted)
        return await transactions.look_up(self, send, payment.receipt or "")

    async def balance(self, send: Send) -> Balance:
        """Ask for the wallet, and what is available in it for each way to pay."""
        return await balance.ask(send)

    def history(
        self, send: Send, since: datetime, until: datetime
    ) -> AsyncIterator[Payment | None]:
        """List the account's transactions from `since` to before `until`, newest first.

        They have Intram's reference as `receipt`, and not ours.
        """
        return transactions.history(self, send, since, until)

    def webhook(self, incoming: WebhookRequest) -> Event:
        """Read a message; with `webhook_secret` one that is not signed with it is BadWebhook."""
        secret = reveal(self.webhook_secret)
        if not secret:
            return messages.event(self, incoming, Trust.NOTHING)
        try:
            check_message(incoming, secret)
        except Unreadable as error:
            raise BadWebhook(f"{self.account}: {error}") from None
        return messages.event(self, incoming, Trust.BODY)

    def payment(self, said: Operation, asked: str | None = None, kind: Kind = "collect") -> Payment:
        """Read an operation."""
        return operations.read(self, said, asked, kind)
