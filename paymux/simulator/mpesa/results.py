"""What an initiator's operation has in common: acknowledged at once, its result POSTed later.

Shapes from the pages of https://developer.safaricom.co.ke, read through
github.com/JacksCodeVault/mpesa-daraja-mcp (daraja_docs_v3/docs) and github.com/amoskyalo/
daraja-docs. Results are unsigned and sent once, "no automatic retries" (Account Balance).

No page shows the body of a queue time-out. Two are known: a Result with ResultType 1
(pypi.org/project/mpesakit), and the request itself with its SecurityCredential
(github.com/global-121/121-platform, safaricom-timeout-callback.dto.ts).
"""

from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from ...http import Response
from ...models import Reason, Status
from ..core import Latency
from ..ledger import Entry
from ..messages import Message
from ..replies import json_reply
from . import codes
from .initiators import Role
from .wire import Pairs, Wanted, fits, stamp

if TYPE_CHECKING:
    from . import Mpesa


class Asked(msgspec.Struct, kw_only=True):
    """A request that the gateway acknowledged.

    `told` gives the parameters of its success from the order and its receipt; a question has a
    receipt only where its answer is forged.
    """

    body: dict[str, Any]
    ids: dict[str, str]
    refusal: str | None
    told: Callable[[Entry, str], Pairs]
    api: str = ""  # in the address of ReferenceData; "": ReferenceData is the Occasion
    texts: bool = False  # the page's sample has type and code as text, and no full stop
    references: Pairs = ()  # the ReferenceData in place of these two
    question: bool = False  # it moves no money, so it has no receipt
    failures: Mapping[Reason | None, str] = msgspec.field(default_factory=lambda: codes.PAYOUT)


