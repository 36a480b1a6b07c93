"""Applying facts about payments in the thread of a journal."""

from collections.abc import Sequence

import msgspec

from ...models import Event, Payment
from ..base import Ended
from ..database import Database
from ..pending_facts import Fact, PendingFacts
from .inbox import Inbox
from .payment_table import PaymentTable
from .unnotified import Unnotified


class FactItem(msgspec.Struct, gc=False):
    """A fact, and what follows it."""

    fact: Fact
    held: bool  # an answer or an end, which is held until it is written
    message: Event | None = None  # ended, if the end that it brought was told before
    session: object = None  # of the notifier that an end is claimed for


class FactWriter:
    """Writes the facts of one worker."""

    def __init__(
        self, payments: PaymentTable, pending: PendingFacts, unnotified: Unnotified, inbox: Inbox
    ) -> None:
        self._payments = payments
        self._pending = pending
        self._unnotified = unnotified
        self._inbox = inbox

    def write(self, items: Sequence[FactItem], db: Database) -> list[Ended | Exception | None]:
        """Apply facts, and claim the ends for the notifiers of their sessions."""
        # One whose order another has replaced meanwhile is not held any more.
        due = [not item.held or self._pending.holds(item.fact) for item in items]
        facts = [item.fact for item, is_due in zip(items, due, strict=True) if is_due]
        known = iter(self._payments.apply_all(facts, db))
        results: list[Ended | Exception | None] = []
        ends: list[tuple[int, Payment]] = []
        for number, is_due in enumerate(due):
            one = next(known) if is_due else None
            results.append(one if isinstance(one, Exception) else None)
            if isinstance(one, Payment) and items[number].held and one.status.terminal:
                ends.append((number, one))
        claimed = self._unnotified.ended_all(
            [(one, items[number].fact.id, items[number].session) for number, one in ends], db
        )
        for (number, _), ended in zip(ends, claimed, strict=True):
            message = items[number].message
            if ended.told and message is not None:
                self._inbox.end(message, db, done=True)
            results[number] = ended
        return results
