"""With what a payer may pay: operators, by country."""

from collections.abc import Iterable, Mapping, Sequence

import msgspec

# Calling code, and the name in French and English.
COUNTRIES: Mapping[str, tuple[str, str, str]] = {
    "CI": ("225", "Côte d'Ivoire", "Ivory Coast"),
    "SN": ("221", "Sénégal", "Senegal"),
    "BJ": ("229", "Bénin", "Benin"),
    "TG": ("228", "Togo", "Togo"),
    "BF": ("226", "Burkina Faso", "Burkina Faso"),
    "ML": ("223", "Mali", "Mali"),
    "NE": ("227", "Niger", "Niger"),
    "CM": ("237", "Cameroun", "Cameroon"),
    "CD": ("243", "RD Congo", "DR Congo"),
    "GN": ("224", "Guinée", "Guinea"),
}


class Operator(msgspec.Struct, frozen=True):
    """One way to pay: the provider's name for it, what a payer calls it, and its country.

    A card has no country, and no number. `word`: what the provider calls it in a payment; None: as
    in `code`; empty: the payment keeps the word that it had.
    """

    code: str
    name: str
    country: str = ""
    word: str | None = None


def among(operators: Sequence[Operator], channels: object) -> tuple[Operator, ...]:
    """Return those of a list of channels, in its order; all, if it names none that is known."""
    asked: Iterable[object] = channels if isinstance(channels, list) else ()
    known = {one.code: one for one in operators}
    kept = {known[one]: None for one in asked if isinstance(one, str) and one in known}
    return tuple(kept) or tuple(operators)
