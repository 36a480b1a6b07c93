"""Functions of the journal's schema: a verb for all its callers is one statement.

Each takes the journal's lock in common, before the snapshot of its first statement, locks its rows
in the order of their key, and changes those alone that are as their caller has read them. The id of
a fact becomes the version of its row, so that a call whose answer was lost is repeated: it returns
what it returned before. A version of '' is that of a row which others have changed since.
"""

from typing import Final

from ...models import ADOPTED
from .end_claims import CLAIM_ENDS
from .message_rows import KEEP_MESSAGES

_KEYS = "accounts text[], kinds text[], refs text[], ids text[]"
_FACT = "sources text[], fact_states text[], fact_statuses text[], fact_payments text[]"
_VERSION = "account text, kind text, reference text, version text"
_RETURNS = f"RETURNS TABLE ({_VERSION})"
_LANGUAGE = """LANGUAGE plpgsql AS $$
#variable_conflict use_column"""
_BEGIN = f"""{_LANGUAGE}
BEGIN
    PERFORM pg_advisory_xact_lock_shared(journal);"""
_SAME = "p.account = v.account AND p.kind = v.kind AND p.reference = v.reference"
_IN_ORDER = "ORDER BY p.account, p.kind, p.reference FOR UPDATE OF p"


def _all(word: str) -> str:
    """Return an array that says one word for each caller."""
    return f"array_fill('{word}'::text, ARRAY[cardinality(ids)])"


def _end(sources: str, states: str, statuses: str, texts: str, more: str = "") -> str:
    """Return the end of a function: the facts of the rows that it wrote, and their versions."""
    return f"""
    INSERT INTO facts (account, kind, reference, at, source, state, status, payment, uid)
    SELECT v.account, v.kind, v.reference, moment, v.source, v.state, v.status, v.payment, v.id
    FROM unnest(accounts, kinds, refs, ids, {sources}, {states}, {statuses}, {texts})
        AS v(account, kind, reference, id, source, state, status, payment)
    JOIN payments p ON {_SAME} WHERE p.version = v.id
    ON CONFLICT (account, kind, reference, uid) DO NOTHING;
    RETURN QUERY SELECT v.account, v.kind, v.reference,
        CASE WHEN p.version = v.id THEN v.id ELSE '' END{more}
    FROM unnest(accounts, kinds, refs, ids) AS v(account, kind, reference, id)
    JOIN payments p ON {_SAME} WHERE p.version = v.id OR EXISTS (SELECT 1 FROM facts f
        WHERE f.account = v.account AND f.kind = v.kind AND f.reference = v.reference
        AND f.uid = v.id);
END $$;"""


_ADD = f"""
CREATE FUNCTION add_orders(journal bigint, moment text, me text, {_KEYS}, statuses text[],
    payments text[], amounts text[], currencies text[], parties text[], digests text[],
    replaced text[]) {_RETURNS} {_BEGIN}
    PERFORM 1 FROM payments p JOIN unnest(accounts, kinds, refs, replaced)
        AS v(account, kind, reference, replaces) ON {_SAME}
        WHERE p.version = v.replaces {_IN_ORDER};
    DELETE FROM payments p USING unnest(accounts, kinds, refs, replaced)
        AS v(account, kind, reference, replaces) WHERE {_SAME} AND p.version = v.replaces;
    INSERT INTO payments (account, kind, reference, state, status, amount, currency, party, digest,
        payment, created_at, updated_at, worker, version)
    SELECT v.account, v.kind, v.reference, 'intent', v.status, v.amount, v.currency, v.party,
        v.digest, v.payment, moment, moment, me, v.id
    FROM unnest(accounts, kinds, refs, ids, statuses, payments, amounts, currencies, parties,
        digests, replaced) AS v(account, kind, reference, id, status, payment, amount, currency,
        party, digest, replaces)
    WHERE v.replaces IS NOT NULL OR NOT EXISTS (SELECT 1 FROM forgotten p WHERE {_SAME})
    ORDER BY v.account COLLATE "C", v.kind COLLATE "C", v.reference COLLATE "C"
    ON CONFLICT (account, kind, reference) DO NOTHING;
    {_end(_all("intent"), _all("intent"), "statuses", "payments")}"""
