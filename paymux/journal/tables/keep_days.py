"""Deleting payments that ended long ago, in steps between which other workers write."""

from collections.abc import Generator
from datetime import datetime, timedelta
from typing import Any, TypeAlias

from ...primitives.clock import wall_time
from ..database import Database
from .columns import MUST_BE_TOLD, iso

ROWS_PER_STEP = 500  # rows that one step looks at; it takes some milliseconds

# Ended, and unchanged since `before`. An old time recorded after a newer one is a wrong clock's.
_OLD = f"""(status <> 'pending' OR state IN ('refused', 'not_sent'))
    AND updated_at < :before AND NOT {MUST_BE_TOLD}
    AND NOT EXISTS (SELECT 1 FROM facts f
        WHERE f.account = payments.account AND f.kind = payments.kind
        AND f.reference = payments.reference AND f.id >= :young AND f.at < :before)"""
_YOUNG = "SELECT id FROM facts WHERE at BETWEEN :before AND :now ORDER BY id LIMIT 1"
_GONE = """at < :before AND NOT EXISTS (SELECT 1 FROM payments p WHERE
    p.account = {0}.account AND p.kind = {0}.kind AND p.reference = {0}.reference)"""
_NEVER = 2**63 - 1

_ORDER = ("account", "kind", "reference")
_FORGET = f"""INSERT INTO forgotten SELECT account, kind, reference, digest, status, updated_at
    FROM payments WHERE status <> 'pending' AND {_OLD} AND {{0}}
    ON CONFLICT (account, kind, reference) DO UPDATE
    SET digest = excluded.digest, status = excluded.status, at = excluded.at"""
# Each table with its key, and what is done to the rows of a step. A payment's reference is never
# free again, and a completed once-lock stays completed.
_TABLES: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = (
    ("payments", _ORDER, (_FORGET, f"DELETE FROM payments WHERE {_OLD} AND {{0}}")),
    ("hints", ("id",), ("DELETE FROM hints WHERE at < :before AND worker IS NULL AND {0}",)),
    ("unconfirmed", ("id",), ("DELETE FROM unconfirmed WHERE ended < :before AND {0}",)),
    ("facts", ("id",), (f"DELETE FROM facts WHERE {_GONE.format('facts')} AND {{0}}",)),
    (
        "turns",
        (*_ORDER, "name"),
        (f"DELETE FROM turns WHERE worker IS NOT NULL AND {_GONE.format('turns')} AND {{0}}",),
    ),
    (
        "fences",
        (*_ORDER, "name"),
        (f"DELETE FROM fences WHERE {_GONE.format('fences')} AND {{0}}",),
    ),
)
# A step is one `send` with the database; between two of them anything may happen.
Deletion: TypeAlias = Generator[None, Database, None]


def deletion(keep: timedelta) -> Deletion:
    """Delete payments that ended before, but keep their references: they are never free again.

    What is old is decided by the first step. Each step leaves rows that the next run understands.
    """
    db = yield
    last = db.execute("SELECT at FROM facts ORDER BY id DESC LIMIT 1").fetchone()
    if last is None:
        return
    # A clock that jumped forward is limited to the time of the last fact.
    now = min(iso(wall_time()), last[0])
    times = {"now": now, "before": iso(datetime.fromisoformat(now) - keep)}
    young = db.execute(_YOUNG, times).fetchone()
    given = {"before": times["before"], "young": _NEVER if young is None else young[0]}
    looked = 0
    for table, key, changes in _TABLES:
        after: tuple[Any, ...] | None = None
        while True:
            rows = _keys(table, key, after, db)
            if rows:
                _change(key, changes, after, rows[-1], given, db)
            looked += len(rows)
            if looked >= ROWS_PER_STEP:
                looked = 0
                db = yield
            if len(rows) < ROWS_PER_STEP:
                break
            after = rows[-1]


def _keys(
    table: str, key: tuple[str, ...], after: tuple[Any, ...] | None, db: Database
) -> list[tuple[Any, ...]]:
    """Return the keys of the rows that a step looks at."""
    names = ", ".join(key)
    begin = "" if after is None else f"WHERE ({names}) > ({', '.join('?' * len(key))})"
    sql = f"SELECT {names} FROM {table} {begin} ORDER BY {names} LIMIT {ROWS_PER_STEP}"
    return [tuple(row) for row in db.execute(sql, after or ()).fetchall()]


def _change(
    key: tuple[str, ...],
    changes: tuple[str, ...],
    after: tuple[Any, ...] | None,
    last: tuple[Any, ...],
    given: dict[str, Any],
    db: Database,
) -> None:
    names = ", ".join(key)
    given = {**given, **{f"to_{name}": value for name, value in zip(key, last, strict=True)}}
    within = f"({names}) <= ({', '.join(f':to_{name}' for name in key)})"
    if after is not None:
        given |= {f"from_{name}": value for name, value in zip(key, after, strict=True)}
        within += f" AND ({names}) > ({', '.join(f':from_{name}' for name in key)})"
    for change in changes:
        sql = change.format(within)
        used = {name: value for name, value in given.items() if f":{name}" in sql}
        db.execute(sql, used)
