"""Daraja's B2C (v1, v3) and B2Pochi: money to a customer, from the utility account.

From the pages "Business To Customer" and "Business To Pochi" of https://developer.safaricom.co.ke,
read through github.com/JacksCodeVault/mpesa-daraja-mcp (daraja_docs_v3/docs), and
github.com/amoskyalo/daraja-docs (v2/b2c.mdx).

A payee with a number of `Mpesa.numbers` is paid, or not, by its last digit: 9 is paid; 1 is code 1,
5 is 2001, 8 is 4, 0 and 6 are 2040; 2 is 2040 as cancelled; 3 expires in the queue (a time-out);
4 waits until `sim.settle`.
"""

from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

from ...http import Response
from ...models import Reason, Status
from ...primitives.clock import wall_time
from ..ledger import Entry, Outcome
from ..replies import json_reply
from .results import Asked, acknowledged
from .wire import EAT, ORGANISATION, PHONE, WHOLE, Pairs

if TYPE_CHECKING:
    from . import Mpesa

_OWN_ID = (("OriginatorConversationID", r".{1,128}"),)
_COMMANDS = r"SalaryPayment|BusinessPayment|PromotionPayment"


def _fields(commands: str) -> tuple[tuple[str, str], ...]:
    # Each example of the sandbox has another shortcode, so any shortcode is the merchant's.
    return (
        ("InitiatorName", r".+"),
        ("SecurityCredential", r".+"),
        ("CommandID", commands),
        ("Amount", WHOLE),
        ("PartyA", ORGANISATION),
        ("PartyB", PHONE),
        ("Remarks", r".{2,100}"),
    )


class B2C:
    """The payouts of one merchant."""

    def __init__(self, mpesa: "Mpesa") -> None:
        self._mpesa = mpesa
        self.lowest = Decimal(10)  # shillings in one payout, at least; at most: the limit of a push
        # How a repeated id is told. The pages show 500.002.1001; result 15 is in the table of
        # "Account Balance"; a double of one integrator answers 200 with code "1". None pays.
        self.duplicate: Literal["500.002.1001", "15", "200"] = "500.002.1001"

    def pay(self, body: dict[str, Any], version: str) -> Response:
        """Accept a payout; v3 requires the merchant's own id, and pays each only once."""
        own = () if version == "v1" else _OWN_ID
        return self._accept(body, (*own, *_fields(_COMMANDS)), own=version != "v1")

    def pochi(self, body: dict[str, Any]) -> Response:
        """Accept a payout to a business wallet; its ids are those of B2C v3."""
        return self._accept(body, (*_OWN_ID, *_fields(f"BusinessPayToPochi|{_COMMANDS}")), own=True)

    def _accept(
        self, body: dict[str, Any], wanted: tuple[tuple[str, str], ...], *, own: bool
    ) -> Response:
        reference = str(body.get("OriginatorConversationID", "")) if own else None
        self._mpesa.results.check(body, wanted)
        if reference and self._taken(reference):
            return self._again(body, reference)
        asked = self._asked(body, reference)
        receipt = self._mpesa.receipt()
        entry = self._mpesa.open(
            "payout",
            receipt,
            asked.ids["OriginatorConversationID"],
            reference=reference,
            provider_reference=asked.ids["ConversationID"],
            amount=Decimal(str(body["Amount"])),
            currency="KES",
            party=str(body["PartyB"]),
            receipt=receipt,
            shortcode=str(body["PartyA"]),
            asked=asked,
        )
        self._mpesa.ring(entry, self._declined(entry, asked))
        return acknowledged(asked)

    def checked(self, entry: Entry, outcome: Outcome) -> Outcome:
        """Return the outcome that M-Pesa lets a payout have: the account must have the money."""
        short = outcome.status is Status.SUCCEEDED and self._short(entry)
        return Outcome(Status.FAILED, Reason.INSUFFICIENT_FUNDS) if short else outcome

    def _short(self, entry: Entry) -> bool:
        return entry.amount > self._mpesa.accounts.utility

    def _declined(self, entry: Entry, asked: Asked) -> Outcome | None:
        """Return M-Pesa's own outcome of an accepted payout; None: the payee's number decides."""
        if asked.refusal:
            return Outcome(Status.FAILED, Reason.OTHER, asked.refusal)
        if entry.amount < self.lowest:
            return Outcome(Status.FAILED, Reason.LIMIT, "2")
        if entry.amount > self._mpesa.limit:
            return Outcome(Status.FAILED, Reason.LIMIT, "3")
        if self._short(entry):
            return Outcome(Status.FAILED, Reason.INSUFFICIENT_FUNDS)
        return None

    def _taken(self, reference: str) -> bool:
        named = self._mpesa.core.ledger.entries(reference, provider=self._mpesa.name)
        return any(one.kind == "payout" and one.reference == reference for one in named)

    def _asked(self, body: dict[str, Any], reference: str | None, **shape: Any) -> Asked:
        return self._mpesa.results.asked(
            body, "b2c", self._paid, reference=reference, api="b2cresults", **shape
        )

    def _again(self, body: dict[str, Any], reference: str) -> Response:
        said = "Duplicate OriginatorConversationID."
        if self.duplicate == "15":  # nothing moves, whatever became of the first
            return self._mpesa.results.answer(self._asked(body, reference, question=True), "15")
        if self.duplicate == "200":
            ids = self._mpesa.results.ids(reference)
            return json_reply({**ids, "ResponseCode": "1", "ResponseDescription": said})
        return self._mpesa.error(500, "500.002.1001", said)

    def _paid(self, entry: Entry, receipt: str) -> Pairs:
        funds = self._mpesa.accounts.funds()
        return (
            ("TransactionAmount", int(entry.amount)),
            ("TransactionReceipt", receipt),
            ("B2CRecipientIsRegisteredCustomer", "Y"),
            ("B2CChargesPaidAccountAvailableFunds", float(funds["Charges Paid Account"])),
            ("ReceiverPartyPublicName", f"{entry.party} - John Doe"),
            ("TransactionCompletedDateTime", f"{wall_time(EAT):%d.%m.%Y %H:%M:%S}"),
            ("B2CUtilityAccountAvailableFunds", float(funds["Utility Account"])),
            ("B2CWorkingAccountAvailableFunds", float(funds["Working Account"])),
        )
