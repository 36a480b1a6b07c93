"""Daraja's Ratiba: standing orders, to which customers agree on their phones.

From the page "M-Pesa Ratiba" of https://developer.safaricom.co.ke, read through
github.com/JacksCodeVault/mpesa-daraja-mcp (MpesaRatiba.md, 15 August 2026), and its older text
through github.com/amoskyalo/daraja-docs (v2/mpesa-ratiba.mdx): which of the two a request is shows
by its TransactionType. The number of an interval differs between them.

No page shows where a used name is refused, nor the body of a failed callback but for its code and
the word ERROR. A customer with a number of `Mpesa.numbers` agrees, or not; any other one agrees.
"""

from datetime import date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec

from ...http import Response
from ...models import Reason, Status
from ..ledger import Entry
from ..messages import Message
from ..replies import json_reply
from .wire import ORGANISATION, PHONE, WHOLE

if TYPE_CHECKING:
    from . import Mpesa

# By the TransactionType: whether it is one for a till, and the frequencies from 1 on.
_ONCE, _WEEKS = ("one-off", "daily", "weekly"), ("bi-weekly",)
_MONTHS = ("monthly", "bi-monthly", "quarterly", "half-yearly", "yearly")
_NEW, _OLD = (*_ONCE, *_WEEKS, *_MONTHS), (*_ONCE, *_MONTHS)
_TYPES = {
    "Standing Order Pay Bill External Third Party": (False, _NEW),
    "Standing Order Pay Merchant External Third Party": (True, _NEW),
    "Standing Order Customer Pay Bill": (False, _OLD),
    "Standing Order Customer Pay Marchant": (True, _OLD),
}
_DAY = r"20[0-9]{6}"
_FIELDS = (
    ("StandingOrderName", r".+"),
    ("ReceiverPartyIdentifierType", r"[24]"),
    ("BusinessShortCode", ORGANISATION),
    ("PartyA", PHONE),
    ("Amount", WHOLE),
    ("StartDate", _DAY),
    ("EndDate", _DAY),
    ("AccountReference", r"[^\x00-\x1f]{1,12}"),
    ("TransactionDesc", r"[^\x00-\x1f]{1,13}"),
)
_UUID = r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
_CODES = {
    Reason.BUSY: "1001",
    Reason.CANCELLED: "1032",
    Reason.EXPIRED: "1037",
    Reason.WRONG_PIN: "2001",
}
_WORDS = {
    "0": "Standing order created successfully",
    "1001": "Unable to lock subscriber",
    "1025": "Error sending push request",
    "1032": "Request cancelled by user",
    "1037": "DS timeout user cannot be reached",
    "1050": "The customer already has a standing order with the same name",
    "1051": "Bad request",
    "2001": "Invalid initiator information",
}


class Agreement(msgspec.Struct, kw_only=True):
    """A standing order that a customer was asked for; `agreed` once the customer did."""

    name: str
    payer: str
    amount: Decimal
    frequency: str
    start: date
    end: date
    bill: str
    shortcode: str
    till: bool
    id: str
    agreed: bool = False


