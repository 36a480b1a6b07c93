"""Applying a fact about a payment in the thread of a journal in a file."""

from ..models import Event
from .base import Ended
from .database import Database
from .inbox import Inbox
from .payment_table import PaymentTable
from .pending_facts import Fact, PendingFacts
from .unnotified import Unnotified


class FactWriter:
    """Writes the facts of one worker."""

    def __init__(
        self, payments: PaymentTable, pending: PendingFacts, unnotified: Unnotified, inbox: Inbox
    ) -> None:
        self._payments = payments
        self._pending = pending
        self._unnotified = unnotified
        self._inbox = inbox

    def note(self, fact: Fact, db: Database) -> None:
        """Apply a fact about an open payment, with no follow-up."""
        self._payments.apply(db, fact.payment, fact.source, fact.state)

    def write(
        self,
        fact: Fact,
        message: Event | None,
        session: object,
        db: Database,
    ) -> Ended | None:
        """Apply an answer or an end, and claim an end for the notifier of this session."""
        if not self._pending.holds(fact):
            return None  # another order has replaced its order meanwhile
        known = self._payments.apply(db, fact.payment, fact.source, fact.state)
        if known is None or not known.status.terminal:
            return None
        ended = self._unnotified.ended(known, session, db)
        if ended.told and message is not None:
            self._inbox.end(message, db, done=True)
        return ended
