"""Which column has which field: guessed from French and English headers, or told."""

from collections.abc import Mapping, Sequence
from typing import Final

from ..errors import UsageError
from .words import plain, table

FIELDS: Final = (
    "account", "reference", "provider_reference", "receipt", "amount", "net", "fee", "currency",
    "kind", "status", "at", "party",
)  # fmt: skip
KEYS: Final = (
    "provider_reference",
    "reference",
    "receipt",
)  # what rows are matched by, in this order

# The headers of a field, the surest first: a later line is looked at only where no column has a
# header of an earlier one. Any of several times or numbers will do, so each has its own line.
_HEADERS = table("""
account: account, compte
reference: merchant reference, merchant ref, ref marchand, reference marchand, merchant order id, \
order id, order reference, order number, order no, reference commande, ref commande, no commande, \
numero de commande, numero commande, n commande, external reference, external id, external ref, \
client reference, reference client, ref client, our reference, notre reference, bill reference, \
reference externe, ref externe, id commande
reference: reference, ref
reference: order, commande, invoice, facture
provider_reference: provider reference, reference fournisseur, ref fournisseur, transaction id, \
id transaction, identifiant transaction, identifiant de transaction, transaction reference, \
reference transaction, ref transaction, reference de transaction, transaction no, n transaction, \
transaction number, numero transaction, numero de transaction, trans id, trx id, txn id, \
payment id, id paiement, reference paiement, reference uuid
provider_reference: transaction, token
provider_reference: id, uuid
receipt: receipt, receipt no, receipt number, receipt id, recu, no recu, n recu, numero recu, \
numero de recu, mpesa receipt number, mpesareceiptnumber, mpesa receipt, mpesa code, \
operator reference, operator transaction id, reference operateur, ref operateur, id operateur, \
operator tx code
amount: amount, montant
amount: gross amount, gross, montant brut, brut, montant total, total amount, transaction amount, \
montant transaction, montant de la transaction, montant ttc, amount paid, montant paye, paid in
amount: total, valeur, somme, value
net: net, net amount, montant net, net a payer, net percu
fee: fee, fees, frais, commission, commissions, charges, charge amount, montant frais, \
transaction fee
currency: currency, devise, monnaie, ccy, currency code, code devise
kind: kind
kind: transaction type, type transaction, type de transaction, operation type, type operation, \
type d operation
kind: type, operation, nature, sens
status: status, statut
status: transaction status, payment status, statut paiement, statut transaction, \
statut de la transaction, etat, state
status: resultat, result
at: paid at
at: completion time
at: date de paiement, payment date, date paiement
at: settled at
at: transaction date
at: date transaction, date de transaction
at: date operation, date d operation
at: created at
at: date et heure, date heure
at: datetime
at: timestamp, horodatage
at: date
at: time
at: updated at
party: party
party: payer
party: payee
party: msisdn
party: phone number
party: phone
party: telephone
party: numero de telephone, numero telephone, customer phone
party: mobile
party: numero client, numero
""")


class Columns:
    """The column of each field, as its place in the header; `unused` are the headers left over."""

    def __init__(self, found: Mapping[str, int], headers: Sequence[str]) -> None:
        self.found = dict(found)
        self.headers = list(headers)

    def name(self, field: str) -> str | None:
        """Return the header of a field's column."""
        place = self.found.get(field)
        return None if place is None else self.headers[place]


def recognised(headers: Sequence[str]) -> int:
    """Return how many fields a line would be the header of."""
    names = {plain(one) for one in headers if len(one) < 100}
    known = (any(word in names for line in lines for word in line) for lines in _HEADERS.values())
    return sum(known)


def guess(where: str, headers: Sequence[str], told: Mapping[str, str]) -> Columns:
    """Find the column of each field; what was `told` goes first. `where` names the option of it.

    UsageError: a column that was told is not there, a guess is not unique, or what every row needs
    is missing: something to match by, and an amount. It has the option to paste.
    """
    names = [plain(one) if len(one) < 100 else "" for one in headers]
    found = {
        field: _told(where, field, column, headers) for field, column in told.items() if column
    }
    taken = set(found.values())
    for field, lines in _HEADERS.items():
        if field in told or (field == "amount" and "net" in found):
            continue
        places = _guessed(names, lines, taken)
        if len(places) > 1:
            choice = " or ".join(
                f"--map {_quoted(f'{where}{field}={headers[one]}')}" for one in places[:4]
            )
            raise _unmapped(f"{where}{field}", f"{len(places)} columns could be it", choice)
        if places:
            found[field] = places[0]
            taken.add(places[0])
    if "amount" in found:
        found.pop("net", None)
    if not set(KEYS) & set(found):
        raise _unmapped(
            f"{where}reference",
            f"no column has a reference; there are {_listed(headers)}",
            f"--map {where}reference=COLUMN, provider_reference=COLUMN or receipt=COLUMN",
        )
    return Columns(found, headers)


def _guessed(names: Sequence[str], lines: Sequence[Sequence[str]], taken: set[int]) -> list[int]:
    for line in lines:
        places = [at for at, name in enumerate(names) if name in line and at not in taken]
        if places:
            return places
    return []


def _told(where: str, field: str, column: str, headers: Sequence[str]) -> int:
    if field not in FIELDS:
        raise UsageError.field("map", field, ", ".join(FIELDS))
    same = [place for place, one in enumerate(headers) if one.strip() == column.strip()]
    same = same or [place for place, one in enumerate(headers) if plain(one) == plain(column)]
    if not same and column.isascii() and column.isdigit() and 0 < int(column[:6]) <= len(headers):
        return int(column) - 1
    if len(same) == 1:
        return same[0]
    numbers = " or ".join(f"--map {where}{field}={place + 1}" for place in same[:4])
    if same:
        raise _unmapped(
            f"{where}{field}", f"{len(same)} columns are named {column[:40]!r}", numbers
        )
    raise _unmapped(f"{where}{field}", f"no column {column[:40]!r}", _listed(headers))


def _listed(headers: Sequence[str]) -> str:
    return ", ".join(repr(one[:30]) for one in headers[:20])


def _quoted(option: str) -> str:
    return (
        option
        if option.isascii() and option.replace("=", "").replace("_", "").isalnum()
        else f"'{option}'"
    )


def _unmapped(field: str, why: str, accepted: str) -> UsageError:
    return UsageError(f"{field}: {why}; accepted: {accepted}", name=field, accepted=accepted)


def without_amount(where: str, headers: Sequence[str]) -> UsageError:
    """Return the error of a statement without a column of amounts."""
    return _unmapped(
        f"{where}amount",
        f"no column has an amount; there are {_listed(headers)}",
        f"--map {where}amount=COLUMN, or net=COLUMN and fee=COLUMN",
    )
