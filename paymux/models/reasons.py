"""Why a payment failed, and the sentence to show to the payer."""

from collections.abc import Mapping

from ..primitives.coerce import text as plain
from .statuses import CheckedStrEnum


class Reason(CheckedStrEnum):
    """Why a payment failed; `text` is a sentence for the payer."""

    DECLINED = "declined"
    INSUFFICIENT_FUNDS = "insufficient_funds"
    WRONG_PIN = "wrong_pin"
    EXPIRED = "expired"
    CANCELLED = "cancelled"
    LIMIT = "limit"
    UNKNOWN_PAYER = "unknown_payer"
    UNKNOWN_PAYEE = "unknown_payee"
    BUSY = "busy"
    OTHER = "other"

    def text(self, language: str = "en") -> str:
        """Return the sentence for the payer in `"en"` or `"fr"`.

        Any other language gives English. Do not show it to the payee of a payout:
        INSUFFICIENT_FUNDS is then about your own account at the provider, and so is LIMIT often.
        """
        english, french = _SENTENCES[self]
        return french if (plain(language) or "")[:2].lower() == "fr" else english


_SENTENCES: Mapping[Reason, tuple[str, str]] = {
    Reason.DECLINED: ("The payment was declined.", "Le paiement a été refusé."),
    Reason.INSUFFICIENT_FUNDS: (
        "There is not enough money in the account.",
        "Le solde du compte est insuffisant.",
    ),
    Reason.WRONG_PIN: ("The PIN was wrong.", "Le code secret est incorrect."),
    Reason.EXPIRED: (
        "The payment was not confirmed in time.",
        "Le paiement n'a pas été confirmé à temps.",
    ),
    Reason.CANCELLED: ("The payment was cancelled.", "Le paiement a été annulé."),
    Reason.LIMIT: (
        "The amount is outside the allowed limits.",
        "Le montant dépasse les limites autorisées.",
    ),
    Reason.UNKNOWN_PAYER: (
        "This number cannot pay: it is unknown or not registered.",
        "Ce numéro ne peut pas payer : il est inconnu ou non enregistré.",
    ),
    Reason.UNKNOWN_PAYEE: (
        "This number cannot receive money.",
        "Ce numéro ne peut pas recevoir d'argent.",
    ),
    Reason.BUSY: (
        "Another payment is in progress; please try again in a few minutes.",
        "Un autre paiement est en cours ; veuillez réessayer dans quelques minutes.",
    ),
    Reason.OTHER: ("The payment did not succeed.", "Le paiement n'a pas abouti."),
}
