"""The payment page of CinetPay's API of 2026: its networks, and the way back to the two URLs."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ..checkout import Back, Checkout, Operator
from ..ledger import Entry
from .checks import METHODS

if TYPE_CHECKING:
    from . import CinetPayV1

_NAMES: Mapping[str, str] = {
    "AFRICELL": "Africell Money",
    "AIRTEL": "Airtel Money",
    "EXPRESSO": "Expresso",
    "FREE": "Free Money",
    "MOOV": "Moov Money",
    "MPESA": "M-Pesa",
    "MTN": "MTN MoMo",
    "OM": "Orange Money",
    "TMONEY": "T-Money",
    "WAVE": "Wave",
    "ZAMANI": "Zamani Cash",
}


def _operator(method: str) -> Operator:
    name, _, country = method.partition("_")
    return Operator(method, _NAMES[name], country)


def checkout(cinetpay: "CinetPayV1", entry: Entry) -> Checkout:
    """Return the page of a payment; one that names its network offers no other."""
    words = entry.words
    asked = words["method"]
    shown = [asked] if asked else [one for one in METHODS if one.endswith(cinetpay.country)]
    return Checkout(
        shop=cinetpay.shop,
        description=words["designation"],
        operators=[_operator(method) for method in shown],
        addresses=[words["success_url"], words["failed_url"]],
        # No page says what the browser brings back.
        back=lambda: Back(words["success_url" if entry.moved else "failed_url"]),
        life=cinetpay.page_life,
        lang=words["lang"],
    )
