"""Reading what lies in the journal's file, of which a row may be damaged, or the payment forgotten."""

import sqlite3
from datetime import datetime
from typing import TypeAlias, TypeVar

import msgspec

from ..models import Event, Payment, Status, log
from .base import Row, State, another_order

T = TypeVar("T", Event, Payment)
Key: TypeAlias = tuple[str, str, str]  # account, kind, reference

# As bytes: a text of which one byte is wrong would not even be handed over.
PAYMENT = "CAST(payment AS BLOB)"
EVENT = "CAST(event AS BLOB)"
_ENDED = "SELECT digest, status, at FROM forgotten WHERE account = ? AND kind = ? AND reference = ?"


def read_payment(key: Key, text: bytes) -> Payment:
    """Read a row's payment; where that cannot be done, OSError names the row."""
    return _read(Payment, text, f"{key[0]}: the journal's row of the {key[1]} {key[2]!r}")


def payment_or_none(key: Key, text: bytes) -> Payment | None:
    """Read a row's payment; one that cannot be read is named in an ERROR record, and left out."""
    try:
        return read_payment(key, text)
    except OSError as damaged:
        log.error("%s; it is left out", damaged)
        return None


class Scanned:
    """Payments of rows that are read again and again: a damaged one is named once."""

    def __init__(self, so: str) -> None:
        self._so = so
        self._named: set[Key] = set()

    def payment(self, key: Key, text: bytes) -> Payment | None:
        """Read a row's payment, or give None."""
        try:
            return read_payment(key, text)
        except OSError as damaged:
            if key not in self._named:
                self._named.add(key)
                log.error("%s; %s", damaged, self._so)
            return None


def page(
    sql: str, given: tuple[object, ...], db: sqlite3.Connection
) -> list[tuple[Payment | None, tuple[str, str, str, str]]]:
    """Read a page of payments, each with the time and the key after which the next page begins."""
    return [
        (payment_or_none((account, kind, reference), text), (at, account, kind, reference))
        for text, at, account, kind, reference in db.execute(sql, given)
    ]


def event_or_none(account: str, id: int, text: bytes) -> Event | None:
    """Read a message; one that cannot be read is named in an ERROR record, and left out."""
    try:
        return _read(Event, text, f"{account}: the journal's message {id}")
    except OSError as damaged:
        log.error("%s; it is left out", damaged)
        return None


def as_begun(pending: Payment, key: Key, state: str, text: bytes, *, flying: bool) -> Row:
    """Give the row of the same order as it is known.

    Of a damaged one nobody can tell what became of it: it is in doubt, and its order is not sent again. It is not
    NotSent, for whoever reads that may send the order under another reference.
    """
    known = payment_or_none(key, text)
    if known is None or state not in set(State):
        return Row(state=State.UNKNOWN, payment=known or msgspec.structs.replace(pending, created_at=None))
    return Row(state=State(state), payment=known, flying=flying)


def forgotten(pending: Payment, key: Key, digest: str, db: sqlite3.Connection) -> Row | None:
    """Give what is left of a payment that `keep_days` forgot: that it was this order, and how it ended."""
    found = db.execute(_ENDED, key).fetchone()
    if found is None:
        return None
    made, status, at = found
    if made != digest:
        raise another_order(pending)
    ended = msgspec.structs.replace(
        pending, status=Status(status), created_at=None, updated_at=datetime.fromisoformat(at)
    )
    return Row(state=State.ACCEPTED, payment=ended)


def _read(type: type[T], text: bytes, what: str) -> T:
    try:
        return msgspec.json.decode(text, type=type)
    except (msgspec.MsgspecError, TypeError, ValueError, RecursionError) as error:
        raise OSError(f"{what} cannot be read: {error}") from None
