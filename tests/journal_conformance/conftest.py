"""The engines that the promises of a journal are tried on."""

import asyncio
import contextlib
import itertools
import sqlite3
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol

import pytest

from paymux import SqliteJournal
from paymux.journal import Journal
from paymux.journal.postgres import PostgresJournal
from paymux.journal.postgres.address import Address
from paymux.journal.postgres.opening import open_connection

from ..clusters import Cluster

_schemas = itertools.count(1)


class Engine(Protocol):
    """Where one journal lies, as each of its workers is given it."""

    where: str  # as a pool takes it

    def journal(self, **options: Any) -> Journal:
        """Return the journal for another worker."""
        ...

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        """Read the journal's tables directly."""
        ...


class SqliteEngine:
    """A file."""

    def __init__(self, where: str) -> None:
        self.where = where

    def journal(self, **options: Any) -> Journal:
        return SqliteJournal(self.where, **options)

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        with contextlib.closing(sqlite3.connect(self.where)) as db:
            return db.execute(sql).fetchall()


class PostgresEngine:
    """A schema of a database."""

    def __init__(self, where: str) -> None:
        self.where = where

    def journal(self, **options: Any) -> Journal:
        return PostgresJournal(self.where, **options)

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        # In a thread: a loop of its own cannot run inside that of a test.
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(self._query, sql).result()

    def _query(self, sql: str) -> list[tuple[Any, ...]]:
        loop = asyncio.new_event_loop()
        connection = open_connection(Address(self.where), loop)
        try:
            return connection.execute(sql).fetchall()
        finally:
            connection.close()
            loop.close()


@pytest.fixture(params=["sqlite", "postgres"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Engine:
    """Return an engine with no journal yet."""
    if request.param == "sqlite":
        return SqliteEngine(str(tmp_path / "payments.db"))
    server: Cluster = request.getfixturevalue("postgres")
    return PostgresEngine(server.url(f"conforms_{next(_schemas)}"))


@pytest.fixture
async def worker(engine: Engine) -> AsyncIterator[Callable[..., Any]]:
    """Return what opens the journal for another worker; all are closed at the end."""
    opened: list[Journal] = []

    async def another(**options: Any) -> Journal:
        journal = engine.journal(**options)
        opened.append(journal)
        await journal.open()
        return journal

    yield another
    for journal in opened:
        await journal.aclose()
