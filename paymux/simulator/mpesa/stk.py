"""Daraja's M-Pesa Express: the STK push, its query and its callback.

From github.com/amoskyalo/daraja-docs (documentation/apis/mpesa-express.mdx); error texts and result
codes that it lacks come from github.com/ronnyabuto/daraja-error-codes and from bodies quoted in
public issues.
"""

import asyncio
import base64
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ...http import Response
from ...models import Reason, Status
from ...primitives.clock import wall_time
from ..ledger import Entry, Outcome
from ..messages import Message
from ..replies import Refused, json_reply
from .wire import EAT, ORGANISATION, PHONE, SHORTCODE, WHOLE, fits, stamp

if TYPE_CHECKING:
    from . import Mpesa

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
# Field, pattern, and its name in the refusal: a missing TransactionDesc is "Remarks" (a live
# answer).
_PUSH = (
    ("TransactionType", r"CustomerPayBillOnline|CustomerBuyGoodsOnline", "TransactionType"),
    ("Amount", WHOLE, "Amount"),
    ("PartyA", PHONE, "PartyA"),
    ("PartyB", ORGANISATION, "PartyB"),
    ("PhoneNumber", PHONE, "PhoneNumber"),
    ("AccountReference", r".+", "AccountReference"),
    ("TransactionDesc", r".+", "Remarks"),
)


class Stk:
    """The prompts on payers' phones; its doubtful points are attributes of `Mpesa`."""

    def __init__(self, mpesa: "Mpesa") -> None:
        self._mpesa = mpesa
        self._prompts: dict[str, tuple[float, Entry]] = {}

    def push(self, body: dict[str, Any]) -> Response:
        """Accept a push, and show its prompt."""
        self._signed(body)
        for field, pattern, called in _PUSH:
            if not fits(pattern, body.get(field)):
                raise self._mpesa.invalid(called)
        if body["TransactionType"] == "CustomerPayBillOnline" and str(body["PartyB"]) != SHORTCODE:
            raise self._mpesa.invalid("PartyB")
        url, party = (
            self._mpesa.check_url("CallBackURL", body.get("CallBackURL")),
            str(body["PhoneNumber"]),
        )
        # In place of Daraja's milliseconds, so that no two ids are equal.
        number = len(self._mpesa.core.ledger)
        receipt, till = self._mpesa.receipt(), body["TransactionType"] == "CustomerBuyGoodsOnline"
        entry = self._mpesa.open(
            "collect",
            receipt,
            reference=str(body["AccountReference"]),
            provider_reference=f"ws_CO_{wall_time(EAT):%d%m%Y%H%M%S}{number:03d}{party[-9:]}",
            amount=Decimal(str(body["Amount"])),
            currency="KES",
            party=party,
            CallBackURL=url,
            MerchantRequestID=self._mpesa.request_id(),
            receipt=receipt,
            shortcode=SHORTCODE,
            description=str(body["TransactionDesc"]),
            till=str(body["PartyB"]),
            TransactionType="Buy Goods" if till else "Pay Bill",
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
        if entry.amount > self._mpesa.limit:
            self._mpesa.ring(entry, Outcome(Status.FAILED, Reason.LIMIT, "3"))
        elif self._mpesa.locks and until > now and open_one.status is Status.PENDING:
            self._mpesa.ring(entry, Outcome(Status.FAILED, Reason.BUSY))
        else:
            self._prompts[party] = (now + self._mpesa.prompt_life, entry)
            self._mpesa.ring(entry)

    def query(self, body: dict[str, Any]) -> Response:
        """Tell the result of a push; one that is under way is an error."""
        self._signed(body)
        checkout = str(body.get("CheckoutRequestID") or "")
        entry = self._mpesa.entry(checkout)
        if entry and "MerchantRequestID" not in entry.words:
            entry = None  # a C2B payment, a payout or a reversal, without a push
        if entry is None and self._mpesa.unknown_id == "invalid":
            raise self._mpesa.invalid("CheckoutRequestID")
        if entry is None or (entry.status is Status.PENDING and entry.code is None):
            if self._mpesa.pending == "4999":
                known = {
                    "ResultCode": "4999",
                    "ResultDesc": _DESCRIPTIONS["4999"],
                    "CheckoutRequestID": checkout,
                }
                return json_reply({"ResponseCode": "0", **known})
            return self._mpesa.error(
                500, "500.001.1001", "The transaction is being processed", checkout
            )
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

    def callback(self, entry: Entry, *, forged: bool = False) -> Message:
        """Make the callback of a push; it is not signed."""
        code = "0" if forged else self._code(entry)
        callback: dict[str, Any] = {
            "MerchantRequestID": entry.words["MerchantRequestID"],
            "CheckoutRequestID": entry.provider_reference,
            "ResultCode": int(code) if code.isdecimal() else code,
            "ResultDesc": _DESCRIPTIONS.get(code, "Failed"),
        }
        if code == "0" and self._mpesa.metadata:
            values = {
                "Amount": float(entry.amount),
                "MpesaReceiptNumber": self._mpesa.receipt() if forged else entry.words["receipt"],
                "TransactionDate": int(stamp()),
                "PhoneNumber": int(entry.party or 0),
            }
            items = [{"Name": name, "Value": value} for name, value in values.items()]
            callback["CallbackMetadata"] = {"Item": items}
        return Message.json(entry.words["CallBackURL"], {"Body": {"stkCallback": callback}})

    def _signed(self, body: dict[str, Any]) -> None:
        """Check the shortcode, the Timestamp, and the Password made of both and the passkey."""
        shortcode, timestamp = (
            str(body.get("BusinessShortCode", "")),
            str(body.get("Timestamp", "")),
        )
        if not fits(ORGANISATION, shortcode):
            raise self._mpesa.invalid("BusinessShortCode")
        if not _is_time(timestamp):
            raise self._mpesa.invalid("Timestamp")
        if shortcode != SHORTCODE:
            raise Refused(self._mpesa.error(500, "500.001.1001", "Merchant does not exist"))
        if (
            body.get("Password")
            != base64.b64encode(f"{shortcode}simulator{timestamp}".encode()).decode()
        ):
            raise Refused(
                self._mpesa.error(500, "500.001.1001", "[MerchantValidate] - Wrong credentials")
            )

    def _code(self, entry: Entry) -> str:
        return entry.code or ("0" if entry.moved else _CODES.get(entry.reason, "E3008"))


def _is_time(timestamp: str) -> bool:
    if not fits(r"[0-9]{14}", timestamp):
        return False
    try:
        datetime.strptime(timestamp, "%Y%m%d%H%M%S").replace(tzinfo=EAT)
    except ValueError:
        return False
    return True
