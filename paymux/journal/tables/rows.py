"""Reading the rows of the journal's file, which may be damaged, or deleted by `keep_days`."""

from datetime import datetime
from typing import TypeAlias, TypeVar

import msgspec

from ...models import Event, Payment, Status, log
from ..base import Row, State, duplicate_reference
from ..database import Database

T = TypeVar("T", Event, Payment)
RowKey: TypeAlias = tuple[str, str, str]  # account, kind, reference

# As bytes: SQLite would not return a text with one invalid byte.
PAYMENT = "CAST(payment AS BLOB)"
EVENT = "CAST(event AS BLOB)"
OF_ORDER = "WHERE account = ? AND kind = ? AND reference = ?"


def text_of(value: Payment | Event) -> str:
    """Encode a payment or a message as its row stores it."""
    return msgspec.json.encode(value).decode()


def read_payment(key: RowKey, text: bytes) -> Payment:
    """Decode a row's payment; OSError names a row that cannot be decoded."""
    return _read(Payment, text, f"{key[0]}: the journal's row of the {key[1]} {key[2]!r}")


def payment_or_none(key: RowKey, text: bytes) -> Payment | None:
    """Decode a row's payment; one that cannot be decoded is logged as an ERROR and left out."""
    try:
        return read_payment(key, text)
    except OSError as damaged:
        log.error("%s; it is left out", damaged)
        return None


class ScannedPayments:
    """Decoder for rows that are read repeatedly: a damaged row is logged once."""

    def __init__(self, so: str) -> None:
        self._so = so
        self._named: set[RowKey] = set()

    def payment(self, key: RowKey, text: bytes) -> Payment | None:
        """Decode a row's payment, or return None."""
        try:
            return read_payment(key, text)
        except OSError as damaged:
            if key not in self._named:
                self._named.add(key)
                log.error("%s; %s", damaged, self._so)
            return None


def page(
    sql: str, given: tuple[object, ...], db: Database
) -> list[tuple[Payment | None, tuple[str, str, str, str]]]:
    """Read a page of payments, each with its time and key; the next page begins after the last."""
    return [
        (payment_or_none((account, kind, reference), text), (at, account, kind, reference))
        for text, at, account, kind, reference in db.execute(sql, given)
    ]


def event_or_none(account: str, id: int, text: bytes) -> Event | None:
    """Decode a message; one that cannot be decoded is logged as an ERROR and left out."""
    try:
        return _read(Event, text, f"{account}: the journal's message {id}")
    except OSError as damaged:
        log.error("%s; it is left out", damaged)
        return None


def begun_row(
    pending: Payment, key: RowKey, state: str, text: bytes | Payment, *, flying: bool
) -> Row:
    """Return the row of the same order as it is known.

    What became of a damaged order is unknown: it is in doubt and not sent again. It is not NotSent:
    after NotSent a caller may send the order under another reference.
    """
    known = text if isinstance(text, Payment) else payment_or_none(key, text)
    if known is None or state not in set(State):
        return Row(
            state=State.UNKNOWN, payment=known or msgspec.structs.replace(pending, created_at=None)
        )
    return Row(state=State(state), payment=known, in_flight=flying)


def ended_row(pending: Payment, digest: str, ended: tuple[str, str, str]) -> Row:
    """Return what `keep_days` left of a payment: its order and how it ended."""
    made, status, at = ended
    if made != digest:
        raise duplicate_reference(pending)
    known = msgspec.structs.replace(
        pending, status=Status(status), created_at=None, updated_at=datetime.fromisoformat(at)
    )
    return Row(state=State.ACCEPTED, payment=known)


def _read(type: type[T], text: bytes, what: str) -> T:
    try:
        return msgspec.json.decode(text, type=type)
    except (msgspec.MsgspecError, TypeError, ValueError, RecursionError) as error:
        raise OSError(f"{what} cannot be read: {error}") from None
