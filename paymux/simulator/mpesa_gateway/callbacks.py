"""The ends of payments that the gateway is told: Daraja's callback, and a tester's."""

from typing import TYPE_CHECKING, Any

from ...http import Response
from ...models import Status
from ..ledger import Entry, Outcome
from ..replies import Refused, json_reply
from .messages import RESULTS, WORDS, error

if TYPE_CHECKING:
    from . import MpesaGateway


class Callbacks:
    """Decides payments as a callback says."""

    def __init__(self, gateway: "MpesaGateway") -> None:
        self._gateway = gateway

    def passed_on(self, body: dict[str, Any]) -> Response:
        """Accept Daraja's callback.

        The document shows no answer, so this is the one Daraja expects.
        """
        outer = body.get("Body")
        told = outer.get("stkCallback") if isinstance(outer, dict) else None
        if not isinstance(told, dict) or not isinstance(told.get("ResultCode"), int):
            raise Refused(error("INVALID_REQUEST", details={"Body": ["stkCallback is required."]}))
        pushed = {
            entry.words.get("checkout_request_id", ""): entry for entry in self._gateway.entries()
        }
        entry = pushed.get(str(told.get("CheckoutRequestID")))
        if entry is None:
            raise Refused(error("NOT_FOUND", 404))
        outcome, _ = RESULTS.get(told["ResultCode"], (Outcome(Status.FAILED), ""))
        self._decide(entry, outcome)
        return json_reply({"ResultCode": 0, "ResultDesc": "Accepted"})

    def of_a_tester(self, entry: Entry, body: dict[str, Any]) -> Response:
        """Decide a payment as the tester says; the answer is ours: the document shows none."""
        status = next(
            (status for status, said in WORDS.items() if said == body.get("status")), None
        )
        if status is None or status is Status.REFUNDED:
            raise Refused(error("INVALID_REQUEST", details={"status": ["Not a valid choice."]}))
        self._decide(entry, Outcome(status))
        return json_reply({"message": "Callback processed"})

    def _decide(self, entry: Entry, outcome: Outcome) -> None:
        # A second callback changes nothing, except that a success may come late.
        late = outcome.status is Status.SUCCEEDED and not entry.moved
        if entry.status is Status.PENDING or late:
            self._gateway.settle(entry, outcome)
