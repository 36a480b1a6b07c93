"""CinetPay's transfer API: money to mobile money accounts of ten countries.

https://docs.cinetpay.com/api/1.0-fr/transfert/utilisation, and its pages etapes, notification,
statuts, annexe and whitelisting. Checkout pages, by which payers pay, are the driver `cinetpay`.

Setup. `apikey` is that of the menu "Integrations" of the back office (app-new.cinetpay.com);
`password` is not that of the back office, but one for transfers, which is defined there, too.
Transfers have a balance of their own: fund it from the balance of payments, or nothing can be sent.
Have the fixed address from which you send registered, by an e-mail from the account's address to
support.technique@cinetpay.com (…/transfert/whitelisting): a transfer from elsewhere is accepted and
waits as NOS, until a person confirms it in the back office (`Pool(proxy=…)` or `local_address=…`
gives a fixed address). The notification address goes with each order, so nothing is registered for
it, but it must be reachable by GET and POST. There is no sandbox: `live=True`.
"""

from collections.abc import Mapping
from functools import partial
from typing import Any, ClassVar, Literal

import msgspec

from ...errors import ProviderError, RateLimited, UsageError
from ...http import Request, Response, Send, WebhookRequest, get, post
from ...models import Balance, Event, Kind, Order, Payment, Status
from ...primitives.redaction import Secret
from ...values.parsing import Unreadable, amount, parse_time
from ...values.status_words import StatusWords, normalized
from ..base import Driver, Facts, Option, Token, reveal
from . import sending
from .answers import CODES, WAITS, WORDS, Answer, Row, Wallet

__all__ = ["Answer", "CinetPayTransfer"]

_LOGIN = "/v1/auth/login"
_LANG = {"lang": "en"}  # of descriptions; "en ou fr"
_BALANCE = get("/v1/transfer/check/balance", Wallet, matches=Wallet.answers)
_CHECK = get("/v1/transfer/check/money", Answer)
_NO_ANSWER = Answer()
_WAITING = (
    "it waits for a confirmation in CinetPay's back office, perhaps for ever: "
    "register the address from which you send"
)


