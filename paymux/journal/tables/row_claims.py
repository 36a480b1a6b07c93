"""Rows that a worker claims for recovery, and those that a person ends."""

from ...errors import UsageError
from ..base import Resolution, Row, State
from ..base import order_key as _key
from ..database import Database, Worker
from ..resolutions import sender, sign
from .inbox import Inbox
from .payment_table import PaymentTable
from .rows import OF_ORDER, PAYMENT, payment_or_none


class RowClaims:
    """Claims rows that no live worker is processing, inside a transaction of the journal's."""

    def __init__(self, worker: Worker, payments: PaymentTable, inbox: Inbox) -> None:
        self._worker = worker
        self._payments = payments
        self._inbox = inbox

    def resolve(self, word: Resolution, db: Database) -> None:
        """End a row by a person's decision."""
        key = _key(word.payment)
        worker = sender(db, key, word)
        if worker is not None and self._payments.lives(worker, key):
            raise UsageError(f"payment: {key[2]!r} is being sent by a live worker")
        self._payments.apply(db, word.payment, "person", None)
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
            if (
                self._payments.lives(worker, key)
                or (known := payment_or_none(key, payment)) is None
            ):
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
            self._payments.busy.add(key)
            claimed.append(row)
            return row
        return None

    def release(self, db: Database, *rows: Row) -> None:
        """Release claimed rows."""
        for row in rows:
            self._payments.busy.discard(_key(row.payment))
            db.execute(
                f"UPDATE payments SET worker = NULL {OF_ORDER} AND fence = ?",
                (*_key(row.payment), row.fence),
            )
