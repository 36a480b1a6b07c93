"""CinetPay's API of 2026: payments, transfers and balances of an account of one country.

No page of it is public. What it answers is as in CinetPay's own client, PyPI cinetpay-python 0.1.0,
and as https://github.com/elinguiuriel/cinetpay-sdk @ad75a94 repeats the sandbox's documentation
("docs" below: docs/cinetpay-sandbox-contract.md, docs/sandbox-testing.md, harness/scenarios).
Credentials: api_key and api_password are "simulator".
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, ClassVar, Literal

from ...http import Response, WebhookRequest
from ...models import Kind, Reason, Status
from ..base import Provider, magic
from ..checkout import serve
from ..core import SimulatorCore
from ..ledger import Entry, Outcome
from ..messages import Message
from ..replies import Refused, fields, html_reply, json_reply, segments
from ..tokens import Tokens
from .checks import Checks
from .messages import error, fee, notice, opened, payment, transfer
from .page import checkout

_SUCCESS, _FAILURE = Outcome(Status.SUCCEEDED), Outcome(Status.FAILED, Reason.DECLINED)
# docs/sandbox-testing.md: "immediate success" and "immediate failure", and a transfer's number.
_AT_ONCE: Mapping[Kind, Mapping[str, Outcome]] = {
    "collect": {"2250707070700": _SUCCESS, "2250707070703": _FAILURE},
    "payout": {"2250707000001": _SUCCESS},
}


class CinetPayV1(Provider):
    """CinetPay's API of 2026; a test may change every attribute set in `__init__`."""

    name = "cinetpay_v1"
    hosts = frozenset({"api.cinetpay.co", "api.cinetpay.net", "secure.cinetpay.net"})
    credentials: ClassVar[Mapping[str, str]] = {
        "api_key": "simulator",
        "api_password": "simulator",
        "country": "CI",
    }
    # The last digits 0, 1, 3, 4 and 6 of 225070707070… and 2250707000001 are the sandbox's own
    # numbers; the others are ours.
    numbers: ClassVar[Mapping[str, Outcome]] = {
        **magic("225070000000", success="7"),
        "2250707070700": _SUCCESS,
        "2250707070701": _SUCCESS,
        "2250707070703": _FAILURE,
        "2250707070704": _FAILURE,
        "2250707070706": Outcome(Status.PENDING),
        "2250707000001": _SUCCESS,
    }
    balances = frozenset({"balance"})

    def __init__(self, world: SimulatorCore) -> None:
        super().__init__(world)
        self.tokens = Tokens(86_400)
        self.country = "CI"  # a key is of one country
        self.currencies = {"XOF"}  # "must match the merchant account currency" (types/transfer.py)
        self.balance = Decimal(1_000_000)
        # One integrator had 1004 for small letters and underscores; the fixtures have "order-123".
        self.strict_ids = True
        self.repeated = 1200  # the code of an id that was used before
        # Whether a payment and a transfer may have the same id: no page says.
        self.shared_ids = False
        self.least = 100  # of a transfer: the docs say 500, cinetpay-python's validator 100
        self.otp_needed = True  # "required for Orange Money in direct mode" (types/payment.py)
        # HTTP statuses, of which no page has any; integrators' fixtures have 400 and 401.
        self.refused = 400
        self.stale_status: Literal[200, 401, 422] = 401
        self.missing = 404
        self.failed = 200  # of a look-up of what failed
        self.stale_code = 1003
        self.waiting = 2002  # the code of a look-up before the decision; of a request it is 2001
        # Amounts of a transfer: text in types/transfer.py, numbers in scenario transfer_success.
        self.texts = True
        # An integrator saw FAILED in the answer to a payment whose page could then be paid.
        self.opens_as = 2001
        self.shop = "Simulator"
        self.page_life = 1800.0  # seconds; no page says when a payment expires
        self._logins = 0
        self._ids: dict[tuple[Kind, str], Entry] = {}

    async def answer(self, incoming: WebhookRequest) -> Response:
        """Answer the API and the payment page."""
        match incoming.method, *segments(incoming):
            case "POST", "v1", "oauth", "login":
                return self._login(incoming)
            case "POST", "v1", "payment":
                return self._pay(self._signed(incoming))
            case "GET", "v1", "payment", id:
                return self._state(incoming, "collect", id)
            case "POST", "v1", "transfer":
                return self._transfer(self._signed(incoming))
            case "GET", "v1", "transfer", id:
                return self._state(incoming, "payout", id)
            case "GET", "v1", "balances":
                self._signed(incoming)
                currency = max(self.currencies)
                told = {"available_balance": f"{self.balance:.2f}", "currency": currency}
                return json_reply({"code": 200, "status": "OK", **told})
            case "GET" | "POST", "payment", token:
                return self._page(incoming, token)
        return html_reply("<!doctype html><title>404</title><p>Not Found", 404)

    def message(self, entry: Entry, *, forged: bool = False) -> Message | None:
        """Make the notification of a final status: it names the payment, without the status."""
        token = f"{self.core.random.getrandbits(156):039x}" if forged else ""
        told = notice(entry, token or entry.words["notify_token"])
        return Message.json(entry.words["notify_url"], told)

    def throttled(self) -> Response:
        """Refuse as a proxy before it may: no page has a word for it."""
        return json_reply({"message": "Too Many Attempts."}, 429)

    def stale(self, incoming: WebhookRequest) -> Response:
        """Refuse a token as expired, or as wrong."""
        return error(self.stale_code, "Le jeton d'authentification a expire", self.stale_status)

    def settle(self, entry: Entry, outcome: Outcome) -> None:
        """Decide an order; a transfer that failed gives its money back to the balance."""
        before = _taken(entry)
        super().settle(entry, outcome)
        self.balance -= _taken(entry) - before

    def _login(self, incoming: WebhookRequest) -> Response:
        self._reached(incoming)
        body = fields(incoming) or {}
        if (body.get("api_key"), body.get("api_password")) != ("simulator", "simulator"):
            return error(1005, "Identifiants invalides", self.stale_status)
        self._logins += 1
        token = self.tokens.issue(f"{self.core.random.getrandbits(256):064x}.{self._logins}")
        life = int(self.tokens.life or 86_400)
        told = {"access_token": token, "token_type": "bearer", "expires_in": life}
        return json_reply({"code": 200, "status": "OK", **told})

    def _reached(self, incoming: WebhookRequest) -> None:
        """Refuse what Cloudflare refuses before the API: docs/sandbox-testing.md."""
        agent = incoming.headers.get("user-agent", "")
        if not agent or agent.startswith("Python-urllib"):
            text = b"error code: 1010"
            raise Refused(Response(status=403, headers={"content-type": "text/plain"}, body=text))

    def _signed(self, incoming: WebhookRequest) -> dict[str, Any]:
        """Check the token, then read the body."""
        self._reached(incoming)
        scheme, _, token = incoming.headers.get("authorization", "").partition(" ")
        if scheme != "Bearer" or not token:
            raise Refused(error(1002, "Le jeton d'authentification est invalide", 401))
        if token not in self.tokens:
            raise Refused(self.stale(incoming))
        body = fields(incoming) if incoming.method == "POST" else {}
        if body is None:
            raise Refused(error(1004, "The request is not JSON", self.refused))
        return body

    def _new_id(self, kind: Kind, checks: Checks) -> str:
        id = checks.id(strict=self.strict_ids)
        kinds: tuple[Kind, ...] = ("collect", "payout") if self.shared_ids else (kind,)
        if any((one, id) in self._ids for one in kinds):
            raise Refused(error(self.repeated, "La transaction existe deja", self.refused))
        return id

    def _accept(
        self, kind: Kind, id: str, amount: Decimal, currency: str, party: str | None, **words: Any
    ) -> Entry:
        entry = self.open(
            kind,
            reference=id,
            provider_reference=f"{self.core.random.getrandbits(128):032x}",
            amount=amount,
            currency=currency,
            party=party,
            notify_token=f"{self.core.random.getrandbits(156):039x}",
            **words,
        )
        self._ids[kind, id] = entry
        return entry

    def _pay(self, body: dict[str, Any]) -> Response:
        checks = Checks(body, self.refused)
        currency = checks.among("currency", self.currencies)
        direct = checks.direct()
        method = checks.method(self.country, needed=direct)
        party = checks.phone("client_phone_number", needed=direct)
        otp = checks.otp()
        if self.otp_needed and direct and otp is None and method.startswith("OM_"):
            raise checks.refuse("otp_code", "is required for Orange Money")
        token = f"{self.core.random.getrandbits(160):040x}"
        words = {
            "designation": checks.text("designation", 255),
            "lang": checks.among("lang", ("fr", "en")),
            "email": checks.email(),
            "name": " ".join(
                checks.text(name, 255, shortest=2)
                for name in ("client_last_name", "client_first_name")
            ),
            **{name: checks.url(name) for name in ("success_url", "failed_url", "notify_url")},
            "channel": checks.among("channel", ("PUSH", "OTP", "QRCODE"), needed=False),
            "payment_token": token,
            "method": method,
            "direct": direct,
        }
        amount = checks.amount(100, 2_500_000)
        id = self._new_id("collect", checks)
        entry = self._accept("collect", id, amount, currency, party, **words)
        self._ids["collect", token] = entry
        if direct:
            self._ask(entry)
        else:
            self.ring(entry, on_phone=False)
        return json_reply(opened(entry, self.opens_as, self._address(entry)))

    def _ask(self, entry: Entry) -> None:
        """Ask a phone; the sandbox's own numbers decide at once."""
        decided = _AT_ONCE[entry.kind].get(entry.party or "")
        if decided is not None:
            self.settle(entry, decided)
        else:
            self.ring(entry)

    def _address(self, entry: Entry) -> str:
        return f"{self.url}/payment/{entry.words['payment_token']}"

    def _transfer(self, body: dict[str, Any]) -> Response:
        checks = Checks(body, self.refused)
        currency = checks.among("currency", self.currencies)
        method = checks.method(self.country, needed=True)
        party = checks.phone("phone_number", needed=True)
        reason, address = checks.text("reason", 255), checks.url("notify_url")
        amount = checks.amount(self.least, 1_500_000)
        id = self._new_id("payout", checks)
        if amount + fee(amount) > self.balance:
            return error(2005, "Insufficient balance", self.refused)
        words = {"reason": reason, "notify_url": address, "method": method}
        entry = self._accept("payout", id, amount, currency, party, **words)
        self.balance -= _taken(entry)
        self._ask(entry)
        told = transfer(entry, self.waiting, texts=self.texts)
        return json_reply({**told, "notify_token": entry.words["notify_token"]})

    def _state(self, incoming: WebhookRequest, kind: Kind, id: str) -> Response:
        """Tell the state of a payment or a transfer, by any of its ids."""
        self._signed(incoming)
        entry = self._ids.get((kind, id)) or self.entry(id)
        if entry is None or entry.kind != kind:
            return error(404, "Transaction introuvable", self.missing)
        paid = entry.moved or entry.status is Status.PENDING
        if kind == "collect":
            return json_reply(payment(entry, self.waiting), 200 if paid else self.failed)
        told = transfer(entry, self.waiting, texts=self.texts)
        return json_reply(told, 200 if paid else self.failed)

    def _page(self, incoming: WebhookRequest, token: str) -> Response:
        """Serve the payment page; the decision leads the payer to success_url or failed_url."""
        entry = self._ids.get(("collect", token))
        if entry is None or entry.words["payment_token"] != token:
            return html_reply("<!doctype html><title>404</title><p>Not Found", 404)
        return serve(self, entry, incoming, checkout(self, entry))


def _taken(entry: Entry) -> Decimal:
    """Return what an order takes from the balance; an open transfer counts already."""
    if entry.kind == "collect":
        return -entry.amount if entry.moved else Decimal(0)
    counts = entry.moved or entry.status is Status.PENDING
    return entry.amount + fee(entry.amount) if counts else Decimal(0)
