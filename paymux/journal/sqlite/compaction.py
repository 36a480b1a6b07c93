"""Writing the journal's file anew, so that nothing that was deleted can be read in it."""

import contextlib
import sqlite3
import time
from pathlib import Path

from .file_location import canonical_name, checked_file

WAIT_SECONDS = 30.0  # seconds to wait for other workers' transactions
RETRY_SECONDS = 0.05  # seconds between attempts to empty the log


def compact(path: str) -> None:
    """Write a journal's file anew, and empty its log; other workers wait, and go on after it.

    Free pages, and the free parts of others, hold what was deleted or replaced:
    https://www.sqlite.org/lang_vacuum.html. OSError: other programs do not let it.
    """
    try:
        with contextlib.closing(_connected(checked_file(path))) as db:
            db.execute("VACUUM")
            _empty_log(db)
    except sqlite3.Error as error:
        raise OSError(f"the journal's file cannot be written anew: {error}") from None


def _connected(real: Path) -> sqlite3.Connection:
    return sqlite3.connect(canonical_name(real), timeout=WAIT_SECONDS, isolation_level=None)


def _empty_log(db: sqlite3.Connection) -> None:
    until = time.monotonic() + WAIT_SECONDS
    while db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
        if time.monotonic() > until:
            raise OSError("the journal's log cannot be emptied: another program reads the file")
        time.sleep(RETRY_SECONDS)
