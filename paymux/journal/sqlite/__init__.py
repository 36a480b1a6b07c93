"""The journal in one SQLite file."""

from .journal import SqliteJournal

__all__ = ["SqliteJournal"]
