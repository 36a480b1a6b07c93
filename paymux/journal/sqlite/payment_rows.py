"""The rows of payments in a journal's file."""

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar, cast

import msgspec

from ..base import OrderKey
from ..database import Database
from ..ids import new_id
from ..tables.adopted_ends import end_once
from ..tables.payment_rows import Change, EndedOrder, NewFact, NewRow, StoredRow
from ..tables.rows import OF_ORDER, PAYMENT

_KEY = "account, kind, reference"
_OF = """json_each(?) AS v CROSS JOIN {} AS p WHERE p.account = json_extract(v.value, '$[0]')
    AND p.kind = json_extract(v.value, '$[1]') AND p.reference = json_extract(v.value, '$[2]')"""
_FIND = f"""SELECT p.account, p.kind, p.reference, p.state,
    {PAYMENT.replace("payment", "p.payment")}, p.worker, p.digest, p.version
    FROM {_OF.format("payments")}"""
_FORGOTTEN = f"""SELECT p.account, p.kind, p.reference, p.digest, p.status, p.at
    FROM {_OF.format("forgotten")}"""
_WRITTEN = f"SELECT p.account, p.kind, p.reference FROM {_OF.format('payments')} AND p.version = ?"
_ADD = f"""INSERT INTO payments ({_KEY}, state, status, amount, currency, party, digest, payment,
    created_at, updated_at, worker, version) VALUES ({", ".join("?" * 14)})
    ON CONFLICT ({_KEY}) DO NOTHING"""
_DELETE = f"DELETE FROM payments {OF_ORDER} AND version = ?"
_SENDING = f"""UPDATE payments SET state = 'sending', updated_at = ?, version = ?
    {OF_ORDER} AND state = 'intent' AND worker = ?"""
_CHANGE = f"""UPDATE payments SET state = ?, status = ?, provider_reference = ?, payment = ?,
    worker = ?, updated_at = ?, version = ?
    {OF_ORDER} AND version = ? AND state = ? AND coalesce(worker, '') = ?"""
_APPEND = f"""INSERT INTO facts ({_KEY}, at, source, state, status, payment, uid)
    VALUES ({", ".join("?" * 9)}) ON CONFLICT ({_KEY}, uid) DO NOTHING"""


class SqliteRows:
    """The rows in a file, within a transaction.

    What a verb writes is one prepared statement, run for all rows. Of 100 rows, SQLite 3.40 inserts
    one so in 5.4 µs, in 6.1 by a statement for each, and in 8.4 to 12 out of `json_each`, which
    decodes each column; many rows of VALUES are as fast, but slower where the caches are shared.
    """

    adds_unread: ClassVar[bool] = False

    def find(self, keys: Iterable[OrderKey], db: Database) -> dict[OrderKey, StoredRow]:
        """Return the rows that exist."""
        found = db.execute(_FIND, (_json(keys),)).fetchall()
        return {(row[0], row[1], row[2]): StoredRow(*row[3:]) for row in found}

    def forgotten(self, keys: Iterable[OrderKey], db: Database) -> dict[OrderKey, EndedOrder]:
        """Return what is left of rows that `keep_days` deleted."""
        found = db.execute(_FORGOTTEN, (_json(keys),)).fetchall()
        return {(row[0], row[1], row[2]): (row[3], row[4], row[5]) for row in found}

    def add(
        self, rows: Sequence[NewRow], at: str, worker: str, db: Database
    ) -> dict[OrderKey, str]:
        """Insert rows of different keys, as a worker's; return the versions of those that are."""
        version = new_id()
        for row in rows:
            if row.replaces is not None:
                db.execute(_DELETE, (*row.fact.key, row.replaces))
        given = (
            (
                *(*row.fact.key, row.fact.state, row.fact.status),
                *(row.amount, row.currency, row.party, row.digest, row.fact.payment),
                *(at, at, worker, version),
            )
            for row in rows
        )
        return _append([row.fact for row in rows], _write(_ADD, given, db), version, at, db)

    def mark_sending(
        self, facts: Sequence[NewFact], at: str, worker: str, db: Database
    ) -> dict[OrderKey, str]:
        """Mark intents of different keys, of a worker, as being sent; return their new versions."""
        version = new_id()
        given = ((at, version, *fact.key, worker) for fact in facts)
        return _append(facts, _write(_SENDING, given, db), version, at, db)

    def change(self, changes: Sequence[Change], at: str, db: Database) -> dict[OrderKey, str]:
        """Change rows of different keys; return the new versions of those it did."""
        version = new_id()
        given = (
            (
                *(one.state, one.status, one.provider_reference, one.payment, one.worker),
                *(at, version, *one.fact.key, one.version, one.was, one.owner),
            )
            for one in changes
        )
        count = _write(_CHANGE, given, db)
        written = _append([one.fact for one in changes], count, version, at, db)
        for one in changes:
            if one.twin is not None and one.fact.key in written:
                end_once(one.fact.key, one.twin, db)
        return written


def _append(
    facts: Sequence[NewFact], count: int, version: str, at: str, db: Database
) -> dict[OrderKey, str]:
    """Append the facts whose rows got a version, of which there are `count`."""
    if count != len(facts):
        found = db.execute(_WRITTEN, (_json(fact.key for fact in facts), version))
        written = {tuple(row) for row in found}
        facts = [fact for fact in facts if fact.key in written]
    given = (
        (*one.key, at, one.source, one.state, one.status, one.payment, one.id) for one in facts
    )
    _write(_APPEND, given, db)
    return {fact.key: version for fact in facts}


def _json(keys: Iterable[OrderKey]) -> str:
    return msgspec.json.encode(list(keys)).decode()


def _write(sql: str, rows: Iterable[tuple[Any, ...]], db: Database) -> int:
    """Run a statement for all rows; return how many it wrote."""
    return cast("sqlite3.Connection", db).executemany(sql, rows).rowcount
