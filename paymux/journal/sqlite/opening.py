"""Opening the journal's file: one process at a time, and no change before it is checked."""

import contextlib
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

from .file_location import (
    SIDE_FILE_SUFFIXES,
    FileBusy,
    FileLocation,
    canonical_name,
    checked_file,
    note_name,
    schema_version,
    translated,
    unusable,
)
from .liveness import FileWorker
from .locks import Opened
from .schema import VERSION, prepare

# seconds that SQLite waits for a lock; a fork and permitted reads wait as long
BUSY_TIMEOUT_SECONDS = 0.1
ALONE_WAIT_SECONDS = 1.0  # seconds to wait for a short reader of an earlier release's file


def open_database(given: str, worker: FileWorker, location: FileLocation) -> sqlite3.Connection:
    """Open a journal; create it or upgrade it where needed. The worker counts as alive from now on.

    UsageError: no journal can be kept at that path. Busy: try again.
    """
    if why := location.displaced():
        raise OSError(why)
    real, begun = checked_file(given), bool(worker.name)
    try:
        worker.begin()  # first: rows of a worker that seems dead may be claimed
        with _in_turn(worker.file):
            db = _connected(given, real, worker, location)
    except BaseException as error:
        if not begun:
            worker.end()
        if isinstance(error, OSError):
            raise translated(given, error) from None
        raise
    worker.tidy()
    return db


def _connected(
    given: str, real: Path, worker: FileWorker, location: FileLocation
) -> sqlite3.Connection:
    version = schema_version(real, VERSION)
    if 0 < version < VERSION:
        _see_alone(given, worker)
    name = canonical_name(real)
    if worker.file is not None:
        _join(worker.file, name)
    db = sqlite3.connect(
        name, timeout=BUSY_TIMEOUT_SECONDS, isolation_level=None, check_same_thread=False
    )
    db.text_factory = _text  # one invalid byte in a name must not hide other rows
    try:
        prepare(db, lambda: _see_alone(given, worker))
        note_name(db, name)
        location.note(worker.file, name)
    except BaseException:
        db.close()
        raise
    return db


def _text(text: bytes) -> str:
    return text.decode("utf-8", "replace")


@contextlib.contextmanager
def _in_turn(file: Opened | None) -> Iterator[None]:
    if file is not None and not file.begin_opening():
        raise FileBusy("another process is opening it")
    try:
        yield
    finally:
        if file is not None:
            file.end_opening()


def _join(file: Opened, name: Path) -> None:
    """Check that the process that has the database open uses the same name for its log."""
    # Otherwise this process would begin a second log, and neither process would see the other's:
    # https://www.sqlite.org/howtocorrupt.html#_unlinking_or_renaming_a_database_file_while_in_use
    user = file.user()
    apart = user is not None and not all(
        Path(f"{name}{end}").exists() for end in SIDE_FILE_SUFFIXES
    )
    if apart or any(stranded() for stranded in list(file.stranded.values())):
        who = f"process {user}" if user else "another process"
        raise FileBusy(
            f"{who} has it open by another name, or its -wal and -shm files were removed"
        )


def _see_alone(given: str, worker: FileWorker) -> None:
    """Refuse to upgrade a file of an earlier release while workers of that release use it."""
    until = time.monotonic() + ALONE_WAIT_SECONDS
    while (others := _others(worker)) and time.monotonic() < until:
        time.sleep(0.05)
    if others:
        raise unusable(
            given,
            (
                "an earlier release of paymux still uses this journal: stop its workers first "
                f"({others})"
            ),
        )


def _others(worker: FileWorker) -> str:
    if worker.file is None:
        return ", ".join(f"worker {name}" for name in worker.beside())
    user = worker.file.user()
    return "" if user is None else f"process {user or 'of another container'}"