class CinetPayTransfer(Driver, frozen=True, kw_only=True):
    """The transfer balance of an account at CinetPay, in one currency: it pays out.

    `CinetPayTransfer(apikey="…", password="…", currency="XOF", live=True)`.

    Our reference is the `client_transaction_id`, which CinetPay takes once: `find` works by it.
    `payout` makes the payee a contact, then sends; its options are `customer`, whose name and
    e-mail the contact gets, and `extra={"payment_method": …}`, CinetPay's word for an operator.
    The amount is a multiple of 5.
    """

    name = "cinetpay_transfer"
    live_url = "https://client.cinetpay.com"
    # Whole units: the samples have no other, and integrators send multiples of 5.
    decimals: ClassVar[Mapping[str, int]] = {"XOF": 0, "XAF": 0, "GNF": 0, "CDF": 0}
    currencies = frozenset(decimals)
    countries = frozenset(sending.PREFIXES.values())
    facts: ClassVar[Mapping[Kind, Facts]] = {
        "payout": Facts(
            # 805 CLIENT_TRANSACTION_ID_EXIST (annexe). How long it is remembered is unknown.
            deduplicates=True,
            # A check takes client_transaction_id: integrators, and the notification's page.
            findable=True,
            # 723 NOT_FOUND: integrators wait and ask again; no page says when it is final.
            not_found_final_after=None,
        )
    }
    speaks: ClassVar[Mapping[str, StatusWords]] = {"treatment_status": WORDS, "code": CODES}
    # No page shows the answer to a check; integrators read its word alone.
    proofs: ClassVar[Mapping[str, tuple[str, ...]]] = {"transfer": ()}
    required = frozenset({"apikey", "password"})
    identity = frozenset({"currency"})
    takes: ClassVar[frozenset[Option]] = frozenset({"customer", "webhook_url"})
    settings = frozenset({"payment_method"})  # no page lists its words, and integrators' differ
    payer = "none"
    finds_by: ClassVar[Mapping[Kind, frozenset[Literal["reference", "receipt"]]]] = {
        "payout": frozenset({"reference"})
    }
    token_life = 300.0  # "Its lifetime is 5min"
    login_fields = ("apikey", "password")
    watch_timeout = 900.0
    first_look = 5.0

    apikey: Secret | str = ""
    password: Secret | str = ""
    currency: str = "XOF"  # of the account; no answer states it

    def __post_init__(self) -> None:
        """Check the fields."""
        super().__post_init__()
        if self.currency not in self.currencies:
            raise UsageError.field("currency", self.currency, ", ".join(sorted(self.currencies)))

    @property
    def own_currencies(self) -> frozenset[str]:
        """The currency of the account: the number in an order would be paid in it."""
        return frozenset({self.currency})

    async def token(self, send: Send) -> Token | None:
        """Log in, for five minutes."""
        body = {"apikey": reveal(self.apikey), "password": reveal(self.password)}
        request = post(
            _LOGIN, Answer, body, money=False, form=True, matches=Answer.answers_login
        ).with_query(_LANG)
        return Token(Secret((await send(request)).token))

    def authorize(self, request: Request[Any], token: str | None) -> Request[Any]:
        """Put the token into the query, where this API has it; queries are never logged."""
        return request.with_query({"token": token or "", **_LANG})

    def judge(self, request: Request[Any], reply: Response) -> ProviderError | None:
        """Read the code of the envelope or of its row; under HTTP 3xx and 5xx it proves nothing."""
        if reply.status < 300 or 400 <= reply.status < 500:
            said = reply.read(Answer) or _NO_ANSWER
            error = said.refusal(
                money=request.money,
                logs_in=request.path == _LOGIN,
                adds=request.path == sending.CONTACT,
            )
            if error is not None:
                return error
        error = super().judge(request, reply)
        # Another's 404 or 400 refuses no contact, and so no payout: nothing was sent yet.
        if request.path == sending.CONTACT and not isinstance(error, RateLimited):
            return None
        return error

    async def payout(self, send: Send, order: Order) -> Payment:
        """Send money to a number.

        The amount is a multiple of 5, of at most 1,500,000 XOF; the least differs by country, and
        CinetPay refuses what is below it. REJ is told by `verify`, hours later, too.
        """
        return await sending.payout(self, send, order)

    async def verify(self, send: Send, payment: Payment) -> Payment:
        """Ask for a transfer, by our reference if there is one, else by CinetPay's id.

        By ours, so that an id that only a notification claims is never asked for in its place.
        """
        client, ours = payment.reference, payment.provider_reference
        if not (client or ours):
            why = "CinetPay is asked by it, or by provider_reference"
            raise UsageError.missing("reference", why)
        query = {"client_transaction_id": client} if client else {"transaction_id": ours or ""}
        matches = partial(Answer.answers_check, client=client, ours=None if client else ours)
        said = await send(_CHECK.with_query(query).with_body(None, matches))
        found = self.payment(said.row(), None if client else ours)
        if found.reference is None:  # an integrator's sample of an answer has the word alone
            return msgspec.structs.replace(found, reference=client)
        return found

    async def find(self, send: Send, payment: Payment) -> Payment:
        """Ask for a transfer by our reference."""
        return await self.verify(send, payment)

    async def balance(self, send: Send) -> Balance:
        """Ask for the balance of transfers: what is not held for those that wait."""
        wallet = await send(_BALANCE)
        held = amount(wallet.available)
        if held is None:
            raise Unreadable("no available balance")
        return Balance(currency=self.currency, available=held)

    def webhook(self, incoming: WebhookRequest) -> Event:
        """Read a notification, which is unsigned: a hint; a GET only checks that we answer."""
        if incoming.method in ("GET", "HEAD"):
            return self.event(self.payment(Row()), ping=True)
        said = self.message(Row, incoming)
        if not (said.client_transaction_id or said.transaction_id):
            raise Unreadable("neither client_transaction_id nor transaction_id")
        return self.event(self.payment(said))

    def party(self, kind: Kind, value: str, currency: str = "") -> str:
        """Read a payee's number; it must be of a country of the account's currency."""
        payee = super().party(kind, value, currency or self.currency)
        return sending.checked_payee(payee, currency or self.currency)

    def message_of(self, said: Row) -> str | None:
        """Return what a person should know of a transfer: its comment, and what NOS waits for."""
        waits = _WAITING if normalized(said.treatment_status or "") == WAITS else None
        return "; ".join(filter(None, (said.comment, waits))) or None

    def payment(self, said: Row, asked: str | None = None, kind: Kind = "payout") -> Payment:
        """Read a transfer in an answer or a notification."""
        status, reason = self.outcome(
            {"treatment_status": said.treatment_status, "code": said.code}
        )
        found = Payment(
            account=self.account,
            provider=self.name,
            kind=kind,
            live=self.live,
            reference=said.client_transaction_id,
            provider_reference=said.transaction_id or asked,
            ids={"lot": said.lot} if said.lot else {},
            status=status,
            amount=amount(said.amount),
            currency=self.currency,
            # A national number is compared with the one that was ordered, which stays.
            payee=(said.receiver_e164 or said.receiver or "").lstrip("+") or None,
            operator=said.operator,
            receipt=said.operator_transaction_id,
            provider_status=said.treatment_status,
            reason=reason,
            message=self.message_of(said),
            paid_at=parse_time(said.validated_at) if status is Status.SUCCEEDED else None,
        )
        return self.proved(found, "transfer")
