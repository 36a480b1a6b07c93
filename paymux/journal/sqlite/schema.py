"""The tables of the journal's file."""

import re
import sqlite3
from collections.abc import Callable

from ...models import log
from ..tables.columns import RECEIPT

_FIRST = """
CREATE TABLE payments (
    account TEXT NOT NULL, kind TEXT NOT NULL, reference TEXT NOT NULL,
    state TEXT NOT NULL, status TEXT NOT NULL, provider_reference TEXT,
    amount TEXT, currency TEXT, party TEXT, digest TEXT NOT NULL,
    payment TEXT NOT NULL, created_at TEXT NOT NULL, updated_at TEXT NOT NULL,
    worker TEXT, fence INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (account, kind, reference)
) WITHOUT ROWID;
CREATE INDEX payments_by_provider_reference ON payments (account, provider_reference);
CREATE INDEX payments_by_age ON payments (created_at, account, kind, reference);
CREATE TABLE facts (
    id INTEGER PRIMARY KEY, account TEXT NOT NULL, kind TEXT NOT NULL, reference TEXT NOT NULL,
    at TEXT NOT NULL, source TEXT NOT NULL, state TEXT NOT NULL, status TEXT NOT NULL,
    payment TEXT NOT NULL
);
CREATE INDEX facts_of ON facts (account, kind, reference);
CREATE TABLE hints (
    id INTEGER PRIMARY KEY, account TEXT NOT NULL, reference TEXT, provider_reference TEXT,
    at TEXT NOT NULL, event TEXT NOT NULL,
    worker TEXT, -- the worker that is processing it, NULL once it is processed
    UNIQUE (account, event)
);
CREATE INDEX hints_open ON hints (id) WHERE worker IS NOT NULL;
CREATE TABLE turns (
    account TEXT NOT NULL, kind TEXT NOT NULL, reference TEXT NOT NULL, name TEXT NOT NULL,
    at TEXT NOT NULL, worker TEXT, caller TEXT NOT NULL,
    PRIMARY KEY (account, kind, reference, name)
) WITHOUT ROWID;
"""
# Each step leads from one version of the file to the next; this one is release 0.2. Payments that
# ended before there was an outbox count as delivered: their callers have already learned the end.
_SECOND = """
ALTER TABLE payments ADD COLUMN told TEXT; -- the status that was last delivered to on_payment
ALTER TABLE payments ADD COLUMN teller TEXT; -- the worker that delivers it now
ALTER TABLE payments ADD COLUMN watcher TEXT; -- the worker whose notifier watches it while open
ALTER TABLE payments ADD COLUMN left_at TEXT; -- when it was left to a person, after days open
UPDATE payments SET told = status WHERE status <> 'pending';
CREATE INDEX payments_untold ON payments (kind, teller, updated_at)
    WHERE status <> 'pending' AND told IS NOT status;
CREATE INDEX payments_open ON payments (account, watcher)
    WHERE status = 'pending' AND state NOT IN ('refused', 'not_sent');
CREATE INDEX hints_by_reference ON hints (account, reference);
CREATE INDEX hints_by_provider_reference ON hints (account, provider_reference);
CREATE TABLE notifiers (
    worker TEXT PRIMARY KEY,
    beat REAL NOT NULL, -- the machine's monotonic seconds, which no setting of a clock changes
    accounts TEXT NOT NULL, kinds TEXT NOT NULL, -- lists, as JSON
    places TEXT NOT NULL -- by account, the look-ups per window of this notifier's watches, as JSON
) WITHOUT ROWID;
ALTER TABLE facts ADD COLUMN because TEXT; -- the reason that a person gave
ALTER TABLE facts ADD COLUMN person TEXT; -- and the person's name
CREATE TABLE unconfirmed ( -- messages about payments that no look-up confirms
    id INTEGER PRIMARY KEY, account TEXT NOT NULL, receipt TEXT,
    at TEXT NOT NULL, event TEXT NOT NULL,
    teller TEXT, -- the worker that delivers it now
    told TEXT, -- when on_unconfirmed returned
    logged TEXT, -- when it was logged as an ERROR, in a pool without on_unconfirmed
    ended TEXT, because TEXT, -- when it was dealt with, and why
    reference TEXT, -- the collect, succeeded without a receipt, that it was matched to
    UNIQUE (account, event)
);
CREATE INDEX unconfirmed_open ON unconfirmed (ended) WHERE ended IS NULL;
CREATE INDEX unconfirmed_told ON unconfirmed (ended) WHERE ended IS NULL AND told IS NOT NULL;
CREATE INDEX unconfirmed_of ON unconfirmed (account, reference) WHERE reference IS NOT NULL;
CREATE INDEX payments_by_receipt ON payments (account, RECEIPT) WHERE RECEIPT IS NOT NULL;
ALTER TABLE hints ADD COLUMN proved INTEGER NOT NULL DEFAULT 0; -- signed, or on the order's path
CREATE INDEX hints_of ON hints (account, reference, proved);
CREATE TABLE forgotten ( -- references of payments that keep_days deleted: none is ever sent again
    account TEXT NOT NULL, kind TEXT NOT NULL, reference TEXT NOT NULL, digest TEXT NOT NULL,
    status TEXT NOT NULL, at TEXT NOT NULL, PRIMARY KEY (account, kind, reference)
) WITHOUT ROWID;
CREATE TABLE notes (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE fences ( -- how often each turn was taken: the token of the caller that took it last
    account TEXT NOT NULL, kind TEXT NOT NULL, reference TEXT NOT NULL, name TEXT NOT NULL,
    at TEXT NOT NULL, fence INTEGER NOT NULL, PRIMARY KEY (account, kind, reference, name)
) WITHOUT ROWID;
"""
_THIRD = """
-- A message about a payout counts for the payout, not for the collect of the same reference.
ALTER TABLE hints ADD COLUMN kind TEXT NOT NULL DEFAULT 'collect';
UPDATE hints SET kind = json_extract(event, '$.claims.kind')
    WHERE CASE WHEN json_valid(event) THEN json_extract(event, '$.attempt') IS NULL
    AND json_extract(event, '$.claims.kind') IN ('payout', 'refund') END;
DROP INDEX hints_of;
CREATE INDEX hints_of ON hints (account, kind, reference, proved);
-- A message is found again by its text, so that of a stored one gets the field that is new.
UPDATE hints SET event = WITH_USE WHERE json_valid(event);
UPDATE unconfirmed SET event = WITH_USE WHERE json_valid(event);
-- How good a credential is (slot ''), and its requests that are out (transport/credentials.py).
CREATE TABLE credentials (
    account TEXT NOT NULL, digest TEXT NOT NULL, slot TEXT NOT NULL, standing TEXT NOT NULL,
    at REAL NOT NULL, -- unix seconds
    PRIMARY KEY (account, digest, slot)
) WITHOUT ROWID;
CREATE TABLE questions ( -- questions whose answers come as messages, until an hour after they may
    nonce TEXT PRIMARY KEY, -- of the path of the answer
    account TEXT NOT NULL, verb TEXT NOT NULL,
    payment TEXT, -- the payment that it asks for
    expires INTEGER NOT NULL, -- Unix seconds: until then the path is good
    worker TEXT, -- the worker that waits for the answer, or applies one that came late
    named TEXT, -- the id that the acknowledgement gave, and the answer must bear
    early TEXT NOT NULL, -- by their ids, messages before the acknowledgement, as JSON
    answer TEXT, timed_out INTEGER NOT NULL,
    over INTEGER NOT NULL -- a verb has the answer, or it was applied
);
CREATE INDEX questions_by_age ON questions (expires);
CREATE INDEX questions_left ON questions (expires) WHERE answer IS NOT NULL AND over = 0;
-- One receipt is adopted once, whichever of its messages comes.
CREATE INDEX unconfirmed_by_receipt ON unconfirmed (account, receipt);
"""
_FOURTH = """
-- The digest of the credential that a question names.
ALTER TABLE questions ADD COLUMN credential TEXT NOT NULL DEFAULT '';
CREATE TABLE tokens ( -- each account's newest access token, which all workers use
    account TEXT NOT NULL, login TEXT NOT NULL, -- the begin of the digest of what its login sends
    generation INTEGER NOT NULL, -- of the token; it only grows
    sealed TEXT NOT NULL, -- the token, for those who have the key; '' once it was refused
    life REAL NOT NULL, expires REAL NOT NULL, -- its seconds at first, and its end in Unix seconds
    given INTEGER NOT NULL, -- the generation of the newest login; it only grows
    asker TEXT NOT NULL, asked REAL NOT NULL, -- the worker that logs in, or '', and since when
    PRIMARY KEY (account, login)
) WITHOUT ROWID;
-- Notifiers divide no look-ups any more: see `places`. No process uses the file at this moment.
DROP TABLE notifiers;
CREATE TABLE notifiers (
    worker TEXT PRIMARY KEY,
    beat REAL NOT NULL, -- the machine's monotonic seconds, which no setting of a clock changes
    accounts TEXT NOT NULL, kinds TEXT NOT NULL -- lists, as JSON
) WITHOUT ROWID;
DELETE FROM notes WHERE name = 'freed';
CREATE TABLE places ( -- of a stated limit: how many requests per window each holder may send
    account TEXT NOT NULL, kind TEXT NOT NULL, -- money, or look-up
    holder TEXT NOT NULL, -- one pool of a worker
    worker TEXT NOT NULL, held INTEGER NOT NULL, wanted INTEGER NOT NULL,
    number INTEGER NOT NULL, -- of its last request: an earlier one that comes late is void
    rest REAL NOT NULL, -- seconds for which its places count as used once it has ended
    ended REAL, -- when that was seen: in a file, the machine's monotonic seconds
    PRIMARY KEY (account, kind, holder)
) WITHOUT ROWID;
-- Each fact has an id of its own, so that a write whose outcome is unknown can be repeated.
ALTER TABLE facts ADD COLUMN uid TEXT;
UPDATE facts SET uid = printf('%032x', id);
DROP INDEX facts_of; -- one index for both: each one more costs a commit a tenth
CREATE UNIQUE INDEX facts_of ON facts (account, kind, reference, uid);
-- Another one after each change of the state or the payment: see `Change.version`.
ALTER TABLE payments ADD COLUMN version TEXT NOT NULL DEFAULT '';
"""
# The text of a message of an earlier release, as this one writes it.
_WITH_USE = """substr(event, 1, length(event) - 1) || CASE
    WHEN json_extract(event, '$.attempt') IS NULL THEN ',"path_use":null}'
    ELSE ',"path_use":"collect"}' END"""
