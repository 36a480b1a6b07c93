"""Finding the rows of payments: by a reference, for a message, or page by page."""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias, get_args

import msgspec

from ...errors import PaymuxError
from ...models import Event, Kind, Payment, Status
from ..base import Arrival, Check, OrderKey, OrderOwner, Row, State
from ..base import order_key as _key
from ..database import Database
from ..pending_facts import PendingFacts
from ..wakeups import Subject
from .inbox import Inbox, Owners, Received, owner_of
from .rows import OF_ORDER, PAYMENT, payment_or_none, read_payment

# By the provider's reference, the wanted kind first: a message only claims its kind.
_BY_THEIRS = "WHERE account = ? AND provider_reference = ? ORDER BY kind <> ? LIMIT 1"
_PAGE = f"""SELECT state, {PAYMENT}, created_at, account, kind, reference FROM payments
           WHERE (created_at, account, kind, reference) > (?, ?, ?, ?) AND created_at >= ?
           AND (? IS NULL OR account = ?)
           AND (? IS NULL OR created_at < ?)
           AND (? IS NULL OR status = ?) AND (? IS NULL OR state = ?)
           ORDER BY created_at, account, kind, reference LIMIT ?"""
_OF = f"SELECT state, {PAYMENT}, account, kind, reference FROM payments WHERE account = ?"
_OF_OURS = f"{_OF} AND kind = ? AND reference IN (SELECT value FROM json_each(?))"
_OF_THEIRS = f"{_OF} AND provider_reference IN (SELECT value FROM json_each(?))"
# One look into the index for each account: `SELECT DISTINCT` would read all of it.
_NEXT_ACCOUNT = "SELECT min(account) FROM payments WHERE account > ?"
ROWS_PER_PAGE = 500  # rows per read


# Rows that were read together, by their keys: the state, the payment and the key.
SeenRows: TypeAlias = dict[OrderKey, tuple[Any, ...] | None]
_NONE: SeenRows = {}


class Arriving(msgspec.Struct, gc=False):
    """A message at its arrival."""

    received: Received
    about: Payment | None  # the payment, if the caller knows it
    check: Check  # raises what refuses the message


class Page(NamedTuple):
    """A page of payments, and the key of its last row, if more may follow."""

    payments: list[Payment]
    last: tuple[Any, ...] | None


