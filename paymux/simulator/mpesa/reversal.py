"""Daraja's reversal: a customer's payment goes back to the customer, whole.

From the page "Reversal" of https://developer.safaricom.co.ke, read through
github.com/JacksCodeVault/mpesa-daraja-mcp (daraja_docs_v3/docs/Reversal.md). "The amount transacted
… down to the cent" (github.com/amoskyalo/daraja-docs, reversals.mdx): no source shows a part. B2C
cannot be reversed by API ("Business To Customer", FAQ 17).
"""

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ...http import Response
from ...models import Reason, Status
from ..ledger import Entry, Outcome
from . import codes
from .accounts import held
from .results import acknowledged
from .wire import ORGANISATION, Pairs, stamp

if TYPE_CHECKING:
    from . import Mpesa

_FIELDS = (
    ("Initiator", r".+"),
    ("SecurityCredential", r".+"),
    ("CommandID", r"TransactionReversal"),
    ("TransactionID", r"[A-Za-z0-9]{1,20}"),
    ("Amount", r"[0-9]{1,10}(\.[0-9]{1,2})?"),
    ("ReceiverParty", ORGANISATION),
    # Misspelt on the page, and the right spelling is refused (a live answer,
    # github.com/safaricom/LNMOnlineAndroidSample/issues/8).
    ("RecieverIdentifierType", r"11"),
    ("Remarks", r".{2,100}"),
)


class Reversal:
    """The reversals of one merchant; each is a refund in the ledger, with the payment's reference.

    The payer's number decides, or `sim.settle`; but M-Pesa's own rules hold in either case.
    """

    def __init__(self, mpesa: "Mpesa") -> None:
        self._mpesa = mpesa
        # No page says how another amount is refused; 25 is "invalid request parameters" (balance).
        self.wrong_amount_code = "25"

    def request(self, body: dict[str, Any]) -> Response:
        """Accept a reversal; whether it can be done is told by its result."""
        self._mpesa.results.check(body, _FIELDS)
        asked = self._mpesa.results.asked(
            body, "reversal", self._told, api="reversalresults", failures=codes.REVERSAL
        )
        original = self._original(body)
        receipt = self._mpesa.receipt()
        entry = self._mpesa.open(
            "refund",
            receipt,
            asked.ids["OriginatorConversationID"],
            str(body["TransactionID"]),
            reference=original.reference if original else None,
            provider_reference=asked.ids["ConversationID"],
            amount=Decimal(str(body["Amount"])),
            currency="KES",
            party=original.party if original else None,
            receipt=receipt,
            shortcode=str(body["ReceiverParty"]),
            asked=asked,
            original=original,
        )
        why = asked.refusal or self._refusal(entry)
        self._mpesa.ring(entry, Outcome(Status.FAILED, Reason.OTHER, why) if why else None)
        return acknowledged(asked)

    def checked(self, entry: Entry, outcome: Outcome) -> Outcome:
        """Return the outcome that M-Pesa lets a reversal have."""
        why = self._refusal(entry) if outcome.status is Status.SUCCEEDED else None
        return Outcome(Status.FAILED, Reason.OTHER, why) if why else outcome

    def _original(self, body: dict[str, Any]) -> Entry | None:
        """Return the payment of a customer that has this receipt, at this shortcode."""
        receipt, party = str(body["TransactionID"]), str(body["ReceiverParty"])
        for entry in self._mpesa.core.ledger.entries(receipt, provider=self._mpesa.name):
            at_home = party in (entry.words["shortcode"], entry.words.get("till"))
            if entry.kind == "collect" and entry.words["receipt"] == receipt and at_home:
                return entry if entry.moved else None
        return None

    def _refusal(self, entry: Entry) -> str | None:
        original: Entry | None = entry.words["original"]
        if original is None:
            return "R000002"
        if original.status is Status.REFUNDED:
            return "R000001"
        if entry.amount != original.amount:
            return self.wrong_amount_code
        return "1" if entry.amount > self._mpesa.accounts.utility else None

    def _told(self, entry: Entry, receipt: str) -> Pairs:
        return (
            ("DebitAccountBalance", held("Utility Account", self._mpesa.accounts.utility)),
            ("Amount", float(entry.amount)),
            ("TransCompletedTime", int(stamp())),
            ("OriginalTransactionID", entry.words["asked"].body["TransactionID"]),
            ("Charge", 0.0),
            ("CreditPartyPublicName", f"{entry.party} - John Doe"),
            ("DebitPartyPublicName", f"{entry.words['shortcode']} - Safaricom333"),
        )
