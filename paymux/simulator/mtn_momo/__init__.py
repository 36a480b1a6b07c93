"""MTN MoMo on the wire, from its portal and its notebook; both platforms of 2026.

The portal: https://momodeveloper.mtn.com (content/html_widgets 3fbhs, XCaGL, ekANR, o46rh, ixlfy;
numbers 881wm and l4KRt; callbacks sefqs and 23i2x). The notebook, with what the sandbox answered:
https://github.com/MoMoOpenAPI/MoMoOpenAPI_SandBox @d19708c. The platform of 2026, below
/momo.africa here: the notes of https://pypi.org/project/momo-openapi/ 0.1.2. Credentials: each
subscription key, API user and API key is "simulator"; further users can be made.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import ClassVar, Literal
from urllib.parse import urlsplit

import msgspec

from ...http import Response, WebhookRequest
from ...models import Kind, Reason, Status
from ..base import Provider, magic
from ..core import SimulatorCore
from ..ledger import Entry, Outcome
from ..messages import Message
from ..replies import Refused, json_reply, segments
from ..tokens import Tokens
from .checks import CURRENCIES, bad_request, order_body, party, reference_id, target
from .messages import error, gateway, transaction
from .numbers import meaning
from .users import Users, user_agent

_NEW = "momo.africa"  # the first part of the paths of the platform of 2026
# Of the path of an order: its product, its kind, and the field of the other party.
_APIS: Mapping[tuple[str, str], tuple[Kind, str]] = {
    ("collection", "requesttopay"): ("collect", "payer"),
    ("disbursement", "transfer"): ("payout", "payee"),
    ("disbursement", "deposit"): ("payout", "payee"),
    ("disbursement", "refund"): ("refund", ""),
}


class MtnMomo(Provider):
    """MTN's API; a test may change every attribute set in `__init__`."""

    name = "mtn_momo"
    hosts = frozenset(
        {"sandbox.momodeveloper.mtn.com", "proxy.momoapi.mtn.com", "momoapi.momo.africa"}
    )
    credentials: ClassVar[Mapping[str, str]] = {"target": "mtnuganda"} | {
        f"{product}_{part}": "simulator"
        for product in ("collection", "disbursement")
        for part in ("key", "user", "api_key")
    }
    # Ours; the sandbox's own numbers, 46733123450 to 64, are in numbers.py. Any other pays.
    numbers: ClassVar[Mapping[str, Outcome]] = magic("25677200000", success="7")
    shapes = ("callback_method", ("PUT", "POST"))
    balances = frozenset({"funds"})
    stays = ("magic", "tokens", "users")

    def __init__(self, world: SimulatorCore) -> None:
        super().__init__(world)
        self.tokens = Tokens(3600)
        self.users = Users()
        self.callback_method: Literal["PUT", "POST"] = "PUT"  # the portal; integrators see POST
        self.reason_shape: Literal["text", "object"] = "text"  # the sandbox; the portal's schema
        self.receipts = True  # the sandbox's deposit came without financialTransactionId
        self.callback_host: str | None = None  # as registered; None: any
        self.note_chars = 160  # of one table; another one has 128
        self.funds = Decimal(1_000_000)  # for payouts and refunds
        self.token_seconds = 0.0  # a login may take 10 to 20 on the platform of 2026
        self.repeated: Literal["refuse", "join"] = "refuse"  # a second request with one id
        # for an id that was never used: both codes are in one list
        self.unknown: Literal["RESOURCE_NOT_FOUND", "NOT_FOUND"] = "RESOURCE_NOT_FOUND"
        self.refused_agents = ("python-requests",)
        self._logins = 0

    async def answer(self, incoming: WebhookRequest) -> Response:
        """Answer both platforms; a payment of one is not known on the other."""
        platform, path = "proxy", segments(incoming)
        if path[:1] == [_NEW]:
            platform, path = "africa", path[1:]
        elif incoming.headers.get("host", "").endswith(_NEW):
            platform = "africa"
        user_agent(self, incoming, platform)
        if incoming.headers.get("ocp-apim-subscription-key") != "simulator":
            said = "Access denied due to invalid subscription key."
            return gateway(401, f"{said} Make sure to provide a valid key.")
        match incoming.method, *path:
            case "POST", "v1_0", "apiuser":
                return self.users.make(incoming)
            case "POST", "v1_0", "apiuser", user, "apikey":
                return self.users.make_key(user, f"{self.core.random.getrandbits(128):032x}")
            case "GET", "v1_0", "apiuser", user:
                return self.users.show(user)
            case "POST", ("collection" | "disbursement") as product, "token":
                await self.core.pause(self.token_seconds)
                return self._login(incoming, platform, product)
            case _, ("collection" | "disbursement") as product, "v1_0" | "v2_0", *rest:
                user = self._signed(incoming, platform, product)
                return self._api(incoming, platform, product, rest, user)
        return gateway(404, "Resource not found")

    def _api(
        self, incoming: WebhookRequest, platform: str, product: str, path: list[str], user: str
    ) -> Response:
        match incoming.method, *path:
            case "POST", api if (product, api) in _APIS:
                return self._order(incoming, platform, product, api, user)
            case "GET", api, named if (product, api) in _APIS:
                return self._status(platform, api, named)
            case "POST", "requesttopay", named, "deliverynotification":
                known = self._named(platform, "requesttopay", named)
                return error("RESOURCE_NOT_FOUND") if known is None else Response(status=200)
            case "GET", "account", "balance", *_:
                held = self.funds if product == "disbursement" else self._collected(platform)
                currency = CURRENCIES[target(incoming)]
                return json_reply({"availableBalance": str(held), "currency": currency})
            case "GET", "accountholder", "msisdn", number, "active":
                return self._active(number)
            case "GET", "accountholder", "msisdn", _, "basicuserinfo":
                return json_reply(
                    {
                        "given_name": "Sand",
                        "family_name": "Box",
                        "birthdate": "1976-08-13",
                        "locale": "sv_SE",
                        "gender": "MALE",
                        "status": "ACTIVE",
                    }
                )
        return gateway(404, "Resource not found")

    def message(self, entry: Entry, *, forged: bool = False) -> Message | None:
        """Make the callback: the body of a status, once, by PUT, and signed by nothing."""
        url = entry.words["callback"]
        if not url:
            return None
        told = transaction(entry, self.reason_shape, self.receipts)
        if forged:
            told["status"] = "SUCCESSFUL"
            told.pop("reason", None)
        return msgspec.structs.replace(Message.json(url, told), method=self.callback_method)

    def throttled(self) -> Response:
        """Refuse as the API gateway does; the portal states no limit."""
        return gateway(429, "Rate limit is exceeded. Try again in 1 seconds.")

    def stale(self, incoming: WebhookRequest) -> Response:
        """Refuse a token, as the API gateway does."""
        return gateway(401, "Unauthorized. Access token is missing or invalid.")

    def settle(self, entry: Entry, outcome: Outcome) -> None:
        """Decide an order; what leaves is taken from the funds."""
        before = entry.moved
        super().settle(entry, outcome)
        if entry.kind != "collect" and entry.moved and not before:
            self.funds -= entry.amount

    def _login(self, incoming: WebhookRequest, platform: str, product: str) -> Response:
        user = self.users.check(incoming, platform)
        self._logins += 1
        life = int(self.tokens.life or 3600)
        text = f"{platform}.{product}.{user}.{self.core.random.getrandbits(128):032x}"
        token = self.tokens.issue(text)
        return json_reply({"access_token": token, "token_type": "access_token", "expires_in": life})

    def _signed(self, incoming: WebhookRequest, platform: str, product: str) -> str:
        """Check the token, which is good on one platform and for one product; return its user."""
        scheme, _, token = incoming.headers.get("authorization", "").partition(" ")
        of = token.split(".")
        if scheme != "Bearer" or token not in self.tokens or of[:2] != [platform, product]:
            raise Refused(self.stale(incoming))
        return of[2]

    def _order(
        self, incoming: WebhookRequest, platform: str, product: str, api: str, user: str
    ) -> Response:
        kind, field = _APIS[product, api]
        named = reference_id(incoming, user)
        environment = target(incoming)
        url = incoming.headers.get("x-callback-url", "")
        if self.callback_host is not None and url and urlsplit(url).hostname != self.callback_host:
            return error("INVALID_CALLBACK_URL_HOST")
        body = order_body(incoming, environment, self.note_chars)
        party_type, number = party(body, field) if field else (None, None)
        if api == "refund" and not isinstance(body.get("referenceIdToRefund"), str):
            return bad_request()
        if any(self._named(platform, other, named) for _, other in _APIS):
            joins = self.repeated == "join"
            return Response(status=202) if joins else error("RESOURCE_ALREADY_EXIST")
        entry = self.open(
            kind,
            named,
            reference=body["externalId"],
            provider_reference=named if platform == "proxy" else f"{platform}:{named}",
            amount=Decimal(str(body["amount"])),
            currency=body["currency"],
            party=number,
            platform=platform,
            api=api,
            amount_said=str(body["amount"]),
            party_type=party_type,
            receipt=str(self.core.random.randrange(10**8, 10**10)),
            callback=url,
            cause=None,
            refund_of=body.get("referenceIdToRefund"),
            notes={name: body[name] for name in ("payerMessage", "payeeNote")},
        )
        self._ring(entry, api, platform)
        return Response(status=202)

    def _ring(self, entry: Entry, api: str, platform: str) -> None:
        found = meaning(api, entry.party)
        refused = self._refused(entry, platform)
        if found is None and refused is None:
            self.ring(entry)
            return
        outcome, entry.words["cause"] = refused or found or (Outcome(Status.PENDING), None)
        self.ring(entry, outcome)

    def _refused(self, entry: Entry, platform: str) -> tuple[Outcome, str] | None:
        """Return why money cannot leave: a request for it is accepted, and fails later."""
        if entry.kind == "refund":
            paid = self._named(platform, "requesttopay", str(entry.words["refund_of"]))
            if paid is None or not paid.moved:
                return Outcome(Status.FAILED), "TRANSACTION_NOT_FOUND"
            entry.party, entry.words["party_type"] = paid.party, paid.words["party_type"]
            given = [
                one.amount
                for one in self.entries()
                if one.words["refund_of"] == entry.words["refund_of"]
                and one.status in (Status.PENDING, Status.SUCCEEDED)
            ]
            if sum(given, Decimal(0)) > paid.amount:
                return Outcome(Status.FAILED, Reason.LIMIT), "PAYEE_LIMIT_REACHED"
        if entry.kind != "collect" and entry.amount > self.funds:
            return Outcome(Status.FAILED, Reason.INSUFFICIENT_FUNDS), "NOT_ENOUGH_FUNDS"
        return None

    def _named(self, platform: str, api: str, named: str) -> Entry | None:
        """Return the order of an API with this X-Reference-Id, on one platform."""
        key = named.lower() if platform == "proxy" else f"{platform}:{named.lower()}"
        found = self.entry(key)
        return found if found is not None and found.words["api"] == api else None

    def _status(self, platform: str, api: str, named: str) -> Response:
        found = self._named(platform, api, named)
        if found is None:
            return error(self.unknown)
        return json_reply(transaction(found, self.reason_shape, self.receipts))

    def _collected(self, platform: str) -> Decimal:
        moved = (
            one.amount
            for one in self.entries()
            if one.kind == "collect" and one.moved and one.words["platform"] == platform
        )
        return sum(moved, Decimal(0))

    def _active(self, number: str) -> Response:
        """Answer for the numbers of the page: 50 is not found, 51 not active."""
        if number.endswith("46733123450"):
            return error("RESOURCE_NOT_FOUND")
        return json_reply({"result": not number.endswith("46733123451")})
