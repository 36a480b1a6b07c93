"""A journal's file from which all rows are copied: no worker lives on it, and none begins to."""

import contextlib
import secrets
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from ...errors import UsageError
from .file_location import FileBusy, FileLocation, canonical_name, checked_file, unusable
from .liveness import FileWorker
from .moved_file import Moved, mark, moved, others
from .opening import open_database

ROWS_AT_ONCE = 2000
WAIT_SECONDS = 1.0  # seconds to wait for a program that reads the file
# What names a worker: each is dead, and no name of a file is one of a database.
_WORKERS = {
    "payments": ("worker", "teller", "watcher"),
    "turns": ("worker",),
    "hints": ("worker",),
    "unconfirmed": ("teller",),
    "questions": ("worker",),
}
# Notes of this file and of the machine's clock.
_OWN_NOTES = ("path", "last notifier", "freed", "moved", "health")


class Source:
    """The rows of a file, in a transaction that lasts as long as the copying."""

    def __init__(self, db: sqlite3.Connection, path: Path, found: Moved | None) -> None:
        self._db = db
        self.path = path
        self.moved = found  # its mark, from a move that was broken off or completed
        self.id = secrets.token_hex(16) if found is None else found.id
        now: int = db.execute("PRAGMA user_version").fetchone()[0]
        self._version = now if found is None else found.version

    def columns(self, table: str) -> list[str]:
        """Return the names of a table's columns; none: there is no such table."""
        return [row[1] for row in self._db.execute(f"PRAGMA table_info({table})")]

    def count(self, table: str) -> int:
        """Count the rows of a table that are copied."""
        where, given = _which(table)
        sql = f"SELECT count(*) FROM {table} {where}"
        return int(self._db.execute(sql, given).fetchone()[0])

    def rows(
        self, table: str, columns: tuple[str, ...], key: tuple[str, ...]
    ) -> Iterator[list[tuple[Any, ...]]]:
        """Yield all rows, in the order of the key, as they are to stand in a database."""
        where, given = _which(table)
        order = ", ".join(key)
        sql = f"SELECT {', '.join(columns)} FROM {table} {where} ORDER BY {order}"
        cursor = self._db.execute(sql, given)
        names = _WORKERS.get(table, ())
        while found := cursor.fetchmany(ROWS_AT_ONCE):
            yield [tuple(map(_told, columns, row, [names] * len(row))) for row in found]

    def mark(self, state: Literal["moving", "moved"], to: str) -> None:
        """Mark the file, durably; no worker opens it from now on."""
        mark(self._db, Moved(state=state, to=to, id=self.id, version=self._version))
        self._commit()

    def unmark(self) -> None:
        """Let workers open the file again, as nothing was moved."""
        self._db.execute("DELETE FROM notes WHERE name = 'moved'")
        self._db.execute(f"PRAGMA user_version = {self._version}")
        self._commit()

    def _commit(self) -> None:
        self._db.execute("COMMIT")
        self._db.execute("BEGIN IMMEDIATE")


def _text(text: bytes) -> str:
    return text.decode("utf-8", "replace")


def _which(table: str) -> tuple[str, tuple[str, ...]]:
    if table != "notes":
        return "", ()
    return f"WHERE name NOT IN ({', '.join('?' * len(_OWN_NOTES))})", _OWN_NOTES


def _told(column: str, value: Any, workers: tuple[str, ...]) -> Any:
    """Return a value as a database takes it."""
    if not isinstance(value, str):
        return value
    if column in workers:
        return value and f"file {value}"
    return value.replace("\0", "\ufffd")  # of a damaged row: PostgreSQL has no such text


@contextlib.contextmanager
def opened_source(given: str) -> Iterator[Source]:
    """Open a file that no worker uses; until the end none begins to.

    UsageError: a worker lives on it, or it is no journal. OSError: not now.
    """
    real = checked_file(given)
    if not real.exists():
        raise unusable(given, "there is no such file")
    worker = FileWorker(Path(given))
    location = FileLocation(Path(given))
    try:
        db = _database(given, real, worker, location)
        file = worker.file
        try:
            if file is not None and not file.begin_opening():
                raise FileBusy("another process is opening it")
            try:
                _see_alone(given, worker)
                db.text_factory = _text  # one invalid byte must not stop all rows
                db.execute("BEGIN IMMEDIATE")
                yield Source(db, real, moved(db))
                db.execute("ROLLBACK")
                _empty_log(db)
            finally:
                if file is not None:
                    file.end_opening()
        finally:
            db.close()
    except sqlite3.Error as error:
        raise OSError(f"the file cannot be read: {error}") from None
    finally:
        location.forget()
        worker.end()


def _database(
    given: str, real: Path, worker: FileWorker, location: FileLocation
) -> sqlite3.Connection:
    """Open it as each worker does, with its upgrade; a marked one as it is."""
    db = sqlite3.connect(canonical_name(real), timeout=WAIT_SECONDS, isolation_level=None)
    with contextlib.suppress(sqlite3.Error):
        if moved(db) is not None:
            worker.begin()
            return db
    db.close()
    return open_database(given, worker, location)


def _see_alone(given: str, worker: FileWorker) -> None:
    who = others(worker.file, worker.name) if worker.file else ", ".join(worker.beside())
    if who:
        raise unusable(given, f"{who} still uses it: stop all workers first")


def _empty_log(db: sqlite3.Connection) -> None:
    with contextlib.suppress(sqlite3.Error):  # it stays readable with its log
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def refuse_other(found: Moved, to: str) -> None:
    """Refuse to move a file to another place than the one that it is on its way to."""
    if found.to != to:
        raise UsageError(
            f"journal: {found}", name="journal", value=to, accepted=f"{found.to}, as before"
        )
