"""MTN MoMo (14 countries): collects, payouts and refunds in a country's currency.

The pages are https://momodeveloper.mtn.com and https://momoapi.mtn.com; what they say of errors is
in content/html_widgets/3fbhs, XCaGL, ekANR, o46rh and ixlfy. MTN's own notebook:
https://github.com/MoMoOpenAPI/MoMoOpenAPI_SandBox @d19708c. The platform of 2026:
https://pypi.org/project/momo-openapi/ 0.1.2 (its notes; one source alone).

Setup:

1. On momodeveloper.mtn.com subscribe to Collection, and to Disbursement for payouts and refunds.
   The profile shows a subscription key for each: `collection_key`, `disbursement_key`.
2. In the sandbox, each product's API user and API key are made by us, with the host of
   `webhook_base`: `paymux run mtn_momo provision --callback_host shop.example`, which with
   `--product disbursement` makes the other ones. A live account's are made in MTN's partner portal,
   where the callback host is registered, too: `collection_user`, `collection_api_key`, and those of
   the disbursement.
3. `id_key`: a text of your own, of 16 characters or more, that is never changed. `target` is the
   country, such as "mtncameroon", and `platform` is "proxy" (proxy.momoapi.mtn.com) or "africa"
   (momoapi.momo.africa, since autumn 2026). `base_url` is for a country's own host.
4. When an account moves to the other platform, its credentials change. Until the payments of the
   old one have ended, keep those as `other_collection_key` and so on: each payment is asked where
   it was processed (`ids["platform"]`), and refunded there.

A sandbox pays in EUR alone. Live disbursements need your address to be known to MTN (HTTP 403).
"""

import base64
from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from ...errors import ProviderError, UsageError
from ...http import Request, Response, Send, WebhookRequest, get, post
from ...models import Balance, Event, Kind, Order, Payment
from ...primitives.redaction import Secret
from ...values.parsing import Unreadable, amount
from ...values.status_words import StatusWords
from ..base import Facts, Option, Token
from . import people, sandbox
from .account import Account, checked_login, credentials, own_id
from .answers import (
    PAYOUT_REASON,
    REASON,
    STATUS,
    Login,
    Transaction,
    Wallet,
)
from .errors import refusal
from .orders import OF_KIND, look, move
from .places import login_parts
from .reading import read

# A second request with the same X-Reference-Id is 409; it is also what a payment is asked by. Not
# found "implies" that a request was not made (3fbhs), but so answers the wrong product, country or
# platform: nothing proves it.
_FACTS = Facts(deduplicates=True, findable=True, not_found_final_after=None)


