"""The journal in one SQLite file, shared by any number of processes of one machine, readable with plain SQL."""

import contextlib
import sqlite3
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from functools import partial
from os import PathLike
from pathlib import Path

import msgspec

from ..errors import Mismatch, UsageError
from ..models import Event, Kind, Payment, Status, log, succeed
from .base import Key, Row, State, Word, another_order
from .base import named as _key
from .inbox import Inbox, Turns
from .notifiers import Notifiers
from .person import sender, sign
from .rows import PAYMENT, as_begun, forgotten, page, payment_or_none, read_payment
from .schema import iso, prepare
from .sqlite_outbox import SqliteOutbox
from .sqlite_unconfirmed import SqliteUnconfirmed
from .untold import Untold
from .watchers import Watchers
from .workers import Worker
from .writer import Writer

_OF = "WHERE account = ? AND kind = ? AND reference = ?"
_FOUND = f"SELECT state, {PAYMENT}, worker, digest FROM payments {_OF}"
_NOTED = """INSERT INTO payments (account, kind, reference, state, status, amount, currency, party, digest,
            payment, created_at, updated_at, worker) VALUES (?, ?, ?, 'intent', ?, ?, ?, ?, ?, ?, ?, ?, ?)"""
_IS_MINE = f"{_OF} AND state = 'intent' AND worker = ?"
_LEAVES = f"UPDATE payments SET state = 'sending', updated_at = ? {_IS_MINE}"
# Who sent it answers for the row until its answer; who claimed it, until the release.
_APPLIED = f"""UPDATE payments SET state = ?, status = ?, provider_reference = ?, payment = ?, updated_at = ?,
               worker = CASE WHEN ? = 'answer' AND worker = ? THEN NULL ELSE worker END {_OF}"""
_FACT = """INSERT INTO facts (account, kind, reference, at, source, state, status, payment)
           VALUES (?, ?, ?, ?, ?, ?, ?, ?)"""
# By the provider's reference, of the asked kind first: which kind a message is of is only claimed.
_BY_THEIRS = "WHERE account = ? AND provider_reference = ? ORDER BY kind <> ? LIMIT 1"


