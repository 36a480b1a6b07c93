"""The rows of messages in PostgreSQL: all of one moment are kept by one statement."""

from collections.abc import Callable, Sequence
from typing import Final

from msgspec.structs import astuple

from ..database import Database
from ..tables.message_rows import NewMessage

# The row of the order is locked, so that no two workers count its messages at once. A message that
# is kept already has its place; open, it belongs to the worker that received it last.
KEEP_MESSAGES: Final = """
CREATE FUNCTION keep_messages(journal bigint, moment text, me text, accounts text[], kinds text[],
    refs text[], theirs text[], events text[], proofs text[], most text[], opens text[])
    RETURNS TABLE (number bigint, kept boolean) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    one record;
BEGIN
    PERFORM pg_advisory_xact_lock_shared(journal);
    PERFORM 1 FROM payments p JOIN unnest(accounts, kinds, refs) AS v(account, kind, reference)
        ON p.account = v.account AND p.kind = v.kind AND p.reference = v.reference
        ORDER BY p.account, p.kind, p.reference FOR UPDATE OF p;
    FOR one IN SELECT v.*, message_key(v.event) AS key
        FROM unnest(accounts, kinds, refs, theirs, events, proofs::bigint[], most::bigint[],
            opens::bigint[]) WITH ORDINALITY AS v(account, kind, reference, provider_reference,
            event, proved, places, open, number)
        ORDER BY v.account COLLATE "C", v.kind COLLATE "C", v.reference COLLATE "C",
            v.event COLLATE "C"
    LOOP
        number := one.number;
        kept := one.reference IS NULL OR EXISTS (SELECT 1 FROM hints h
            WHERE h.account = one.account AND message_key(h.event) = one.key)
            OR (SELECT count(*) FROM hints h WHERE h.account = one.account AND h.kind = one.kind
            AND h.reference = one.reference AND h.proved = one.proved) < one.places;
        IF kept THEN
            INSERT INTO hints AS h (account, kind, reference, provider_reference, at, event,
                worker, proved)
            VALUES (one.account, one.kind, one.reference, one.provider_reference, moment,
                one.event, CASE WHEN one.open = 1 THEN me END, one.proved)
            ON CONFLICT (account, message_key(event)) DO UPDATE SET worker = excluded.worker
            WHERE one.open = 1;
        END IF;
        RETURN NEXT;
    END LOOP;
END $$;"""
_KEEP = f"SELECT number, kept FROM keep_messages({', '.join('?' * 11)})"


class PostgresMessages:
    """The rows in a schema; a call whose answer was lost is repeated, and keeps nothing twice."""

    def __init__(self, lock: Callable[[], int]) -> None:
        self._lock = lock  # the key of the journal's lock

    def keep(
        self, messages: Sequence[NewMessage], at: str, worker: str, db: Database
    ) -> list[bool]:
        """Keep messages once, for this worker if they are open; False: there is no place for it."""
        given = [
            (*astuple(one)[:5], str(int(one.proved)), str(one.places), str(int(one.open)))
            for one in messages
        ]
        columns = [list(column) for column in zip(*given, strict=True)]
        found = db.execute(_KEEP, (self._lock(), at, worker, *columns)).fetchall()
        kept = dict(found)
        return [kept[number] for number in range(1, len(messages) + 1)]
