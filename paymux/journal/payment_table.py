"""Changes of the rows of payments, each inside a transaction of the journal's thread."""

from collections.abc import Callable
from typing import Any

import msgspec

from ..errors import Mismatch, UsageError
from ..models import Payment, Status, log, merge
from ..primitives.clock import wall_time
from .adopted_ends import end_once
from .base import OrderKey, Resolution, Row, State, duplicate_reference
from .base import order_key as _key
from .columns import amount_text, iso
from .database import Database, Worker
from .inbox import Inbox
from .payer import FORGOTTEN, without_payer
from .pending_facts import PendingFacts
from .resolutions import sender, sign
from .rows import OF_ORDER, PAYMENT, begun_row, forgotten, payment_or_none, read_payment, text_of
from .work import CANNOT_TELL

_FOUND = f"SELECT state, {PAYMENT}, worker, digest FROM payments {OF_ORDER}"
_NOTED = """INSERT INTO payments (account, kind, reference, state, status, amount, currency, party,
            digest, payment, created_at, updated_at, worker)
            VALUES (?, ?, ?, 'intent', ?, ?, ?, ?, ?, ?, ?, ?, ?)"""
_IS_MINE = f"{OF_ORDER} AND state = 'intent' AND worker = ?"
_LEAVES = f"UPDATE payments SET state = 'sending', updated_at = ? {_IS_MINE}"
# The worker that sent an order owns its row until the answer; a worker that claimed it, until
# release.
_APPLIED = f"""UPDATE payments SET state = ?, status = ?, provider_reference = ?, payment = ?,
               updated_at = ?,
               worker = CASE WHEN ? = 'answer' AND worker = ? THEN NULL ELSE worker END
               {OF_ORDER}"""
_FACT = """INSERT INTO facts (account, kind, reference, at, source, state, status, payment)
           VALUES (?, ?, ?, ?, ?, ?, ?, ?)"""


class PaymentTable:
    """The payments of a journal, as one worker writes them."""

    def __init__(
        self,
        worker: Worker,
        inbox: Inbox,
        hand: PendingFacts,
        applied: Callable[[Database], None],
    ) -> None:
        self._worker = worker
        self._inbox = inbox
        self._pending_facts = hand
        self._applied = applied  # called after each fact that changed something
        self.busy: set[OrderKey] = set()  # rows that this worker is still processing

    def known(self, pending: Payment, digest: str, db: Database) -> Any:
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

    def intend(self, pending: Payment, digest: str, noted: list[Row], db: Database) -> Row | None:
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
            db.execute(f"DELETE FROM payments {OF_ORDER}", key)
            self._pending_facts.forget(key)  # its facts are about the earlier order
        at, text, party = iso(wall_time()), text_of(pending), pending.payer or pending.payee
        money = (amount_text(pending), pending.currency, party)
        made = (digest, text, at, at, self._worker.name)
        db.execute(_NOTED, (*key, pending.status, *money, *made))
        db.execute(_FACT, (*key, at, "intent", "intent", pending.status, text))
        self.busy.add(key)
        noted.append(Row(state=State.INTENT, payment=pending))
        return None

    def abandon(self, rows: list[Row]) -> None:
        """Stop processing rows that could not be written."""
        self.busy.difference_update(_key(row.payment) for row in rows)

    def withdraw(self, db: Database, noted: list[Row]) -> None:
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

    def mark_sending(self, pending: Payment, db: Database) -> None:
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
        db: Database,
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
        if found[3] == FORGOTTEN:
            told = without_payer(told)
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
            log.warning("%s: %s %r: kept as a fact, not applied: %s", *key, mismatch)
            kept, state = known, was
        payment_now = (state, kept.status, kept.provider_reference, text_of(kept), at)
        db.execute(_APPLIED, (*payment_now, source, self._worker.name, *key))
        db.execute(_FACT, (*key, at, source, state, told.status, text_of(told)))
        if kept.status is Status.SUCCEEDED:
            end_once(key, known, kept, db)
        self._applied(db)
        return kept

    def resolve(self, word: Resolution, db: Database) -> None:
        """End a row by a person's decision."""
        key = _key(word.payment)
        worker = sender(db, key, word)
        if worker is not None and self.lives(worker, key):
            raise UsageError(f"payment: {key[2]!r} is being sent by a live worker")
        self.apply(db, word.payment, "person", None)
        sign(db, key, word)

    def claim(self, after: Row | None, claimed: list[Row], db: Database) -> Row | None:
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
                f"UPDATE payments SET worker = ?, fence = ? {OF_ORDER}",
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

    def release(self, db: Database, *rows: Row) -> None:
        """Release claimed rows."""
        for row in rows:
            self.busy.discard(_key(row.payment))
            db.execute(
                f"UPDATE payments SET worker = NULL {OF_ORDER} AND fence = ?",
                (*_key(row.payment), row.fence),
            )
