"""The countries of CinetPay's API of 2026: their currencies and their networks.

PyPI cinetpay-python 0.1.0, CinetPay's own: constants/payment_methods.py and currencies.py.
"""

from collections.abc import Mapping

from ...errors import UsageError
from ...models import Order

# The currency of each country is that of its central bank; the Congo's wallets hold dollars, too.
CURRENCIES: Mapping[str, tuple[str, ...]] = {
    **dict.fromkeys(("BF", "BJ", "CI", "ML", "NE", "SN", "TG"), ("XOF",)),
    "CD": ("CDF", "USD"),
    "CM": ("XAF",),
    "GN": ("GNF",),
}
_METHODS: Mapping[str, tuple[str, ...]] = {
    "BF": ("OM_BF", "MOOV_BF", "WAVE_BF"),
    "BJ": ("MOOV_BJ", "MTN_BJ"),
    "CD": ("OM_CD", "AIRTEL_CD", "MPESA_CD", "AFRICELL_CD"),
    "CI": ("OM_CI", "MOOV_CI", "MTN_CI", "WAVE_CI"),
    "CM": ("OM_CM", "MTN_CM"),
    "GN": ("OM_GN", "MTN_GN"),
    "ML": ("OM_ML", "MOOV_ML"),
    "NE": ("AIRTEL_NE", "MOOV_NE", "ZAMANI_NE"),
    "SN": ("OM_SN", "FREE_SN", "EXPRESSO_SN", "WAVE_SN"),
    "TG": ("MOOV_TG", "TMONEY_TG"),
}
_OWN_WORDS = {"OM": "orange"}  # the others are ours, in capitals


def method_of(country: str, order: Order) -> str | None:
    """Return CinetPay's word for the network of an order; None: the order names none.

    `extra={"payment_method": …}` names one for which paymux has no word, such as AFRICELL_CD.
    """
    methods = {_word(method): method for method in _METHODS[country]}
    given = order.extra.get("payment_method")
    if given is not None:
        if given not in methods.values():
            raise UsageError.field("payment_method", given, ", ".join(methods.values()))
        return str(given)
    if order.operator is None:
        return None
    if order.operator not in methods:
        accepted = f"in {country}: {', '.join(methods)}"
        raise UsageError.field("operator", order.operator, accepted)
    return methods[order.operator]


def needed_method(country: str, order: Order) -> str:
    """Return the network of an order that needs one: no number shows it, as numbers move."""
    method = method_of(country, order)
    if method is None:
        choices = ", ".join(map(_word, _METHODS[country]))
        raise UsageError.missing("operator", f"CinetPay needs the network: {choices}")
    return method


def _word(method: str) -> str:
    word = method.partition("_")[0]
    return _OWN_WORDS.get(word, word.lower())
