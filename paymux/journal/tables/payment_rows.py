"""Reading and writing the rows of many payments, and their facts, by one statement each."""

from collections.abc import Iterable, Sequence
from typing import ClassVar, Protocol, TypeAlias

import msgspec

from ...models import Payment
from ..base import OrderKey, State
from ..database import Database
from .adopted_ends import Twin

EndedOrder: TypeAlias = tuple[str, str, str]  # digest, status and time of one deleted since


# Not followed by the garbage collector, which would otherwise run while a batch is put together.
class StoredRow(msgspec.Struct, gc=False):
    """A payment's row, as it was read."""

    state: str
    payment: bytes | Payment  # as it is stored, or as this worker has just written it
    worker: str | None
    digest: str
    version: str  # another one after each change of the state or the payment


class NewFact(msgspec.Struct, gc=False):
    """A fact to be appended."""

    key: OrderKey
    id: str  # unique: a fact that is written again is there once
    source: str
    state: State
    status: str
    payment: str  # as JSON


class NewRow(msgspec.Struct, gc=False):
    """The row of a new order, and its first fact."""

    fact: NewFact
    amount: str | None
    currency: str | None
    party: str | None
    digest: str
    replaces: str | None  # the version of the row whose place it takes


class Change(msgspec.Struct, gc=False):
    """A fact, and what its row becomes by it."""

    fact: NewFact
    # The row that the change was made from.
    version: str
    was: str
    owner: str  # its worker; empty: none
    # The row that it becomes.
    state: State
    status: str
    provider_reference: str | None
    payment: str  # as JSON
    worker: str | None
    # It counts as told if there is such a payment, in the same transaction.
    twin: Twin | None = None


class PaymentRows(Protocol):
    """The rows of payments, of which a write takes those that no other write changed meanwhile."""

    # `add` inserts no order that exists or was deleted, so that it need not be read first.
    adds_unread: ClassVar[bool]

    def find(self, keys: Iterable[OrderKey], db: Database) -> dict[OrderKey, StoredRow]:
        """Return the rows that exist."""
        ...

    def forgotten(self, keys: Iterable[OrderKey], db: Database) -> dict[OrderKey, EndedOrder]:
        """Return what is left of rows that `keep_days` deleted."""
        ...

    def add(
        self, rows: Sequence[NewRow], at: str, worker: str, db: Database
    ) -> dict[OrderKey, str]:
        """Insert rows of different keys, as a worker's; return the versions of those that are."""
        ...

    def mark_sending(
        self, facts: Sequence[NewFact], at: str, worker: str, db: Database
    ) -> dict[OrderKey, str]:
        """Mark intents of different keys, of a worker, as being sent; return their new versions."""
        ...

    def change(self, changes: Sequence[Change], at: str, db: Database) -> dict[OrderKey, str]:
        """Change rows of different keys; return the new versions of those that are.

        The others were changed by another worker since they were read.
        """
        ...
