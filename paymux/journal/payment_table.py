"""Operations on the rows of payments, each inside a transaction of the journal's thread."""

import sqlite3
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec

from ..errors import Mismatch, UsageError
from ..models import Event, Kind, Payment, Status, log, merge
from ..primitives.clock import wall_time
from .adoptions import end_once
from .base import Arrival, Check, OrderKey, OrderOwner, Resolution, Row, State, duplicate_reference
from .base import order_key as _key
from .batch import CANNOT_TELL
from .inbox import Inbox
from .liveness import Worker
from .pending_facts import PendingFacts
from .resolutions import sender, sign
from .rows import PAYMENT, begun_row, forgotten, payment_or_none, read_payment, text_of
from .schema import iso

_OF = "WHERE account = ? AND kind = ? AND reference = ?"
_FOUND = f"SELECT state, {PAYMENT}, worker, digest FROM payments {_OF}"
_NOTED = """INSERT INTO payments (account, kind, reference, state, status, amount, currency, party,
            digest, payment, created_at, updated_at, worker)
            VALUES (?, ?, ?, 'intent', ?, ?, ?, ?, ?, ?, ?, ?, ?)"""
_IS_MINE = f"{_OF} AND state = 'intent' AND worker = ?"
_LEAVES = f"UPDATE payments SET state = 'sending', updated_at = ? {_IS_MINE}"
# The worker that sent an order owns its row until the answer; a worker that claimed it, until
# release.
_APPLIED = f"""UPDATE payments SET state = ?, status = ?, provider_reference = ?, payment = ?,
               updated_at = ?,
               worker = CASE WHEN ? = 'answer' AND worker = ? THEN NULL ELSE worker END {_OF}"""
_FACT = """INSERT INTO facts (account, kind, reference, at, source, state, status, payment)
           VALUES (?, ?, ?, ?, ?, ?, ?, ?)"""
# By the provider's reference, the wanted kind first: a message only claims its kind.
_BY_THEIRS = "WHERE account = ? AND provider_reference = ? ORDER BY kind <> ? LIMIT 1"
_PAGE = f"""SELECT state, {PAYMENT}, created_at, account, kind, reference FROM payments
           WHERE (created_at, account, kind, reference) > (?, ?, ?, ?) AND created_at >= ?
           AND (? IS NULL OR account = ?)
           AND (? IS NULL OR status = ?)
           AND (? IS NOT 'pending' OR state NOT IN ('refused', 'not_sent'))
           ORDER BY created_at, account, kind, reference LIMIT ?"""
ROWS_PER_PAGE = 500  # rows per read


class Page(NamedTuple):
    """A page of payments, and the key of its last row, if more may follow."""

    payments: list[Payment]
    last: tuple[Any, ...] | None


