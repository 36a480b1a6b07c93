"""The gateway's refunds: accepted at once, whole or in parts, while the money goes back later."""

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ...http import Response
from ...models import Status
from ...primitives.clock import wall_time
from ..ledger import Entry
from ..replies import Refused, json_reply
from .checks import checked_amount
from .messages import error

if TYPE_CHECKING:
    from . import MpesaGateway


class Refunds:
    """The refunds of one merchant's payments."""

    def __init__(self, gateway: "MpesaGateway") -> None:
        self._gateway = gateway

    def given_back(self, paid: Entry, *statuses: Status) -> Decimal:
        """Return what was given back of a payment, by refunds of these statuses."""
        refunds = [
            entry
            for entry in self._gateway.entries()
            if entry.words.get("refund_of") == paid.provider_reference
        ]
        return sum((entry.amount for entry in refunds if entry.status in statuses), Decimal(0))

    def request(self, paid: Entry, body: dict[str, Any]) -> Response:
        """Accept a refund; the document says "processed", but the money goes back later."""
        if paid.status is not Status.SUCCEEDED:
            raise Refused(
                error(
                    "PAYMENT_FAILED",
                    details={"transaction_id": ["Only a completed payment can be refunded."]},
                )
            )
        left = paid.amount - self.given_back(paid, Status.PENDING, Status.SUCCEEDED)
        amount = checked_amount({"amount": int(left), **body}, Decimal(1), left)
        refund_id = f"RFD{wall_time():%Y%m%d%H%M%S}{len(self._gateway.core.ledger):03X}"
        entry = self._gateway.open(
            "refund",
            reference=paid.reference,
            provider_reference=refund_id,
            amount=amount,
            currency="KES",
            party=paid.party,
            refund_of=paid.provider_reference,
            reason=body.get("reason"),
        )
        self._gateway.ring(entry, self._gateway.refund_outcome)
        told = refund_id if self._gateway.refund_ids else None
        return json_reply({"message": "Refund processed successfully", "refund_id": told})
