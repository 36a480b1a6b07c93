"""The journal in one SQLite file, shared by any number of processes of one machine, readable with plain SQL."""

import sqlite3
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any

import msgspec

from .errors import DuplicateReference, Mismatch, UsageError
from .journal import Row, State
from .models import Event, Payment, Status, log, succeed
from .workers import Worker
from .writer import Writer

VERSION = 1
_SCHEMA = """
CREATE TABLE payments (
    account TEXT NOT NULL, kind TEXT NOT NULL, reference TEXT NOT NULL,
    state TEXT NOT NULL, status TEXT NOT NULL, provider_reference TEXT,
    amount TEXT, currency TEXT, party TEXT, digest TEXT NOT NULL,
    payment TEXT NOT NULL, created_at TEXT NOT NULL, updated_at TEXT NOT NULL,
    worker TEXT, fence INTEGER NOT NULL DEFAULT 0, run TEXT,
    PRIMARY KEY (account, kind, reference)
) WITHOUT ROWID;
CREATE INDEX payments_by_provider_reference ON payments (account, provider_reference);
CREATE INDEX payments_open ON payments (status, state);
CREATE TABLE facts (
    id INTEGER PRIMARY KEY, account TEXT NOT NULL, kind TEXT NOT NULL, reference TEXT NOT NULL,
    at TEXT NOT NULL, source TEXT NOT NULL, state TEXT NOT NULL, status TEXT NOT NULL, payment TEXT NOT NULL
);
CREATE INDEX facts_of ON facts (account, kind, reference);
CREATE TABLE hints (
    id INTEGER PRIMARY KEY, account TEXT NOT NULL, reference TEXT, provider_reference TEXT,
    at TEXT NOT NULL, event TEXT NOT NULL, UNIQUE (account, event)
);
CREATE TABLE turns (
    account TEXT NOT NULL, kind TEXT NOT NULL, reference TEXT NOT NULL, name TEXT NOT NULL,
    at TEXT NOT NULL, worker TEXT, PRIMARY KEY (account, kind, reference, name)
) WITHOUT ROWID;
"""
_OF = "WHERE account = ? AND kind = ? AND reference = ?"


