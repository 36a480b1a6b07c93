"""A journal's file that is being moved to a database, or was moved: no worker opens it any more.

Its mark is a schema version far above any release's, so that earlier releases refuse it, too, and a
note that names the new journal.
"""

import sqlite3
from typing import Literal

import msgspec

from .locks import FIRST, Opened

MOVED_VERSION = 1_000_000
_NOTE = "SELECT value FROM notes WHERE name = 'moved'"
_PUT = """INSERT INTO notes VALUES ('moved', ?)
    ON CONFLICT (name) DO UPDATE SET value = excluded.value"""


class Moved(msgspec.Struct, frozen=True, kw_only=True):
    """What the mark says: how far the move is, whither, and its own id."""

    state: Literal["moving", "moved"]
    to: str  # the new journal, without a password
    id: str  # of this move; the new journal has it, too
    version: int  # of the tables

    def __str__(self) -> str:
        if self.state == "moved":
            return f"it was moved to {self.to}: name that journal"
        return f"its move to {self.to} was broken off: run `paymux journal copy` again, or --undo"


def moved(db: sqlite3.Connection) -> Moved | None:
    """Return a file's mark, or None."""
    if db.execute("PRAGMA user_version").fetchone()[0] != MOVED_VERSION:
        return None
    return msgspec.json.decode(db.execute(_NOTE).fetchone()[0], type=Moved)


def mark(db: sqlite3.Connection, state: Moved) -> None:
    """Mark a file; durable when its transaction is."""
    db.execute(_PUT, (msgspec.json.encode(state).decode(),))
    db.execute(f"PRAGMA user_version = {MOVED_VERSION}")


def others(file: Opened, own: str) -> str:
    """Say who else uses a file; empty: no other."""
    user = file.user()
    if user is not None:
        return f"process {user}" if user else "a process of another container"
    byte = int(own, 16)
    if any(one >= FIRST and one != byte for one in file.names):
        return "this process"
    return "a worker" if file.worked_on() else ""