class PaymentTable:
    """The payments of a journal, as one worker reads and writes them."""

    def __init__(
        self,
        worker: Worker,
        inbox: Inbox,
        hand: PendingFacts,
        applied: Callable[[sqlite3.Connection], None],
    ) -> None:
        self._worker = worker
        self._inbox = inbox
        self._pending_facts = hand
        self._applied = applied  # called after each fact that changed something
        self.busy: set[OrderKey] = set()  # rows that this worker is still processing

    def by_reference(self, key: OrderKey, db: sqlite3.Connection) -> Row | None:
        """Return the row of an order, with facts that are not written yet."""
        return self._row(db, _OF, key)

    def by_provider_reference(
        self, account: str, kind: Kind, reference: str, db: sqlite3.Connection
    ) -> Row | None:
        """Return the row with this reference of the provider, this kind first."""
        key = self._pending_facts.key_of(account, kind, reference) if self._pending_facts else None
        return (
            self.by_reference(key, db)
            if key
            else self._row(db, _BY_THEIRS, (account, reference, kind))
        )

    def about(self, event: Event, db: sqlite3.Connection) -> Row | None:
        """Return the payment that a message claims to be about."""
        account, kind, claims = event.account, event.kind, event.claims
        row = None
        if event.path_reference is not None:
            row = self.by_reference((account, kind, event.path_reference), db)
        if row is None and claims.provider_reference is not None:
            row = self.by_provider_reference(account, kind, claims.provider_reference, db)
        if row is None and claims.reference is not None:
            # Only the message says so; the provider must confirm it.
            row = self.by_reference((account, kind, claims.reference), db)
        if (
            claims.reference is claims.provider_reference is event.path_reference is None
            and claims.ids
        ):
            return self._meant(event, db)
        return row

    def arrive(
        self,
        event: Event,
        about: Payment | None,
        check: Check,
        db: sqlite3.Connection,
        *,
        open: bool,
    ) -> Arrival:
        """Find and check the payment of a message; store the message if it names an order."""
        known, theirs = about, event.claims.provider_reference
        if known is None and (row := self.about(event, db)) is not None:
            known = row.payment
        kind = event.kind if known is None else known.kind or "collect"
        owner: OrderOwner | None = None
        if theirs is not None:
            key = (
                self._pending_facts.key_of(event.account, kind, theirs)
                if self._pending_facts
                else None
            )
            owner = key[1:] if key else self._inbox.owner(event, kind, db)
        check(known, owner)
        if known is None or (known.reference or known.provider_reference) is None:
            return Arrival(known=known)
        lost = False
        if event.path_reference is not None and known.provider_reference is None:
            lost = self._lost(known, theirs, db)
        return Arrival(known=known, kept=self._inbox.put(event, owner, db, open=open), lost=lost)

    def _lost(self, known: Payment, theirs: str | None, db: sqlite3.Connection) -> bool:
        """Return whether an order was sent and its answer is unknown, or names this payment."""
        row = self.by_reference(_key(known), db)
        if row is None:
            return False
        found = row.payment.provider_reference
        return row.state.in_doubt or (theirs is not None and found == theirs)

    def _meant(self, event: Event, db: sqlite3.Connection) -> Row | None:
        """Return the open payment of the last day that has one of the ids in a message."""
        found = self._inbox.find_by_ids(event, db)
        key = _key(found[1]) if found else self._pending_facts.find_by_ids(event)
        row = self.by_reference(key, db) if key else None
        return row if row and not row.payment.status.terminal else None

    def _row(self, db: sqlite3.Connection, where: str, given: tuple[object, ...]) -> Row | None:
        sql = f"SELECT state, {PAYMENT}, account, kind, reference FROM payments {where}"
        found = db.execute(sql, given).fetchone()
        if found is None:
            return None
        # A damaged row is an error: without its payment, any message about it would be believed.
        return self._pending_facts.applied_to(
            Row(state=State(found[0]), payment=read_payment(found[2:], found[1]))
        )

    def page(
        self, given: tuple[object, ...], status: Status | None, db: sqlite3.Connection
    ) -> Page:
        """List payments after a key, created since a time, of one account or of all."""
        # A fact that is not written yet may change a status: then the query cannot filter by it.
        asked = None if self._pending_facts else status
        rows = db.execute(_PAGE, (*given, asked, asked, asked, ROWS_PER_PAGE)).fetchall()
        read = [(state, payment_or_none(tuple(key), text)) for state, text, _, *key in rows]
        found = [
            self._pending_facts.applied_to(Row(state=State(state), payment=one))
            for state, one in read
            if one is not None
        ]
        return Page(
            [row.payment for row in found if status is None or _has(row, status)],
            tuple(rows[-1][2:]) if len(rows) == ROWS_PER_PAGE else None,
        )

    def known(self, pending: Payment, digest: str, db: sqlite3.Connection) -> Any:
        """Return the row of a reference, or raise DuplicateReference.

        CANNOT_TELL: it may have to be recorded.
        """
        found = db.execute(_FOUND, _key(pending)).fetchone()
        return (found and self._standing(pending, digest, found)) or CANNOT_TELL

    def _standing(self, pending: Payment, digest: str, found: tuple[Any, ...]) -> Row | None:
        """Return the row that was found for an order; None: the order may take its place."""
        key, (state, text, worker, other) = _key(pending), found
        flying = state in (State.INTENT, State.SENDING) and self.lives(worker, key)
        row = begun_row(pending, key, state, text, flying=flying)
        if key in self._pending_facts:
            row = msgspec.structs.replace(self._pending_facts.applied_to(row), in_flight=False)
        if row.state.frees_reference or (row.state is State.INTENT and not row.in_flight):
            return None
        if other != digest:
            raise duplicate_reference(pending)
        return row

    def intend(
        self, pending: Payment, digest: str, noted: list[Row], db: sqlite3.Connection
    ) -> Row | None:
        """Record an order, or return the row that its reference already has."""
        key = _key(pending)
        found = db.execute(_FOUND, key).fetchone()
        if found is None:
            ended = forgotten(pending, key, digest, db)
            if ended is not None:
                return ended
        else:
            if (row := self._standing(pending, digest, found)) is not None:
                return row
            db.execute(f"DELETE FROM payments {_OF}", key)
            self._pending_facts.forget(key)  # its facts are about the earlier order
        at, text, party = iso(wall_time()), text_of(pending), pending.payer or pending.payee
        money = (str(pending.amount), pending.currency, party)
        made = (digest, text, at, at, self._worker.name)
        db.execute(_NOTED, (*key, pending.status, *money, *made))
        db.execute(_FACT, (*key, at, "intent", "intent", pending.status, text))
        self.busy.add(key)
        noted.append(Row(state=State.INTENT, payment=pending))
        return None

    def abandon(self, rows: list[Row]) -> None:
        """Stop processing rows that could not be written."""
        self.busy.difference_update(_key(row.payment) for row in rows)

    def withdraw(self, db: sqlite3.Connection, noted: list[Row]) -> None:
        """Withdraw orders that were recorded and will not be sent."""
        for row in noted:
            key = _key(row.payment)
            self.busy.discard(key)
            if (
                db.execute(
                    f"SELECT 1 FROM payments {_IS_MINE}", (*key, self._worker.name)
                ).fetchone()
                is not None
            ):
                self.apply(db, row.payment, "answer", State.NOT_SENT)

    def mark_sending(self, pending: Payment, db: sqlite3.Connection) -> None:
        """Record that an order's request is about to be sent."""
        key, at = _key(pending), iso(wall_time())
        if not db.execute(_LEAVES, (at, *key, self._worker.name)).rowcount:
            raise OSError("another worker took the order over")
        db.execute(_FACT, (*key, at, "sending", "sending", pending.status, text_of(pending)))

    def lives(self, worker: str | None, key: OrderKey) -> bool:
        """Return whether a live worker is processing a row.

        For this worker, whether it still is.
        """
        return (
            key in self.busy or key in self._pending_facts
            if worker == self._worker.name
            else self._worker.lives(worker)
        )

    def apply(
        self,
        db: sqlite3.Connection,
        payment: Payment,
        source: str,
        state: State | None,
    ) -> Payment | None:
        """Append a fact, apply it unless it would turn the row back; return the row's payment."""
        key, told = _key(payment), msgspec.structs.replace(payment, raw="")
        found = db.execute(_FOUND, key).fetchone()
        if found is None:
            return None  # looked up without a record of it, or forgotten by now
        if state is not None and state.frees_reference and found[2] != self._worker.name:
            return None  # another worker owns the row and may be sending it
        was, known = State(found[0]), read_payment(key, found[1])
        state = was.after(state, told)
        said = (state, told.status, told.provider_status, told.provider_reference)
        if source == "verify" and said == (
            was,
            known.status,
            known.provider_status,
            known.provider_reference,
        ):
            return known  # a poll without news
        at = iso(wall_time())
        try:
            kept = merge(known, told)
        except Mismatch as mismatch:
            log.warning("%s: kept as a fact, not applied: %s", told.account, mismatch)
            kept, state = known, was
        payment_now = (state, kept.status, kept.provider_reference, text_of(kept), at)
        db.execute(_APPLIED, (*payment_now, source, self._worker.name, *key))
        db.execute(_FACT, (*key, at, source, state, told.status, text_of(told)))
        if kept.receipt is not None and kept.status is Status.SUCCEEDED:
            end_once(key, known, kept, db)
        self._applied(db)
        return kept

    def resolve(self, word: Resolution, db: sqlite3.Connection) -> None:
        """End a row by a person's decision."""
        key = _key(word.payment)
        worker = sender(db, key, word)
        if worker is not None and self.lives(worker, key):
            raise UsageError(f"payment: {key[2]!r} is being sent by a live worker")
        self.apply(db, word.payment, "person", None)
        sign(db, key, word)

    def claim(self, after: Row | None, claimed: list[Row], db: sqlite3.Connection) -> Row | None:
        """Claim the next row that needs recovery and that no live worker is processing."""
        # In the order of the key: one run meets each row once, with any number of parallel runs.
        rows = db.execute(
            f"""SELECT account, kind, reference, state, {PAYMENT}, worker, fence FROM payments
               WHERE (account, kind, reference) > (?, ?, ?)
               AND (state IN ('intent', 'sending', 'unknown')
                    OR (state = 'accepted' AND status = 'pending'))
               ORDER BY account, kind, reference""",
            ("", "", "") if after is None else _key(after.payment),
        )
        for account, kind, reference, state, payment, worker, fence in rows:
            key = (account, kind, reference)
            if self.lives(worker, key) or (known := payment_or_none(key, payment)) is None:
                continue
            db.execute(
                f"UPDATE payments SET worker = ?, fence = ? {_OF}",
                (self._worker.name, fence + 1, *key),
            )
            row = Row(
                state=State(state),
                payment=known,
                fence=fence + 1,
                events=self._inbox.events_of(known, db),
            )
            self.busy.add(key)
            claimed.append(row)
            return row
        return None

    def release(self, db: sqlite3.Connection, *rows: Row) -> None:
        """Release claimed rows."""
        for row in rows:
            self.busy.discard(_key(row.payment))
            db.execute(
                f"UPDATE payments SET worker = NULL {_OF} AND fence = ?",
                (*_key(row.payment), row.fence),
            )


def _has(row: Row, status: Status) -> bool:
    """Return whether a row is listed under a status; an order never sent is not pending."""
    return row.payment.status is status and not (
        status is Status.PENDING and row.state.frees_reference
    )
