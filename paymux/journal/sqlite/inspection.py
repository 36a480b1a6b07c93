"""What SQLite says of a journal's file."""

import sqlite3

from ..database import Database
from ..tables.health import Inspection

_CLOCK = "SELECT (julianday('now') - 2440587.5) * 86400.0"
_SYNCHRONOUS = {0: "off", 1: "normal", 2: "full", 3: "extra"}


def inspect(db: Database) -> Inspection:
    """Return the state of the file that a connection has open."""
    mode, level = _pragma(db, "journal_mode"), int(_pragma(db, "synchronous"))
    problems = []
    if mode != "wal":
        problems.append(f"the file's journal_mode is {mode}, not wal: is it on a network drive?")
    pages, free, size = (
        int(_pragma(db, name)) for name in ("page_count", "freelist_count", "page_size")
    )
    settings = {
        "version": sqlite3.sqlite_version,
        "journal_mode": mode,
        "synchronous": _SYNCHRONOUS.get(level, str(level)),
        "bytes": str(pages * size),
        "free bytes": str(free * size),
    }
    (now,) = db.execute(_CLOCK).fetchone()
    return Inspection("sqlite", now, settings, tuple(problems))


def _pragma(db: Database, name: str) -> str:
    return str(db.execute(f"PRAGMA {name}").fetchone()[0])
