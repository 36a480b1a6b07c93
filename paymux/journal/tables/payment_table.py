"""Changes of the rows of payments, each inside a transaction of the journal's thread."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from ...errors import Mismatch
from ...models import Payment, log, merge
from ...primitives.clock import wall_time
from ..base import OrderKey, Row, State, duplicate_reference
from ..base import order_key as _key
from ..database import Database, Worker
from ..pending_facts import Fact, PendingFacts
from ..work import CANNOT_TELL
from .adopted_ends import twin_of
from .columns import amount_text, iso
from .payer import FORGOTTEN, without_payer
from .payment_rows import Change, EndedOrder, NewFact, NewRow, PaymentRows, StoredRow
from .rounds import Write, in_rounds
from .rows import begun_row, ended_row, read_payment, text_of


class Intent(msgspec.Struct, gc=False):
    """An order that is to be recorded before it is sent."""

    pending: Payment
    digest: str
    noted: list[Row]  # gets the row, once it is recorded
    id: str  # of its first fact


class _Applied(msgspec.Struct, gc=False):
    """A fact that changes a row."""

    change: Change
    found: StoredRow
    kept: Payment  # after it


class PaymentTable:
    """The payments of a journal, as one worker writes them."""

    def __init__(
        self,
        worker: Worker,
        rows: PaymentRows,
        hand: PendingFacts,
        applied: Callable[[Database], None],
    ) -> None:
        self._worker = worker
        self._rows = rows
        self._pending_facts = hand
        self._applied = applied  # called after facts that changed something
        self.busy: set[OrderKey] = set()  # rows that this worker is still processing
        # The rows of orders that this worker sends, as it last wrote them: they need not be read.
        self._written: dict[OrderKey, StoredRow] = {}

    def known(self, pending: Payment, digest: str, db: Database) -> Any:
        """Return the row of a reference, or raise DuplicateReference.

        CANNOT_TELL: it may have to be recorded.
        """
        key = _key(pending)
        found = self._rows.find([key], db).get(key)
        return (found and self._standing(pending, digest, found)) or CANNOT_TELL

    def _standing(self, pending: Payment, digest: str, found: StoredRow) -> Row | None:
        """Return the row that was found for an order; None: the order may take its place."""
        key, state = _key(pending), found.state
        flying = state in (State.INTENT, State.SENDING) and self.lives(found.worker, key)
        row = begun_row(pending, key, state, found.payment, flying=flying)
        if key in self._pending_facts:
            row = msgspec.structs.replace(self._pending_facts.applied_to(row), in_flight=False)
        if row.state.frees_reference or (row.state is State.INTENT and not row.in_flight):
            return None
        if found.digest != digest:
            raise duplicate_reference(pending)
        return row

    def intend(self, orders: Sequence[Intent], db: Database) -> list[Row | Exception | None]:
        """Record orders; the result of each is the row that its reference already has, or None."""
        keys = [_key(order.pending) for order in orders]
        begun: dict[OrderKey, Intent] = {}
        ended: dict[OrderKey, EndedOrder] = {}
        unread_at_first = {*keys} if self._rows.adds_unread else set()

        def read(unread: Iterable[OrderKey]) -> dict[OrderKey, StoredRow]:
            if unread_at_first:
                unread_at_first.clear()
                return {}
            found = self._rows.find(unread, db)
            if new := [key for key in unread if key not in found]:
                ended.update(self._rows.forgotten(new, db))
            return found

        def decide(item: int, found: StoredRow | None) -> Write[NewRow] | Row:
            order, key = orders[item], keys[item]
            if found is not None:
                if (row := self._standing(order.pending, order.digest, found)) is not None:
                    return row
                self._pending_facts.forget(key)  # its facts are about the earlier order
            elif key in ended:
                return ended_row(order.pending, order.digest, ended[key])
            begun[key] = order
            return Write(_new_row(order, key, found), None)

        def write(rows: list[NewRow]) -> dict[OrderKey, StoredRow]:
            versions = self._rows.add(rows, iso(wall_time()), self._worker.name, db)
            return {key: self._begun(begun[key], key, to) for key, to in versions.items()}

        return in_rounds(keys, read, decide, write)

    def _begun(self, order: Intent, key: OrderKey, version: str) -> StoredRow:
        pending = order.pending
        self.busy.add(key)
        order.noted.append(Row(state=State.INTENT, payment=pending))
        row = StoredRow(State.INTENT, pending, self._worker.name, order.digest, version)
        self._written[key] = row
        return row

    def abandon(self, rows: list[Row]) -> None:
        """Stop processing rows that could not be written."""
        for row in rows:
            self.busy.discard(_key(row.payment))
            self._written.pop(_key(row.payment), None)

    def forget(self) -> None:
        """Stop processing everything, in a forked child."""
        self.busy.clear()
        self._written.clear()

    def withdraw(self, db: Database, noted: list[Row]) -> None:
        """Withdraw orders that were recorded and will not be sent."""
        self.abandon(noted)
        for row in noted:
            key = _key(row.payment)
            found = self._rows.find([key], db).get(key)
            if found and (found.state, found.worker or "") == (State.INTENT, self._worker.name):
                self.apply(db, row.payment, "answer", State.NOT_SENT)

    def mark_sending(self, facts: Sequence[Fact], db: Database) -> list[Exception | None]:
        """Record that the requests of orders are about to be sent."""
        given: dict[OrderKey, NewFact] = {}
        results: list[Exception | None] = []
        for fact in facts:
            key, pending = _key(fact.payment), fact.payment
            try:
                text = text_of(pending)
            except Exception as error:  # noqa: BLE001 - one that cannot be stored fails alone
                results.append(error)
                continue
            results.append(OSError("it is being sent already") if key in given else None)
            given.setdefault(
                key, NewFact(key, fact.id, "sending", State.SENDING, pending.status, text)
            )
        at, me = iso(wall_time()), self._worker.name
        versions = self._rows.mark_sending([*given.values()], at, me, db) if given else {}
        for item, fact in enumerate(facts):
            key = _key(fact.payment)
            if results[item] is None and key not in versions:
                results[item] = OSError("another worker took the order over")
            elif key in self._written:
                row = self._written[key]
                row.state, row.version = State.SENDING, versions[key]
        return results

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
        """Apply one fact, as `apply_all` does."""
        (result,) = self.apply_all([Fact(payment, source, state)], db)
        if isinstance(result, Exception):
            raise result
        return result

    def apply_all(self, facts: Sequence[Fact], db: Database) -> list[Payment | Exception | None]:
        """Append facts, and apply each unless it would turn its row back.

        The result of each is the payment of its row; None: it has none.
        """

        def read(unread: Iterable[OrderKey]) -> dict[OrderKey, StoredRow]:
            known = {key: self._written[key] for key in unread if key in self._written}
            rest = [key for key in unread if key not in known]
            return {**known, **self._rows.find(rest, db)} if rest else known

        def decide(item: int, found: StoredRow | None) -> Write[_Applied] | Payment | None:
            return self._decide(facts[item], found)

        def write(applied: list[_Applied]) -> dict[OrderKey, StoredRow]:
            return self._write(applied, db)

        return in_rounds([_key(fact.payment) for fact in facts], read, decide, write)

    def _decide(self, fact: Fact, found: StoredRow | None) -> Write[_Applied] | Payment | None:
        """Return what a fact changes, or the payment if it is a poll without news."""
        if found is None:
            return None  # looked up without a record of it, or forgotten by now
        state = fact.state
        if state is not None and state.frees_reference and found.worker != self._worker.name:
            return None  # another worker owns the row and may be sending it
        key, told = _key(fact.payment), msgspec.structs.replace(fact.payment, raw="")
        if found.digest == FORGOTTEN:
            told = without_payer(told)
        text = found.payment
        known = text if isinstance(text, Payment) else read_payment(key, text)
        was = State(found.state)
        state = was.after(state, told)
        if fact.source == "verify" and (state, *_news(told)) == (was, *_news(known)):
            return known
        try:
            kept = merge(known, told)
        except Mismatch as mismatch:
            log.warning("%s: %s %r: kept as a fact, not applied: %s", *key, mismatch)
            kept, state = known, was
        new = NewFact(key, fact.id, fact.source, state, told.status, text_of(told))
        # The worker that sent an order owns its row until the answer; one that claimed it, until
        # its release.
        over = fact.source == "answer" and found.worker == self._worker.name
        worker = None if over else found.worker
        stored = text_of(kept)
        before = (found.version, found.state, found.worker or "")
        theirs, twin = kept.provider_reference, twin_of(key, known, kept)
        change = Change(new, *before, state, kept.status, theirs, stored, worker, twin)
        return Write(_Applied(change, found, kept), kept)

    def _write(self, applied: list[_Applied], db: Database) -> dict[OrderKey, StoredRow]:
        """Write what facts change; return the rows that no other write has changed meanwhile."""
        now = {}
        versions = self._rows.change([one.change for one in applied], iso(wall_time()), db)
        for one in applied:
            change, found, kept = one.change, one.found, one.kept
            key = change.fact.key
            mine = self._written.pop(key, None) is not None and change.fact.source != "answer"
            if key in versions:
                row = StoredRow(change.state, kept, change.worker, found.digest, versions[key])
                now[key] = row
                if mine:
                    self._written[key] = row
        if now:
            self._applied(db)
        return now


def _news(payment: Payment) -> tuple[object, ...]:
    return payment.status, payment.provider_status, payment.provider_reference


def _new_row(order: Intent, key: OrderKey, found: StoredRow | None) -> NewRow:
    pending = order.pending
    fact = NewFact(key, order.id, "intent", State.INTENT, pending.status, text_of(pending))
    party = pending.payer or pending.payee
    replaces = None if found is None else found.version
    return NewRow(fact, amount_text(pending), pending.currency, party, order.digest, replaces)
