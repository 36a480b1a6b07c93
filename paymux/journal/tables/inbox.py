"""What workers share through the journal: messages, with the worker that handles each."""

from collections.abc import Sequence
from datetime import timedelta
from typing import TypeAlias

import msgspec

from ...models import Event, Kind, Payment
from ...primitives.clock import wall_time
from ..base import OrderOwner
from ..database import Database, Worker
from ..stored_events import is_repeat_event, trimmed
from .columns import iso
from .message_rows import MessageRows, NewMessage
from .rows import EVENT, PAYMENT, event_or_none, payment_or_none, text_of

_NOBODY = ""  # open, and any worker may claim it; NULL: finished

# messages kept about one order: this many unauthenticated ones, and this many authenticated ones
MAX_EVENTS_PER_ORDER = 4

_OWNERS = """SELECT provider_reference, kind, reference FROM payments
    WHERE account = ? AND provider_reference IN (SELECT value FROM json_each(?))"""
_OF = f"""SELECT id, {EVENT} FROM hints
    WHERE account = ? AND ((kind = ? AND reference = ?) OR provider_reference = ?)"""
_END = "UPDATE hints SET worker = ? WHERE account = ? AND event = ? AND worker = ?"
# A message about no payment in the journal: nothing will search for it.
_FORGET = """DELETE FROM hints WHERE account = ? AND event = ? AND worker IS NULL
    AND NOT EXISTS (SELECT 1 FROM payments p WHERE p.account = hints.account
        AND p.kind = hints.kind AND p.reference = hints.reference)
    AND NOT EXISTS (SELECT 1 FROM payments p WHERE p.account = hints.account
        AND p.provider_reference = hints.provider_reference)"""
_YOUNG = f"""SELECT state, {PAYMENT}, account, kind, reference FROM payments
    WHERE created_at > ? AND account || '' = ? AND status = 'pending'
    AND instr(payment, ?) > 0"""


Owners: TypeAlias = dict[tuple[str, str], list[OrderOwner]]  # by account and provider reference


class Received(msgspec.Struct, gc=False):
    """A message that came, and what is kept of it."""

    event: Event
    open: bool  # this worker is processing it
    kept: Event
    text: str

    @classmethod
    def of(cls, event: Event, *, open: bool) -> "Received":
        """Return what is kept of a message; OSError: it has text that cannot be stored."""
        kept = trimmed(event)
        try:
            return cls(event, open, kept, text_of(kept))
        except ValueError as error:  # half of a character
            raise OSError(f"{event.account}: a message cannot be stored: {error}") from None

    @property
    def key(self) -> tuple[str, str]:
        """Return what tells this message from others."""
        return self.event.account, self.text


