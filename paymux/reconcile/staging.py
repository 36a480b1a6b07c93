"""Both sides in one SQLite file, with how far the run is, in the same transactions."""

import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Final

import msgspec

from ..errors import UsageError
from .summary import Tally

SIDES: Final = ("theirs", "ours")
BATCH = 2_000  # rows in one transaction
# The page cache: what does not fit into it is the operating system's to keep.
_CACHE_KIB = 1024
_VERSION = 1  # of the tables: a file of another release is begun anew
_APPLICATION = 0x706D7578  # "pmux": any other database is left alone

_ROW = """account TEXT NOT NULL, kind TEXT, reference TEXT, provider_reference TEXT, receipt TEXT,
          amount INTEGER, currency TEXT, status TEXT NOT NULL, at INTEGER, party TEXT"""
COLUMNS = (
    "account, kind, reference, provider_reference, receipt, amount, currency, status, at, party"
)
_TABLES = f"""
    CREATE TABLE theirs(n INTEGER PRIMARY KEY, {_ROW});
    CREATE TABLE ours(n INTEGER PRIMARY KEY, {_ROW});
    CREATE TABLE unreadable(side TEXT NOT NULL, n INTEGER NOT NULL, reason TEXT NOT NULL,
                            PRIMARY KEY(side, n)) WITHOUT ROWID;
    CREATE TABLE pairs(ours INTEGER PRIMARY KEY, theirs INTEGER NOT NULL);
    CREATE UNIQUE INDEX pairs_theirs ON pairs(theirs);
    CREATE TABLE twins(theirs INTEGER PRIMARY KEY, ours INTEGER NOT NULL);
    CREATE TABLE cursor(id INTEGER PRIMARY KEY CHECK (id = 0), json BLOB NOT NULL);
"""


class Side(msgspec.Struct):
    """How far one side was read."""

    done: bool = False
    line: int = 0  # the last one that was read, of a file
    rows: int = 0  # rows that were staged
    at: str | None = None  # when the last order of a journal was made
    first: int | None = None  # the earliest and the latest time, in seconds since 1970
    last: int | None = None


class Cursor(msgspec.Struct):
    """How far a run is. It is written with what was done, in one transaction."""

    of: list[Any] = []  # the files and settings that the run is of
    theirs: Side = msgspec.field(default_factory=Side)
    ours: Side = msgspec.field(default_factory=Side)
    matched: int = 0  # steps of matching that are done
    looked: int = 0  # the last row of theirs whose order was looked for in the journal
    late: bool = False  # all of them were
    step: int = 0  # of the report
    after: int = 0  # the last row of that step
    written: int = 0  # bytes of the report
    read: Tally = msgspec.field(default_factory=Tally)
    found: Tally = msgspec.field(default_factory=Tally)
    differences: int = 0
    information: int = 0
    unreadable: int = 0
    asked: int = 0
    over: bool = False

    def side(self, name: str) -> Side:
        """Return how far "theirs" or "ours" is."""
        return self.ours if name == "ours" else self.theirs


class Staging:
    """The SQLite file of a run. `path` None: a temporary one, which no later run can go on with."""

    def __init__(self, path: str | None) -> None:
        self.path = path
        self._db = _opened(path)
        self.cursor = self._read_cursor()

    def _read_cursor(self) -> Cursor:
        try:
            version = self._db.execute("PRAGMA user_version").fetchone()[0]
            found = (
                self._db.execute("SELECT json FROM cursor").fetchone()
                if version == _VERSION
                else None
            )
            return Cursor() if found is None else msgspec.json.decode(found[0], type=Cursor)
        except (sqlite3.DatabaseError, msgspec.MsgspecError):
            return Cursor()

    def begin(self, cursor: Cursor) -> None:
        """Empty the file, and begin a new run."""
        self._db.close()
        self.remove()
        self._db = _opened(self.path)
        with self.transaction():
            for statement in _TABLES.split(";"):
                self._db.execute(statement)
            self._db.execute(f"PRAGMA user_version = {_VERSION}")
            self._db.execute(f"PRAGMA application_id = {_APPLICATION}")
            self.cursor = cursor

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Run what follows in one transaction, with the cursor as it is at its end."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield self._db
            written = msgspec.json.encode(self.cursor)
            self._db.execute("INSERT OR REPLACE INTO cursor VALUES (0, ?)", (written,))
            self._db.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):
                self._db.execute("ROLLBACK")
            raise

    def rows(self, sql: str, given: Sequence[Any] = ()) -> sqlite3.Cursor:
        """Run a query."""
        return self._db.execute(sql, given)

    def put(
        self, side: str, rows: Iterable[Sequence[Any]], lost: Iterable[tuple[int, str]]
    ) -> None:
        """Store rows, each with its number first, and lines that could not be read."""
        marks = ", ".join("?" * 11)
        self._db.executemany(f"INSERT INTO {side}(n, {COLUMNS}) VALUES ({marks})", rows)
        self._db.executemany(
            "INSERT INTO unreadable VALUES (?, ?, ?)", [(side, *one) for one in lost]
        )

    def interrupt(self) -> None:
        """End what another thread does here: it is done again by the next run."""
        self._db.interrupt()

    def close(self) -> None:
        """Close the file; it stays, for the next run to go on with."""
        self._db.close()

    def remove(self) -> None:
        """Remove the file."""
        if self.path is not None:
            for end in ("", "-wal", "-shm", "-journal"):
                Path(f"{self.path}{end}").unlink(missing_ok=True)


def _opened(path: str | None) -> sqlite3.Connection:
    if path is not None:
        # Made by us first: SQLite would let others read it.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
    db = sqlite3.connect(path or "", isolation_level=None, check_same_thread=False, timeout=0.2)
    try:
        _claim(db, path)
    except BaseException:
        db.close()
        raise
    return db


def _claim(db: sqlite3.Connection, path: str | None) -> None:
    """Take a file for this process alone; UsageError: another run has it, or it is no such file."""
    try:
        tables = db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        if tables and db.execute("PRAGMA application_id").fetchone()[0] != _APPLICATION:
            raise _foreign(path)
        # A process that is killed leaves what it committed, and no lock.
        db.execute("PRAGMA locking_mode = EXCLUSIVE")
        db.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        db.execute("PRAGMA temp_store = FILE")
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = NORMAL")
        db.execute("BEGIN IMMEDIATE")
        db.execute("ROLLBACK")
    except sqlite3.OperationalError as error:
        if "locked" not in str(error):
            raise
        raise UsageError(
            f"out: {path} is in use: this reconciliation runs already",
            name="out", value=str(path), accepted="one run at a time",
        ) from None  # fmt: skip
    except sqlite3.DatabaseError:
        raise _foreign(path) from None


def _foreign(path: str | None) -> UsageError:
    accepted = "a path of no other file"
    return UsageError(
        f"out: {path} is not the state of a reconciliation; accepted: {accepted}",
        name="out", value=str(path), accepted=accepted,
    )  # fmt: skip
