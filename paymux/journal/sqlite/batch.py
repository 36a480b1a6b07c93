"""Operations of one moment share one transaction."""

import contextlib
import sqlite3

from ...errors import PaymuxError
from ..stored.verbs import in_groups, run_group
from ..work import CANNOT_TELL, Answer, Work
from .file_location import FileBusy


class RolledBack(Exception):
    """A transaction was rolled back."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(f"the journal cannot be written: {error}")


def is_busy(error: BaseException) -> bool:
    """Return whether a file is only locked by another program."""
    if isinstance(error, sqlite3.Error):
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        return code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
    return isinstance(error, FileBusy)


def run_batch(db: sqlite3.Connection, works: list[Work]) -> list[Answer]:
    """Run all operations in one transaction.

    If it fails, run those that must not be lost one by one. A locked file is
    sqlite3.OperationalError.
    """
    try:
        return commit(db, works)
    except RolledBack as undone:
        durable = [work for work in works if work.durable]
        if not durable or len(works) == 1:
            return _all(works, undone)
    rest = [work for work in works if not work.durable]
    return [
        answer for one in (*([work] for work in durable), rest) if one for answer in _alone(db, one)
    ]


def _alone(db: sqlite3.Connection, works: list[Work]) -> list[Answer]:
    try:
        return commit(db, works)
    except RolledBack as undone:
        return _all(works, undone)


def _all(works: list[Work], undone: RolledBack) -> list[Answer]:
    return [Answer(work, error=OSError(str(undone))) for work in works]


def commit(db: sqlite3.Connection, works: list[Work]) -> list[Answer]:
    """Run all operations in one transaction, or raise RolledBack.

    An operation that fails before it changed anything fails alone.
    """
    answers: list[Answer] = []
    db.execute("BEGIN IMMEDIATE")
    try:
        for group in in_groups(works):
            answers += _run(db, group)
        db.execute("COMMIT")
    except sqlite3.Error as error:
        _roll_back(db)
        raise RolledBack(error) from None
    except BaseException:
        _roll_back(db)
        raise
    return answers


def _run(db: sqlite3.Connection, group: list[Work]) -> list[Answer]:
    """Run a group together, or one by one if that fails."""
    changes = db.total_changes
    try:
        results = run_group(group, db)
    except Exception as error:  # noqa: BLE001 - an unreadable row must not end the thread
        # A partial change rolls back the whole batch; savepoints would make each operation a third
        # slower.
        if db.total_changes != changes or not db.in_transaction:
            raise RolledBack(error) from None
        if len(group) > 1:
            return [answer for work in group for answer in _run(db, [work])]
        results = [error]
    return [
        Answer(work, error=_ours(one)) if isinstance(one, Exception) else Answer(work, one)
        for work, one in zip(group, results, strict=True)
    ]


def peek_all(db: sqlite3.Connection, works: list[Work]) -> list[Answer]:
    """Answer from what can be read while another program has the file locked."""
    answers: list[Answer] = []
    try:
        db.execute("BEGIN")
        for work in works:
            try:
                found = work.peek(db) if work.peek is not None else CANNOT_TELL
            except sqlite3.Error:
                continue
            except Exception as error:  # noqa: BLE001 - as above
                answers.append(Answer(work, error=_ours(error)))
                continue
            if found is not CANNOT_TELL:
                answers.append(Answer(work, found))
    except sqlite3.Error:
        pass
    _roll_back(db)
    return answers


def _ours(error: Exception) -> Exception:
    return error if isinstance(error, PaymuxError | OSError) else OSError(f"the journal: {error}")


def _roll_back(db: sqlite3.Connection) -> None:
    with contextlib.suppress(sqlite3.Error):
        db.execute("ROLLBACK")
