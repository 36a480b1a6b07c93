"""The rows of payments in PostgreSQL: each verb is one statement for all its callers."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar

from msgspec.structs import astuple

from ..base import OrderKey
from ..database import Database
from ..tables.adopted_ends import Twin, log_told
from ..tables.payment_rows import Change, EndedOrder, NewFact, NewRow, StoredRow

_SAME = "p.account = v.account AND p.kind = v.kind AND p.reference = v.reference"
_OF = f"FROM unnest(?, ?, ?) AS v(account, kind, reference) JOIN {{}} p ON {_SAME}"
_FIND = f"""SELECT p.account, p.kind, p.reference, p.state, p.payment, p.worker, p.digest, p.version
    {_OF.format("payments")}"""
_FORGOTTEN = f"""SELECT p.account, p.kind, p.reference, p.digest, p.status, p.at
    {_OF.format("forgotten")}"""
_ADD = f"SELECT * FROM add_orders({', '.join('?' * 14)})"
_SENDING = f"SELECT * FROM mark_sending({', '.join('?' * 9)})"
_CHANGE = f"SELECT * FROM change_orders({', '.join('?' * 20)})"


class PostgresRows:
    """The rows in a schema; a call whose answer was lost is repeated, and does nothing twice."""

    adds_unread: ClassVar[bool] = True

    def __init__(self, lock: Callable[[], int]) -> None:
        self._lock = lock  # the key of the journal's lock

    def find(self, keys: Iterable[OrderKey], db: Database) -> dict[OrderKey, StoredRow]:
        """Return the rows that exist."""
        found = db.execute(_FIND, _columns(keys, 3)).fetchall()
        return {(row[0], row[1], row[2]): StoredRow(*row[3:]) for row in found}

    def forgotten(self, keys: Iterable[OrderKey], db: Database) -> dict[OrderKey, EndedOrder]:
        """Return what is left of rows that `keep_days` deleted."""
        found = db.execute(_FORGOTTEN, _columns(keys, 3)).fetchall()
        return {(row[0], row[1], row[2]): (row[3], row[4], row[5]) for row in found}

    def add(
        self, rows: Sequence[NewRow], at: str, worker: str, db: Database
    ) -> dict[OrderKey, str]:
        """Insert rows of different keys, as a worker's; return the versions of those that are."""
        given = [
            (
                *(*row.fact.key, row.fact.id, row.fact.status, row.fact.payment),
                *(row.amount, row.currency, row.party, row.digest, row.replaces),
            )
            for row in rows
        ]
        return self._written(_ADD, (at, worker), _columns(given, 11), db)

    def mark_sending(
        self, facts: Sequence[NewFact], at: str, worker: str, db: Database
    ) -> dict[OrderKey, str]:
        """Mark intents of different keys, of a worker, as being sent; return their new versions."""
        given = [(*fact.key, fact.id, fact.status, fact.payment) for fact in facts]
        return self._written(_SENDING, (at, worker), _columns(given, 6), db)

    def change(self, changes: Sequence[Change], at: str, db: Database) -> dict[OrderKey, str]:
        """Change rows of different keys; return the new versions of those it did."""
        given = [
            (
                *(*one.fact.key, one.fact.id, one.fact.source),
                *(one.fact.state, one.fact.status, one.fact.payment, *astuple(one)[1:-1]),
                *(None if one.twin is None else one.twin.adopted, _matched(one.twin)),
            )
            for one in changes
        ]
        columns = _columns(given, 18)
        found = db.execute(_CHANGE, (self._lock(), at, *columns)).fetchall()
        for *key, _, told_as in found:
            if told_as is not None:
                log_told((key[0], key[1], key[2]), told_as)
        return {(row[0], row[1], row[2]): row[3] for row in found}

    def _written(
        self, sql: str, given: tuple[str, ...], columns: list[list[Any]], db: Database
    ) -> dict[OrderKey, str]:
        found = db.execute(sql, (self._lock(), *given, *columns)).fetchall()
        return {(row[0], row[1], row[2]): row[3] for row in found}


def _matched(twin: Twin | None) -> str | None:
    return "yes" if twin is not None and twin.matched else None


def _columns(rows: Iterable[Sequence[Any]], count: int) -> list[list[Any]]:
    """Turn rows into columns, each of which is one array."""
    return [list(column) for column in zip(*rows, strict=True)] or [[] for _ in range(count)]
