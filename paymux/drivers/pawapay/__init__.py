"""pawaPay: mobile money of twenty countries of Africa, by one API.

The pages are https://docs.pawapay.io/v2/docs and https://docs.pawapay.io/v2/api-reference. The
driver sends v2, and reads the callbacks of v1 as well.

Setting up: in the dashboard (https://dashboard.sandbox.pawapay.io, then
https://dashboard.pawapay.io) "System configuration" has what is needed. Under "API tokens" generate
a token for `api_token`: each environment has its own. Under "Callback URLs" enter
`pay.webhook_url("pawapay")` for deposits, payouts and refunds alike. Callbacks come from
3.64.89.224 (sandbox), or 18.192.208.15, 18.195.113.136, 3.72.212.107, 54.73.125.42, 54.155.38.214
and 54.73.130.113. `id_key` is a text of your own: the ids of all payments are derived from it, so
it is never changed.

Signatures (`pip install 'paymux[signatures]'`) are switched on there, too: "only accept signed
requests" needs the public key of `signing_key`, whose name is `signing_key_id`; "signed callbacks"
are verified with `callback_keys`, which `await pay.run("pawapay", PawaPay.public_keys)` fetches; a
proxy before the shop must pass on the Host of the address in the dashboard, which is signed.
"""

from datetime import datetime
from typing import Unpack

import msgspec

from ...errors import UsageError
from ...http import Send, WebhookRequest
from ...models import Balance, Event, Kind, Method, Order, Payment, Status, Trust
from ...values import arguments
from ...values.parsing import Unreadable, amount, form_fields, parse_time
from ...values.payment_arguments import checked_payment
from ...values.validation import checked_url
from . import configuration, orders, page, signatures, toolkit
from .account import Account
from .answers import Said
from .configuration import Configuration, Operation
from .page import Shown
from .toolkit import Prediction, Statement, Undocumented, Wallet

__all__ = ["Configuration", "Operation", "PawaPay", "Prediction", "Statement", "Wallet"]


