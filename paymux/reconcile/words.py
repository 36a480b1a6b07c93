"""The words of statements for a status and a kind, in English and French."""

import re
import unicodedata
from collections.abc import Mapping

from ..models import Status

_APART = re.compile(r"[\W_]+")


def plain(text: str) -> str:
    """Return a word or header without case, accents and punctuation: `ref marchand`."""
    letters = unicodedata.normalize("NFKD", text.casefold())
    bare = "".join(one for one in letters if not unicodedata.combining(one))
    return _APART.sub(" ", bare).strip()


_STATUSES = """
succeeded: succeeded, success, successful, succes, complete, completed, paid, accepted, approved
succeeded: settled, confirmed, ok, done, reussi, reussie, paye, payee, effectue, effectuee, valide
succeeded: validee, accepte, acceptee, termine, terminee, confirme, confirmee, encaisse, credite
pending: pending, processing, initiated, created, waiting, new, open, submitted, in progress
pending: en attente, en cours, en cours de traitement, initie, initiee, cree, creee, unknown
pending: inconnu
failed: failed, failure, fail, error, rejected, refused, declined, refuse, refusee, echec, echoue
failed: echouee, rejete, rejetee, erreur, non abouti
cancelled: cancelled, canceled, annule, annulee, abandonne, abandonnee
expired: expired, timeout, timed out, expire, expiree
refunded: refunded, reversed, refund completed, rembourse, remboursee, contrepasse, contrepassee
"""
_KINDS = """
collect: collect, collection, payin, pay in, payment, sale, deposit, credit, c2b, cash in, paid in
collect: paybill, customer payment, paiement, encaissement, vente, depot, versement, collecte
payout: payout, pay out, disbursement, withdrawal, withdraw, transfer, transfert, debit, b2c
payout: cash out
payout: virement, retrait, decaissement, salaire
refund: refund, reversal, chargeback, remboursement, contrepassation
"""


def table(lines: str) -> dict[str, list[list[str]]]:
    """Read lines of a name and its words: a list of words for each line of the name."""
    found: dict[str, list[list[str]]] = {}
    for line in lines.strip().splitlines():
        name, _, words = line.partition(": ")
        found.setdefault(name, []).append(words.split(", "))
    return found


def _meanings(lines: str) -> dict[str, str]:
    named = table(lines).items()
    return {word: name for name, lists in named for words in lists for word in words}


_STATUS_OF, _KIND_OF = _meanings(_STATUSES), _meanings(_KINDS)


def status_words(own: Mapping[str, Status]) -> dict[str, str]:
    """Return the status of each known word; the caller's own words go first."""
    return {**_STATUS_OF, **{plain(word): status.value for word, status in own.items()}}


def kind_words() -> dict[str, str]:
    """Return the kind of each known word."""
    return dict(_KIND_OF)
