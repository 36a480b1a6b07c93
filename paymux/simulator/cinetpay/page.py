"""CinetPay's checkout page: its operators, and the way back to return_url."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from ..checkout import Back, Checkout, Operator
from ..ledger import Entry

if TYPE_CHECKING:
    from . import CinetPay

# PyPI cinetpay-python 0.1.0 (CinetPay's own, 2026-03), values of payment_method. The older Checkout
# API has other words: integrators' code names OM, MOMO and FLOOZ, and no page the rest.
_MOBILE = (
    Operator("OM_CI", "Orange Money", "CI", "OM"),
    Operator("MTN_CI", "MTN MoMo", "CI", "MOMO"),
    Operator("MOOV_CI", "Moov Money", "CI", "FLOOZ"),
    Operator("WAVE_CI", "Wave", "CI"),
    Operator("OM_SN", "Orange Money", "SN", "OM"),
    Operator("FREE_SN", "Free Money", "SN"),
    Operator("EXPRESSO_SN", "Expresso", "SN"),
    Operator("WAVE_SN", "Wave", "SN"),
    Operator("MTN_BJ", "MTN MoMo", "BJ", "MOMO"),
    Operator("MOOV_BJ", "Moov Money", "BJ", "FLOOZ"),
    Operator("TMONEY_TG", "T-Money", "TG"),
    Operator("MOOV_TG", "Moov Money", "TG", "FLOOZ"),
    Operator("OM_BF", "Orange Money", "BF", "OM"),
    Operator("MOOV_BF", "Moov Money", "BF", "FLOOZ"),
    Operator("WAVE_BF", "Wave", "BF"),
    Operator("OM_ML", "Orange Money", "ML", "OM"),
    Operator("MOOV_ML", "Moov Money", "ML", "FLOOZ"),
    Operator("AIRTEL_NE", "Airtel Money", "NE"),
    Operator("MOOV_NE", "Moov Money", "NE", "FLOOZ"),
    Operator("ZAMANI_NE", "Zamani Cash", "NE"),
    Operator("OM_CM", "Orange Money", "CM", "OM"),
    Operator("MTN_CM", "MTN MoMo", "CM", "MOMO"),
    Operator("OM_CD", "Orange Money", "CD", "OM"),
    Operator("AIRTEL_CD", "Airtel Money", "CD"),
    Operator("MPESA_CD", "M-Pesa", "CD"),
    Operator("AFRICELL_CD", "Africell Money", "CD"),
    Operator("OM_GN", "Orange Money", "GN", "OM"),
    Operator("MTN_GN", "MTN MoMo", "GN", "MOMO"),
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
