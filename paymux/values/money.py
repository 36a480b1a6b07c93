"""Amounts: Decimal in major units of an ISO 4217 currency, exact or refused."""

import re
from collections.abc import Mapping
from decimal import Context, Decimal, InvalidOperation

from ..errors import UsageError
from ..primitives import coerce

# Decimals in ISO 4217, for the currencies of the drivers.
DECIMALS: Mapping[str, int] = {
    "XAF": 0, "XOF": 0, "GNF": 0, "UGX": 0, "RWF": 0,
    "CDF": 2, "EUR": 2, "GHS": 2, "KES": 2, "LRD": 2, "NGN": 2, "SSP": 2, "SZL": 2, "USD": 2,
    "ZAR": 2, "ZMW": 2,
}  # fmt: skip
# The countries of a currency, ISO 3166; the two CFA francs belong to monetary unions.
COUNTRIES: Mapping[str, frozenset[str]] = {
    "XAF": frozenset({"CF", "CG", "CM", "GA", "GQ", "TD"}),
    "XOF": frozenset({"BF", "BJ", "CI", "GW", "ML", "NE", "SN", "TG"}),
    "GNF": frozenset({"GN"}),
    "KES": frozenset({"KE"}),
    "CDF": frozenset({"CD"}),
    "UGX": frozenset({"UG"}),
    "RWF": frozenset({"RW"}),
    "GHS": frozenset({"GH"}),
    "LRD": frozenset({"LR"}),
    "NGN": frozenset({"NG"}),
    "SSP": frozenset({"SS"}),
    "SZL": frozenset({"SZ"}),
    "ZAR": frozenset({"ZA"}),
    "ZMW": frozenset({"ZM"}),
}

_TEXT = re.compile(r"[0-9]{1,12}(?:\.[0-9]{1,4})?", re.ASCII)
_LIMIT = Decimal(10**12)
_EXACT = Context(prec=40, traps=[InvalidOperation])  # independent of the caller's own context
_ACCEPTED = "an int, a Decimal, or digits such as 1500 or 1500.50, above 0 and below 10**12"


def exact(value: object, currency: str, decimals: Mapping[str, int] = DECIMALS) -> Decimal:
    """Read a caller's amount; a float, too many decimals, zero or worse is UsageError."""
    found: Decimal | int | None
    if type(value) is int:
        found = value
    else:
        found = Decimal(value) if coerce.is_a(value, Decimal) else coerce.whole(value)
    said = coerce.text(value) if found is None else None
    if said is not None and _TEXT.fullmatch(said):
        found = Decimal(said)
    if found is None:
        raise UsageError.field("amount", value, _ACCEPTED)
    # Compare before converting: int(Decimal("1E+1000000")) takes half a minute.
    if isinstance(found, Decimal) and not found.is_finite():
        raise UsageError.field("amount", str(found)[:12], _ACCEPTED)
    if not 0 < found < _LIMIT:
        raise UsageError.field(
            "amount", f"{found:.6g}" if isinstance(found, Decimal) else found, _ACCEPTED
        )
    amount = Decimal(found)
    places = decimals.get(currency, DECIMALS.get(currency, 2))
    try:
        rounded = amount.quantize(Decimal((0, (1,), -places)), context=_EXACT)
    except InvalidOperation:
        rounded = Decimal(0)
    if rounded != amount:
        accepted = (
            f"{currency} in whole units" if places == 0 else f"{currency} with {places} decimals"
        )
        raise UsageError.field("amount", f"{amount:.20g}", accepted)
    return rounded


def whole(amount: Decimal) -> int:
    """Return a whole amount as int, for a provider's field; a fraction is UsageError."""
    number = int(amount)
    if number != amount:
        raise UsageError.field("amount", f"{amount:.20g}", "a whole number")
    return number
