"""Daraja's B2B: money from the working account to a paybill, a till, a B2C shortcode, the taxman.

From the pages "Business Pay Bill", "Business Buy Goods", "B2C Account Top Up" and "Tax Remittance"
of https://developer.safaricom.co.ke, read through github.com/JacksCodeVault/mpesa-daraja-mcp
(daraja_docs_v3/docs). None has an id of the merchant: each request is another payment. The sample
of the first prints the command's name as "Command ID"; the table below it has "CommandID".

A receiver with a number of `B2B.receivers` is paid, or not, by its last digit: 600000, of the
sample of the top-up, is paid; 600001 is code 1, 600002 is 2006, 600006 is SFC_IC0003; 600003
expires in the queue (a time-out); 600004 waits until `sim.settle`.
"""

from collections.abc import Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ...http import Response
from ...models import Reason, Status
from ..ledger import Entry, Outcome
from .accounts import held
from .results import acknowledged
from .wire import ORGANISATION, PHONE, WHOLE, Pairs, stamp

if TYPE_CHECKING:
    from . import Mpesa

# 572572 is the tax authority's: "For this use case, only 572572 is allowed."
TAXMAN = r"572572"
_WITHIN = ("BusinessPayToBulk", "BusinessTransferFromMMFToUtility")  # it stays the merchant's money
_COMMANDS = rf"BusinessPayBill|BusinessBuyGoods|{'|'.join(_WITHIN)}"
_RECEIVERS: Mapping[str, Outcome] = {
    "600000": Outcome(Status.SUCCEEDED),
    "600001": Outcome(Status.FAILED, Reason.INSUFFICIENT_FUNDS),
    "600002": Outcome(Status.FAILED, Reason.OTHER, "2006"),
    "600003": Outcome(Status.EXPIRED, Reason.EXPIRED),
    "600004": Outcome(Status.PENDING),
    "600006": Outcome(Status.FAILED, Reason.OTHER, "SFC_IC0003"),
}


def _fields(commands: str, receiver: str, sort: str) -> tuple[tuple[str, str], ...]:
    return (
        ("Initiator", r".+"),
        ("SecurityCredential", r".+"),
        ("CommandID", commands),
        ("SenderIdentifierType", r"4"),
        ("RecieverIdentifierType", sort),  # the page's spelling
        ("Amount", WHOLE),
        ("PartyA", ORGANISATION),
        ("PartyB", receiver),
        ("Remarks", r".{1,100}"),
    )


class B2B:
    """The payments of one merchant to others; a test may change every attribute."""

    def __init__(self, mpesa: "Mpesa") -> None:
        self._mpesa = mpesa
        self.receivers = dict(_RECEIVERS)
        # The pages: "This API supports type 4 only". Older code sends 2 for a till
        # (github.com/amoskyalo/daraja-docs).
        self.receiver_types = r"[24]"

    def pay(self, body: dict[str, Any]) -> Response:
        """Accept a payment to a paybill, till or B2C shortcode."""
        self._mpesa.results.check(body, _fields(_COMMANDS, ORGANISATION, self.receiver_types))
        # The page of the top-up has no AccountReference in its table, but in its sample.
        self._optional(body, "AccountReference", r".{1,13}", needed=not _stays(body))
        self._optional(body, "Requester", PHONE)
        return self._accept(body, "b2b")

    def tax(self, body: dict[str, Any]) -> Response:
        """Accept a tax; AccountReference is its payment registration number."""
        self._mpesa.results.check(body, _fields(r"PayTaxToKRA", TAXMAN, r"4"))
        self._optional(body, "AccountReference", r".+", needed=True)
        return self._accept(body, "tax")

    def checked(self, entry: Entry, outcome: Outcome) -> Outcome:
        """Return the outcome that M-Pesa lets a payment have: the account must have the money."""
        short = outcome.status is Status.SUCCEEDED and self._short(entry)
        return Outcome(Status.FAILED, Reason.INSUFFICIENT_FUNDS) if short else outcome

    def _accept(self, body: dict[str, Any], role: Any) -> Response:
        asked = self._mpesa.results.asked(
            body, role, self._paid, texts=True, references=_references(body)
        )
        receipt = self._mpesa.receipt()
        entry = self._mpesa.open(
            "payout",
            receipt,
            asked.ids["OriginatorConversationID"],
            reference=str(body.get("AccountReference") or "") or None,
            provider_reference=asked.ids["ConversationID"],
            amount=Decimal(str(body["Amount"])),
            currency="KES",
            party=str(body["PartyB"]),
            receipt=receipt,
            shortcode=str(body["PartyA"]),
            asked=asked,
            funds="working",
            within=_stays(body),
        )
        decided = self.receivers.get(str(entry.party))
        if asked.refusal:
            decided = Outcome(Status.FAILED, Reason.OTHER, asked.refusal)
        elif self._short(entry):
            decided = Outcome(Status.FAILED, Reason.INSUFFICIENT_FUNDS)
        self._mpesa.ring(entry, decided)
        return acknowledged(asked)

    def _optional(
        self, body: dict[str, Any], field: str, pattern: str, *, needed: bool = False
    ) -> None:
        if needed or body.get(field) not in (None, ""):
            self._mpesa.results.check_fields(body, ((field, pattern),))

    def _short(self, entry: Entry) -> bool:
        return entry.amount > self._mpesa.accounts.working

    def _paid(self, entry: Entry, receipt: str) -> Pairs:
        working = self._mpesa.accounts.working
        funds = (
            f"{{Amount={{CurrencyCode=KES, MinimumAmount={int(working * 100)}, "
            f"BasicAmount={working:.2f}}}}}"
        )
        fee = self._mpesa.accounts.fee
        return (
            ("DebitAccountBalance", funds),
            ("Amount", f"{entry.amount:.2f}"),
            ("DebitPartyAffectedAccountBalance", held("Working Account", working)),
            ("TransCompletedTime", stamp()),
            ("DebitPartyCharges", f"{fee:.2f}" if fee else ""),
            ("ReceiverPartyPublicName", f"{entry.party} - Biller Company"),
            ("Currency", "KES"),
            ("InitiatorAccountCurrentBalance", funds),
        )


def _stays(body: dict[str, Any]) -> bool:
    """Return whether the money stays the merchant's: every shortcode here is the same one's."""
    return body["CommandID"] in _WITHIN


def _references(body: dict[str, Any]) -> Pairs:
    return (
        ("BillReferenceNumber", str(body.get("AccountReference", ""))),
        ("QueueTimeoutURL", body["QueueTimeOutURL"]),
    )
