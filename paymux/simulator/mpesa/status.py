"""Daraja's transaction status: what became of a payment, asked by its receipt or by its id.

From the page "Transaction Status" of https://developer.safaricom.co.ke, read through
github.com/JacksCodeVault/mpesa-daraja-mcp (daraja_docs_v3/docs/TransactionStatus.md). The verdict
on the payment is the parameter TransactionStatus; ResultCode is the verdict on the question. The
texts of ReasonType for others than B2C are ours.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from ...http import Response
from ...models import Status
from ..ledger import Entry
from .wire import Pairs, fits, paid_at, shillings, stamp

if TYPE_CHECKING:
    from . import Mpesa

_FIELDS = (
    ("Initiator", r".+"),
    ("SecurityCredential", r".+"),
    ("CommandID", r"TransactionStatusQuery"),
    ("PartyA", r"[0-9]{5,12}"),
    ("IdentifierType", r"[124]"),
    ("Remarks", r".{1,100}"),
)
# The words of the FAQ: the first is under way, the others are final.
_WORDS: Mapping[Status, str] = {
    Status.PENDING: "Authorized",
    Status.SUCCEEDED: "Completed",
    Status.CANCELLED: "Cancelled",
    Status.FAILED: "Declined",
    Status.EXPIRED: "Expired",
}
_WHY: Mapping[str, str] = {
    "payout": "Business Payment to Customer via API",
    "collect": "Pay Bill Online",
    "refund": "Transaction Reversal via API",
}


class TransactionStatus:
    """The question for one payment; a test may change every attribute."""

    def __init__(self, mpesa: "Mpesa") -> None:
        self._mpesa = mpesa
        # The page of 2025 says OriginalConversationID; that of 2022 OriginatorConversationID.
        self.named: Literal["OriginalConversationID", "OriginatorConversationID"] = (
            "OriginalConversationID"
        )
        # No source says how an unknown id or receipt is answered; this is the only code beside 0
        # in the page's table.
        self.unknown_code = "SFC_IC0003"
        # No source says what becomes of the status of a payment that was reversed.
        self.reversed = "Completed"
        # Both samples print DebitPartyName twice: the second is the credit party.
        self.credit_party: Literal["DebitPartyName", "CreditPartyName"] = "DebitPartyName"

    def ask(self, body: dict[str, Any]) -> Response:
        """Acknowledge the question, and send what M-Pesa knows."""
        results = self._mpesa.results
        results.check(body, _FIELDS)
        receipt, conversation = body.get("TransactionID"), body.get(self.named)
        if not fits(r".+", receipt) and not fits(r".+", conversation):
            raise self._mpesa.invalid("TransactionID|OriginalConversationID")
        found = self._by_receipt(str(receipt)) if receipt else self._by_id(str(conversation))

        def told(_: Entry, claimed: str) -> Pairs:
            return self._told(found, claimed) if found else ()

        asked = results.asked(body, "status", told, question=True)
        return results.answer(asked, "0" if found else self.unknown_code)

    def _by_receipt(self, receipt: str) -> Entry | None:
        # Only what was paid has a receipt that was ever told.
        named = self._mpesa.core.ledger.entries(receipt, provider=self._mpesa.name)
        return next((e for e in named if e.moved and e.words["receipt"] == receipt), None)

    def _by_id(self, conversation: str) -> Entry | None:
        named = self._mpesa.core.ledger.entries(conversation, provider=self._mpesa.name)
        for entry in named:
            asked = entry.words.get("asked")
            if asked and asked.ids["OriginatorConversationID"] == conversation:
                return entry
        return None

    def _told(self, entry: Entry, claimed: str) -> Pairs:
        """Tell what is known of a payment; a forged answer claims a success with a receipt."""
        word = "Completed" if claimed else _WORDS.get(entry.status, self.reversed)
        asked = entry.words.get("asked")
        ids = asked.ids if asked else entry.words.get("ids") or self._mpesa.results.ids()
        shop, payer = f"{entry.words['shortcode']} - Safaricom333", f"{entry.party} - John Doe"
        debit, credit = (payer, shop) if entry.kind == "collect" else (shop, payer)
        fee = self._mpesa.accounts.fee if entry.kind == "payout" else 0
        left = "Working Account" if "funds" in entry.words else "Utility Account"
        why = "Business to Business Payment via API" if "funds" in entry.words else _WHY[entry.kind]
        return (
            ("DebitPartyName", debit),
            (self.credit_party, credit),
            ("OriginatorConversationID", ids["OriginatorConversationID"]),
            ("InitiatedTime", stamp(entry.opened_at)),
            ("DebitAccountType", "MMF Account" if entry.kind == "collect" else left),
            ("DebitPartyCharges", f"Fee For B2C Payment|KES|{fee:.2f}" if fee else ""),
            ("TransactionReason", None),
            ("ReasonType", why),
            ("TransactionStatus", word),
            ("FinalisedTime", stamp(paid_at(entry)) if entry.status.terminal else None),
            ("Amount", shillings(entry.amount)),
            ("ConversationID", ids["ConversationID"]),
            ("ReceiptNo", claimed or entry.words["receipt"]),
        )