MIGRATIONS = (
    _FIRST,
    _SECOND.replace("RECEIPT", RECEIPT),
    _THIRD.replace("WITH_USE", _WITH_USE),
    _FOURTH,
)
VERSION = len(MIGRATIONS)

# NORMAL may lose a committed row when the power goes:
# https://www.sqlite.org/pragma.html#pragma_synchronous
SYNCHRONOUS = "FULL"


def prepare(db: sqlite3.Connection, alone: Callable[[], None] = lambda: None) -> None:
    """Create or upgrade the journal's tables.

    Before the file of an earlier release is changed, `alone` raises if another process uses it.
    """
    db.execute("PRAGMA journal_mode=WAL")
    db.execute(f"PRAGMA synchronous={SYNCHRONOUS}")
    # A file of this release can be read while another program has it locked.
    if _version(db) != VERSION:
        _advance(db, alone)


def _advance(db: sqlite3.Connection, alone: Callable[[], None]) -> None:
    """Upgrade a file from its version to this one."""
    db.execute("BEGIN IMMEDIATE")
    version = _version(db)
    if version > VERSION:
        raise sqlite3.DatabaseError(
            f"the journal was written by a later release (schema {version})"
        )
    if 0 < version < VERSION:
        alone()
    for step in MIGRATIONS[version:]:
        for statement in re.sub("--.*", "", step).split(";"):
            db.execute(statement)
    db.execute(f"PRAGMA user_version = {VERSION}")
    if version == 1:
        told = db.execute("SELECT count(*) FROM payments WHERE told IS NOT NULL").fetchone()[0]
        log.info(
            "the journal is of an earlier release: %d payments that had ended count as told", told
        )
    db.execute("COMMIT")


def _version(db: sqlite3.Connection) -> int:
    version: int = db.execute("PRAGMA user_version").fetchone()[0]
    return version