class PaymentFinder:
    """Finds the payments of a journal, with the facts that one worker has not written yet."""

    def __init__(self, inbox: Inbox, hand: PendingFacts) -> None:
        self._inbox = inbox
        self._pending_facts = hand

    def by_reference(self, key: OrderKey, db: Database, rows: SeenRows = _NONE) -> Row | None:
        """Return the row of an order, with facts that are not written yet; `rows`: read before."""
        return self._as_known(rows[key]) if key in rows else self._row(db, OF_ORDER, key)

    def by_provider_reference(
        self, account: str, kind: Kind, reference: str, db: Database
    ) -> Row | None:
        """Return the row with this reference of the provider, this kind first."""
        key = self._pending_facts.key_of(account, kind, reference) if self._pending_facts else None
        return (
            self.by_reference(key, db)
            if key
            else self._row(db, _BY_THEIRS, (account, reference, kind))
        )

    def payments_of(self, subjects: list[Subject], db: Database) -> list[Payment]:
        """Return the payments that these name, with facts that are not written yet."""
        ids: dict[tuple[str, ...], list[str]] = {}
        for shelf, id in subjects:
            ids.setdefault(shelf, []).append(id)
        found = list[Payment]()
        for shelf, wanted in ids.items():
            where = _OF_THEIRS if len(shelf) == 1 else _OF_OURS
            rows = db.execute(where, (*shelf, json.dumps(wanted))).fetchall()
            for state, text, *key in rows:
                payment = payment_or_none(tuple(key), text)
                if payment is not None:
                    row = Row(state=State(state), payment=payment)
                    found.append(self._pending_facts.applied_to(row).payment)
        return found

    def about(self, event: Event, db: Database, rows: SeenRows = _NONE) -> Row | None:
        """Return the payment that a message claims to be about."""
        account, kind, claims = event.account, event.kind, event.claims
        row = None
        if event.path_reference is not None:
            row = self.by_reference((account, kind, event.path_reference), db, rows)
        if row is None and claims.provider_reference is not None:
            row = self.by_provider_reference(account, kind, claims.provider_reference, db)
        if row is None and claims.reference is not None:
            # Only the message says so; the provider must confirm it.
            row = self.by_reference((account, kind, claims.reference), db, rows)
        if (
            claims.reference is claims.provider_reference is event.path_reference is None
            and claims.ids
        ):
            return self._meant(event, db)
        return row

    def arrive(self, messages: Sequence[Arriving], db: Database) -> list[Arrival | Exception]:
        """Find and check the payments of messages; store each message that names an order."""
        owners = self._inbox.owners([one.received.event for one in messages], db)
        rows = self._rows_of(messages, db)
        results: list[Arrival | Exception] = []
        named: list[tuple[int, Arrival, OrderOwner | None]] = []
        for number, one in enumerate(messages):
            try:
                arrival, owner = self._arrival(one, owners, rows, db)
            except (PaymuxError, OSError) as error:  # it concerns this message alone
                results.append(error)
                continue
            results.append(arrival)
            known = arrival.known
            if known is not None and (known.reference or known.provider_reference) is not None:
                named.append((number, arrival, owner))
        kept = self._inbox.put([(messages[one].received, owner) for one, _, owner in named], db)
        for (number, arrival, _), is_kept in zip(named, kept, strict=True):
            results[number] = msgspec.structs.replace(arrival, kept=is_kept)
        return results

    def _arrival(
        self, one: Arriving, owners: Owners, rows: SeenRows, db: Database
    ) -> tuple[Arrival, OrderOwner | None]:
        event, known = one.received.event, one.about
        theirs = event.claims.provider_reference
        if known is None and (row := self.about(event, db, rows)) is not None:
            known = row.payment
        kind = event.kind if known is None else known.kind or "collect"
        owner: OrderOwner | None = None
        if theirs is not None:
            key = (
                self._pending_facts.key_of(event.account, kind, theirs)
                if self._pending_facts
                else None
            )
            owner = key[1:] if key else owner_of(event, kind, owners)
        one.check(known, owner)
        lost = False
        if known is not None and _may_be_lost(event, known):
            lost = self._lost(known, theirs, db, rows)
        return Arrival(known=known, lost=lost), owner

    def _rows_of(self, messages: Sequence[Arriving], db: Database) -> SeenRows:
        """Read the rows that messages name by our references, by one statement for each kind."""
        seen: SeenRows = {}
        for one in messages:
            event, about = one.received.event, one.about
            if about is None:
                for reference in (event.path_reference, event.claims.reference):
                    if reference is not None and "\0" not in reference:
                        seen[event.account, event.kind, reference] = None
            elif _may_be_lost(event, about):
                seen[_key(about)] = None
        asked: dict[tuple[str, Kind], list[str]] = {}
        for account, kind, reference in seen:
            asked.setdefault((account, kind), []).append(reference)
        for shelf, references in asked.items():
            for row in db.execute(_OF_OURS, (*shelf, json.dumps(references))).fetchall():
                seen[row[2], row[3], row[4]] = row
        return seen

    def _lost(self, known: Payment, theirs: str | None, db: Database, rows: SeenRows) -> bool:
        """Return whether an order was sent and its answer is unknown, or names this payment."""
        row = self.by_reference(_key(known), db, rows)
        if row is None:
            return False
        found = row.payment.provider_reference
        return row.state.in_doubt or (theirs is not None and found == theirs)

    def _meant(self, event: Event, db: Database) -> Row | None:
        """Return the open payment of the last day that has one of the ids in a message."""
        found = self._inbox.find_by_ids(event, db)
        key = _key(found[1]) if found else self._pending_facts.find_by_ids(event)
        row = self.by_reference(key, db) if key else None
        return row if row and not row.payment.status.terminal else None

    def _row(self, db: Database, where: str, given: tuple[object, ...]) -> Row | None:
        sql = f"SELECT state, {PAYMENT}, account, kind, reference FROM payments {where}"
        return self._as_known(db.execute(sql, given).fetchone())

    def _as_known(self, found: tuple[Any, ...] | None) -> Row | None:
        if found is None:
            return None
        # A damaged row is an error: without its payment, any message about it would be believed.
        return self._pending_facts.applied_to(
            Row(state=State(found[0]), payment=read_payment(found[2:], found[1]))
        )

    def named(self, reference: str, account: str | None, db: Database) -> list[Payment]:
        """Return every payment with this reference of ours, of one account or of all."""
        found: list[Payment] = []
        for one in self._accounts(db) if account is None else [account]:
            for kind in get_args(Kind):
                row = self.by_reference((one, kind, reference), db)
                if row is not None and not row.state.frees_reference:
                    found.append(row.payment)
        return found

    @staticmethod
    def _accounts(db: Database) -> list[str]:
        found, last = list[str](), ""
        while (row := db.execute(_NEXT_ACCOUNT, (last,)).fetchone()) and row[0] is not None:
            last = row[0]
            found.append(last)
        return found

    def page(
        self,
        given: tuple[object, ...],
        status: Status | None,
        state: State | None,
        db: Database,
    ) -> Page:
        """List payments after a key, created in a time, of one account or of all.

        An order that was refused or never sent is no payment: its caller got an error.
        """
        # A fact that is not written yet may change a status: then the query cannot filter by it.
        waits = bool(self._pending_facts)
        asked, so = (None, None) if waits else (status, state)
        rows = db.execute(_PAGE, (*given, asked, asked, so, so, ROWS_PER_PAGE)).fetchall()
        read = [(state, payment_or_none(tuple(key), text)) for state, text, _, *key in rows]
        found = [
            self._pending_facts.applied_to(Row(state=State(state), payment=one))
            for state, one in read
            if one is not None
        ]
        return Page(
            [row.payment for row in found if _is_listed(row, status, state)],
            tuple(rows[-1][2:]) if len(rows) == ROWS_PER_PAGE else None,
        )


def _is_listed(row: Row, status: Status | None, state: State | None) -> bool:
    fits = status in (None, row.payment.status) and state in (None, row.state)
    return fits and not row.state.frees_reference


def _may_be_lost(event: Event, known: Payment) -> bool:
    return event.path_reference is not None and known.provider_reference is None
