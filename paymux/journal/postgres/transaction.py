"""Operations in one transaction, and what is known of them when its COMMIT had no answer."""

import time

from ...errors import PaymuxError
from ..stored.verbs import run_group
from ..work import Answer, Work
from .connection import Conflict, Connection, Failed, ServerGone

SETTLE_SECONDS = 2.0  # seconds for the server to end a session that is lost
# Of the role itself, which may end its own sessions.
_END = """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE pid = $1 AND pid <> pg_backend_pid() AND backend_start::text = $2"""
# https://www.postgresql.org/docs/current/functions-info.html#FUNCTIONS-PG-SNAPSHOT: NULL is a
# transaction so old that the server has forgotten it.
_STATUS = "SELECT pg_xact_status($1::text::xid8)"


class Doubt:
    """Operations whose COMMIT had no answer."""

    def __init__(self, answers: list[Answer], db: Connection, lost: ServerGone) -> None:
        self.answers = answers
        self.lost = lost
        self._transaction = db.transaction
        self._session = db

    def durable(self, db: Connection) -> bool:
        """Return whether the operations are durable, once their session has ended for certain."""
        until = time.monotonic() + SETTLE_SECONDS
        while True:
            try:
                status = db.value(_STATUS, self._transaction)
            except ServerGone:
                raise
            except Failed:
                return False  # a number of the future: the server is a copy that never had it
            if status != "in progress":
                return bool(status == "committed")
            if time.monotonic() > until:
                raise ServerGone("the journal's database: an earlier session does not end")
            end_session(db, self._session)
            time.sleep(0.05)


def end_session(db: Connection, lost: Connection) -> None:
    """Have the server end a session that is lost to its client; it may take a while."""
    db.value(_END, lost.pid, lost.began)


def transact(db: Connection, group: list[Work], lock: int | None) -> list[Answer] | Doubt | None:
    """Run a group of operations in one transaction; None: it met another one.

    ServerGone: the session is lost, and nothing of the operations is durable.
    """
    try:
        db.begin(lock)
        answers = _answers(db, group)
        if answers is None:
            db.rollback()
            return _each(db, group, lock)
        if answers[0].error is not None and len(group) == 1:
            db.rollback()
            return answers
    except Conflict:
        db.rollback()
        return None
    try:
        db.commit()
    except ServerGone as lost:
        if lock is not None:
            return Doubt(answers, db, lost)
        raise
    except Conflict:
        return None
    except Failed as error:
        return [Answer(work, error=OSError(str(error))) for work in group]
    return answers


def run_alone(db: Connection, group: list[Work]) -> list[Answer] | None:
    """Run a group whose statements are transactions of their own; None: it met another one.

    ServerGone: the session is lost, and the group is to be repeated.
    """
    db.begin_alone()
    try:
        answers = _answers(db, group)
    except Conflict:
        return None
    if answers is not None:
        return answers
    return [answer for work in group for answer in run_alone(db, [work]) or ()]


def _each(db: Connection, group: list[Work], lock: int | None) -> list[Answer] | Doubt | None:
    """Run each operation of a group that failed as one: only what is wrong itself fails."""
    answers: list[Answer] = []
    for work in group:
        one = transact(db, [work], lock)
        if not isinstance(one, list):
            return answers or one
        answers += one
    return answers


def _answers(db: Connection, group: list[Work]) -> list[Answer] | None:
    """Run a group; None: it failed as one, and has more than one operation."""
    try:
        results = run_group(group, db)
        if db.failed is not None:
            raise db.failed
    except (ServerGone, Conflict):
        raise
    except Exception as error:  # noqa: BLE001 - an unreadable row must not end the thread
        if isinstance(db.failed, ServerGone | Conflict):
            raise db.failed from None
        if len(group) > 1:
            return None
        results = [error]
    return [
        Answer(work, error=_ours(one)) if isinstance(one, Exception) else Answer(work, one)
        for work, one in zip(group, results, strict=True)
    ]


def _ours(error: Exception) -> Exception:
    if isinstance(error, Failed):
        return OSError(str(error))
    return error if isinstance(error, PaymuxError | OSError) else OSError(f"the journal: {error}")
