"""Operations for the journal's thread, and how many share one transaction."""

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias, TypeVar

import msgspec

from ..errors import PaymuxError
from .file_location import FileBusy

T = TypeVar("T")
Operation: TypeAlias = Callable[[sqlite3.Connection], T]

CANNOT_TELL = object()  # returned by a glance that cannot answer


class Work(msgspec.Struct, eq=False):
    """An operation, and the future of its caller."""

    do: Callable[[sqlite3.Connection], Any]
    peek: Callable[[sqlite3.Connection], Any] | None = None  # what can be read of a locked file
    durable: bool = False  # it is tried until it is durable
    read_only: bool = False
    then: Callable[[], None] | None = None  # called in the journal's thread once it is durable
    # called in the loop with its result after that, cancelled or not
    after: Callable[[Any], None] | None = None
    # what its caller awaits, in the caller's loop; None: it has no caller
    done: "asyncio.Future[Any] | None" = None
    until: float = 0.0  # when its caller gets an error if the file is locked


class Answer(NamedTuple):
    """The result of an operation."""

    work: Work
    result: Any = None
    error: BaseException | None = None

    @property
    def failed(self) -> bool:
        """Return whether a retry may succeed; what paymux itself refuses stays refused."""
        return self.error is not None and not isinstance(self.error, PaymuxError)


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
        for work in works:
            changes = db.total_changes
            try:
                answers.append(Answer(work, work.do(db)))
            except Exception as error:  # noqa: BLE001 - an unreadable row must not end the thread
                # A partial change rolls back the whole batch; savepoints would make each operation
                # a third slower.
                if db.total_changes != changes or not db.in_transaction:
                    raise RolledBack(error) from None
                answers.append(Answer(work, error=_ours(error)))
        db.execute("COMMIT")
    except sqlite3.Error as error:
        _roll_back(db)
        raise RolledBack(error) from None
    except BaseException:
        _roll_back(db)
        raise
    return answers


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


def deliver(answers: list[Answer]) -> None:
    """Hand the results to their callers, each in the caller's own loop."""
    by_loop: dict[asyncio.AbstractEventLoop, list[Answer]] = {}
    for answer in answers:
        if answer.work.done is not None:
            by_loop.setdefault(answer.work.done.get_loop(), []).append(answer)
    for loop, own in by_loop.items():
        # A closed loop has no waiting callers.
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(settle, own)


def settle(answers: list[Answer]) -> None:
    """Set the results in their loop; one wake-up for all, as each writes a byte to a socket."""
    for work, result, error in answers:
        if error is None and work.after is not None:
            work.after(result)
        if work.done is None or work.done.done():
            continue
        if error is not None:
            work.done.set_exception(error)
        else:
            work.done.set_result(result)


def _ours(error: Exception) -> Exception:
    return error if isinstance(error, PaymuxError | OSError) else OSError(f"the journal: {error}")


def _roll_back(db: sqlite3.Connection) -> None:
    with contextlib.suppress(sqlite3.Error):
        db.execute("ROLLBACK")
