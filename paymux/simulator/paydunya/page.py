"""PayDunya's checkout page: its operators, and the way back to return_url or cancel_url."""

from typing import TYPE_CHECKING
from urllib.parse import urlencode

from ..checkout import Back, Checkout, Operator, among
from ..ledger import Entry

if TYPE_CHECKING:
    from . import PayDunya

# The channels of an invoice, from integrators' code and npm paydunya 1.0.12.
_OPERATORS = (
    Operator("orange-money-senegal", "Orange Money", "SN"),
    Operator("wave-senegal", "Wave", "SN"),
    Operator("free-money-senegal", "Free Money", "SN"),
    Operator("expresso-sn", "Expresso", "SN"),
    Operator("wizall-senegal", "Wizall", "SN"),
    Operator("orange-money-ci", "Orange Money", "CI"),
    Operator("mtn-ci", "MTN MoMo", "CI"),
    Operator("moov-ci", "Moov Money", "CI"),
    Operator("wave-ci", "Wave", "CI"),
    Operator("mtn-benin", "MTN MoMo", "BJ"),
    Operator("moov-benin", "Moov Money", "BJ"),
    Operator("t-money-togo", "T-Money", "TG"),
    Operator("moov-togo", "Moov Money", "TG"),
    Operator("orange-money-burkina", "Orange Money", "BF"),
    Operator("moov-burkina-faso", "Moov Money", "BF"),
    Operator("orange-money-mali", "Orange Money", "ML"),
    Operator("moov-ml", "Moov Money", "ML"),
    Operator("card", "Visa / Mastercard"),
)


def checkout(paydunya: "PayDunya", entry: Entry) -> Checkout:
    """Return the page of an invoice."""
    words = entry.words
    return Checkout(
        shop=words["store"],
        description=str(words["description"]),
        operators=among(_OPERATORS, words["channels"]),
        addresses=[words["actions"][name] for name in ("return_url", "cancel_url")],
        back=lambda: _back(paydunya, entry),
        life=paydunya.page_life,
    )


def _back(paydunya: "PayDunya", entry: Entry) -> Back | None:
    address = str(entry.words["actions"]["return_url" if entry.moved else "cancel_url"])
    if not address:
        return None
    if not entry.moved:
        return Back(address)
    told = urlencode({"token": entry.provider_reference})
    return Back(f"{address}{paydunya.joint if '?' in address else '?'}{told}")
