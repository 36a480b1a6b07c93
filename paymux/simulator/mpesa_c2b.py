"""Daraja's C2B: a payer pays to a paybill; the merchant validates and gets a confirmation.

Bodies are those of the docs, from github.com/amoskyalo/daraja-docs (v2/c2b.mdx); the misspelt
`OriginatorCoversationID` is in the docs.
"""

import hashlib
import json
import re
from datetime import timedelta, timezone
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ..http import Response
from ..models import Status
from ..primitives.clock import wall_time
from .core import Message
from .ledger import Entry, Outcome
from .replies import json_reply

if TYPE_CHECKING:
    from .mpesa import Mpesa

EAT = timezone(timedelta(hours=3))


class C2B:
    """The registered URLs of one shortcode, and the payments to it."""

    def __init__(self, mpesa: "Mpesa") -> None:
        self._mpesa = mpesa
        # validation is sent only if Safaricom has enabled it for the shortcode
        self.validation = True
        self.once = False  # production accepts one registration, the sandbox any number
        self.urls: dict[str, str] = {}

    def register(self, body: dict[str, Any]) -> Response:
        """Register the URLs for validation and confirmation."""
        if not re.fullmatch(r"[0-9]{5,7}", str(body.get("ShortCode", "")), re.ASCII):
            raise self._mpesa.invalid("ShortCode")
        if body.get("ResponseType") not in ("Completed", "Cancelled"):
            raise self._mpesa.invalid("ResponseType")
        urls = {
            field: self._mpesa.check_url(field, body.get(field))
            for field in ("ConfirmationURL", "ValidationURL")
        }
        if self.once and self.urls:
            return self._mpesa.error(500, "500.003.1001", "Urls are already registered.")
        self.urls = {**urls, "ResponseType": str(body["ResponseType"])}
        return self._accepted()

    def simulate(self, body: dict[str, Any], version: str) -> Response:
        """Let a payer pay, as the sandbox does."""
        if not self.urls:
            raise self._mpesa.invalid("ShortCode")
        for field, pattern in (("Amount", r"[1-9][0-9]{0,9}"), ("Msisdn", r"254[0-9]{9}")):
            if not re.fullmatch(pattern, str(body.get(field, "")), re.ASCII):
                raise self._mpesa.invalid(field)
        receipt, party = self._mpesa.receipt(), str(body["Msisdn"])
        entry = self._mpesa.open(
            "collect",
            reference=body.get("BillRefNumber") and str(body["BillRefNumber"]),
            provider_reference=receipt,
            amount=Decimal(str(body["Amount"])),
            currency="KES",
            party=party,
            TransactionType="Pay Bill"
            if body.get("CommandID") == "CustomerPayBillOnline"
            else "Buy Goods",
            TransID=receipt,
            TransTime=f"{wall_time(EAT):%Y%m%d%H%M%S}",
            BusinessShortCode=str(body.get("ShortCode")),
            MSISDN=_hidden(party, version),
            ThirdPartyTransID="",
        )
        self._mpesa.core.start(self._pay(entry))
        return self._accepted()

    def confirmation(self, entry: Entry) -> Message:
        """Make the confirmation of a payment."""
        return Message.json(self.urls["ConfirmationURL"], self._told(entry, balance="25.00"))

    async def _pay(self, entry: Entry) -> None:
        accepted = True
        if self.validation:
            message = Message.json(self.urls["ValidationURL"], self._told(entry, balance=""))
            reply = await self._mpesa.core.carry(self._mpesa.name, message)
            accepted = self._accepts(entry, reply)
        self._mpesa.settle(entry, Outcome(Status.SUCCEEDED if accepted else Status.CANCELLED))

    def _accepts(self, entry: Entry, reply: Response | None) -> bool:
        """Read the merchant's answer; without one in time, the registered ResponseType decides."""
        try:
            said = json.loads(reply.body) if reply else {}
            code = str(said["ResultCode"])
        except (ValueError, KeyError, TypeError):
            return self.urls["ResponseType"] == "Completed"
        entry.words["ThirdPartyTransID"] = str(said.get("ThirdPartyTransID", ""))
        return code == "0"

    def _told(self, entry: Entry, *, balance: str) -> dict[str, str]:
        words = entry.words
        return {
            "TransactionType": words["TransactionType"],
            "TransID": words["TransID"],
            "TransTime": words["TransTime"],
            "TransAmount": f"{entry.amount:.2f}",
            "BusinessShortCode": words["BusinessShortCode"],
            "BillRefNumber": entry.reference or "",
            "InvoiceNumber": "",
            "OrgAccountBalance": balance,
            "ThirdPartyTransID": words["ThirdPartyTransID"],
            "MSISDN": words["MSISDN"],
            "FirstName": "NICHOLAS",
            "MiddleName": "",
            "LastName": "",
        }

    def _accepted(self) -> Response:
        return json_reply(
            {
                "OriginatorCoversationID": self._mpesa.uuid(),
                "ResponseCode": "0",
                "ResponseDescription": "Accept the service request successfully.",
            }
        )


def _hidden(party: str, version: str) -> str:
    """Hide the payer's number as this API version does: v1 hashes it, v2 masks its middle."""
    return (
        hashlib.sha256(party.encode()).hexdigest()
        if version == "v1"
        else f"{party[:4]} ***** {party[-3:]}"
    )