class SqliteJournal:
    """A journal in a file. `keep_days` forgets payments that ended so many days ago; None keeps them for ever.

    A reference is never forgotten: the same order gives how it ended, and another one is DuplicateReference.

    Writes of one moment share one commit (WAL, `synchronous=FULL`), made by a thread of its own. A worker is known
    to live by a lock that it holds on a file beside the journal, which the system lets go of when it dies.
    """

    def __init__(self, path: str | PathLike[str], *, keep_days: float | None = None) -> None:
        if keep_days is not None and not keep_days > 0:
            raise UsageError.field("keep_days", keep_days, "days above 0, or None")
        self._path = Path(path)
        self._keep = None if keep_days is None else timedelta(days=keep_days)
        self._worker = Worker(self._path)
        self._inbox = Inbox(self._worker)
        self._turns = Turns(self._worker)
        self._writer = Writer(self._open, self._close)
        self._busy: set[Key] = set()  # the rows that this worker is still about to go on with
        notifiers = Notifiers(self._worker)
        watchers = Watchers(self._worker, notifiers, self._inbox, self._lives, self._apply)
        untold = Untold(self._worker, notifiers)
        self.outbox = SqliteOutbox(lambda: self._writer, notifiers, untold, watchers)

    @property
    def unconfirmed(self) -> SqliteUnconfirmed:
        """Give the messages that no look-up confirms."""
        return SqliteUnconfirmed(self._writer.do, self._worker)

    async def intend(self, pending: Payment, digest: str) -> Row | None:
        """Note an order, or give the row that its reference has already."""
        noted: list[Row] = []
        try:
            return await self._writer.do(partial(self._intend, pending, digest, noted))
        except BaseException:
            # Whoever is told nothing sends nothing: what was noted, or still will be, is withdrawn.
            self._writer.later(lambda db: self._withdraw(db, noted))
            raise

    async def sending(self, pending: Payment) -> None:
        """Make durable that the request is about to leave."""
        await self._writer.do(partial(self._sending, pending))

    async def record(self, payment: Payment, source: str, state: State | None = None) -> None:
        """Append a fact, and apply it where it does not turn the record back."""
        try:
            await self._writer.do(lambda db: self._apply(db, payment, source, state))
        finally:
            if source == "answer":
                # Kept or not: this worker does no more about it, and anybody may look after the row.
                self._busy.discard(_key(payment))

    async def find(
        self, account: str, kind: Kind, *, reference: str | None = None, provider_reference: str | None = None
    ) -> Row | None:
        """Give the row of this kind with our reference, or that with the provider's, of this kind first."""
        ours: tuple[str, str, str] = (account, kind, reference or "")
        theirs: tuple[str, str, str] = (account, provider_reference or "", kind)
        where, given = (_BY_THEIRS, theirs) if reference is None else (_OF, ours)
        sql = f"SELECT state, {PAYMENT}, account, kind, reference FROM payments {where}"

        def look(db: sqlite3.Connection) -> Row | None:
            found = db.execute(sql, given).fetchone()
            # A damaged one is an error: of a payment that seemed to be nobody's, anything would be believed.
            return None if found is None else Row(state=State(found[0]), payment=read_payment(found[2:], found[1]))

        return await self._writer.do(look)

    async def hints(self, payment: Payment) -> tuple[Event, ...]:
        """Give the messages about a payment that have arrived."""
        return await self._writer.do(partial(self._inbox.of, payment))

    async def resolve(self, word: Word) -> None:
        """End a row by a person's word."""
        await self._writer.do(partial(self._resolve, word))

    async def meant(self, event: Event) -> Row | None:
        """Give the open payment of the last day that has one of the ids that a message names."""
        found = await self._writer.do(partial(self._inbox.meant, event))
        return None if found is None else Row(state=State(found[0]), payment=found[1])

    async def hint(self, event: Event, *, open: bool = False) -> bool:
        """Keep a message before it is acknowledged, once; False: about its order, no more are kept."""
        return await self._writer.do(partial(self._inbox.keep, event, open=open))

    async def end_hint(self, event: Event, *, done: bool) -> None:
        """End an open message: done with, or left for whoever claims it."""
        await self._writer.do(partial(self._inbox.end, event, done=done))

    async def claim_hints(self, count: int) -> list[Event]:
        """Take so many open messages that no living worker answers for."""
        return await self._writer.do(partial(self._inbox.claim, count))

    async def payments(
        self, *, account: str | None = None, status: Status | None = None, since: datetime | None = None
    ) -> AsyncIterator[Payment]:
        """List payments, oldest first, in pages, so that a long record does not fill the memory."""
        after, start = ("", "", "", ""), "" if since is None else iso(since)
        sql = f"""SELECT {PAYMENT}, created_at, account, kind, reference FROM payments
                 WHERE (created_at, account, kind, reference) > (?, ?, ?, ?) AND created_at >= ?
                 AND (? IS NULL OR account = ?)
                 AND (? IS NULL OR status = ?) AND (? IS NOT 'pending' OR state NOT IN ('refused', 'not_sent'))
                 ORDER BY created_at, account, kind, reference LIMIT 500"""
        while True:
            given = (*after, start, account, account, status, status, status)
            rows = await self._writer.do(partial(page, sql, given))
            for payment, after in rows:  # noqa: B007 - the last one begins the next page
                if payment is not None:
                    yield payment
            if len(rows) < 500:
                return

    async def claim(self, after: Row | None) -> Row | None:
        """Take the next row that needs looking after and that no living worker answers for."""
        claimed: list[Row] = []
        try:
            return await self._writer.do(partial(self._claim, after, claimed))
        except BaseException:
            self._writer.later(lambda db: self._release(db, *claimed))
            raise

    async def release(self, row: Row) -> None:
        """Give a claimed row back; a row that somebody else has taken since is left alone."""
        await self._writer.do(lambda db: self._release(db, row))

    async def take_turn(self, payment: Payment, name: str, caller: str) -> bool:
        """Tell one caller of all that the turn is his."""
        return await self._writer.do(partial(self._turns.take, _key(payment), name, caller))

    async def turn_done(self, payment: Payment, name: str) -> bool:
        """Tell whether a turn is done for ever."""
        return await self._writer.do(partial(self._turns.done, _key(payment), name))

    async def end_turn(self, payment: Payment, name: str, caller: str, *, done: bool) -> None:
        """End a turn: done for ever, or given back."""
        await self._writer.do(partial(self._turns.end, _key(payment), name, caller, done=done))

    async def aclose(self) -> None:
        """Finish what is queued, end the thread, and let go of the lock that says that this worker lives."""
        await self._writer.aclose()

    # What runs in the thread.

    def _intend(self, pending: Payment, digest: str, noted: list[Row], db: sqlite3.Connection) -> Row | None:
        key = _key(pending)
        found = db.execute(_FOUND, key).fetchone()
        if found is None:
            ended = forgotten(pending, key, digest, db)
            if ended is not None:
                return ended
        else:
            state, payment, worker, other = found
            flying = state in (State.INTENT, State.SENDING) and self._lives(worker, key)
            abandoned = state == State.INTENT and not flying
            if not (state in (State.REFUSED, State.NOT_SENT) or abandoned):
                if other != digest:
                    raise another_order(pending)
                return as_begun(pending, key, state, payment, flying=flying)
            db.execute(f"DELETE FROM payments {_OF}", key)
        at, text, party = _now(), _json(pending), pending.payer or pending.payee
        money = (str(pending.amount), pending.currency, party)
        made = (digest, text, at, at, self._worker.name)
        db.execute(_NOTED, (*key, pending.status, *money, *made))
        db.execute(_FACT, (*key, at, "intent", "intent", pending.status, text))
        self._busy.add(key)
        noted.append(Row(state=State.INTENT, payment=pending))
        return None

    def _withdraw(self, db: sqlite3.Connection, noted: list[Row]) -> None:
        for row in noted:
            key = _key(row.payment)
            self._busy.discard(key)
            if db.execute(f"SELECT 1 FROM payments {_IS_MINE}", (*key, self._worker.name)).fetchone() is not None:
                self._apply(db, row.payment, "answer", State.NOT_SENT)

    def _sending(self, pending: Payment, db: sqlite3.Connection) -> None:
        key, at = _key(pending), _now()
        if not db.execute(_LEAVES, (at, *key, self._worker.name)).rowcount:
            raise OSError("somebody else took the order over")
        db.execute(_FACT, (*key, at, "sending", "sending", pending.status, _json(pending)))

    def _lives(self, worker: str | None, key: Key) -> bool:
        """Tell whether a living worker answers for a row; this one, only if it still does something about it."""
        return key in self._busy if worker == self._worker.name else self._worker.lives(worker)

    def _apply(self, db: sqlite3.Connection, payment: Payment, source: str, state: State | None) -> None:
        if payment.reference is None:
            return  # not one of ours: there is nothing to keep it under
        key = _key(payment)
        found = db.execute(_FOUND, key).fetchone()
        if found is None:
            return  # asked about by somebody who has no record of it, or forgotten by now
        if state is not None and state.free and found[2] != self._worker.name:
            return  # what did not leave was ours, and the row is not: somebody else may be sending it
        was, known = State(found[0]), read_payment(key, found[1])
        state = was.after(state, payment)
        said = (state, payment.status, payment.provider_status, payment.provider_reference)
        if source == "verify" and said == (was, known.status, known.provider_status, known.provider_reference):
            return  # a poll that brought nothing new
        at, told = _now(), msgspec.structs.replace(payment, raw="")
        try:
            kept = succeed(known, told)
        except Mismatch as mismatch:
            log.warning("%s: kept as a fact, not applied: %s", payment.account, mismatch)
            kept, state = known, was
        payment_now = (state, kept.status, kept.provider_reference, _json(kept), at)
        db.execute(_APPLIED, (*payment_now, source, self._worker.name, *key))
        db.execute(_FACT, (*key, at, source, state, told.status, _json(told)))
        self.outbox.reminders.look(db)

    def _resolve(self, word: Word, db: sqlite3.Connection) -> None:
        key = _key(word.payment)
        worker = sender(db, key, word)
        if worker is not None and self._lives(worker, key):
            raise UsageError(f"payment: {key[2]!r} is being sent by a worker that lives")
        self._apply(db, word.payment, "person", None)
        sign(db, key, word)

    def _claim(self, after: Row | None, claimed: list[Row], db: sqlite3.Connection) -> Row | None:
        # In the order of the key, each row is met once in a run, however many runs there are.
        rows = db.execute(
            f"""SELECT account, kind, reference, state, {PAYMENT}, worker, fence FROM payments
               WHERE (account, kind, reference) > (?, ?, ?) AND (state IN ('intent', 'sending', 'unknown')
               OR (state = 'accepted' AND status = 'pending')) ORDER BY account, kind, reference""",
            ("", "", "") if after is None else _key(after.payment),
        )
        for account, kind, reference, state, payment, worker, fence in rows:
            key = (account, kind, reference)
            if self._lives(worker, key) or (known := payment_or_none(key, payment)) is None:
                continue
            db.execute(f"UPDATE payments SET worker = ?, fence = ? {_OF}", (self._worker.name, fence + 1, *key))
            row = Row(state=State(state), payment=known, fence=fence + 1, hints=self._inbox.of(known, db))
            self._busy.add(key)
            claimed.append(row)
            return row
        return None

    def _release(self, db: sqlite3.Connection, *rows: Row) -> None:
        for row in rows:
            self._busy.discard(_key(row.payment))
            _run(db, f"UPDATE payments SET worker = NULL {_OF} AND fence = ?", (*_key(row.payment), row.fence))

    def _open(self) -> sqlite3.Connection:
        with contextlib.ExitStack() as undo:
            undo.callback(self._worker.end)
            self._worker.begin()  # first: a row of a worker that does not seem to live may be taken away
            db = sqlite3.connect(self._path, timeout=10.0, isolation_level=None, check_same_thread=False)
            undo.callback(db.close)
            db.text_factory = _text  # a name of which one byte is wrong must not hide the rows beside it
            prepare(db, self._keep)
            undo.pop_all()
        return db

    def _close(self, db: sqlite3.Connection) -> None:
        try:
            db.close()
        finally:
            self._worker.end()


def _run(db: sqlite3.Connection, sql: str, given: tuple[object, ...]) -> None:
    db.execute(sql, given)


def _text(text: bytes) -> str:
    return text.decode("utf-8", "replace")


def _json(value: Payment | Event) -> str:
    return msgspec.json.encode(value).decode()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")
