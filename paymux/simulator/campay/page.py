"""The page of CamPay's payment links: its operators, and the way back to the two redirect URLs."""

from typing import TYPE_CHECKING
from urllib.parse import urlencode

from ..checkout import Back, Checkout, Operator
from ..ledger import Entry
from .messages import transaction

if TYPE_CHECKING:
    from . import CamPay

# The hosted page: payment_options "MOMO", "CARD" or both (PyPI campay 1.1.0). ER102: "only MTN and
# Orange phone numbers are accepted for mobile money".
_ALL = (
    Operator("MTN", "MTN MoMo", "CM"),
    Operator("ORANGE", "Orange Money", "CM"),
    Operator("CARD", "Visa / Mastercard", word=""),  # no page shows the operator of a card
)


def _operators(options: object) -> tuple[Operator, ...]:
    """Return CamPay's, for the `payment_options` of a link."""
    asked = str(options or "").upper()
    kept = tuple(one for one in _ALL if ("MOMO" if one.country else "CARD") in asked)
    return kept or _ALL


def checkout(campay: "CamPay", entry: Entry) -> Checkout:
    """Return the page of a payment link."""
    words = entry.words
    return Checkout(
        shop=campay.app,
        description=str(words["description"] or ""),
        operators=_operators(words["payment_options"]),
        addresses=[words["redirect_url"], words["failure_redirect_url"]],
        back=lambda: _back(campay, entry),
        life=campay.page_life,
    )


def _back(campay: "CamPay", entry: Entry) -> Back | None:
    """Return the way back, with the query that github.com/common-repository/campay-api reads."""
    address = entry.words["redirect_url" if entry.moved else "failure_redirect_url"]
    if not address:
        return None
    told = transaction(entry, campay.webhook_key)
    back = {
        name: told[name]
        for name in ("external_reference", "operator", "operator_reference", "reason")
    }
    back["status"] = told["status"].lower()
    return Back(f"{address}?{urlencode(back, errors='replace')}")