class Ratiba:
    """The standing orders of one merchant; a test may change every attribute."""

    def __init__(self, mpesa: "Mpesa") -> None:
        self._mpesa = mpesa
        self.asked: list[Agreement] = []  # one for each prompt, the oldest first
        self.delay = 0.0  # seconds from the prompt to the customer's answer
        self.refuses_at_once = False  # whether 1050 is in the answer, instead of the callback
        self.lost = 0.0  # the share of callbacks that are never sent

    def create(self, body: dict[str, Any]) -> Response:
        """Show the prompt, and tell later what the customer decided."""
        order = self._read(body)
        url = self._mpesa.check_url("CallBackURL", body.get("CallBackURL"))
        if self.refuses_at_once and self._has(order):
            return _answer(order.id, "1050")
        self.asked.append(order)
        self._mpesa.core.after(self.delay, lambda: self._decide(order, url))
        return _answer(order.id, "200")

    def execute(self, order: Agreement) -> Entry:
        """Take the amount once, as M-Pesa does at each interval: a payment without a push."""
        return self._mpesa.pays(
            bill=None if order.till else order.bill,
            amount=order.amount,
            msisdn=order.payer,
            shortcode=order.shortcode,
        )

    def _read(self, body: dict[str, Any]) -> Agreement:
        self._mpesa.results.check_fields(body, _FIELDS)
        till, frequencies = _TYPES.get(str(body.get("TransactionType")), (False, []))
        number = str(body.get("Frequency"))
        if not frequencies:
            raise self._mpesa.invalid("TransactionType")
        if str(body["ReceiverPartyIdentifierType"]) != ("2" if till else "4"):
            raise self._mpesa.invalid("ReceiverPartyIdentifierType")
        if number not in {str(one + 1) for one in range(len(frequencies))}:
            raise self._mpesa.invalid("Frequency")
        if frequencies is _NEW:
            self._mpesa.results.check_fields(body, (("CustomStoId", _UUID),))
        start, end = (_day(self._mpesa, body, field) for field in ("StartDate", "EndDate"))
        if end < start:
            raise self._mpesa.invalid("EndDate")
        return Agreement(
            name=str(body["StandingOrderName"]),
            payer=str(body["PartyA"]),
            amount=Decimal(str(body["Amount"])),
            frequency=frequencies[int(number) - 1],
            start=start,
            end=end,
            bill=str(body["AccountReference"]),
            shortcode=str(body["BusinessShortCode"]),
            till=till,
            id=str(body.get("CustomStoId") or self._mpesa.request_id()),
        )

    def _has(self, order: Agreement) -> bool:
        """Return whether the customer has a standing order of this name."""
        held = {(one.payer, one.name) for one in self.asked if one.agreed}
        return (order.payer, order.name) in held

    def _decide(self, order: Agreement, url: str) -> None:
        decided = self._mpesa.numbers.get(order.payer)
        if decided is not None and decided.status is Status.PENDING:
            return  # never answered, and never told
        if self._has(order):
            code = "1050"
        elif decided is None or decided.status is Status.SUCCEEDED:
            code, order.agreed = "0", True
        else:
            code = decided.code or _CODES.get(decided.reason or Reason.OTHER, "1032")
        if self._mpesa.core.random.random() >= self.lost:
            self._mpesa.core.send(self._mpesa.name, self.callback(order, url, code))

    def callback(self, order: Agreement, url: str, code: str) -> Message:
        """Make the result; it is not signed."""
        said = [("responseCode", code), ("Status", "ERROR")]
        if code == "0":
            number = str(self._mpesa.core.random.randrange(10**6, 10**7))
            said = [
                ("standingOrderName", order.name),
                ("amount", f"{order.amount:.2f}"),
                ("issuePaymentReminderUntil", f"{order.end:%Y%m%d}"),
                ("reminderScheduleId", number),
                ("firstPaymentReminderDate", f"{order.start:%Y%m%d}"),
                ("status", "ACTIVE"),
                ("TransactionID", number),
                ("ResponseCode", "0"),
                ("Status", "OKAY"),
                ("Msisdn", f"*********{order.payer[-3:]}"),
            ]
        header = {
            "responseRefID": order.id,
            "requestRefID": order.id,
            "responseCode": code,
            "responseDescription": _WORDS.get(code, "Failed"),
        }
        data = [{"name": name, "value": value} for name, value in said]
        return Message.json(url, {"responseHeader": header, "responseBody": {"responseData": data}})


def _answer(id: str, code: str) -> Response:
    words = "Request accepted for processing" if code == "200" else _WORDS[code]
    header = {
        "responseRefID": id,
        "responseCode": code,
        "responseDescription": words,
        "ResultDesc": "The service request is processed successfully.",
    }
    part = {"responseDescription": words, "responseCode": code}
    return json_reply({"ResponseHeader": header, "ResponseBody": part})


def _day(mpesa: "Mpesa", body: dict[str, Any], field: str) -> date:
    try:
        return datetime.strptime(str(body[field]), "%Y%m%d").date()  # noqa: DTZ007 - a day alone
    except ValueError:
        raise mpesa.invalid(field) from None
