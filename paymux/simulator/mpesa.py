"""Safaricom's M-Pesa Daraja: login, STK push and query. See also `mpesa_c2b` and `mpesa_b2c`.

The portal (https://developer.safaricom.co.ke) is read through github.com/amoskyalo/daraja-docs
("docs" below). Error texts and result codes that it lacks come from
github.com/ronnyabuto/daraja-error-codes and from bodies quoted in public issues. Credentials:
consumer key, consumer secret and passkey are "simulator"; the shortcode is 174379.
"""

import asyncio
import base64
import re
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any, ClassVar, Literal
from urllib.parse import urlsplit

from ..http import Response, WebhookRequest
from ..models import Reason, Status
from ..primitives.clock import wall_time
from .base import Provider, magic
from .core import Message, SimulatorCore
from .ledger import Entry, Outcome
from .mpesa_b2c import B2C
from .mpesa_c2b import C2B, EAT
from .replies import Refused, fields, json_reply, query, segments
from .tokens import Tokens

SHORTCODE = "174379"

# Result codes by our reason. E3008 and 1037 were seen live; the others are from daraja-error-codes.
_CODES: Mapping[Reason | None, str] = {
    None: "1",
    Reason.INSUFFICIENT_FUNDS: "1",
    Reason.LIMIT: "4",
    Reason.BUSY: "1001",
    Reason.CANCELLED: "1032",
    Reason.EXPIRED: "1037",
    Reason.WRONG_PIN: "2001",
}
_DESCRIPTIONS: Mapping[str, str] = {
    "0": "The service request is processed successfully.",
    "1": "The balance is insufficient for the transaction.",
    "3": "Declined due to limit rule: greater than the maximum transaction amount.",
    "4": "Declined due to limit rule: would exceed daily transfer limit.",
    "17": "Rule limited.",
    "26": "System busy. Traffic blocking condition in place.",
    "1001": (
        "Unable to lock subscriber, a transaction is already in process for the current subscriber"
    ),
    "1019": "Transaction has expired",
    "1025": "An error occurred while sending a push request",
    "1031": "Request cancelled by user",
    "1032": "Request cancelled by user",
    "1037": "DS timeout user cannot be reached",
    "2001": "The initiator information is invalid.",
    "4999": "The transaction is still under processing",
    "9999": "An error occurred while sending a push request",
    "E3008": "The user has a bad debt contract.",
}
_SHORTCODE = r"[0-9]{5,7}"
_PHONE = r"254[17][0-9]{8}"
# Field, pattern, and its name in the refusal: a missing TransactionDesc is "Remarks" (a live
# answer).
_PUSH = (
    ("TransactionType", r"CustomerPayBillOnline|CustomerBuyGoodsOnline", "TransactionType"),
    ("Amount", r"0*[1-9][0-9]{0,9}", "Amount"),
    ("PartyA", _PHONE, "PartyA"),
    ("PartyB", _SHORTCODE, "PartyB"),
    ("PhoneNumber", _PHONE, "PhoneNumber"),
    ("AccountReference", r".+", "AccountReference"),
    ("TransactionDesc", r".+", "Remarks"),
)
# Words that the docs advise against in a callback URL, in any case.
_AVOIDED = re.compile(r"mpesa|safaricom|exe|cmd|sql|query", re.IGNORECASE)


