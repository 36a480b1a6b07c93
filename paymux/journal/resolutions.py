"""A person's decision in the journal: which rows it may end, and the fact that it adds."""

from datetime import datetime

import msgspec

from ..errors import UsageError
from ..models import Payment
from .base import OrderKey, Resolution, State
from .database import Database

_FOUND = (
    "SELECT state, status, payment, worker FROM payments WHERE account = ? AND kind = ? AND "
    "reference = ?"
)
_SIGNED = """UPDATE facts SET because = ?, person = ? WHERE id = (SELECT max(id) FROM facts
    WHERE account = ? AND kind = ? AND reference = ? AND source = 'person')"""


def check_resolvable(state: State, payment: Payment, before: datetime) -> None:
    """Raise UsageError, with the reason, for a row that a person's decision may not end."""
    named = f"payment: {payment.reference!r}"
    if payment.status.terminal:
        raise UsageError(f"{named} {payment.status} already; only an open payment can be ended")
    if state.frees_reference:
        raise UsageError(
            f"{named} moved no money ({state}), and its reference is free; there is nothing to end"
        )
    if state is State.INTENT:
        raise UsageError(f"{named} was not sent yet; recover() ends what a dead worker never sent")
    if state is State.ACCEPTED and payment.created_at is not None and payment.created_at > before:
        raise UsageError(
            f"{named} may still end by itself, within its provider's time-out; watch it"
        )


def sender(db: Database, key: OrderKey, word: Resolution) -> str | None:
    """Return the worker that was sending a row; the caller checks that it is dead.

    Refuses a decision about a row that may not be ended.
    """
    found = db.execute(_FOUND, key).fetchone()
    if found is None:
        raise UsageError(f"payment: {key[2]!r} is not in the journal")
    known = msgspec.json.decode(found[2], type=Payment)
    check_resolvable(State(found[0]), known, word.before)
    return str(found[3]) if found[0] == State.SENDING and found[3] is not None else None


def sign(db: Database, key: OrderKey, word: Resolution) -> None:
    """Add to the fact the reason of the decision, and the person who made it."""
    db.execute(_SIGNED, (word.because, word.by, *key))
