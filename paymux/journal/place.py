"""Which journal a path or a URL names."""

from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING

from ..errors import UsageError
from ..primitives.coerce import is_a
from ..primitives.redaction import Secret, as_place
from ..values.validation import checked_path

if TYPE_CHECKING:
    from .stored.journal import StoredJournal


def is_place(given: object) -> bool:
    """Return whether this is a path or a URL."""
    return is_a(given, str) or is_a(given, Secret) or issubclass(type(given), PathLike)


def journal_at(
    given: object, *, keep_days: float | None = None, make: bool = True
) -> "StoredJournal":
    """Return the journal that a path or a URL names; it is opened at its first use.

    `make=False` refuses a schema of a database that has no journal, by UsageError.
    """
    place = as_place(given)
    del given  # the frames of an error must not hold a password
    if is_a(place, Secret):
        from .postgres import PostgresJournal  # noqa: PLC0415 - loaded only for this journal

        journal = PostgresJournal(place, keep_days=keep_days)
        journal.make = make
        return journal
    if not is_place(place):
        raise UsageError.field("journal", place, "a path, or a postgresql:// URL")
    from .sqlite import SqliteJournal  # noqa: PLC0415 - SQLite is loaded only for a journal

    return SqliteJournal(checked_path("journal", place, unread=True), keep_days=keep_days)


def is_earlier(path: Path) -> bool:
    """Return whether a file is a journal of an earlier release, which its next worker upgrades.

    Nothing is changed, and no worker is disturbed. UsageError: it is no journal.
    """
    from .sqlite.file_location import checked_file, schema_version  # noqa: PLC0415 - loads SQLite
    from .sqlite.schema import VERSION  # noqa: PLC0415 - as above

    return 0 < schema_version(checked_file(str(path)), VERSION) < VERSION
