"""CinetPay's checkout page: its operators, and the way back to return_url."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from .checkout import Back, Checkout, Operator
from .ledger import Entry

if TYPE_CHECKING:
    from .cinetpay import CinetPay

# PyPI cinetpay-python 0.1.0 (CinetPay's own, 2026-03), values of payment_method. No page lists
# those of the older Checkout API: a payment keeps the `payment_method` of `CinetPay.operator`.
_MOBILE = (
    Operator("OM_CI", "Orange Money", "CI"),
    Operator("MTN_CI", "MTN MoMo", "CI"),
    Operator("MOOV_CI", "Moov Money", "CI"),
    Operator("WAVE_CI", "Wave", "CI"),
    Operator("OM_SN", "Orange Money", "SN"),
    Operator("FREE_SN", "Free Money", "SN"),
    Operator("EXPRESSO_SN", "Expresso", "SN"),
    Operator("WAVE_SN", "Wave", "SN"),
    Operator("MTN_BJ", "MTN MoMo", "BJ"),
    Operator("MOOV_BJ", "Moov Money", "BJ"),
    Operator("TMONEY_TG", "T-Money", "TG"),
    Operator("MOOV_TG", "Moov Money", "TG"),
    Operator("OM_BF", "Orange Money", "BF"),
    Operator("MOOV_BF", "Moov Money", "BF"),
    Operator("WAVE_BF", "Wave", "BF"),
    Operator("OM_ML", "Orange Money", "ML"),
    Operator("MOOV_ML", "Moov Money", "ML"),
    Operator("AIRTEL_NE", "Airtel Money", "NE"),
    Operator("MOOV_NE", "Moov Money", "NE"),
    Operator("ZAMANI_NE", "Zamani Cash", "NE"),
    Operator("OM_CM", "Orange Money", "CM"),
    Operator("MTN_CM", "MTN MoMo", "CM"),
    Operator("OM_CD", "Orange Money", "CD"),
    Operator("AIRTEL_CD", "Airtel Money", "CD"),
    Operator("MPESA_CD", "M-Pesa", "CD"),
    Operator("AFRICELL_CD", "Africell Money", "CD"),
    Operator("OM_GN", "Orange Money", "GN"),
    Operator("MTN_GN", "MTN MoMo", "GN"),
)
# Its currency table (api-checkout-doc) has XAF for Cameroon alone. No page says who pays in USD:
# wallets of the Congo hold dollars.
_COUNTRIES: Mapping[str, Sequence[str]] = {
    "XOF": ("CI", "SN", "BJ", "TG", "BF", "ML", "NE"),
    "XAF": ("CM",),
    "CDF": ("CD",),
    "USD": ("CD",),
    "GNF": ("GN",),
}
_CARD = Operator("CREDIT_CARD", "Visa / Mastercard")


def _operators(currency: str, channels: str) -> tuple[Operator, ...]:
    """Return CinetPay's, for an account's currency and the `channels` of a payment."""
    if channels == "CREDIT_CARD":
        return (_CARD,)
    countries = _COUNTRIES.get(currency, ())
    found = tuple(one for one in _MOBILE if one.country in countries)
    return (*found, _CARD) if channels == "ALL" else found


def checkout(cinetpay: "CinetPay", entry: Entry) -> Checkout:
    """Return the page of a payment."""
    words = entry.words
    return Checkout(
        shop=cinetpay.shop,
        description=words["description"],
        operators=_operators(entry.currency, words["channels"] or "ALL"),
        addresses=[words["return_url"]],
        back=lambda: _back(cinetpay, entry),
        life=cinetpay.page_life,
        lang=words["lang"] or "fr",
        locked=bool(words["lock_phone_number"]),
    )


def _back(cinetpay: "CinetPay", entry: Entry) -> Back:
    """Return the way to return_url, which "accepts GET and POST" (docs, retour)."""
    address = entry.words["return_url"]
    told = {"transaction_id": entry.provider_reference, "token": entry.words["token"]}
    if cinetpay.returns == "POST":
        return Back(address, told)
    return Back(f"{address}{'&' if '?' in address else '?'}{urlencode(told, errors='replace')}")
