"""CinetPay's transfer API: contacts, transfers to them, a check, a balance, and notifications.

From https://docs.cinetpay.com/api/1.0-en/transfert ("utilisation", "etapes", "notification",
"statuts", "annexe", "whitelisting"), and, where the pages show no body, from integrators' code.
Credentials: apikey and password are "simulator".

A payee with a number of `CinetPayTransfer.numbers` is paid, or not, by its last digit: 7 is paid
(VAL), 4 waits until `sim.settle`, and all others are rejected (REJ).
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any, ClassVar, Literal
from urllib.parse import urlencode

from ...http import Response, WebhookRequest
from ...models import Status
from ...primitives.clock import wall_time
from ..base import Provider, magic
from ..core import SimulatorCore
from ..ledger import Entry, Outcome
from ..messages import Message
from ..replies import Refused, fields, html_reply, json_reply, query, segments
from ..tokens import Tokens
from .messages import Form, answer, error, notice, transfer, word
from .sending import accepted, added, failed, rows_of

_FORM = "application/x-www-form-urlencoded"


class CinetPayTransfer(Provider):
    """CinetPay's transfers; a test may change every attribute set in `__init__`."""

    name = "cinetpay_transfer"
    hosts = frozenset({"client.cinetpay.com"})
    credentials: ClassVar[Mapping[str, str]] = {"apikey": "simulator", "password": "simulator"}
    # There are no test numbers; these, of Ivory Coast, are ours.
    numbers: ClassVar[Mapping[str, Outcome]] = magic("225070000000", success="7")
    shapes = ("notification", ("form", "json"))
    balances = frozenset({"funds"})
    stays = ("magic", "tokens", "contacts")

    def __init__(self, world: SimulatorCore) -> None:
        super().__init__(world)
        self.tokens = Tokens(300)  # "Its lifetime is 5min"
        self.currency: Literal["XOF", "XAF", "GNF", "CDF"] = "XOF"  # an account has one
        self.funds = Decimal(10_000_000)
        self.highest = Decimal(1_500_000)  # 720; the annexe says XOF
        # Whether requests come from a registered address; others wait in the back office as NOS,
        # which `confirm` and `sim.settle` stand for.
        self.whitelisted = True
        # "The response will have a success code, but will explain this fact in detail": an error is
        # in its row. Integrators also expect one in the envelope.
        self.errors: Literal["row", "envelope"] = "row"
        self.duplicate = "805"  # how long an id is remembered is on no page: here for ever
        self.unknown = "723"  # a check of a transfer that was never made
        self.form: Form = "nested"  # the page's; integrators' tests have the others
        self.pings = True  # "le serveur ping votre url": a GET without data
        self.notification: Literal["form", "json"] = "form"
        self.operator = "OM"
        self.contacts: dict[str, str] = {}  # the lot of each number
        self._transfers: dict[str, str] = {}  # by client_transaction_id
        self._logins = 0

    async def answer(self, incoming: WebhookRequest) -> Response:
        """Answer the five endpoints."""
        match incoming.method, *segments(incoming):
            case "POST", "v1", "auth", "login":
                return self._login(incoming)
            case "POST", "v1", "transfer", "contact":
                return self._contacts(self._body(incoming))
            case "POST", "v1", "transfer", "money", "send", "contact":
                return self._send(self._body(incoming))
            case "GET", "v1", "transfer", "check", "money":
                return self._check(self._asked(incoming))
            case "GET", "v1", "transfer", "check", "balance":
                self._asked(incoming)
                held = self.funds - self.available
                told = {"amount": self.funds, "inUsing": held, "available": self.available}
                data = {name: int(value) for name, value in told.items()}
                return json_reply({"code": 0, "message": "OPERATION_SUCCES", "data": data})
        return html_reply("<!doctype html><title>404</title><p>Not Found", 404)

    @property
    def available(self) -> Decimal:
        """What can be sent: the balance less what waits."""
        waiting = (one.amount for one in self.entries() if one.status is Status.PENDING)
        return self.funds - sum(waiting, Decimal(0))

    def by_client(self, reference: str) -> Entry | None:
        """Return the transfer with the merchant's id; an id is remembered for ever."""
        return self.entry(self._transfers.get(reference, ""))

    def lot(self) -> str:
        """Make the number of a lot, of 22 digits as on the page."""
        return f"{self.core.random.randrange(10**22):022}"

    def transaction(self) -> str:
        """Make the id of a transfer, in the form of integrators' tests."""
        number = self.core.random.getrandbits(64)
        return f"EA{wall_time():%y%m%d}.{number % 10**4:04}.{number:016X}"

    def message(self, entry: Entry, *, forged: bool = False) -> Message | None:
        """Make the notification of a transfer, which is unsigned."""
        told = notice(entry, "VAL" if forged else word(entry))
        url = entry.words["notify_url"]
        if self.notification == "json":
            return Message.json(url, told)
        return Message(url=url, headers={"content-type": _FORM}, body=urlencode(told).encode())

    def throttled(self) -> Response:
        """Refuse as a gateway would: no page states a limit."""
        return json_reply({"message": "Too Many Requests"}, 429)

    def stale(self, incoming: WebhookRequest) -> Response:
        """Refuse a token as too old."""
        return error("705", "Votre token a expiré")

    def settle(self, entry: Entry, outcome: Outcome) -> None:
        """Decide a transfer; "each step of the processing will be notified", also NOS."""
        moved = entry.moved
        super().settle(entry, outcome)
        if entry.moved and not moved:
            self.funds -= entry.amount
        if entry.status is Status.PENDING:
            self.announce(entry)

    def confirm(self, entry: Entry) -> None:
        """Confirm a transfer that waits as NOS in the back office."""
        entry.words["waits"] = "REC"
        self.ring(entry)

    def _login(self, incoming: WebhookRequest) -> Response:
        body = fields(incoming) or {}
        if (body.get("apikey"), body.get("password")) != ("simulator", "simulator"):
            return error("701", "Identifiant de connexion incorrect")
        self._logins += 1
        token = self.tokens.issue(f"{self.core.random.getrandbits(160):040x}{self._logins:04}")
        return json_reply({"code": 0, "message": "OPERATION_SUCCES", "data": {"token": token}})

    def _asked(self, incoming: WebhookRequest) -> dict[str, str]:
        """Check the token and the language, which are in the query of every request."""
        asked = query(incoming)
        if asked.get("lang", "fr") not in ("fr", "en"):
            raise Refused(error("704", "lang is fr or en"))
        if asked.get("token", "") not in self.tokens:
            raise Refused(error("706", "Votre token est invalide"))
        return asked

    def _body(self, incoming: WebhookRequest) -> list[dict[str, Any]]:
        self._asked(incoming)
        if _FORM not in incoming.headers.get("content-type", ""):
            raise Refused(error("704", "the body is a form"))
        return rows_of(fields(incoming) or {})

    def _contacts(self, rows: list[dict[str, Any]]) -> Response:
        return self._answer([added(self, row) for row in rows])

    def _send(self, rows: list[dict[str, Any]]) -> Response:
        told = []
        for row in rows:
            found = accepted(self, row)
            if isinstance(found, str):
                told.append(failed(row, found))
                continue
            self._transfers[row["client_transaction_id"]] = found.provider_reference
            told.append(
                {**row, **transfer(found), "code": 0, "status": "success", "amount": row["amount"]}
            )
            if self.pings:
                ping = Message(url=found.words["notify_url"], method="GET")
                self.core.send(self.name, ping)
            if self.whitelisted:
                self.ring(found)
            else:
                self.announce(found)
        return self._answer(told)

    def _answer(self, rows: list[dict[str, Any]]) -> Response:
        """Answer with rows; their errors are inside code 0, unless `errors` says otherwise."""
        code = str(rows[0]["code"])
        if self.errors == "envelope" and len(rows) == 1 and code not in ("0", "726"):
            return error(code)
        return answer(rows, self.form)

    def _check(self, asked: dict[str, str]) -> Response:
        if "client_transaction_id" in asked:
            found = self.by_client(asked["client_transaction_id"])
        elif "transaction_id" in asked:
            found = self.entry(asked["transaction_id"])
        else:
            lots = [one for one in self.entries() if one.words["lot"] == asked.get("lot")]
            found = lots[0] if lots else None
        return error(self.unknown) if found is None else answer([transfer(found)], self.form)