class Mpesa(Provider):
    """Daraja; a test may change every attribute set in `__init__`."""

    name = "mpesa"
    hosts = frozenset({"sandbox.safaricom.co.ke", "api.safaricom.co.ke"})
    own_mounts = frozenset({"mpesa", "oauth"})
    credentials: ClassVar[Mapping[str, str]] = {
        "consumer_key": "simulator",
        "consumer_secret": "simulator",
        "shortcode": SHORTCODE,
        "passkey": "simulator",
    }
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
        self.c2b = C2B(self)
        self.b2c = B2C(self)
        self._prompts: dict[str, tuple[float, Entry]] = {}

    async def answer(self, incoming: WebhookRequest) -> Response:
        """Answer the paths of the docs."""
        match incoming.method, *segments(incoming):
            case "GET", "oauth", "v1", "generate":
                return self._login(incoming)
            case "POST", "mpesa", "stkpush", "v1", "processrequest":
                return self._push(self._body(incoming))
            case "POST", "mpesa", "stkpushquery", "v1", "query":
                return self._query(self._body(incoming))
            case "POST", "mpesa", "c2b", "v1" | "v2", "registerurl":
                return self.c2b.register(self._body(incoming))
            case "POST", "mpesa", "c2b", ("v1" | "v2") as version, "simulate":
                return self.c2b.simulate(self._body(incoming), version)
            case "POST", "mpesa", "b2c", ("v1" | "v3") as version, "paymentrequest":
                return self.b2c.pay(self._body(incoming), version)
            case "POST", "mpesa", "accountbalance", "v1", "query":
                return self.b2c.balance(self._body(incoming))
            case "GET", "mpesa", *_:
                return self.error(405, "405.001", "Method Not Allowed")
        return self.error(404, "404.001.01", "Resource not found")

    def message(self, entry: Entry, *, forged: bool = False) -> Message | None:
        """Make the callback of a push, a C2B payment or a payout. None of them is signed."""
        if entry.kind == "payout":
            return self.b2c.result(entry, forged=forged)
        if "TransID" in entry.words:
            return self.c2b.confirmation(entry) if entry.moved else None
        code = "0" if forged else self._code(entry)
        callback: dict[str, Any] = {
            "MerchantRequestID": entry.words["MerchantRequestID"],
            "CheckoutRequestID": entry.provider_reference,
            "ResultCode": int(code) if code.isdecimal() else code,
            "ResultDesc": _DESCRIPTIONS.get(code, "Failed"),
        }
        if code == "0" and self.metadata:
            values = {
                "Amount": float(entry.amount),
                "MpesaReceiptNumber": self.receipt() if forged else entry.words["receipt"],
                "TransactionDate": int(f"{wall_time(EAT):%Y%m%d%H%M%S}"),
                "PhoneNumber": int(entry.party or 0),
            }
            items = [{"Name": name, "Value": value} for name, value in values.items()]
            callback["CallbackMetadata"] = {"Item": items}
        return Message.json(entry.words["CallBackURL"], {"Body": {"stkCallback": callback}})

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

    def _signed(self, body: dict[str, Any]) -> None:
        """Check the shortcode, the Timestamp, and the Password made of both and the passkey."""
        shortcode, timestamp = (
            str(body.get("BusinessShortCode", "")),
            str(body.get("Timestamp", "")),
        )
        if not re.fullmatch(_SHORTCODE, shortcode, re.ASCII):
            raise self.invalid("BusinessShortCode")
        if not _is_time(timestamp):
            raise self.invalid("Timestamp")
        if shortcode != SHORTCODE:
            raise Refused(self.error(500, "500.001.1001", "Merchant does not exist"))
        if (
            body.get("Password")
            != base64.b64encode(f"{shortcode}simulator{timestamp}".encode()).decode()
        ):
            raise Refused(self.error(500, "500.001.1001", "[MerchantValidate] - Wrong credentials"))

    def _push(self, body: dict[str, Any]) -> Response:
        self._signed(body)
        for field, pattern, called in _PUSH:
            if not re.fullmatch(pattern, str(body.get(field, "")), re.ASCII):
                raise self.invalid(called)
        if body["TransactionType"] == "CustomerPayBillOnline" and str(body["PartyB"]) != SHORTCODE:
            raise self.invalid("PartyB")
        url, party = (
            self.check_url("CallBackURL", body.get("CallBackURL")),
            str(body["PhoneNumber"]),
        )
        number = len(self.core.ledger)  # in place of Daraja's milliseconds: no two ids are equal
        entry = self.open(
            "collect",
            reference=str(body["AccountReference"]),
            provider_reference=f"ws_CO_{wall_time(EAT):%d%m%Y%H%M%S}{number:03d}{party[-9:]}",
            amount=Decimal(str(body["Amount"])),
            currency="KES",
            party=party,
            CallBackURL=url,
            MerchantRequestID=self.request_id(),
            receipt=self.receipt(),
        )
        self._prompt(entry, party)
        said = "Success. Request accepted for processing"
        return json_reply(
            {
                "MerchantRequestID": entry.words["MerchantRequestID"],
                "CheckoutRequestID": entry.provider_reference,
                "ResponseCode": "0",
                "ResponseDescription": said,
                "CustomerMessage": said,
            }
        )

    def _prompt(self, entry: Entry, party: str) -> None:
        """Show the prompt on the payer's phone, which shows one at a time."""
        now = asyncio.get_running_loop().time()
        until, open_one = self._prompts.get(party, (now, entry))
        if entry.amount > self.limit:
            self.ring(entry, Outcome(Status.FAILED, Reason.LIMIT, "3"))
        elif self.locks and until > now and open_one.status is Status.PENDING:
            self.ring(entry, Outcome(Status.FAILED, Reason.BUSY))
        else:
            self._prompts[party] = (now + self.prompt_life, entry)
            self.ring(entry)

    def _query(self, body: dict[str, Any]) -> Response:
        self._signed(body)
        checkout = str(body.get("CheckoutRequestID") or "")
        entry = self.entry(checkout)
        if entry and "MerchantRequestID" not in entry.words:
            entry = None  # a C2B payment or a payout, without a push
        if entry is None and self.unknown_id == "invalid":
            raise self.invalid("CheckoutRequestID")
        if entry is None or (entry.status is Status.PENDING and entry.code is None):
            if self.pending == "4999":
                known = {
                    "ResultCode": "4999",
                    "ResultDesc": _DESCRIPTIONS["4999"],
                    "CheckoutRequestID": checkout,
                }
                return json_reply({"ResponseCode": "0", **known})
            return self.error(500, "500.001.1001", "The transaction is being processed", checkout)
        code = self._code(entry)
        return json_reply(
            {
                "ResponseCode": "0",
                "ResponseDescription": "The service request has been accepted successfully",
                "MerchantRequestID": entry.words["MerchantRequestID"],
                "CheckoutRequestID": checkout,
                "ResultCode": code,
                "ResultDesc": _DESCRIPTIONS.get(code, "Failed"),
            }
        )

    def _code(self, entry: Entry) -> str:
        return entry.code or ("0" if entry.moved else _CODES.get(entry.reason, "E3008"))


def _is_time(timestamp: str) -> bool:
    if not re.fullmatch(r"[0-9]{14}", timestamp, re.ASCII):
        return False
    try:
        datetime.strptime(timestamp, "%Y%m%d%H%M%S").replace(tzinfo=EAT)
    except ValueError:
        return False
    return True