class PawaPay(Account, frozen=True, kw_only=True):
    """An account at pawaPay: its API token, and the key from which the ids are derived.

    `PawaPay(api_token=…, id_key=…, live=True)` is one; `live=False`, of the sandbox, needs no key.
    The operator is `operator=`, or `extra={"provider": "TNM_MWI"}`, else pawaPay predicts it by the
    number. `extra={"pre_authorisation_code": …}` is the code that a payer of Orange Burkina Faso
    has made before. A payer of Wave is led to `checkout_url`, which a look-up brings. `wallet` is
    the wallet of `balance`, such as "ZMB/ZMW". After a refusal (Rejected), an order needs a new
    reference: whether pawaPay takes a refused id again is unknown.
    """

    async def collect(self, send: Send, order: Order) -> Payment:
        """Ask a payer for money: a PIN prompt on the phone, or a page of Wave."""
        return await orders.order(self, send, order)

    async def payout(self, send: Send, order: Order) -> Payment:
        """Send money from the wallet of the payee's country; it may wait for the operator."""
        return await orders.order(self, send, order)

    async def refund(self, send: Send, order: Order, payment: Payment) -> Payment:
        """Give money of a deposit back, in whole or in part; one refund of it at a time."""
        return await orders.refund(self, send, order, payment)

    async def verify(self, send: Send, payment: Payment) -> Payment:
        """Ask for a payment by its UUID."""
        asked = orders.checked_id(payment.provider_reference)
        return await orders.look_up(self, send, payment.kind or "collect", asked)

    async def find(self, send: Send, payment: Payment) -> Payment:
        """Ask for a payment by our reference, from which its UUID is derived."""
        kind, reference = payment.kind or "collect", payment.reference or ""
        found = await orders.look_up(self, send, kind, self.id_of(kind, reference))
        # A deposit of the payment page has no reference of ours beside the id.
        return msgspec.structs.replace(found, reference=found.reference or reference)

    async def balance(self, send: Send) -> Balance:
        """Ask for the money that can be paid out: that of the account's `wallet`."""
        return toolkit.balance(await toolkit.wallets(send), self.wallet)

    async def methods(self, send: Send) -> list[Method]:
        """List the operators at which payers can be asked, and keep their limits."""
        return configuration.methods(await configuration.fetch(self, send))

    async def active_conf(self, send: Send) -> Configuration:
        """Ask what the account may do; for 15 minutes, orders outside its limits are refused."""
        return await configuration.fetch(self, send)

    async def availability(self, send: Send) -> list[Undocumented]:
        """Ask which operators are working."""
        return await toolkit.availability(send)

    async def wallets(self, send: Send) -> list[Wallet]:
        """Ask for the money in each wallet of the account."""
        return await toolkit.wallets(send)

    async def predict(self, send: Send, *, phone: str) -> Prediction:
        """Ask which operator probably serves a number: numbers move, so it is a guess."""
        number = arguments.text("phone", phone, longest=64)
        return await toolkit.predict(send, number)

    async def public_keys(self, send: Send) -> dict[str, str]:
        """Ask for the keys that verify callbacks: `PawaPay(callback_keys=…)`."""
        return await toolkit.keys(send)

    async def statement(
        self,
        send: Send,
        *,
        wallet: str,
        since: datetime,
        until: datetime,
        callback_url: str,
        compressed: bool = False,
    ) -> Statement:
        """Order a CSV file of a wallet such as "ZMB/ZMW", of at most 31 days.

        `callback_url` is told when it is ready, which `statement_of` asks for.
        """
        request = toolkit.statement_request(
            arguments.text("wallet", wallet, longest=64),
            arguments.moment("since", since),
            arguments.moment("until", until),
            checked_url("callback_url", callback_url, http=self.rehearsing),
            compressed=arguments.flag("compressed", compressed),
        )
        return await send(request)

    async def statement_of(self, send: Send, *, statement_id: str) -> Statement:
        """Ask for a statement by the id that `statement` returned."""
        return await toolkit.statement(send, orders.checked_id(statement_id, "statement_id"))

    async def payment_page(
        self, send: Send, *, reference: str, return_url: str, **shown: Unpack[Shown]
    ) -> Payment:
        """Open a page on which a payer chooses operator and number; opening it charges no payer.

        Until the payer presses "Pay", verify raises NotFound; after 15 minutes the page is closed.
        `amount` is in major units, and needs `currency` and `country` (ISO 3166, three letters);
        without one, the payer chooses. Also: `payer`, `description`, `language` ("EN", "FR").
        """
        return await page.open_page(self, send, reference, return_url, shown)

    async def cancel(self, send: Send, *, payment: Payment) -> Undocumented:
        """Ask that a payout or refund be cancelled that still waits for its operator.

        "ACCEPTED" says only that pawaPay tries: the payment's own status says whether it was
        cancelled. Rejected: it waits no more, or is not known.
        """
        payment = checked_payment(payment)
        kind = payment.kind
        if kind not in ("payout", "refund"):
            raise UsageError.field("payment.kind", kind, "payout or refund")
        path = f"{orders.PATHS[kind]}/fail-enqueued/{{id}}"
        id = orders.checked_id(payment.provider_reference)
        return await send(toolkit.action_request(path, id))

    async def resend_callback(self, send: Send, *, payment: Payment) -> Undocumented:
        """Ask for the callback of a payment that has ended to be sent again."""
        payment = checked_payment(payment)
        kind = payment.kind or "collect"
        path = f"{orders.PATHS[kind]}/resend-callback/{{id}}"
        id = orders.checked_id(payment.provider_reference)
        return await send(toolkit.action_request(path, id))

    def webhook(self, incoming: WebhookRequest) -> Event:
        """Read a callback of v2 or v1: without `callback_keys`, it proves nothing."""
        if self.callback_keys:
            signatures.check_callback(self, incoming)
        said = self.message(Said, incoming)
        kind, id = said.named()
        if not orders.UUID.fullmatch(id) or not said.status:
            raise Unreadable("no UUID, or no status")
        trust = Trust.BODY if self.callback_keys else Trust.NOTHING
        return self.event(self.payment(said, id, kind), trust)

    def returned(self, url: str) -> Event:
        """Read the URL to which the payment page sent the browser; it has only the id."""
        id = form_fields(url.partition("?")[2]).get("depositId", "")
        if not orders.UUID.fullmatch(id):
            raise Unreadable("no depositId")
        return self.event(self.payment(Said(deposit_id=id), id))

    def payment(self, said: Said, asked: str | None = None, kind: Kind = "collect") -> Payment:
        """Read a payment in an answer or a callback."""
        status, reason = Status.PENDING, None
        if said.status is not None:
            status, reason = self.outcome({"status": said.status, "failureCode": said.code()})
        details = said.details
        number = details.phone_number or details.misspelt_number or details.value
        told = said.metadata if isinstance(said.metadata, dict) else {}
        found = Payment(
            account=self.account,
            provider=self.name,
            kind=kind,
            live=self.live,
            reference=said.client_reference_id,
            provider_reference=asked,
            status=status,
            amount=amount(said.amount if said.deposited_amount is None else said.deposited_amount),
            currency=said.currency,
            payer=number if kind == "collect" else None,
            payee=number if kind == "payout" else None,
            operator=details.provider or said.correspondent,
            receipt=said.provider_transaction_id,
            checkout_url=said.authorization_url,
            provider_status=said.status,
            reason=reason,
            message=said.failure.failure_message,
            metadata={name: value for name, value in told.items() if isinstance(value, str)},
            created_at=parse_time(said.created),
        )
        return self.proved(found, "payment")