class Inbox:
    """The operations on messages, each in a transaction of the journal's thread."""

    def __init__(self, worker: Worker, rows: MessageRows) -> None:
        self._worker = worker
        self._rows = rows

    def keep(self, messages: "Sequence[Received]", db: Database) -> list[bool]:
        """Keep messages once; an open one belongs to this worker until it ends it, or dies.

        False: its order already has MAX_EVENTS_PER_ORDER messages. Of the unauthenticated ones, the
        last place is for a `repeat_event`.
        """
        owners = self.owners([one.event for one in messages], db)
        return self.put(
            [(one, owner_of(one.event, one.event.kind, owners)) for one in messages], db
        )

    def owners(self, events: Sequence[Event], db: Database) -> Owners:
        """Return the orders that have the provider's references that messages claim."""
        asked: dict[str, dict[str, None]] = {}
        for event in events:
            theirs = event.claims.provider_reference
            if theirs is not None and "\0" not in theirs:  # no JSON that every engine reads
                asked.setdefault(event.account, {})[theirs] = None
        found: Owners = {}
        for account, references in asked.items():
            wanted = msgspec.json.encode([*references]).decode()
            for one, kind, reference in db.execute(_OWNERS, (account, wanted)).fetchall():
                found.setdefault((account, one), []).append((kind, reference))
        return found

    def put(
        self, messages: "Sequence[tuple[Received, OrderOwner | None]]", db: Database
    ) -> list[bool]:
        """Keep messages like `keep`, each with the order that has its provider reference."""
        rows = [self._row(one, owner, db) for one, owner in messages]
        return self._rows.keep(rows, iso(wall_time()), self._worker.name, db) if rows else []

    def _row(self, one: "Received", owner: OrderOwner | None, db: Database) -> NewMessage:
        event, kept = one.event, one.kept
        kind, reference = self._order(event, kept, owner, db)
        last = event.authenticated or is_repeat_event(event)
        return NewMessage(
            event.account,
            kind,
            reference,
            kept.claims.provider_reference,
            one.text,
            event.authenticated,
            MAX_EVENTS_PER_ORDER if last else MAX_EVENTS_PER_ORDER - 1,
            one.open,
        )

    def _order(
        self,
        event: Event,
        kept: Event,
        owner: OrderOwner | None,
        db: Database,
    ) -> tuple[Kind, str | None]:
        """Return the kind and reference of the order that a message is about; None: unknown."""
        if event.path_reference is not None:
            return event.kind, event.path_reference
        if owner is not None:
            return owner
        if kept.claims.reference is None and event.claims.provider_reference is None:
            meant = self.find_by_ids(event, db)
            if meant is not None:
                return meant[1].kind or "collect", meant[1].reference
        return event.kind, kept.claims.reference

    def end_all(self, messages: "Sequence[tuple[Received, bool]]", db: Database) -> list[None]:
        """End this worker's claims on messages, each done or not."""
        for one, done in messages:
            self._end(one.key, db, done=done)
        return [None] * len(messages)

    def end(self, event: Event, db: Database, *, done: bool) -> None:
        """End this worker's claim on a message: it is finished, or any worker may claim it.

        A finished message about no payment in the journal is deleted.
        """
        self._end((event.account, text_of(trimmed(event))), db, done=done)

    def _end(self, this: tuple[str, str], db: Database, *, done: bool) -> None:
        # If another worker received the same message in the meantime, its claim stays.
        db.execute(_END, (None if done else _NOBODY, *this, self._worker.name))
        db.execute(_FORGET, this)

    def claim(self, count: int, db: Database) -> list[Event]:
        """Claim the oldest open messages of workers that died, or that gave them back."""
        alive: dict[str, bool] = {}
        found: list[Event] = []
        for id, account, worker, text in db.execute(
            f"SELECT id, account, worker, {EVENT} FROM hints WHERE worker IS NOT NULL ORDER BY id"
        ).fetchall():
            if worker not in alive:
                alive[worker] = self._worker.lives(worker)
            if not alive[worker] and len(found) < count:
                event = event_or_none(account, id, text)
                # A damaged one counts as finished: it stays in the file, and is logged once.
                name = None if event is None else self._worker.name
                db.execute("UPDATE hints SET worker = ? WHERE id = ?", (name, id))
                found += [event] if event is not None else []
        return found

    def give_back(self, events: list[Event], db: Database) -> None:
        """Let any worker claim the messages that this one claimed."""
        for event in events:
            self.end(event, db, done=False)

    def find_by_ids(self, event: Event, db: Database) -> tuple[str, Payment] | None:
        """Return the state and payment, pending and of the last day, with an id of the message."""
        since = iso(wall_time() - timedelta(days=1))
        for name, id in event.claims.ids.items():
            for state, text, *key in db.execute(
                _YOUNG, (since, event.account, msgspec.json.encode(id).decode())
            ):
                payment = payment_or_none((key[0], key[1], key[2]), text)
                if payment is not None and payment.ids.get(name) == id:
                    return state, payment
        return None

    def events_of(self, payment: Payment, db: Database) -> tuple[Event, ...]:
        """Return a payment's messages: by its provider's reference, or by ours and its kind."""
        kind, theirs = payment.kind or "collect", payment.provider_reference
        found = db.execute(_OF, (payment.account, kind, payment.reference, theirs))
        events = (event_or_none(payment.account, id, text) for id, text in found.fetchall())
        return tuple(event for event in events if event is not None and _is_about(event, payment))


def _is_about(event: Event, payment: Payment) -> bool:
    """Return whether a message with a payment's ids came on no other order's path."""
    order = (payment.kind or "collect", payment.reference)
    return event.path_reference is None or (event.kind, event.path_reference) == order


def owner_of(event: Event, kind: Kind, owners: Owners) -> OrderOwner | None:
    """Return the order that has the provider's reference that a message claims.

    One of the asked kind first: the kind of a message is only a claim.
    """
    found = owners.get((event.account, event.claims.provider_reference or ""), ())
    return next((one for one in found if one[0] == kind), found[0] if found else None)
