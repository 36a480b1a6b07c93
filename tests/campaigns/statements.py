"""Statements with differences of every kind planted in them, in the shapes that providers send.

The truth is known by how they are made: nothing here imports what reads them.
"""

import gzip
import json
import random
import sqlite3
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

BEGAN = datetime(2026, 11, 1, tzinfo=UTC)
DAYS = 30
KINDS = (
    "paid_unknown", "believed_paid", "twice", "missing_theirs", "missing_ours", "amount",
    "currency", "kind", "unreadable", "edge", "open",
)  # fmt: skip
SHAPES = ("french", "tab", "cp1252", "pipe", "jsonl", "gz")
PRICES = (500, 1_000, 1_500, 25_000, 1_250_000)


class Ours(NamedTuple):
    """An order as we believe it."""

    reference: str
    provider_reference: str
    amount: int
    status: str
    at: datetime


class Theirs(NamedTuple):
    """A line of a statement."""

    at: datetime
    reference: str
    provider_reference: str
    kind: str
    amount: int | None  # None: what is no amount
    currency: str
    status: str


class Corpus(NamedTuple):
    """Both sides, and what differs: pairs of a kind and a reference."""

    ours: Sequence[Ours]
    theirs: Sequence[Theirs]
    planted: Counter[tuple[str, str]]


def corpus(rows: int, differences: int, seed: int = 1) -> Corpus:
    """Make a month of payments, with differences of each kind in turn, at random places."""
    chance = random.Random(seed)
    step = timedelta(days=DAYS) / rows
    early = chance.sample(range(int(rows * 0.9)), differences)
    late = iter(chance.sample(range(int(rows * 0.95), rows - 1), differences // len(KINDS) + 1))
    kinds = [KINDS[number % len(KINDS)] for number in range(differences)]
    places = {
        next(late) if kind == "edge" else place: kind
        for place, kind in zip(early, kinds, strict=True)
    }
    ours: list[Ours] = []
    theirs: list[Theirs] = []
    planted: Counter[tuple[str, str]] = Counter()
    for number in range(rows):
        name, id = f"order-{number}", f"{chance.getrandbits(64):016x}"
        at, amount = BEGAN + step * number, chance.choice(PRICES)
        one = Ours(name, id, amount, "succeeded", at)
        line = Theirs(at, name, id, "Paiement", amount, "XAF", "Succès")
        kind = places.get(number)
        mine, lines = [one], [line]
        if kind == "paid_unknown":
            mine = [one._replace(status=chance.choice(["pending", "failed"]))]
        elif kind == "believed_paid":
            lines = [line._replace(status=chance.choice(["Échec", "En attente", "Remboursé"]))]
        elif kind == "twice":
            lines.append(line._replace(provider_reference=f"{chance.getrandbits(64):016x}"))
        elif kind in ("missing_theirs", "edge"):
            lines = []
        elif kind == "missing_ours":
            mine = []
        elif kind == "amount":
            lines = [line._replace(amount=amount + 5)]
        elif kind == "currency":
            lines = [line._replace(currency="XOF")]
        elif kind == "kind":
            lines = [line._replace(kind="Remboursement")]
        elif kind == "unreadable":
            mine, lines = [], [line._replace(amount=None)]
        elif kind == "open":
            mine, lines = [one._replace(status="pending")], [line._replace(status="En attente")]
        if kind is not None:
            planted[kind, "" if kind == "unreadable" else name] += 1
        ours += mine
        theirs += lines
    return Corpus(ours, theirs, planted)


def _grouped(amount: int | None, space: str, decimals: str) -> str:
    return "abc" if amount is None else f"{amount:,}".replace(",", space) + decimals


# The delimiter, what parts thousands, and how an amount ends.
_FORMS = {
    "french": (";", "\u202f", ",00"),
    "cp1252": (";", "\u00a0", ",00"),
    "tab": ("\t", ",", ".00"),
    "pipe": ("|", ".", ",00"),
    "gz": (",", "", ""),
}
_HEADERS = {
    "french": "Date/Réf. marchand/ID transaction/Type/Montant/Devise/Statut",
    "cp1252": "Date opération/Réf. marchand/N° transaction/Type/Montant/Devise/Statut",
    "tab": "Date/Merchant reference/Transaction ID/Type/Amount/Currency/Status",
    "pipe": "Date/Référence commande/ID transaction/Type/Montant total/Devise/État",
    "gz": "created_at/merchant_reference/transaction_id/type/amount/currency/status",
}


def statement_lines(theirs: Sequence[Theirs], shape: str) -> Iterator[str]:
    """Write a statement as text, in one of the shapes."""
    if shape == "jsonl":
        for one in theirs:
            fields = {
                "date": one.at.isoformat(),
                "order_id": one.reference,
                "transaction_id": one.provider_reference,
                "type": one.kind,
                "amount": "abc" if one.amount is None else one.amount,
                "currency": one.currency,
                "status": one.status,
            }
            yield json.dumps(fields) + "\n"
        return
    mark, space, decimals = _FORMS[shape]
    names = mark.join(_HEADERS[shape].split("/"))
    yield names + "\r\n"
    for one in theirs:
        cells = (
            f"{one.at:%d/%m/%Y %H:%M:%S}", one.reference, one.provider_reference, one.kind,
            _grouped(one.amount, space, decimals), one.currency, one.status,
        )  # fmt: skip
        yield mark.join(cells) + "\r\n"


def write_statement(path: Path, theirs: Sequence[Theirs], shape: str) -> None:
    """Write a statement to a file, in the encoding of its shape."""
    if shape == "gz":
        with gzip.open(path, "wt", encoding="utf-8", newline="") as file:
            file.writelines(statement_lines(theirs, shape))
        return
    encoding = {"french": "utf-8-sig", "cp1252": "cp1252"}.get(shape, "utf-8")
    with path.open("w", encoding=encoding, newline="") as file:
        file.writelines(statement_lines(theirs, shape))


def write_ours(path: Path, ours: Sequence[Ours]) -> None:
    """Write our orders as an export of a shop: CSV with a comma."""
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write("reference,provider_reference,kind,amount,currency,status,created_at\n")
        for one in ours:
            file.write(
                f"{one.reference},{one.provider_reference},collect,{one.amount},XAF,{one.status},"
                f"{one.at.isoformat()}\n"
            )


_ROW = """INSERT INTO payments (account, kind, reference, state, status, provider_reference, amount,
          currency, digest, payment, created_at, updated_at)
          VALUES ('campay', 'collect', ?, 'accepted', ?, ?, ?, 'XAF', '', ?, ?, ?)"""


def write_journal(path: Path, ours: Sequence[Ours]) -> None:
    """Put our orders into a journal that exists, as its own table has them."""
    rows = []
    for one in ours:
        at = one.at.isoformat().replace("+00:00", "Z")
        payment = {
            "account": "campay", "provider": "campay", "kind": "collect", "status": one.status,
            "reference": one.reference, "provider_reference": one.provider_reference,
            "amount": str(one.amount), "currency": "XAF", "created_at": at,
        }  # fmt: skip
        text = json.dumps(payment)
        # A journal writes an order a moment after it was made, now and then long after.
        lag = timedelta(seconds=zlib.crc32(one.reference.encode()) % 90)
        stored = (one.at + lag).isoformat(timespec="microseconds")
        amount = str(one.amount)
        row = (one.reference, one.status, one.provider_reference, amount, text, stored, stored)
        rows.append(row)
    db = sqlite3.connect(path)
    with db:
        db.executemany(_ROW, rows)
    db.close()
