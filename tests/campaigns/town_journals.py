"""Where the journal of a world of R4 lies: in a file, or in a schema of a PostgreSQL server."""

import asyncio
import contextlib
import random
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

import psycopg

from paymux.journal.postgres.address import Address

from .day_journals import Mortal
from .simulation import LoopJournal, in_memory


class Place(Protocol):
    """Where the journal of a world lies."""

    def journal(self, chance: random.Random) -> Any:
        """Return the journal of another process."""
        ...

    async def kill(self, journal: Any) -> None:
        """End a process's journal as the death of the process does."""
        ...

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Return what plain SQL finds in the journal."""
        ...


class TownFile:
    """A journal in a file, whose operations take virtual time."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._db = sqlite3.connect(path, isolation_level=None)

    def journal(self, chance: random.Random) -> LoopJournal:
        """Return the journal of another process."""
        return LoopJournal(self._path, chance)

    async def kill(self, journal: LoopJournal) -> None:
        """End a process's journal as the death of the process does."""
        journal.die()

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Return what plain SQL finds in the journal."""
        return self._db.execute(sql).fetchall()

    def close(self) -> None:
        """Close the file."""
        self._db.close()


class TownServer:
    """A journal in PostgreSQL, by real threads: the clock stands still while they work."""

    def __init__(self, url: str) -> None:
        self._url = url
        address = Address(url)
        self._schema = address.schema
        self._db = psycopg.connect(
            address.url.reveal(), autocommit=True, options=f"-c search_path={self._schema}"
        )

    def journal(self, _: random.Random) -> Mortal:
        """Return the journal of another process."""
        return Mortal(self._url)

    async def kill(self, journal: Mortal) -> None:
        """End a process's journal as the death of the process does."""
        journal.die()
        # Its threads end at once; the clock waits for them.
        await asyncio.get_running_loop().run_in_executor(None, journal.buried)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Return what plain SQL finds in the journal."""
        return self._db.execute(sql.encode()).fetchall()

    def close(self) -> None:
        """Remove the journal."""
        self._db.execute(f"DROP SCHEMA IF EXISTS {self._schema} CASCADE".encode())
        self._db.close()


@contextlib.contextmanager
def town_place(seed: int, server: str | None) -> Iterator[TownFile | TownServer]:
    """Give a world its journal: a file, or a schema of its own behind the URL of a server."""
    if server is None:
        with in_memory("safety_") as folder, contextlib.closing(TownFile(folder / "p.db")) as file:
            yield file
        return
    with contextlib.closing(TownServer(f"{server}?schema=world_{seed}")) as place:
        yield place
