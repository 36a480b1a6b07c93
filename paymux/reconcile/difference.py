"""What a reconciliation finds: one difference, and what to do about it."""

from collections.abc import Mapping
from decimal import Decimal

from ..models import CheckedStrEnum, Kind, Model, Status
from ..primitives.coerce import text as plain


class DifferenceKind(CheckedStrEnum):
    """What differs. `information` is true for what is to be expected: `edge` and `open`."""

    PAID_UNKNOWN = "paid_unknown"
    BELIEVED_PAID = "believed_paid"
    TWICE = "twice"
    MISSING_THEIRS = "missing_theirs"
    MISSING_OURS = "missing_ours"
    AMOUNT = "amount"
    CURRENCY = "currency"
    KIND = "kind"
    UNREADABLE = "unreadable"
    EDGE = "edge"
    OPEN = "open"

    information: bool

    def __init__(self, word: str) -> None:
        self.information = word in ("edge", "open")

    def advice(self, language: str = "en") -> str:
        """Return the sentence that says what to do, in `"en"` or `"fr"`; any other is English."""
        english, french = _ADVICE[self]
        return french if (plain(language) or "")[:2].lower() == "fr" else english


class Difference(Model, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """One difference between our record (`our_…`) and the provider's (`their_…`).

    Amounts are Decimal in major units and never negative. Lines count from 1, as in the file, and
    are None where a side is no file. `also` is what else differs of the same two rows. `perhaps`
    names a row of the other side that has no partner either, and the same amount and day or number:
    it was not matched by them. `reason` says why a line is unreadable. `asked` is what the provider
    said of it when it was asked. `side` is where an unreadable line is, "ours" or "theirs".

    ```python no-run
    async for difference in pool.reconcile("november.csv", account="campay"):
        print(difference.kind, difference.reference, difference.kind.advice("fr"))
    ```
    """

    kind: DifferenceKind
    account: str | None = None
    reference: str | None = None
    provider_reference: str | None = None
    receipt: str | None = None
    our_kind: Kind | None = None
    their_kind: Kind | None = None
    our_amount: Decimal | None = None
    their_amount: Decimal | None = None
    our_currency: str | None = None
    their_currency: str | None = None
    our_status: Status | None = None
    their_status: Status | None = None
    our_line: int | None = None
    their_line: int | None = None
    also: tuple[DifferenceKind, ...] = ()
    perhaps: str | None = None
    reason: str | None = None
    asked: str | None = None
    side: str | None = None


_ADVICE: Mapping[DifferenceKind, tuple[str, str]] = {
    DifferenceKind.PAID_UNKNOWN: (
        "They were paid and we do not know it: verify the order, then deliver.",
        "Ils ont reçu l'argent et nous l'ignorons : vérifier la commande, puis livrer.",
    ),
    DifferenceKind.BELIEVED_PAID: (
        "We believe it paid and they do not: verify it, and deliver nothing more until then.",
        "Nous la croyons payée, pas eux : la vérifier, et ne plus rien livrer d'ici là.",
    ),
    DifferenceKind.TWICE: (
        "One order, two rows that succeeded: give one back, or show that a line is repeated.",
        "Une commande, deux lignes réussies : rembourser l'une, ou montrer la ligne répétée.",
    ),
    DifferenceKind.MISSING_THEIRS: (
        "We have a success that they do not list: ask them for it with both references.",
        "Nous avons un succès absent de leur liste : le leur demander avec les deux références.",
    ),
    DifferenceKind.MISSING_OURS: (
        "They list a success that we have no order for: find the payer, or ask who sent it.",
        "Ils ont un succès sans commande chez nous : trouver le payeur, ou demander l'origine.",
    ),
    DifferenceKind.AMOUNT: (
        "The amounts differ: see which is right, and look for a fee.",
        "Les montants diffèrent : voir lequel est juste, et chercher des frais.",
    ),
    DifferenceKind.CURRENCY: (
        "The currencies differ: a person must look at it.",
        "Les devises diffèrent : une personne doit regarder.",
    ),
    DifferenceKind.KIND: (
        "One side says that money came, the other that it left: a person must look at it.",
        "L'un dit que l'argent est entré, l'autre qu'il est sorti : une personne doit regarder.",
    ),
    DifferenceKind.UNREADABLE: (
        "This line was not compared: correct it, or compare it by hand.",
        "Cette ligne n'a pas été comparée : la corriger, ou la comparer à la main.",
    ),
    DifferenceKind.EDGE: (
        "At the edge of the period: it should be in the statement before or behind this.",
        "Au bord de la période : il devrait être dans le relevé d'avant ou d'après.",
    ),
    DifferenceKind.OPEN: (
        "Not final yet: it ends by itself, or with `paymux recover`.",
        "Pas encore terminé : il finira seul, ou avec `paymux recover`.",
    ),
}