class SqliteJournal:
    """A journal in a file. `keep_days` forgets terminal payments after so many days; None keeps them for ever.

    Writes of one moment share one commit (WAL, `synchronous=FULL`), made by a thread of its own. A worker is known
    to live by a lock that it holds on a file beside the journal, which the system lets go of when it dies.
    """

    def __init__(self, path: str | PathLike[str], *, keep_days: float | None = None) -> None:
        if keep_days is not None and not keep_days > 0:
            raise UsageError.field("keep_days", keep_days, "days above 0, or None")
        self._path = Path(path)
        self._keep = None if keep_days is None else timedelta(days=keep_days)
        self._worker = Worker(self._path)
        self._writer = Writer(self._open, self._close)

    async def intend(self, pending: Payment, digest: str) -> Row | None:
        """Note an order, or give the row that its reference has already."""
        return await self._writer.do(partial(self._intend, pending, digest))

    async def sending(self, pending: Payment) -> None:
        """Make durable that the request is about to leave."""
        await self._writer.do(lambda db: self._apply(db, pending, "sending", State.SENDING))

    async def record(self, payment: Payment, source: str, state: State | None = None) -> None:
        """Append a fact, and apply it where it does not turn the record back."""
        await self._writer.do(lambda db: self._apply(db, payment, source, state))

    async def find(
        self, account: str, *, reference: str | None = None, provider_reference: str | None = None
    ) -> Payment | None:
        """Give the payment with either reference; of several kinds under one reference, the collect first."""
        column, value = (
            ("reference", reference) if reference is not None else ("provider_reference", provider_reference)
        )
        sql = f"SELECT payment FROM payments WHERE account = ? AND {column} = ? ORDER BY kind LIMIT 1"
        found = await self._writer.do(lambda db: db.execute(sql, (account, value)).fetchone())
        return None if found is None else _payment(found[0])

    async def hint(self, event: Event) -> None:
        """Keep a message before it is acknowledged; the same message twice is kept once."""
        claims = event.claims
        kept = (event.account, event.attempt, claims.provider_reference, _now(), _json(event))
        into = "INSERT OR IGNORE INTO hints (account, reference, provider_reference, at, event)"
        sql = f"{into} VALUES (?, ?, ?, ?, ?)"
        await self._writer.do(lambda db: _run(db, sql, kept))

    async def payments(
        self, *, account: str | None = None, status: Status | None = None, since: datetime | None = None
    ) -> AsyncIterator[Payment]:
        """List payments, oldest first, in pages, so that a long record does not fill the memory."""
        after = ("", "", "", "")
        start = "" if since is None else _iso(since)
        sql = """SELECT payment, created_at, account, kind, reference FROM payments
                 WHERE (created_at, account, kind, reference) > (?, ?, ?, ?) AND created_at >= ?
                 AND (? IS NULL OR account = ?) AND (? IS NULL OR status = ?)
                 ORDER BY created_at, account, kind, reference LIMIT 500"""
        while True:
            given = (*after, start, account, account, status, status)
            rows = await self._writer.do(partial(_rows, sql, given))
            for payment, *key in rows:
                after = tuple(key)
                yield _payment(payment)
            if len(rows) < 500:
                return

    async def claim(self, run: str) -> Row | None:
        """Take a row that needs looking after and that no living worker answers for, once per run."""
        return await self._writer.do(partial(self._claim, run))

    async def release(self, row: Row) -> None:
        """Give a claimed row back; a row that somebody else has taken since is left alone."""
        sql = "UPDATE payments SET worker = NULL WHERE account = ? AND kind = ? AND reference = ? AND fence = ?"
        await self._writer.do(lambda db: _run(db, sql, (*_key(row.payment), row.fence)))

    async def take_turn(self, payment: Payment, name: str) -> bool:
        """Tell one caller of all that the turn is his."""
        return await self._writer.do(partial(self._take_turn, payment, name))

    async def end_turn(self, payment: Payment, name: str, *, done: bool) -> None:
        """End a turn: done for ever, or given back."""
        where = "account = ? AND kind = ? AND reference = ? AND name = ? AND worker = ?"
        sql = f"UPDATE turns SET worker = NULL WHERE {where}" if done else f"DELETE FROM turns WHERE {where}"
        await self._writer.do(lambda db: _run(db, sql, (*_key(payment), name, self._worker.name)))

    async def aclose(self) -> None:
        """Finish what is queued, end the thread, and let go of the lock that says that this worker lives."""
        await self._writer.aclose()

    # What runs in the thread.

    def _intend(self, pending: Payment, digest: str, db: sqlite3.Connection) -> Row | None:
        key = _key(pending)
        found = db.execute(
            f"SELECT state, payment, digest, worker FROM payments {_OF}",
            key,
        ).fetchone()
        if found is not None:
            state, payment, other, worker = State(found[0]), found[1], found[2], found[3]
            abandoned = state is State.INTENT and not self._worker.lives(worker)
            if not (state.free or abandoned):
                if other == digest:
                    return Row(state=state, payment=_payment(payment))
                error = DuplicateReference("this reference belongs to another order in the journal")
                error.account, error.provider, error.reference = (
                    pending.account,
                    pending.provider,
                    pending.reference,
                )
                raise error
            db.execute(f"DELETE FROM payments {_OF}", key)
        row = {
            "account": pending.account,
            "kind": key[1],
            "reference": key[2],
            "state": State.INTENT,
            "status": pending.status,
            "amount": str(pending.amount),
            "currency": pending.currency,
            "party": pending.payer or pending.payee,
            "digest": digest,
            "payment": _json(pending),
            "created_at": _now(),
            "updated_at": _now(),
            "worker": self._worker.name,
        }
        _insert(db, "payments", row)
        _append(db, pending, "intent", State.INTENT)
        return None

    def _apply(self, db: sqlite3.Connection, payment: Payment, source: str, state: State | None) -> None:
        if payment.reference is None:
            return  # not one of ours: there is nothing to keep it under
        key = _key(payment)
        found = db.execute(f"SELECT state, payment FROM payments {_OF}", key).fetchone()
        if found is None:
            return  # asked about by somebody who has no record of it, or forgotten by now
        was, known = State(found[0]), _payment(found[1])
        state = was.after(state, payment)
        said = (state, payment.status, payment.provider_status, payment.provider_reference)
        if source == "verify" and said == (was, known.status, known.provider_status, known.provider_reference):
            return  # a poll that brought nothing new
        try:
            kept = succeed(known, msgspec.structs.replace(payment, raw=""))
        except Mismatch as mismatch:
            log.warning("%s: kept as a fact, not applied: %s", payment.account, mismatch)
            kept, state = known, was
        # In SENDING the worker still answers for the row; afterwards anybody may look after it.
        db.execute(
            """UPDATE payments SET state = ?, status = ?, provider_reference = ?, payment = ?, updated_at = ?,
               worker = CASE WHEN ? = 'sending' THEN worker ELSE NULL END
               WHERE account = ? AND kind = ? AND reference = ?""",
            (state, kept.status, kept.provider_reference, _json(kept), _now(), state, *key),
        )
        _append(db, payment, source, state)

    def _claim(self, run: str, db: sqlite3.Connection) -> Row | None:
        rows = db.execute(
            """SELECT account, kind, reference, state, payment, worker, fence FROM payments
               WHERE (run IS NULL OR run <> ?) AND (state IN ('intent', 'sending', 'unknown')
               OR (state = 'accepted' AND status = 'pending')) ORDER BY created_at""",
            (run,),
        )
        for *key, state, payment, worker, fence in rows:
            if worker is not None and self._worker.lives(worker):
                continue
            db.execute(
                f"UPDATE payments SET worker = ?, fence = ?, run = ? {_OF}",
                (self._worker.name, fence + 1, run, *key),
            )
            hints = db.execute(
                "SELECT event FROM hints WHERE account = ? AND (reference = ? OR provider_reference = ?)",
                (key[0], key[2], _payment(payment).provider_reference),
            ).fetchall()
            events = tuple(msgspec.json.decode(event, type=Event) for (event,) in hints)
            return Row(state=State(state), payment=_payment(payment), fence=fence + 1, hints=events)
        return None

    def _take_turn(self, payment: Payment, name: str, db: sqlite3.Connection) -> bool:
        key = (*_key(payment), name)
        where = "account = ? AND kind = ? AND reference = ? AND name = ?"
        found = db.execute(f"SELECT worker FROM turns WHERE {where}", key).fetchone()
        if found is not None:
            if found[0] is None or self._worker.lives(found[0]):
                return False
            db.execute(f"DELETE FROM turns WHERE {where}", key)
        db.execute("INSERT INTO turns VALUES (?, ?, ?, ?, ?, ?)", (*key, _now(), self._worker.name))
        return True

    def _open(self) -> sqlite3.Connection:
        self._worker.begin()  # first: a row of a worker that does not seem to live may be taken away
        db = sqlite3.connect(self._path, timeout=10.0, isolation_level=None, check_same_thread=False)
        db.execute("PRAGMA journal_mode=WAL")
        # NORMAL may lose a committed row when the power goes: https://www.sqlite.org/pragma.html#pragma_synchronous
        db.execute("PRAGMA synchronous=FULL")
        db.execute("BEGIN IMMEDIATE")
        version = db.execute("PRAGMA user_version").fetchone()[0]
        if version == 0:
            for statement in _SCHEMA.split(";"):
                db.execute(statement)
            db.execute(f"PRAGMA user_version = {VERSION}")
        db.execute("COMMIT")
        if version > VERSION:
            db.close()
            raise sqlite3.DatabaseError(f"the journal was written by a later release (schema {version})")
        if self._keep is not None:
            self._forget(db, _iso(datetime.now(UTC) - self._keep))
        return db

    def _close(self, db: sqlite3.Connection) -> None:
        db.close()
        self._worker.end()

    @staticmethod
    def _forget(db: sqlite3.Connection, before: str) -> None:
        db.execute("BEGIN IMMEDIATE")
        db.execute("DELETE FROM payments WHERE status <> 'pending' AND updated_at < ?", (before,))
        db.execute("DELETE FROM hints WHERE at < ?", (before,))
        for table in ("facts", "turns"):
            db.execute(
                f"""DELETE FROM {table} WHERE at < ? AND NOT EXISTS (SELECT 1 FROM payments p WHERE
                    p.account = {table}.account AND p.kind = {table}.kind AND p.reference = {table}.reference)""",
                (before,),
            )
        db.execute("COMMIT")


