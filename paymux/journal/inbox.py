"""What workers share through the journal: messages, with the worker that handles each."""

from datetime import timedelta

import msgspec

from ..models import Event, Kind, Payment
from ..primitives.clock import wall_time
from .base import OrderOwner
from .columns import iso
from .database import Database, Worker
from .rows import EVENT, PAYMENT, event_or_none, payment_or_none, text_of
from .stored_events import is_repeat_event, trimmed

_NOBODY = ""  # open, and any worker may claim it; NULL: finished

# messages kept about one order: this many unauthenticated ones, and this many authenticated ones
MAX_EVENTS_PER_ORDER = 4

_HELD = "SELECT 1 FROM hints WHERE account = ? AND event = ?"
_COUNT = (
    "SELECT count(*) FROM hints WHERE account = ? AND kind = ? AND reference = ? AND proved = ?"
)
# An order of the asked kind first; the kind of a message is only a claim.
_OWNER = """SELECT kind, reference FROM payments WHERE account = ? AND provider_reference = ?
    ORDER BY kind <> ? LIMIT 1"""
_KEEP = """INSERT INTO hints
    (account, kind, reference, provider_reference, at, event, worker, proved)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (account, event) DO NOTHING"""
# If the same message comes again, the worker that received it last handles it.
_OPEN = """INSERT INTO hints
    (account, kind, reference, provider_reference, at, event, worker, proved)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (account, event) DO UPDATE SET worker = excluded.worker"""
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


class Inbox:
    """The operations on messages, each in a transaction of the journal's thread."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    def keep(self, event: Event, db: Database, *, open: bool) -> bool:
        """Keep a message once; an open one belongs to this worker until it ends it, or dies.

        False: its order already has MAX_EVENTS_PER_ORDER messages. Of the unauthenticated ones, the
        last place is for a `repeat_event`.
        """
        return self.put(event, self.owner(event, event.kind, db), db, open=open)

    def owner(self, event: Event, kind: Kind, db: Database) -> OrderOwner | None:
        """Return the order that has the provider's reference that a message claims."""
        theirs = event.claims.provider_reference
        found = db.execute(_OWNER, (event.account, theirs, kind)).fetchone()
        return found and (found[0], found[1])

    def put(self, event: Event, owner: OrderOwner | None, db: Database, *, open: bool) -> bool:
        """Keep a message like `keep`; `owner` is the order with its provider reference."""
        kept = trimmed(event)
        kind, reference = self._order(event, kept, owner, db)
        text = text_of(kept)
        if reference is not None and db.execute(_HELD, (event.account, text)).fetchone() is None:
            places = (
                MAX_EVENTS_PER_ORDER
                if event.authenticated or is_repeat_event(event)
                else MAX_EVENTS_PER_ORDER - 1
            )
            of = (event.account, kind, reference, event.authenticated)
            if db.execute(_COUNT, of).fetchone()[0] >= places:
                return False
        row = (
            event.account,
            kind,
            reference,
            kept.claims.provider_reference,
            iso(wall_time()),
            text,
        )
        db.execute(
            _OPEN if open else _KEEP,
            (*row, self._worker.name if open else None, event.authenticated),
        )
        return True

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

    def end(self, event: Event, db: Database, *, done: bool) -> None:
        """End this worker's claim on a message: it is finished, or any worker may claim it.

        A finished message about no payment in the journal is deleted.
        """
        this = (event.account, text_of(trimmed(event)))
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
