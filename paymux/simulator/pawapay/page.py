"""The payment page, and the page of Wave to which a payer is led.

https://docs.pawapay.io/v2/docs/payment_page: the deposit exists once the payer presses "Pay"; the
session lasts 15 minutes; the payer is then led to `returnUrl`, with the `depositId` in its query.
"""

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from ...http import Response, WebhookRequest
from ..checkout import Back, Checkout, Operator, serve
from ..ledger import Entry
from ..replies import json_reply
from .checks import checked_amount, checked_fields, checked_metadata
from .messages import refused
from .operators import OPERATORS, predicted

if TYPE_CHECKING:
    from . import PawaPay

_FIELDS = {
    "depositId": True, "returnUrl": True, "customerMessage": False, "amountDetails": False,
    "phoneNumber": False, "language": False, "country": False, "reason": False, "metadata": False,
}  # fmt: skip
_TWO_LETTERS = {
    "BEN": "BJ", "BFA": "BF", "CMR": "CM", "CIV": "CI", "COD": "CD", "ETH": "ET", "GAB": "GA",
    "GHA": "GH", "KEN": "KE", "LSO": "LS", "MWI": "MW", "MOZ": "MZ", "NGA": "NG", "COG": "CG",
    "RWA": "RW", "SEN": "SN", "SLE": "SL", "TZA": "TZ", "UGA": "UG", "ZMB": "ZM",
}  # fmt: skip


class Pages:
    """The pages of one account."""

    def __init__(self, pawapay: "PawaPay") -> None:
        self._pawapay = pawapay
        self.life = 900.0  # seconds

    def open(self, body: dict[str, Any]) -> Response:
        """Make a payment page: no payer is asked yet."""
        id = checked_fields(body, _FIELDS, "depositId")
        details = body.get("amountDetails")
        if not isinstance(details, dict) or not body.get("country"):
            # Without an amount the payer chooses one, which the page of the simulator has not.
            raise refused("MISSING_PARAMETER", "amountDetails and country are missing.", status=400)
        amount = checked_amount(details.get("amount"))
        if self._pawapay.entry(id) is None:
            self._open(id, body, amount, str(details.get("currency")))
        return json_reply({"redirectUrl": f"{self._pawapay.url}/pay/{id}"})

    def _open(self, id: str, body: dict[str, Any], amount: Decimal, currency: str) -> None:
        country, number = str(body["country"]), body.get("phoneNumber")
        listed = [
            one for one in OPERATORS.values()
            if one.country == country and currency in one.currencies
        ]  # fmt: skip
        if not listed:
            raise refused("INVALID_CURRENCY", f"{country} has no {currency}.", {"depositId": id})
        operator = predicted(str(number)) or listed[0]
        self._pawapay.open(
            "collect",
            reference=None,
            provider_reference=id,
            amount=amount,
            currency=currency,
            party=None if number is None else str(number),
            provider=operator.code,
            country=country,
            wallet=f"{country}/{currency}",
            receipt=str(self._pawapay.core.random.randrange(10**9, 10**10)),
            message=body.get("customerMessage"),
            metadata=checked_metadata(body.get("metadata")),
            opened=False,
            back=str(body["returnUrl"]),
            reason=str(body.get("reason") or ""),
        )

    def show(self, incoming: WebhookRequest, id: str) -> Response:
        """Serve a page; who decides there has pressed "Pay"."""
        entry = self._pawapay.entry(id)
        if entry is None or not ("back" in entry.words or "authorizationUrl" in entry.words):
            return Response(status=404)
        if incoming.method == "POST":
            entry.words["opened"] = True
        return serve(self._pawapay, entry, incoming, self._checkout(entry))

    def _checkout(self, entry: Entry) -> Checkout:
        words = entry.words
        listed = [
            one for one in OPERATORS.values()
            if one.country == words["country"] and entry.currency in one.currencies
        ]  # fmt: skip
        addresses = [words["back"]] if "back" in words else list(words["pages"])
        return Checkout(
            shop=self._pawapay.company,
            description=words.get("reason") or words.get("message") or "",
            operators=[
                Operator(one.code, one.code.replace("_", " "), _TWO_LETTERS[one.country])
                for one in listed
            ],
            addresses=addresses,
            back=lambda: _back(entry, addresses),
            life=self.life,
            lang="en",
            locked=entry.party is not None,
        )


def _back(entry: Entry, addresses: list[Any]) -> Back | None:
    if "back" in entry.words:
        mark = "&" if "?" in addresses[0] else "?"
        return Back(f"{addresses[0]}{mark}depositId={entry.provider_reference}")
    address = addresses[0] if entry.moved else addresses[1]
    return Back(str(address)) if address else None