class MtnMomo(Account, frozen=True, kw_only=True):
    """An account at MTN in one country: for each product a subscription key, API user and API key.

    `MtnMomo(target="mtncameroon", platform="proxy", live=True, id_key="…", collection_key="…",
    collection_user="…", collection_api_key="…")`. Payouts are transfers, or with `extra={"api":
    "deposit"}` deposits. The module says where the credentials are found, and what `target`,
    `platform` and `id_key` are.
    """

    facts: ClassVar[Mapping[Kind, Facts]] = {
        "collect": _FACTS,
        "payout": _FACTS,
        "refund": _FACTS,
    }
    finds_by: ClassVar[Mapping[Kind, frozenset[Literal["reference", "receipt"]]]] = {
        kind: frozenset({"reference"}) for kind in OF_KIND
    }
    takes: ClassVar[frozenset[Option]] = frozenset({"description", "webhook_url"})
    refund_takes: ClassVar[frozenset[Option]] = frozenset({"webhook_url"})
    settings = frozenset({"api"})
    speaks: ClassVar[Mapping[str, StatusWords]] = {
        "status": STATUS,
        "reason": REASON,
        "payout reason": PAYOUT_REASON,
    }
    # Each documented success has both; the sandbox's deposit has no financialTransactionId.
    proofs: ClassVar[Mapping[str, tuple[str, ...]]] = {"transaction": ("amount", "currency")}
    token_life = 1800.0  # half of the only lifetime that was seen
    watch_timeout = 600.0  # a payer has about five minutes to approve: page "Error Codes"

    async def login(self, send: Send, name: str) -> Token | None:
        """Log in to a product on a platform; it may take 20 seconds on the platform of 2026."""
        if not name:
            return None  # making an API user needs no token
        key, user, api_key = credentials(self, name)
        pair = base64.b64encode(f"{user}:{api_key}".encode()).decode()
        headers = {"Ocp-Apim-Subscription-Key": key, "Authorization": f"Basic {pair}"}
        platform, product = login_parts(name)
        if platform == "africa":
            headers["X-Target-Environment"] = self.target
        # Without a body, but with Content-Length: 0: else it is 411, or the page of a firewall.
        path = f"/{product}/token/"
        said = await send(post(path, Login, None, money=False, headers=headers, login=name))
        return Token(Secret(said.access_token), said.expires_in)

    def authorize(self, request: Request[Any], token: str | None) -> Request[Any]:
        """Sign with the token and the subscription key of the request's product."""
        if not request.login:
            return request
        key, _, _ = credentials(self, request.login)
        headers = {
            "Authorization": f"Bearer {token}",
            "X-Target-Environment": self.target,
            "Ocp-Apim-Subscription-Key": key,
        }
        return request.with_headers(headers)

    def judge(self, request: Request[Any], reply: Response) -> ProviderError | None:
        """Return an error for a listed code, a refused credential and the gateway's own refusals.

        A firewall's page comes with 200: money is accepted by 202 alone.
        """
        if reply.status >= 400:
            return refusal(request, reply) or super().judge(request, reply)
        if request.money and reply.status != 202:
            raise Unreadable("the answer is no 202")
        return None

    async def collect(self, send: Send, order: Order) -> Payment:
        """Ask a payer to approve on the phone, which is possible for about five minutes."""
        if order.extra:
            raise UsageError.field("extra", dict(order.extra), "nothing for a collect")
        return await move(self, send, order, "requesttopay")

    async def payout(self, send: Send, order: Order) -> Payment:
        """Send money to a number, by a transfer or a deposit."""
        api = order.extra.get("api", "transfer")
        if api not in OF_KIND["payout"]:
            raise UsageError.field("api", api, ", ".join(OF_KIND["payout"]))
        return await move(self, send, order, api)

    async def refund(self, send: Send, order: Order, payment: Payment) -> Payment:
        """Give back the money of a collect, or a part of it, on the platform that took it."""
        return await move(self, send, order, "refund", payment)

    async def verify(self, send: Send, payment: Payment) -> Payment:
        """Ask for a payment by its X-Reference-Id, on the platform that processed it."""
        return await look(self, send, payment)

    async def find(self, send: Send, payment: Payment) -> Payment:
        """Ask for a payment by the id that our reference has."""
        return await look(self, send, payment)

    async def balance(self, send: Send) -> Balance:
        """Ask for the money that can be paid out; without that product, for what was collected."""
        return await self.balance_of(send, product="disbursement" if self.disbursement_key else "")

    async def balance_of(self, send: Send, *, product: str = "") -> Balance:
        """Ask for the balance of a product: "collection" or "disbursement"."""
        named = people.checked_product(self, product)
        request = get(
            "/{product}/v1_0/account/balance",
            Wallet,
            at={"product": named},
            login=checked_login(self, self.current, named),
        )
        wallet = await send(request)
        total = amount(wallet.available_balance)
        if total is None:
            raise Unreadable("no balance")
        return Balance(currency=wallet.currency or self.currency, available=total)

    async def holder_active(self, send: Send, *, phone: str, product: str = "") -> bool:
        """Ask whether a number has an active account: `product` is the one to ask in."""
        return await people.is_active(self, send, phone, product)

    async def holder(self, send: Send, *, phone: str, product: str = "") -> dict[str, Any]:
        """Ask for the name and the like of an account's holder: personal data, which is not logged.

        It has `given_name`, `family_name`, `birthdate`, `locale`, `gender` and `status`.
        """
        return await people.name_of(self, send, phone, product)

    async def provision(
        self, send: Send, *, callback_host: str, product: str = ""
    ) -> dict[str, str]:
        """Make an API user and its key in the sandbox; return the two fields of the account."""
        return await sandbox.provision(self, send, callback_host, product)

    def webhook(self, incoming: WebhookRequest) -> Event:
        """Read a callback, by PUT or POST: it is sent once, unsigned, and is a hint.

        https://momodeveloper.mtn.com content/html_widgets/sefqs and 23i2x: the body of a status,
        which names no X-Reference-Id; that of a collect follows from our reference.
        """
        said = self.message(Transaction, incoming)
        if not said.status or not (said.external_id or said.reference_id):
            raise Unreadable("neither a status nor a reference")
        named = said.reference_id
        if said.payee is not None:  # of a payout or a refund: only its path tells which
            return self.event(self.payment(said, named, "payout"))
        if named is None and said.external_id:
            named = own_id(self, "collect", said.external_id)
        return self.event(self.payment(said, named))

    def payment(
        self, said: Transaction, asked: str | None = None, kind: Kind = "collect"
    ) -> Payment:
        """Read a transaction in an answer or a message."""
        return read(self, said, asked, kind)
