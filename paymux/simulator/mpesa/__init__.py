"""Safaricom's M-Pesa Daraja: login, errors and paths; each page of the API is a file of its own.

The portal (https://developer.safaricom.co.ke) is read through github.com/amoskyalo/daraja-docs
("docs" below) and github.com/JacksCodeVault/mpesa-daraja-mcp (daraja_docs_v3/docs, December 2025).
Credentials: consumer key, consumer secret and passkey are "simulator"; the shortcode is 174379.

    stk.py          push, query and callback
    till_push.py    a push to another business's till (B2B Express)
    b2c.py          payouts: B2C v1 and v3, B2Pochi
    b2b.py          payouts: to a paybill, a till, a B2C shortcode; tax
    status.py       transaction status
    balance.py      account balance
    reversal.py     refunds
    c2b.py          customers' own payments: registration, validation, confirmation
    pull.py         the list of customers' payments
    qr.py           dynamic QR codes
    ratiba.py       standing orders
    results.py      how these are acknowledged, and their results sent
    initiators.py   API users: credentials, roles, the lock
    accounts.py     the money
    paths.py        which page a path belongs to
"""

import base64
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, ClassVar, Literal
from urllib.parse import urlsplit

from ...http import Response, WebhookRequest
from ...models import Status
from ..base import Provider, magic
from ..core import SimulatorCore
from ..ledger import Entry, Outcome
from ..messages import Message
from ..replies import Refused, fields, json_reply, query, segments
from ..tokens import Tokens
from . import paths
from .accounts import Accounts
from .b2b import B2B
from .b2c import B2C
from .balance import Balance
from .c2b import C2B, checked
from .initiators import Initiators
from .pull import Pull
from .qr import Qr
from .ratiba import Ratiba
from .results import Results
from .reversal import Reversal
from .status import TransactionStatus
from .stk import Stk
from .till_push import TillPush
from .wire import SHORTCODE

# Words that the docs advise against in a callback URL, in any case.
_AVOIDED = re.compile(r"mpesa|safaricom|exe|cmd|sql|query", re.IGNORECASE)


