"""Opening a journal's file: one process at a time, and nothing is changed before it is known to be a journal."""

import contextlib
import sqlite3
import time
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from .locks import Opened
from .place import BESIDE, Busy, Place, checked, inspect, note_name, one_of_many, refused, translated
from .schema import VERSION, prepare
from .workers import Worker

LOCKED = 0.1  # seconds for which SQLite waits at a time; a fork, and what may be read meanwhile, wait as long
ALONE = 1.0  # seconds for which somebody else's reading of an earlier release's file is waited for


def opened(given: str, worker: Worker, place: Place, keep: timedelta | None) -> sqlite3.Connection:
    """Open a journal, made or brought to this release's form where that is needed; the worker lives from then on.

    UsageError where no journal can be kept at that path, Busy where it may be tried again.
    """
    if why := place.displaced():
        raise OSError(why)
    real, begun = checked(given), bool(worker.name)
    try:
        worker.begin()  # first: a row of a worker that does not seem to live may be taken away
        with _in_turn(worker.file):
            db = _connected(given, real, worker, place, keep)
    except BaseException as error:
        if not begun:
            worker.end()
        if isinstance(error, OSError):
            raise translated(given, error) from None
        raise
    worker.tidy()
    return db


def _connected(given: str, real: Path, worker: Worker, place: Place, keep: timedelta | None) -> sqlite3.Connection:
    version = inspect(real, VERSION)
    if 0 < version < VERSION:
        _see_alone(given, worker)
    name = one_of_many(real)
    if worker.file is not None:
        _join(worker.file, name)
    db = sqlite3.connect(name, timeout=LOCKED, isolation_level=None, check_same_thread=False)
    db.text_factory = _text  # a name of which one byte is wrong must not hide the rows beside it
    try:
        prepare(db, keep, lambda: _see_alone(given, worker))
        note_name(db, name)
        place.note(worker.file, name)
    except BaseException:
        db.close()
        raise
    return db


def _text(text: bytes) -> str:
    return text.decode("utf-8", "replace")


@contextlib.contextmanager
def _in_turn(file: Opened | None) -> Iterator[None]:
    if file is not None and not file.begin_opening():
        raise Busy("another process is opening it")
    try:
        yield
    finally:
        if file is not None:
            file.end_opening()


def _join(file: Opened, name: Path) -> None:
    """See that whoever has the database open keeps its log under the name that it is going to be opened by."""
    # Else this would begin a second log, and neither would know of the other:
    # https://www.sqlite.org/howtocorrupt.html#_unlinking_or_renaming_a_database_file_while_in_use
    user = file.user()
    apart = user is not None and not all(Path(f"{name}{end}").exists() for end in BESIDE)
    if apart or any(stranded() for stranded in list(file.stranded.values())):
        who = f"process {user}" if user else "another process"
        raise Busy(f"{who} has it open by another name, or what SQLite keeps beside it was taken away")


def _see_alone(given: str, worker: Worker) -> None:
    """Refuse to bring a file of an earlier release to this one's form while workers of that one use it."""
    until = time.monotonic() + ALONE
    while (others := _others(worker)) and time.monotonic() < until:
        time.sleep(0.05)
    if others:
        raise refused(
            given, f"an earlier release of paymux still uses this journal: stop its workers first ({others})"
        )


def _others(worker: Worker) -> str:
    if worker.file is None:
        return ", ".join(f"worker {name}" for name in worker.beside())
    user = worker.file.user()
    return "" if user is None else f"process {user or 'of another container'}"