_SENDING = f"""
CREATE FUNCTION mark_sending(journal bigint, moment text, me text, {_KEYS}, statuses text[],
    payments text[]) {_RETURNS} {_BEGIN}
    PERFORM 1 FROM payments p JOIN unnest(accounts, kinds, refs) AS v(account, kind, reference)
        ON {_SAME} WHERE p.state = 'intent' AND p.worker = me {_IN_ORDER};
    UPDATE payments p SET state = 'sending', updated_at = moment, version = v.id
    FROM unnest(accounts, kinds, refs, ids) AS v(account, kind, reference, id)
    WHERE {_SAME} AND p.state = 'intent' AND p.worker = me;
    {_end(_all("sending"), _all("sending"), "statuses", "payments")}"""
# The adopted payment that an order's success is the same money as: see `adopted_ends.py`. What
# adopts holds the lock alone, so that one of both sees the other.
_TWINS = f"""(SELECT w.*, (SELECT a.reference FROM payments a WHERE a.account = w.account
        AND a.kind = 'collect' AND a.reference = w.adopted) AS own,
        CASE WHEN w.match = 'yes' THEN (SELECT a.reference FROM unconfirmed u JOIN payments a
        ON a.account = u.account AND a.kind = 'collect' AND a.reference = '{ADOPTED}' || u.receipt
        WHERE u.account = w.account AND u.reference = w.reference LIMIT 1) END AS matched
    FROM unnest(accounts, kinds, refs, ids, adopted_refs, matches)
        AS w(account, kind, reference, id, adopted, match)
    WHERE w.adopted IS NOT NULL AND w.id = ANY (changed))"""
_CHANGE = f"""
CREATE FUNCTION change_orders(journal bigint, moment text, {_KEYS}, {_FACT}, versions text[],
    befores text[], owners text[], states text[], statuses text[], provider_refs text[],
    payments text[], workers text[], adopted_refs text[], matches text[])
    RETURNS TABLE ({_VERSION}, told_as text) {_LANGUAGE}
DECLARE
    changed text[]; -- the facts whose rows are written now, and not by an earlier call of this
    twins json; -- by the facts, what counts as told as which adopted payment
BEGIN
    PERFORM pg_advisory_xact_lock_shared(journal);
    PERFORM 1 FROM payments p JOIN unnest(accounts, kinds, refs, versions)
        AS v(account, kind, reference, version) ON {_SAME} WHERE p.version = v.version {_IN_ORDER};
    WITH written AS (UPDATE payments p SET state = v.state, status = v.status,
        provider_reference = v.provider_reference, payment = v.payment, worker = v.worker,
        updated_at = moment, version = v.id
    FROM unnest(accounts, kinds, refs, ids, versions, befores, owners, states, statuses,
        provider_refs, payments, workers) AS v(account, kind, reference, id, version, was, owner,
        state, status, provider_reference, payment, worker)
    WHERE {_SAME} AND p.version = v.version AND p.state = v.was
        AND coalesce(p.worker, '') = v.owner RETURNING p.version)
    SELECT array_agg(w.version) INTO changed FROM written w;
    IF array_remove(adopted_refs, NULL) <> '{{}}' THEN
        WITH counted AS (UPDATE payments p
            SET told = CASE WHEN v.adopted = '' OR v.own IS NOT NULL THEN p.status END
            FROM {_TWINS} v WHERE {_SAME} AND (v.own IS NOT NULL OR v.matched IS NOT NULL)
            RETURNING v.id, p.told, coalesce(v.own, v.matched) AS twin)
        SELECT json_object_agg(c.id, c.twin) INTO twins FROM counted c WHERE c.told IS NOT NULL;
    END IF;
    {_end("sources", "fact_states", "fact_statuses", "fact_payments", ", twins ->> v.id")}"""
FUNCTIONS: Final = _ADD + _SENDING + _CHANGE + KEEP_MESSAGES + CLAIM_ENDS