class Mpesa(Provider):
    """Daraja; a test may change every attribute set in `__init__`."""

    name = "mpesa"
    hosts = frozenset({"sandbox.safaricom.co.ke", "api.safaricom.co.ke"})
    own_mounts = paths.MOUNTS
    credentials: ClassVar[Mapping[str, str]] = {
        "consumer_key": "simulator",
        "consumer_secret": "simulator",
        "shortcode": SHORTCODE,
        "passkey": "simulator",
    }
    more_credentials: ClassVar[Mapping[str, str]] = {
        "initiator_name": "simulator",
        "security_credential": "simulator",
    }
    balances = frozenset({"accounts"})
    stays = ("magic", "tokens", "c2b.registered", "results.delay")
    # 254708374149 is the sandbox's own number; the others are ours.
    numbers: ClassVar[Mapping[str, Outcome]] = magic("25470837414", success="9")

    def __init__(self, world: SimulatorCore) -> None:
        super().__init__(world)
        self.tokens = Tokens(3599)
        # A pending query was seen as HTTP 500 with 500.001.1001, and as 200 with ResultCode 4999.
        self.pending: Literal["500.001.1001", "4999"] = "500.001.1001"
        # The docs show 401.002.01, which repeats the token; daraja-error-codes has 404.001.03.
        self.bad_token: Literal["401.002.01", "404.001.03"] = "401.002.01"
        # No source shows the answer for an id that Daraja never issued.
        self.unknown_id: Literal["invalid", "pending"] = "invalid"
        # Whether a path with such a word is refused. The docs say "avoid"; no refusal was ever
        # shown.
        self.refuses_words = False
        self.metadata = True  # the callback of a success contains CallbackMetadata
        self.locks = True  # a payer with an open prompt is busy for any other: 1001
        self.prompt_life = 60.0  # seconds for which an unanswered prompt keeps its payer busy
        self.limit = Decimal(250_000)  # shillings in one payment, at most
        self.accounts = Accounts()
        self.initiators = Initiators()
        self.results = Results(self)
        self.stk = Stk(self)
        self.till_push = TillPush(self)
        self.b2c = B2C(self)
        self.b2b = B2B(self)
        self.status = TransactionStatus(self)
        self.balance = Balance(self)
        self.reversal = Reversal(self)
        self.c2b = C2B(self)
        self.pull = Pull(self)
        self.qr = Qr(self)
        self.ratiba = Ratiba(self)

    async def answer(self, incoming: WebhookRequest) -> Response:
        """Answer the paths of the pages: each POST needs a token, and has a JSON object."""
        path = segments(incoming)
        if incoming.method == "GET":
            if path == ["oauth", "v1", "generate"]:
                return self._login(incoming)
            if path and path[0] in paths.MOUNTS - {"oauth"}:
                return self.error(405, "405.001", "Method Not Allowed")
        called = paths.called(self, path) if incoming.method == "POST" else None
        if called is None:
            return self.error(404, "404.001.01", "Resource not found")
        return called(self._body(incoming))

    def pays(
        self,
        *,
        bill: str | None,
        amount: Decimal | int | str,
        msisdn: str = "254708374149",
        shortcode: str = SHORTCODE,
    ) -> Entry:
        """Let a customer pay unasked: to a paybill with `bill`, or with None to a till.

        `amount`: whole shillings. The merchant is asked and told at the URLs that `shortcode` has
        registered, if any; without them the money comes in, and only pull and status know.
        UsageError: a value that M-Pesa does not take.
        """
        return self.c2b.pay(
            bill=bill,
            amount=checked(bill, amount, msisdn, shortcode),
            msisdn=msisdn,
            shortcode=shortcode,
            till=bill is None,
        )

    def inbound(
        self, *, amount: str, reference: str | None, party: str | None, account: str | None
    ) -> Entry:
        """Let a customer pay to a paybill, or without a reference to a till."""
        payer = {} if party is None else {"msisdn": party}
        return self.pays(bill=reference, amount=amount, **payer, shortcode=account or SHORTCODE)

    def time_out(self, reference: str) -> None:
        """Send the queue time-out of the open payouts and reversals with this reference.

        Nothing is decided by it: `sim.settle` may still pay, and then sends the result.
        """
        for entry in self.core.ledger.entries(reference, provider=self.name):
            if "asked" in entry.words and entry.status is Status.PENDING:
                self.core.send(self.name, self.results.timed_out(entry))

    def settle(self, entry: Entry, outcome: Outcome) -> None:
        """Decide an order: M-Pesa's own rules hold, and the money moves between its accounts."""
        if entry.kind == "refund":
            outcome = self.reversal.checked(entry, outcome)
        elif entry.kind == "payout":
            pays = self.b2b if "funds" in entry.words else self.b2c
            outcome = pays.checked(entry, outcome)
        self._move(entry, outcome)
        if entry.kind == "refund" and entry.moved:
            # The payment is given back; its own callback is not sent again.
            self._move(entry.words["original"], Outcome(Status.REFUNDED))
        if entry.status.terminal:
            self.announce(entry)

    def _move(self, entry: Entry, outcome: Outcome) -> None:
        before = entry.status
        self.core.ledger.settle(entry, outcome)
        if entry.status is Status.SUCCEEDED:
            entry.words["paid_at"] = entry.settled_at
        self.accounts.book(entry, before)

    def announce(self, entry: Entry) -> None:
        """Tell the merchant of an order; a paid push also has a confirmation, if URLs are there."""
        if "asked" in entry.words:
            self.results.announce(entry)
            return
        message = self.message(entry)
        if message is None:
            return
        messages, late = self.faulted(entry, message)
        if "RequestRefID" in entry.words:
            self.core.send(self.name, *messages, after=late)
            return
        if "MerchantRequestID" not in entry.words:
            self.core.send(self.name, *self.c2b.sent(*messages), after=late)
            return
        twin = self.c2b.twin(entry)
        both = [*twin, *messages] if self.c2b.twins == "before" else [*messages, *twin]
        self.core.send(self.name, *both, after=late)

    def message(self, entry: Entry, *, forged: bool = False) -> Message | None:
        """Make the callback, result or confirmation of an order. None of them is signed."""
        if "asked" in entry.words:
            return self.results.message(entry, forged=forged)
        if "RequestRefID" in entry.words:
            return self.till_push.callback(entry, forged=forged)
        if "MerchantRequestID" in entry.words:
            return self.stk.callback(entry, forged=forged)
        return self.c2b.confirmation(entry)

    def throttled(self) -> Response:
        """Refuse as in the docs' table: HTTP 500."""
        return self.error(500, "500.003.02", "Error Occurred: Spike Arrest Violation")

    def stale(self, incoming: WebhookRequest) -> Response:
        """Refuse a token; the docs repeat it in the message."""
        if self.bad_token == "404.001.03":
            return self.error(404, "404.001.03", "Invalid Access Token")
        token = incoming.headers.get("authorization", "").removeprefix("Bearer ")
        return self.error(401, "401.002.01", f"Error Occurred - Invalid Access Token - {token}")

    def error(
        self, status: int, code: str, message: str, request_id: str | None = None
    ) -> Response:
        """Refuse with the docs' error object."""
        request_id = request_id or self.request_id()
        return json_reply(
            {"requestId": request_id, "errorCode": code, "errorMessage": message}, status
        )

    def invalid(self, field: str) -> Refused:
        """Refuse a field."""
        return Refused(self.error(400, "400.002.02", f"Bad Request - Invalid {field}"))

    def request_id(self) -> str:
        """Make an id of the shape 29115-34620561-1."""
        pick = self.core.random.randrange
        return f"{pick(10**4, 10**5)}-{pick(10**7, 10**8)}-1"

    def receipt(self) -> str:
        """Make a receipt number of the shape NLJ7RT61SV."""
        return "S" + "".join(self.core.random.choices("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789", k=9))

    def check_url(self, field: str, url: object) -> str:
        """Check a callback URL: it needs a host; https or http, as in the sandbox."""
        parts = urlsplit(str(url or ""))
        avoided = self.refuses_words and _AVOIDED.search(parts.path)
        if parts.scheme not in ("https", "http") or not parts.hostname or avoided:
            raise self.invalid(field)
        return str(url)

    def _login(self, incoming: WebhookRequest) -> Response:
        scheme, _, given = incoming.headers.get("authorization", "").partition(" ")
        if scheme != "Basic":
            return self.error(400, "400.008.01", "Invalid Authentication passed")
        if query(incoming).get("grant_type") != "client_credentials":
            return self.error(400, "400.008.02", "Invalid grant type passed")
        if given != base64.b64encode(b"simulator:simulator").decode():
            return Response(status=400)  # without a body (live, 2026-08-17)
        token = self.tokens.issue(f"{self.core.random.getrandbits(160):040x}")
        return json_reply({"access_token": token, "expires_in": str(int(self.tokens.life or 3599))})

    def _body(self, incoming: WebhookRequest) -> dict[str, Any]:
        """Check the token, then read the JSON body."""
        scheme, _, token = incoming.headers.get("authorization", "").partition(" ")
        if scheme != "Bearer":
            raise Refused(self.error(404, "404.001.04", "Invalid Authentication Header"))
        if token not in self.tokens:
            raise Refused(self.stale(incoming))
        if "form" in incoming.headers.get("content-type", ""):
            raise self.invalid("BusinessShortCode")
        body = fields(incoming)
        if body is None:
            raise Refused(self.error(400, "400.002.05", "Invalid Request Payload"))
        return body
