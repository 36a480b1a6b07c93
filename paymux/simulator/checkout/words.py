"""The words of a checkout page, in French and in English."""

from collections.abc import Mapping
from decimal import Decimal

from ...values.money import DECIMALS

LANGUAGES: Mapping[str, str] = {"fr": "Français", "en": "English"}

_WORDS: Mapping[str, tuple[str, str]] = {
    "simulated": (
        "Simulation\u00a0: aucun argent ne bouge.",
        "Simulated: no money moves.",
    ),
    "language": ("Langue", "Language"),
    "title": ("{shop} · {amount}", "{shop} · {amount}"),
    "left": ("Expire dans", "Expires in"),
    "means": ("Moyen de paiement", "How to pay"),
    "others": ("Autres pays", "Other countries"),
    "number": ("Numéro de téléphone", "Phone number"),
    "number_hint": (
        "Le numéro du compte qui paie, avec ou sans indicatif.",
        "The number of the account that pays, with or without its country code.",
    ),
    "bad_number": (
        "Ce numéro n'est pas valable\u00a0: 8 à 15 chiffres, comme 07 00 00 00 07.",
        "This number is not valid: 8 to 15 digits, such as 07 00 00 00 07.",
    ),
    "bad_means": ("Choisissez un moyen de paiement.", "Choose how to pay."),
    "continue": ("Continuer", "Continue"),
    "cancel": ("Annuler le paiement", "Cancel the payment"),
    "phone": ("Votre téléphone", "Your phone"),
    "bank": ("Votre banque", "Your bank"),
    "asks": ("{shop} demande {amount}.", "{shop} asks for {amount}."),
    "pin": ("Code PIN", "PIN"),
    "pin_hint": (
        "{pin} paie, tout autre code est faux.",
        "{pin} pays, any other PIN is wrong.",
    ),
    "wrong_pin": ("Code faux. Essais restants\u00a0: {tries}.", "Wrong PIN. Tries left: {tries}."),
    "approve": ("Payer {amount}", "Pay {amount}"),
    "decline": ("Refuser", "Decline"),
    "otherwise": ("Ou bien le paiement échoue\u00a0:", "Or the payment fails:"),
    "no_money": ("Solde insuffisant", "Not enough money"),
    "limit": ("Plafond dépassé", "Over the limit"),
    "busy": ("Autre paiement en cours", "Another payment in progress"),
    "expire": ("Sans réponse", "No answer"),
    "change": ("Payer autrement", "Pay another way"),
    "succeeded": ("Paiement réussi", "Payment succeeded"),
    "failed": ("Paiement échoué", "Payment failed"),
    "cancelled": ("Paiement annulé", "Payment cancelled"),
    "expired": ("Paiement expiré", "Payment expired"),
    "refunded": ("Paiement remboursé", "Payment refunded"),
    "reference": ("Référence\u00a0:", "Reference:"),
    "back": ("Revenir à la boutique", "Return to the shop"),
    "close": ("Vous pouvez fermer cette page.", "You can close this page."),
    "refused_url": (
        "L'adresse de retour n'est pas une adresse web\u00a0; elle n'est pas suivie\u00a0:",
        "The return address is no web address; it is not followed:",
    ),
}


def word(name: str, lang: str, **inserted: object) -> str:
    """Return a text of the page in this language, not yet escaped."""
    return _WORDS[name][0 if lang == "fr" else 1].format(**inserted)


def money(amount: Decimal, currency: str, lang: str) -> str:
    """Format an amount with its currency's decimals: `5 000 XOF` in French, `5,000 XOF`."""
    text = f"{amount:,.{DECIMALS.get(currency, 2)}f}"
    if lang == "fr":
        text = text.translate({ord(","): "\u202f", ord("."): ","})
    return f"{text}\u00a0{currency}"


def duration(seconds: int) -> str:
    """Format the time until a page expires: `23 h 59 min`, `14 min`, `45 s`."""
    if seconds >= 3600:
        return f"{seconds // 3600} h {seconds % 3600 // 60:02} min"
    return f"{seconds // 60} min" if seconds >= 60 else f"{max(seconds, 0)} s"
