"""A transaction of the caller's own, of any client library that a caller may have.

A library is recognised without being imported: a caller that has its connection has imported it.
"""

import sys
from collections.abc import Iterator, Sequence
from typing import Any, Protocol

from ...errors import UsageError

ACCEPTED = (
    "an asyncpg.Connection, a psycopg.AsyncConnection, or SQLAlchemy's AsyncConnection or "
    "AsyncSession, of PostgreSQL"
)


class UserConnection(Protocol):
    """What ending a turn needs of a connection."""

    def marks(self, count: int) -> list[str]:
        """Return how the library writes its parameters."""
        ...

    async def row(self, statement: str, values: Sequence[str]) -> Sequence[Any] | None:
        """Run a statement in the present transaction, and return its first row."""
        ...

    def in_transaction(self) -> bool:
        """Return whether a statement now is part of a transaction, as far as the library knows."""
        ...


class _Asyncpg:
    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def marks(self, count: int) -> list[str]:
        return [f"${n}" for n in range(1, count + 1)]

    async def row(self, statement: str, values: Sequence[str]) -> Sequence[Any] | None:
        found: Any = await self._connection.fetchrow(statement, *values)
        return None if found is None else tuple(found)

    def in_transaction(self) -> bool:
        return not self._connection.is_closed() and bool(self._connection.is_in_transaction())


class _Psycopg:
    def __init__(self, connection: Any) -> None:
        self._connection = connection

    def marks(self, count: int) -> list[str]:
        return ["%s"] * count

    async def row(self, statement: str, values: Sequence[str]) -> Sequence[Any] | None:
        rows = sys.modules["psycopg.rows"]
        # The caller's connection may make its rows in another way.
        async with self._connection.cursor(row_factory=rows.tuple_row) as cursor:
            await cursor.execute(statement, values)
            found: Sequence[Any] | None = await cursor.fetchone()
            return found

    def in_transaction(self) -> bool:
        status = self._connection.info.transaction_status.name
        # Without autocommit, the first statement begins the transaction.
        return status == "INTRANS" or (status == "IDLE" and not self._connection.autocommit)


class _SqlAlchemy:
    def __init__(self, connection: Any) -> None:
        self._connection = connection  # both have `execute` and `in_transaction`

    def marks(self, count: int) -> list[str]:
        return [f":v{n}" for n in range(count)]

    async def row(self, statement: str, values: Sequence[str]) -> Sequence[Any] | None:
        named = {f"v{n}": value for n, value in enumerate(values)}
        text = sys.modules["sqlalchemy"].text(statement)
        found: Any = (await self._connection.execute(text, named)).first()
        return None if found is None else tuple(found)

    def in_transaction(self) -> bool:
        return True  # its first statement begins one; with AUTOCOMMIT, the server tells


def user_connection(connection: object) -> UserConnection:
    """Recognise a connection; UsageError: it is none that a turn can be ended in."""
    if isinstance(connection, tuple(_classes("asyncpg", "Connection", "pool.PoolConnectionProxy"))):
        return _Asyncpg(connection)
    if isinstance(connection, tuple(_classes("psycopg", "AsyncConnection"))):
        return _Psycopg(connection)
    names = ("AsyncConnection", "AsyncSession", "async_scoped_session")
    theirs = isinstance(connection, tuple(_classes("sqlalchemy.ext.asyncio", *names)))
    if theirs and _dialect(connection) == "postgresql":
        return _SqlAlchemy(connection)
    raise UsageError.field("connection", type(connection).__name__, ACCEPTED)


def _dialect(connection: Any) -> str:
    try:
        of = connection if hasattr(connection, "dialect") else connection.get_bind()
        return str(of.dialect.name)
    except Exception:  # noqa: BLE001 - a session that is bound to no database
        return ""


def _classes(module: str, *names: str) -> Iterator[type]:
    for name in names:
        found: Any = sys.modules.get(module)
        for part in name.split("."):
            found = getattr(found, part, None)
        if isinstance(found, type):
            yield found
