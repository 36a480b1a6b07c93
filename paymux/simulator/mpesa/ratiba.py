"""Daraja's Ratiba: standing orders, to which a customer consents with the PIN.

From the page "M-Pesa Ratiba" of https://developer.safaricom.co.ke in both of its forms: read
through github.com/JacksCodeVault/mpesa-daraja-mcp (daraja_docs_v3/docs/MpesaRatiba.md, 2025), and
as it was on 15 August 2026, with other transaction types, a CustomStoId, and nine frequencies.

Nothing here moves money: `made` has what was created, and `execute` lets M-Pesa take the amount
once, as at each date of the real one. The numbers of `sim.mpesa.magic` consent, cancel (1032), do
not answer (1037), have a wrong PIN (2001) or another prompt (1001), or leave the prompt open.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from ...http import Response
from ...models import Reason, Status
from ..ledger import Entry, Outcome
from ..messages import Message
from ..replies import json_reply
from .wire import ORGANISATION, PHONE, WHOLE, Wanted, fits, stamp

if TYPE_CHECKING:
    from . import Mpesa

_DAY = r"20[0-9]{2}(0[1-9]|1[0-2])(0[1-9]|[12][0-9]|3[01])"
_FIELDS: Wanted = (
    ("StandingOrderName", r".+"),
    ("StartDate", _DAY),
    ("EndDate", _DAY),
    ("BusinessShortCode", ORGANISATION),
    ("Amount", WHOLE),
    ("PartyA", PHONE),
    ("AccountReference", r".{1,12}"),
    ("TransactionDesc", r".{1,13}"),
    ("CallBackURL", r"https?://.+"),
)
# Each type: the receiver's identifier, and how many frequencies its form of the page has. Where two
# copies of a form differ in a type, both are taken.
_TYPES: Mapping[str, tuple[str, int]] = {
    "Standing Order Customer Pay Bill": ("4", 8),
    "Standing Order Customer Pay Marchant": ("2", 8),
    "Standing Order Customer Pay Merchant": ("2", 8),
    "Standing Order Pay Bill Ext-Third Party": ("4", 9),
    "Standing Order Pay Bill External Third Party": ("4", 9),
    "Standing Order Merchant Payment Ext-Third Party": ("2", 9),
    "Standing Order Pay Merchant External Third Party": ("2", 9),
}
_EIGHT = ("One Off", "Daily", "Weekly", "Monthly", "Bi-Monthly", "Quarterly", "Half Year", "Yearly")
_NINE = (*_EIGHT[:3], "Bi-weekly", *_EIGHT[3:])
_REASONS: Mapping[Reason | None, str] = {Reason.WRONG_PIN: "2001", Reason.BUSY: "1001"}


class StandingOrder(msgspec.Struct, frozen=True, kw_only=True):
    """One that a customer has consented to."""

    id: str
    name: str
    party: str
    amount: Decimal
    every: str  # the page's word
    start: str
    end: str
    shortcode: str
    till: bool
    bill: str


class Ratiba:
    """The standing orders; a test may change every attribute."""

    def __init__(self, mpesa: "Mpesa") -> None:
        self._mpesa = mpesa
        self.made: list[StandingOrder] = []
        self.prompts: list[dict[str, Any]] = []  # the requests of which a customer was asked
        self.delay = 0.0  # seconds until the customer has decided
        self.deaf = False  # the callback is never sent
        # The pages list 1050 without saying where; in integrators' code it is in the callback.
        self.tells_used_names: Literal["callback", "answer"] = "callback"

    def create(self, body: dict[str, Any]) -> Response:
        """Take a request; the customer is asked, and the outcome goes to CallBackURL."""
        if not self._fits(body):
            return self._answer("1051", "Bad request")
        if self.tells_used_names == "answer" and self._has(body):
            return self._answer("1050", "Customer has a standing order with the same name")
        ref = str(body.get("CustomStoId") or self._mpesa.uuid())
        self.prompts.append(body)
        outcome = self._mpesa.magic.get(str(body["PartyA"]), Outcome(Status.SUCCEEDED))
        if outcome.status is not Status.PENDING:
            self._mpesa.core.after(self.delay, lambda: self._end(body, ref, outcome))
        return self._answer("200", "Request accepted for processing", ref)

    def execute(self, order: StandingOrder) -> Entry:
        """Take the amount once, as at a date of the order: a customer's payment like any other."""
        return self._mpesa.pays(
            bill=None if order.till else order.bill,
            amount=order.amount,
            msisdn=order.party,
            shortcode=order.shortcode,
        )

    def _fits(self, body: dict[str, Any]) -> bool:
        if not all(fits(pattern, body.get(field)) for field, pattern in _FIELDS):
            return False
        receiver, most = _TYPES.get(str(body.get("TransactionType")), ("", 0))
        if str(body.get("ReceiverPartyIdentifierType")) != receiver:
            return False
        if not fits(f"[1-{most}]", body.get("Frequency")):
            return False
        today = stamp()[:8]
        return today <= str(body["StartDate"]) <= str(body["EndDate"])

    def _has(self, body: dict[str, Any]) -> bool:
        """Return whether the customer has an order of this name."""
        wanted = (str(body["PartyA"]), str(body["StandingOrderName"]))
        return wanted in {(one.party, one.name) for one in self.made}

    def _end(self, body: dict[str, Any], ref: str, outcome: Outcome) -> None:
        code = _code(outcome)
        if code == "0" and self._has(body):
            code = "1050"
        newer = _TYPES[str(body["TransactionType"])][1] == len(_NINE)
        if code == "0":
            self.made.append(self._order(body, newer=newer))
        if not self.deaf:
            self._mpesa.core.send(self._mpesa.name, self._callback(body, ref, code, newer=newer))

    def _order(self, body: dict[str, Any], *, newer: bool) -> StandingOrder:
        words = _NINE if newer else _EIGHT
        return StandingOrder(
            id=str(self._mpesa.core.random.randrange(10**6, 10**7))
            if newer
            else self._mpesa.receipt(),
            name=str(body["StandingOrderName"]),
            party=str(body["PartyA"]),
            amount=Decimal(str(body["Amount"])),
            every=words[int(body["Frequency"]) - 1],
            start=str(body["StartDate"]),
            end=str(body["EndDate"]),
            shortcode=str(body["BusinessShortCode"]),
            till=str(body["ReceiverPartyIdentifierType"]) == "2",
            bill=str(body["AccountReference"]),
        )

    def _callback(self, body: dict[str, Any], ref: str, code: str, *, newer: bool) -> Message:
        """Make the outcome: a failure is printed with large first letters, a success with small."""
        hidden = f"*********{str(body['PartyA'])[-3:]}"
        rows = [("responseCode", code), ("Status", "OKAY" if code == "0" else "ERROR")]
        if code != "0":
            rows = [("TransactionID", "0000000000"), *rows]
        else:
            made = self.made[-1]
            rows = [("TransactionID", made.id), *rows]
            if newer:
                rows = [
                    ("standingOrderName", made.name),
                    ("amount", f"{made.amount:.2f}"),
                    ("issuePaymentReminderUntil", made.end),
                    ("reminderScheduleId", made.id),
                    ("firstPaymentReminderDate", made.start),
                    ("status", "ACTIVE"),
                    *rows,
                ]
        rows.append(("Msisdn", hidden))
        done = "The service request is processed successfully"
        header = {
            "responseRefID": ref,
            "requestRefID": ref,
            "responseCode": code,
            "responseDescription": done if code == "0" else "Error",
        }
        if code == "0":
            listed = [{"name": name, "value": value} for name, value in rows]
            said = {"responseHeader": header, "responseBody": {"responseData": listed}}
        else:
            listed = [{"Name": name, "Value": value} for name, value in rows]
            said = {"ResponseHeader": header, "ResponseBody": {"ResponseData": listed}}
        return Message.json(str(body["CallBackURL"]), said)

    def _answer(self, code: str, words: str, ref: str | None = None) -> Response:
        body = {"responseDescription": words, "responseCode": code}
        done = "The service request is processed successfully."
        return json_reply(
            {
                "ResponseHeader": {
                    "responseRefID": ref or self._mpesa.uuid(),
                    **body,
                    "ResultDesc": done if code == "200" else words,
                },
                "ResponseBody": body,
            }
        )


def _code(outcome: Outcome) -> str:
    if outcome.code:
        return outcome.code
    if outcome.status is Status.CANCELLED:
        return "1032"
    if outcome.status is Status.EXPIRED:
        return "1037"
    return _REASONS.get(outcome.reason, "0")  # a consent needs no money