class Results:
    """How results are written and sent; a test may change every attribute."""

    def __init__(self, mpesa: "Mpesa") -> None:
        self._mpesa = mpesa
        # Seconds from the decision to the result, or a function of a random.Random: then results
        # overtake each other. At 0 an answer may come before the acknowledgement.
        self.delay: Latency = 0.0
        # Shares of the results, 0 to 1: never sent; sent twice; sent to QueueTimeOutURL as a queue
        # time-out, whatever became of the money.
        self.lost = 0.0
        self.twice = 0.0
        self.to_timeout_url = 0.0
        self.timeout: Literal["result", "request"] = "result"
        # Both were printed: "SKE0000000" (Reversal), "SG722NMVXQ" with 2001 (B2Pochi).
        self.failure_id: Literal["dummy", "receipt"] = "dummy"
        # A single ReferenceItem or ResultParameter is an object in most samples, and a list in
        # those of B2B.
        self.one_as_object = True
        # Whether ResultType and ResultCode are text; None: as in the sample of each page.
        self.texts: bool | None = None

    def check(self, body: dict[str, Any], wanted: Wanted) -> None:
        """Refuse a request by the first field that is missing, or has another form."""
        self.check_fields(body, wanted)
        for field in ("QueueTimeOutURL", "ResultURL"):
            self._mpesa.check_url(field, body.get(field))

    def check_fields(self, body: dict[str, Any], wanted: Wanted) -> None:
        """Refuse a request by these fields alone."""
        for field, pattern in wanted:
            if not fits(pattern, body.get(field)):
                raise self._mpesa.invalid(field)

    def asked(
        self,
        body: dict[str, Any],
        role: Role,
        told: Callable[[Entry, str], Pairs],
        *,
        reference: str | None = None,
        **shape: Any,
    ) -> Asked:
        """Take a checked request: M-Pesa looks at the initiator; `reference`: its own id."""
        name = str(body.get("InitiatorName") or body.get("Initiator"))
        credential = str(body["SecurityCredential"])
        return Asked(
            body=body,
            ids=self.ids(reference),
            refusal=self._mpesa.initiators.refusal(name, credential, role),
            told=told,
            **shape,
        )

    def ids(self, reference: str | None = None) -> dict[str, str]:
        """Make the ids of a request; the first is the merchant's own where there is one."""
        drawn = f"{self._mpesa.core.random.getrandbits(80):020x}"
        return {
            "OriginatorConversationID": reference or self._mpesa.request_id(),
            "ConversationID": f"AG_{stamp()[:8]}_{drawn}",
        }

    def answer(self, asked: Asked, code: str = "0") -> Response:
        """Acknowledge a question, and send its answer; it has no place in the ledger."""
        entry = Entry(
            provider=self._mpesa.name,
            kind="collect",
            reference=None,
            provider_reference=asked.ids["ConversationID"],
            amount=Decimal(0),
            currency="KES",
            words={"asked": asked},
        )
        code = asked.refusal or code
        entry.status = Status.SUCCEEDED if code == "0" else Status.FAILED
        entry.code = None if code == "0" else code
        self.announce(entry)
        return acknowledged(asked)

    def announce(self, entry: Entry) -> None:
        """Send the result of a decided order, or the answer to a question, as the attributes say.

        What a test planned for this order (`sim.fault`) is done besides.
        """
        if self._falls(self.lost):
            return
        late = self._falls(self.to_timeout_url)
        messages, after = self._mpesa.faulted(
            entry, self.timed_out(entry) if late else self.message(entry)
        )
        for _ in range(2 if self._falls(self.twice) else 1):
            self._mpesa.core.send(self._mpesa.name, *messages, after=after + self._waits())

    def message(self, entry: Entry, *, forged: bool = False) -> Message:
        """Make the result; that of an order which expired in the queue is a queue time-out."""
        if entry.status is Status.EXPIRED and entry.code is None and not forged:
            return self.timed_out(entry)
        asked: Asked = entry.words["asked"]
        code = "0" if forged else _code(entry, asked)
        receipt = "" if asked.question else entry.words["receipt"]
        if forged:
            receipt = self._mpesa.receipt()
        texts = asked.texts if self.texts is None else self.texts
        said = codes.DESCRIPTIONS.get(code, "Failed")
        result: dict[str, Any] = {
            "ResultType": "0" if texts else 0,
            "ResultCode": code if texts or not code.isdecimal() else int(code),
            "ResultDesc": said.removesuffix(".") if asked.texts else said,
            **asked.ids,
            "TransactionID": self._transaction_id(
                "" if asked.question else receipt, failed=code != "0"
            ),
        }
        if code == "0":
            pairs = list(asked.told(entry, receipt))
            result["ResultParameters"] = {"ResultParameter": self._items(pairs)}
        about = ("QueueTimeoutURL", _submit(asked.api)) if asked.api else ("Occasion", None)
        result["ReferenceData"] = {"ReferenceItem": self._items(list(asked.references) or [about])}
        return Message.json(asked.body["ResultURL"], {"Result": result})

    def timed_out(self, entry: Entry) -> Message:
        """Make the queue time-out of an order or a question, in one of its two known shapes."""
        asked: Asked = entry.words["asked"]
        url = asked.body["QueueTimeOutURL"]
        if self.timeout == "request":
            return Message.json(url, {**asked.body, **asked.ids})
        result = {
            "ResultType": 1,
            "ResultCode": "1",
            "ResultDesc": "The service request timed out.",
            **asked.ids,
        }
        return Message.json(url, {"Result": result})

    def _transaction_id(self, receipt: str, *, failed: bool) -> str:
        dummy = failed and self.failure_id == "dummy"
        return (
            f"{(receipt or self._mpesa.receipt())[:3]}0000000" if dummy or not receipt else receipt
        )

    def _items(self, pairs: list[tuple[str, Any]]) -> Any:
        items = [
            {"Key": key} if value is None else {"Key": key, "Value": value} for key, value in pairs
        ]
        return items[0] if len(items) == 1 and self.one_as_object else items

    def _falls(self, share: float) -> bool:
        return share > 0 and self._mpesa.core.random.random() < share

    def _waits(self) -> float:
        return self.delay(self._mpesa.core.random) if callable(self.delay) else self.delay


def acknowledged(asked: Asked) -> Response:
    """Write the acknowledgement: the request is in the queue, and nothing more."""
    said = {"ResponseCode": "0", "ResponseDescription": "Accept the service request successfully."}
    return json_reply({**asked.ids, **said})


def _code(entry: Entry, asked: Asked) -> str:
    failures = asked.failures
    return entry.code or ("0" if entry.moved else failures.get(entry.reason, failures[None]))


def _submit(api: str) -> str:
    return f"https://internalsandbox.safaricom.co.ke/mpesa/{api}/v1/submit"
