"""Deleting payments that ended long ago."""

from datetime import datetime, timedelta

from ..primitives.clock import wall_time
from .columns import iso
from .database import Database

# Once a notifier has run for a kind, a payment of it stays until it is delivered.
_KEPT_UNTOLD = """(status <> 'pending' AND told IS NOT status
    AND EXISTS (SELECT 1 FROM notes WHERE name = 'entered ' || kind))"""
# Ended, and unchanged since `before`. An old time recorded after a newer one is a wrong clock's.
_OLD = f"""(status <> 'pending' OR state IN ('refused', 'not_sent'))
    AND updated_at < :before AND NOT {_KEPT_UNTOLD}
    AND NOT EXISTS (SELECT 1 FROM facts f
        WHERE f.account = payments.account AND f.kind = payments.kind
        AND f.reference = payments.reference AND f.id >= :young AND f.at < :before)"""
_YOUNG = "SELECT id FROM facts WHERE at BETWEEN :before AND :now ORDER BY id LIMIT 1"
_GONE = """at < :before AND NOT EXISTS (SELECT 1 FROM payments p WHERE
    p.account = {0}.account AND p.kind = {0}.kind AND p.reference = {0}.reference)"""
_NEVER = 2**63 - 1


def delete_old(keep: timedelta, db: Database) -> None:
    """Delete payments that ended long ago, but keep their references: they are never free again."""
    last = db.execute("SELECT at FROM facts ORDER BY id DESC LIMIT 1").fetchone()
    if last is not None:
        # A clock that jumped forward is limited to the time of the last fact.
        now = min(iso(wall_time()), last[0])
        times = {"now": now, "before": iso(datetime.fromisoformat(now) - keep)}
        young = db.execute(_YOUNG, times).fetchone()
        given = {"before": times["before"], "young": _NEVER if young is None else young[0]}
        db.execute(
            f"""INSERT INTO forgotten
                SELECT account, kind, reference, digest, status, updated_at
                FROM payments WHERE status <> 'pending' AND {_OLD}
                ON CONFLICT (account, kind, reference) DO UPDATE
                SET digest = excluded.digest, status = excluded.status, at = excluded.at""",
            given,
        )
        db.execute(f"DELETE FROM payments WHERE {_OLD}", given)
        db.execute("DELETE FROM hints WHERE at < :before AND worker IS NULL", given)
        db.execute("DELETE FROM unconfirmed WHERE ended < :before", given)
        db.execute(f"DELETE FROM facts WHERE {_GONE.format('facts')}", given)
        # A completed once-lock stays completed.
        db.execute(f"DELETE FROM turns WHERE worker IS NOT NULL AND {_GONE.format('turns')}", given)
        db.execute(f"DELETE FROM fences WHERE {_GONE.format('fences')}", given)
