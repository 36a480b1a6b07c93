"""Daraja's B2B Express Checkout: a prompt to a merchant, who pays a paybill from a till.

From the page "B2B Express CheckOut" of https://developer.safaricom.co.ke, read through
github.com/JacksCodeVault/mpesa-daraja-mcp (daraja_docs_v3/docs/B2BExpressCheckout.md). Codes that
this copy lacks are in the table of errors of another one: 4102 "Merchant KYC Fail", 4104 "Missing
Nominated Number", 4201 "USSD Network Error", 4203 "USSD Exception Error".

A till with a number of `TillPush.tills` pays, or not: 600000 pays, 600002 cancels, 600004 never
answers, 600005 fails with 4102, 600006 with 4104, 600007 with 4201.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ...http import Response
from ...models import Reason, Status
from ..ledger import Entry, Outcome
from ..messages import Message
from ..replies import json_reply
from . import codes
from .wire import ORGANISATION, WHOLE

if TYPE_CHECKING:
    from . import Mpesa

_FIELDS = (
    ("primaryShortCode", ORGANISATION),
    ("receiverShortCode", ORGANISATION),
    ("amount", WHOLE),
    ("paymentRef", r".+"),
    ("partnerName", r".+"),
    ("RequestRefID", r".+"),
)
_DESCRIPTIONS: Mapping[str, str] = {
    "0": codes.DONE,
    "4001": "User cancelled transaction",
    "4102": "Merchant KYC Fail",
    "4104": "Missing Nominated Number",
    "4201": "USSD Network Error",
    "4203": "USSD Exception Error",
}
_TILLS: Mapping[str, Outcome] = {
    "600000": Outcome(Status.SUCCEEDED),
    "600002": Outcome(Status.CANCELLED, Reason.CANCELLED),
    "600004": Outcome(Status.PENDING),
    "600005": Outcome(Status.FAILED, Reason.OTHER, "4102"),
    "600006": Outcome(Status.FAILED, Reason.OTHER, "4104"),
    "600007": Outcome(Status.FAILED, Reason.OTHER, "4201"),
}


class TillPush:
    """The prompts to merchants; a test may change every attribute."""

    def __init__(self, mpesa: "Mpesa") -> None:
        self._mpesa = mpesa
        self.tills = dict(_TILLS)
        # Whether 4102 and 4104 are in the acknowledgement instead of the callback: the page has
        # both forms of answer, and does not say which error is where.
        self.refuses_at_once = False
        self.tells_conversation = True  # in the callback of a success, as in the sample

    def push(self, body: dict[str, Any]) -> Response:
        """Start a prompt. What a repeated RequestRefID does is on no page: it is another prompt."""
        self._mpesa.results.check_fields(body, _FIELDS)
        url = self._mpesa.check_url("callbackUrl", body.get("callbackUrl"))
        till, ids = str(body["primaryShortCode"]), self._mpesa.results.ids()
        decided = self.tills.get(till)
        if self.refuses_at_once and decided and decided.code in ("4102", "4104"):
            return json_reply({"code": decided.code, "status": _DESCRIPTIONS[decided.code]})
        receipt = self._mpesa.receipt()
        entry = self._mpesa.open(
            "collect",
            receipt,
            str(body["RequestRefID"]),
            reference=str(body["paymentRef"]),
            provider_reference=ids["ConversationID"],
            amount=Decimal(str(body["amount"])),
            currency="KES",
            party=till,
            callbackUrl=url,
            RequestRefID=str(body["RequestRefID"]),
            receipt=receipt,
            ids=ids,
            shortcode=str(body["receiverShortCode"]),
            partner=str(body["partnerName"]),
        )
        self._mpesa.ring(entry, decided)
        return json_reply({"code": "0", "status": "USSD Initiated Successfully"})

    def callback(self, entry: Entry, *, forged: bool = False) -> Message:
        """Make the outcome; it is not signed. Only a success has ids of M-Pesa's."""
        words = entry.words
        code = "0" if forged else self._code(entry)
        said: dict[str, Any] = {
            "resultCode": code,
            "resultDesc": _DESCRIPTIONS.get(code, "Failed"),
            "amount": f"{entry.amount:.1f}",
            "requestId": words["RequestRefID"],
        }
        if code == "0":
            said |= {
                "resultType": "0",
                **self._conversation(entry),
                "transactionId": self._mpesa.receipt() if forged else words["receipt"],
                "status": "SUCCESS",
            }
        else:
            said["paymentReference"] = entry.reference
        return Message.json(words["callbackUrl"], said)

    def _conversation(self, entry: Entry) -> dict[str, str]:
        if not self.tells_conversation:
            return {}
        return {"conversationID": entry.words["ids"]["ConversationID"]}

    def _code(self, entry: Entry) -> str:
        if entry.code:
            return entry.code
        if entry.moved:
            return "0"
        return "4001" if entry.status is Status.CANCELLED else "4102"
