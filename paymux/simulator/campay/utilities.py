"""CamPay's airtime, and whose a number is.

Bodies are those of github.com/NdoleStudio/campay-go-sdk (README.md and internal/stubs @b759db1,
copies of the page's examples) and of the page https://documenter.getpostman.com/view/2391374/T1LV8PVA
("Get holder info"). Which money airtime leaves is on no page: a real /balance/ had a
`utility_balance`, so here it is that. Nor does a page say whether its end is told to the app's URL.
"""

from typing import TYPE_CHECKING, Any

from ...http import Response, WebhookRequest
from ..replies import Refused, json_reply, query
from .checks import checked_amount, checked_party
from .messages import airtime, error

if TYPE_CHECKING:
    from . import CamPay


class Utilities:
    """Airtime and names; a test may change every attribute."""

    def __init__(self, campay: "CamPay") -> None:
        self._campay = campay
        self.tells = True  # whether the end of a transfer is told to the app's URL
        self.usual_holder = "JOHN DOE"  # of the page's sample
        self.holders: dict[str, str] = {}  # names of other numbers; "": CamPay knows none

    def transfer(self, body: dict[str, Any]) -> Response:
        """Accept airtime for a phone."""
        campay = self._campay
        amount = checked_amount(body, "amount", "to", cap=campay.cap)
        party, carrier = checked_party(str(body["to"]))
        entry = campay.again("payout", body)
        if entry is None:
            if amount > campay.utility:
                return error("ER301")
            entry = campay.accept("payout", body, amount, party, carrier, airtime=True)
            campay.ring(entry)
        return json_reply({"reference": entry.provider_reference, "status": "PENDING"})

    def transaction(self, reference: str) -> Response:
        """Tell how a transfer stands; only airtime is here."""
        entry = self._campay.entry(reference)
        if entry is None or "airtime" not in entry.words:
            return json_reply({"detail": "Not found."}, 404)
        return json_reply(airtime(entry))

    def holder(self, incoming: WebhookRequest) -> Response:
        """Tell whose a number is."""
        party, _ = checked_party(query(incoming).get("phone_number", ""))
        name = self.holders.get(party, self.usual_holder)
        if not name:
            raise Refused(json_reply({"detail": "Not found."}, 404))
        return json_reply({"full_name": name})
