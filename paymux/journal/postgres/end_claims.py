"""Claims of ends in PostgreSQL: all of one moment by one statement."""

from collections.abc import Callable, Sequence
from typing import Final

from ..database import Database
from ..tables.end_claims import FoundEnd, NewEnd

# An end with a teller, or a once-lock of release 0.1, is left to the next scan, which decides alone
# whether that worker still delivers it. `claim` tells a repeated call from another claim of the
# same worker, which it delivers already.
CLAIM_ENDS: Final = """
CREATE FUNCTION claim_ends(journal bigint, me text, accounts text[], kinds text[], refs text[],
    ids text[], statuses text[], asked text[])
    RETURNS TABLE (id text, told text, claimed boolean) LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    PERFORM pg_advisory_xact_lock_shared(journal);
    PERFORM 1 FROM payments p JOIN unnest(accounts, kinds, refs, asked)
        AS v(account, kind, reference, asked)
        ON p.account = v.account AND p.kind = v.kind AND p.reference = v.reference
        WHERE v.asked = 'yes' AND p.untold AND p.teller IS NULL
        ORDER BY p.account, p.kind, p.reference FOR UPDATE OF p;
    UPDATE payments p SET teller = me, claim = v.id
    FROM unnest(accounts, kinds, refs, ids, statuses, asked)
        AS v(account, kind, reference, id, status, asked)
    WHERE p.account = v.account AND p.kind = v.kind AND p.reference = v.reference
        AND v.asked = 'yes' AND p.untold AND p.teller IS NULL AND p.status = v.status
        AND NOT EXISTS (SELECT 1 FROM turns t WHERE t.account = v.account AND t.kind = v.kind
        AND t.reference = v.reference AND t.name = 'on_payment ' || v.status);
    RETURN QUERY SELECT v.id, p.told,
        coalesce(p.untold AND p.status = v.status AND p.teller = me AND p.claim = v.id, false)
    FROM unnest(accounts, kinds, refs, ids, statuses)
        AS v(account, kind, reference, id, status)
    JOIN payments p
        ON p.account = v.account AND p.kind = v.kind AND p.reference = v.reference;
END $$;"""
_CLAIM = f"SELECT id, told, claimed FROM claim_ends({', '.join('?' * 8)})"


class PostgresEnds:
    """Claims of ends in a schema; a call whose answer was lost is repeated."""

    def __init__(self, lock: Callable[[], int]) -> None:
        self._lock = lock  # the key of the journal's lock

    def claim(self, ends: Sequence[NewEnd], worker: str, db: Database) -> dict[str, FoundEnd]:
        """Claim those that no worker delivers or has delivered; return each by its id."""
        given = [(*one.key, one.id, one.status, "yes" if one.asked else "no") for one in ends]
        columns = [list(column) for column in zip(*given, strict=True)]
        found = db.execute(_CLAIM, (self._lock(), worker, *columns)).fetchall()
        return {id: FoundEnd(told, claimed) for id, told, claimed in found}
