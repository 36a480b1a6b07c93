"""Daraja's C2B: a customer pays to a paybill or till; the merchant validates, and is told.

Bodies and codes are those of github.com/amoskyalo/daraja-docs (v2/c2b.mdx) and of the pages
"Customer To Business" and "Register URL" of https://developer.safaricom.co.ke, read through
github.com/JacksCodeVault/mpesa-daraja-mcp; the misspelt `OriginatorCoversationID` is theirs.
"Payments can be initiated via SIM Toolkit, Mpesa App, … NI Push API": an STK push is told twice,
by its callback and by a confirmation with the same receipt.
"""

import hashlib
import json
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from ...errors import UsageError
from ...http import Response
from ...models import Status
from ..ledger import Entry, Outcome
from ..messages import Message
from ..replies import json_reply
from .wire import ORGANISATION, PHONE, SHORTCODE, WHOLE, fits, paid_at, stamp

if TYPE_CHECKING:
    from . import Mpesa


class Registered(msgspec.Struct, frozen=True, kw_only=True):
    """The URLs of one shortcode, and the version of the API that they were registered with."""

    confirmation: str
    validation: str
    default: str  # "Completed" or "Cancelled": what a missing answer of the validation means
    version: str


class C2B:
    """The registered URLs, and the payments of customers; a test may change every attribute."""

    def __init__(self, mpesa: "Mpesa") -> None:
        self._mpesa = mpesa
        # validation is sent only if Safaricom has enabled it for the shortcode
        self.validation = True
        self.once = False  # production accepts one registration, the sandbox any number
        # Whether the confirmation of an STK push is sent, and on which side of its callback. It is
        # not known whether every shortcode gets it.
        self.twins: Literal["no", "before", "after"] = "after"
        # Shares of the confirmations, 0 to 1: never sent, and sent twice.
        self.lost = 0.0
        self.twice = 0.0
        # Both masks were printed: "2547 ***** 126" and "25470****149".
        self.mask: Literal["spaced", "tight"] = "spaced"
        self.registered: dict[str, Registered] = {}

    def register(self, body: dict[str, Any], version: str = "v2") -> Response:
        """Register the URLs for validation and confirmation."""
        if not fits(ORGANISATION, body.get("ShortCode")):
            raise self._mpesa.invalid("ShortCode")
        if body.get("ResponseType") not in ("Completed", "Cancelled"):
            raise self._mpesa.invalid("ResponseType")
        confirmation, validation = (
            self._mpesa.check_url(field, body.get(field))
            for field in ("ConfirmationURL", "ValidationURL")
        )
        shortcode = str(body["ShortCode"])
        if self.once and shortcode in self.registered:
            return self._mpesa.error(500, "500.003.1001", "Urls are already registered.")
        self.registered[shortcode] = Registered(
            confirmation=confirmation,
            validation=validation,
            default=str(body["ResponseType"]),
            version=version,
        )
        return self._accepted()

    def simulate(self, body: dict[str, Any]) -> Response:
        """Let a customer pay, as only the sandbox does."""
        shortcode = str(body.get("ShortCode", ""))
        if shortcode not in self.registered:
            raise self._mpesa.invalid("ShortCode")
        for field, pattern in (("Amount", WHOLE), ("Msisdn", r"254[0-9]{9}")):
            if not fits(pattern, body.get(field)):
                raise self._mpesa.invalid(field)
        if not fits(r".{0,20}", body.get("BillRefNumber") or ""):
            raise self._mpesa.invalid("BillRefNumber")
        self.pay(
            bill=str(body.get("BillRefNumber") or "") or None,
            amount=Decimal(str(body["Amount"])),
            msisdn=str(body["Msisdn"]),
            shortcode=shortcode,
            till=body.get("CommandID") != "CustomerPayBillOnline",
        )
        return self._accepted()

    def pay(
        self, *, bill: str | None, amount: Decimal, msisdn: str, shortcode: str, till: bool
    ) -> Entry:
        """Let a customer pay: validated where URLs are registered, then told."""
        receipt = self._mpesa.receipt()
        entry = self._mpesa.open(
            "collect",
            reference=bill,
            provider_reference=receipt,
            amount=amount,
            currency="KES",
            party=msisdn,
            receipt=receipt,
            shortcode=shortcode,
            TransactionType="Buy Goods" if till else "Pay Bill",
            ThirdPartyTransID="",
        )
        self._mpesa.core.start(self._pay(entry))
        return entry

    def confirmation(self, entry: Entry) -> Message | None:
        """Make the confirmation of a payment; None: it failed, or no URL is registered."""
        urls = self.registered.get(entry.words["shortcode"])
        if urls is None or not entry.moved:
            return None
        balance = f"{self._mpesa.accounts.utility:.2f}"
        return Message.json(urls.confirmation, self._told(entry, urls, balance))

    def twin(self, entry: Entry) -> list[Message]:
        """Make the confirmations of an STK push that was paid."""
        message = None if self.twins == "no" else self.confirmation(entry)
        return self.sent(message) if message else []

    def sent(self, *messages: Message) -> list[Message]:
        """Return what is sent of confirmations: they may be lost, or come twice."""
        draw = self._mpesa.core.random.random
        if self.lost and draw() < self.lost:
            return []
        return [*messages, *messages] if self.twice and draw() < self.twice else [*messages]

    async def _pay(self, entry: Entry) -> None:
        accepted, urls = True, self.registered.get(entry.words["shortcode"])
        if self.validation and urls:
            message = Message.json(urls.validation, self._told(entry, urls, ""))
            reply = await self._mpesa.core.carry(self._mpesa.name, message)
            accepted = _accepts(entry, urls, reply)
        if entry.status is Status.PENDING:  # else a test has decided it meanwhile
            self._mpesa.settle(entry, Outcome(Status.SUCCEEDED if accepted else Status.CANCELLED))

    def _told(self, entry: Entry, urls: Registered, balance: str) -> dict[str, str]:
        words = entry.words
        return {
            "TransactionType": words["TransactionType"],
            "TransID": words["receipt"],
            "TransTime": stamp(paid_at(entry)),
            "TransAmount": f"{entry.amount:.2f}",
            "BusinessShortCode": words["shortcode"],
            "BillRefNumber": entry.reference or "",
            "InvoiceNumber": "",
            "OrgAccountBalance": balance,
            "ThirdPartyTransID": words.get("ThirdPartyTransID", ""),
            "MSISDN": self._hidden(entry.party or "", urls.version),
            "FirstName": "NICHOLAS",
            "MiddleName": "",
            "LastName": "",
        }

    def _hidden(self, party: str, version: str) -> str:
        """Hide the payer's number as this version does: v1 hashes it, v2 masks its middle."""
        if version == "v1":
            return hashlib.sha256(party.encode()).hexdigest()
        tight = self.mask == "tight"
        return f"{party[:5]}****{party[-3:]}" if tight else f"{party[:4]} ***** {party[-3:]}"

    def _accepted(self) -> Response:
        return json_reply(
            {
                "OriginatorCoversationID": self._mpesa.uuid(),
                "ResponseCode": "0",
                "ResponseDescription": "Accept the service request successfully.",
            }
        )


def checked(bill: str | None, amount: Decimal | int | str, msisdn: str, shortcode: str) -> Decimal:
    """Check what a test lets a customer pay, and return the amount."""
    if bill is not None and not fits(r".{0,20}", bill):
        raise UsageError.field("bill", bill, "at most 20 characters, or None at a till")
    if not fits(WHOLE, amount):
        raise UsageError.field("amount", amount, "whole shillings, 1 or more")
    if not fits(PHONE, msisdn):
        raise UsageError.field("msisdn", msisdn, "a number such as 254712345678")
    if not fits(ORGANISATION, shortcode):
        raise UsageError.field("shortcode", shortcode, f"5 to 7 digits, such as {SHORTCODE}")
    return Decimal(str(amount))


def _accepts(entry: Entry, urls: Registered, reply: Response | None) -> bool:
    """Read the merchant's answer; without one in time, the registered ResponseType decides."""
    try:
        said = json.loads(reply.body) if reply else {}
        code = str(said["ResultCode"])
    except (ValueError, KeyError, TypeError):
        return urls.default == "Completed"
    entry.words["ThirdPartyTransID"] = str(said.get("ThirdPartyTransID", ""))
    return code == "0"
