"""The journal in a PostgreSQL database."""

from .journal import PostgresJournal

__all__ = ["PostgresJournal"]
