"""Rows without a partner that look alike: told as "perhaps", and never taken for a match."""

import sqlite3
from typing import Final

from .comparing import Said
from .staging import Staging

_DAY = 86_400  # seconds
_LOOSE = """SELECT '{side}', account, amount, at, party,
            coalesce(reference, provider_reference, receipt), n FROM {side}
            WHERE amount IS NOT NULL AND status IN ('succeeded', 'pending', 'refunded')
            AND NOT EXISTS (SELECT 1 FROM pairs WHERE pairs.{side} = {side}.n)"""
_TABLE: Final = (
    "DROP TABLE IF EXISTS neighbours",
    """CREATE TABLE neighbours(side TEXT, account TEXT, amount INTEGER, at INTEGER, party TEXT,
                               id TEXT, n INTEGER)""",
    f"INSERT INTO neighbours {_LOOSE.format(side='ours')} UNION ALL {_LOOSE.format(side='theirs')}",
    "CREATE INDEX neighbours_day ON neighbours(side, account, amount, at, id, n)",
    """CREATE INDEX neighbours_party ON neighbours(side, account, amount, party, id, n)
       WHERE party IS NOT NULL""",
)
_SAME = "SELECT id, n, at FROM neighbours WHERE side = ? AND account = ? AND amount = ?"
_BY_PARTY = f"{_SAME} AND party = ? ORDER BY id, n LIMIT 1"
_BEFORE = f"{_SAME} AND at BETWEEN ? AND ? ORDER BY at DESC, id, n LIMIT 1"
_AFTER = f"{_SAME} AND at BETWEEN ? AND ? ORDER BY at, id, n LIMIT 1"


def gather(db: sqlite3.Connection) -> None:
    """List the rows of both sides that have no partner."""
    for statement in _TABLE:
        db.execute(statement)


def perhaps(staging: Staging, row: Said, other: str) -> str | None:
    """Return the row of the other side that has the same amount, and the same number or day."""
    same = (other, row.account, row.amount)
    found = None
    if row.party is not None:
        found = staging.rows(_BY_PARTY, (*same, row.party)).fetchone()
    if found is None and row.at is not None:
        near = [
            one
            for sql, first, last in (
                (_BEFORE, row.at - _DAY, row.at),
                (_AFTER, row.at + 1, row.at + _DAY),
            )
            if (one := staging.rows(sql, (*same, first, last)).fetchone())
        ]
        at = row.at
        found = min(near, key=lambda one: (abs(one[2] - at), one[0], one[1]), default=None)
    return None if found is None else f"{found[0]} ({other}, row {found[1]})"