def _rows(sql: str, given: tuple[object, ...], db: sqlite3.Connection) -> list[Any]:
    return db.execute(sql, given).fetchall()


def _run(db: sqlite3.Connection, sql: str, given: tuple[object, ...]) -> None:
    db.execute(sql, given)


def _insert(db: sqlite3.Connection, table: str, row: Mapping[str, object]) -> None:
    names, places = ", ".join(row), ", ".join("?" * len(row))
    db.execute(f"INSERT INTO {table} ({names}) VALUES ({places})", tuple(row.values()))


def _append(db: sqlite3.Connection, payment: Payment, source: str, state: State) -> None:
    account, kind, reference = _key(payment)
    fact = {
        "account": account,
        "kind": kind,
        "reference": reference,
        "at": _now(),
        "source": source,
        "state": state,
        "status": payment.status,
        "payment": _json(msgspec.structs.replace(payment, raw="")),
    }
    _insert(db, "facts", fact)


def _key(payment: Payment) -> tuple[str, str, str]:
    return (payment.account, payment.kind or "collect", payment.reference or "")


def _payment(text: str) -> Payment:
    return msgspec.json.decode(text, type=Payment)


def _json(value: Payment | Event) -> str:
    return msgspec.json.encode(value).decode()


def _now() -> str:
    return _iso(datetime.now(UTC))


def _iso(when: datetime) -> str:
    return when.astimezone(UTC).isoformat(timespec="microseconds")
