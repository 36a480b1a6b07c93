"""A journal in PostgreSQL that gets all rows of a file, in one transaction."""

import asyncio
import contextlib
from collections.abc import Iterable, Iterator
from typing import Any

from ...errors import UsageError
from .address import Address
from .connection import LONG_SECONDS, Connection
from .opening import lock_of, open_connection

# Each table, with the key in whose order its rows are compared. Tokens and places of limits are not
# copied: each worker logs in and asks for places anew.
TABLES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("payments", ("account", "kind", "reference")),
    ("facts", ("id",)),
    ("hints", ("id",)),
    ("turns", ("account", "kind", "reference", "name")),
    ("fences", ("account", "kind", "reference", "name")),
    ("unconfirmed", ("id",)),
    ("forgotten", ("account", "kind", "reference")),
    ("credentials", ("account", "digest", "slot")),
    ("questions", ("nonce",)),
    ("notes", ("name",)),
)
_COLUMNS = """SELECT string_agg(column_name, ',') FROM information_schema.columns
    WHERE table_schema = $1 AND table_name = $2 AND is_generated = 'NEVER'"""
_NEXT = """SELECT setval(pg_get_serial_sequence($1, 'id'), max(id)) FROM {0} HAVING max(id) > 0"""
_FROM = "moved from"  # the note that has the id of the move
_OWN = ("wakeups", "health", _FROM)


class Target:
    """The tables of a journal, in a transaction that alone holds its lock."""

    def __init__(self, db: Connection, address: Address) -> None:
        self._db = db
        self._address = address
        self.move = db.value("SELECT value FROM notes WHERE name = $1", _FROM)

    def __str__(self) -> str:
        return str(self._address)

    def see_empty(self) -> None:
        """Refuse a journal that has rows already."""
        for table, _ in TABLES[:-1]:
            if self._db.value(f"SELECT EXISTS (SELECT 1 FROM {table})"):
                raise UsageError(
                    f"journal: {self._address} has {table} already: name another schema",
                    name="journal",
                    value=str(self._address),
                    accepted="a schema without a journal, by ?schema=name",
                )

    def columns(self, table: str) -> list[str]:
        """Return the names of a table's columns that are written."""
        found = self._db.value(_COLUMNS, self._address.schema, table)
        return str(found or "").split(",")

    def fill(self, table: str, columns: tuple[str, ...], rows: list[tuple[Any, ...]]) -> None:
        """Add rows to a table."""
        self._db.fill(table, columns, rows)

    def rows(
        self, table: str, columns: tuple[str, ...], key: tuple[str, ...], at_once: int
    ) -> Iterator[tuple[Any, ...]]:
        """Yield all rows as they stand there now, in the order of the key."""
        names, order = ", ".join(columns), ", ".join(key)
        places = [columns.index(name) for name in key]
        own = ", ".join(f"'{name}'" for name in _OWN)
        where = f"name NOT IN ({own})" if table == "notes" else "true"
        after: tuple[Any, ...] = ()
        while True:
            marks = ", ".join("?" * len(key))
            more = f" AND ({order}) > ({marks})" if after else ""
            sql = (
                f"SELECT {names} FROM {table} WHERE {where}{more} ORDER BY {order} LIMIT {at_once}"
            )
            found = self._db.execute(sql, after).fetchall()
            yield from found
            if len(found) < at_once:
                return
            after = tuple(found[-1][place] for place in places)

    def number(self, tables: Iterable[str]) -> None:
        """Let new rows get the ids after those that were copied."""
        for table in tables:
            self._db.value(_NEXT.format(table), table)

    def note(self, move: str) -> None:
        """Note which file it has the rows of."""
        sql = "INSERT INTO notes VALUES (?, ?) ON CONFLICT (name) DO NOTHING"
        self._db.execute(sql, (_FROM, move))
        self.move = move

    def commit(self) -> None:
        """Make all of it durable, and visible to others."""
        if self._db.failed is not None:
            raise self._db.failed
        self._db.command("COMMIT", LONG_SECONDS)


@contextlib.contextmanager
def opened_target(address: Address) -> Iterator[Target]:
    """Open a journal for its filling; what is not committed at the end is undone.

    UsageError: no journal can be kept there. OSError: not now.
    """
    loop = asyncio.new_event_loop()
    try:
        db = open_connection(address, loop)
        try:
            db.begin(lock_of(db, address))
            db.command("SET LOCAL idle_in_transaction_session_timeout = 0")
            yield Target(db, address)
        finally:
            db.rollback()
            db.close()
    finally:
        loop.close()
